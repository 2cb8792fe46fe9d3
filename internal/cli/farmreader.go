package cli

import (
	"context"
	"errors"
	"fmt"

	"windrow/internal/foreign"
	"windrow/internal/spec"
)

// farmReader reads farms from a file that may be anybody's.
type farmReader struct {
	ctx    context.Context //nolint:containedctx // of one command
	reader *foreign.Reader
	file   string
	sets   map[string]foreign.Dataset // of the root
	groups []string                   // of the root
}

// open returns the model of the dataset, if it is the windfarm model with these
// columns, of so many dimensions.
func (f *farmReader) open(columns map[string]int) (*spec.Windfarm, error) {
	root, err := f.reader.List(f.ctx, f.file, "/")
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return nil, &exitError{exitCorrupt, fmt.Errorf("%s: %s", f.file, damage.Reason), "windrow check " + f.file}
	}
	if err != nil {
		return nil, err
	}
	f.groups = root.Groups
	f.sets = map[string]foreign.Dataset{}
	for _, d := range root.Datasets {
		f.sets[d.Name] = d
	}
	noFarms := &exitError{exitUsage, fmt.Errorf("%s has no farms of the windfarm model", f.file), "windrow inspect " + f.file}
	s, err := spec.Decode([]byte(textOf(valuesOf(root.Attributes), "spec")))
	if err != nil || s.Simulator.Windfarm == nil {
		return nil, noFarms
	}
	for name, dimensions := range columns {
		if d, ok := f.sets[name]; !ok || len(d.Shape) != dimensions || d.Shape[0] != f.sets["task"].Shape[0] {
			return nil, noFarms
		}
	}
	return s.Simulator.Windfarm, nil
}

// numbers reads n rows of a column.
func (f *farmReader) numbers(name string, first, n int64) ([]float64, error) {
	read, err := f.reader.Read(f.ctx, f.file, "/"+name, first, n)
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return nil, &exitError{exitCorrupt, fmt.Errorf("%s: %s", name, damage.Reason), "windrow check " + f.file}
	}
	if err != nil {
		return nil, err
	}
	kind := f.sets[name].Type
	numbers := make([]float64, 0, len(read.Bytes)/max(1, kind.Bytes()))
	for at := 0; at+kind.Bytes() <= len(read.Bytes) && kind.Bytes() > 0; at += kind.Bytes() {
		switch v := foreign.Element(kind, read.Bytes[at:at+kind.Bytes()]).(type) {
		case float64:
			numbers = append(numbers, v)
		case int64:
			numbers = append(numbers, float64(v))
		default:
			return nil, fmt.Errorf("column %s is not of numbers", name)
		}
	}
	if len(numbers) == 0 || int64(len(numbers))%n != 0 {
		return nil, fmt.Errorf("column %s has %d values in %d rows", name, len(numbers), n)
	}
	return numbers, nil
}
