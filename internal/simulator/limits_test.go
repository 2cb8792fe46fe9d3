package simulator_test

import (
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

// limited returns a bench with testdata/modes.py under limits.
func limited(t testing.TB, c spec.Command, columns ...table.Column) *bench {
	t.Helper()
	s := commandSpec(time.Minute, columns)
	c.Args = append([]string{"python3", "modes.py"}, c.Args...)
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	s.Simulator.Command = &c
	return newBench(t, s, simulator.Options{Dir: "testdata"})
}

func TestEnvironmentIsTheBaseAndWhatTheSpecNames(t *testing.T) {
	for _, name := range []string{"NATS_TOKEN", "WINDROW_ANYTHING", "AWS_SECRET_ACCESS_KEY", "OMP_NUM_THREADS"} {
		t.Setenv(name, "64")
	}
	t.Setenv("LICENSE", "of the worker")
	t.Setenv("LC_ALL", "C.UTF-8")
	b := limited(t, spec.Command{Threads: 3, Environment: []string{"MODEL_DATA=/data", "LICENSE", "NOT_THERE", "MKL_NUM_THREADS=2"}}, text)
	for name, want := range map[string]string{
		"NATS_TOKEN": "unset", "WINDROW_ANYTHING": "unset", "AWS_SECRET_ACCESS_KEY": "unset", "NOT_THERE": "unset",
		"LICENSE": "of the worker", "MODEL_DATA": "/data", "LC_ALL": "C.UTF-8",
		"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "2",
		"PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0",
	} {
		if got := b.mustRun(t, `{"mode": "environ", "name": "`+name+`"}`); got != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
}

func TestThreadsAreOneUnlessTheSpecSaysMore(t *testing.T) {
	t.Parallel()
	if got := modes(t, time.Minute, text).mustRun(t, `{"mode": "environ", "name": "OMP_NUM_THREADS"}`); got != "1" {
		t.Errorf("got %v", got)
	}
}

func TestProgramInheritsNoFiles(t *testing.T) {
	t.Parallel()
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // as a C library opens it
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd) //nolint:errcheck // only read
	got := modes(t, time.Minute, text).mustRun(t, `{"mode": "descriptors"}`)
	if got != "0 1 2 3" { // 3 is the directory that the program reads
		t.Errorf("the program has the files %v open", got)
	}
}

func TestProcessWithTooMuchMemoryIsKilled(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"memory", "memory_of_child"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := limited(t, spec.Command{MaxRSS: 100 << 20})
			failure := wantFailure(t, b.run(t, `{"mode": "`+mode+`", "mib": 200}`), message.ClassCrash, "used more memory than max_rss allows, 100 MiB (peak ")
			if strings.Contains(failure.Message, "peak 0 MiB") {
				t.Error(failure.Message)
			}
			b.mustRun(t, `{"mode": "ok"}`)
		})
	}
}

func TestProcessIsReplacedAfterItsNumberOfTasks(t *testing.T) {
	t.Parallel()
	b := limited(t, spec.Command{RecycleAfter: 2})
	for i, want := range []float64{0, 1, 0, 1, 0} {
		if got := b.mustRun(t, `{"mode": "count"}`); got != want {
			t.Errorf("task %d is number %v of its process, want %v", i, got, want)
		}
	}
}

func TestReportedErrorsCountAsTasksOfAProcess(t *testing.T) {
	t.Parallel()
	b := limited(t, spec.Command{RecycleAfter: 1})
	wantFailure(t, b.run(t, `{"mode": "error"}`), message.ClassError, "bad layout")
	if got := b.mustRun(t, `{"mode": "count"}`); got != 0.0 {
		t.Errorf("task %v of a process that was to be replaced", got)
	}
}

// It greets nobody, so that its first answer has both times.
func TestSlowStartHasItsOwnTime(t *testing.T) {
	t.Parallel()
	b := limited(t, spec.Command{Args: []string{"slow", "0.1"}, Timeout: time.Millisecond, StartTimeout: time.Hour})
	if got := b.mustRun(t, `{"mode": "ok"}`); got != 1.0 {
		t.Errorf("got %v", got)
	}
}

// The greeting says that the start is over. Nothing else ends this task within
// the hour.
func TestGreetingEndsTheStart(t *testing.T) {
	t.Parallel()
	b := limited(t, spec.Command{Args: []string{"greet"}, Timeout: 50 * time.Millisecond, StartTimeout: time.Hour})
	wantFailure(t, b.run(t, `{"mode": "late"}`), message.ClassTimeout, "no answer within 50ms")
}

