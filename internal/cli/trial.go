package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
	"windrow/producer"
)

// trial computes single tasks of a plan in this process, as a worker would,
// and stores nothing.
type trial struct {
	plan      *producer.Plan
	simulator simulator.Simulator
	row       table.Row
	printed   *lineCounter
}

func newTrial(ctx context.Context, plan *producer.Plan) (*trial, error) {
	dir, err := filepath.Abs(plan.Spec.Dir())
	if err != nil {
		return nil, err
	}
	reader, err := newReader()
	if err != nil {
		return nil, err
	}
	printed := &lineCounter{}
	s, err := simulator.New(ctx, plan.Spec, simulator.Options{Dir: dir, Files: plan.Planned.Files, Log: slog.New(printed), Reader: reader})
	if err != nil {
		return nil, err
	}
	return &trial{plan: plan, simulator: s, row: table.NewBlock(plan.Planned.Columns, 1).Append(), printed: printed}, nil
}

// outcome is what became of one task.
type outcome struct {
	took    time.Duration
	failure *simulator.Error // nil: the row is good
}

// run computes a task. An error is about the machine or the spec, not the task.
func (t *trial) run(ctx context.Context, task message.Task) (outcome, error) {
	t.row.Clear()
	t.row.SetTask(task.Index)
	if err := t.row.SetKey(task.Key); err != nil {
		return outcome{}, err
	}
	return t.simulate(ctx, simulator.Job{
		Task: task, Seed: simulator.Seed(t.plan.Spec.Seed, task.Key), Attempt: 1, Keys: t.plan.Planned.Keys,
	})
}

// runBad computes a task that has no parameters at all.
func (t *trial) runBad(ctx context.Context) (outcome, error) {
	t.row.Clear()
	return t.simulate(ctx, simulator.Job{Attempt: 1})
}

func (t *trial) simulate(ctx context.Context, job simulator.Job) (outcome, error) {
	begin := time.Now()
	err := t.simulator.Simulate(ctx, job, t.row)
	o := outcome{took: time.Since(begin)}
	if failure, ok := errors.AsType[*simulator.Error](err); ok {
		o.failure, err = failure, nil
	}
	return o, err
}

// spread returns k tasks of the plan, evenly spread over all of them.
func spread(plan *producer.Plan, k int) ([]message.Task, error) {
	n := plan.Planned.Tasks
	k = int(min(int64(k), n))
	tasks := make([]message.Task, 0, k)
	for i := range int64(k) {
		index := i * n / int64(k)
		for task, err := range plan.Spec.TasksFrom(index) {
			if err != nil {
				return nil, fmt.Errorf("read task %d: %w", index, err)
			}
			tasks = append(tasks, task)
			break
		}
	}
	return tasks, nil
}

// lineCounter is a log that counts what the simulator printed.
type lineCounter struct{ lines atomic.Int64 }

func (c *lineCounter) Enabled(context.Context, slog.Level) bool { return true }

func (c *lineCounter) Handle(_ context.Context, r slog.Record) error {
	if r.Message == simulator.PrintedMessage {
		c.lines.Add(1)
	}
	return nil
}

func (c *lineCounter) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *lineCounter) WithGroup(string) slog.Handler      { return c }
