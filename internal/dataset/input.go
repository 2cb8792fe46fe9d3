package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// constant is a dataset whose values are known when the file is made.
type constant struct {
	place  column.Extent
	path   string
	values []float64
}

// makeInputs makes the groups of what the run computes with. Their values are
// covered by the manifest's entry for the rest of the file.
func (b *builder) makeInputs(inputs []message.Input) error {
	made := map[string]bool{}
	for _, in := range inputs {
		path := ""
		for part := range strings.SplitSeq(in.Path, "/") {
			path = strings.TrimPrefix(path+"/"+part, "/")
			if made[path] {
				continue
			}
			if err := b.file.Group(path); err != nil {
				return err
			}
			made[path] = true
		}
		if err := b.makeInput(in); err != nil {
			return fmt.Errorf("make group %s: %w", in.Path, err)
		}
	}
	return nil
}

func (b *builder) makeInput(in message.Input) (err error) {
	for _, a := range in.Attributes {
		if a.Number == nil {
			err = b.file.SetStringOf(in.Path, a.Name, a.Text)
		} else {
			err = b.file.SetNumberOf(in.Path, a.Name, h5.Type{Kind: h5.Float64}, float64Bytes(*a.Number))
		}
		if err != nil {
			return err
		}
	}
	scales, sizes := map[string]*h5.Dataset{}, map[string]int{}
	defer func() {
		for _, s := range scales {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, n := range in.Variables {
		if n.IsDimension() {
			sizes[n.Name] = len(n.Values)
		}
		d, err := b.makeNumbers(in.Path, n, sizes)
		if err != nil {
			return err
		}
		if n.IsDimension() {
			scales[n.Name] = d
			if err := d.MakeScale(n.Name); err != nil {
				return err
			}
			continue
		}
		for i, dim := range n.Dims {
			err = errors.Join(err, d.AttachScale(i, scales[dim]))
		}
		if err := errors.Join(err, d.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) makeNumbers(group string, n message.Numbers, sizes map[string]int) (*h5.Dataset, error) {
	c := table.Column{Name: n.Name, Type: table.Type{Kind: table.Float64}, Unit: n.Unit, LongName: n.LongName}
	for _, dim := range n.Dims[1:] {
		c.Shape = append(c.Shape, table.Dim{Name: dim, Size: sizes[dim]})
	}
	rows, path := int64(sizes[n.Dims[0]]), group+"/"+n.Name
	d, err := column.Create(b.file, path, c, rows)
	if err != nil {
		return nil, err
	}
	place, err := column.ExtentOf(d, c, rows)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	b.constants = append(b.constants, constant{place, path, n.Values})
	return d, nil
}

func float64Bytes(values ...float64) []byte {
	bytes, _ := binary.Append(nil, binary.LittleEndian, values) // numbers have a size
	return bytes
}
