package rescue

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"

	"windrow/internal/foreign"
	"windrow/internal/form"
	"windrow/internal/table"
)

// Key is the encoded key of a row: equal for equal values, whatever their
// types are in a file, and in the order of the values.
type Key []byte

// appendNumber appends an integer or a float; bits tell integers apart that
// are one float.
func appendNumber(k Key, x float64, bits uint64) Key {
	order := math.Float64bits(x)
	if order>>63 == 0 {
		order |= 1 << 63
	} else {
		order = ^order
	}
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(append(k, 1), order), bits)
}

func appendInt(k Key, i int64) Key { return appendNumber(k, float64(i), uint64(i)^1<<63) } //nolint:gosec // the order of the bits

func appendUint(k Key, u uint64) Key {
	if u <= math.MaxInt64 {
		return appendInt(k, int64(u))
	}
	return appendNumber(k, float64(u), u)
}

func appendFloat(k Key, x float64) Key {
	if x == math.Trunc(x) && math.Abs(x) < 1<<62 { // also of -0
		return appendInt(k, int64(x))
	}
	return appendNumber(k, x, 0)
}

func appendText(k Key, text []byte) Key { return append(append(append(k, 2), text...), 0) }

// KeyOf encodes the key of a task.
func KeyOf(values []table.Value) Key {
	var k Key
	for _, v := range values {
		switch x := v.Any().(type) {
		case int64:
			k = appendInt(k, x)
		case float64:
			k = appendFloat(k, x)
		case string:
			k = appendText(k, []byte(x))
		}
	}
	return k
}

func appendElement(k Key, value any) Key {
	switch x := value.(type) {
	case int64:
		return appendInt(k, x)
	case uint64:
		return appendUint(k, x)
	case float64:
		return appendFloat(k, x)
	case []byte:
		return appendText(k, x)
	}
	return k
}

func showElement(value any) string {
	switch x := value.(type) {
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case []byte:
		return string(x)
	}
	return fmt.Sprint(value)
}

// numberOf returns the int64 or float64 that a text writes, as a list of tasks
// would be read.
func numberOf(text string) (number any, ok bool) {
	kind := form.NumberKind(text)
	if kind == form.NotANumber {
		return nil, false
	}
	if i, err := strconv.ParseInt(text, 10, 64); kind == form.WholeNumber && err == nil {
		return i, true
	}
	x, err := strconv.ParseFloat(text, 64)
	return x, err == nil
}

// KeyError says that a file's key cannot be read as it was asked for.
type KeyError struct{ Path, Reason string }

func (e *KeyError) Error() string { return e.Path + ": " + e.Reason }

// Keys calls each with the key of every row, and with what shows it.
func (s *Source) Keys(ctx context.Context, r *foreign.Reader, names []string, each func(row int64, k Key, show func() string)) error {
	columns := make([]*Column, len(names))
	rowBytes := int64(0)
	for i, name := range names {
		c := s.Column(name)
		switch {
		case c == nil:
			return &KeyError{s.Path, "key column " + name + " is missing"}
		case c.elements() != 1:
			return &KeyError{s.Path, "key column " + name + " has several values in a row"}
		}
		columns[i] = c
		rowBytes += c.rowBytes()
	}
	for first, n := range blocks(s.Rows, rowBytes) {
		content := make([][]byte, len(columns))
		for i, c := range columns {
			var err error
			if content[i], err = s.read(ctx, r, c, first, n); err != nil {
				return err
			}
		}
		values := make([]any, len(columns))
		for row := range n {
			var k Key
			for i, c := range columns {
				size := int64(c.Type.Bytes())
				values[i] = foreign.Element(c.Type, content[i][row*size:(row+1)*size])
				k = appendElement(k, values[i])
			}
			each(first+row, k, func() string { return showKey(names, values) })
		}
	}
	return nil
}

func showKey(names []string, values []any) string {
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = name + " " + showElement(values[i])
	}
	return strings.Join(parts, ", ")
}

// Seen finds keys that come twice.
type Seen struct{ rows map[[16]byte]place }

type place struct {
	source int32
	row    int64
}

// NewSeen returns a Seen without keys.
func NewSeen() *Seen { return &Seen{map[[16]byte]place{}} }

// Add adds the key of a row of a source, and returns where it was before.
func (s *Seen) Add(k Key, source int, row int64) (beforeSource int, beforeRow int64, twice bool) {
	h := xxh3.Hash128(k).Bytes()
	if p, ok := s.rows[h]; ok {
		return int(p.source), p.row, true
	}
	s.rows[h] = place{int32(source), row} //nolint:gosec // the number of files
	return 0, 0, false
}
