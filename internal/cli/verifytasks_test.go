package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windrow/internal/dataset"
	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// sealedDataset makes a dataset of a spec with the keys (a, b), of which change
// may alter some, and the failures given.
func sealedDataset(t *testing.T, change func(task int64, key []int64), failed ...int64) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "spec.yaml")
	text := "version: 1\nname: x\ntasks: {matrix: {a: 0..2, b: [5, 7]}}\nsimulator: {noop: {}}\noutput: {file: out.h5}\nfailures: {allow: 6}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := spec.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := planSpec(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.h5")
	p, err := dataset.OpenPartial(out, dataset.Form{
		Digest: plan.Digest, Planned: plan.Planned, Rows: message.DropRows, Storage: message.Contiguous, Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	var failures []message.Failure
	rows := table.NewBlock(plan.Planned.Columns, 6)
	for task := range int64(6) {
		key := []int64{task / 2, 5 + 2*(task%2)}
		if len(failed) > 0 && failed[0] == task {
			failed = failed[1:]
			failures = append(failures, message.Failure{
				Index: task, Copy: 1, Class: message.ClassError, Attempts: 1,
				Key: []table.Value{table.IntValue(key[0]), table.IntValue(key[1])},
			})
			continue
		}
		change(task, key)
		row := rows.Append()
		row.SetTask(task)
		row.SetFloats(plan.Planned.Columns.Index("value"), 0.5)
		for k, v := range key {
			if err := row.Set(1+k, 0, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Copy(rows, rows.Digests()); err != nil {
		t.Fatal(err)
	}
	finished, err := p.Finish(t.Context(), failures, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := finished.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.Verify(t.Context(), out); err != nil {
		t.Fatal("its digests are not right: ", err)
	}
	return out
}

func TestKeysAreThoseOfTheSpec(t *testing.T) {
	t.Parallel()
	unchanged := func(int64, []int64) {}
	for name, test := range map[string]struct {
		change func(task int64, key []int64)
		failed []int64
		rows   int64
		want   string
	}{
		"right":           {unchanged, nil, 6, ""},
		"some failed":     {unchanged, []int64{0, 3}, 4, ""},
		"one is wrong":    {func(task int64, key []int64) { key[1] += task / 4 }, nil, 0, "row 4 is task 4 with the key a=2,b=6; the spec says a=2,b=5"},
		"behind a failed": {func(task int64, key []int64) { key[0] += task / 5 }, []int64{1}, 0, "row 4 is task 5 with the key a=3,b=7; the spec says a=2,b=7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := checkTasks(t.Context(), sealedDataset(t, test.change, test.failed...), 6)
			if rows != test.rows || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d rows, %v; want %d, %q", rows, err, test.rows, test.want)
			}
		})
	}
}
