package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"windrow/internal/column"
	"windrow/internal/message"
)

// extents are where the datasets lie whose content is not HDF5's own.
type extents []column.Extent

// digestOutside returns the SHA-256 of the bytes of r, which has size bytes,
// outside es: all that HDF5 itself has written.
func (es extents) digestOutside(r io.ReaderAt, size int64) (message.Digest, error) {
	h := sha256.New()
	if err := column.CopyOutside(h, r, size, es); err != nil {
		return "", err
	}
	return digest(h.Sum(nil)), nil
}

func digest(sum []byte) message.Digest { return message.Digest(hex.EncodeToString(sum)) }

// digestOf returns the SHA-256 of bytes in memory.
func digestOf(b []byte) message.Digest {
	sum := sha256.Sum256(b)
	return digest(sum[:])
}
