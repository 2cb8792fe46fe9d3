package spec_test

import (
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

func tasksFrom(t *testing.T, s *spec.Spec, first int64) []message.Task {
	t.Helper()
	var tasks []message.Task
	for task, err := range s.TasksFrom(first) {
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	return tasks
}

func key(values ...any) []table.Value {
	out := make([]table.Value, len(values))
	for i, v := range values {
		switch x := v.(type) {
		case int:
			out[i] = table.IntValue(int64(x))
		case float64:
			out[i] = table.FloatValue(x)
		case string:
			out[i] = table.StringValue(x)
		}
	}
	return out
}

// equal compares tasks by what they say, not how they hold it.
var equal = cmp.Comparer(func(a, b message.Task) bool { return a.SameWork(b) })

func TestFirstKeyOfAMatrixVariesSlowest(t *testing.T) {
	t.Parallel()
	got := tasksFrom(t, noop(t, "{z: [b, a], y: 0..1, x: [0.5]}"), 0)
	want := []message.Task{
		{Index: 0, Key: key("b", 0, 0.5)},
		{Index: 1, Key: key("b", 1, 0.5)},
		{Index: 2, Key: key("a", 0, 0.5)},
		{Index: 3, Key: key("a", 1, 0.5)},
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTaskListTasks(t *testing.T) {
	t.Parallel()
	got := tasksFrom(t, load(t, "testdata/everything.yaml"), 0)
	want := []message.Task{
		{Index: 0, Key: key("A", 1), Params: []byte(`{"density":1.225,"note":"windy \u003c3\u003e"}`)},
		{Index: 1, Key: key("A", 2), Params: []byte(`{"density":1.2,"note":null}`)},
		{Index: 2, Key: key("B", 1), Params: []byte(`{"density":1.225,"note":"007"}`)},
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTasksFromIsTheTailOfAllTasks(t *testing.T) {
	t.Parallel()
	for _, s := range []*spec.Spec{noop(t, "{a: 3..7, b: [x, y, z]}"), load(t, "testdata/everything.yaml")} {
		all := tasksFrom(t, s, 0)
		if n, err := s.TaskCount(); n != int64(len(all)) || err != nil {
			t.Errorf("%d tasks, but the count is %d, %v", len(all), n, err)
		}
		for first := range len(all) + 2 {
			tail := all[min(first, len(all)):]
			if got := tasksFrom(t, s, int64(first)); !slices.EqualFunc(got, tail, message.Task.SameWork) {
				t.Errorf("%s: tasks from %d: got %v, want %v", s.Path(), first, got, tail)
			}
		}
	}
}

func TestKeyColumns(t *testing.T) {
	t.Parallel()
	checkTypes(t, noop(t, "{small: [-2147483648, 2147483647]}"), "small i32")
	checkTypes(t, noop(t, "{range: 2147483647..2147483648}"), "range i64")
	checkTypes(t, noop(t, "{low: [-2147483649, 0], high: [2147483648]}"), "low i64", "high i64")
	checkTypes(t, noop(t, "{f: [0.5, 1.0], s: [north, se]}"), "f f64", "s string(5)", "s_code i8")
	checkTypes(t, load(t, "testdata/everything.yaml"), "site string(1)", "seed i32")
}

func checkTypes(t *testing.T, s *spec.Spec, want ...string) {
	t.Helper()
	columns, err := s.KeyColumns()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range append(columns, s.CodeColumns()...) {
		got = append(got, c.Name+" "+c.Type.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What KeyColumns and CodeColumns promise, the rows can hold.
func TestRowsHoldTheKeys(t *testing.T) {
	t.Parallel()
	s := noop(t, "{site: [north, se], seed: 1..2}")
	keys, err := s.KeyColumns()
	if err != nil {
		t.Fatal(err)
	}
	columns := slices.Concat(table.Columns{table.TaskIndex()}, keys, s.CodeColumns())
	if err := columns.Validate(); err != nil {
		t.Fatal(err)
	}
	block := table.NewBlock(columns, 4)
	for _, task := range tasksFrom(t, s, 0) {
		row := block.Append()
		if err := row.SetKey(task.Key); err != nil {
			t.Fatal(err)
		}
	}
	row := block.Row(2)
	if got := []any{row.Get(1, 0), row.Get(2, 0), row.Get(3, 0)}; !slices.Equal(got, []any{"se", int64(1), int64(1)}) {
		t.Errorf("got %v", got)
	}
}

func TestManyTextsHaveNoCodes(t *testing.T) {
	t.Parallel()
	texts := make([]byte, 0, 128*6)
	for i := range 128 {
		texts = append(texts, 'x', byte('a'+i/16), byte('a'+i%16), ',')
	}
	s := noop(t, "{a: ["+string(texts)+"]}")
	if codes := s.CodeColumns(); codes != nil {
		t.Errorf("got %v", codes)
	}
}

func TestChangedTaskListIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := write(t, dir, "tasks.csv", "a\n1\n2\n")
	s := load(t, write(t, dir, "x.yaml", "version: 1\nname: x\ntasks: {file: tasks.csv, key: [a]}\nsimulator: {noop: {}}\noutput: {file: x.h5}\n"))
	if err := os.WriteFile(list, []byte("a\n1\n2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	for _, err = range s.TasksFrom(0) {
	}
	if want := list + ": has changed since it was checked"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
