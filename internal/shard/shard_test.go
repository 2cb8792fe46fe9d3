package shard_test

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

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
	want := shard.Expected{Columns: block.Columns(), Digests: block.Digests()}
	for i := range block.Len() {
		want.Tasks = append(want.Tasks, block.Row(i).Task())
	}
	return want
}

// write writes a shard as a worker does and returns what the worker announces.
func write(tb testing.TB, path string, block *table.Block) *message.Shard {
	tb.Helper()
	want := expected(block)
	if err := errors.Join(shard.Write(path, digest, block, want.Digests), shard.Sync(path)); err != nil {
		tb.Fatal(err)
	}
	extents, err := shard.Validate(path, digest, want)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := shard.Announce(path, extents, want)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// read returns the rows of a shard in one block.
func read(tb testing.TB, path string, e *message.Shard) (*table.Block, error) {
	tb.Helper()
	file, err := shard.Open(path, e, columns())
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return merge(tb, shard.Input{File: file, Tasks: e.Rows})
}

// merge returns the rows of all inputs in one block, ascending by their tasks.
func merge(tb testing.TB, inputs ...shard.Input) (*table.Block, error) {
	tb.Helper()
	var visiting sync.Mutex
	var blocks []*table.Block
	broken, err := shard.Merge(tb.Context(), columns(), inputs, func(rows *table.Block, digests []uint64) error {
		if !visiting.TryLock() {
			return errors.New("two visits at once")
		}
		defer visiting.Unlock()
		some := table.NewBlock(columns(), rows.Len())
		add(some, rows)
		if !slices.Equal(digests, some.Digests()) {
			return errors.New("other digests than those of the rows")
		}
		blocks = append(blocks, some)
		return nil
	})
	for _, reason := range broken {
		err = errors.Join(err, reason)
	}
	slices.SortFunc(blocks, func(a, b *table.Block) int { return cmp.Compare(a.Row(0).Task(), b.Row(0).Task()) })
	all := table.NewBlock(columns(), 0)
	for _, some := range blocks {
		add(all, some)
	}
	return all, err
}

func add(to, rows *table.Block) {
	from := to.Len()
	to.Grow(rows.Len())
	for c := range rows.Columns() {
		copy(to.Column(c)[from*rows.Columns()[c].RowBytes():], rows.Column(c))
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	want := rows(t, 3, 4, 5, 17, 1<<30)
	e := write(t, path, want)
	got, err := read(t, path, e)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(expected(want), expected(got)); diff != "" {
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
	if err := shard.Write(path, digest, rows(t, 1), []uint64{1}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want %v", err, fs.ErrExist)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "mine" {
		t.Errorf("the file that was there: %q, %v", content, err)
	}
}

func TestWriteRefusesNoRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	if err := shard.Write(path, digest, rows(t), nil); err == nil {
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
			if _, err := shard.Validate(path, digest, want); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := shard.Validate(path, message.Digest(strings.Repeat("cd", 32)), expected(block)); !errors.Is(err, message.ErrOtherRun) {
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
		if _, err := shard.Validate(path, digest, expected(block)); err == nil {
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
		if _, err := read(t, bad, e); !errors.Is(err, shard.ErrDamaged) || shard.FlawOf(err) != flaw {
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
	if _, err := read(t, filepath.Join(dir, "gone.h5"), e); !errors.Is(err, shard.ErrAbsent) || shard.FlawOf(err) != message.FlawAbsent {
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
			got, err := read(t, path, &lie)
			if !errors.Is(err, shard.ErrDamaged) {
				t.Errorf("error %v, want %v", err, shard.ErrDamaged)
			}
			if got != nil && got.Len() > 0 {
				t.Errorf("%d rows were handed out", got.Len())
			}
		})
	}
	t.Run("size", func(t *testing.T) {
		t.Parallel()
		lie := *e
		lie.Bytes = 1 << 62
		if _, err := read(t, path, &lie); !errors.Is(err, shard.ErrDamaged) {
			t.Errorf("error %v, want %v", err, shard.ErrDamaged)
		}
	})
	for name, change := range map[string]func(*message.Shard){
		"one column less":       func(e *message.Shard) { e.Offsets = e.Offsets[1:] },
		"columns that overlap":  func(e *message.Shard) { e.Offsets[1] = e.Offsets[0] },
		"a column at the end":   func(e *message.Shard) { e.Offsets[4] = e.Bytes - 1 },
		"columns in each other": func(e *message.Shard) { e.Offsets[2], e.Offsets[3] = e.Offsets[3], e.Offsets[2] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lie := *e
			lie.Offsets = slices.Clone(e.Offsets)
			change(&lie)
			if _, err := read(t, path, &lie); !errors.Is(err, shard.ErrDamaged) {
				t.Errorf("error %v, want %v", err, shard.ErrDamaged)
			}
		})
	}
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

// TestMergeNoticesAChange damages a shard that is open, after its first rows were
// read: those that follow are not taken.
func TestMergeNoticesAChange(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.h5")
	tasks := make([]int64, 20_000)
	for i := range tasks {
		tasks[i] = int64(i)
	}
	for what, flaw := range map[string]message.Flaw{"zeros": message.FlawDigest, "truncated": message.FlawSize} {
		e := write(t, path, rows(t, tasks...))
		size := map[string]int64{"zeros": e.Bytes}[what]
		file, err := shard.Open(path, e, columns())
		if err != nil {
			t.Fatal(err)
		}
		visits := 0
		broken, err := shard.Merge(t.Context(), columns(), []shard.Input{{File: file, Tasks: e.Rows}}, func(*table.Block, []uint64) error {
			visits++
			return errors.Join(os.Truncate(path, 0), os.Truncate(path, size))
		})
		if reason := broken[file]; err != nil || !errors.Is(reason, shard.ErrDamaged) || shard.FlawOf(reason) != flaw || visits != 1 {
			t.Errorf("%s: %v, %v after %d blocks, want %v after the first", what, reason, err, visits, shard.ErrDamaged)
		}
		if err := errors.Join(file.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMergeGoesOnWithoutTheBroken damages the first row of one of two shards.
func TestMergeGoesOnWithoutTheBroken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var inputs []shard.Input
	for i, tasks := range [][]int64{{0, 3, 4}, {1, 2, 5}} {
		path := filepath.Join(dir, strconv.Itoa(i))
		e := write(t, path, rows(t, tasks...))
		if i == 0 {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, flip(content, int(e.Offsets[4])), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file, err := shard.Open(path, e, columns())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		inputs = append(inputs, shard.Input{File: file, Tasks: e.Rows})
	}
	got, err := merge(t, inputs...)
	if !errors.Is(err, shard.ErrDamaged) || !strings.Contains(err.Error(), "row 0 has the digest") {
		t.Errorf("error %v, want %v", err, shard.ErrDamaged)
	}
	if diff := gocmp.Diff(expected(rows(t, 1, 2, 5)), expected(got)); diff != "" {
		t.Error(diff)
	}
}

// TestMergeOrdersTheRowsOfAllShards deals tasks to shards at random, of which
// some rows are not wanted.
func TestMergeOrdersTheRowsOfAllShards(t *testing.T) {
	t.Parallel()
	const shards, n = 7, 30_000
	dir, random := t.TempDir(), rand.New(rand.NewPCG(3, 3))
	dealt, wanted := make([][]int64, shards), make([][]int64, shards)
	var all []int64
	for task := range int64(n) {
		if task > n/3 && task < n/2 {
			continue // nobody has these
		}
		k := random.IntN(shards)
		dealt[k] = append(dealt[k], task)
		if random.IntN(10) > 0 {
			wanted[k], all = append(wanted[k], task), append(all, task)
		}
	}
	var inputs []shard.Input
	for k := range shards {
		path := filepath.Join(dir, strconv.Itoa(k))
		file, err := shard.Open(path, write(t, path, rows(t, dealt[k]...)), columns())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		inputs = append(inputs, shard.Input{File: file, Tasks: message.RangesOf(wanted[k])})
	}
	got, err := merge(t, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(expected(rows(t, all...)), expected(got)); diff != "" {
		t.Error(diff)
	}
}

// TestMergeInParts merges more bytes than one part has.
func TestMergeInParts(t *testing.T) {
	t.Parallel()
	const n = 800_000
	path := filepath.Join(t.TempDir(), "a.h5")
	tasks := make([]int64, n)
	for i := range tasks {
		tasks[i] = int64(2 * i)
	}
	want := rows(t, tasks...)
	got, err := read(t, path, write(t, path, want))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Digests(), want.Digests()) {
		t.Error("other rows than were written")
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
		if _, err := read(t, path, e); !errors.Is(err, shard.ErrDamaged) {
			t.Errorf("error %v, want %v", err, shard.ErrDamaged)
		}
	})
}
