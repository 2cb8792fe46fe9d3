// Package foreign reads HDF5 files whose bytes nobody vouches for: what other
// programs wrote, and what is left of it after a crash.
//
// It opens them with libhdf5, which crashes on some damaged files and allocates
// what others say. Call it in a process that may die.
package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"windrow/internal/h5"
)

// Key are the datasets that tell which task a row of a worker's file of a wind farm
// campaign is of, Required all that such a file has.
var (
	Key      = []string{"farm_id", "farm_type", "seed"}
	Required = append(slices.Clone(Key), "layout", "aep")
)

// Checked is what was found in a sound file.
type Checked struct {
	Rows   int64
	Blank  int64 // rows with nothing but zeros, or what their datasets are filled with, beside the key
	Digest bool  // the file is held to a digest of windrow's

	Links []h5.Link // in the root, to nothing in the file; none of them is required
}

// Check reads all of the required datasets in the root of the file at path, or
// of every one there if none is required, and returns their common number of
// rows, the size of the first dimension; of a damaged file the largest that
// could be read. An error says in words what is wrong
// with the file: it does not open, a dataset is missing or cannot be read,
// lengths differ, a number with one value a row is NaN or infinite, or one of
// several is infinite; or any dataset of the root, required or not, lies where it
// cannot. NaN among several is padding.
//
// A row may be blank in a sound file too: most writers make the place of all rows
// first. It is told, and no error. Single whole numbers and texts count as a key.
func Check(path string, required []string) (found Checked, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return found, notOpened(path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	root, err := f.Members("/")
	if err != nil {
		return found, fmt.Errorf("its datasets cannot be listed: %w", inWords(err))
	}
	found.Links = root.Links
	if len(required) == 0 {
		required = root.Datasets
	}
	places, err := newPlaces(path)
	if err != nil {
		return found, err
	}
	c := checking{file: f, places: places}
	lengths := make([]int64, len(required))
	for i, name := range required {
		if err := leadsAway(root.Links, name); err != nil {
			return found, err
		}
		lengths[i], err = c.dataset(name)
		found.Rows = max(found.Rows, lengths[i])
		if err != nil {
			return found, err
		}
	}
	if len(lengths) == 0 {
		return found, errors.New("there is no dataset in it")
	}
	if slices.Min(lengths) != slices.Max(lengths) {
		var each []string
		for i, name := range required {
			each = append(each, fmt.Sprintf("%s %s", name, humanize.Comma(lengths[i])))
		}
		return found, fmt.Errorf("datasets have unequal lengths: %s", strings.Join(each, ", "))
	}
	for _, name := range root.Datasets {
		if slices.Contains(required, name) {
			continue
		}
		if err := locate(f, name, places); err != nil {
			return found, err
		}
	}
	found.Blank = c.blank.count()
	return found, places.check()
}

// leadsAway returns an error if a name is a link to nothing in the file.
func leadsAway(links []h5.Link, name string) error {
	for _, l := range links {
		if l.Name == name {
			return fmt.Errorf("dataset %s is %s", name, l)
		}
	}
	return nil
}

// inWords drops what a reader knows: which file was opened.
func inWords(err error) error {
	e, ok := errors.AsType[*h5.Error](err)
	if !ok {
		return err
	}
	return errors.New(strings.TrimPrefix(e.Error(), e.Op+" "+e.Object+": "))
}

// checking is one Check at work.
type checking struct {
	file   *h5.File
	places *places
	blank  blank
}

// dataset reads one and returns its length.
func (c *checking) dataset(name string) (rows int64, err error) {
	d, _, err := c.file.DatasetCached(name, cacheBytes)
	if errors.Is(err, h5.ErrNotFound) {
		return 0, fmt.Errorf("dataset %s is missing", name)
	}
	if err != nil {
		return 0, fmt.Errorf("dataset %s cannot be opened: %w", name, inWords(err))
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	dims, err := d.Dims()
	if err != nil {
		return 0, fmt.Errorf("the shape of dataset %s cannot be read: %w", name, inWords(err))
	}
	if len(dims) == 0 {
		return 0, fmt.Errorf("dataset %s is a single value, and has no rows", name)
	}
	if err := inFile(d); err != nil {
		return dims[0], fmt.Errorf("dataset %s: %w", name, err)
	}
	if d.Unwritten() {
		return dims[0], fmt.Errorf("dataset %s: %s rows of which nothing was written", name, humanize.Comma(dims[0]))
	}
	if err := c.places.add(name, d); err != nil {
		return dims[0], fmt.Errorf("dataset %s: %w", name, err)
	}
	if _, err := d.Any(); err != nil {
		return dims[0], fmt.Errorf("dataset %s: %w", name, inWords(err))
	}
	isResult := isResult(d, dims)
	if !d.Plain() { // variable-length text and the like: only its length is known
		c.blank.off = c.blank.off || isResult
		return dims[0], nil
	}
	judge := judgeOf(d, len(dims) == 1)
	look := func(int64, []byte) {}
	if isResult {
		fill, err := d.FillRead()
		if err != nil {
			return dims[0], fmt.Errorf("dataset %s: its fill value cannot be read: %w", name, inWords(err))
		}
		look = c.blank.look(dims[0], fill)
	}
	if err := read(d, dims, judge, look); err != nil {
		return dims[0], fmt.Errorf("dataset %s: %w", name, err)
	}
	return dims[0], nil
}

// isResult tells whether a dataset has what was computed, and is not of a key.
func isResult(d *h5.Dataset, dims []int64) bool {
	t, err := d.Any()
	return len(dims) > 1 || err == nil && (t.Kind == h5.Float64 || t.Kind == h5.Float32)
}

// locate looks at where a dataset lies, and does not read it.
func locate(f *h5.File, name string, places *places) (err error) {
	d, err := f.Dataset(name)
	if err != nil {
		return fmt.Errorf("dataset %s cannot be opened: %w", name, inWords(err))
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := places.add(name, d); err != nil {
		return fmt.Errorf("dataset %s: %w", name, err)
	}
	return nil
}

// Limits of what is read at a time, and of what a row may hold.
const (
	blockBytes  = 4 << 20
	maxRowBytes = 1 << 28
	cacheBytes  = 1 << 29 // of chunks; inflating one takes up to twice its size beside them
)

// read hands the content of a dataset to judge, block by block, which returns
// the position of an element that may not be there, or -1; and to look, with how
// many bytes a row has.
func read(d *h5.Dataset, dims []int64, judge func(block []byte) (bad int, what string), look func(rowBytes int64, block []byte)) error {
	size := int64(d.ElementBytes())
	rowBytes := max(size, 1)
	for _, n := range dims[1:] {
		if n < 0 || n > maxRowBytes || rowBytes*n > maxRowBytes {
			return fmt.Errorf("its shape %v has more than %s in a row", dims, humanize.IBytes(maxRowBytes))
		}
		rowBytes *= n
	}
	most := max(1, blockBytes/max(rowBytes, 1))
	buffer := make([]byte, min(most, max(dims[0], 1))*rowBytes)
	for first := int64(0); first < dims[0] && rowBytes > 0; first += most {
		n := min(most, dims[0]-first)
		block := buffer[:n*rowBytes]
		if err := d.Read(first, n, block); err != nil {
			return whichRows(d, first, n, err, func(first, n int64) error { return d.Read(first, n, block[:n*rowBytes]) })
		}
		if bad, what := judge(block); bad >= 0 {
			return fmt.Errorf("row %d is %s", first+int64(bad)*size/rowBytes, what)
		}
		look(rowBytes, block)
	}
	return nil
}

// whichRows says which of n rows cannot be read, and why: those of the first chunk
// that read fails for, or all where no chunk alone does.
func whichRows(d *h5.Dataset, first, n int64, why error, read func(first, n int64) error) error {
	from, to := first, first+n
	if _, chunkBytes, err := d.Filters(); err == nil && chunkBytes > 0 {
		chunks, err := d.Chunks(1)
		rows := int64(chunks.Rows) //nolint:gosec // a dimension
		for at := first; err == nil && rows > 0 && at < first+n; {
			next := min(at-at%rows+rows, first+n)
			if failed := read(at, next-at); failed != nil {
				from, to, why = at, next, failed
				break
			}
			at = next
		}
	}
	return fmt.Errorf("rows %d to %d cannot be read: %w", from, to-1, inWords(why))
}

// judgeOf returns what tells whether the elements of the dataset may be there.
func judgeOf(d *h5.Dataset, scalar bool) func(block []byte) (bad int, what string) {
	var number func([]byte) float64
	var size int
	switch {
	case d.Is(h5.Type{Kind: h5.Float64}):
		size, number = 8, func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
	case d.Is(h5.Type{Kind: h5.Float32}):
		size, number = 4, func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }
	default:
		return func([]byte) (int, string) { return -1, "" }
	}
	return func(block []byte) (int, string) {
		for i := 0; i < len(block); i += size {
			switch x := number(block[i:]); {
			case math.IsInf(x, 0):
				return i / size, "infinite"
			case scalar && math.IsNaN(x):
				return i / size, "NaN"
			}
		}
		return -1, ""
	}
}
