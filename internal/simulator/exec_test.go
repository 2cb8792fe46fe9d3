package simulator_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
)

// fresh returns a bench that runs testdata/exec.py for each task.
func fresh(t *testing.T, keep string, timeout time.Duration, column table.Column, args ...string) *bench {
	t.Helper()
	s := commandSpec(timeout, []table.Column{column}, append([]string{"python3", "exec.py"}, args...)...)
	s.Simulator.Command.Exec = true
	script := message.File{Path: "exec.py", Digest: digest(t, "testdata/exec.py")}
	return newBench(t, s, simulator.Options{Dir: "testdata", Files: []message.File{script}, KeepFailed: keep})
}

var grid = table.Column{
	Name: "value", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "y", Size: 2}, {Name: "x", Size: 3}}, Finite: true,
}

func TestEachTaskHasAProcessAndADirectory(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	b := fresh(t, "", time.Minute, text, "where")
	for range 2 {
		if got := b.mustRun(t, ""); got != "params.json " {
			t.Errorf("got %q", got)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestParametersStandInArguments(t *testing.T) {
	t.Parallel()
	b := fresh(t, "", time.Minute, text, "arguments", "--hub={hub}", "{name}", "{n}x{n}", "{}", `{"a": 1}`, "$HOME; echo {name}")
	got := b.mustRun(t, `{"hub": 1.50, "name": "a b; rm *", "n": 3}`)
	if want := `--hub=1.50|a b; rm *|3x3|{}|{"a": 1}|$HOME; echo a b; rm *`; got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	wantFailure(t, b.run(t, `{"hub": 1, "name": "x"}`), message.ClassError, "the task has no parameter {n}")
}

func TestArraysComeInFiles(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"doubles", "fortran", "big_endian"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := fresh(t, "", time.Minute, grid, mode)
			b.mustRun(t, "")
			for i := range 6 {
				if got := b.row.Get(1, i); got != float64(i) {
					t.Errorf("element %d is %v", i, got)
				}
			}
		})
	}
}

func TestFailuresOfProcesses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode    string
		class   message.Class
		message string
	}{
		{"wrong_shape", message.ClassInvalidOutput, `column "value": file "v.npy": has the shape [3 2]; expected [2 3]`},
		{"short", message.ClassInvalidOutput, "has 40 bytes of data; expected 48"},
		{"objects", message.ClassInvalidOutput, "is not an array of numbers"},
		{"infinite", message.ClassInvalidOutput, `column "value"`},
		{"link", message.ClassInvalidOutput, "is a link"},
		{"outside", message.ClassInvalidOutput, "not the plain name of a file"},
		{"fifo", message.ClassInvalidOutput, "not a regular file"},
		{"absent", message.ClassInvalidOutput, "no such file"},
		{"silent", message.ClassInvalidOutput, "left no result.json"},
		{"list", message.ClassInvalidOutput, "not a JSON object"},
		{"fail", message.ClassCrash, "exited with status 1: no convergence"},
		{"segfault", message.ClassCrash, "killed by SIGSEGV"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			b := fresh(t, "", time.Minute, grid, tt.mode)
			failure := wantFailure(t, b.run(t, ""), tt.class, tt.message)
			if tt.mode == "fail" && !slices.Contains(failure.Log, "about to fail") {
				t.Errorf("log %q", failure.Log)
			}
		})
	}
}

func TestProcessThatHangsIsKilled(t *testing.T) {
	t.Parallel()
	b := fresh(t, "", 500*time.Millisecond, number, "hang")
	wantFailure(t, b.run(t, ""), message.ClassTimeout, "not done within 500ms")
}

// It has the output open; nobody waits for it.
func TestProcessInTheBackgroundEndsWithItsTask(t *testing.T) {
	t.Parallel()
	b := fresh(t, "", time.Hour, number, "background")
	if got := b.mustRun(t, ""); got != 1.0 {
		t.Errorf("got %v", got)
	}
}

func TestDirectoryOfAFailedTaskIsKeptOnRequest(t *testing.T) {
	t.Parallel()
	kept := t.TempDir()
	wantFailure(t, fresh(t, kept, time.Minute, number, "fail").run(t, `{"n": 3}`), message.ClassCrash, "no convergence")
	fresh(t, kept, time.Minute, number, "ok").mustRun(t, "")
	found, err := filepath.Glob(filepath.Join(kept, "windrow-task7-attempt1-*", "params.json"))
	if err != nil || len(found) != 1 {
		t.Fatalf("kept %v, %v", found, err)
	}
	params, err := os.ReadFile(found[0])
	if err != nil || !strings.Contains(string(params), `"params":{"n":3}`) {
		t.Errorf("params.json is %s, %v", params, err)
	}
}

func TestLongLivedProgramLeavesArraysInItsScratchDirectory(t *testing.T) {
	t.Parallel()
	b := newBench(t, commandSpec(time.Minute, []table.Column{grid}, "python3", "modes.py"), simulator.Options{Dir: "testdata"})
	b.mustRun(t, `{"mode": "array"}`)
	if got := b.row.Get(1, 5); got != 5.0 {
		t.Errorf("the last element is %v", got)
	}
	failure := b.run(t, `{"mode": "answer", "result": {"value": {"$npy": "v.npy"}}}`) // of the task before
	wantFailure(t, failure, message.ClassInvalidOutput, "no such file")
}

func TestScratchDirectoryIsEmptyAfterAFailure(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"error", "no_result", "fail", "segfault"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, commandSpec(time.Minute, []table.Column{grid}, "python3", "modes.py"), simulator.Options{Dir: "testdata"})
			if err := b.run(t, `{"mode": "array_then", "end": "`+end+`"}`); err == nil {
				t.Fatal("the task has not failed")
			}
			failure := b.run(t, `{"mode": "answer", "result": {"value": {"$npy": "v.npy"}}}`)
			wantFailure(t, failure, message.ClassInvalidOutput, "no such file")
		})
	}
}

func TestChangedProgramStopsTheNextTask(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "sim.sh")
	write(t, script, "echo '{\"value\": 1}' > result.json\n", 0o600)
	s := commandSpec(time.Minute, nil, "sh", "sim.sh")
	s.Simulator.Command.Exec = true
	b := newBench(t, s, simulator.Options{Dir: dir, Files: []message.File{{Path: "sim.sh", Digest: digest(t, script)}}})
	for range 2 {
		b.mustRun(t, "")
	}
	write(t, script, "echo '{\"value\": 2}' > result.json\n", 0o600) // as long as before
	if err := b.run(t, ""); !errors.Is(err, simulator.ErrFilesChanged) {
		t.Errorf("got %v", err)
	}
}