// The first task of a process has an hour, the second has not.
func TestLateAnswerIsNobodys(t *testing.T) {
	t.Parallel()
	b := limited(t, spec.Command{Timeout: 300 * time.Millisecond, StartTimeout: time.Hour})
	b.mustRun(t, `{"mode": "ok"}`)
	wantFailure(t, b.run(t, `{"mode": "late"}`), message.ClassTimeout, "no answer within 300ms")
	if got := b.mustRun(t, `{"mode": "count"}`); got != 0.0 {
		t.Errorf("the task after it got %v, want the first answer of another process", got)
	}
}

func TestOnlyTheIDMakesAnAnswer(t *testing.T) {
	t.Parallel()
	for mode, line := range map[string]string{
		"wrong_id": `{"id": "7.1-10", "result": {"value": 2}}`,
		"no_id":    `{"result": {"value": 2}}`,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			failure := wantFailure(t, modes(t, time.Minute).run(t, `{"mode": "`+mode+`"}`), message.ClassCrash, "no answer")
			if !slices.Contains(failure.Log, line) {
				t.Errorf("no line %q in the log %q", line, failure.Log)
			}
		})
	}
}

func TestSecondAnswerDoesNotReachTheNextTask(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Minute)
	for range 3 {
		if got := b.mustRun(t, `{"mode": "twice"}`); got != 1.0 {
			t.Errorf("got %v", got)
		}
	}
	if got := b.mustRun(t, `{"mode": "ok"}`); got != 1.0 {
		t.Errorf("got %v", got)
	}
}

func TestBareTokensAreJudgedByTheColumn(t *testing.T) {
	t.Parallel()
	open := number
	open.Finite = false
	for _, token := range []string{"NaN", "Infinity", "-Infinity", "null", "1e999"} {
		params := `{"mode": "special", "token": "` + token + `"}`
		failure := wantFailure(t, modes(t, time.Minute).run(t, params), message.ClassInvalidOutput, `"value"`)
		if !strings.Contains(failure.Message, "finite") {
			t.Errorf("%s: %s", token, failure.Message)
		}
		modes(t, time.Minute, open).mustRun(t, params)
	}
}

func TestAnswerOf40MB(t *testing.T) {
	t.Parallel()
	const n = 450_000 // of 91 bytes
	column := number
	column.Shape = []table.Dim{{Name: "n", Size: n}}
	b := modes(t, time.Minute, column)
	b.mustRun(t, fmt.Sprintf(`{"mode": "long_numbers", "n": %d}`, n))
	if last := b.row.Get(1, n-1); last != 0.5 {
		t.Errorf("the last element is %v", last)
	}
}

// The program answers, then neither reads nor ends: the next task finds out.
func TestProgramThatClosesItsInputFailsOneTask(t *testing.T) {
	t.Parallel()
	b := modes(t, time.Minute)
	b.mustRun(t, `{"mode": "close_stdin"}`)
	if err := b.run(t, `{"mode": "ok", "text": "`+strings.Repeat("x", 1<<20)+`"}`); err != nil {
		wantFailure(t, err, message.ClassCrash, "standard input")
	}
	if got := b.mustRun(t, `{"mode": "ok"}`); got != 1.0 {
		t.Errorf("got %v", got)
	}
}

// The kernel kills the program in a cgroup with little memory.
func TestProgramThatTheKernelKillsForWantOfMemory(t *testing.T) { //nolint:paralleltest // no other test may be killed by the kernel meanwhile
	group := smallGroup(t, 64<<20)
	params := fmt.Sprintf(`{"mode": "oom", "cgroup": %q}`, filepath.Join(group, "cgroup.procs"))
	wantFailure(t, modes(t, time.Minute).run(t, params), message.ClassCrash, "killed, probably out of memory (peak ")
	wantFailure(t, modes(t, time.Minute).run(t, `{"mode": "killed"}`), message.ClassCrash, "killed by SIGKILL (peak ")
}

// smallGroup makes a cgroup with a limit of memory.
func smallGroup(t *testing.T, limit int) string {
	t.Helper()
	why := "there is no controller of memory"
	for root, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			continue
		}
		group, err := os.MkdirTemp(root, "windrow-test-") //nolint:usetesting // a cgroup is made in the tree of cgroups
		if err == nil {
			t.Cleanup(func() { _ = syscall.Rmdir(group) }) // it is empty when the program is gone
			err = os.WriteFile(filepath.Join(group, file), []byte(strconv.Itoa(limit)), 0o600)
		}
		if err == nil {
			return group
		}
		why = err.Error()
	}
	t.Skip("a cgroup with a limit of memory cannot be made here: " + why)
	return ""
}
