package tasklist

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// maxHashes is how many hashes are in memory, 8 bytes each. Those of a longer
// list go through a temporary file.
const maxHashes = 1 << 20

// hashes collects the hashes of all keys of a list, and finds those that are
// there twice, in the same memory however many they are.
type hashes struct {
	limit  int
	values []uint64
	count  int

	file   *os.File // has no name any more
	writer *bufio.Writer
}

func (h *hashes) add(hash uint64) error {
	h.count++
	if h.file == nil && len(h.values) == h.limit {
		if err := h.spill(); err != nil {
			return err
		}
	}
	if h.file != nil {
		return h.write(hash)
	}
	h.values = append(h.values, hash)
	return nil
}

// spill moves the hashes to a file.
func (h *hashes) spill() (err error) {
	if h.file, err = os.CreateTemp("", "windrow-hashes-"); err != nil {
		return fmt.Errorf("look for repeated keys: %w", err)
	}
	h.writer = bufio.NewWriterSize(h.file, 1<<18)
	if err := os.Remove(h.file.Name()); err != nil {
		return fmt.Errorf("look for repeated keys: %w", err)
	}
	for _, hash := range h.values {
		if err := h.write(hash); err != nil {
			return err
		}
	}
	return nil
}

func (h *hashes) write(hash uint64) error {
	var bytes [8]byte
	binary.LittleEndian.PutUint64(bytes[:], hash)
	if _, err := h.writer.Write(bytes[:]); err != nil {
		return fmt.Errorf("look for repeated keys: %w", err)
	}
	return nil
}

// repeated returns hashes that were added twice, in order: all of them, or those
// of the first part of the range of hashes that has any.
func (h *hashes) repeated() ([]uint64, error) {
	if h.file == nil {
		return twice(h.values), nil
	}
	if err := h.writer.Flush(); err != nil {
		return nil, fmt.Errorf("look for repeated keys: %w", err)
	}
	parts := uint64(2*h.count/h.limit + 1) //nolint:gosec // a count is not negative
	width := ^uint64(0)/parts + 1
	for part := range parts {
		found, err := h.repeatedIn(part*width, width-1)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// repeatedIn reads the hashes from one on, up to as many more. Hashes are
// evenly spread, so a part with twice as many as expected has many that are
// equal, and some are enough.
func (h *hashes) repeatedIn(from, more uint64) ([]uint64, error) {
	if _, err := h.file.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("look for repeated keys: %w", err)
	}
	r := bufio.NewReaderSize(h.file, 1<<18)
	h.values = h.values[:0]
	var bytes [8]byte
	for {
		if _, err := io.ReadFull(r, bytes[:]); errors.Is(err, io.EOF) {
			return twice(h.values), nil
		} else if err != nil {
			return nil, fmt.Errorf("look for repeated keys: %w", err)
		}
		hash := binary.LittleEndian.Uint64(bytes[:])
		if hash-from > more {
			continue
		}
		if len(h.values) == h.limit {
			if found := twice(h.values); len(found) > 0 {
				return found, nil
			}
		}
		h.values = append(h.values, hash)
	}
}

// twice sorts the hashes and returns those that are there twice.
func twice(hashes []uint64) []uint64 {
	slices.Sort(hashes)
	var found []uint64
	for i := 1; i < len(hashes); i++ {
		if hashes[i] == hashes[i-1] {
			found = append(found, hashes[i])
		}
	}
	return slices.Compact(found)
}

func (h *hashes) close() {
	if h.file != nil {
		_ = h.file.Close() // it is gone
	}
}
