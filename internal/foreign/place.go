package foreign

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"slices"

	"windrow/internal/h5"
)

// mostChunks is of how many chunks of a dataset the places are looked at.
const mostChunks = 4096

// place is where something of a dataset lies in its file.
type place struct {
	dataset      string
	address, end uint64
	row          uint64 // the first that is there
}

// places are those of all that was looked at in a file.
type places struct {
	size  uint64 // of the file
	found []place
}

func newPlaces(path string) (*places, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &places{size: uint64(info.Size())}, nil //nolint:gosec // a size is not negative
}

// add looks at where a dataset lies, before libhdf5 reads it: a chunk of less
// bytes than its checksum has makes it crash, and one that seems to have skipped
// its filters is read as it is, without an error.
func (p *places) add(name string, d *h5.Dataset, dims []int64) error {
	filters, chunkBytes, err := d.Filters()
	if err != nil {
		return fmt.Errorf("its filters cannot be read: %w", inWords(err))
	}
	if chunkBytes == 0 {
		p.addPiece(name, d, dims)
		return nil
	}
	chunks, err := d.Chunks(mostChunks)
	if err != nil {
		return fmt.Errorf("its chunks cannot be found: %w", inWords(err))
	}
	seen := map[uint64]bool{}
	for _, c := range chunks.All {
		err := p.judge(c, filters, rawBytes(d, chunkBytes))
		if err == nil && seen[c.Number] {
			err = errors.New("it is there twice")
		}
		if err != nil {
			return fmt.Errorf("the chunk of row %d: %w", c.First, err)
		}
		seen[c.Number] = true
		p.found = append(p.found, place{name, c.Address, c.Address + c.Bytes, c.First})
	}
	return nil
}

// wary returns an error if one of n rows of a damaged file, which perhaps nobody
// has closed, lies beyond the end of the file, or is in a chunk that is not there,
// that add would not have, or that lies on top of another.
func (p *places) wary(d *h5.Dataset, unclosed bool, first, n int64) error {
	filters, chunkBytes, err := d.Filters()
	if err != nil {
		return err
	}
	if chunkBytes == 0 {
		return p.within(d, first+n)
	}
	chunks, err := d.Chunks(mostChunks)
	if err != nil {
		return err
	}
	switch {
	case chunks.Stored > mostChunks && unclosed: // whose end is missing
		return fmt.Errorf("its %d chunks are too many to look at each", chunks.Stored)
	case chunks.Stored > mostChunks:
		return nil
	}
	sound := map[uint64]uint64{} // how many there are of the same rows
	seen := map[uint64]bool{}
	for _, c := range chunks.All {
		if p.judge(c, filters, rawBytes(d, chunkBytes)) == nil && !seen[c.Number] {
			sound[c.First/chunks.Rows]++
		} else {
			sound[c.First/chunks.Rows] = 0
		}
		seen[c.Number] = true
		p.found = append(p.found, place{"", c.Address, c.Address + c.Bytes, c.First})
	}
	for _, both := range p.overlaps() {
		delete(sound, both[0].row/chunks.Rows)
		delete(sound, both[1].row/chunks.Rows)
	}
	for at := uint64(first) / chunks.Rows; at*chunks.Rows < uint64(first+n); at++ { //nolint:gosec // not negative
		if sound[at] != chunks.Across {
			return fmt.Errorf("the chunk of row %d is not there, or not what it should be", at*chunks.Rows)
		}
	}
	return nil
}

// within returns an error if the first rows of a dataset that is in one piece are
// not all within the file.
func (p *places) within(d *h5.Dataset, rows int64) error {
	at, err := d.Offset()
	if err != nil { // it has no place of its own
		return nil //nolint:nilerr // as the values of the smallest datasets, which are in the metadata
	}
	dims, err := d.Dims()
	if err != nil {
		return err
	}
	size := uint64(max(0, d.ElementBytes()))
	if !d.Plain() {
		size = max(size, referenceBytes)
	}
	for _, n := range append([]int64{rows}, dims[min(1, len(dims)):]...) {
		high, low := bits.Mul64(size, uint64(max(0, n)))
		if high > 0 {
			return errBeyond
		}
		size = low
	}
	if uint64(at) > p.size || size > p.size-uint64(at) { //nolint:gosec // not negative
		return errBeyond
	}
	return nil
}

// referenceBytes is the size in a file of a reference to text of any length.
const referenceBytes = 16

var errBeyond = errors.New("it lies beyond the end of the file")

// addPiece adds a dataset that is in one piece, if it has a place of its own.
func (p *places) addPiece(name string, d *h5.Dataset, dims []int64) {
	bytes := uint64(max(0, d.ElementBytes()))
	for _, n := range dims {
		if n > 0 && bytes > math.MaxInt64/uint64(n) {
			return
		}
		bytes *= uint64(max(0, n))
	}
	if at, err := d.Offset(); err == nil && bytes > 0 {
		p.found = append(p.found, place{name, uint64(at), uint64(at) + bytes, 0}) //nolint:gosec // not negative
	}
}

func (p *places) judge(c h5.Chunk, filters []h5.Filter, raw uint64) error {
	if c.Number == h5.NoChunk {
		return errors.New("the dataset has no such chunk")
	}
	if c.Address > p.size || c.Bytes > p.size-c.Address {
		return errBeyond
	}
	return judgeChunk(c, filters, raw)
}

// rawBytes returns the bytes of a chunk before all filters, 0 where libhdf5 does
// not tell: of references to text of any length it knows the size in memory.
func rawBytes(d *h5.Dataset, chunkBytes int64) uint64 {
	if !d.Plain() {
		return 0
	}
	return uint64(chunkBytes) //nolint:gosec // not negative
}

// judgeChunk tells whether a library can have stored such a chunk. Those that do
// not apply a filter say so where it is of no use: what is deflated is smaller.
func judgeChunk(c h5.Chunk, filters []h5.Filter, raw uint64) error {
	packed, unshuffled, sums := false, false, uint64(0)
	for i, f := range filters {
		skipped := c.Skipped&(1<<i) != 0
		switch {
		case skipped && !f.Optional:
			return fmt.Errorf("it seems to have skipped filter %d, which may not be skipped", f.ID)
		case f.ID == h5.Fletcher32 && !skipped:
			sums += 4
		case f.ID == h5.Shuffle:
			unshuffled = skipped
		case !skipped:
			packed = true
		}
	}
	switch {
	case packed && unshuffled:
		return errors.New("it seems not to be shuffled")
	case packed && c.Bytes <= sums, !packed && raw > 0 && c.Bytes != raw+sums:
		return fmt.Errorf("it has %d bytes", c.Bytes)
	}
	return nil
}

// overlaps returns what lies on top of each other.
func (p *places) overlaps() (pairs [][2]place) {
	slices.SortFunc(p.found, func(a, b place) int { return cmp.Compare(a.address, b.address) })
	for i := 1; i < len(p.found); i++ {
		if before, next := p.found[i-1], p.found[i]; next.address < before.end {
			pairs = append(pairs, [2]place{before, next})
		}
	}
	return pairs
}

// check returns an error if two pieces lie on top of each other.
func (p *places) check() error {
	pairs := p.overlaps()
	switch {
	case len(pairs) == 0:
		return nil
	case pairs[0][0].dataset == pairs[0][1].dataset:
		return fmt.Errorf("dataset %s: two chunks lie on top of each other", pairs[0][0].dataset)
	}
	return fmt.Errorf("datasets %s and %s lie on top of each other", pairs[0][0].dataset, pairs[0][1].dataset)
}
