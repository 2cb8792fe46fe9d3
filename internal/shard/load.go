package shard

import (
	"crypto/sha256"
	"encoding/hex"
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

// FlawOf returns what an ErrAbsent or ErrDamaged of Load is about.
func FlawOf(err error) message.Flaw {
	if d, ok := errors.AsType[*damage](err); ok {
		return d.flaw
	}
	return message.FlawAbsent
}

// Load returns the rows of the shard at path, which the event e of the run
// with digest d announced. The bytes are read once, into memory (at most
// MaxBytes), and compared in size and SHA-256 with e; HDF5 then only tells
// where the columns lie, and the rows are taken from the bytes that were
// hashed. Their tasks are exactly those of e.Rows, in order.
//
// The error wraps ErrAbsent or ErrDamaged, or is of the file system.
func Load(path string, e *message.Shard, d message.Digest, columns table.Columns) (*table.Block, error) {
	if err := checkSize(e, columns); err != nil {
		return nil, err
	}
	content, err := readAnnounced(path, e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	if err != nil {
		return nil, fmt.Errorf("load shard: %w", err)
	}
	extents, err := locate(path, d, columns, e.Rows.Len())
	if err != nil {
		return nil, damaged(message.FlawContent, "%w", err)
	}
	return cut(content, extents, e, columns)
}

// checkSize bounds what is read into memory by what the rows can need.
func checkSize(e *message.Shard, columns table.Columns) error {
	if n := e.Rows.Len(); n > int64(MaxRows(columns)) {
		return damaged(message.FlawSize, "%d rows were announced, %d fit in a shard", n, MaxRows(columns))
	}
	if most := e.Rows.Len()*int64(columns.RowBytes()) + maxMetadata; e.Bytes > most {
		return damaged(message.FlawSize, "%d bytes were announced, its %d rows need less than %d", e.Bytes, e.Rows.Len(), most)
	}
	return nil
}

// readAnnounced reads the file if it has the announced size and digest.
func readAnnounced(path string, e *message.Shard) (content []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != e.Bytes {
		return nil, damaged(message.FlawSize, "it has %d bytes, %d were announced", info.Size(), e.Bytes)
	}
	content = make([]byte, e.Bytes)
	if _, err := io.ReadFull(file, content); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	if got := message.Digest(hex.EncodeToString(sum[:])); got != e.SHA256 {
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

// cut takes the rows out of the content of the file.
func cut(content []byte, extents []column.Extent, e *message.Shard, columns table.Columns) (*table.Block, error) {
	block := table.NewBlock(columns, 0)
	block.Grow(int(e.Rows.Len()))
	for c, extent := range extents {
		if extent.Offset < 0 || extent.Bytes > int64(len(content)) || extent.Offset > int64(len(content))-extent.Bytes {
			return nil, damaged(message.FlawContent, "dataset %s lies outside the file", columns[c].Name)
		}
		copy(block.Column(c), content[extent.Offset:extent.Offset+extent.Bytes])
	}
	i := 0
	for task := range e.Rows.All() {
		if got := block.Row(i).Task(); got != task {
			return nil, damaged(message.FlawContent, "row %d is of task %d, %d was announced", i, got, task)
		}
		i++
	}
	return block, nil
}
