package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

func newDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two datasets: equal, or the first task and column that differ",
		Long: `Compare two datasets, value by value: equal, or the first task and column that
differ. The units and words of columns are compared too: units, long_name,
description, and the meanings of flags. Storage, and the attributes of the file,
may differ. NaN equals NaN.

Both must have a column ` + "`task`" + `, as datasets and shards of windrow have; h5diff,
of the HDF5 tools, compares other files. They are read in child processes with
limits. Exit code 0 if they are equal, 5 if they differ, cannot be read or have
no tasks.`,
		Example: `  windrow diff tenders.h5 again.h5`,
		Args:    exactly(2),
		RunE:    func(c *cobra.Command, args []string) error { return a.diff(c.Context(), args[0], args[1]) },
	}
}

// diffBytes is about how many bytes of a column are compared at a time.
const diffBytes = 4 << 20

// side is one of two files that are compared.
type side struct {
	reader  *foreign.Reader
	path    string
	columns []foreign.Dataset // of one value or more for each task, in the order of their names
	rows    int64
}

func (a *app) diff(ctx context.Context, first, second string) error {
	var sides [2]*side
	for i, path := range []string{first, second} {
		s, err := openSide(ctx, path)
		if errors.Is(err, errNoTasks) {
			return &exitError{exitCorrupt, fmt.Errorf("%s has %w", path, err), "h5diff " + first + " " + second}
		}
		if err != nil {
			return readError(path, err)
		}
		defer s.reader.Close()
		sides[i] = s
	}
	differ, err := differenceOf(ctx, sides[0], sides[1])
	if err != nil {
		return err
	}
	described := differentWords(sides[0], sides[1])
	if differ == "" && len(described) > 0 {
		differ = "the values are equal"
	}
	if differ != "" {
		return &exitError{exitCorrupt, errors.New(strings.Join(append([]string{differ}, described...), "\n")), ""}
	}
	fmt.Fprintf(a.stdout, "equal: %s rows, %s\n", humanize.Comma(sides[0].rows), plural(len(sides[0].columns), "column"))
	return nil
}

// readError makes what is wrong with a file the exit code of the command. Why one
// was not read says also what to do.
func readError(path string, err error) error {
	damage, ok := errors.AsType[*foreign.DamagedError](err)
	switch {
	case !ok:
		return err
	case damage.Unread:
		return &exitError{exitCorrupt, fmt.Errorf("%s: %s", path, damage.Verdict()), ""}
	}
	return &exitError{exitCorrupt, fmt.Errorf("%s: %s", path, damage.Reason), "windrow check " + path}
}

// errNoTasks is about a file whose rows have no tasks, by which they are compared.
var errNoTasks = errors.New("no column " + table.TaskColumn + ": it is no dataset of windrow's, whose rows are compared by it")

