package simulator

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"windrow/internal/table"
)

// npyName returns the file that value, as in {"$npy": "layout.npy"}, stands for.
func npyName(value json.RawMessage) (string, bool) {
	var file struct {
		Name *string `json:"$npy"`
	}
	if len(value) == 0 || value[0] != '{' || json.Unmarshal(value, &file) != nil || file.Name == nil {
		return "", false
	}
	return *file.Name, true
}

// maxNPYHeader bounds the header of an array file.
const maxNPYHeader = 64 << 10

// setFromNPY puts the array of a file in dir into column c of row.
func setFromNPY(row table.Row, c int, dir, name string) error {
	column := row.Columns()[c]
	data, err := readPlain(dir, name, maxNPYHeader+8*int64(column.Elements()))
	if err != nil {
		return invalid("column %q: file %q: %v", column.Name, name, err)
	}
	parsed, err := parseNPY(data)
	if err == nil {
		err = parsed.array().into(row, c)
	}
	if _, isFailure := errors.AsType[*Error](err); isFailure {
		return err
	}
	if err != nil {
		return invalid("column %q: file %q: %v", column.Name, name, err)
	}
	return nil
}

// npy is an array in numpy's format.
type npy struct {
	kind    byte // f, i, u or b
	size    int  // bytes of an element
	order   binary.ByteOrder
	fortran bool // first index fastest
	shape   []int
	data    []byte
}

var npyHeader = regexp.MustCompile(
	`^\{'descr': '([<>|=])([a-zA-Z])([0-9]+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), *\}\s*$`)

// parseNPY reads an array of numbers or booleans; arrays of objects, strings
// and records are refused. The format is that of numpy.lib.format, versions 1
// to 3.
func parseNPY(data []byte) (*npy, error) {
	errFormat := errors.New("is not an array of numbers as numpy.save writes it")
	rest, ok := bytes.CutPrefix(data, []byte("\x93NUMPY"))
	if !ok || len(rest) < 6 {
		return nil, errFormat
	}
	header, start := int(binary.LittleEndian.Uint16(rest[2:])), 4
	if rest[0] > 1 {
		header, start = int(binary.LittleEndian.Uint32(rest[2:])), 6
	}
	if header > maxNPYHeader || start+header > len(rest) {
		return nil, errFormat
	}
	m := npyHeader.FindSubmatch(rest[start : start+header])
	if m == nil {
		return nil, errFormat
	}
	a := &npy{kind: m[2][0], order: binary.LittleEndian, fortran: string(m[4]) == "True", data: rest[start+header:]}
	if m[1][0] == '>' {
		a.order = binary.BigEndian
	}
	a.size, _ = strconv.Atoi(string(m[3])) // out of range is none of the sizes
	if !slices.Contains([]string{"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}, string(m[2])+string(m[3])) {
		return nil, fmt.Errorf("has elements of type %s%s; expected floats, integers or booleans", m[2], m[3])
	}
	for part := range strings.SplitSeq(string(m[5]), ",") {
		if part = strings.TrimSpace(part); part != "" {
			n, err := strconv.Atoi(part)
			if err != nil {
				return nil, errFormat
			}
			a.shape = append(a.shape, n)
		}
	}
	n, ok := array{shape: a.shape}.elements()
	if !ok {
		return nil, fmt.Errorf("has the shape %v", a.shape)
	}
	if len(a.data) != n*a.size {
		return nil, fmt.Errorf("has %d bytes of data; expected %d", len(a.data), n*a.size)
	}
	return a, nil
}

// array returns the elements in their order.
func (a *npy) array() array {
	return array{shape: a.shape, at: func(i int) (any, error) { return a.at(a.place(i)) }}
}

// place returns where the element i, counted with the last index fastest, is.
func (a *npy) place(i int) int {
	if !a.fortran {
		return i
	}
	place, stride := 0, 1
	for _, n := range a.shape {
		stride *= n
	}
	for _, n := range slices.Backward(a.shape) {
		stride /= n
		place += i % n * stride
		i /= n
	}
	return place
}

// at returns the element at a place as what Row.Set takes.
func (a *npy) at(place int) (any, error) {
	raw := a.data[place*a.size : (place+1)*a.size]
	var bits uint64
	switch a.size {
	case 1:
		bits = uint64(raw[0])
	case 2:
		bits = uint64(a.order.Uint16(raw))
	case 4:
		bits = uint64(a.order.Uint32(raw))
	case 8:
		bits = a.order.Uint64(raw)
	}
	switch unused := 64 - 8*a.size; {
	case a.kind == 'b':
		return bits != 0, nil
	case a.kind == 'f' && a.size == 4:
		return float64(math.Float32frombits(uint32(bits))), nil
	case a.kind == 'f':
		return math.Float64frombits(bits), nil
	case a.kind == 'u' && bits > math.MaxInt64:
		return nil, fmt.Errorf("%d is too large", bits)
	case a.kind == 'u':
		return int64(bits), nil
	default:
		return int64(bits<<unused) >> unused, nil //nolint:gosec // two's complement is what the file has
	}
}
