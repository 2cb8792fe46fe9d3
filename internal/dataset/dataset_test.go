package dataset_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/dataset"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

func columns() table.Columns {
	return table.Columns{
		table.TaskIndex(),
		{Name: "farm_id", Type: table.Type{Kind: table.Int32}, Unit: "1", LongName: "site"},
		{Name: "farm_type", Type: table.Type{Kind: table.Int32}, Unit: "1"},
		{Name: "seed", Type: table.Type{Kind: table.Int32}, Unit: "1"},
		{
			Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 5}, {Name: "xy", Size: 2}},
			Unit: "m", LongName: "turbine positions", Description: "NaN after n_turbines",
		},
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Unit: "GWh", LongName: "annual energy production", Finite: true},
		{Name: "n_turbines", Type: table.Type{Kind: table.Int32}, Unit: "1"},
		{Name: "feasible", Type: table.Type{Kind: table.Bool}},
		{Name: "model", Type: table.Type{Kind: table.String, Length: 7}},
	}
}

// form returns the form of a run of n tasks.
func form(n int64, policy message.RowsPolicy) dataset.Form {
	return dataset.Form{
		Digest: message.Digest(strings.Repeat("ab", 32)),
		Planned: &message.Planned{
			Name: "test", Tasks: n, Spec: json.RawMessage(`{"version":1,"name":"test"}`),
			Keys: []string{"farm_id", "farm_type", "seed"}, Columns: columns(), Model: "noop 1", Source: "computed by a test",
			Inputs: []message.Input{
				{Path: "turbines/0", Attributes: []message.Attribute{{Name: "name", Text: "v80"}, {Name: "rotor_diameter_m", Number: new(80.0)}}, Variables: []message.Numbers{
					{Name: "wind_speed", Unit: "m s-1", Dims: []string{"wind_speed"}, Values: []float64{4, 12, 25}},
					{Name: "power", Unit: "W", Dims: []string{"wind_speed"}, Values: []float64{0, 2e6, 2e6}},
				}},
				{Path: "wind", Variables: []message.Numbers{
					{Name: "wind_direction", Dims: []string{"wind_direction"}, Values: []float64{0, 180}},
					{Name: "wind_speed", Dims: []string{"wind_speed"}, Values: []float64{6, 8, 10}},
					{Name: "probability", Dims: []string{"wind_direction", "wind_speed"}, Values: []float64{0.1, 0.2, 0.3, 0.1, 0.1, 0.2}},
				}},
			},
		},
		Rows: policy, Storage: message.Contiguous, Version: "v0.0.0-test",
	}
}

func key(task int64) []table.Value {
	return []table.Value{table.IntValue(task % 10), table.IntValue(task % 6), table.IntValue(1000 + task/60)}
}

