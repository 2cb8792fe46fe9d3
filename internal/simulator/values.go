package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"windrow/internal/message"
	"windrow/internal/table"
)

// setColumn puts value, which is valid JSON, into column c of row. A column
// without a shape takes one value. Others take arrays nested as the shape is,
// row-major, or one flat array with exactly as many elements. Along a padded
// dimension nested arrays may be shorter: the elements of c that are not given
// keep what they hold. In a column of
// floats null stands for NaN, which is how JavaScript writes it, and a number
// too large for a float64 is infinite.
func setColumn(row table.Row, c int, value json.RawMessage) error {
	column := row.Columns()[c]
	shape := column.Shape
	if noRows := isEmpty(value) && len(shape) > 0 && column.IsPadded(shape[0]); len(shape) > 1 && isFlat(value) && !noRows {
		shape = []table.Dim{{Name: "element", Size: column.Elements()}}
	}
	v := values{row: row, c: c, column: column, rest: value}
	return v.read(shape)
}

// isFlat tells whether value is an array whose first element is none.
func isFlat(value []byte) bool {
	inner, isArray := bytes.CutPrefix(bytes.TrimSpace(value), []byte("["))
	return isArray && !bytes.HasPrefix(bytes.TrimSpace(inner), []byte("["))
}

// isEmpty tells whether value is an array without elements.
func isEmpty(value []byte) bool {
	inner, isArray := bytes.CutPrefix(bytes.TrimSpace(value), []byte("["))
	return isArray && bytes.HasPrefix(bytes.TrimSpace(inner), []byte("]"))
}

// values reads the elements of one column from valid JSON, one after the
// other. It is several times as fast as a json.Decoder, and holds nothing of
// an array that is far too long.
type values struct {
	row    table.Row
	c      int
	column table.Column
	next   int    // element
	rest   []byte // not read yet
}

func (v *values) read(shape []table.Dim) error {
	token := v.token()
	if len(shape) == 0 {
		return v.set(token)
	}
	if token[0] != '[' {
		return v.breach("%s is not an array of %d along %q", show(token), shape[0].Size, shape[0].Name)
	}
	return v.readArray(shape[0], shape[1:])
}

func (v *values) readArray(dim table.Dim, inner []table.Dim) error {
	start, n := v.next, 0
	for ; v.more(); n++ {
		if n == dim.Size {
			return v.breach("there are more than %d elements along %q", dim.Size, dim.Name)
		}
		if err := v.read(inner); err != nil {
			return err
		}
	}
	switch {
	case n < dim.Size && v.column.IsPadded(dim):
		v.next = start + dim.Size*elements(inner)
	case n < dim.Size:
		return v.breach("there are %d of %d elements along %q", n, dim.Size, dim.Name)
	}
	v.token() // the closing bracket
	return nil
}

func elements(shape []table.Dim) int { return table.Column{Shape: shape}.Elements() }

// more tells whether the array that is being read has another element.
func (v *values) more() bool {
	v.rest = bytes.TrimLeft(v.rest, ", \t\r\n")
	return v.rest[0] != ']'
}

// token returns the next bracket, string, number or name.
func (v *values) token() []byte {
	v.rest = bytes.TrimLeft(v.rest, ", \t\r\n")
	n := 1
	switch v.rest[0] {
	case '[', ']', '{':
	case '"':
		n = stringLength(v.rest)
	default:
		for n < len(v.rest) && !endsToken(v.rest[n]) {
			n++
		}
	}
	token := v.rest[:n]
	v.rest = v.rest[n:]
	return token
}

func endsToken(b byte) bool { return b == ',' || b == ']' || b <= ' ' }

// set makes token the next element.
func (v *values) set(token []byte) error {
	element, err := v.element(token)
	if err == nil {
		err = v.row.Set(v.c, v.next, element)
	}
	if err != nil {
		return v.breach("%w", err)
	}
	if err := checkGiven(v.row, v.c, v.next); err != nil {
		return err
	}
	v.next++
	return nil
}

// element returns what Row.Set takes for token.
func (v *values) element(token []byte) (any, error) {
	switch token[0] {
	case '[', '{':
		return nil, fmt.Errorf("%s stands where one value is expected", show(token))
	case '"':
		var s string
		err := json.Unmarshal(token, &s)
		return s, err
	case 't', 'f':
		return token[0] == 't', nil
	case 'n':
		if v.column.Type.IsFloat() {
			return math.NaN(), nil
		}
		return nil, nil //nolint:nilnil // null is a value, which Row.Set refuses
	}
	return parseNumber(string(token)), nil
}

// parseNumber returns a number as int64 if it is one, else as float64.
func parseNumber(text string) any {
	if !strings.ContainsAny(text, ".eE") {
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			return i
		}
	}
	f, _ := strconv.ParseFloat(text, 64) // a range error is all that is left: f is infinite
	return f
}

func show(token []byte) string {
	switch token[0] {
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return message.Cut(string(token), 40)
}

// breach is the failure of the task at the next element.
func (v *values) breach(format string, args ...any) error {
	breach := table.ContractError{Column: v.column.Name, Element: v.next, Reason: fmt.Errorf(format, args...).Error()}
	return invalid("%v", &breach)
}
