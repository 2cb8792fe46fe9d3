package shard_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/shard"
	"windrow/internal/table"
)

var digest = message.Digest(strings.Repeat("ab", 32))

func columns() table.Columns {
	zero := 0.0
	return table.Columns{
		table.TaskIndex(),
		{Name: "farm_id", Type: table.Type{Kind: table.Int32}},
		{Name: "farm_type", Type: table.Type{Kind: table.Int32}},
		{Name: "seed", Type: table.Type{Kind: table.Int32}},
		{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 5}, {Name: "xy", Size: 2}}, Unit: "m"},
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Unit: "GWh", LongName: "annual energy production", Finite: true, Min: &zero},
		{Name: "ratio", Type: table.Type{Kind: table.Float32}},
		{Name: "feasible", Type: table.Type{Kind: table.Bool}},
		{Name: "quality", Type: table.Type{Kind: table.Int8}, Flags: []string{"good", "fair"}},
		{Name: "model", Type: table.Type{Kind: table.String, Length: 7}},
	}
}

// rows returns a row for each of the tasks.
func rows(tb testing.TB, tasks ...int64) *table.Block {
	tb.Helper()
	block := table.NewBlock(columns(), len(tasks))
	for _, task := range tasks {
		row := block.Append()
		row.SetTask(task)
		for c, value := range map[int]any{1: task % 10, 2: task % 6, 3: task / 60, 7: task%2 == 0, 8: task % 2, 9: "jensen"} {
			if err := row.Set(c, 0, value); err != nil {
				tb.Fatal(err)
			}
		}
		row.SetFloats(4, float64(task), 1.5, 2.5) // the other turbines are NaN
		row.SetFloats(5, 10+float64(task)/7)
		row.SetFloats(6, 0.25)
	}
	return block
}

func expected(block *table.Block) shard.Expected {
	want := shard.Expected{Columns: block.Columns()}
	for i := range block.Len() {
		want.Tasks = append(want.Tasks, block.Row(i).Task())
		want.Digests = append(want.Digests, block.Row(i).Digest())
	}
	return want
}

// write writes a shard as a worker does and returns what the worker announces.
func write(tb testing.TB, path string, block *table.Block) *message.Shard {
	tb.Helper()
	if err := errors.Join(shard.Write(path, digest, block), shard.Sync(path), shard.Validate(path, digest, expected(block))); err != nil {
		tb.Fatal(err)
	}
	sum, size, err := shard.Hash(path)
	if err != nil {
		tb.Fatal(err)
	}
	return &message.Shard{Name: filepath.Base(path), SHA256: sum, Bytes: size, Rows: message.RangesOf(expected(block).Tasks)}
}

// read returns the rows of a shard in one block.
func read(path string, e *message.Shard, d message.Digest, columns table.Columns) (*table.Block, error) {
	all := table.NewBlock(columns, 0)
	err := shard.Read(path, e, d, columns, func(rows *table.Block) error {
		from := all.Len()
		all.Grow(rows.Len())
		for i := range rows.Len() {
			for c := range columns {
				copy(all.Row(from+i).Bytes(c), rows.Row(i).Bytes(c))
			}
		}
		return nil
	})
	return all, err
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	want := rows(t, 3, 4, 5, 17, 1<<30)
	e := write(t, path, want)
	got, err := read(path, e, digest, columns())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(expected(want), expected(got)); diff != "" {
		t.Error(diff)
	}
}

func TestEqualRowsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.h5"), rows(t, 1, 2, 3))
	b := write(t, filepath.Join(dir, "b.h5"), rows(t, 1, 2, 3))
	if a.SHA256 != b.SHA256 {
		t.Errorf("two shards with the same rows differ: %s, %s", a.SHA256, b.SHA256)
	}
}

func TestWriteNeverReplaces(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shard.Write(path, digest, rows(t, 1)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %v", err, fs.ErrExist)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
		t.Errorf("the file that was there: %q, %v", content, err)
	}
}

func TestWriteRefusesNoRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	if err := shard.Write(path, digest, rows(t)); err == nil {
		t.Error("a shard without rows was written")
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	block := rows(t, 7, 8, 9)
	write(t, path, block)
	for name, c := range map[string]struct {
		change func(*shard.Expected)
		want   string
	}{
		"another task":   {func(e *shard.Expected) { e.Tasks[1] = 11 }, "row 1: dataset task: task 8, expected 11"},
		"fewer rows":     {func(e *shard.Expected) { e.Tasks, e.Digests = e.Tasks[:2], e.Digests[:2] }, "3 rows: expected 2"},
		"another digest": {func(e *shard.Expected) { e.Digests[2]++ }, "row 2: digest"},
		"another type":   {func(e *shard.Expected) { e.Columns[5].Type.Kind = table.Int64 }, "aep"},
		"another shape":  {func(e *shard.Expected) { e.Columns[4].Shape[0].Size = 4 }, "layout"},
		"another string": {func(e *shard.Expected) { e.Columns[9].Type.Length = 8 }, "model"},
		"another column": {func(e *shard.Expected) { e.Columns[6].Name = "share" }, "share"},
		"a contract":     {func(e *shard.Expected) { low := 100.0; e.Columns[5].Min = &low }, `row 0: column "aep"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := expected(rows(t, 7, 8, 9))
			c.change(&want)
			if err := shard.Validate(path, digest, want); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if err := shard.Validate(path, message.Digest(strings.Repeat("cd", 32)), expected(block)); !errors.Is(err, message.ErrOtherRun) {
		t.Errorf("error %v, want %v", err, message.ErrOtherRun)
	}
}

func TestValidateFindsEachChangedRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	block := rows(t, 7, 8, 9)
	write(t, filepath.Join(dir, "a.h5"), block)
	content, err := os.ReadFile(filepath.Join(dir, "a.h5"))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, block.Column(5))
	if at < 0 {
		t.Fatal("the column aep is not in the file")
	}
	for offset := range len(block.Column(5)) {
		path := filepath.Join(dir, "b.h5")
		if err := os.WriteFile(path, flip(content, at+offset), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := shard.Validate(path, digest, expected(block)); err == nil {
			t.Errorf("bit flipped in byte %d of aep: accepted", offset)
		}
	}
}

// flip returns the content with one bit of byte at changed.
func flip(content []byte, at int) []byte {
	flipped := bytes.Clone(content)
	flipped[at] ^= 1 << (at % 8)
	return flipped
}

func TestReadRejectsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.h5")
	e := write(t, good, rows(t, 0, 1, 2, 3))
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.h5")
	check := func(what string, flaw message.Flaw, damaged []byte) {
		t.Helper()
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(bad, e, digest, columns()); !errors.Is(err, shard.ErrDamaged) || shard.FlawOf(err) != flaw {
			t.Errorf("%s: error %v, flaw %s, want %v, %s", what, err, shard.FlawOf(err), shard.ErrDamaged, flaw)
		}
	}
	check("empty", message.FlawSize, nil)
	check("longer", message.FlawSize, append(bytes.Clone(content), 0))
	check("zeros", message.FlawDigest, make([]byte, len(content)))
	for at := 0; at < len(content); at += 97 {
		check("truncated", message.FlawSize, content[:at])
		check("flipped", message.FlawDigest, flip(content, at))
	}
	if _, err := read(filepath.Join(dir, "gone.h5"), e, digest, columns()); !errors.Is(err, shard.ErrAbsent) || shard.FlawOf(err) != message.FlawAbsent {
		t.Errorf("deleted: error %v, want %v", err, shard.ErrAbsent)
	}
}

func TestReadRejectsWhatAnnouncesOtherRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	e := write(t, path, rows(t, 3, 4, 5))
	for name, ranges := range map[string]message.Ranges{
		"other tasks":  {{First: 4, Last: 6}},
		"fewer":        {{First: 3, Last: 4}},
		"more":         {{First: 3, Last: 6}},
		"far too many": {{First: 0, Last: message.MaxTasks - 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lie := *e
			lie.Rows = ranges
			got, err := read(path, &lie, digest, columns())
			if !errors.Is(err, shard.ErrDamaged) {
				t.Errorf("error %v, want %v", err, shard.ErrDamaged)
			}
			if got.Len() > 0 {
				t.Errorf("%d rows were handed out", got.Len())
			}
		})
	}
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		lie := *e
		lie.Bytes = 1 << 62
		if _, err := read(path, &lie, digest, columns()); !errors.Is(err, shard.ErrDamaged) {
			t.Errorf("error %v, want %v", err, shard.ErrDamaged)
		}
	})
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		other := message.Digest(strings.Repeat("cd", 32))
		if _, err := read(path, e, other, columns()); !errors.Is(err, shard.ErrDamaged) || !errors.Is(err, message.ErrOtherRun) || shard.FlawOf(err) != message.FlawContent {
			t.Errorf("error %v, want %v of another run", err, shard.ErrDamaged)
		}
	})
}

// TestPython reads a shard with h5py, as a user would.
func TestPython(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	write(t, path, rows(t, 0, 1, 2))
	python(t, "testdata/shard.py", path)
}

func python(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", args[0], err, out)
	}
}

func TestReadNoticesAChangeBetweenHashAndRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	tasks := make([]int64, 20_000)
	for i := range tasks {
		tasks[i] = int64(i)
	}
	e := write(t, path, rows(t, tasks...))
	for what, size := range map[string]int64{"zeros": e.Bytes, "truncated": 0} {
		visits := 0
		err := shard.Read(path, e, digest, columns(), func(*table.Block) error {
			visits++
			return errors.Join(os.Truncate(path, 0), os.Truncate(path, size))
		})
		if !errors.Is(err, shard.ErrDamaged) || shard.FlawOf(err) != message.FlawDigest || visits != 1 {
			t.Errorf("%s: error %v after %d blocks, want %v after the first", what, err, visits, shard.ErrDamaged)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		write(t, path, rows(t, tasks...))
	}
}

func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.h5")
	e := write(f, path, rows(f, 1, 2))
	content, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content[:100])
	f.Add(flip(content, 3000%len(content)))
	f.Fuzz(func(t *testing.T, damaged []byte) {
		if bytes.Equal(damaged, content) {
			return
		}
		path := filepath.Join(t.TempDir(), "b.h5")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(path, e, digest, columns()); !errors.Is(err, shard.ErrDamaged) {
			t.Errorf("error %v, want %v", err, shard.ErrDamaged)
		}
	})
}
