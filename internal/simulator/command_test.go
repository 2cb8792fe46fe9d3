package simulator_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

var (
	number = table.Column{Name: "value", Type: table.Type{Kind: table.Float64}, Finite: true}
	text   = table.Column{Name: "value", Type: table.Type{Kind: table.String, Length: 400}}
)

// commandSpec returns the spec of a command; without columns it has number.
func commandSpec(timeout time.Duration, columns []table.Column, args ...string) *spec.Spec {
	if columns == nil {
		columns = []table.Column{number}
	}
	return &spec.Spec{
		Simulator: spec.Simulator{Command: &spec.Command{Args: args, Timeout: timeout}},
		Columns:   columns,
	}
}

// modes returns a bench with testdata/modes.py.
func modes(t testing.TB, timeout time.Duration, columns ...table.Column) *bench {
	t.Helper()
	return newBench(t, commandSpec(timeout, columns, "python3", "modes.py"), simulator.Options{Dir: "testdata"})
}

// run simulates a task with the given parameters.
func (b *bench) run(t testing.TB, params string) error {
	t.Helper()
	return b.Simulate(t.Context(), b.task(nil, params), b.row)
}

// mustRun does the same, and returns the value of the column "value".
func (b *bench) mustRun(t testing.TB, params string) any {
	t.Helper()
	if err := b.run(t, params); err != nil {
		t.Fatal(err)
	}
	return b.get("value")
}

// wantFailure checks that err is a failure of the given class and message.
func wantFailure(t testing.TB, err error, class message.Class, text string) *simulator.Error {
	t.Helper()
	failure, ok := errors.AsType[*simulator.Error](err)
	if !ok {
		t.Fatalf("got %v, want a failure", err)
	}
	if failure.Class != class || !strings.Contains(failure.Message, text) {
		t.Errorf("got %v\nwant %s: ...%s...", failure, class, text)
	}
	return failure
}

func TestPlainPythonScriptAnswers(t *testing.T) {
	t.Parallel()
	columns := []table.Column{{Name: "aep", Type: table.Type{Kind: table.Float64}, Finite: true}}
	b := newBench(t, commandSpec(time.Minute, columns, "python3", "plain.py"), simulator.Options{Dir: "testdata"}, "farm_id")
	for id := range int64(5) {
		if err := b.Simulate(t.Context(), b.task([]int64{id}, ""), b.row); err != nil {
			t.Fatal(err)
		}
		if got, want := b.get("aep"), 8.76*float64(id); got != want {
			t.Errorf("farm %d: got %v, want %v", id, got, want)
		}
	}
}

func TestShellScriptIsASimulator(t *testing.T) {
	t.Parallel()
	const script = `while read -r task; do
		id=${task#*'"id":"'}; id=${id%%'"'*}
		echo "{\"id\": \"$id\", \"result\": {\"value\": 3}}"
	done`
	b := newBench(t, commandSpec(time.Minute, nil, "sh", "-c", script), simulator.Options{})
	for range 2 {
		if got := b.mustRun(t, ""); got != 3.0 {
			t.Errorf("got %v", got)
		}
	}
}

func TestAnswerIsFoundWhateverIsPrinted(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"ok", "hello", "noise", "unterminated", "native", "no_last_newline", "once"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := modes(t, time.Minute)
			for range 3 { // some end after an answer, and are started again
				if got := b.mustRun(t, `{"mode": "`+mode+`"}`); got != 1.0 {
					t.Errorf("got %v", got)
				}
			}
		})
	}
}

func TestFailuresHaveAClassAndALog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode    string
		class   message.Class
		message string
		log     string // some line of it
	}{
		{"error", message.ClassError, "ValueError: bad layout", `    raise ValueError("bad layout")`},
		{"error", message.ClassError, "ValueError: bad layout", "about to fail"},
		{"error_text", message.ClassError, "bad layout", ""},
		{"no_result", message.ClassInvalidOutput, "neither result nor error", ""},
		{"no_json", message.ClassInvalidOutput, "not JSON", ""},
		{"no_object", message.ClassInvalidOutput, "not of the form", ""},
		{"huge", message.ClassInvalidOutput, "longer than 64 MiB", ""},
		{"fail", message.ClassCrash, "exited with status 1: ValueError: bad layout", "Traceback (most recent call last):"},
		{"leave", message.ClassCrash, "exited with status 0 and no answer", ""},
		{"segfault", message.ClassCrash, "killed by SIGSEGV", ""},
		{"killed", message.ClassCrash, "killed by SIGKILL (peak ", ""},
		{"close_stdout", message.ClassCrash, "closed its standard output", ""},
		{"many_errors", message.ClassCrash, "exited with status 1", "line 29"},
	} {
		t.Run(tt.mode, func(t *testing.T) {
			t.Parallel()
			b := modes(t, time.Minute)
			failure := wantFailure(t, b.run(t, `{"mode": "`+tt.mode+`"}`), tt.class, tt.message)
			if tt.log != "" && !slices.Contains(failure.Log, tt.log) {
				t.Errorf("no line %q in the log %q", tt.log, failure.Log)
			}
			if got := b.mustRun(t, `{"mode": "ok"}`); got != 1.0 {
				t.Errorf("the next task got %v", got)
			}
		})
	}
}

