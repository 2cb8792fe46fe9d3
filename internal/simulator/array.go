package simulator

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"windrow/internal/table"
)

// array is what a file has for a column.
type array struct {
	shape []int
	at    func(i int) (any, error) // element i, counted with the last index fastest, as Row.Set takes it
}

// elements returns how many there are, if that is a number.
func (a array) elements() (n int, ok bool) {
	n = 1
	for _, size := range a.shape {
		if size < 0 || size > 0 && n > math.MaxInt32/size {
			return 0, false
		}
		n *= size
	}
	return n, true
}

// into puts the array into column c of row. Its shape is the column's, or
// shorter along padded dimensions, or it is flat with as many elements as the
// column.
func (a array) into(row table.Row, c int) error {
	column := row.Columns()[c]
	shape := make([]int, len(column.Shape))
	for i, d := range column.Shape {
		shape[i] = d.Size
	}
	if n := column.Elements(); slices.Equal(a.shape, []int{n}) {
		shape = a.shape
	} else if !a.fits(column) {
		return fmt.Errorf("has the shape %v; expected %v%s", a.shape, shape, orFewer(column))
	}
	n, _ := a.elements() // no more than the column has
	for i := range n {
		at := a.position(i, shape)
		value, err := a.at(i)
		if err == nil {
			err = row.Set(c, at, value)
		}
		if err != nil {
			return fmt.Errorf("element %d: %w", at, err)
		}
		if err := checkGiven(row, c, at); err != nil {
			return err
		}
	}
	return nil
}

// fits tells whether the array has the column's shape, or is shorter where the
// column is padded.
func (a array) fits(column table.Column) bool {
	if len(a.shape) != len(column.Shape) {
		return false
	}
	for i, d := range column.Shape {
		if a.shape[i] != d.Size && (a.shape[i] > d.Size || !column.IsPadded(d)) {
			return false
		}
	}
	return true
}

func orFewer(column table.Column) string {
	if len(column.Padded) == 0 {
		return ""
	}
	return ", or fewer along " + strings.Join(column.Padded, ", ")
}

// position returns where the element i of the array is in an array of the given
// shape, both counted with the last index fastest.
func (a array) position(i int, shape []int) int {
	position, stride := 0, 1
	for d, n := range slices.Backward(a.shape) {
		position += i % n * stride
		stride *= shape[d]
		i /= n
	}
	return position
}
