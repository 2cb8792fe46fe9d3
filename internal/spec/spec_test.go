package spec_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

const example = "../../examples/001-tenders/tenders.yaml"

func load(t *testing.T, path string) *spec.Spec {
	t.Helper()
	s, err := spec.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write makes a file in a directory of the test's own.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// noop returns a spec of noop tasks with a matrix, which starts in line 3.
func noop(t *testing.T, matrix string) *spec.Spec {
	t.Helper()
	return load(t, write(t, t.TempDir(), "x.yaml",
		"version: 1\nname: x\ntasks: {matrix: "+matrix+"}\nsimulator: {noop: {}}\noutput: {file: x.h5}\n"))
}

func canonical(t *testing.T, s *spec.Spec) string {
	t.Helper()
	c, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return string(c)
}

func TestLoadReadsEveryField(t *testing.T) {
	t.Parallel()
	s := load(t, "testdata/everything.yaml")
	zero, most := 0.0, 1e4
	columns := []table.Column{
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Unit: "GW h", Description: "yield", Min: &zero, Max: &most, Finite: true},
		{Name: "label", Type: table.Type{Kind: table.String, Length: 8}},
		{Name: "layout", Type: table.Type{Kind: table.Float32}, Shape: []table.Dim{{Name: "turbine", Size: 100}, {Name: "xy", Size: 2}}, Padded: []string{"turbine"}},
	}
	if diff := cmp.Diff(columns, s.Columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	command := &spec.Command{
		Args: []string{"./sim.sh", "sim.sh", "--fast", "tasks.csv", "no-such-file", "."}, Timeout: 90 * time.Minute,
		StartTimeout: 5 * time.Minute, MaxRSS: 2 << 30, Threads: 4, RecycleAfter: 500, Environment: []string{"MODEL_DATA=/data", "LICENSE"},
	}
	if diff := cmp.Diff(spec.Simulator{Command: command}, s.Simulator); diff != "" {
		t.Errorf("simulator (-want +got):\n%s", diff)
	}
	settings := message.Settings{
		Output: "x.h5", Storage: message.Gzip, Level: 6, Allow: message.Allowance{Percent: 0.5}, AbortIf: message.AbortIf{Percent: 10, After: 200}, Rows: message.KeepRows,
		Retry: message.Retry{Error: 3, Timeout: 1, InvalidOutput: 100}, AckWait: message.Duration(2 * time.Second), ShardSeconds: 0.5,
	}
	if diff := cmp.Diff(settings, s.Settings()); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if s.Name != "everything" || s.Seed != -7 || s.Output.File != "some/where/x.h5" || s.Dir() != "testdata" {
		t.Errorf("got name %q, seed %d, output %q, directory %q", s.Name, s.Seed, s.Output.File, s.Dir())
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	want := message.Settings{
		Output: "x.h5", Storage: message.Contiguous, Rows: message.DropRows, Retry: message.Retry{Error: 1, Crash: 2},
		AckWait: message.Duration(30 * time.Second), ShardSeconds: 5,
	}
	if diff := cmp.Diff(want, noop(t, "{a: 1}").Settings()); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	path := write(t, t.TempDir(), "x.yaml", "version: 1\nname: x\ntasks: {matrix: {a: 1}}\nsimulator: {command: [sim]}\n"+
		"columns: [{name: y, type: f64}]\noutput: {file: x.h5}\n")
	if got := load(t, path).Simulator.Command.Timeout; got != time.Hour {
		t.Errorf("a command has %s for a task: want 1h", got)
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := write(t, dir, "long.yaml", strings.Repeat("#", 1<<20+1))
	for path, want := range map[string]string{
		filepath.Join(dir, "no.yaml"): "no such file or directory",
		dir:                           "is a directory: expected a spec in YAML",
		long:                          "is longer than 1048576 bytes: long lists of tasks go into a file, see tasks.file",
	} {
		_, err := spec.Load(path)
		if _, ok := errors.AsType[spec.Problems](err); !ok || err.Error() != path+": "+want {
			t.Errorf("got %v\nwant %s: %s", err, path, want)
		}
	}
}

func TestLargeMatrixListIsRefused(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&list, "%d,", 2*i)
	}
	path := write(t, t.TempDir(), "x.yaml", "version: 1\nname: x\ntasks: {matrix: {a: ["+list.String()+"]}}\nsimulator: {noop: {}}\noutput: {file: x.h5}\n")
	_, err := spec.Load(path)
	if err == nil || !strings.Contains(err.Error(), "x.yaml:3: tasks.matrix: its lists make a spec of ") {
		t.Errorf("got %v", err)
	}
}

func TestProblemFindsTheLine(t *testing.T) {
	t.Parallel()
	s := load(t, "testdata/everything.yaml")
	for field, line := range map[string]int{
		"output.file": 10, "columns[1].type": 8, "columns[1].shape": 8, "columns[9]": 6, "tasks.matrix.seed": 4, "nowhere": 1,
	} {
		if p := s.Problem(field, nil, "is wrong"); p.Line != line {
			t.Errorf("%s: got line %d, want %d", field, p.Line, line)
		}
	}
	got := s.Problem("output.file", s.Output.File, "needs %d GB", 3).Error()
	if want := `testdata/everything.yaml:10: output.file: "some/where/x.h5": needs 3 GB`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFilesAreThoseThatTheSpecNames(t *testing.T) {
	t.Parallel()
	files, err := load(t, "testdata/everything.yaml").Files()
	if err != nil {
		t.Fatal(err)
	}
	script := message.Digest("275239824e00e61b0a220e61a41791c7e9b4bd726f8b0c27077a338f8131c9dc")
	list := message.Digest("2a87aae1a8774c2f87e0667facabbea36f32ad75460152755d33ab712a1448c0")
	want := []message.File{{Path: "./sim.sh", Digest: script}, {Path: "sim.sh", Digest: script}, {Path: "tasks.csv", Digest: list}}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "there.h5", "")
	if err := os.Mkdir(filepath.Join(dir, "dir.h5"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"there.h5":      "",
		"new.h5":        "",
		"dir.h5":        "is a directory: expected the path of a file",
		"no/x.h5":       "its directory " + dir + "/no cannot be used: no such file or directory",
		"there.h5/x.h5": dir + "/there.h5 is not a directory",
	} {
		s := noop(t, "{a: 1}")
		s.Output.File = filepath.Join(dir, name)
		err := s.CheckOutput()
		if want == "" && err == nil {
			continue
		}
		if err == nil || !strings.HasSuffix(err.Error(), fmt.Sprintf("x.yaml:5: output.file: %q: %s", s.Output.File, want)) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %d entries afterwards, %v: want 2", len(entries), err)
	}
}

func TestCheckOutputInReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere but on a read-only file system, which a test cannot mount")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	s := noop(t, "{a: 1}")
	s.Output.File = filepath.Join(dir, "x.h5")
	if err := s.CheckOutput(); err == nil || !strings.HasSuffix(err.Error(), dir+" is not writable: permission denied") {
		t.Errorf("got %v", err)
	}
}
