// Package column knows how a column of a table is kept in an HDF5 file, which
// shards and datasets have in common: a dataset of shape (row, Shape...),
// little-endian, with the column's unit and words as attributes. It lies in
// one piece, or in chunks of rows.
//
// Strings are fixed-length, padded with NUL; bool is int8 with the flags false
// and true, because libraries for netCDF cannot read HDF5's own booleans.
package column

import (
	"errors"
	"fmt"
	"strings"

	"windrow/internal/h5"
	"windrow/internal/table"
)

// Create makes the dataset at path in the file with room for rows rows, whose
// bytes are not written, and with the column's attributes.
func Create(f *h5.File, path string, c table.Column, rows int64) (*h5.Dataset, error) {
	d, err := f.Create(path, Type(c.Type), shape(c, rows))
	return described(d, c, err)
}

// CreateChunked does the same with chunks of chunkRows rows, deflated if level
// is not 0.
func CreateChunked(f *h5.File, path string, c table.Column, rows, chunkRows int64, level int) (*h5.Dataset, error) {
	d, err := f.CreateChunked(path, Type(c.Type), shape(c, rows), chunkRows, level)
	return described(d, c, err)
}

func described(d *h5.Dataset, c table.Column, err error) (*h5.Dataset, error) {
	if err != nil {
		return nil, err
	}
	if err := describe(d, c); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func shape(c table.Column, rows int64) []int64 {
	dims := []int64{rows}
	for _, d := range c.Shape {
		dims = append(dims, int64(d.Size))
	}
	return dims
}

// describe writes the attributes: units, long_name, description, and for
// columns with flags the values and their meanings, as the CF conventions
// have them.
func describe(d *h5.Dataset, c table.Column) error {
	for _, a := range []struct{ name, value string }{
		{"units", c.Unit}, {"long_name", c.LongName}, {"description", c.Description},
	} {
		if a.value == "" {
			continue
		}
		if err := d.SetString(a.name, a.value); err != nil {
			return err
		}
	}
	flags := c.Flags
	if c.Type.Kind == table.Bool {
		flags = []string{"false", "true"}
	}
	if len(flags) == 0 {
		return nil
	}
	if err := d.SetNumbers("flag_values", Type(c.Type), len(flags), flagValues(c.Type, len(flags))); err != nil {
		return err
	}
	return d.SetString("flag_meanings", strings.Join(flags, " "))
}

// flagValues returns 0, 1, ... n-1 as elements of type t.
func flagValues(t table.Type, n int) []byte {
	block := table.NewBlock(table.Columns{{Name: "flag", Type: t, Shape: []table.Dim{{Name: "value", Size: n}}}}, 1)
	row := block.Append()
	for i := range n {
		_ = row.Set(0, i, int64(i)) // what does not fit has no flag
	}
	return row.Bytes(0)
}

// Type returns the HDF5 type of elements of type t.
func Type(t table.Type) h5.Type {
	switch t.Kind {
	case table.Float64:
		return h5.Type{Kind: h5.Float64}
	case table.Float32:
		return h5.Type{Kind: h5.Float32}
	case table.Int64:
		return h5.Type{Kind: h5.Int64}
	case table.Int32:
		return h5.Type{Kind: h5.Int32}
	case table.Int8, table.Bool:
		return h5.Type{Kind: h5.Int8}
	case table.String:
		return h5.Type{Kind: h5.String, Len: t.Length}
	}
	panic(fmt.Sprintf("column: type of kind %d", t.Kind))
}

// Set is some columns in one group of an open file, of one length.
type Set struct {
	columns  table.Columns
	datasets []*h5.Dataset
	rows     int64
}

// ErrSchema is wrapped by Open where a file does not have the columns it
// should have. The text around it names the dataset.
var ErrSchema = errors.New("unexpected schema")

// Open opens the datasets of the columns in a group of the file, "" for the
// root. Each must have the column's type and shape, and all the same number of
// rows.
func Open(f *h5.File, group string, columns table.Columns) (*Set, error) {
	s := &Set{columns: columns, rows: -1}
	for _, c := range columns {
		if err := s.add(f, group+"/"+c.Name, c); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

func (s *Set) add(f *h5.File, path string, c table.Column) error {
	d, err := f.Dataset(path)
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrSchema)
	}
	s.datasets = append(s.datasets, d)
	if !d.Is(Type(c.Type)) {
		return fmt.Errorf("dataset %s is not of type %s: %w", path, c.Type, ErrSchema)
	}
	dims, err := d.Dims()
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrSchema)
	}
	if s.rows < 0 && len(dims) > 0 {
		s.rows = dims[0]
	}
	if want := shape(c, s.rows); fmt.Sprint(dims) != fmt.Sprint(want) {
		return fmt.Errorf("dataset %s has the shape %v, not %v: %w", path, dims, want, ErrSchema)
	}
	return nil
}

// Rows returns the number of rows.
func (s *Set) Rows() int64 { return s.rows }

// Read fills the block, which has the set's columns, with the rows first,
// first+1, ... as many as it has.
func (s *Set) Read(first int64, block *table.Block) error {
	for i, d := range s.datasets {
		if err := d.Read(first, int64(block.Len()), block.Column(i)); err != nil {
			return err
		}
	}
	return nil
}

// Extents returns where the columns lie in the file, in their order.
func (s *Set) Extents() ([]Extent, error) {
	extents := make([]Extent, len(s.datasets))
	for i, d := range s.datasets {
		var err error
		if extents[i], err = ExtentOf(d, s.columns[i], s.rows); err != nil {
			return nil, err
		}
	}
	return extents, nil
}

// ExtentOf returns where the rows of a column lie. Without rows that is
// nowhere.
func ExtentOf(d *h5.Dataset, c table.Column, rows int64) (Extent, error) {
	if rows == 0 {
		return Extent{}, nil
	}
	offset, err := d.Offset()
	return Extent{Offset: offset, Bytes: rows * int64(c.RowBytes())}, err
}

// Close releases the datasets.
func (s *Set) Close() error {
	var errs []error
	for _, d := range s.datasets {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}
