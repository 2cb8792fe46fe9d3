package simulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/wind"
)

// layoutsInHDF5 are the layouts of an HDF5 file, read one by one in a process
// that may die of them.
type layoutsInHDF5 struct {
	reader   *foreign.Reader
	path     string
	layouts  int64
	turbines int
}

// mostTurbines bounds what a layout of a file may have.
const mostTurbines = 5000

func openLayouts(ctx context.Context, reader *foreign.Reader, path string) (*layoutsInHDF5, error) {
	root, err := reader.List(ctx, path, "/")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	i := slices.IndexFunc(root.Datasets, func(d foreign.Dataset) bool { return d.Name == layoutName })
	if i < 0 {
		return nil, fmt.Errorf("%s: has no dataset %s", path, layoutName)
	}
	d := root.Datasets[i]
	if len(d.Shape) != 3 || d.Shape[0] < 1 || d.Shape[1] < 1 || d.Shape[1] > mostTurbines || d.Shape[2] != 2 {
		return nil, fmt.Errorf("%s: %s has the shape %v: expected layouts, turbines (%d at most), 2", path, layoutName, d.Shape, mostTurbines)
	}
	if d.Type.Kind != h5.Float64 && d.Type.Kind != h5.Float32 {
		return nil, fmt.Errorf("%s: %s is not of floating point numbers", path, layoutName)
	}
	return &layoutsInHDF5{reader, path, d.Shape[0], int(d.Shape[1])}, nil
}

// Len implements windfile.Layouts.
func (l *layoutsInHDF5) Len() int64 { return l.layouts }

// MostTurbines implements windfile.Layouts.
func (l *layoutsInHDF5) MostTurbines() int { return l.turbines }

// Layout implements windfile.Layouts.
func (l *layoutsInHDF5) Layout(ctx context.Context, i int64) ([]wind.Point, error) {
	rows, err := l.reader.Read(ctx, l.path, layoutName, i, 1)
	if _, damaged := errors.AsType[*foreign.DamagedError](err); err != nil && !damaged {
		return nil, machineError{err}
	}
	if err != nil {
		return nil, fmt.Errorf("layout %d of %s: %w", i, l.path, err)
	}
	var layout []wind.Point
	size := rows.Type.Bytes()
	for at := 0; at+2*size <= len(rows.Bytes); at += 2 * size {
		x, _ := foreign.Element(rows.Type, rows.Bytes[at:at+size]).(float64)
		y, _ := foreign.Element(rows.Type, rows.Bytes[at+size:at+2*size]).(float64)
		if math.IsNaN(x) || math.IsNaN(y) {
			break // the farm has no more turbines
		}
		if math.IsInf(x, 0) || math.IsInf(y, 0) {
			return nil, fmt.Errorf("layout %d of %s: turbine %d is at %g, %g", i, l.path, len(layout), x, y)
		}
		layout = append(layout, wind.Point{X: x, Y: y})
	}
	if len(layout) == 0 {
		return nil, fmt.Errorf("layout %d of %s has no turbines", i, l.path)
	}
	return layout, nil
}
