package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/zeebo/xxh3"
)

// canonicalNaN is the only NaN that rows hold: equal rows have equal bytes.
const (
	canonicalNaN   = 0x7FF8000000000000
	canonicalNaN32 = 0x7FC00000
)

// Block holds consecutive rows, column by column, as they are in a file.
// It is not safe for concurrent use.
type Block struct {
	columns Columns
	widths  []int    // widths[c] is columns[c].RowBytes()
	data    [][]byte // data[c] has rows*widths[c] bytes
	rows    int
}

// NewBlock returns an empty block with room for capacity rows.
func NewBlock(columns Columns, capacity int) *Block {
	b := &Block{columns: columns, widths: make([]int, len(columns)), data: make([][]byte, len(columns))}
	for c, column := range columns {
		b.widths[c] = column.RowBytes()
		b.data[c] = make([]byte, 0, capacity*b.widths[c])
	}
	return b
}

// Columns returns the columns of the block.
func (b *Block) Columns() Columns { return b.columns }

// Len returns the number of rows.
func (b *Block) Len() int { return b.rows }

// Append adds one row and returns it. Floats are NaN, all else is zero.
func (b *Block) Append() Row {
	b.Grow(1)
	r := b.Row(b.rows - 1)
	r.Clear()
	return r
}

// Grow adds n rows with all bytes zero.
func (b *Block) Grow(n int) {
	for c, width := range b.widths {
		b.data[c] = append(b.data[c], make([]byte, n*width)...)
	}
	b.rows += n
}

// Truncate keeps the first n rows.
func (b *Block) Truncate(n int) {
	for c, width := range b.widths {
		b.data[c] = b.data[c][:n*width]
	}
	b.rows = n
}

// Column returns the bytes of column c over all rows.
func (b *Block) Column(c int) []byte { return b.data[c] }

// Row returns row i.
func (b *Block) Row(i int) Row { return Row{b, i} }

// Row is one row of a block; it is valid until the block is grown or cut.
type Row struct {
	block *Block
	index int
}

// Columns returns the columns of the row.
func (r Row) Columns() Columns { return r.block.columns }

// Bytes returns the bytes of column c in this row.
func (r Row) Bytes(c int) []byte {
	n := r.block.widths[c]
	return r.block.data[c][r.index*n : (r.index+1)*n : (r.index+1)*n]
}

// Clear sets floats to NaN and all else to zero.
func (r Row) Clear() {
	for c, column := range r.block.columns {
		r.fill(c, column)
	}
}

func (r Row) fill(c int, column Column) {
	bytes := r.Bytes(c)
	clear(bytes)
	switch column.Type.Kind {
	case Float64:
		for ; len(bytes) > 0; bytes = bytes[8:] {
			binary.LittleEndian.PutUint64(bytes, canonicalNaN)
		}
	case Float32:
		for ; len(bytes) > 0; bytes = bytes[4:] {
			binary.LittleEndian.PutUint32(bytes, canonicalNaN32)
		}
	default: // zero
	}
}

// FillColumn gives every element of column c the fill value of its type: NaN,
// the empty string, and the smallest integer, which no simulator should return.
func (r Row) FillColumn(c int) {
	t := r.block.columns[c].Type
	r.fill(c, r.block.columns[c])
	if t.IsFloat() || t.Kind == String {
		return
	}
	bytes := r.Bytes(c)
	for end := t.Bytes(); end <= len(bytes); end += t.Bytes() {
		bytes[end-1] = 0x80 // the sign bit
	}
}

// isFill tells whether element i of column c holds the fill value of its type.
func (r Row) isFill(c, i int) bool {
	switch v := r.Get(c, i).(type) {
	case float64:
		return math.IsNaN(v)
	case int64:
		return v == -1<<(8*r.block.columns[c].Type.Bytes()-1)
	}
	return false
}

// Task returns the index in the column `task`.
func (r Row) Task() int64 {
	return int64(binary.LittleEndian.Uint64(r.Bytes(0))) //nolint:gosec // same bits
}

