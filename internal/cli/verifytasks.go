package cli

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// checkTasks compares the keys of all rows of a dataset with the task list that
// its own spec describes, and returns how many rows it compared: none where the
// list is in a file, which the dataset has not.
func checkTasks(ctx context.Context, path string, tasks int64) (checked int64, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := f.String("spec")
	if err != nil {
		return 0, err
	}
	s, err := spec.Decode([]byte(text))
	if err != nil {
		return 0, fmt.Errorf("read the spec in the dataset: %w", err)
	}
	if s.Tasks.File != "" {
		return 0, nil
	}
	if n, err := s.TaskCount(); err != nil || n != tasks {
		return 0, corruptTasks("its spec describes %d tasks, and it says to have %d", n, tasks)
	}
	keys, err := s.KeyColumns()
	if err != nil {
		return 0, err
	}
	set, err := column.Open(f, "", append(table.Columns{table.TaskIndex()}, keys...))
	if err != nil {
		return 0, corruptTasks("%v", err)
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	return compareKeys(ctx, set, s, keys)
}

const keyRows = 1 << 14 // that are compared at a time

func compareKeys(ctx context.Context, set *column.Set, s *spec.Spec, keys table.Columns) (checked int64, err error) {
	next, stop := iter.Pull2(s.TasksFrom(0))
	defer stop()
	block := table.NewBlock(append(table.Columns{table.TaskIndex()}, keys...), 0)
	block.Grow(int(min(keyRows, set.Rows())))
	for first := int64(0); first < set.Rows(); first += int64(block.Len()) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		block.Truncate(int(min(int64(block.Len()), set.Rows()-first)))
		if err := set.Read(first, block); err != nil {
			return 0, err
		}
		for i := range block.Len() {
			row := block.Row(i)
			task, err := taskAt(next, row.Task())
			if err != nil {
				return 0, err
			}
			if got, want := keyOf(row, keys), describeKey(keys, task.Key); got != want {
				return 0, corruptTasks("row %d is task %d with the key %s; the spec says %s", first+int64(i), row.Task(), got, want)
			}
		}
		checked += int64(block.Len())
	}
	return checked, nil
}

// taskAt goes on to the task with the index: those between have no row.
func taskAt(next func() (message.Task, error, bool), index int64) (message.Task, error) {
	for {
		task, err, ok := next()
		if err != nil {
			return task, err
		}
		if !ok {
			return task, corruptTasks("the spec has no task %d", index)
		}
		if task.Index == index {
			return task, nil
		}
	}
}

func keyOf(row table.Row, keys table.Columns) string {
	parts := make([]string, len(keys))
	for k, c := range keys {
		parts[k] = fmt.Sprintf("%s=%v", c.Name, row.Get(1+k, 0))
	}
	return strings.Join(parts, ",")
}

func describeKey(keys table.Columns, key []table.Value) string {
	parts := make([]string, len(keys))
	for k, c := range keys {
		parts[k] = fmt.Sprintf("%s=%v", c.Name, key[k].Any())
	}
	return strings.Join(parts, ",")
}

func corruptTasks(format string, args ...any) error {
	return &exitError{exitCorrupt, fmt.Errorf("dataset is corrupt: "+format, args...), ""}
}
