package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"windrow/internal/dataset"
	"windrow/internal/h5"
	"windrow/internal/spec"
)

// withRows adds to the error of a corrupt dataset which rows it is about. The
// child that looks for them may die where the first one stopped: then there is
// nothing to add.
func (a *app) withRows(ctx context.Context, path string, corrupt *exitError) error {
	rows, err := askChild(ctx, path, "--differences")
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if text := strings.TrimSpace(string(rows)); err == nil && text != "" {
		corrupt.err = fmt.Errorf("%w\n%s", corrupt.err, text)
	}
	return corrupt
}

func (a *app) differInside(ctx context.Context, path string) error {
	if err := limitInside(path, 0); err != nil {
		return err
	}
	found, err := dataset.FindDifferences(ctx, path)
	if err != nil {
		return err
	}
	if len(found.Contents) > 0 {
		fmt.Fprintf(a.stdout, "not what was sealed: %s\n", strings.Join(found.Contents, ", "))
	}
	named := int64(0)
	for _, changed := range found.Rows {
		named += changed.Last - changed.First + 1
		fmt.Fprintf(a.stdout, "%s\n", describeChanged(path, changed))
	}
	if more := found.Count - named; more > 0 {
		fmt.Fprintf(a.stdout, "and %s\n", plural(int(more), "more row"))
	}
	return nil
}

// describeChanged says which rows they are, as `row 7 (task 9: farm_id=1,seed=5): aep differs`.
func describeChanged(path string, c dataset.Changed) string {
	columns, flaw := strings.Join(c.Columns, ", "), "differs"
	switch {
	case c.Unreadable:
		flaw = "cannot be read"
	case len(c.Columns) > 1:
		columns, flaw = "one or more of "+columns, "differ"
	}
	tasks := "task " + humanize.Comma(c.FirstTask)
	if key := storedKey(path, c); key != "" {
		tasks += ": " + key
	}
	if c.First == c.Last {
		return fmt.Sprintf("row %s (%s): %s %s", humanize.Comma(c.First), tasks, columns, flaw)
	}
	return fmt.Sprintf("rows %s to %s (from %s): %s %s", humanize.Comma(c.First), humanize.Comma(c.Last), tasks, columns, flaw)
}

// storedKey returns the key of the first of the rows: as the spec in the dataset
// has it, or where that does not tell, as the row has it. It is empty if neither
// can be read.
func storedKey(path string, c dataset.Changed) string {
	key, err := readKey(path, c)
	if err != nil {
		return ""
	}
	return key
}

func readKey(path string, c dataset.Changed) (key string, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	text, err := f.String("spec")
	if err != nil {
		return "", err
	}
	s, err := spec.Decode([]byte(text))
	if err != nil {
		return "", err
	}
	if s.Tasks.File != "" {
		return keyInFile(f, s.Tasks.Key, c.First)
	}
	columns, err := s.KeyColumns()
	if err != nil {
		return "", err
	}
	for task, err := range s.TasksFrom(c.FirstTask) {
		return describeKey(columns, task.Key), err
	}
	return "", nil
}

func keyInFile(f *h5.File, names []string, row int64) (string, error) {
	parts := make([]string, len(names))
	for i, name := range names {
		value, err := elementInFile(f, name, row)
		if err != nil {
			return "", err
		}
		parts[i] = fmt.Sprintf("%s=%v", name, value)
	}
	return strings.Join(parts, ","), nil
}

func elementInFile(f *h5.File, name string, row int64) (value any, err error) {
	d, err := f.Dataset(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	t, err := d.Any()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, t.Bytes())
	if err := d.ReadAny(row, 1, raw); err != nil {
		return nil, err
	}
	return shownElement(t, raw), nil
}