func TestLogIsShort(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Minute)
	failure := wantFailure(t, b.run(t, `{"mode": "many_errors"}`), message.ClassCrash, "")
	if len(failure.Log) != 20 || len(failure.Log[19]) != 2048 || failure.Log[0] != "line 11" {
		t.Errorf("%d lines from %q, the last with %d bytes", len(failure.Log), failure.Log[0], len(failure.Log[19]))
	}
	if len(failure.Message) > 1024 {
		t.Errorf("the message has %d bytes", len(failure.Message))
	}
}

func TestChildIsKeptUntilItCrashes(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Minute)
	first := b.mustRun(t, `{"mode": "pid"}`)
	wantFailure(t, b.run(t, `{"mode": "error"}`), message.ClassError, "")
	wantFailure(t, b.run(t, `{"mode": "answer", "result": {}}`), message.ClassInvalidOutput, "")
	if again := b.mustRun(t, `{"mode": "pid"}`); again != first {
		t.Errorf("process %v became %v without a crash", first, again)
	}
	wantFailure(t, b.run(t, `{"mode": "segfault"}`), message.ClassCrash, "")
	if fresh := b.mustRun(t, `{"mode": "pid"}`); fresh == first {
		t.Errorf("process %v is in use after it crashed", first)
	}
}

func TestExitWithoutAnswerIsACrashAfterOneMoreStart(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Minute)
	b.mustRun(t, `{"mode": "ok"}`) // now it could as well be a program that has done its work
	wantFailure(t, b.run(t, `{"mode": "leave"}`), message.ClassCrash, "status 0")
}

