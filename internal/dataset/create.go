package dataset

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"windrow/internal/atomicfile"
	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/table"
)

// create makes the file at path, replacing an old one, with all of its HDF5
// structure for the rows and appendices, and opens it for content.
// The scales and the names in the manifest are written, the disk space of
// everything else is allocated and reads as zeros. Nothing is durable yet.
func create(path string, form Form, rows int64, appendices []appendix) (*canvas, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	groups := form.groups(rows, appendices)
	b := &builder{}
	if err := b.build(path, form, groups); err != nil {
		return nil, errors.Join(noSpace(err, path, Size(form)), os.Remove(path))
	}
	c, err := b.open(path, groups)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return c, nil
}

// builder makes the structure of a file. HDF5 only makes it: all values are
// written afterwards, at the places that it notes, but for those in chunks.
type builder struct {
	file      *h5.File
	places    extents // of the columns of all groups; those in chunks have none
	scales    []scale
	constants []constant // the numbers of inputs
	chunks    *chunks    // what is in chunks, nil for nothing
}

// scale is a dimension scale, whose values are 0, 1, ...
type scale struct {
	place column.Extent
	group string
	name  string
	size  int64
	d     *h5.Dataset
}

func (b *builder) build(path string, form Form, groups []group) (err error) {
	if b.file, err = h5.Create(path, h5.V108); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	return b.structure(form, groups)
}

func (b *builder) structure(form Form, groups []group) error {
	if err := setRootAttributes(b.file, form, groups); err != nil {
		return err
	}
	for _, g := range groups {
		if err := b.makeGroup(g, form.keeps()); err != nil {
			return err
		}
	}
	return b.makeInputs(form.Planned.Inputs)
}

func (b *builder) close() error {
	var errs []error
	for _, s := range b.scales {
		errs = append(errs, s.d.Close())
	}
	return errors.Join(append(errs, b.file.Close())...)
}

