package chunk

import (
	"math/bits"
	"slices"
)

// code is the bits of a symbol, the first one lowest, and above 8 bits how many
// they are; 0 for a symbol that does not occur.
type code uint32

func (c code) width() uint { return uint(c & 0xFF) }

func (c code) bits() uint64 { return uint64(c >> 8) }

// huffman is a prefix code by Huffman's algorithm, numbered as RFC 1951, 3.2.2,
// has it.
type huffman struct {
	codes  [symbols]code
	sorted []uint64 // counts with their symbols
	nodes  []node
}

// node is of the tree: leaves first, in ascending order of weight, then what
// joins two nodes before it, in the same order.
type node struct {
	weight uint64
	parent int
	depth  uint
}

// make makes the code for symbols that occur so often, with most bits at most.
func (h *huffman) make(counts []uint32, most uint) {
	const symbolBits = 9
	h.sorted = h.sorted[:0]
	for symbol, n := range counts {
		if n > 0 {
			h.sorted = append(h.sorted, uint64(n)<<symbolBits|uint64(symbol))
		}
	}
	if len(h.sorted) == 1 { // a code has a bit at least, and two codes are complete
		h.sorted = append(h.sorted, 1<<symbolBits|1&^(h.sorted[0]&1))
	}
	slices.Sort(h.sorted)
	h.nodes = slices.Grow(h.nodes[:0], 2*len(h.sorted))
	for shift := 0; ; shift++ { // coarser counts make a flatter tree
		h.nodes = h.nodes[:0]
		for _, s := range h.sorted {
			h.nodes = append(h.nodes, node{weight: s>>symbolBits>>shift + 1})
		}
		if h.join() <= most {
			break
		}
	}
	h.number(counts)
}

// join makes a tree of the leaves and returns its depth.
func (h *huffman) join() uint {
	leaves := len(h.nodes)
	leaf, joint := 0, leaves
	lightest := func() int {
		if joint == len(h.nodes) || leaf < leaves && h.nodes[leaf].weight <= h.nodes[joint].weight {
			leaf++
			return leaf - 1
		}
		joint++
		return joint - 1
	}
	for range leaves - 1 {
		a := lightest()
		b := lightest()
		h.nodes[a].parent, h.nodes[b].parent = len(h.nodes), len(h.nodes)
		h.nodes = append(h.nodes, node{weight: h.nodes[a].weight + h.nodes[b].weight})
	}
	for i := len(h.nodes) - 2; i >= 0; i-- {
		h.nodes[i].depth = h.nodes[h.nodes[i].parent].depth + 1
	}
	return h.nodes[0].depth
}

// number gives codes to the symbols: shorter ones first, equal ones in the order
// of the symbols.
func (h *huffman) number(counts []uint32) {
	clear(h.codes[:])
	var have [16]uint32
	for i, s := range h.sorted {
		depth := h.nodes[i].depth
		h.codes[s&0x1FF] = code(depth) //nolint:gosec // a few bits
		have[depth]++
	}
	var next [16]uint32
	for depth := 1; depth < len(next); depth++ {
		next[depth] = (next[depth-1] + have[depth-1]) << 1
	}
	for symbol := range h.codes[:max(2, len(counts))] {
		if depth := h.codes[symbol].width(); depth > 0 {
			number := bits.Reverse32(next[depth]) >> (32 - depth)
			next[depth]++
			h.codes[symbol] |= code(number << 8)
		}
	}
}

// bits returns how many bits symbols take that occur so often, with the bits
// after lengths.
func (h *huffman) bits(counts *[symbols]uint32) int {
	sum := uint(0)
	for symbol, n := range counts {
		width := h.codes[symbol].width()
		if symbol > endOfBlock {
			width++ // of the distance
		}
		if k := symbol - (endOfBlock + 5); k >= 4 && symbol < symbols-1 {
			width += uint(k) / 4
		}
		sum += uint(n) * width
	}
	return int(sum)
}
