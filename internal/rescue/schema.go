package rescue

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"windrow/internal/h5"
)

// ConflictError says why two files cannot be one, naming both.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }

func conflict(format string, args ...any) error {
	return &ConflictError{fmt.Sprintf(format, args...)}
}

// schema is what the merged file has.
type schema struct {
	columns    []Column
	attributes []h5.Attribute
	padded     []string // columns that differ in shape, as they are reported
	left       []string // columns that are not in the merged file
}

// unify returns the columns that hold the rows of all files. Where common is
// false, every file must have the same ones.
func unify(sources []*Source, common bool) (schema, error) {
	first := sources[0]
	s := schema{attributes: first.Attributes}
	for _, source := range sources {
		for _, d := range source.others {
			if d.Type.Kind == 0 && len(d.Shape) > 0 && d.Shape[0] == source.Rows && !common {
				return schema{}, conflict("dataset %s of %s is neither numbers nor text", d.Name, source.Path)
			}
			if !slices.Contains(s.left, d.Name) {
				s.left = append(s.left, d.Name)
			}
		}
	}
	for _, c := range first.Columns {
		u, err := unifyColumn(c, sources)
		if err != nil && !common {
			return schema{}, err
		}
		if err != nil {
			if !slices.Contains(s.left, c.Name) {
				s.left = append(s.left, c.Name)
			}
			continue
		}
		if !slices.Equal(u.Shape, c.Shape) || anyOther(sources, u) {
			s.padded = append(s.padded, fmt.Sprintf("%s to %s", u.Name, strings.ReplaceAll(fmt.Sprint(u.Shape), " ", "x")))
		}
		s.columns = append(s.columns, u)
	}
	for _, other := range sources[1:] {
		for _, c := range other.Columns {
			if first.Column(c.Name) != nil || slices.Contains(s.left, c.Name) {
				continue
			}
			if !common {
				return schema{}, conflict("dataset %s is in %s, but not in %s", c.Name, other.Path, first.Path)
			}
			s.left = append(s.left, c.Name)
		}
		s.attributes = shared(s.attributes, other.Attributes)
	}
	if len(s.columns) == 0 {
		return schema{}, conflict("%s has no dataset in common with the others", first.Path)
	}
	return s, nil
}

func anyOther(sources []*Source, u Column) bool {
	return slices.ContainsFunc(sources, func(s *Source) bool { return !slices.Equal(s.Column(u.Name).Shape, u.Shape) })
}

// unifyColumn returns the column that holds one of every file.
func unifyColumn(c Column, sources []*Source) (Column, error) {
	u, first := c, sources[0]
	u.Shape = slices.Clone(c.Shape)
	for _, s := range sources[1:] {
		o := s.Column(c.Name)
		if o == nil {
			return u, conflict("dataset %s is in %s, but not in %s", c.Name, first.Path, s.Path)
		}
		differ := conflict("dataset %s is %s in %s and %s in %s", c.Name, c.describe(), first.Path, o.describe(), s.Path)
		switch {
		case isText(u.Type) && isText(o.Type):
			u.Type.Len = max(u.Type.Len, o.Type.Len)
			u.Varying = u.Varying || o.Varying
			if o.Type.Kind == h5.Text {
				u.Type.Kind = h5.Text
			}
		case u.Type != o.Type:
			return u, differ
		}
		if len(u.Shape) != len(o.Shape) {
			return u, differ
		}
		for i, dim := range o.Shape {
			if dim != u.Shape[i] && !isFloat(u.Type) { // nothing stands for a number that is not there
				return u, differ
			}
			u.Shape[i] = max(u.Shape[i], dim)
		}
		u.Attributes = shared(u.Attributes, o.Attributes)
	}
	return u, nil
}

// shared returns the attributes that are the same in both.
func shared(a, b []h5.Attribute) (both []h5.Attribute) {
	for _, x := range a {
		if slices.ContainsFunc(b, func(y h5.Attribute) bool { return reflect.DeepEqual(x, y) }) {
			both = append(both, x)
		}
	}
	return both
}

// place copies n rows of a column of one file to those of the merged file.
func (c Column) place(from *Column, n int64, rows []byte) []byte {
	if slices.Equal(c.Shape, from.Shape) && c.Type.Bytes() == from.Type.Bytes() {
		return rows
	}
	size, had := c.rowBytes(), from.rowBytes()
	out := make([]byte, n*size)
	if isFloat(c.Type) {
		nan := notANumber(c.Type)
		for i := 0; i < len(out); i += len(nan) {
			copy(out[i:], nan)
		}
	}
	for i := range n {
		spread(out[i*size:(i+1)*size], rows[i*had:(i+1)*had], c.Shape, from.Shape)
	}
	return out
}

// spread copies an array into the corner of a larger one.
func spread(to, from []byte, toShape, fromShape []int64) {
	if len(toShape) == 0 {
		copy(to, from)
		return
	}
	if fromShape[0] == 0 {
		return
	}
	toPart, fromPart := len(to)/int(toShape[0]), len(from)/int(fromShape[0])
	for i := range int(fromShape[0]) {
		spread(to[i*toPart:(i+1)*toPart], from[i*fromPart:(i+1)*fromPart], toShape[1:], fromShape[1:])
	}
}
