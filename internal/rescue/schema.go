package rescue

import (
	"fmt"
	"slices"
	"strings"

	"windrow/internal/h5"
)

// ConflictError says why two files cannot be one, naming both.
type ConflictError struct {
	Reason string
	Needed bool // it is about a dataset that must be in the merged file
}

func (e *ConflictError) Error() string { return e.Reason }

func conflict(format string, args ...any) *ConflictError {
	return &ConflictError{Reason: fmt.Sprintf(format, args...)}
}

// schema is what the merged file has.
type schema struct {
	columns    []Column
	attributes attributes             // of the root
	of         map[string]*attributes // of the columns
	padded     []string               // columns that differ in shape, as they are reported
	converted  []string               // columns of another type than in some file, as they are reported
	left       []string               // what is not in the merged file
}

// unify returns the columns that hold the rows of all files. Unless only what is
// common to them is wanted, every file must have the same ones.
func unify(sources []*Source, o Options) (schema, error) {
	first := sources[0]
	s := schema{of: map[string]*attributes{}}
	for _, source := range sources {
		for _, d := range source.others {
			if d.Type.Kind == 0 && len(d.Shape) > 0 && d.Shape[0] == source.Rows && !o.Common {
				return schema{}, conflict("dataset %s of %s is neither numbers nor text", d.Name, source.Path)
			}
			s.leave(d.Name)
		}
		for _, name := range source.beside {
			s.leave(name)
		}
		s.attributes.add(source.Path, source.Attributes)
	}
	for _, c := range first.Columns {
		u, err := unifyColumn(c, sources)
		as := &attributes{}
		if err == nil {
			err = as.ofColumn(c.Name, sources)
		}
		switch {
		case err != nil && slices.Contains(slices.Concat(o.Require, o.Key), c.Name):
			err.Needed = true
			return schema{}, err
		case err != nil && !o.Common:
			return schema{}, err
		case err != nil:
			s.leave(c.Name)
			continue
		}
		s.add(u, as, sources)
	}
	for _, other := range sources[1:] {
		for _, c := range other.Columns {
			if first.Column(c.Name) != nil || slices.Contains(s.left, c.Name) {
				continue
			}
			if !o.Common {
				return schema{}, conflict("dataset %s is in %s, but not in %s", c.Name, other.Path, first.Path)
			}
			s.leave(c.Name)
		}
	}
	if len(s.columns) == 0 {
		return schema{}, conflict("%s has no dataset in common with the others", first.Path)
	}
	return s, nil
}

func (s *schema) leave(name string) {
	if !slices.Contains(s.left, name) {
		s.left = append(s.left, name)
	}
}

// add adds a column that holds that of every source.
func (s *schema) add(u Column, as *attributes, sources []*Source) {
	if slices.ContainsFunc(sources, func(s *Source) bool { return !slices.Equal(s.Column(u.Name).Shape, u.Shape) }) {
		s.padded = append(s.padded, fmt.Sprintf("%s to %s", u.Name, strings.ReplaceAll(fmt.Sprint(u.Shape), " ", "x")))
	}
	if isNumber(u.Type) && slices.ContainsFunc(sources, func(s *Source) bool { return s.Column(u.Name).Type != u.Type }) {
		s.converted = append(s.converted, fmt.Sprintf("%s to %s", u.Name, u.Type))
	}
	s.columns = append(s.columns, u)
	s.of[u.Name] = as
}

// lost returns the attributes that are not in the merged file, as they are
// reported.
func (s *schema) lost() []string {
	lost := slices.Clone(s.attributes.lost)
	for _, c := range s.columns {
		for _, name := range s.of[c.Name].lost {
			lost = append(lost, name+" of "+c.Name)
		}
	}
	return lost
}

// ofColumn takes the attributes of a column of all sources.
func (as *attributes) ofColumn(name string, sources []*Source) *ConflictError {
	for _, s := range sources {
		if a, b, contradict := as.add(s.Path, s.Column(name).Attributes); contradict {
			return conflict("dataset %s has the attribute %s %s in %s and %s in %s", name, a.Name, showAttribute(a.Attribute), a.path, showAttribute(b.Attribute), b.path)
		}
	}
	return nil
}

// unifyColumn returns the column that holds one of every file.
func unifyColumn(c Column, sources []*Source) (Column, *ConflictError) {
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
		default:
			var ok bool
			if u.Type, ok = widest(u.Type, o.Type); !ok {
				return u, differ
			}
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
	}
	return u, nil
}

// place copies n rows of a column of one file to those of the merged file.
func (c Column) place(from *Column, n int64, rows []byte) []byte {
	if isNumber(c.Type) && c.Type != from.Type {
		rows = convert(c.Type, from.Type, rows)
	}
	size, had := c.rowBytes(), int64(len(rows))/n
	if slices.Equal(c.Shape, from.Shape) && size == had {
		return rows
	}
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
