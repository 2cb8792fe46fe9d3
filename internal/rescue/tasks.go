package rescue

import (
	"errors"
	"fmt"
	"iter"

	"github.com/zeebo/xxh3"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Tasks knows the tasks of a list by their keys, and which of them were found.
// Memory grows with the tasks, by the digest of a key each: any file may have
// any of them.
type Tasks struct {
	index   map[[16]byte]int64
	numbers []bool // which values of the key are numbers
	found   []bool
}

// NewTasks reads a list of tasks.
func NewTasks(tasks iter.Seq2[message.Task, error]) (*Tasks, error) {
	t := &Tasks{index: map[[16]byte]int64{}}
	for task, err := range tasks {
		if err != nil {
			return nil, err
		}
		t.index[xxh3.Hash128(KeyOf(task.Key)).Bytes()] = task.Index
		if t.numbers == nil {
			t.numbers = make([]bool, len(task.Key))
		}
		for i, v := range task.Key {
			_, isText := v.Any().(string)
			t.numbers[i] = t.numbers[i] || !isText
		}
		t.found = append(t.found, false)
	}
	return t, nil
}

// Len returns the number of tasks.
func (t *Tasks) Len() int { return len(t.found) }

// Index returns the index of the task that a record is of. Where the key has a
// number in the list and text in the file, as "3" or "1.5", the text counts as the
// number that it writes.
func (t *Tasks) Index(rec Record) (index int64, ok bool) {
	if index, ok = t.index[xxh3.Hash128(rec.Key).Bytes()]; ok {
		return index, true
	}
	var k Key
	for i, value := range rec.values {
		if text, isText := value.([]byte); isText && i < len(t.numbers) && t.numbers[i] {
			if number, isNumber := numberOf(string(text)); isNumber {
				value = number
			}
		}
		k = appendElement(k, value)
	}
	index, ok = t.index[xxh3.Hash128(k).Bytes()]
	return index, ok
}

// Take notes that a task was found, and tells whether it is the first time.
func (t *Tasks) Take(index int64) bool {
	before := t.found[index]
	t.found[index] = true
	return !before
}

// Found tells whether a task was found.
func (t *Tasks) Found(index int64) bool { return t.found[index] }

// Fill sets the results of a row, the columns whose positions are given, from
// a record. An error says which value does not fit, or breaks what its column
// declares.
//
// Arrays have the column's shape, its dimensions in this order or in the
// other; along a padded dimension they may be shorter.
func Fill(row table.Row, results []int, rec Record) error {
	for _, c := range results {
		column := row.Columns()[c]
		from := rec.cell(column.Name)
		if from == nil {
			return fmt.Errorf("dataset %s is missing", column.Name)
		}
		if err := fillColumn(row, c, *from); err != nil {
			return fmt.Errorf("dataset %s: %w", column.Name, err)
		}
	}
	return row.Check()
}

// KeyValues returns the key of a record as its columns have it: numbers that are
// text in the file are numbers.
func KeyValues(columns table.Columns, rec Record) ([]table.Value, error) {
	values := make([]table.Value, len(columns))
	for i, c := range columns {
		from := rec.cell(c.Name)
		value := goValue(from.Type, from.bytes)
		if text, isText := value.(string); isText && c.Type.Kind != table.String {
			if number, isNumber := numberOf(text); isNumber {
				value = number
			}
		}
		switch x := value.(type) {
		case string:
			values[i] = table.StringValue(x)
		case int64:
			values[i] = table.IntValue(x)
			if c.Type.IsFloat() {
				values[i] = table.FloatValue(float64(x))
			}
		case float64:
			values[i] = table.FloatValue(x)
			if !c.Type.IsFloat() {
				values[i] = table.IntValue(int64(x))
			}
		default:
			return nil, fmt.Errorf("key %s is no value", c.Name)
		}
	}
	return values, nil
}

// CheckKey returns an error unless a record has numbers where the key columns
// declare numbers, and text where they declare text. The row takes the values; a
// value that its column has no room for is of no task, and no other type.
func CheckKey(row table.Row, keys int, rec Record) error {
	for i := 1; i <= keys; i++ {
		name := row.Columns()[i].Name
		from := rec.cell(name)
		if err := row.Set(i, 0, goValue(from.Type, from.bytes)); err != nil && !errors.Is(err, table.ErrOutOfRange) {
			return fmt.Errorf("key column %s: %w", name, err)
		}
	}
	return nil
}

func fillColumn(row table.Row, c int, from cell) error {
	column := row.Columns()[c]
	strides, err := stridesFor(column, from.Shape)
	if err != nil {
		return err
	}
	if from.elements() < int64(column.Elements()) {
		row.FillColumn(c)
	}
	size := from.Type.Bytes()
	at := make([]int64, len(from.Shape))
	for i := 0; i < len(from.bytes); i += size {
		to := 0
		for d, x := range at {
			to += int(x) * strides[d]
		}
		if err := row.Set(c, to, goValue(from.Type, from.bytes[i:i+size])); err != nil {
			return err
		}
		for d := len(at) - 1; d >= 0; d-- { // the next element
			if at[d]++; at[d] < from.Shape[d] {
				break
			}
			at[d] = 0
		}
	}
	return nil
}

// stridesFor returns how far apart neighbours along each dimension of the
// stored array are in the column.
func stridesFor(c table.Column, shape []int64) ([]int, error) {
	n := len(c.Shape)
	if len(shape) == 1 && shape[0] == 1 && n == 0 { // one value in an array
		return []int{0}, nil
	}
	of := make([]int, n)
	for i, stride := n-1, 1; i >= 0; i-- {
		of[i] = stride
		stride *= c.Shape[i].Size
	}
	if fits(c, shape, func(i int) int { return i }) {
		return of, nil
	}
	reversed := func(i int) int { return n - 1 - i }
	if !fits(c, shape, reversed) {
		return nil, fmt.Errorf("its shape %v is not that of the column", shape)
	}
	strides := make([]int, n)
	for i := range strides {
		strides[i] = of[reversed(i)]
	}
	return strides, nil
}

// fits tells whether dimension i of a stored array can be dimension place(i)
// of the column.
func fits(c table.Column, shape []int64, place func(i int) int) bool {
	if len(shape) != len(c.Shape) {
		return false
	}
	for i, n := range shape {
		d := c.Shape[place(i)]
		if n != int64(d.Size) && (n > int64(d.Size) || !c.IsPadded(d)) {
			return false
		}
	}
	return true
}

// goValue returns an element as table.Row.Set takes it.
func goValue(t h5.Type, b []byte) any {
	switch x := foreign.Element(t, b).(type) {
	case uint64:
		if x > 1<<63-1 {
			return errors.New("too large") // which Set refuses
		}
		return int64(x)
	case []byte:
		return string(x)
	default:
		return x
	}
}