// SetTask sets the column `task`.
func (r Row) SetTask(index int64) {
	binary.LittleEndian.PutUint64(r.Bytes(0), uint64(index)) //nolint:gosec // same bits
}

// SetFloats sets the first len(values) elements of column c, which must be of
// a float type. The elements after them keep what they hold.
func (r Row) SetFloats(c int, values ...float64) {
	for i, v := range values {
		r.setFloat(c, i, v)
	}
}

func (r Row) setFloat(c, i int, v float64) {
	if r.block.columns[c].Type.Kind == Float32 {
		bits := math.Float32bits(float32(v))
		if math.IsNaN(v) {
			bits = canonicalNaN32
		}
		binary.LittleEndian.PutUint32(r.Bytes(c)[4*i:], bits)
		return
	}
	bits := math.Float64bits(v)
	if math.IsNaN(v) {
		bits = canonicalNaN
	}
	binary.LittleEndian.PutUint64(r.Bytes(c)[8*i:], bits)
}

// ErrOutOfRange is wrapped by Set where a value does not fit its type.
var ErrOutOfRange = errors.New("out of range")

// Set sets element i of column c from an int64, float64, bool or string,
// converting without loss: an int64 or a whole float64 to any integer type in
// range, an int64 to a float type, 0, 1 or a bool to bool, ASCII text without
// NUL that fits to string. It returns an error for everything else.
func (r Row) Set(c, i int, value any) error {
	column := r.block.columns[c]
	bytes := r.Bytes(c)[i*column.Type.Bytes() : (i+1)*column.Type.Bytes()]
	switch column.Type.Kind {
	case Float64, Float32:
		return r.setNumber(c, i, value)
	case String:
		return setString(bytes, value)
	case Int64, Int32, Int8, Bool:
		return setInt(bytes, column.Type, value)
	}
	return fmt.Errorf("column %q has no type", column.Name)
}

func (r Row) setNumber(c, i int, value any) error {
	switch x := value.(type) {
	case float64:
		if r.block.columns[c].Type.Kind == Float32 && !math.IsInf(x, 0) && math.IsInf(float64(float32(x)), 0) {
			return fmt.Errorf("%v does not fit f32: %w", x, ErrOutOfRange)
		}
		r.setFloat(c, i, x)
	case int64:
		r.setFloat(c, i, float64(x))
	default:
		return fmt.Errorf("%s is not a number", describe(value))
	}
	return nil
}

func setString(bytes []byte, value any) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("%s is not a string", describe(value))
	}
	if len(s) > len(bytes) {
		return fmt.Errorf("a string of %d bytes does not fit string(%d): %w", len(s), len(bytes), ErrOutOfRange)
	}
	for _, b := range []byte(s) {
		if b == 0 || b > 0x7F {
			return fmt.Errorf("%s is not ASCII text without NUL", describe(s))
		}
	}
	clear(bytes)
	copy(bytes, s)
	return nil
}

func setInt(bytes []byte, t Type, value any) error {
	var v int64
	switch x := value.(type) {
	case int64:
		v = x
	case bool:
		if t.Kind != Bool {
			return fmt.Errorf("%v is not a whole number", x)
		}
		if x {
			v = 1
		}
	case float64:
		if x != math.Trunc(x) || math.Abs(x) >= 1<<63 {
			return fmt.Errorf("%v is not a whole number that fits %s: %w", x, t, ErrOutOfRange)
		}
		v = int64(x)
	default:
		return fmt.Errorf("%s is not a whole number", describe(value))
	}
	low, high := intLimits(t)
	if v < low || v > high {
		return fmt.Errorf("%d does not fit %s: %w", v, t, ErrOutOfRange)
	}
	bits := uint64(v)
	switch len(bytes) {
	case 8:
		binary.LittleEndian.PutUint64(bytes, bits)
	case 4:
		binary.LittleEndian.PutUint32(bytes, uint32(bits))
	default:
		bytes[0] = byte(bits)
	}
	return nil
}

