package cli

import (
	"context"
	"errors"
	"slices"

	"windrow/internal/dataset"
	"windrow/internal/foreign"
	"windrow/internal/message"
)

// imported returns which rows of a dataset of windrow's are from files of other
// programs, as the dataset itself has it. What cannot be read is left out.
func (i *inspector) imported(ctx context.Context, root inspected) ([]dataset.Imported, error) {
	files, tasks := root.group("/imported"), inspected{}
	if files == nil || root.Attributes["windrow_format"] == nil {
		return nil, nil
	}
	if within := files.group("/imported/tasks"); within != nil {
		tasks = *within
	}
	var read [5][]any
	for n, path := range []string{"/imported/name", "/imported/sha256", "/imported/tasks/first", "/imported/tasks/last", "/imported/tasks/source"} {
		var err error
		if read[n], err = i.whole(ctx, append(slices.Clone(files.Datasets), tasks.Datasets...), path); err != nil {
			return nil, err
		}
	}
	names, sums, first, last, source := read[0], read[1], read[2], read[3], read[4]
	found := make([]dataset.Imported, min(len(names), len(sums)))
	for n := range found {
		name, _ := names[n].(string)
		sum, _ := sums[n].(string)
		found[n].Imported = message.Imported{File: name, SHA256: message.Digest(sum)}
	}
	for n := range min(len(first), len(last), len(source)) {
		from, _ := first[n].(int64)
		to, _ := last[n].(int64)
		if file, ok := source[n].(int64); ok && file >= 0 && file < int64(len(found)) {
			found[file].Rows = append(found[file].Rows, message.Range{First: from, Last: to})
		}
	}
	return found, nil
}

func (g *inspected) group(path string) *inspected {
	for i := range g.Groups {
		if g.Groups[i].Path == path {
			return &g.Groups[i]
		}
	}
	return nil
}

// whole returns the values of one of the datasets.
func (i *inspector) whole(ctx context.Context, among []inspectedDataset, path string) ([]any, error) {
	for _, d := range among {
		if d.Path != path || len(d.Shape) != 1 {
			continue
		}
		read, err := i.reader.Read(ctx, i.file, path, 0, d.Shape[0])
		if _, damaged := errors.AsType[*foreign.DamagedError](err); damaged {
			return nil, nil
		}
		return elementsOf(read.Type, read.Bytes, nil, d.Shape[0]), err
	}
	return nil, nil
}
