package foreign

import (
	"errors"
	"fmt"
	"math/bits"
	"os"

	"windrow/internal/h5"
)

// survey is where the datasets of a damaged file lie, which perhaps nobody has
// closed, and which of their rows may be read for that.
type survey struct {
	path     string
	file     os.FileInfo
	unclosed bool
	size     uint64 // of the file
	datasets map[string]*surveyed
}

type surveyed struct {
	err    error             // why nothing of it may be read
	chunks h5.Chunks         // none: it is in one piece
	sound  map[uint64]uint64 // how many chunks that begin with a row may be read
}

// newSurvey looks at all of the datasets. Of one that cannot be looked at nothing
// may be read; the others are looked at without it.
func newSurvey(f *h5.File, path string, unclosed bool, names []string) (*survey, error) {
	places, err := newPlaces(path)
	if err != nil {
		return nil, err
	}
	s := &survey{path: path, unclosed: unclosed, size: places.size, datasets: map[string]*surveyed{}}
	if s.file, err = os.Stat(path); err != nil {
		return nil, err
	}
	for _, name := range names {
		if s.datasets[name] == nil {
			s.add(f, name, places)
		}
	}
	for _, pair := range places.overlaps() {
		s.refuse(pair[0], pair[1])
		s.refuse(pair[1], pair[0])
	}
	return s, nil
}

func (s *survey) add(f *h5.File, name string, places *places) {
	about := &surveyed{sound: map[uint64]uint64{}}
	s.datasets[name] = about
	d, err := f.Dataset(name)
	if err != nil {
		about.err = err
		return
	}
	defer d.Close() //nolint:errcheck // it was only looked at
	if d.Unwritten() {
		about.err = errors.New("nothing of it was written")
		return
	}
	other, known, err := places.addHeader(name, d)
	switch {
	case err != nil:
		about.err = err
	case known:
		s.datasets[name] = s.datasets[other]
	default:
		var wrong []uint64
		about.chunks, about.err = places.addValues(name, d, func(c h5.Chunk, err error) error {
			about.sound[c.First]++
			if err != nil {
				wrong = append(wrong, c.First)
			}
			return nil
		})
		for _, first := range wrong {
			delete(about.sound, first)
		}
	}
}

// refuse keeps from being read what lies on top of something else: one of them is
// elsewhere, and nobody knows which.
func (s *survey) refuse(p, other place) {
	switch about := s.datasets[p.dataset]; p.what {
	case header: // it was read from there
	case piece:
		about.err = fmt.Errorf("it lies on top of dataset %s", other.dataset)
	case chunk:
		delete(about.sound, p.row)
	}
}

// covers tells whether this is the survey of a file as it is, and of a dataset.
func (s *survey) covers(path, name string, unclosed bool) bool {
	if s == nil || s.path != path || s.unclosed != unclosed || s.datasets[name] == nil {
		return false
	}
	return unchanged(path, s.file)
}

// allows returns an error if one of n rows of a dataset lies beyond the end of the
// file, or in a chunk that is not there, that no library can have stored, or that
// lies on top of something else; or if the dataset does.
func (s *survey) allows(name string, d *h5.Dataset, first, n int64) error {
	about := s.datasets[name]
	switch {
	case about.err != nil:
		return about.err
	case about.chunks.Rows == 0:
		return within(d, first+n, s.size)
	case about.chunks.Stored > mostChunks && s.unclosed: // whose end is missing
		return fmt.Errorf("its %d chunks are too many to look at each", about.chunks.Stored)
	case about.chunks.Stored > mostChunks:
		return nil
	}
	rows := about.chunks.Rows
	for at := uint64(first) / rows * rows; at < uint64(first+n); at += rows { //nolint:gosec // not negative
		if about.sound[at] != about.chunks.Across {
			return fmt.Errorf("the chunk of row %d is not there, or not what it should be", at)
		}
	}
	return nil
}

// within returns an error if the first rows of a dataset that is in one piece are
// not all within the file.
func within(d *h5.Dataset, rows int64, fileBytes uint64) error {
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
	if uint64(at) > fileBytes || size > fileBytes-uint64(at) { //nolint:gosec // not negative
		return errBeyond
	}
	return nil
}

// referenceBytes is the size in a file of a reference to text of any length.
const referenceBytes = 16
