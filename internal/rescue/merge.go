package rescue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/zeebo/xxh3"

	"windrow/internal/atomicfile"
	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
)

// Options of a merge.
type Options struct {
	Output  string
	Key     []string // columns that identify a row; none: all rows are taken
	Sort    bool     // by the key
	Varying bool     // texts of any length stay so
	Common  bool     // leave out the datasets that not all files have
	Require []string // datasets that are never left out; nor are those of the key
	Source  string   // says in the output how it was made
	Storage message.Storage
	Level   int // of gzip
}

// Report is what a merge did.
type Report struct {
	Rows       int64
	Padded     []string // columns that were padded, with their shape
	Converted  []string // columns whose type is not that of all files, with the type
	Left       []string // datasets and groups that were left out
	Attributes []string // that were left out: not all files have them
	Duplicates int64
	Duplicate  string // the first of them, with both places
	Conflicts  int64  // duplicates with other values
	Conflict   string // the first of them
}

// SourceError says which file failed while its rows were copied.
type SourceError struct {
	Source *Source
	Err    error
}

func (e *SourceError) Error() string { return e.Source.Path + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the file.
func (e *SourceError) Unwrap() error { return e.Err }

// ErrVerify says that the merged file could not be read back as it was written.
var ErrVerify = errors.New("the merged file is not what was written")

// Merge writes the rows of all sources to one file, which gets its name only
// when it is complete, synced and read back. Rows stand in the order of the
// files, or of the key. If a file fails on the way, the error is a
// *SourceError, and nothing was written.
//
// Memory grows with the rows by a digest each, and with a key by that.
func Merge(ctx context.Context, r *foreign.Reader, sources []*Source, o Options) (report Report, err error) {
	s, err := unify(sources, o)
	if err != nil {
		return report, err
	}
	report.Padded, report.Converted, report.Left, report.Attributes = s.padded, s.converted, s.left, s.lost()
	m := &merge{reader: r, sources: sources, options: o, schema: s, report: &report}
	if err := m.order(ctx); err != nil {
		return report, err
	}
	temporary, err := freeName(o.Output)
	if err != nil {
		return report, err
	}
	packed := temporary + ".packed"
	for _, path := range []string{temporary, packed} {
		defer func() {
			if err != nil {
				_ = os.Remove(path) // the first error counts
			}
		}()
	}
	if err := m.write(ctx, temporary); err != nil {
		return report, err
	}
	if o.Storage != message.Contiguous {
		if err := m.pack(ctx, temporary, packed); err != nil {
			return report, err
		}
		if err := os.Rename(packed, temporary); err != nil {
			return report, err
		}
	}
	if err := atomicfile.Sync(temporary); err != nil {
		return report, err
	}
	if err := m.verify(ctx, temporary); err != nil {
		return report, err
	}
	return report, atomicfile.Commit(temporary, o.Output)
}

// freeName returns the name of a file beside another that nobody has.
func freeName(beside string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(beside), filepath.Base(beside)+".merge-*.tmp")
	if err != nil {
		return "", err
	}
	return f.Name(), errors.Join(f.Close(), os.Remove(f.Name()))
}

// merge is one at work.
type merge struct {
	reader  *foreign.Reader
	sources []*Source
	options Options
	schema  schema
	report  *Report
	places  []int64  // where each row of the sources goes, -1-i if it is duplicate i; nil: one after another
	sums    []uint64 // of each row written, over its columns

	duplicates []duplicate
}

// order decides which rows are taken, and in which order.
func (m *merge) order(ctx context.Context) error {
	for _, s := range m.sources {
		m.report.Rows += s.Rows
	}
	if len(m.options.Key) == 0 {
		return nil
	}
	seen, keys, offsets := NewSeen(), []sortable(nil), []int64(nil)
	for i, s := range m.sources {
		offset := int64(len(m.places))
		offsets = append(offsets, offset)
		m.places = append(m.places, make([]int64, s.Rows)...)
		err := s.Keys(ctx, m.reader, m.options.Key, func(row int64, k Key, show func() string) {
			before, beforeRow, twice := seen.Add(k, i, row)
			if twice {
				m.leaveOut(offset+row, offsets[before]+beforeRow)
				if m.report.Duplicates++; m.report.Duplicates == 1 {
					m.report.Duplicate = fmt.Sprintf("%s, row %d of %s and row %d of %s", show(), beforeRow, m.sources[before].Path, row, s.Path)
				}
			} else if m.options.Sort {
				keys = append(keys, sortable{slices.Clone(k), offset + row})
			}
		})
		if err != nil {
			return inSource(s, err)
		}
	}
	m.report.Rows -= m.report.Duplicates
	slices.SortFunc(keys, func(a, b sortable) int { return bytes.Compare(a.key, b.key) })
	for at, k := range keys {
		m.places[k.row] = int64(at)
	}
	if !m.options.Sort {
		at := int64(0)
		for i, p := range m.places {
			if p >= 0 {
				m.places[i] = at
				at++
			}
		}
	}
	return nil
}

type sortable struct {
	key Key
	row int64
}

// inSource says that it was a source, if it was.
func inSource(s *Source, err error) error {
	if _, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return &SourceError{s, err}
	}
	return err
}

