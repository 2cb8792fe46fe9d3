// Package rescue brings together the rows of files that other programs wrote:
// it merges them into one file, and finds which tasks they have. It knows the
// files only through a foreign.Reader: their bytes never meet libhdf5 in this
// process.
package rescue

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// Source is a file with one row of every dataset in its root for each task.
type Source struct {
	Path       string
	Rows       int64
	Blank      int64 // that have nothing but zeros, or what their datasets are filled with, beside the key
	Columns    []Column
	Attributes []h5.Attribute // of the root
	Links      []h5.Link      // in the root, to nothing in the file
	others     []foreign.Dataset
	beside     []string // what else the root has: groups, links to nothing in the file, what cannot be opened
}

// Column is a dataset of a file.
type Column struct {
	Name       string
	Type       h5.Type // of text of any length: that of the longest
	Shape      []int64 // of a row
	Varying    bool    // text of any length
	Attributes []h5.Attribute
	fill       []byte // of a row that nobody wrote; nil: zeros
}

func (c Column) elements() int64 {
	n := int64(1)
	for _, dim := range c.Shape {
		n *= dim
	}
	return n
}

func (c Column) rowBytes() int64 { return c.elements() * int64(c.Type.Bytes()) }

// Open checks a file, which must have the required datasets of equal length,
// and reads what is in it. What is wrong with the file is a
// *foreign.DamagedError; rows are those that it says to have then.
func Open(ctx context.Context, r *foreign.Reader, path string, required []string) (s *Source, rows int64, err error) {
	found, err := r.Examine(ctx, path, required)
	rows = found.Rows
	if err != nil {
		return nil, rows, err
	}
	root, err := r.List(ctx, path, "/")
	if err != nil {
		return nil, rows, err
	}
	s = &Source{Path: path, Rows: rows, Blank: found.Blank, Attributes: root.Attributes, Links: root.Links, beside: slices.Clone(root.Damaged)}
	for _, g := range root.Groups {
		s.beside = append(s.beside, g+"/")
	}
	for _, l := range root.Links {
		s.beside = append(s.beside, fmt.Sprintf("%s (a link to %s)", l.Name, l.Target))
	}
	for _, d := range root.Datasets {
		if len(d.Shape) == 0 || d.Shape[0] != rows || d.Type.Kind == 0 {
			if d.Type.Kind == 0 && slices.Contains(required, d.Name) {
				return nil, rows, &foreign.DamagedError{Reason: fmt.Sprintf("dataset %s is neither numbers nor text", d.Name)}
			}
			s.others = append(s.others, d) // a scale, a note; or of a type that windrow has not
			continue
		}
		c := Column{Name: d.Name, Type: d.Type, Shape: d.Shape[1:], Attributes: d.Attributes, fill: d.Fill}
		if d.Type.Kind == h5.VarText {
			if err := measure(ctx, r, s, &c); err != nil {
				return nil, rows, err
			}
		}
		if c.rowBytes() > foreign.MaxReadBytes || c.rowBytes() < 0 {
			return nil, rows, &foreign.DamagedError{Reason: fmt.Sprintf("dataset %s: a row of shape %v", c.Name, c.Shape)}
		}
		s.Columns = append(s.Columns, c)
	}
	return s, rows, nil
}

// measure gives the column of texts the type of the longest.
func measure(ctx context.Context, r *foreign.Reader, s *Source, c *Column) error {
	c.Type, c.Varying = h5.Type{Kind: h5.String, Len: 1}, true
	for first, n := range blocks(s.Rows, 1024) {
		rows, err := r.Read(ctx, s.Path, c.Name, first, n)
		if err != nil {
			return err
		}
		for _, text := range rows.Texts {
			c.Type.Len = max(c.Type.Len, len(text))
			if !isASCII(text) {
				c.Type.Kind = h5.Text
			}
		}
	}
	return nil
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

// Column returns the column of a name, or nil.
func (s *Source) Column(name string) *Column {
	for i := range s.Columns {
		if s.Columns[i].Name == name {
			return &s.Columns[i]
		}
	}
	return nil
}

// read returns n rows of a column, each text in as many bytes as the longest.
func (s *Source) read(ctx context.Context, r *foreign.Reader, c *Column, first, n int64) ([]byte, error) {
	rows, err := r.Read(ctx, s.Path, c.Name, first, n)
	if err != nil {
		return nil, err
	}
	want := n * c.rowBytes()
	if !c.Varying {
		if rows.Type != c.Type || int64(len(rows.Bytes)) != want {
			return nil, s.changed()
		}
		return rows.Bytes, nil
	}
	if int64(len(rows.Texts)) != n*c.elements() {
		return nil, s.changed()
	}
	bytes := make([]byte, want)
	for i, text := range rows.Texts {
		if len(text) > c.Type.Len {
			return nil, s.changed()
		}
		copy(bytes[i*c.Type.Len:], text)
	}
	return bytes, nil
}

func (s *Source) changed() error {
	return &foreign.DamagedError{Reason: "it is being changed by another program"}
}

const blockBytes = 4 << 20

// blocks divides rows of so many bytes into blocks that fit in memory.
func blocks(rows, rowBytes int64) func(yield func(first, n int64) bool) {
	most := max(1, blockBytes/max(1, rowBytes))
	return func(yield func(first, n int64) bool) {
		for first := int64(0); first < rows; first += most {
			if !yield(first, min(most, rows-first)) {
				return
			}
		}
	}
}

// describe names a type and a shape for people.
func (c Column) describe() string {
	what := c.Type.String()
	if c.Varying {
		what = "text"
	}
	if len(c.Shape) > 0 {
		what += " " + strings.ReplaceAll(fmt.Sprint(c.Shape), " ", "x")
	}
	return what
}

func isFloat(t h5.Type) bool { return t.Kind == h5.Float64 || t.Kind == h5.Float32 }

func isText(t h5.Type) bool { return t.Kind == h5.String || t.Kind == h5.Text }

// notANumber returns the bytes of a NaN.
func notANumber(t h5.Type) []byte {
	if t.Kind == h5.Float32 {
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	}
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(math.NaN()))
}
