package simulator_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// workerParams makes the test binary a worker that runs one task of
// testdata/modes.py and then waits to be killed.
const workerParams = "SIMULATOR_TEST_PARAMS"

func TestMain(m *testing.M) {
	if params, ok := os.LookupEnv(workerParams); ok {
		work(params)
	}
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case readerPart:
			if err := foreign.Serve(context.Background(), os.Stdin, os.Stdout); err != nil { //nolint:forbidigo // this is its main
				panic(err)
			}
			os.Exit(0)
		case dyingReaderPart:
			_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		}
	}
	goleak.VerifyTestMain(m)
}

// What the test binary plays with these arguments: the child of a reader of
// HDF5 files, and one that dies of what it reads.
const (
	readerPart      = "play-reader"
	dyingReaderPart = "play-dying-reader"
)

func work(params string) {
	s := commandSpec(time.Minute, nil, "python3", "modes.py")
	ctx := context.Background() //nolint:forbidigo // there is no test
	sim, err := simulator.New(ctx, s, simulator.Options{Dir: "testdata", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	row := table.NewBlock(table.Columns{table.TaskIndex(), number}, 1).Append()
	if err := sim.Simulate(ctx, simulator.Job{Task: message.Task{Params: []byte(params)}, Attempt: 1}, row); err != nil {
		panic(err)
	}
	select {}
}

// startWorker starts the test binary as a worker.
func startWorker(t *testing.T, params string) *exec.Cmd {
	t.Helper()
	worker := exec.Command(os.Args[0])
	worker.Env = append(os.Environ(), workerParams+"="+params)
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	return worker
}

// bench is a simulator on the test bench: it has one row for all tasks.
type bench struct {
	simulator.Simulator
	keys []string
	row  table.Row
}

// newBench makes the simulator of s for tasks with the given int32 keys.
func newBench(t testing.TB, s *spec.Spec, opts simulator.Options, keys ...string) *bench {
	t.Helper()
	description, err := simulator.Describe(t.Context(), s, opts.Reader)
	if err != nil {
		t.Fatal(err)
	}
	columns := table.Columns{table.TaskIndex()}
	b := &bench{keys: keys}
	for _, key := range keys {
		columns = append(columns, table.Column{Name: key, Type: table.Type{Kind: table.Int32}})
	}
	columns = append(columns, description.Columns...)
	if err := columns.Validate(); err != nil {
		t.Fatal(err)
	}
	b.row = table.NewBlock(columns, 1).Append()
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if b.Simulator, err = simulator.New(t.Context(), s, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// task returns the job of the task with the given key and parameters.
func (b *bench) task(key []int64, params string) simulator.Job {
	values := make([]table.Value, len(key))
	for i, k := range key {
		values[i] = table.IntValue(k)
	}
	task := message.Task{Index: 7, Key: values}
	if params != "" {
		task.Params = []byte(params)
	}
	return simulator.Job{Task: task, Seed: simulator.Seed(42, values), Attempt: 1, Keys: b.keys}
}

// get returns the value of a column with one element.
func (b *bench) get(column string) any { return b.row.Get(b.row.Columns().Index(column), 0) }

func TestNoopDerivesItsValueFromTheSeed(t *testing.T) {
	t.Parallel()
	b := newBench(t, &spec.Spec{Simulator: spec.Simulator{Noop: &spec.Noop{}}}, simulator.Options{}, "k")
	job := b.task([]int64{1}, "")
	if err := b.Simulate(t.Context(), job, b.row); err != nil {
		t.Fatal(err)
	}
	if got, want := b.get("value"), float64(job.Seed)/(1<<53); got != want {
		t.Errorf("value %v, want %v", got, want)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, &spec.Spec{Simulator: spec.Simulator{Sleep: &spec.Sleep{Duration: time.Hour}}}, simulator.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Simulate(ctx, b.task(nil, ""), b.row); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSpecWithoutSimulatorIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := simulator.Describe(t.Context(), &spec.Spec{}, nil); err == nil {
		t.Error("Describe accepts it")
	}
	if _, err := simulator.New(t.Context(), &spec.Spec{}, simulator.Options{}); err == nil {
		t.Error("New accepts it")
	}
}
