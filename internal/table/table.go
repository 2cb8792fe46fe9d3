// Package table describes the rows of a run: the columns every row has, and
// blocks of rows in memory.
//
// A row is one task's line of the dataset. It starts with the column `task`
// (the task's index), continues with the key columns, and ends with what the
// simulator computes. All values are of fixed size and stored little-endian,
// so a column of n rows is n*RowBytes bytes, in memory, in a shard and in the
// dataset alike, and a row has one digest wherever it is.
package table

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a column's elements.
type Kind uint8

// The kinds of elements. Bool is one byte, 0 or 1. String is fixed-length
// ASCII, padded with NUL.
const (
	Float64 Kind = iota + 1
	Float32
	Int64
	Int32
	Int8
	Bool
	String
)

var kindNames = map[Kind]string{
	Float64: "f64", Float32: "f32", Int64: "i64", Int32: "i32", Int8: "i8", Bool: "bool", String: "string",
}

// MaxStringBytes is the longest fixed-length string a column may hold.
const MaxStringBytes = 4096

// Type is the type of a column's elements: a kind, and for strings a length.
// Its text form is f64, f32, i64, i32, i8, bool or string(n).
type Type struct {
	Kind   Kind
	Length int // bytes of a String, else 0
}

// ParseType reads the text form of a type.
func ParseType(s string) (Type, error) {
	if n, ok := strings.CutPrefix(s, "string("); ok {
		length, err := strconv.Atoi(strings.TrimSuffix(n, ")"))
		if err != nil || !strings.HasSuffix(n, ")") || length < 1 || length > MaxStringBytes {
			return Type{}, fmt.Errorf("type %q: the length of a string is 1 to %d bytes, as in string(16)", s, MaxStringBytes)
		}
		return Type{Kind: String, Length: length}, nil
	}
	for k, name := range kindNames {
		if name == s && k != String {
			return Type{Kind: k}, nil
		}
	}
	return Type{}, fmt.Errorf("type %q is none of f64, f32, i64, i32, i8, bool, string(n)", s)
}

// String returns the text form of t.
func (t Type) String() string {
	if t.Kind == String {
		return fmt.Sprintf("string(%d)", t.Length)
	}
	return kindNames[t.Kind]
}