func intLimits(t Type) (low, high int64) {
	switch t.Kind {
	case Bool:
		return 0, 1
	case Int8:
		return math.MinInt8, math.MaxInt8
	case Int32:
		return math.MinInt32, math.MaxInt32
	default:
		return math.MinInt64, math.MaxInt64
	}
}

func describe(value any) string {
	switch x := value.(type) {
	case nil:
		return "null"
	case string:
		if len(x) > 40 {
			x = x[:40] + "..."
		}
		return fmt.Sprintf("%q", x)
	case []any:
		return "an array"
	case map[string]any:
		return "an object"
	}
	return fmt.Sprint(value)
}

// Get returns element i of column c as float64, int64 (integers and bool) or
// string.
func (r Row) Get(c, i int) any {
	t := r.block.columns[c].Type
	bytes := r.Bytes(c)[i*t.Bytes() : (i+1)*t.Bytes()]
	switch t.Kind {
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(bytes))
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(bytes)))
	case Int64:
		return int64(binary.LittleEndian.Uint64(bytes)) //nolint:gosec // same bits
	case Int32:
		return int64(int32(binary.LittleEndian.Uint32(bytes))) //nolint:gosec // same bits
	case Int8, Bool:
		return int64(int8(bytes[0])) //nolint:gosec // same bits
	case String:
		n := len(bytes)
		for n > 0 && bytes[n-1] == 0 {
			n--
		}
		return string(bytes[:n])
	}
	return nil
}

// ContractError says which value of a row breaks what its column declares.
type ContractError struct {
	Column  string
	Element int // position within the row
	Reason  string
}

func (e *ContractError) Error() string {
	return fmt.Sprintf("column %q, element %d: %s", e.Column, e.Element, e.Reason)
}

// Check returns a *ContractError for the first value that breaks its column's
// Finite, Min or Max, or nil. NaN is judged by Finite alone. In a padded
// column fill values pass: the row does not tell what was given.
func (r Row) Check() error {
	for c, column := range r.block.columns {
		if !column.Finite && column.Min == nil && column.Max == nil || column.Type.Kind == String {
			continue
		}
		for i := range column.Elements() {
			if len(column.Padded) > 0 && r.isFill(c, i) {
				continue
			}
			if err := r.CheckElement(c, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckElement does the same for one element, which may be no fill.
func (r Row) CheckElement(c, i int) error {
	column := r.block.columns[c]
	if column.Type.Kind == String {
		return nil
	}
	if reason := column.breach(r.number(c, i)); reason != "" {
		return &ContractError{Column: column.Name, Element: i, Reason: reason}
	}
	return nil
}

func (r Row) number(c, i int) float64 {
	switch v := r.Get(c, i).(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return math.NaN()
}

func (c Column) breach(v float64) string {
	switch {
	case c.Finite && (math.IsNaN(v) || math.IsInf(v, 0)):
		return fmt.Sprintf("%v is not finite", v)
	case c.Min != nil && v < *c.Min:
		return fmt.Sprintf("%v is below the minimum %v", v, *c.Min)
	case c.Max != nil && v > *c.Max:
		return fmt.Sprintf("%v is above the maximum %v", v, *c.Max)
	}
	return ""
}

// Digest returns the digest of the row: XXH3 (64 bit) over its bytes, column
// after column. It is never 0, which stands for "no row".
func (r Row) Digest() uint64 {
	var h xxh3.Hasher
	for c := range r.block.columns {
		_, _ = h.Write(r.Bytes(c)) // a hash does not fail
	}
	return max(h.Sum64(), 1)
}

// Digests returns the digest of each row.
func (b *Block) Digests() []uint64 {
	digests := make([]uint64, b.rows)
	for i := range digests {
		digests[i] = b.Row(i).Digest()
	}
	return digests
}
