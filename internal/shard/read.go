package shard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// ErrAbsent is wrapped by Load where there is no file of that name. On a
// network file system it may still appear.
var ErrAbsent = errors.New("shard is absent")

// ErrDamaged is wrapped by Load where the file is there but is not what the
// event announced, or does not hold the rows it announced. The text around it
// says how. It stays so: the shard must be rejected.
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

// FlawOf returns what an ErrAbsent or ErrDamaged of Read is about.
func FlawOf(err error) message.Flaw {
	if d, ok := errors.AsType[*damage](err); ok {
		return d.flaw
	}
	return message.FlawAbsent
}

// Read hands the rows of the shard at path, which the event e of the run with
// digest d announced, block by block in order to visit, which must not keep the
// block. Before the first, the bytes were compared in size and SHA-256 with e,
// HDF5 told where the columns lie, and the tasks are exactly those of e.Rows, in
// order. The rows are the bytes that were hashed.
//
// The error wraps ErrAbsent or ErrDamaged, or is of the file system or visit.
func Read(path string, e *message.Shard, d message.Digest, columns table.Columns, visit func(*table.Block) error) (err error) {
	if err := checkSize(e, columns); err != nil {
		return err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if err != nil {
		return fmt.Errorf("read shard: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err := readAnnounced(file, e)
	if err != nil {
		return err
	}
	extents, err := locate(path, d, columns, e.Rows.Len())
	if err == nil {
		err = checkInside(extents, columns, e.Bytes)
	}
	if err != nil {
		return damaged(message.FlawContent, "%w", err)
	}
	if err := checkTasks(content.at(extents[0]), e.Rows); err != nil {
		return err
	}
	return visitRows(content, extents, columns, int(e.Rows.Len()), visit)
}

// checkSize bounds what is read by what the rows can need.
func checkSize(e *message.Shard, columns table.Columns) error {
	if n := e.Rows.Len(); n > int64(MaxRows(columns)) {
		return damaged(message.FlawSize, "%d rows were announced, %d fit in a shard", n, MaxRows(columns))
	}
	if most := e.Rows.Len()*int64(columns.RowBytes()) + maxMetadata; e.Bytes > most {
		return damaged(message.FlawSize, "%d bytes were announced, its %d rows need less than %d", e.Bytes, e.Rows.Len(), most)
	}
	return nil
}

// readAnnounced returns the content of the file if it has the announced size
// and digest.
func readAnnounced(file *os.File, e *message.Shard) (*content, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("read shard: %w", err)
	}
	if info.Size() != e.Bytes {
		return nil, damaged(message.FlawSize, "it has %d bytes, %d were announced", info.Size(), e.Bytes)
	}
	content, got, err := hashContent(file, e.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read shard: %w", err)
	}
	if got != e.SHA256 {
		return nil, damaged(message.FlawDigest, "its SHA-256 is %s, %s was announced", got, e.SHA256)
	}
	return content, nil
}

// locate returns where the columns of the shard lie.
func locate(path string, d message.Digest, columns table.Columns, rows int64) (extents []column.Extent, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := checkOrigin(f, d); err != nil {
		return nil, err
	}
	set, err := column.Open(f, "", columns)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if set.Rows() != rows {
		return nil, fmt.Errorf("it has %d rows, %d were announced", set.Rows(), rows)
	}
	return set.Extents()
}

func checkInside(extents []column.Extent, columns table.Columns, size int64) error {
	for c, extent := range extents {
		if extent.Offset < 0 || extent.Bytes > size || extent.Offset > size-extent.Bytes {
			return fmt.Errorf("dataset %s lies outside the file", columns[c].Name)
		}
	}
	return nil
}

// checkTasks compares the column of the tasks with those that were announced.
func checkTasks(column io.Reader, announced message.Ranges) error {
	row, bytes := 0, make([]byte, 8)
	for task := range announced.All() {
		if _, err := io.ReadFull(column, bytes); err != nil {
			return err
		}
		if got := int64(binary.LittleEndian.Uint64(bytes)); got != task { //nolint:gosec // same bits
			return damaged(message.FlawContent, "row %d is of task %d, %d was announced", row, got, task)
		}
		row++
	}
	return nil
}

// blockBytes is about how many bytes of rows a block has: they stay in the
// core's cache from the file to where visit brings them.
const blockBytes = 512 << 10

func visitRows(content *content, extents []column.Extent, columns table.Columns, rows int, visit func(*table.Block) error) error {
	readers := make([]io.Reader, len(extents))
	for c, extent := range extents {
		readers[c] = content.at(extent)
	}
	most := min(rows, max(1, blockBytes/columns.RowBytes()))
	block := table.NewBlock(columns, most)
	block.Grow(most)
	for ; rows > 0; rows -= block.Len() {
		block.Truncate(min(rows, most))
		for c, r := range readers {
			if _, err := io.ReadFull(r, block.Column(c)); err != nil {
				return err
			}
		}
		if err := visit(block); err != nil {
			return err
		}
	}
	return nil
}
