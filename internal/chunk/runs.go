package chunk

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// runs deflates (RFC 1951) what compresses in one way only: bytes come in runs,
// and some more often than others. So are shuffled numbers, in which no sequence
// comes twice but that of padding, and whose planes, of the bytes of one weight,
// are either much alike or noise. It takes a fraction of the time of a search
// for sequences, as Z_RLE does in zlib, and makes no more blocks than differ.
// It is used by one goroutine.
type runs struct {
	parts  []part
	tokens []token
	out    bitWriter
	code   huffman // of literals and lengths
	header huffman // of the lengths of code's codes
	sizes  []uint8 // those lengths, as the header has them
}

// token is literals, and how often the last of them comes again: not at all, or
// shortest times at least.
type token struct{ from, to, again int }

// part is some of the data that is counted at once, for a block of its own or
// together with its neighbours.
type part struct {
	to     int // byte of the data
	tokens int // of all parts until here
	counts [symbols]uint32
}

const (
	symbols    = 286 // of literals, endOfBlock and lengths
	endOfBlock = 256
	// shortest and longest are the lengths that deflate can repeat.
	shortest, longest = 3, 258
	// codeBytes is about how long the code is that a block begins with, and
	// leastPart the least size of a part, beside which it is short.
	codeBytes = 100
	leastPart = 1 << 10
	// mostStored is the most that a block has which is not compressed.
	mostStored = 1<<16 - 1
)

// deflate appends the data, which is not empty, to dst. It consists of so many
// planes of equal size.
func (r *runs) deflate(dst, data []byte, planes int) []byte {
	size := len(data) / planes
	if size < leastPart {
		size = max(1, len(data))
	}
	r.tokens, r.parts = r.tokens[:0], r.parts[:0]
	for from := 0; from < len(data); from += size {
		r.cut(data, from, min(from+size, len(data)))
	}
	r.out.begin(dst, len(data)+len(data)/4+leastPart) // a code and the bits before it are shorter than a quarter of a part
	from, token := 0, 0
	var counts [symbols]uint32 // of the next block
	for i, p := range r.parts {
		for s, n := range p.counts {
			counts[s] += n
		}
		last := i == len(r.parts)-1
		if !last && alike(&p.counts, &r.parts[i+1].counts) {
			continue
		}
		counts[endOfBlock] = 1
		r.block(data[:p.to], from, r.tokens[token:p.tokens], &counts, last)
		from, token, counts = p.to, p.tokens, [symbols]uint32{}
	}
	return r.out.end()
}

// cut appends a part of the data, and its tokens.
func (r *runs) cut(data []byte, from, to int) {
	r.parts = slices.Grow(r.parts, 1)[:len(r.parts)+1]
	p := &r.parts[len(r.parts)-1]
	*p = part{to: to}
	var literal counter
	literals := from
	for i := from; i+8 <= to; {
		word := binary.LittleEndian.Uint64(data[i:])
		if word != bits.RotateLeft64(word, 8) {
			i += 8
			continue
		}
		first, end := i, endOfRun(data[:to], i+8, word)
		for first > literals && data[first-1] == data[i] {
			first--
		}
		again := end - first - 1
		if rest := again % longest; rest < shortest { // literals, after what can be repeated
			again -= rest
		} else {
			symbol, _, _ := lengthSymbol(rest)
			p.counts[symbol]++
		}
		p.counts[symbols-1] += uint32(again / longest) //nolint:gosec // a chunk is smaller
		literal.add(data[literals : first+1])
		r.tokens = append(r.tokens, token{literals, first + 1, again})
		literals = first + 1 + again
		i = end
	}
	if literals < to {
		literal.add(data[literals:to])
		r.tokens = append(r.tokens, token{literals, to, 0})
	}
	literal.addTo(&p.counts)
	p.tokens = len(r.tokens)
}

// endOfRun returns where the bytes end, from at on, of which word has eight.
func endOfRun(data []byte, at int, word uint64) int {
	for ; at+8 <= len(data); at += 8 {
		if other := binary.LittleEndian.Uint64(data[at:]) ^ word; other != 0 {
			return at + bits.TrailingZeros64(other)/8
		}
	}
	for at < len(data) && uint64(data[at]) == word&0xFF {
		at++
	}
	return at
}

// lengthSymbol returns the symbol of a length, and the value of so many bits
// after it (RFC 1951, 3.2.5).
func lengthSymbol(length int) (symbol, extra int, width uint) {
	if length == longest {
		return symbols - 1, 0, 0
	}
	length -= shortest
	if length < 8 {
		return endOfBlock + 1 + length, 0, 0
	}
	width = uint(bits.Len(uint(length))) - 3
	return endOfBlock + 5 + 4*int(width) + length>>width&3, length & (1<<width - 1), width
}