func openSide(ctx context.Context, path string) (*side, error) {
	r, err := newReader()
	if err != nil {
		return nil, err
	}
	s := &side{reader: r, path: path}
	if err := s.list(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return s, nil
}

func (s *side) list(ctx context.Context) error {
	root, err := s.reader.List(ctx, s.path, "/")
	if err != nil {
		return err
	}
	task := slices.IndexFunc(root.Datasets, func(d foreign.Dataset) bool { return d.Name == table.TaskColumn })
	if task < 0 || len(root.Datasets[task].Shape) != 1 || root.Datasets[task].Type.Kind != h5.Int64 {
		return errNoTasks
	}
	s.rows = root.Datasets[task].Shape[0]
	for _, d := range root.Datasets {
		isScale := slices.ContainsFunc(d.Attributes, func(a h5.Attribute) bool { return a.Name == "CLASS" })
		if !isScale && len(d.Shape) > 0 && d.Shape[0] == s.rows && d.Type.Kind != 0 {
			s.columns = append(s.columns, d)
		}
	}
	slices.SortFunc(s.columns, func(a, b foreign.Dataset) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// differenceOf says in words what differs first, or nothing.
func differenceOf(ctx context.Context, a, b *side) (string, error) {
	if text := a.otherColumns(b); text != "" {
		return text, nil
	}
	// The tasks come first: where rows are missing, all columns differ.
	at := slices.IndexFunc(a.columns, func(d foreign.Dataset) bool { return d.Name == table.TaskColumn })
	row, text, err := compareColumn(ctx, a, b, a.columns[at])
	if err != nil {
		return "", err
	}
	if text == "" && a.rows != b.rows {
		text = fmt.Sprintf("%s has %s rows, %s has %s", a.path, humanize.Comma(a.rows), b.path, humanize.Comma(b.rows))
	}
	if text != "" {
		return fmt.Sprintf("row %d: %s", row, text), nil
	}
	best := a.rows
	for _, d := range a.columns {
		row, found, err := compareColumn(ctx, a, b, d)
		if err != nil {
			return "", err
		}
		if found != "" && row < best {
			best, text = row, found
		}
	}
	if text == "" {
		return "", nil
	}
	task, err := a.reader.Read(ctx, a.path, "/"+table.TaskColumn, best, 1)
	if err != nil {
		return "", readError(a.path, err)
	}
	if len(task.Bytes) != 8 {
		return "", fmt.Errorf("read task of row %d: %d bytes", best, len(task.Bytes))
	}
	return fmt.Sprintf("task %d: %s", binary.LittleEndian.Uint64(task.Bytes), text), nil
}

// otherColumns says which column one has and the other has not, or in another
// form.
func (s *side) otherColumns(b *side) string {
	for _, pair := range [][2]*side{{s, b}, {b, s}} {
		for _, d := range pair[0].columns {
			i := slices.IndexFunc(pair[1].columns, func(e foreign.Dataset) bool { return e.Name == d.Name })
			if i < 0 {
				return fmt.Sprintf("column %s is in %s, and not in %s", d.Name, pair[0].path, pair[1].path)
			}
			if e := pair[1].columns[i]; e.Type != d.Type || !slices.Equal(e.Shape[1:], d.Shape[1:]) {
				return fmt.Sprintf("column %s is %s %v in %s, and %s %v in %s", d.Name, d.Type, d.Shape[1:], pair[0].path, e.Type, e.Shape[1:], pair[1].path)
			}
		}
	}
	return ""
}

// words are the attributes that say what the values of a column are.
var words = []string{"units", "long_name", "description", "flag_values", "flag_meanings"}

// differentWords says in which attributes columns differ that both have.
func differentWords(a, b *side) (found []string) {
	for _, d := range a.columns {
		i := slices.IndexFunc(b.columns, func(e foreign.Dataset) bool { return e.Name == d.Name })
		if i < 0 {
			continue
		}
		left, right := valuesOf(d.Attributes), valuesOf(b.columns[i].Attributes)
		for _, name := range words {
			if !reflect.DeepEqual(left[name], right[name]) {
				found = append(found, fmt.Sprintf("column %s: %s is %s in %s, %s in %s", d.Name, name, attributeWords(left[name]), a.path, attributeWords(right[name]), b.path))
			}
		}
	}
	return found
}

// attributeWords returns an attribute for a sentence.
func attributeWords(v any) string {
	switch v := v.(type) {
	case nil:
		return "missing"
	case string:
		return strconv.Quote(message.FirstLine(v, shownText))
	case []any:
		return joined(v, shownText)
	}
	return fmt.Sprint(v)
}

// compareColumn returns the first row in which a column differs, as far as both
// have rows, and says in words how. Without a difference the words are empty.
func compareColumn(ctx context.Context, a, b *side, d foreign.Dataset) (row int64, text string, err error) {
	rowBytes := int64(max(1, d.Type.Bytes()))
	for _, n := range d.Shape[1:] {
		rowBytes = saturate(rowBytes, n)
	}
	rows, step := min(a.rows, b.rows), max(1, diffBytes/max(1, rowBytes))
	for first := int64(0); first < rows; first += step {
		n := min(step, rows-first)
		left, err := a.reader.Read(ctx, a.path, "/"+d.Name, first, n)
		if err != nil {
			return 0, "", readError(a.path, err)
		}
		right, err := b.reader.Read(ctx, b.path, "/"+d.Name, first, n)
		if err != nil {
			return 0, "", readError(b.path, err)
		}
		if bytes.Equal(left.Bytes, right.Bytes) && slices.EqualFunc(left.Texts, right.Texts, bytes.Equal) {
			continue
		}
		if i := firstElement(d.Type, left, right); i >= 0 {
			perRow := rowBytes / int64(max(1, d.Type.Bytes()))
			row, where := first+int64(i)/max(1, perRow), ""
			if perRow > 1 {
				where = fmt.Sprintf(", element %d", int64(i)%perRow)
			}
			return row, fmt.Sprintf("column %s%s: %v in %s, %v in %s", d.Name, where, joined([]any{shownElement(d.Type, rawElement(d.Type, left, i))}, shownText), a.path,
				joined([]any{shownElement(d.Type, rawElement(d.Type, right, i))}, shownText), b.path), nil
		}
	}
	return rows, "", nil
}

// firstElement returns the first element that differs, or -1: NaN has many bit
// patterns.
func firstElement(t h5.Type, a, b foreign.Rows) int {
	n := min(len(a.Texts), len(b.Texts))
	if t.Kind != h5.VarText {
		n = min(len(a.Bytes), len(b.Bytes)) / t.Bytes()
	}
	for i := range n {
		left, right := rawElement(t, a, i), rawElement(t, b, i)
		if !bytes.Equal(left, right) && (!isNaN(t, left) || !isNaN(t, right)) {
			return i
		}
	}
	return -1
}

func rawElement(t h5.Type, rows foreign.Rows, i int) []byte {
	if t.Kind == h5.VarText {
		return rows.Texts[i]
	}
	size := t.Bytes()
	return rows.Bytes[i*size : (i+1)*size]
}

func isNaN(t h5.Type, raw []byte) bool {
	x, ok := foreign.Element(t, raw).(float64)
	return ok && math.IsNaN(x)
}