// rows returns a row for each of the tasks.
func rows(tb testing.TB, tasks ...int64) *table.Block {
	tb.Helper()
	block := table.NewBlock(columns(), len(tasks))
	for _, task := range tasks {
		row := block.Append()
		row.SetTask(task)
		for k, value := range key(task) {
			if err := row.Set(1+k, 0, value.Any()); err != nil {
				tb.Fatal(err)
			}
		}
		row.SetFloats(4, float64(task), 1.5, 2.5, 3.5)
		row.SetFloats(5, 10+float64(task)/7)
		for c, value := range map[int]any{6: int64(2), 7: task%2 == 0, 8: "jensen"} {
			if err := row.Set(c, 0, value); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return block
}

func upTo(n int64) []int64 {
	tasks := make([]int64, n)
	for i := range tasks {
		tasks[i] = int64(i)
	}
	return tasks
}

func open(tb testing.TB, out string, f dataset.Form) *dataset.Partial {
	tb.Helper()
	p, err := dataset.OpenPartial(out, f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() }) // often closed before
	return p
}

func has(p *dataset.Partial, task int64) bool {
	return p.Has(message.Ranges{{First: task, Last: task}})
}

func copyUnsynced(tb testing.TB, p *dataset.Partial, tasks ...int64) error {
	tb.Helper()
	block := rows(tb, tasks...)
	return p.Copy(block, block.Digests())
}

func copyRows(tb testing.TB, p *dataset.Partial, tasks ...int64) {
	tb.Helper()
	if err := errors.Join(copyUnsynced(tb, p, tasks...), p.Sync()); err != nil {
		tb.Fatal(err)
	}
}

func finish(tb testing.TB, p *dataset.Partial, failures ...message.Failure) *dataset.Finished {
	tb.Helper()
	finished, err := p.Finish(tb.Context(), failures, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return finished
}

// seal finishes and commits the dataset at out and checks that it verifies as
// what is to be sealed.
func seal(tb testing.TB, p *dataset.Partial, out string, failures ...message.Failure) dataset.Report {
	tb.Helper()
	finished := finish(tb, p, failures...)
	if err := errors.Join(finished.Commit(), p.Close()); err != nil {
		tb.Fatal(err)
	}
	report, err := dataset.Verify(tb.Context(), out)
	if err != nil {
		tb.Fatal(err)
	}
	got := message.Sealed{SHA256: report.SHA256, Bytes: report.Bytes, Rows: report.Rows, Failed: report.Failed}
	if diff := cmp.Diff(finished.Sealed, got); diff != "" {
		tb.Errorf("sealed and verified: %s", diff)
	}
	return report
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

func write(tb testing.TB, path string, content []byte) {
	tb.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func flip(tb testing.TB, path string, at int) {
	tb.Helper()
	content := read(tb, path)
	content[at] ^= 1 << (at % 8)
	write(tb, path, content)
}

// place returns where the bytes of column c of the tasks 0 to n-1 are in the
// content of a file.
func place(tb testing.TB, content []byte, c int, n int64) (offset, size int) {
	tb.Helper()
	column := rows(tb, upTo(n)...).Column(c)
	offset = bytes.LastIndex(content, column) // the scale row comes before task and equals it
	if offset < 0 {
		tb.Fatalf("column %d is not in the file", c)
	}
	return offset, len(column)
}

func python(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", args[0], err, out)
	}
}

func TestAnyOrderGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	const n = 120
	for _, c := range []struct {
		name     string
		policy   message.RowsPolicy
		failures []message.Failure
	}{
		{"complete", message.DropRows, nil},
		{"complete with status", message.KeepRows, nil},
		{"dropped", message.DropRows, someFailures()},
		{"kept", message.KeepRows, someFailures()},
	} {
		for _, storage := range storages {
			t.Run(c.name+" "+string(storage), func(t *testing.T) {
				t.Parallel()
				f := stored(form(n, c.policy), storage)
				var want dataset.Report
				for seed := range uint64(4) {
					out := filepath.Join(t.TempDir(), "out.h5")
					copyShuffled(t, out, f, c.failures, rand.New(rand.NewPCG(seed, 0)))
					p := open(t, out, f)
					got := seal(t, p, out, shuffled(c.failures, seed)...)
					if seed == 0 {
						want = got
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("seed %d: %s", seed, diff)
					}
				}
				if want.Storage != f.Storage || want.Level != f.Level {
					t.Errorf("stored as %s, level %d", want.Storage, want.Level)
				}
			})
		}
	}
}

var storages = []message.Storage{message.Contiguous, message.Chunked, message.Gzip}

// stored returns the form with a storage.
func stored(f dataset.Form, s message.Storage) dataset.Form {
	f.Storage, f.Level = s, 0
	if s == message.Gzip {
		f.Level = 1
	}
	return f
}

// copyShuffled copies all rows that did not fail in random blocks, in random
// order, and opens the partial anew between some of them.
func copyShuffled(t *testing.T, out string, f dataset.Form, failures []message.Failure, random *rand.Rand) {
	t.Helper()
	p := open(t, out, f)
	tasks := slices.DeleteFunc(upTo(f.Planned.Tasks), func(task int64) bool {
		return slices.ContainsFunc(failures, func(f message.Failure) bool { return f.Index == task })
	})
	random.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
	for len(tasks) > 0 {
		n := min(1+random.IntN(40), len(tasks))
		slices.Sort(tasks[:n])
		copyRows(t, p, tasks[:n]...)
		tasks = tasks[n:]
		if random.IntN(2) == 0 {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			p = open(t, out, f)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func someFailures() []message.Failure {
	return []message.Failure{
		{Index: 0, Key: key(0), Copy: 1, Class: message.ClassError, Message: "bad site in /tmp/x1/site.csv\nTraceback", Attempts: 2},
		{Index: 7, Key: key(7), Copy: 8, Class: message.ClassTimeout, Message: "no answer"},
		{Index: 119, Key: key(119), Copy: 120, Class: message.ClassLost, Message: ""},
	}
}

func shuffled(failures []message.Failure, seed uint64) []message.Failure {
	failures = slices.Clone(failures)
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(failures), func(i, j int) { failures[i], failures[j] = failures[j], failures[i] })
	for i := range failures { // what is not in the file must not matter
		failures[i].Attempts, failures[i].Seconds, failures[i].Copy = int(seed), float64(seed), seed+1
	}
	return failures
}

func TestScatteredCopiesGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	const n, shards = 20_000, 5
	f := form(n, message.DropRows)
	calm := filepath.Join(t.TempDir(), "calm.h5")
	p := open(t, calm, f)
	copyRows(t, p, upTo(n)...)
	want := seal(t, p, calm)

	out := filepath.Join(t.TempDir(), "out.h5")
	p = open(t, out, f)
	random := rand.New(rand.NewPCG(1, 1))
	shares := make([][]int64, shards)
	for task := range int64(n) {
		k := random.IntN(shards)
		shares[k] = append(shares[k], task)
	}
	for _, share := range shares {
		for some := range slices.Chunk(share, 512) {
			if err := copyUnsynced(t, p, some...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Sync(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, seal(t, p, out)); diff != "" {
		t.Error(diff)
	}
}

func TestPartialResumes(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(10, message.DropRows))
	copyRows(t, p, 3, 4, 9)
	if err := copyUnsynced(t, p, 5); err != nil { // not synced
		t.Fatal(err)
	}
	if !has(p, 5) || p.Copied() != 4 {
		t.Errorf("has 5: %v, copied %d; want true, 4", has(p, 5), p.Copied())
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, out, form(10, message.DropRows))
	for task := range int64(10) {
		if want := task == 3 || task == 4 || task == 9; has(p, task) != want {
			t.Errorf("after a reopen: has %d: %v, want %v", task, has(p, task), want)
		}
	}
	if p.Copied() != 3 {
		t.Errorf("copied %d, want 3", p.Copied())
	}
}

func TestCopyRefusesTasksOfNobody(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), "out.h5"), form(10, message.DropRows))
	if err := copyUnsynced(t, p, 1, 3, 7, 2); err != nil {
		t.Fatal(err)
	}
	for task, want := range map[int64]bool{0: false, 1: true, 2: true, 3: true, 4: false, 7: true} {
		if has(p, task) != want {
			t.Errorf("has %d: %v, want %v", task, has(p, task), want)
		}
	}
	if err := copyUnsynced(t, p, 10); err == nil {
		t.Error("a row of task 10 of 10 was copied")
	}
	if _, err := p.Finish(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "task 0 is neither") {
		t.Errorf("finish of an incomplete partial: %v", err)
	}
}

func TestOtherFormIsMadeAnew(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*dataset.Form){
		"run":     func(f *dataset.Form) { f.Digest = message.Digest(strings.Repeat("cd", 32)) },
		"version": func(f *dataset.Form) { f.Version = "v9.9.9" },
		"rows":    func(f *dataset.Form) { f.Rows = message.KeepRows },
		"columns": func(f *dataset.Form) { f.Planned.Columns[5].Unit = "MWh" },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.h5")
			copyRows(t, open(t, out, form(10, message.DropRows)), upTo(10)...)
			f := form(10, message.DropRows)
			change(&f)
			if p := open(t, out, f); p.Copied() != 0 {
				t.Errorf("%d rows of another form were taken over", p.Copied())
			}
		})
	}
}

