package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"iter"
	"os"

	"windrow/internal/column"
	"windrow/internal/message"
	"windrow/internal/table"
)

// canvas is a file whose HDF5 structure is complete and closed, with room for
// all content. The content is put in place by plain writes: HDF5 metadata is
// never touched again.
type canvas struct {
	file   *os.File
	size   int64
	places extents // of the root's columns, the appendices' columns, the digests of the rows, and last the manifest's digests
}

// metadata returns the digest of everything that create wrote.
func (c *canvas) metadata() (message.Digest, error) {
	return c.places.digestOutside(c.file, c.size)
}

// put writes n rows of the block, from row from on, to the columns at places,
// as their rows at, at+1, ...
func (c *canvas) put(places extents, at int64, block *table.Block, from, n int) error {
	for i, column := range block.Columns() {
		offset := places[i].Offset + at*int64(column.RowBytes())
		if err := c.write(rowsOf(block, i, from, n), offset); err != nil {
			return fmt.Errorf("write %d rows at %d of %s: %w", n, at, column.Name, err)
		}
	}
	return nil
}

func (c *canvas) write(data []byte, offset int64) error {
	_, err := c.file.WriteAt(data, offset)
	return noSpace(err, c.file.Name(), c.size)
}

// rowsOf returns the bytes of n rows of column c, from row from on.
func rowsOf(block *table.Block, c, from, n int) []byte {
	size := block.Columns()[c].RowBytes()
	return block.Column(c)[from*size : (from+n)*size]
}

// finish writes the manifest's digests, of the columns and of all around them,
// and makes the file durable.
func (c *canvas) finish(sums []message.Digest, metadata message.Digest) error {
	var text []byte
	for _, sum := range append(sums, metadata) {
		text = append(text, sum...)
	}
	manifest := c.manifest()
	if int64(len(text)) != manifest.Bytes {
		return fmt.Errorf("write manifest: %d bytes of digests for %d", len(text), manifest.Bytes)
	}
	if err := c.write(text, manifest.Offset); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", c.file.Name(), noSpace(err, c.file.Name(), c.size))
	}
	return nil
}

// putRowDigests writes the digests of the rows, and returns the SHA-256 of them
// all.
func (c *canvas) putRowDigests(digests iter.Seq[uint64]) (message.Digest, error) {
	place := c.places[len(c.places)-2]
	offset, h := place.Offset, sha256.New()
	buf := make([]byte, 0, 1<<16)
	flush := func() error {
		_, _ = h.Write(buf) // a hash does not fail
		err := c.write(buf, offset)
		offset += int64(len(buf))
		buf = buf[:0]
		return err
	}
	for d := range digests {
		buf = binary.LittleEndian.AppendUint64(buf, d)
		if len(buf) == cap(buf) {
			if err := flush(); err != nil {
				return "", fmt.Errorf("write the digests of the rows: %w", err)
			}
		}
	}
	err := flush()
	if err == nil && offset != place.Offset+place.Bytes {
		err = fmt.Errorf("%d bytes for %d", offset-place.Offset, place.Bytes)
	}
	if err != nil {
		return "", fmt.Errorf("write the digests of the rows: %w", err)
	}
	return digest(h.Sum(nil)), nil
}

// manifest returns where the manifest's digests lie.
func (c *canvas) manifest() column.Extent { return c.places[len(c.places)-1] }

func (c *canvas) checkMetadata(want message.Digest) error {
	got, err := c.metadata()
	if err != nil {
		return fmt.Errorf("read %s: %w", c.file.Name(), err)
	}
	if got != want {
		return fmt.Errorf("%s: bytes outside the rows have changed: %w", c.file.Name(), ErrCorrupt)
	}
	return nil
}

// sums are the digests of columns, as their rows pass in order.
type sums []hash.Hash

func newSums(columns int) sums {
	s := make(sums, columns)
	for i := range s {
		s[i] = sha256.New()
	}
	return s
}

func (s sums) add(block *table.Block, from, n int) {
	for i := range block.Columns() {
		_, _ = s[i].Write(rowsOf(block, i, from, n)) // a hash does not fail
	}
}

func (s sums) digests() []message.Digest {
	digests := make([]message.Digest, len(s))
	for i, h := range s {
		digests[i] = digest(h.Sum(nil))
	}
	return digests
}
