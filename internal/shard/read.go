package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"windrow/internal/column"
	"windrow/internal/message"
	"windrow/internal/table"
)

// ErrAbsent is wrapped by Open where there is no file of that name. On a
// network file system it may still appear.
var ErrAbsent = errors.New("shard is absent")

// ErrDamaged is wrapped by Open and Merge where the file is there but is not
// what the event announced, or does not hold the rows it announced. The text
// around it says how. It stays so: the shard must be rejected.
var ErrDamaged = errors.New("shard is damaged")

// damage is an ErrDamaged with what was found.
type damage struct {
	flaw   message.Flaw
	reason error
}

func (d *damage) Error() string   { return fmt.Sprintf("%v: %v", ErrDamaged, d.reason) }
func (d *damage) Unwrap() []error { return []error{ErrDamaged, d.reason} }

func damaged(flaw message.Flaw, format string, args ...any) error {
	return &damage{flaw, fmt.Errorf(format, args...)}
}

var errShorter = damaged(message.FlawSize, "it has become shorter while it was read")

// FlawOf returns what an ErrAbsent or ErrDamaged is about.
func FlawOf(err error) message.Flaw {
	if d, ok := errors.AsType[*damage](err); ok {
		return d.flaw
	}
	return message.FlawAbsent
}

// File is a shard that is open for its rows to be merged. What it holds around
// its columns is what was announced; its rows are compared as they are read.
type File struct {
	file    *os.File
	tasks   message.Ranges  // of the rows, in their order
	starts  []int64         // the row that each range begins with
	extents []column.Extent // of the columns
	widths  []int64         // bytes of a row in them
	digests []byte          // of the rows, as in the file
}

// Open opens the shard at path, which the event e announced. Its size is the
// announced one, and so is the SHA-256 of all bytes but the columns, among them
// the digests of the rows. Where the columns lie is known from e: the HDF5
// library sees none of these bytes.
//
// The error wraps ErrAbsent or ErrDamaged, or is of the file system.
func Open(path string, e *message.Shard, columns table.Columns) (*File, error) {
	f := &File{tasks: e.Rows}
	if err := f.locate(e, columns); err != nil {
		return nil, err
	}
	var err error
	f.file, err = os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read shard: %w", err)
	}
	if err := f.readAround(e); err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	return f, nil
}

// Close releases the file.
func (f *File) Close() error { return f.file.Close() }

// locate notes where the columns lie by what was announced, within the limits
// of a shard.
func (f *File) locate(e *message.Shard, columns table.Columns) error {
	rows := e.Rows.Len()
	if rows > int64(MaxRows(columns)) {
		return damaged(message.FlawSize, "%d rows were announced, %d fit in a shard", rows, MaxRows(columns))
	}
	content, digests := rows*int64(columns.RowBytes()), rows*digestBytes
	if e.Bytes < content+digests || e.Bytes > content+digests+maxMetadata {
		return damaged(message.FlawSize, "%d bytes were announced, its %d rows need %d and some", e.Bytes, rows, content+digests)
	}
	if len(e.Offsets) != len(columns) {
		return damaged(message.FlawContent, "%d columns were announced, the run has %d", len(e.Offsets), len(columns))
	}
	row := int64(0)
	for _, tasks := range e.Rows {
		f.starts = append(f.starts, row)
		row += tasks.Last - tasks.First + 1
	}
	for c, offset := range e.Offsets {
		width := int64(columns[c].RowBytes())
		f.widths = append(f.widths, width)
		f.extents = append(f.extents, column.Extent{Offset: offset, Bytes: rows * width})
	}
	return nil
}

// readAround reads what is around the columns and compares it with e.
func (f *File) readAround(e *message.Shard) error {
	info, err := f.file.Stat()
	if err != nil {
		return fmt.Errorf("read shard: %w", err)
	}
	if info.Size() != e.Bytes {
		return damaged(message.FlawSize, "it has %d bytes, %d were announced", info.Size(), e.Bytes)
	}
	got, digests, err := sumAround(f.file, e.Bytes, f.extents)
	switch {
	case errors.Is(err, column.ErrExtents):
		return damaged(message.FlawContent, "its columns were announced to overlap, or to end outside of it")
	case errors.Is(err, io.EOF):
		return errShorter
	case err != nil:
		return fmt.Errorf("read shard: %w", err)
	case got != e.Around:
		return damaged(message.FlawDigest, "the SHA-256 of what is around its columns is %s, %s was announced", got, e.Around)
	}
	f.digests = digests
	return nil
}

// sumAround returns the SHA-256 of all bytes of a shard but its columns, and
// the digests of its rows, which are its last bytes.
func sumAround(r io.ReaderAt, size int64, extents []column.Extent) (sum message.Digest, digests []byte, err error) {
	digests = make([]byte, extents[0].Bytes/taskBytes*digestBytes) // the first column is that of the tasks
	end := size - int64(len(digests))
	h := sha256.New()
	if err := column.CopyOutside(h, r, end, extents); err != nil {
		return "", nil, err
	}
	if _, err := r.ReadAt(digests, end); err != nil {
		return "", nil, err
	}
	_, _ = h.Write(digests) // a hash does not fail
	return message.Digest(hex.EncodeToString(h.Sum(nil))), digests, nil
}

// digest returns the announced digest of row number i.
func (f *File) digest(i int64) uint64 { return binary.LittleEndian.Uint64(f.digests[i*digestBytes:]) }

// checkRow returns the digest of row number i, which is that of the task, if they
// are as announced.
func (f *File) checkRow(i, task int64, row table.Row) (digest uint64, err error) {
	digest = row.Digest()
	if want := f.digest(i); digest != want {
		return 0, damaged(message.FlawDigest, "row %d has the digest %016x, %016x was announced", i, digest, want)
	}
	if got := row.Task(); got != task {
		return 0, damaged(message.FlawContent, "row %d is of task %d, %d was announced", i, got, task)
	}
	return digest, nil
}
