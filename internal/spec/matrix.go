package spec

import (
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Axis is one key of a matrix and its values. A range is never expanded.
type Axis struct {
	Name string

	first, count int64         // of a range; count of a list too
	values       []table.Value // of a list
	span         table.KeySpan // of all values
}

// Len returns the number of values.
func (a *Axis) Len() int64 { return a.count }

// At returns value i, from 0.
func (a *Axis) At(i int64) table.Value {
	if a.values == nil {
		return table.IntValue(a.first + i)
	}
	return a.values[i]
}

// notation returns the axis as it is written in the canonical form: integers
// that count up by one are a range, however the user wrote them.
func (a *Axis) notation() any {
	if first, ok := a.countsFrom(); ok {
		return fmt.Sprintf("%d..%d", first, first+a.count-1)
	}
	return a.values
}

func (a *Axis) countsFrom() (first int64, ok bool) {
	if a.values == nil {
		return a.first, true
	}
	first, ok = a.values[0].Any().(int64)
	for i, v := range a.values {
		ok = ok && v == table.IntValue(first+int64(i))
	}
	return first, ok
}

var rangePattern = regexp.MustCompile(`^(-?[0-9]+)\.\.(-?[0-9]+)$`)

// parseRange reads first..last, both included.
func parseRange(s string) (first, last int64, err error) {
	parts := rangePattern.FindStringSubmatch(s)
	if parts == nil {
		return 0, 0, errors.New("expected a range of integers as in 0..9")
	}
	first, err1 := strconv.ParseInt(parts[1], 10, 64)
	last, err2 := strconv.ParseInt(parts[2], 10, 64)
	switch {
	case err1 != nil || err2 != nil:
		return 0, 0, errors.New("expected integers of 64 bits")
	case first > last:
		return 0, 0, fmt.Errorf("runs backwards: expected the smaller number first, as in %d..%d", last, first)
	case uint64(last)-uint64(first) >= message.MaxTasks: //nolint:gosec // the difference of the bits is right
		return 0, 0, fmt.Errorf("has more than %d values", message.MaxTasks)
	}
	return first, last, nil
}

// form declares the notations of an axis: a range, a list, or one value.
func (a *Axis) form() form.Shape {
	positions := map[table.Value]int{}
	add := func(i int, v table.Value) error {
		if first, ok := positions[v]; ok {
			return fmt.Errorf("repeats value %d of the list", first+1)
		}
		positions[v] = i
		return a.add(v)
	}
	return form.Values(a.setScalar, add, a.notation)
}

func (a *Axis) setScalar(v table.Value) error {
	text, ok := v.Any().(string)
	if !ok || !strings.Contains(text, "..") {
		return a.add(v)
	}
	first, last, err := parseRange(text)
	if err != nil {
		return err
	}
	a.first, a.count = first, last-first+1
	return errors.Join(a.span.Add(table.IntValue(first)), a.span.Add(table.IntValue(last)))
}

func (a *Axis) add(v table.Value) error {
	if text, ok := v.Any().(string); ok && rangePattern.MatchString(text) {
		return errors.New("a range stands alone, as in 0..9, not in a list")
	}
	if err := a.span.Add(v); err != nil {
		return err
	}
	a.values = append(a.values, v)
	a.count++
	return nil
}

// maxCanonicalBytes leaves room for the columns and files in the event that
// carries the canonical form.
const maxCanonicalBytes = message.MaxEventBytes / 2

// checkMatrix finds what is wrong with the matrix as a whole.
func (s *Spec) checkMatrix() Problems {
	n := int64(1)
	for _, axis := range s.Tasks.Matrix {
		if n *= max(axis.count, 1); n > message.MaxTasks { // both below 2^31: no overflow
			return Problems{s.Problem("tasks.matrix", nil, "has more than %d tasks", message.MaxTasks)}
		}
	}
	canonical, err := s.Canonical()
	if err == nil && len(canonical) > maxCanonicalBytes {
		return Problems{s.Problem("tasks.matrix", nil, "its lists make a spec of %d bytes in the canonical form: %d at most; longer lists go into tasks.file",
			len(canonical), maxCanonicalBytes)}
	}
	return nil
}

// count returns the number of combinations.
func (t *Tasks) count() int64 {
	n := int64(1)
	for i := range t.Matrix {
		n *= t.Matrix[i].count
	}
	return n
}

// combination returns the key of task index: its digits in the number system
// whose bases are the lengths of the axes, the last axis the lowest digit.
func (t *Tasks) combination(index int64) []table.Value {
	key := make([]table.Value, len(t.Matrix))
	for i := len(t.Matrix) - 1; i >= 0; i-- {
		axis := &t.Matrix[i]
		key[i] = axis.At(index % axis.count)
		index /= axis.count
	}
	return key
}

func (t *Tasks) combinations(first int64) iter.Seq2[message.Task, error] {
	return func(yield func(message.Task, error) bool) {
		for i, n := max(first, 0), t.count(); i < n; i++ {
			if !yield(message.Task{Index: i, Key: t.combination(i)}, nil) {
				return
			}
		}
	}
}
