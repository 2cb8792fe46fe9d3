package chunk

import (
	"encoding/binary"
	"slices"
)

// bitWriter writes bits into bytes, the lowest first.
type bitWriter struct {
	bytes []byte // written until at; there is room for 8 more than can come
	at    int
	word  uint64 // what comes next: fewer than 8 bits between calls
	n     uint   // of them
}

// begin begins after dst; most bytes at most will be written.
func (w *bitWriter) begin(dst []byte, most int) {
	w.at, w.word, w.n = len(dst), 0, 0
	w.bytes = slices.Grow(dst, most+8)[:len(dst)+most+8]
}

// end fills the last byte with zeros.
func (w *bitWriter) end() []byte {
	w.align()
	return w.bytes[:w.at]
}

func (w *bitWriter) align() {
	w.put(0, (8-w.n)&7)
}

// put writes n bits, 56 at most.
func (w *bitWriter) put(v uint64, n uint) {
	w.word |= v << (w.n & 63)
	w.n += n
	binary.LittleEndian.PutUint64(w.bytes[w.at:], w.word)
	w.at += int(w.n >> 3)
	w.word >>= w.n &^ 7 & 63
	w.n &= 7
}

func (w *bitWriter) code(c code) { w.put(c.bits(), c.width()) }

// literals writes the codes of the bytes, which have 14 bits at most. Every 63
// says what is so already, and saves a comparison.
func (w *bitWriter) literals(data []byte, codes *[symbols]code) {
	word, n, out := w.word, w.n, w.bytes[w.at:]
	for len(data) >= 4 && len(out) >= 8 {
		four := binary.LittleEndian.Uint32(data)
		data = data[4:]
		a, b, c, d := codes[four&0xFF], codes[four>>8&0xFF], codes[four>>16&0xFF], codes[four>>24]
		ab := a.bits() | b.bits()<<(a.width()&63)
		cd := c.bits() | d.bits()<<(c.width()&63)
		na := a.width() + b.width()
		word |= (ab | cd<<(na&63)) << (n & 63)
		n += na + c.width() + d.width()
		binary.LittleEndian.PutUint64(out, word)
		out = out[n>>3:]
		word >>= n &^ 7 & 63
		n &= 7
	}
	w.word, w.n, w.at = word, n, len(w.bytes)-len(out)
	for _, b := range data {
		w.code(codes[b])
	}
}

// stored writes a block of the data as it is.
func (w *bitWriter) stored(data []byte, final uint64) {
	w.put(final, 3)
	w.align()
	n := uint64(len(data))
	w.put(n|(n^0xFFFF)<<16, 32)
	w.at += copy(w.bytes[w.at:], data)
}
