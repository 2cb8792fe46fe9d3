package foreign

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"windrow/internal/h5"
)

// mostChunks is of how many chunks of a dataset the places are looked at.
const mostChunks = 4096

// place is where something of a dataset lies in its file.
type place struct {
	dataset      string
	what         part
	address, end uint64
	row          uint64 // of a chunk: the first
}

// part is what of a dataset lies at a place.
type part int

const (
	header part = iota
	piece       // all of its values
	chunk
)

// places are those of all that was looked at in a file.
type places struct {
	size  uint64 // of the file
	found []place
	names map[uint64]string // of the dataset whose header is at an address
}

func newPlaces(path string) (*places, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return &places{size: uint64(info.Size()), names: map[uint64]string{}}, nil //nolint:gosec // a size is not negative
}

// add looks at where a dataset lies, before libhdf5 reads it: a chunk of less
// bytes than its checksum has makes it crash, and one that seems to have skipped
// its filters is read as it is, without an error.
func (p *places) add(name string, d *h5.Dataset) error {
	if _, known, err := p.addHeader(name, d); err != nil || known {
		return err
	}
	_, err := p.addValues(name, d, func(c h5.Chunk, err error) error {
		if err != nil {
			return fmt.Errorf("the chunk of row %d: %w", c.First, err)
		}
		return nil
	})
	return err
}

// addHeader adds the header of a dataset. If it was there before under another
// name, that name is returned.
func (p *places) addHeader(name string, d *h5.Dataset) (other string, known bool, err error) {
	h, err := d.Header()
	if err != nil {
		return "", false, fmt.Errorf("its header cannot be found: %w", inWords(err))
	}
	if other, known = p.names[h.Address]; !known {
		p.names[h.Address] = name
		p.found = append(p.found, place{name, header, h.Address, h.Address + h.Bytes, 0})
	}
	return other, known, nil
}

// addValues adds where the values of a dataset lie, and returns its chunks; the
// zero Chunks: it has none. Each is told of every chunk that is looked at, and of
// what is wrong with it. A chunk that is wrong is not added: where it lies says
// nothing about others.
func (p *places) addValues(name string, d *h5.Dataset, each func(h5.Chunk, error) error) (h5.Chunks, error) {
	filters, chunkBytes, err := d.Filters()
	if err != nil {
		return h5.Chunks{}, fmt.Errorf("its filters cannot be read: %w", inWords(err))
	}
	if chunkBytes == 0 {
		return h5.Chunks{}, p.addPiece(name, d)
	}
	chunks, err := d.Chunks(mostChunks)
	if err != nil {
		return chunks, fmt.Errorf("its chunks cannot be found: %w", inWords(err))
	}
	if err := have(filters); err != nil && chunks.Stored > 0 {
		return chunks, err
	}
	seen := map[uint64]bool{}
	for _, c := range chunks.All {
		err := p.judge(c, filters, rawBytes(d, chunkBytes))
		if err == nil && seen[c.Number] {
			err = errors.New("it is there twice")
		}
		seen[c.Number] = true
		if err == nil {
			p.found = append(p.found, place{name, chunk, c.Address, c.Address + c.Bytes, c.First})
		}
		if err := each(c, err); err != nil {
			return chunks, err
		}
	}
	return chunks, nil
}

// have returns an error if libhdf5 lacks one of the filters.
func have(filters []h5.Filter) error {
	for _, f := range filters {
		if !f.Missing {
			continue
		}
		which := strconv.Itoa(f.ID)
		if name := FilterName(f); name != unknownFilter(f) {
			which += " (" + name + ")"
		}
		return unread("it is compressed with filter " + which + ", which this HDF5 library does not have; h5repack -f GZIP=1 IN OUT, where it is there")
	}
	return nil
}

// inFile returns an error if the values of a dataset are in other files, which a
// file may name as it likes: libhdf5 would open them.
func inFile(d *h5.Dataset) error {
	switch s, err := d.Storage(); {
	case err != nil:
		return fmt.Errorf("its layout cannot be read: %w", inWords(err))
	case s.Layout == h5.Virtual:
		return unread("it is virtual, its values are in other datasets, which are not followed; give the files that they are in, or copy it with h5py")
	case s.Outside:
		return unread("its values are in files of their own, which are not followed; copy it with h5py")
	}
	return nil
}

// FilterName names a filter, with its level; one that windrow does not know has its
// number.
func FilterName(f h5.Filter) string {
	switch name := filterNames[f.ID]; {
	case name == "":
		return unknownFilter(f)
	case f.ID == h5.Deflate:
		return fmt.Sprintf("%s %d", name, f.Level)
	default:
		return name
	}
}

func unknownFilter(f h5.Filter) string { return fmt.Sprintf("filter %d", f.ID) }

// filterNames are those of HDF5 itself, and of others as the HDF Group has
// registered them.
var filterNames = map[int]string{
	h5.Deflate: "gzip", h5.Shuffle: "shuffle", h5.Fletcher32: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32026: "blosc2",
}

var (
	errBeyond   = errors.New("it lies beyond the end of the file")
	errOnHeader = errors.New("it lies on top of the file's own header")
)

// leastHeader is how many bytes of its own an HDF5 file begins with, at least. What
// seems to lie there has lost its address to zeros, which libhdf5 takes for values
// that nobody wrote, without an error.
const leastHeader = 48

// addPiece adds the values of a dataset that is in one piece, if they have a place
// of their own.
func (p *places) addPiece(name string, d *h5.Dataset) error {
	dims, err := d.Dims()
	if err != nil {
		return fmt.Errorf("its shape cannot be read: %w", inWords(err))
	}
	bytes := uint64(max(0, d.ElementBytes()))
	for _, n := range dims {
		if n > 0 && bytes > math.MaxInt64/uint64(n) {
			return nil
		}
		bytes *= uint64(max(0, n))
	}
	if at, err := d.Offset(); err == nil && bytes > 0 {
		if at < leastHeader {
			return errOnHeader
		}
		p.found = append(p.found, place{name, piece, uint64(at), uint64(at) + bytes, 0})
	}
	return nil
}

func (p *places) judge(c h5.Chunk, filters []h5.Filter, raw uint64) error {
	if c.Number == h5.NoChunk {
		return errors.New("the dataset has no such chunk")
	}
	if c.Address < leastHeader {
		return errOnHeader
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

// overlaps returns pairs of what lies on top of each other. Each piece that lies
// on another one is in a pair.
func (p *places) overlaps() (pairs [][2]place) {
	slices.SortFunc(p.found, func(a, b place) int { return cmp.Compare(a.address, b.address) })
	var furthest place
	for _, next := range p.found {
		if next.address < furthest.end {
			pairs = append(pairs, [2]place{furthest, next})
		}
		if next.end > furthest.end {
			furthest = next
		}
	}
	return pairs
}

// check returns an error if two pieces lie on top of each other.
func (p *places) check() error {
	pairs := p.overlaps()
	if len(pairs) == 0 {
		return nil
	}
	a, b := pairs[0][0], pairs[0][1]
	switch {
	case a.dataset != b.dataset:
		return fmt.Errorf("datasets %s and %s lie on top of each other", a.dataset, b.dataset)
	case a.what != b.what:
		return fmt.Errorf("dataset %s lies on top of its own header", a.dataset)
	}
	return fmt.Errorf("dataset %s: two chunks lie on top of each other", a.dataset)
}