func TestDamagedPartialIsMadeAnew(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	f := form(10, message.DropRows)
	for name, damage := range map[string]func(){
		"partial deleted":   func() { _ = os.Remove(out + ".partial") },
		"partial truncated": func() { write(t, out+".partial", read(t, out+".partial")[:5000]) },
		"partial empty":     func() { write(t, out+".partial", nil) },
		"superblock":        func() { flip(t, out+".partial", 0) },
		"metadata":          func() { flip(t, out+".partial", 300) },
		"rows deleted":      func() { _ = os.Remove(out + ".rows") },
		"rows truncated":    func() { write(t, out+".rows", read(t, out+".rows")[:4100]) },
		"rows empty":        func() { write(t, out+".rows", nil) },
		"rows' header":      func() { flip(t, out+".rows", 20) },
	} {
		p := open(t, out, f)
		copyRows(t, p, upTo(10)...)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		damage()
		if p := open(t, out, f); p.Copied() != 0 {
			t.Errorf("%s: resumed with %d rows", name, p.Copied())
		}
	}
	copyRows(t, open(t, out, f), upTo(10)...)
	seal(t, open(t, out, f), out)
}

func TestEachFlippedBitOfARowIsFoundAndMended(t *testing.T) {
	t.Parallel()
	const n = 12
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(n, message.DropRows))
	copyRows(t, p, upTo(n)...)
	content := read(t, out+".partial")
	for c, column := range columns() {
		offset, size := place(t, content, c, n)
		for at := 0; at < size; at += 7 {
			flip(t, out+".partial", offset+at)
			task := int64(at / column.RowBytes())
			_, err := p.Finish(t.Context(), nil, nil)
			damaged, ok := errors.AsType[*dataset.DamagedError](err)
			if want := (message.Ranges{{First: task, Last: task}}); !ok || !cmp.Equal(damaged.Rows, want) {
				t.Fatalf("bit of byte %d of %s: error %v, want that row %d is damaged", at, column.Name, err, task)
			}
			if has(p, task) {
				t.Fatalf("the damaged row %d is still there", task)
			}
			copyRows(t, p, task)
		}
	}
	seal(t, p, out)
}

