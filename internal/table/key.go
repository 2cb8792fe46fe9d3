package table

import (
	"errors"
	"fmt"
	"math"
	"strings"
)

// CodeSuffix is what the name of a text key is followed by in the column that
// holds the position of each text among the values of the key, for readers
// that cannot select by text.
const CodeSuffix = "_code"

// maxCodes is the number of values that an int8 can tell apart.
const maxCodes = math.MaxInt8

// KeySpan is what the values of a key have in common: one type, and the extent
// that its column needs. The zero KeySpan is that of no values.
type KeySpan struct {
	kind      Kind // Int64, Float64 or String; 0 without values
	low, high int64
	length    int
}

// Add takes v in, or returns an error if v is of another type than the values
// before it, or cannot be a key at all.
func (s *KeySpan) Add(v Value) error {
	switch x := v.v.(type) {
	case int64:
		if s.kind == 0 {
			s.low, s.high = x, x
		}
		s.low, s.high = min(s.low, x), max(s.high, x)
		return s.be(Int64)
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("expected a finite number")
		}
		return s.be(Float64)
	case string:
		if err := checkKeyText(x); err != nil {
			return err
		}
		s.length = max(s.length, len(x))
		return s.be(String)
	}
	return errors.New("expected an integer, a number or text")
}

func (s *KeySpan) be(kind Kind) error {
	if s.kind == 0 {
		s.kind = kind
	}
	if s.kind != kind {
		return fmt.Errorf("is %s, but the first value is %s: expected one type (1.0 is a number with a point, \"1\" is text)",
			keyKinds[kind], keyKinds[s.kind])
	}
	return nil
}

var keyKinds = map[Kind]string{Int64: "an integer", Float64: "a number with a point", String: "text"}

func checkKeyText(s string) error {
	if s == "" || len(s) > MaxStringBytes {
		return fmt.Errorf("expected text of 1 to %d characters", MaxStringBytes)
	}
	for _, b := range []byte(s) {
		if b < ' ' || b > '~' {
			return errors.New("expected printable ASCII")
		}
	}
	return nil
}

// Column returns the column for a key with these values: the smallest of i32,
// i64, f64 and string(n) that holds them all.
func (s *KeySpan) Column(name string) Column {
	c := Column{
		Name: name, Type: Type{Kind: s.kind},
		LongName: strings.ReplaceAll(name, "_", " "), Description: "key of the task",
	}
	switch s.kind {
	case String:
		c.Type.Length = s.length
	case Int64:
		c.Unit = "1"
		if s.low >= math.MinInt32 && s.high <= math.MaxInt32 {
			c.Type.Kind = Int32
		}
	default: // the unit of a number is not known
	}
	return c
}

// CodeColumn returns the companion of the text key called name whose values
// are texts, and whether there are few enough for it.
func CodeColumn(name string, texts []string) (Column, bool) {
	return Column{
		Name: name + CodeSuffix, Type: Type{Kind: Int8}, Flags: texts,
		LongName:    strings.ReplaceAll(name, "_", " ") + " code",
		Description: "position of " + name + " among its values, counted from 0",
	}, len(texts) <= maxCodes
}

// SetKey sets the columns after `task` from the values of the key, and the
// companions of text keys from their column's flags.
func (r Row) SetKey(key []Value) error {
	if len(key) >= len(r.block.columns) {
		return fmt.Errorf("a key of %d values: the rows have %d columns", len(key), len(r.block.columns))
	}
	for i, v := range key {
		column := r.block.columns[i+1]
		if err := r.Set(i+1, 0, v.v); err != nil {
			return fmt.Errorf("column %q: %w", column.Name, err)
		}
		if text, ok := v.v.(string); ok {
			if err := r.setCode(column.Name+CodeSuffix, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Row) setCode(name, text string) error {
	c := r.block.columns.Index(name)
	if c < 0 {
		return nil
	}
	for code, flag := range r.block.columns[c].Flags {
		if flag == text {
			return r.Set(c, 0, int64(code))
		}
	}
	return fmt.Errorf("column %q has no code for %q", name, text)
}