func setRootAttributes(f *h5.File, form Form, groups []group) error {
	p := form.Planned
	for _, a := range []struct{ name, value string }{
		{"Conventions", "CF-1.10"},
		{"title", p.Name},
		{"source", p.Source},
		{"windrow_version", form.Version},
		{"run_digest", string(form.Digest)},
		{"spec", string(p.Spec)},
		{"row_order", "ascending task index"},
	} {
		if err := f.SetString(a.name, a.value); err != nil {
			return err
		}
	}
	if len(form.Changes) > 0 {
		text, err := json.Marshal(form.Changes)
		if err != nil {
			return fmt.Errorf("encode the changes: %w", err)
		}
		if err := f.SetString("accepted_changes", string(text)); err != nil {
			return err
		}
	}
	failures := int64(0)
	for _, g := range groups {
		if g.path == failedGroup {
			failures = g.rows
		}
	}
	for _, a := range []struct {
		name  string
		value int64
	}{{"windrow_format", FormatVersion}, {"task_count", p.Tasks}, {"failed_count", failures}} {
		value := binary.LittleEndian.AppendUint64(nil, uint64(a.value)) //nolint:gosec // not negative
		if err := f.SetNumber(a.name, column.Type(table.Type{Kind: table.Int64}), value); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeGroup(g group, keeps bool) error {
	if g.path != "" {
		if err := b.file.Group(g.path); err != nil {
			return err
		}
	}
	if g.path == manifestGroup {
		rows := b.scales[0] // those of the root, which is made first
		if err := b.makeColumn(group{path: manifestGroup, rows: rows.size}, rowDigestColumn(), rows.d, keeps); err != nil {
			return err
		}
	}
	rows, err := b.scale(g, g.dim, g.rows)
	if err != nil {
		return err
	}
	for _, c := range g.columns {
		if err := b.makeColumn(g, c, rows, keeps); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeColumn(g group, c table.Column, rows *h5.Dataset, keeps bool) (err error) {
	d, place, err := b.create(g, c, g.rows, true)
	if err != nil {
		return err
	}
	if !b.inChunks(g) { // else it stays open for its content
		defer func() { err = errors.Join(err, d.Close()) }()
	}
	b.places = append(b.places, place)
	if err := d.AttachScale(0, rows); err != nil {
		return err
	}
	for i, dim := range c.Shape {
		s, err := b.scale(g, dim.Name, int64(dim.Size))
		if err != nil {
			return err
		}
		if err := d.AttachScale(1+i, s); err != nil {
			return err
		}
	}
	return setFillValue(d, g, c, keeps)
}

// inChunks tells whether what has the rows of a group is in chunks. Only those
// of the root are many.
func (b *builder) inChunks(g group) bool { return b.chunks != nil && g.path == "" }

// create makes a dataset of size entries in a group, which are the group's
// rows or not, and returns where they lie. Those in chunks lie nowhere yet.
func (b *builder) create(g group, c table.Column, size int64, rows bool) (*h5.Dataset, column.Extent, error) {
	path := g.path + "/" + c.Name
	if rows && b.inChunks(g) {
		d, err := b.chunks.create(b.file, path, c, size)
		return d, column.Extent{}, err
	}
	d, err := column.Create(b.file, path, c, size)
	if err != nil {
		return nil, column.Extent{}, err
	}
	place, err := column.ExtentOf(d, c, size)
	if err != nil {
		return nil, column.Extent{}, errors.Join(err, d.Close())
	}
	return d, place, nil
}

// setFillValue names the value that stands in kept rows of failed tasks, and
// for what a row does not have along a padded dimension.
func setFillValue(d *h5.Dataset, g group, c table.Column, keeps bool) error {
	mayLack := keeps && g.results[c.Name] || len(c.Padded) > 0
	if !mayLack || c.Type.Kind == table.String {
		return nil
	}
	block := table.NewBlock(table.Columns{{Name: c.Name, Type: c.Type}}, 1)
	row := block.Append()
	row.FillColumn(0)
	return d.SetNumbers("_FillValue", column.Type(c.Type), 1, row.Bytes(0))
}

// scale returns the dimension scale of a group, making it at its first use.
func (b *builder) scale(g group, name string, size int64) (*h5.Dataset, error) {
	for _, s := range b.scales {
		if s.group == g.path && s.name == name {
			return s.d, nil
		}
	}
	c := table.Column{Name: name, Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "index of " + name}
	d, place, err := b.create(g, c, size, name == g.dim)
	if err != nil {
		return nil, err
	}
	b.scales = append(b.scales, scale{place, g.path, name, size, d})
	return d, d.MakeScale(name)
}

// open opens the built file for content. What is the same whatever the rows
// are is written at once: the scales and the names in the manifest.
func (b *builder) open(path string, groups []group) (*canvas, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	names := len(b.places) - 2 // the manifest's columns come last: names, digests
	c := &canvas{file: file, places: append(b.places[:names:names], b.places[names+1])}
	if err := b.fill(c, groups, b.places[names]); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return c, nil
}

func (b *builder) fill(c *canvas, groups []group, names column.Extent) error {
	info, err := c.file.Stat()
	if err != nil {
		return err
	}
	c.size = info.Size()
	if err := atomicfile.Preallocate(c.file, c.size); err != nil {
		return noSpace(err, c.file.Name(), c.size)
	}
	for _, s := range b.scales {
		if err := c.count(s.place); err != nil {
			return fmt.Errorf("write scale %s: %w", s.name, err)
		}
	}
	for _, in := range b.constants {
		if err := c.write(float64Bytes(in.values...), in.place.Offset); err != nil {
			return fmt.Errorf("write %s: %w", in.path, err)
		}
	}
	if err := c.write(manifestNames(groups), names.Offset); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// count writes 0, 1, ... as int64 to all of a place.
func (c *canvas) count(place column.Extent) error {
	const most = 1 << 16
	buf := make([]byte, 0, most*8)
	for first := int64(0); first < place.Bytes/8; first += most {
		buf = buf[:0]
		for i := first; i < min(first+most, place.Bytes/8); i++ {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(i))
		}
		if err := c.write(buf, place.Offset+first*8); err != nil {
			return err
		}
	}
	return nil
}

// manifestNames returns the content of the manifest's names.
func manifestNames(groups []group) []byte {
	var text []byte
	for _, name := range append(contentNames(groups), restName) {
		var field [maxName]byte
		copy(field[:], name)
		text = append(text, field[:]...)
	}
	return text
}
