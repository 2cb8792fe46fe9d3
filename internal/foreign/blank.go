package foreign

import (
	"bytes"
	"math/bits"
)

// IsBlank tells whether a row has only zeros, or only what its dataset is filled
// with: its place was made, and perhaps never filled.
func IsBlank(row, fill []byte) bool {
	return repeats(row, []byte{0}) || len(fill) > 0 && repeats(row, fill)
}

// repeats tells whether b is nothing but one element again and again.
func repeats(b, element []byte) bool {
	n := min(len(b), len(element))
	return bytes.Equal(b[:n], element[:n]) && bytes.Equal(b[n:], b[:len(b)-n])
}

// blank counts the rows of a file that have nothing in any dataset that it looks at.
type blank struct {
	rows    int64
	written []uint64 // a bit for each row
	off     bool     // it cannot be told
}

// maxBlankRows is of how many rows it can be told: in 32 MiB.
const maxBlankRows = 1 << 28

// look returns what looks at the blocks of a dataset, one after another.
func (b *blank) look(rows int64, fill []byte) func(rowBytes int64, block []byte) {
	if b.written == nil && rows <= maxBlankRows {
		b.rows, b.written = rows, make([]uint64, (rows+63)/64)
	}
	b.off = b.off || rows != b.rows
	at := int64(0)
	return func(rowBytes int64, block []byte) {
		for ; len(block) > 0 && !b.off; at++ {
			if b.written[at/64]&(1<<(at%64)) == 0 && !IsBlank(block[:rowBytes], fill) {
				b.written[at/64] |= 1 << (at % 64)
			}
			block = block[rowBytes:]
		}
	}
}

func (b *blank) count() int64 {
	if b.off {
		return 0
	}
	n := b.rows
	for _, w := range b.written {
		n -= int64(bits.OnesCount64(w))
	}
	return n
}