func TestFlippedBitAroundTheRowsIsFound(t *testing.T) {
	t.Parallel()
	const n = 12
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(n, message.DropRows))
	copyRows(t, p, upTo(n)...)
	content := read(t, out+".partial")
	rowBytes := map[int]bool{}
	for c := range columns() {
		offset, size := place(t, content, c, n)
		for at := range size {
			rowBytes[offset+at] = true
		}
	}
	finish(t, p) // writes the manifest
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	rowDigests := stretches(t, out+".partial")["manifest/row_digest"]
	for at := range 8 * n { // written anew at the end
		rowBytes[rowDigests.Offsets[0]+at] = true
	}
	digests := lastIndexOfDigests(t, out+".partial")
	for at := 3; at < len(content); at += 101 {
		if rowBytes[at] || at >= digests {
			continue
		}
		flip(t, out+".partial", at)
		p, err := dataset.OpenPartial(out, form(n, message.DropRows))
		if err != nil {
			t.Fatal(err)
		}
		if p.Copied() != 0 {
			t.Errorf("bit of byte %d: resumed", at)
		}
		copyRows(t, p, upTo(n)...)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// lastIndexOfDigests returns where the manifest's digests begin.
func lastIndexOfDigests(t *testing.T, path string) int {
	t.Helper()
	report, err := dataset.Verify(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Index(read(t, path), []byte(report.Contents[0].SHA256+report.Contents[1].SHA256))
}

func TestVerifyFindsEachFlippedBit(t *testing.T) {
	t.Parallel()
	for _, storage := range storages {
		t.Run(string(storage), func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.h5")
			p := open(t, out, stored(form(120, message.KeepRows), storage))
			copyRows(t, p, upTo(120)...)
			seal(t, p, out, someFailures()...)
			for at := 0; at < len(read(t, out)); at += 211 {
				flip(t, out, at)
				if _, err := dataset.Verify(t.Context(), out); !errors.Is(err, dataset.ErrCorrupt) {
					t.Errorf("bit of byte %d: error %v, want %v", at, err, dataset.ErrCorrupt)
				}
				flip(t, out, at)
			}
			if _, err := dataset.Verify(t.Context(), out); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVerifyRejectsOtherFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.h5")
	p := open(t, good, form(4, message.DropRows))
	copyRows(t, p, upTo(4)...)
	seal(t, p, good)
	bad := filepath.Join(dir, "bad.h5")
	content := read(t, good)
	for name, damaged := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "truncated": content[:len(content)-1], "half": content[:len(content)/2],
		"longer": append(bytes.Clone(content), 0),
	} {
		write(t, bad, damaged)
		if _, err := dataset.Verify(t.Context(), bad); !errors.Is(err, dataset.ErrCorrupt) {
			t.Errorf("%s: error %v, want %v", name, err, dataset.ErrCorrupt)
		}
	}
	if _, err := dataset.Verify(t.Context(), filepath.Join(dir, "none.h5")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v, want %v", err, os.ErrNotExist)
	}
}

func TestVerifyNamesTheDataset(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(12, message.DropRows))
	copyRows(t, p, upTo(12)...)
	seal(t, p, out)
	offset, _ := place(t, read(t, out), 5, 12)
	flip(t, out, offset+20)
	if _, err := dataset.Verify(t.Context(), out); err == nil || !strings.Contains(err.Error(), "dataset aep") {
		t.Errorf("error %v, want one that names aep", err)
	}
}

func TestCommittedIsSealedOnlyIfItIsThisDataset(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy   message.RowsPolicy
		storage  message.Storage
		failures []message.Failure
	}{
		"complete": {message.DropRows, message.Contiguous, nil},
		"dropped":  {message.DropRows, message.Contiguous, someFailures()},
		"kept":     {message.KeepRows, message.Contiguous, someFailures()},
		"gzip":     {message.DropRows, message.Gzip, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "out.h5")
			f := stored(form(120, c.policy), c.storage)
			committed := func(f dataset.Form, failures []message.Failure) *message.Sealed {
				t.Helper()
				sealed, err := dataset.Committed(t.Context(), out, f, failures, nil)
				if err != nil {
					t.Fatal(err)
				}
				return sealed
			}
			p := open(t, out, f)
			copyRows(t, p, upTo(120)...)
			finished := finish(t, p, c.failures...)
			if got := committed(f, c.failures); got != nil {
				t.Errorf("before the commit: %+v", got)
			}
			if err := finished.Commit(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&finished.Sealed, committed(f, c.failures)); diff != "" {
				t.Error(diff)
			}
			other := append(slices.Clone(c.failures), message.Failure{Index: 50, Key: key(50), Copy: 1, Class: message.ClassCrash})
			if got := committed(f, other); got != nil {
				t.Errorf("with one more failure: %+v", got)
			}
			f.Digest = message.Digest(strings.Repeat("cd", 32))
			if got := committed(f, c.failures); got != nil {
				t.Errorf("of another run: %+v", got)
			}
			f.Digest = message.Digest(strings.Repeat("ab", 32))
			f.Version = "v9.9.9"
			if got := committed(f, c.failures); got != nil {
				t.Errorf("of another version: %+v", got)
			}
			f.Version = "v0.0.0-test"
			if got := committed(stored(f, message.Chunked), c.failures); got != nil {
				t.Errorf("of another storage: %+v", got)
			}
			flip(t, out+".rows", len(read(t, out+".rows"))-8*60)
			if got := committed(f, c.failures); got != nil {
				t.Errorf("with another row: %+v", got)
			}
		})
	}
}