func TestRequestHasEverythingOfTheTask(t *testing.T) {
	t.Parallel()
	b := newBench(t, commandSpec(90*time.Second, []table.Column{text}, "python3", "modes.py"), simulator.Options{Dir: "testdata"}, "farm_id")
	job := b.task([]int64{3}, `{"mode": "request", "hub": 1.5, "farm_id": 99}`)
	job.Attempt = 2
	if err := b.Simulate(t.Context(), job, b.row); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"attempt": 2, "deadline_s": 90, "id": "7.2-1", `+
		`"params": {"farm_id": 3, "hub": 1.5, "mode": "request"}, "seed": %d, "v": 1}`, job.Seed)
	if got := b.get("value"); got != want {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPipesDoNotFillUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, commandSpec(time.Minute, nil, "python3", "modes.py", "chatty"), simulator.Options{Dir: "testdata"})
	const size = 1 << 20 // the program prints as much before it reads
	if got := b.mustRun(t, `{"mode": "length", "text": "`+strings.Repeat("x", size)+`"}`); got != float64(size) {
		t.Errorf("got %v", got)
	}
}

func TestLongAnswer(t *testing.T) {
	t.Parallel()
	const n = 450_000 // 8 MB of text
	column := number
	column.Shape = []table.Dim{{Name: "n", Size: n}}
	b := modes(t, time.Minute, column)
	b.mustRun(t, fmt.Sprintf(`{"mode": "big", "n": %d}`, n))
	if last := b.row.Get(1, n-1); last != 0.123456789012345 {
		t.Errorf("the last element is %v", last)
	}
}

// fifo is a pipe with a name. Its reader learns of the death of the last
// process that has it open for writing.
type fifo struct {
	path   string
	writer *os.File // ours, so that there is one from the start
	lines  *bufio.Reader
}

func newFIFO(t testing.TB) *fifo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0) // for writing alone it would wait for a reader
	if err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f := &fifo{path: path, writer: writer, lines: bufio.NewReader(reader)}
	t.Cleanup(func() {
		f.release()
		_ = reader.Close()
	})
	return f
}

// release leaves the writing to the other processes.
func (f *fifo) release() { _ = f.writer.Close() }

// line waits for a line; it is empty if there are no writers any more.
func (f *fifo) line() string {
	line, _ := f.lines.ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}

func (f *fifo) wantLine(t testing.TB, want string) {
	t.Helper()
	if got := f.line(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// wantEnd waits until no process has the fifo open for writing.
func (f *fifo) wantEnd(t testing.TB) {
	t.Helper()
	f.release()
	if rest := f.line(); rest != "" {
		t.Errorf("got %q, want the end", rest)
	}
}

// runWithGrandchild starts the task in the given mode, and returns when the
// program has a child that holds the fifo, or the task has ended.
func (b *bench) runWithGrandchild(ctx context.Context, f *fifo, mode string) (started bool, done <-chan error) {
	result := make(chan error, 1)
	go func() {
		defer f.release()
		result <- b.Simulate(ctx, b.task(nil, f.params(mode)), b.row)
	}()
	return f.line() != "", result
}

func (f *fifo) params(mode string) string {
	return fmt.Sprintf(`{"mode": %q, "fifo": %q}`, mode, f.path)
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	t.Parallel()
	for timeout := time.Second; ; timeout *= 2 { // the program may take long to start
		b, f := modes(t, timeout), newFIFO(t)
		started, done := b.runWithGrandchild(t.Context(), f, "hang")
		wantFailure(t, <-done, message.ClassTimeout, "no answer within "+timeout.String())
		f.wantEnd(t)
		if started {
			return
		}
	}
}

func TestContextEndKillsTheGroup(t *testing.T) {
	t.Parallel()
	b, f := modes(t, time.Minute), newFIFO(t)
	ctx, cancel := context.WithCancel(t.Context())
	started, done := b.runWithGrandchild(ctx, f, "hang")
	cancel()
	if err := <-done; !started || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	f.wantEnd(t)
}

func TestCrashKillsTheGroup(t *testing.T) {
	t.Parallel()
	b, f := modes(t, time.Minute), newFIFO(t)
	started, done := b.runWithGrandchild(t.Context(), f, "orphan")
	wantFailure(t, <-done, message.ClassCrash, "exited with status 3")
	if !started {
		t.Error("there was no grandchild")
	}
	f.wantEnd(t)
}

func TestProcessOutsideTheGroupDoesNotHoldTheTask(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Hour)
	failure := wantFailure(t, b.run(t, `{"mode": "daemon"}`), message.ClassCrash, "exited with status 3")
	pid, err := strconv.Atoi(strings.TrimPrefix(failure.Log[0], "daemon "))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill the daemon: %v", err)
	}
}

func TestCloseLetsTheProgramFinish(t *testing.T) {
	t.Parallel()
	b, f := modes(t, time.Minute), newFIFO(t)
	b.mustRun(t, f.params("polite"))
	f.wantLine(t, "ready")
	f.release()
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	f.wantLine(t, "bye")
	f.wantEnd(t)
}

func TestCloseKillsAProgramThatStays(t *testing.T) {
	t.Parallel()
	b, f := modes(t, time.Minute), newFIFO(t)
	b.mustRun(t, f.params("stubborn"))
	f.wantLine(t, "ready")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	f.wantEnd(t)
}

func TestKilledWorkerLeavesNoProgram(t *testing.T) {
	t.Parallel()
	f := newFIFO(t)
	worker := startWorker(t, f.params("stubborn"))
	f.wantLine(t, "ready")
	if err := worker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	f.wantEnd(t)
}

func TestChildIsTheFirstToDieWithoutMemory(t *testing.T) {
	t.Parallel()
	if got := modes(t, time.Minute).mustRun(t, `{"mode": "oom_score"}`); got != 1000.0 {
		t.Errorf("oom_score_adj is %v", got)
	}
}

func TestProgramThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data"), "not a program", 0o600)
	write(t, filepath.Join(dir, "binary"), "no program either", 0o700)
	for _, program := range []string{"windrow-no-such-program", "./missing", "./data", "./binary", "data/program", "/"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, commandSpec(time.Minute, nil, program), simulator.Options{Dir: dir})
			if err := b.run(t, ""); !errors.Is(err, simulator.ErrStart) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestChangedFilesStopTheSimulator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "sim.sh")
	write(t, script, "#!/bin/sh\nexec python3 "+absolute(t, "testdata/modes.py")+"\n", 0o700)
	files := []message.File{{Path: "sim.sh", Digest: digest(t, script)}}
	b := newBench(t, commandSpec(time.Minute, nil, "./sim.sh"), simulator.Options{Dir: dir, Files: files})
	b.mustRun(t, `{"mode": "ok"}`)

	write(t, script, "#!/bin/sh\nexit 1\n", 0o700)
	b.mustRun(t, `{"mode": "ok"}`) // by the program that was started before
	wantFailure(t, b.run(t, `{"mode": "segfault"}`), message.ClassCrash, "SIGSEGV")
	if err := b.run(t, `{"mode": "ok"}`); !errors.Is(err, simulator.ErrFilesChanged) || !strings.Contains(err.Error(), "sim.sh") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	if err := b.run(t, `{"mode": "ok"}`); !errors.Is(err, simulator.ErrFilesChanged) {
		t.Errorf("got %v", err)
	}
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func digest(t *testing.T, path string) message.Digest {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return message.Digest(hex.EncodeToString(sum[:]))
}

func BenchmarkCommand(b *testing.B) {
	bench := modes(b, time.Minute)
	bench.mustRun(b, `{"mode": "ok"}`)
	for b.Loop() {
		bench.mustRun(b, `{"mode": "ok"}`)
	}
}

func BenchmarkCommandLongAnswer(b *testing.B) {
	const n = 450_000
	column := number
	column.Shape = []table.Dim{{Name: "n", Size: n}}
	bench := modes(b, time.Minute, column)
	b.SetBytes(8 * n)
	for b.Loop() {
		bench.mustRun(b, fmt.Sprintf(`{"mode": "big", "n": %d}`, n))
	}
}
