package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// recompute computes up to n rows of the dataset again, evenly spaced over it,
// and returns how many. A failed task's row has nothing to compute.
func recompute(path string, n int64) (done int64, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	check, err := openFarmCheck(f, filepath.Dir(path))
	switch {
	case errors.Is(err, simulator.ErrNoFarms):
		return 0, &exitError{exitUsage, err, ""}
	case errors.Is(err, simulator.ErrNoInputs):
		return 0, &exitError{exitUsage, fmt.Errorf("%w: give the same command in the directory of the spec", err), ""}
	}
	if err != nil {
		return 0, &exitError{exitCorrupt, err, ""}
	}
	set, err := column.Open(f, "", check.Columns())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	block := table.NewBlock(check.Columns(), 0)
	block.Grow(1)
	n = min(n, set.Rows())
	for i := range n {
		row := i * set.Rows() / n
		if err := set.Read(row, block); err != nil {
			return 0, err
		}
		checked, err := check.Check(block.Row(0))
		if err != nil {
			return 0, &exitError{exitCorrupt, fmt.Errorf("row %d: %w", row, err), ""}
		}
		if checked {
			done++
		}
	}
	return done, nil
}

// openFarmCheck takes the files that the spec names from the working directory, or
// from that of the dataset: where the spec was, the dataset does not say.
func openFarmCheck(f *h5.File, beside string) (check *simulator.FarmCheck, err error) {
	text, err := f.String("spec")
	if err != nil {
		return nil, err
	}
	s, err := spec.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read the spec in the dataset: %w", err)
	}
	if s.Simulator.Windfarm == nil {
		return nil, simulator.ErrNoFarms
	}
	turbines, err := roomForTurbines(f)
	if err != nil {
		return nil, err
	}
	var farmType table.Type
	if s.Simulator.Windfarm.Site == spec.Tenders {
		if farmType, err = typeOf(f, "farm_type"); err != nil {
			return nil, err
		}
	}
	dirs := []string{"."}
	if beside != "." {
		dirs = append(dirs, beside)
	}
	return simulator.NewFarmCheck(s, dirs, turbines, farmType)
}

func roomForTurbines(f *h5.File) (turbines int, err error) {
	layout, err := f.Dataset("layout")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, layout.Close()) }()
	dims, err := layout.Dims()
	if err != nil {
		return 0, err
	}
	if len(dims) != 3 || dims[1] < 1 || dims[1] > table.MaxRowBytes {
		return 0, fmt.Errorf("dataset layout has the shape %v", dims)
	}
	return int(dims[1]), nil
}

// typeOf returns the type of an integer key, which depends on its values.
func typeOf(f *h5.File, key string) (t table.Type, err error) {
	d, err := f.Dataset(key)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for _, kind := range []table.Kind{table.Int8, table.Int32, table.Int64} {
		if t := (table.Type{Kind: kind}); d.Is(column.Type(t)) {
			return t, nil
		}
	}
	return t, fmt.Errorf("dataset %s does not hold integers", key)
}