func TestRemoveLeavesTheDataset(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, "out.h5")
	p := open(t, out, form(120, message.DropRows))
	copyRows(t, p, upTo(120)...)
	seal(t, p, out, someFailures()...)
	if err := errors.Join(dataset.Remove(out), dataset.Remove(out)); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "out.h5" {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestAllTasksFailed(t *testing.T) {
	t.Parallel()
	for _, policy := range []message.RowsPolicy{message.DropRows, message.KeepRows} {
		out := filepath.Join(t.TempDir(), "out.h5")
		failure := message.Failure{Index: 0, Key: key(0), Copy: 1, Class: message.ClassError, Message: "no"}
		report := seal(t, open(t, out, form(1, policy)), out, failure)
		if report.Failed != 1 {
			t.Errorf("%s: %d failed", policy, report.Failed)
		}
	}
}

func TestReservedNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"manifest", "failed", "status", "row"} {
		f := form(1, message.KeepRows)
		f.Planned.Columns[5].Name = name
		if _, err := dataset.OpenPartial(filepath.Join(t.TempDir(), "out.h5"), f); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("column %s: error %v", name, err)
		}
	}
}

func TestSizeIsAnUpperBound(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	f := form(1000, message.KeepRows)
	open(t, out, f)
	info, err := os.Stat(out + ".partial")
	if err != nil {
		t.Fatal(err)
	}
	if size := dataset.Size(f); size < info.Size() || size > info.Size()+(2<<20) {
		t.Errorf("size %d, the partial has %d", size, info.Size())
	}
}

