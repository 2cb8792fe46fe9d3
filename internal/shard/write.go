package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"windrow/internal/atomicfile"
	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Write creates the shard at path, which must not exist, with rows of the run
// with digest d, and closes it. The rows, at least one, are in ascending order
// of their tasks; digests are those that they had when they were computed.
//
// Afterwards the file is complete but nothing is durable: call Sync. That
// Write returned nil does not prove that the bytes are there: call Validate.
// On an error, the file that Write made is removed.
func Write(path string, d message.Digest, rows *table.Block, digests []uint64) error {
	if rows.Len() == 0 || rows.Len() > MaxRows(rows.Columns()) {
		return fmt.Errorf("write shard: %d rows: 1 to %d fit", rows.Len(), MaxRows(rows.Columns()))
	}
	f, err := h5.Create(path, h5.V110)
	if err != nil {
		return fmt.Errorf("write shard: %w", err)
	}
	extents, err := layOut(f, d, rows)
	if err = errors.Join(err, f.Close()); err == nil {
		err = fill(path, extents, rows, digests)
	}
	if err != nil {
		return fmt.Errorf("write shard: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// layOut makes the structure of the file and returns where the columns go.
func layOut(f *h5.File, d message.Digest, rows *table.Block) ([]column.Extent, error) {
	version := binary.LittleEndian.AppendUint64(nil, Version)
	if err := f.SetNumber(versionAttribute, column.Type(table.Type{Kind: table.Int64}), version); err != nil {
		return nil, err
	}
	if err := f.SetString(runAttribute, string(d)); err != nil {
		return nil, err
	}
	var extents []column.Extent
	for _, c := range rows.Columns() {
		dataset, err := column.Create(f, c.Name, c, int64(rows.Len()))
		if err != nil {
			return nil, err
		}
		extent, err := column.ExtentOf(dataset, c, int64(rows.Len()))
		if err := errors.Join(err, dataset.Close()); err != nil {
			return nil, err
		}
		extents = append(extents, extent)
	}
	return extents, nil
}

// fill writes the rows by plain writes, whose errors are reliable: libhdf5
// reports a full disk once and then closes the file as if nothing were wrong.
// The digests come after all that is HDF5's.
func fill(path string, extents []column.Extent, rows *table.Block, digests []uint64) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	for c, extent := range extents {
		if _, err := file.WriteAt(rows.Column(c), extent.Offset); err != nil {
			return err
		}
	}
	_, err = file.WriteAt(encode(digests), info.Size()) // HDF5 has made room for all columns
	return err
}

// encode returns digests as they are in a file.
func encode(digests []uint64) []byte {
	encoded := make([]byte, 0, len(digests)*digestBytes)
	for _, d := range digests {
		encoded = binary.LittleEndian.AppendUint64(encoded, d)
	}
	return encoded
}

// Sync makes the bytes of the file at path durable. Its name is not: that
// takes a rename and a sync of the folder.
func Sync(path string) error { return atomicfile.Sync(path) }

// Announce reads the shard at path, whose columns lie at extents, and returns
// the event that announces it: what its bytes are, and no more. The digests of
// its rows must be those that were taken when the rows were computed.
func Announce(path string, extents []column.Extent, want Expected) (_ *message.Shard, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("announce shard: %w", err)
		}
	}()
	sum, size, err := Hash(path)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	around, digests, err := sumAround(file, size, extents)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if !bytes.Equal(digests, encode(want.Digests)) {
		return nil, errors.New("the digests of the rows are not read back as they were written")
	}
	e := &message.Shard{
		Name: message.ShardName(want.Tasks[0], sum), SHA256: sum, Bytes: size, Rows: message.RangesOf(want.Tasks), Around: around,
	}
	for _, extent := range extents {
		e.Offsets = append(e.Offsets, extent.Offset)
	}
	return e, nil
}

// Hash returns the SHA-256 and the size of the file at path.
func Hash(path string) (sum message.Digest, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := sha256.New()
	size, err = io.Copy(h, file)
	return message.Digest(hex.EncodeToString(h.Sum(nil))), size, err
}
