package simulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// resultHDF5 is what a process may leave instead of resultFile: a dataset for
// each column in the root, of its shape or a single value.
const resultHDF5 = "result.h5"

// hdf5Result is such a file. Only the child process of the reader opens it:
// nobody vouches for what a program of the user's has left there.
type hdf5Result struct {
	reader *foreign.Reader
	path   string
}

// into puts the result of a task into the columns of row from first on. Every
// column has to be there, and nothing else but scales, as netCDF writes them.
func (r hdf5Result) into(ctx context.Context, row table.Row, first int, columns table.Columns) error {
	if info, err := os.Lstat(r.path); err != nil || !info.Mode().IsRegular() {
		return invalid("%s is not a regular file", resultHDF5)
	}
	root, err := r.reader.List(ctx, r.path, "/")
	if err != nil {
		return damageOf(err)
	}
	for _, name := range slices.Concat(namesOf(root.Datasets), root.Groups, root.Damaged) {
		if columns.Index(name) < 0 {
			return invalid("%s: %q is not a column%s", resultHDF5, message.Cut(name, 64), suggestion(name, columns))
		}
	}
	for i, column := range columns {
		at := slices.IndexFunc(root.Datasets, func(d foreign.Dataset) bool { return d.Name == column.Name })
		if at < 0 {
			return invalid("column %q is missing in %s", column.Name, resultHDF5)
		}
		if len(column.Padded) > 0 {
			row.FillColumn(first + i)
		}
		if err := r.set(ctx, row, first+i, root.Datasets[at]); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(datasets []foreign.Dataset) []string {
	var names []string
	for _, d := range datasets {
		if !slices.ContainsFunc(d.Attributes, func(a h5.Attribute) bool { return a.Name == "CLASS" }) {
			names = append(names, d.Name)
		}
	}
	return names
}

// set puts a dataset into column c of row, if it is not too large for it.
func (r hdf5Result) set(ctx context.Context, row table.Row, c int, d foreign.Dataset) error {
	column := row.Columns()[c]
	if d.Type.Kind == 0 {
		return invalid("column %q: %s has neither numbers nor text there", column.Name, resultHDF5)
	}
	a, n := array{}, int64(1)
	for i, size := range d.Shape {
		if i == 0 {
			n = size
		}
		a.shape = append(a.shape, int(min(size, math.MaxInt32)))
	}
	if elements, ok := a.elements(); !ok || elements > column.Elements() {
		return invalid("column %q: %s has the shape %v there, of more than %d elements", column.Name, resultHDF5, d.Shape, column.Elements())
	}
	rows, err := r.reader.Read(ctx, r.path, d.Name, 0, n)
	if err != nil {
		return damageOf(err)
	}
	a.at = func(i int) (any, error) { return elementOf(rows, i) }
	err = a.into(row, c)
	if _, isFailure := errors.AsType[*Error](err); err != nil && !isFailure {
		return invalid("column %q: %s %v", column.Name, resultHDF5, err)
	}
	return err
}

// elementOf returns what Row.Set takes. The reader's child is not believed to
// have sent as many as it was asked for.
func elementOf(rows foreign.Rows, i int) (any, error) {
	var bytes []byte
	switch size := rows.Type.Bytes(); {
	case rows.Type.Kind == h5.VarText && i < len(rows.Texts):
		bytes = rows.Texts[i]
	case rows.Type.Kind != h5.VarText && (i+1)*size <= len(rows.Bytes):
		bytes = rows.Bytes[i*size : (i+1)*size]
	default:
		return nil, errors.New("ends before it")
	}
	switch x := foreign.Element(rows.Type, bytes).(type) {
	case uint64:
		if x > math.MaxInt64 {
			return nil, fmt.Errorf("%d is too large", x)
		}
		return int64(x), nil
	case []byte:
		return string(x), nil
	default:
		return x, nil
	}
}

// damageOf returns what is wrong with the file as the failure of its task. What
// is about this machine stays what it is.
func damageOf(err error) error {
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return invalid("%s: %s", resultHDF5, damage.Reason)
	}
	return err
}

// isThere tells whether there is such a file, whatever it is.
func (r hdf5Result) isThere() bool {
	_, err := os.Lstat(r.path)
	return err == nil
}