// counter counts bytes, in four tables, as equal ones in turn wait for each other
// in one.
type counter [4][256]uint32

func (c *counter) add(data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		word := binary.LittleEndian.Uint64(data)
		c[0][word&0xFF]++
		c[1][word>>8&0xFF]++
		c[2][word>>16&0xFF]++
		c[3][word>>24&0xFF]++
		c[0][word>>32&0xFF]++
		c[1][word>>40&0xFF]++
		c[2][word>>48&0xFF]++
		c[3][word>>56]++
	}
	for _, b := range data {
		c[0][b]++
	}
}

func (c *counter) addTo(counts *[symbols]uint32) {
	for i := range c[0] {
		counts[i] += c[0][i] + c[1][i] + c[2][i] + c[3][i]
	}
}

// alike tells whether two parts have their symbols about as often as each
// other, so that one code serves both: less than a quarter is to spare in one.
func alike(a, b *[symbols]uint32) bool {
	var all, apart uint32
	for i, n := range a {
		all += n + b[i]
		apart += max(n, b[i]) - min(n, b[i])
	}
	return apart < all/4
}

// block writes the data from a byte on, which are the tokens: with a code of its
// own, or as it is if that is shorter.
func (r *runs) block(data []byte, from int, tokens []token, counts *[symbols]uint32, last bool) {
	final := uint64(0)
	if last {
		final = 1
	}
	r.code.make(counts[:], 14) // of which four fit into a word, with 7 bits before them
	if r.code.bits(counts) >= 8*(len(data)-from-codeBytes) {
		r.store(data[from:], final)
		return
	}
	const dynamic = 2 << 1
	r.out.put(final|dynamic, 3)
	r.writeCode()
	for _, t := range tokens {
		r.out.literals(data[t.from:t.to], &r.code.codes)
		for again := t.again; again > 0; {
			length := min(again, longest)
			symbol, extra, width := lengthSymbol(length)
			r.out.code(r.code.codes[symbol])
			r.out.put(uint64(extra), width+1) //nolint:gosec // not negative; and the distance 1, whose code is a 0
			again -= length
		}
	}
	r.out.code(r.code.codes[endOfBlock])
}

// store writes the data as it is.
func (r *runs) store(data []byte, final uint64) {
	for len(data) > mostStored {
		r.out.stored(data[:mostStored], 0)
		data = data[mostStored:]
	}
	r.out.stored(data, final)
}

// writeCode writes the lengths of the codes (RFC 1951, 3.2.7): zeros are
// counted, and repetitions. There are two distances, of one bit each, as every
// decoder takes a code that is complete.
func (r *runs) writeCode() {
	const (
		again, zeros, manyZeros = 16, 17, 18
		distances               = 2
	)
	n := symbols
	for n > endOfBlock+1 && r.code.codes[n-1] == 0 {
		n--
	}
	r.sizes = r.sizes[:0]
	for _, c := range r.code.codes[:n] {
		r.sizes = append(r.sizes, uint8(c.width())) //nolint:gosec // at most 14
	}
	r.sizes = append(r.sizes, 1, 1)

	type step struct {
		symbol uint8
		extra  uint64
		width  uint
	}
	var steps [symbols + distances]step
	var counts [symbols]uint32
	list := steps[:0]
	for i := 0; i < len(r.sizes); {
		size, same := r.sizes[i], 1
		for i+same < len(r.sizes) && r.sizes[i+same] == size {
			same++
		}
		s, taken := step{symbol: size}, 1
		switch {
		case size == 0 && same >= 11:
			taken = min(same, 138)
			s = step{manyZeros, uint64(taken - 11), 7}
		case size == 0 && same >= 3:
			taken = same
			s = step{zeros, uint64(taken - 3), 3}
		case i > 0 && r.sizes[i-1] == size && same >= 3:
			taken = min(same, 6)
			s = step{again, uint64(taken - 3), 2}
		}
		list = append(list, s)
		counts[s.symbol]++
		i += taken
	}
	r.header.make(counts[:manyZeros+1], 7)

	order := [...]uint8{again, zeros, manyZeros, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1} // of 15, which no code has
	r.out.put(uint64(n-257), 5)
	r.out.put(distances-1, 5)
	r.out.put(uint64(len(order)-4), 4)
	for _, symbol := range order {
		r.out.put(uint64(r.header.codes[symbol].width()), 3)
	}
	for _, s := range list {
		r.out.code(r.header.codes[s.symbol])
		r.out.put(s.extra, s.width)
	}
}
