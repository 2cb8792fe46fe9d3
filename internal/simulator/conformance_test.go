package simulator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// A subject is an implementation of simulator.Simulator under the suite below:
// its tasks have one int32 key, and those whose key is bad fail.
type subject struct {
	name string
	make func(t *testing.T) *bench
	bad  bool // key 0 makes a task that fails
}

// subjects are all the simulators there are: the models built in, and both
// modes of a command.
func subjects() []subject {
	stdio := `import json, sys
for line in sys.stdin:
    task = json.loads(line)
    if task["params"]["k"] == 0:
        print(json.dumps({"id": task["id"], "error": "bad"}), flush=True)
    else:
        print(json.dumps({"id": task["id"], "result": {"value": task["seed"] % 1000}}), flush=True)
`
	exec := `import json, sys
task = json.load(open("params.json"))
if task["params"]["k"] == 0:
    sys.exit("bad")
json.dump({"value": task["seed"] % 1000}, open("result.json", "w"))
`
	of := func(s spec.Simulator, columns ...table.Column) func(t *testing.T) *bench {
		return func(t *testing.T) *bench {
			t.Helper()
			return newBench(t, &spec.Spec{Simulator: s, Columns: columns}, simulator.Options{Dir: t.TempDir()}, "k")
		}
	}
	command := func(script string, exec bool) spec.Simulator {
		return spec.Simulator{Command: &spec.Command{Args: []string{"python3", "-c", script}, Timeout: time.Minute, Exec: exec}}
	}
	return []subject{
		{"noop", of(spec.Simulator{Noop: &spec.Noop{}}), false},
		{"sleep", of(spec.Simulator{Sleep: &spec.Sleep{Duration: time.Microsecond}}), false},
		{"windfarm", func(t *testing.T) *bench {
			t.Helper()
			s := loadWindfarm(t, t.TempDir(), "matrix: {farm_id: 0..1, farm_type: 0, seed: 1..3}", "3D")
			return newBench(t, s, simulator.Options{}, "farm_id", "farm_type", "seed")
		}, false},
		{"stdio", of(command(stdio, false), number), true},
		{"exec", of(command(exec, true), number), true},
	}
}

// job returns the task with the key k.
func (b *bench) job(k int64) simulator.Job {
	if len(b.keys) == 3 { // of the wind farm: its layout
		return b.task([]int64{0, 0, k}, "")
	}
	return b.task([]int64{k}, "")
}

// digest computes the task with the key k and returns the digest of its row,
// whose results were garbage before.
func (b *bench) digest(t *testing.T, job simulator.Job) uint64 {
	t.Helper()
	b.row.Clear()
	if err := b.row.SetKey(job.Task.Key); err != nil {
		t.Fatal(err)
	}
	if err := b.Simulate(t.Context(), job, b.row); err != nil {
		t.Fatal(err)
	}
	return b.row.Digest()
}

// TestConformance is what worker and manual rely on, of every simulator.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			t.Run("same task, same row", func(t *testing.T) { sameTaskSameRow(t, s) })
			t.Run("attempt does not matter", func(t *testing.T) { attemptDoesNotMatter(t, s) })
			t.Run("ended context is no failure", func(t *testing.T) { endedContextIsNoFailure(t, s) })
			if s.bad {
				t.Run("failure costs one task", func(t *testing.T) { failureCostsOneTask(t, s) })
			}
			t.Run("foreign rows are refused", func(t *testing.T) { foreignRowsAreRefused(t, s) })
			t.Run("closes twice", func(t *testing.T) { closesTwice(t, s) })
		})
	}
}

func sameTaskSameRow(t *testing.T, s subject) {
	t.Helper()
	b, other := s.make(t), s.make(t)
	first := b.digest(t, b.job(1))
	if b.digest(t, b.job(2)) == first {
		t.Error("two tasks have the same row")
	}
	if b.digest(t, b.job(1)) != first {
		t.Error("a task has another row after another task")
	}
	if other.digest(t, other.job(1)) != first {
		t.Error("a task has another row in another simulator")
	}
}

func attemptDoesNotMatter(t *testing.T, s subject) {
	t.Helper()
	b := s.make(t)
	job := b.job(1)
	first := b.digest(t, job)
	job.Attempt = 7
	if b.digest(t, job) != first {
		t.Error("the seventh attempt has another row")
	}
}

func endedContextIsNoFailure(t *testing.T, s subject) {
	t.Helper()
	b := s.make(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Simulate(ctx, b.job(1), b.row)
	if _, isFailure := errors.AsType[*simulator.Error](err); isFailure || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	b.digest(t, b.job(1)) // and it can go on
}

func failureCostsOneTask(t *testing.T, s subject) {
	t.Helper()
	b := s.make(t)
	want := b.digest(t, b.job(1))
	failure, ok := errors.AsType[*simulator.Error](b.Simulate(t.Context(), b.job(0), b.row))
	if !ok || failure.Class != message.ClassError && failure.Class != message.ClassCrash || failure.Message == "" {
		t.Errorf("got %v", failure)
	}
	if b.digest(t, b.job(1)) != want {
		t.Error("the task after it has another row")
	}
}

func foreignRowsAreRefused(t *testing.T, s subject) {
	t.Helper()
	b := s.make(t)
	row := table.NewBlock(table.Columns{table.TaskIndex()}, 1).Append()
	err := b.Simulate(t.Context(), b.job(1), row)
	if _, isFailure := errors.AsType[*simulator.Error](err); isFailure || err == nil {
		t.Errorf("got %v", err)
	}
}

func closesTwice(t *testing.T, s subject) {
	t.Helper()
	b := s.make(t)
	b.digest(t, b.job(1))
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