func TestFullDiskShowsBeforeRowsAreCopied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small tmpfs is not permitted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	out := filepath.Join(dir, "out.h5")
	_, err := dataset.OpenPartial(out, form(20_000, message.DropRows))
	full, ok := errors.AsType[*dataset.NoSpaceError](err)
	if !ok {
		t.Fatalf("error %v, want a *NoSpaceError", err)
	}
	if full.Needed < 20_000*120 || full.Available > 1<<20 {
		t.Errorf("needed %d, available %d", full.Needed, full.Available)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left on the full disk: %v, %v", entries, err)
	}
}

// TestPython reads datasets with h5py, as users do.
func TestPython(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy   message.RowsPolicy
		failures []message.Failure
	}{
		"complete": {message.DropRows, nil},
		"dropped":  {message.DropRows, someFailures()},
		"kept":     {message.KeepRows, someFailures()},
	} {
		for _, storage := range storages {
			t.Run(name+" "+string(storage), func(t *testing.T) {
				t.Parallel()
				out := filepath.Join(t.TempDir(), "out.h5")
				p := open(t, out, stored(form(120, c.policy), storage))
				copyRows(t, p, upTo(120)...)
				seal(t, p, out, c.failures...)
				python(t, "testdata/dataset.py", out, name, string(storage))
			})
		}
	}
}

// TestStorageDoesNotChangeRows seals the same rows in each storage, in several
// chunks, the last of which are not full.
func TestStorageDoesNotChangeRows(t *testing.T) {
	t.Parallel()
	const n = 40_000
	var want []dataset.Content
	for _, storage := range storages {
		out := filepath.Join(t.TempDir(), "out.h5")
		p := open(t, out, stored(form(n, message.DropRows), storage))
		copyRows(t, p, upTo(n)...)
		report := seal(t, p, out)
		columns := report.Contents[:len(report.Contents)-1] // but for the bytes around them
		if storage == message.Contiguous {
			want = columns
		}
		if diff := cmp.Diff(want, columns); diff != "" {
			t.Errorf("%s: %s", storage, diff)
		}
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for _, level := range []int{1, 6, 9} {
		out := filepath.Join(t.TempDir(), "out.h5")
		f := stored(form(20_000, message.DropRows), message.Gzip)
		f.Level = level
		p := open(t, out, f)
		copyRows(t, p, upTo(20_000)...)
		report := seal(t, p, out)
		if rows := int64(20_000 * f.Planned.Columns.RowBytes()); report.Level != level || report.Bytes > rows/2 {
			t.Errorf("level %d: reported as %d, %d bytes for rows of %d", level, report.Level, report.Bytes, rows)
		}
	}
}

// TestInputsAreGroups reads what the rows were computed with from a dataset of
// each storage.
func TestInputsAreGroups(t *testing.T) {
	t.Parallel()
	for _, storage := range storages {
		out := filepath.Join(t.TempDir(), "out.h5")
		p := open(t, out, stored(form(4, message.DropRows), storage))
		copyRows(t, p, upTo(4)...)
		seal(t, p, out)
		f, err := h5.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string][]float64{
			"turbines/0/power": {0, 2e6, 2e6}, "wind/wind_direction": {0, 180}, "wind/probability": {0.1, 0.2, 0.3, 0.1, 0.1, 0.2},
		} {
			if got := numbersOf(t, f, path); !slices.Equal(got, want) {
				t.Errorf("%s: %s has %v, want %v", storage, path, got, want)
			}
		}
		attributes, err := f.Attributes("turbines/0")
		if err != nil || len(attributes) != 2 || string(attributes[0].Texts[0]) != "v80" || attributes[1].Name != "rotor_diameter_m" {
			t.Errorf("%s: the turbine has the attributes %+v, %v", storage, attributes, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func numbersOf(t *testing.T, f *h5.File, path string) []float64 {
	t.Helper()
	d, err := f.Dataset(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	dims, err := d.Dims()
	if err != nil {
		t.Fatal(err)
	}
	size := 8
	for _, n := range dims {
		size *= int(n)
	}
	buffer := make([]byte, size)
	if err := d.Read(0, dims[0], buffer); err != nil {
		t.Fatal(err)
	}
	var numbers []float64
	for i := 0; i < size; i += 8 {
		numbers = append(numbers, math.Float64frombits(binary.LittleEndian.Uint64(buffer[i:])))
	}
	return numbers
}
