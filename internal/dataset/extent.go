package dataset

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"windrow/internal/column"
	"windrow/internal/message"
)

// extents are where the datasets lie whose content is not HDF5's own.
type extents []column.Extent

// errExtents says that extents overlap or lie outside their file.
var errExtents = errors.New("datasets overlap or lie outside the file")

// digestOutside returns the SHA-256 of the bytes of r, which has size bytes,
// outside es: all that HDF5 itself has written.
func (es extents) digestOutside(r io.ReaderAt, size int64) (message.Digest, error) {
	sorted := slices.DeleteFunc(slices.Clone(es), func(e column.Extent) bool { return e.Bytes == 0 })
	slices.SortFunc(sorted, func(a, b column.Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	h := sha256.New()
	end := int64(0)
	for _, e := range append(sorted, column.Extent{Offset: size}) {
		if e.Bytes < 0 || e.Offset < end || e.Offset > size-e.Bytes {
			return "", errExtents
		}
		if _, err := io.Copy(h, io.NewSectionReader(r, end, e.Offset-end)); err != nil {
			return "", err
		}
		end = e.Offset + e.Bytes
	}
	return digest(h.Sum(nil)), nil
}

func digest(sum []byte) message.Digest { return message.Digest(hex.EncodeToString(sum)) }

// digestOf returns the SHA-256 of bytes in memory.
func digestOf(b []byte) message.Digest {
	sum := sha256.Sum256(b)
	return digest(sum[:])
}
