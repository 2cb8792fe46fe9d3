package dataset

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"windrow/internal/message"
)

// checkpoint is the file <out>.rows: a header that says what the partial is,
// and 8 bytes for each task of the run, the digest of its row, little-endian,
// 0 while there is none. The digests are also in memory.
//
// The header is a line of JSON and a line with the SHA-256 of the first,
// padded with line ends to a multiple of headerAlign bytes. The digests need
// no checksum: a wrong one makes its row look damaged, and the row is copied
// again.
type checkpoint struct {
	file    *os.File
	start   int64           // offset of the first digest
	digests []uint64        // by task
	unsaved []message.Range // of tasks whose digest in the file is not that in memory
	copied  int64           // digests that are not 0
}

const (
	headerAlign = 4096
	maxHeader   = 1 << 20
	digestBytes = 8
)

// header says what a checkpoint is the checkpoint of.
type header struct {
	Form     string         `json:"form"`     // Form.identity
	Run      message.Digest `json:"run"`      // whose partial it is
	Tasks    int64          `json:"tasks"`    // of the run
	Bytes    int64          `json:"bytes"`    // of the partial
	Metadata message.Digest `json:"metadata"` // SHA-256 of the bytes of the partial outside the extents
	Extents  extents        `json:"extents"`  // where the columns lie, then the manifest's digests
}

func (h header) encode() ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint: %w", err)
	}
	sum := sha256.Sum256(line)
	text := fmt.Appendf(line, "\n%x\n", sum)
	if len(text) > maxHeader {
		return nil, fmt.Errorf("encode checkpoint: header of %d bytes, %d at most", len(text), maxHeader)
	}
	padding := headerBytes(len(line)) - int64(len(text))
	return append(text, bytes.Repeat([]byte("\n"), int(padding))...), nil
}

// headerBytes returns the size of a header whose JSON has n bytes.
func headerBytes(n int) int64 {
	text := int64(n + 1 + 2*sha256.Size + 1)
	return (text + headerAlign - 1) / headerAlign * headerAlign
}

var errNotCheckpoint = errors.New("not a checkpoint")

func decodeHeader(r io.Reader) (h header, size int64, err error) {
	lines := bufio.NewReader(io.LimitReader(r, maxHeader))
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return header{}, 0, errNotCheckpoint
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	sum, err := lines.ReadString('\n')
	want := sha256.Sum256(line)
	if err != nil || sum != hex.EncodeToString(want[:])+"\n" {
		return header{}, 0, errNotCheckpoint
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return header{}, 0, errNotCheckpoint
	}
	return h, headerBytes(len(line)), nil
}

// write writes the checkpoint of a partial without rows to w.
func (h header) write(w io.Writer) error {
	head, err := h.encode()
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	zeros := make([]byte, 1<<16)
	for left := h.Tasks * digestBytes; left > 0; left -= int64(len(zeros)) {
		if _, err := w.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// openCheckpoint opens the checkpoint at path and reads its header, but not
// yet the digests. The error wraps errNotCheckpoint or is of the file system.
func openCheckpoint(path string) (*checkpoint, header, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, header{}, err
	}
	h, start, err := decodeHeader(file)
	if err == nil {
		var info os.FileInfo
		info, err = file.Stat()
		if err == nil && info.Size() != start+h.Tasks*digestBytes {
			err = errNotCheckpoint
		}
	}
	if err != nil {
		return nil, header{}, fmt.Errorf("open %s: %w", path, errors.Join(err, file.Close()))
	}
	return &checkpoint{file: file, start: start}, h, nil
}

// load reads the digests of n tasks.
func (c *checkpoint) load(n int64) error {
	c.digests = make([]uint64, 0, n)
	buf := make([]byte, 1<<16)
	for at := c.start; int64(len(c.digests)) < n; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), (n-int64(len(c.digests)))*digestBytes)]
		if _, err := c.file.ReadAt(buf, at); err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
		for some := buf; len(some) > 0; some = some[digestBytes:] {
			digest := binary.LittleEndian.Uint64(some)
			c.digests = append(c.digests, digest)
			c.copied += present(digest)
		}
	}
	return nil
}

// set notes the digests of the rows of the tasks first, first+1, ..., 0 for
// none.
func (c *checkpoint) set(first int64, digests ...uint64) {
	for i, digest := range digests {
		c.copied += present(digest) - present(c.digests[first+int64(i)])
		c.digests[first+int64(i)] = digest
	}
	last := first + int64(len(digests)) - 1
	if n := len(c.unsaved) - 1; n >= 0 && c.unsaved[n].Last == first-1 {
		c.unsaved[n].Last = last
	} else {
		c.unsaved = append(c.unsaved, message.Range{First: first, Last: last})
	}
}

func present(digest uint64) int64 {
	if digest == 0 {
		return 0
	}
	return 1
}

// save writes the digests set since the last save, neighbours at once, and
// makes them durable.
func (c *checkpoint) save() error {
	slices.SortFunc(c.unsaved, func(a, b message.Range) int { return cmp.Compare(a.First, b.First) })
	for left := c.unsaved; len(left) > 0; {
		n, last := neighbours(left)
		if err := c.write(left[0].First, last); err != nil {
			return fmt.Errorf("write checkpoint: %w", err)
		}
		left = left[n:]
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("sync checkpoint: %w", err)
	}
	c.unsaved = c.unsaved[:0]
	return nil
}

// neighbours returns how many of the ranges, ascending by their first, have no
// gap between them, and the last index of these.
func neighbours(ranges []message.Range) (n int, last int64) {
	last = ranges[0].Last
	for n = 1; n < len(ranges) && ranges[n].First <= last+1; n++ {
		last = max(last, ranges[n].Last)
	}
	return n, last
}

func (c *checkpoint) write(first, last int64) error {
	buf := make([]byte, 0, (last-first+1)*digestBytes)
	for _, digest := range c.digests[first : last+1] {
		buf = binary.LittleEndian.AppendUint64(buf, digest)
	}
	_, err := c.file.WriteAt(buf, c.start+first*digestBytes)
	return err
}

func (c *checkpoint) close() error { return c.file.Close() }