// MarshalText implements encoding.TextMarshaler.
func (t Type) MarshalText() ([]byte, error) {
	if _, ok := kindNames[t.Kind]; !ok {
		return nil, fmt.Errorf("kind %d is unknown", t.Kind)
	}
	return []byte(t.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Type) UnmarshalText(text []byte) error {
	parsed, err := ParseType(string(text))
	if err == nil {
		*t = parsed
	}
	return err
}

// Bytes returns the size of one element.
func (t Type) Bytes() int {
	switch t.Kind {
	case Float64, Int64:
		return 8
	case Float32, Int32:
		return 4
	case Int8, Bool:
		return 1
	case String:
		return t.Length
	}
	return 0
}

// IsFloat tells whether elements may be NaN or infinite.
func (t Type) IsFloat() bool { return t.Kind == Float64 || t.Kind == Float32 }

// Dim is one dimension of a column after the row dimension.
type Dim struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

// Column is one column of a run's rows, which becomes one HDF5 dataset of
// shape (row, Shape...).
type Column struct {
	Name        string   `json:"name"`
	Type        Type     `json:"type"`
	Shape       []Dim    `json:"shape,omitempty"`       // none: one element in each row
	Padded      []string `json:"padded,omitempty"`      // dimensions along which a row may have fewer elements
	Unit        string   `json:"unit,omitempty"`        // UDUNITS text, "1" where dimensionless
	LongName    string   `json:"long_name,omitempty"`   // a few words, for axis labels
	Description string   `json:"description,omitempty"` // what a reader must know
	Min         *float64 `json:"min,omitempty"`         // smallest value allowed; nil: no limit
	Max         *float64 `json:"max,omitempty"`         // largest value allowed; nil: no limit
	Finite      bool     `json:"finite,omitempty"`      // NaN and infinities are refused
	Flags       []string `json:"flags,omitempty"`       // meanings of the values 0, 1, ... (CF flag_meanings)
}

// Elements returns the number of elements in each row.
func (c Column) Elements() int {
	n := 1
	for _, d := range c.Shape {
		n *= d.Size
	}
	return n
}

// IsPadded tells whether a row may have fewer elements along d. Fill values
// stand for those it has not.
func (c Column) IsPadded(d Dim) bool { return slices.Contains(c.Padded, d.Name) }

// RowBytes returns the number of bytes in each row.
func (c Column) RowBytes() int { return c.Elements() * c.Type.Bytes() }

// Columns are the columns of a run in file order: task, key columns, results.
type Columns []Column

// Limits on what a run may declare; they bound what a decoder allocates.
const (
	MaxColumns  = 1024
	MaxRank     = 8
	MaxRowBytes = 1 << 26 // 64 MiB
)

// RowBytes returns the number of bytes in each row over all columns.
func (cs Columns) RowBytes() int {
	n := 0
	for _, c := range cs {
		n += c.RowBytes()
	}
	return n
}

// Index returns the position of the column called name, or -1.
func (cs Columns) Index(name string) int {
	for i, c := range cs {
		if c.Name == name {
			return i
		}
	}
	return -1
}

// Validate reports everything that makes cs unfit for a file: names, types,
// sizes, and dimensions of one name with two sizes.
func (cs Columns) Validate() error {
	if len(cs) == 0 || len(cs) > MaxColumns {
		return fmt.Errorf("%d columns: 1 to %d are allowed", len(cs), MaxColumns)
	}
	var errs []error
	names := map[string]bool{}
	sizes := map[string]int{}
	for _, c := range cs {
		if err := CheckName(c.Name); err != nil {
			errs = append(errs, err)
		}
		if names[c.Name] {
			errs = append(errs, fmt.Errorf("column %q is declared twice", c.Name))
		}
		names[c.Name] = true
		errs = append(errs, c.validateShape(sizes))
	}
	for name := range sizes {
		if names[name] {
			errs = append(errs, fmt.Errorf("%q is the name of a column and of a dimension", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if n := cs.RowBytes(); n > MaxRowBytes {
		return fmt.Errorf("a row has %d bytes: %d at most", n, MaxRowBytes)
	}
	return nil
}

func (c Column) validateShape(sizes map[string]int) error {
	if c.Type.Bytes() == 0 {
		return fmt.Errorf("column %q has no type", c.Name)
	}
	if len(c.Shape) >= MaxRank {
		return fmt.Errorf("column %q has %d dimensions: %d at most", c.Name, len(c.Shape), MaxRank-1)
	}
	elements := 1
	for _, d := range c.Shape {
		if err := CheckName(d.Name); err != nil {
			return fmt.Errorf("column %q: dimension: %w", c.Name, err)
		}
		if d.Name == RowDim {
			return fmt.Errorf("column %q: %q is the name of the first dimension of every column", c.Name, RowDim)
		}
		if d.Size < 1 || d.Size > MaxRowBytes {
			return fmt.Errorf("column %q: dimension %q has size %d: 1 to %d are allowed", c.Name, d.Name, d.Size, MaxRowBytes)
		}
		if size, ok := sizes[d.Name]; ok && size != d.Size {
			return fmt.Errorf("dimension %q has size %d in column %q and %d elsewhere", d.Name, d.Size, c.Name, size)
		}
		sizes[d.Name] = d.Size
		if elements *= d.Size; elements > MaxRowBytes {
			return fmt.Errorf("column %q has more than %d elements in a row", c.Name, MaxRowBytes)
		}
	}
	return c.validatePadding()
}

func (c Column) validatePadding() error {
	for i, name := range c.Padded {
		if !slices.ContainsFunc(c.Shape, func(d Dim) bool { return d.Name == name }) {
			return fmt.Errorf("column %q is padded along %q, which is no dimension of it", c.Name, name)
		}
		if slices.Contains(c.Padded[:i], name) {
			return fmt.Errorf("column %q is padded along %q twice", c.Name, name)
		}
	}
	return nil
}

// Names that every dataset has: the first column, the first dimension, and
// the column that tells failed rows where they are kept.
const (
	TaskColumn   = "task"
	RowDim       = "row"
	StatusColumn = "status"
)

// CheckName tells whether name can be the name of a column or dimension:
// a letter, then letters, digits and underscores, 64 at most.
func CheckName(name string) error {
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9')) {
			return fmt.Errorf("name %q: a letter, then letters, digits and underscores", name)
		}
	}
	if name == "" || len(name) > 64 {
		return fmt.Errorf("name %q: 1 to 64 characters", name)
	}
	return nil
}

// TaskIndex returns the column `task`, the first of every run.
func TaskIndex() Column {
	return Column{
		Name: TaskColumn, Type: Type{Kind: Int64}, Unit: "1",
		LongName: "task index", Description: "position of the task in the task list, counted from 0",
	}
}

// Value is one value of a task's key: an int64, a float64 or a string.
// In JSON a float64 always has a point or an exponent, so that 1 and 1.0 stay
// apart.
type Value struct{ v any }

// IntValue makes an int64 value.
func IntValue(i int64) Value { return Value{i} }

// FloatValue makes a float64 value. A negative zero becomes zero, so that equal
// values look alike.
func FloatValue(f float64) Value {
	if f == 0 {
		f = 0
	}
	return Value{f}
}

// StringValue makes a string value.
func StringValue(s string) Value { return Value{s} }

// Any returns the int64, float64 or string in v.
func (v Value) Any() any { return v.v }

// String returns the value as it is written in CSV files and on command lines.
func (v Value) String() string {
	switch x := v.v.(type) {
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return formatFloat(x)
	case string:
		return x
	}
	return ""
}

func formatFloat(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".eNI") {
		s += ".0"
	}
	return s
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) {
	switch x := v.v.(type) {
	case int64:
		return []byte(v.String()), nil
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("value %v is not finite", x)
		}
		return []byte(v.String()), nil
	case string:
		return json.Marshal(x)
	}
	return nil, errors.New("value is empty")
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		err := json.Unmarshal(data, &s)
		v.v = s
		return err
	}
	text := string(data)
	if !strings.ContainsAny(text, ".eE") {
		i, err := strconv.ParseInt(text, 10, 64)
		v.v = i
		return err
	}
	f, err := strconv.ParseFloat(text, 64)
	*v = FloatValue(f)
	return err
}