// write makes the file with all rows.
func (m *merge) write(ctx context.Context, path string) (err error) {
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := m.copyAttributes(f); err != nil {
		return err
	}
	m.sums = make([]uint64, m.report.Rows)
	for _, c := range m.schema.columns {
		if err := m.writeColumn(ctx, f, c); err != nil {
			return err
		}
		m.compareDuplicates(c.Name)
	}
	return m.nameConflict(ctx)
}

func (m *merge) copyAttributes(f *h5.File) error {
	if err := f.SetString("source", m.options.Source); err != nil {
		return err
	}
	return m.schema.attributes.copyTo(f)
}

// stored returns the type of the column in the merged file.
func (m *merge) stored(c Column) h5.Type {
	if c.Varying && m.options.Varying {
		return h5.Type{Kind: h5.VarText}
	}
	return c.Type
}

func (m *merge) writeColumn(ctx context.Context, f *h5.File, c Column) (err error) {
	d, err := f.Create(c.Name, m.stored(c), append([]int64{m.report.Rows}, c.Shape...))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := m.schema.of[c.Name].copyTo(d); err != nil {
		return err
	}
	write := func(at, n int64, rows []byte) error { return m.writeRows(d, c, at, n, rows) }
	var sorted []byte
	if size := m.report.Rows * c.rowBytes(); m.options.Sort && size <= maxSortedBytes {
		sorted = make([]byte, size)
		write = func(at, n int64, rows []byte) error {
			if have := copy(sorted[at*c.rowBytes():], rows); int64(have) != n*c.rowBytes() {
				return fmt.Errorf("place %d rows at %d: only %d bytes fit", n, at, have)
			}
			return nil
		}
	}
	offset := int64(0)
	for _, s := range m.sources {
		from := s.Column(c.Name)
		for first, n := range blocks(s.Rows, max(c.rowBytes(), from.rowBytes())) {
			rows, err := s.read(ctx, m.reader, from, first, n)
			if err != nil {
				return inSource(s, err)
			}
			if err := m.put(c, offset+first, n, c.place(from, n, rows), write); err != nil {
				return err
			}
		}
		offset += s.Rows
	}
	if sorted == nil {
		return nil
	}
	for first, n := range blocks(m.report.Rows, c.rowBytes()) {
		if err := m.writeRows(d, c, first, n, sorted[first*c.rowBytes():(first+n)*c.rowBytes()]); err != nil {
			return err
		}
	}
	return nil
}

// maxSortedBytes is how large a column may be that is put in order in memory.
// Writing a larger one row by row takes some 30 us each.
const maxSortedBytes = 32 << 20

// put writes n rows, the first of which is row first of all sources, where
// they belong: as many at once as stand together.
func (m *merge) put(c Column, first, n int64, rows []byte, write func(at, n int64, rows []byte) error) error {
	size := c.rowBytes()
	for i := int64(0); i < n; {
		at := m.place(first + i)
		run := int64(1)
		for i+run < n && at >= 0 && m.place(first+i+run) == at+run {
			run++
		}
		if at >= 0 {
			part := rows[i*size : (i+run)*size]
			m.sum(at, run, part)
			if err := write(at, run, part); err != nil {
				return err
			}
		} else {
			d := &m.duplicates[-1-at]
			d.sum = xxh3.HashSeed(rows[i*size:(i+1)*size], d.sum)
		}
		i += run
	}
	return nil
}

func (m *merge) place(row int64) int64 {
	if m.places == nil {
		return row
	}
	return m.places[row]
}

// sum takes a column of rows into their digests.
func (m *merge) sum(at, n int64, rows []byte) {
	size := int64(len(rows)) / n
	for i := range n {
		m.sums[at+i] = xxh3.HashSeed(rows[i*size:(i+1)*size], m.sums[at+i])
	}
}

func (m *merge) writeRows(d *h5.Dataset, c Column, at, n int64, rows []byte) error {
	if m.stored(c).Kind != h5.VarText {
		return d.Write(at, n, rows)
	}
	var texts [][]byte
	for text := range slices.Chunk(rows, c.Type.Len) {
		texts = append(texts, bytes.TrimRight(text, "\x00"))
	}
	return d.WriteText(at, n, texts)
}

// verify reads the file back through a fresh open. The error is ErrVerify,
// unless ctx has ended: then nothing is known of the file.
func (m *merge) verify(ctx context.Context, path string) error {
	err := m.compare(ctx, path)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrVerify, err)
}

// compare reads all rows and compares their digests with those of what was
// written.
func (m *merge) compare(ctx context.Context, path string) (err error) {
	f, err := h5.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	want := m.sums
	m.sums = make([]uint64, len(want))
	for _, c := range m.schema.columns {
		if err := m.readBack(ctx, f, c); err != nil {
			return err
		}
	}
	for i, sum := range want {
		if m.sums[i] != sum {
			return fmt.Errorf("row %d differs", i)
		}
	}
	return nil
}

func (m *merge) readBack(ctx context.Context, f *h5.File, c Column) (err error) {
	d, err := f.Dataset(c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for first, n := range blocks(m.report.Rows, c.rowBytes()) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rows := make([]byte, n*c.rowBytes())
		if m.stored(c).Kind == h5.VarText {
			texts, err := d.ReadText(first, n)
			if err != nil {
				return err
			}
			for i, text := range texts {
				copy(rows[i*c.Type.Len:(i+1)*c.Type.Len], text)
			}
		} else if err := d.ReadAny(first, n, rows); err != nil {
			return err
		}
		m.sum(first, n, rows)
	}
	return nil
}
