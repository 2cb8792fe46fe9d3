package spec

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"windrow/internal/message"
	"windrow/internal/table"
	"windrow/internal/tasklist"
)

// openTaskList reads the task list that the spec names, if any.
func (s *Spec) openTaskList() Problems {
	if s.Tasks.File == "" || len(s.Tasks.Key) == 0 {
		return nil
	}
	path := s.find(s.Tasks.File)
	info, err := os.Stat(path)
	if err != nil {
		return Problems{s.Problem("tasks.file", s.Tasks.File, "%v", bare(err))}
	}
	if !info.Mode().IsRegular() { // it is read more than once
		return Problems{s.Problem("tasks.file", s.Tasks.File, "is not a regular file")}
	}
	s.list, err = tasklist.Open(path, s.Tasks.Key)
	problems, _ := errors.AsType[Problems](err) // what Open returns
	return problems
}

// find returns the path of a file that the spec names.
func (s *Spec) find(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir(), name)
}

// errNoList says that the spec came without the task list that it names.
var errNoList = errors.New("the task list is not at hand: only the spec's own file leads to it")

// TaskCount returns the number of tasks.
func (s *Spec) TaskCount() (int64, error) {
	switch {
	case s.Tasks.File == "":
		return s.Tasks.count(), nil
	case s.list == nil:
		return 0, errNoList
	}
	return s.list.Count(), nil
}

// KeyNames returns the names of the keys in their order.
func (s *Spec) KeyNames() []string {
	names := slices.Clone(s.Tasks.Key)
	for _, axis := range s.Tasks.Matrix {
		names = append(names, axis.Name)
	}
	return names
}

// KeyColumns returns the columns of the keys, one each and in their order: i32
// if all values fit, else i64; f64; or string(n).
func (s *Spec) KeyColumns() (table.Columns, error) {
	var columns table.Columns
	switch {
	case s.Tasks.File == "":
		for _, axis := range s.Tasks.Matrix {
			columns = append(columns, axis.span.Column(axis.Name))
		}
	case s.list == nil:
		return nil, errNoList
	default:
		columns = s.list.KeyColumns()
	}
	return columns, nil
}

// CodeColumns returns the companions of the keys whose values are text: an i8
// <name>_code with the position of the value on its axis, for readers that
// cannot select by text. They stand after the results, and table.Row.SetKey fills
// them. Keys of a task list, and with more than 127 values, have none.
func (s *Spec) CodeColumns() table.Columns {
	var columns table.Columns
	for _, axis := range s.Tasks.Matrix {
		if c, ok := axis.codes(); ok {
			columns = append(columns, c)
		}
	}
	return columns
}

func (a *Axis) codes() (table.Column, bool) {
	var texts []string
	for _, v := range a.values {
		text, ok := v.Any().(string)
		if !ok {
			return table.Column{}, false
		}
		texts = append(texts, text)
	}
	if texts == nil {
		return table.Column{}, false
	}
	return table.CodeColumn(a.Name, texts)
}

// TasksFrom yields the tasks from the one with index first on. A matrix works
// them out, a task list is streamed. Fields of a task list that are not in the
// key become the task's Params; package tasklist has the rules.
func (s *Spec) TasksFrom(first int64) iter.Seq2[message.Task, error] {
	switch {
	case first < 0:
		return failing(fmt.Errorf("task %d: tasks count from 0", first))
	case s.Tasks.File == "":
		return s.Tasks.combinations(first)
	case s.list == nil:
		return failing(errNoList)
	}
	return s.list.Tasks(first)
}

func failing(err error) iter.Seq2[message.Task, error] {
	return func(yield func(message.Task, error) bool) { yield(message.Task{}, err) }
}
