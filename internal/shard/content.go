package shard

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/zeebo/xxh3"

	"windrow/internal/column"
	"windrow/internal/message"
)

// content is the bytes of a file that were hashed. They are read twice, because
// a shard may be larger than the memory that a merger should take: each window
// of them has a checksum, which tells whether the second time gave the same.
type content struct {
	file *os.File
	size int64
	sums []uint64 // XXH3 of each window
}

const windowBytes = 64 << 10

// hashContent reads the file, which has size bytes, and returns its SHA-256.
func hashContent(file *os.File, size int64) (*content, message.Digest, error) {
	c := &content{file: file, size: size, sums: make([]uint64, (size+windowBytes-1)/windowBytes)}
	whole, buf := sha256.New(), make([]byte, min(size, windowBytes))
	for i := range c.sums {
		window, err := c.read(int64(i), buf)
		if err != nil {
			return nil, "", err
		}
		_, _ = whole.Write(window) // a hash does not fail
		c.sums[i] = xxh3.Hash(window)
	}
	return c, message.Digest(hex.EncodeToString(whole.Sum(nil))), nil
}

// read reads a window into buf.
func (c *content) read(window int64, buf []byte) ([]byte, error) {
	start := window * windowBytes
	buf = buf[:min(windowBytes, c.size-start)]
	_, err := c.file.ReadAt(buf, start)
	if errors.Is(err, io.EOF) {
		return nil, errOtherBytes
	}
	return buf, err
}

var errOtherBytes = damaged(message.FlawDigest, "it has changed while it was read")

// at returns a reader of an extent, which lies inside the content.
func (c *content) at(extent column.Extent) io.Reader {
	return io.LimitReader(&reading{content: c, next: extent.Offset, buf: make([]byte, min(c.size, windowBytes))}, extent.Bytes)
}

// reading reads the content from some byte on.
type reading struct {
	*content

	next   int64
	buf    []byte
	window []byte // what of the window that next is in was not yet handed out
}

// Read implements io.Reader.
func (r *reading) Read(p []byte) (int, error) {
	if len(r.window) == 0 {
		if err := r.open(r.next / windowBytes); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.window)
	r.next, r.window = r.next+int64(n), r.window[n:]
	return n, nil
}

func (r *reading) open(window int64) error {
	if window >= int64(len(r.sums)) {
		return io.EOF
	}
	bytes, err := r.read(window, r.buf)
	if err != nil {
		return err
	}
	if xxh3.Hash(bytes) != r.sums[window] {
		return errOtherBytes
	}
	r.window = bytes[r.next-window*windowBytes:]
	return nil
}
