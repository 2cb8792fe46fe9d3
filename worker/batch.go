package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
)

// held is a delivery with its task.
type held struct {
	Delivery
	task message.Task
}

// batch is what becomes one shard: the rows computed and the failures
// recorded so far, and the deliveries that are acknowledged with them.
type batch struct {
	rows     *table.Block
	digests  []uint64 // of the rows, taken when they were computed
	retried  []message.Retried
	failures []message.Failure
	answered []held
	seconds  float64
}

// handle brings every delivery to an ack, or gives it back.
func (w *Worker) handle(fetching, working context.Context, deliveries []Delivery) error {
	leases := newLeases(time.Duration(w.settings.AckWait), time.Now(), deliveries)
	keeping, stop := context.WithCancel(working)
	defer stop()
	go leases.keep(keeping)
	w.progress.hold(len(deliveries))
	defer w.progress.hold(0)

	todo, alone, err := w.triage(working, leases, deliveries)
	if err != nil {
		return err
	}
	w.progress.name(slices.Concat(alone, todo))
	for _, h := range alone {
		if err := w.compute(fetching, working, leases, []held{h}); err != nil {
			return err
		}
	}
	return w.compute(fetching, working, leases, todo)
}

// triage acknowledges what needs no work and separates what has taken workers
// down from what has not: such a task is computed alone, so that it cannot
// take others with it.
func (w *Worker) triage(ctx context.Context, leases *leases, deliveries []Delivery) (todo, alone []held, err error) {
	for _, d := range deliveries {
		task, err := d.Task()
		if err != nil || task.Index >= w.planned.Tasks {
			w.Log.WarnContext(ctx, "task refused", "sequence", d.Sequence(), "error", err)
			w.ack(leases, d)
			continue
		}
		recorded, err := w.isRecorded(ctx, task)
		switch {
		case err != nil:
			return nil, nil, err
		case recorded:
			w.ack(leases, d)
		case d.Deliveries() >= aloneDeliveries:
			alone = append(alone, held{d, task})
		default:
			todo = append(todo, held{d, task})
		}
	}
	return todo, alone, w.Queue.Flush(ctx)
}

// isRecorded tells whether the task needs no work. The ledger is first read up
// to the event that asked for this copy, or a copy of a reopened task would
// still look failed; and up to what this worker has announced itself.
//
// A broker that was put back to an older copy may have lost that event, so the
// wait has a limit. What is then taken for recorded by mistake is asked for
// again by the merger.
func (w *Worker) isRecorded(ctx context.Context, t message.Task) (recorded bool, err error) {
	needed := w.announced
	if t.Cause > w.forgotten {
		needed = max(needed, t.Cause)
	}
	known := false
	look := func(s *ledger.State) bool {
		_, sealed := s.Sealed()
		recorded = sealed != 0 || s.Status(t.Index) != ledger.Waiting
		known = s.Last() >= needed
		return known
	}
	if w.Ledger.View(func(s *ledger.State) { look(s) }); known { // nearly always
		return recorded, nil
	}
	waiting, stop := context.WithTimeout(ctx, ledgerWait)
	defer stop()
	err = w.Ledger.Wait(waiting, look)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		w.Log.WarnContext(ctx, "the ledger is shorter than expected", "task", t.Index, "cause", t.Cause, "announced", w.announced)
		w.announced, w.forgotten = 0, max(w.forgotten, t.Cause)
		return recorded, nil
	}
	return recorded, err
}

func (w *Worker) ack(leases *leases, d Delivery) {
	leases.release(d)
	_ = d.Ack() // a lost ack means one more delivery, which finds the task recorded
}

// compute runs the tasks and commits them, in several shards if they take much
// longer than expected or are larger.
func (w *Worker) compute(fetching, working context.Context, leases *leases, tasks []held) error {
	slices.SortFunc(tasks, byIndexLatestFirst)
	for len(tasks) > 0 && !isDone(fetching) {
		b := &batch{rows: table.NewBlock(w.planned.Columns, len(tasks))}
		n, err := w.fill(fetching, working, b, tasks)
		if err != nil {
			leases.giveBack(tasks)
			return err
		}
		if err := w.commit(working, leases, b); err != nil {
			return err
		}
		tasks = tasks[n:]
	}
	leases.giveBack(tasks)
	return w.Queue.Flush(working)
}

// byIndexLatestFirst orders the rows of a shard. Of two copies of one task
// the later comes first: a failure is recorded for it, and the earlier is
// acknowledged along.
func byIndexLatestFirst(a, b held) int {
	return cmp.Or(cmp.Compare(a.task.Index, b.task.Index), cmp.Compare(b.Sequence(), a.Sequence()))
}

// fill computes tasks into b until they are all done, fetching has ended, or
// the shard is due. It returns how many it took.
func (w *Worker) fill(fetching, working context.Context, b *batch, tasks []held) (int, error) {
	start := time.Now()
	due := time.Duration(2 * w.settings.ShardSeconds * float64(time.Second))
	for i, t := range tasks {
		if i > 0 && (isDone(fetching) || time.Since(start) > due) {
			return i, nil
		}
		if i == 0 || t.task.Index != tasks[i-1].task.Index {
			if err := w.computeTask(working, b, t); err != nil {
				return i, err
			}
		}
		b.answered = append(b.answered, t)
		b.seconds = time.Since(start).Seconds()
		w.progress.done(len(b.answered))
	}
	fault.Point(fault.WorkerSimulated)
	return len(tasks), nil
}

func isDone(ctx context.Context) bool { return ctx.Err() != nil }

// computeTask adds the task's row to b, or after its last attempt its failure.
func (w *Worker) computeTask(ctx context.Context, b *batch, t held) error {
	if t.Deliveries() >= lostDeliveries {
		b.fail(t, 0, 0, &simulator.Error{
			Class:   message.ClassLost,
			Message: fmt.Sprintf("delivered %d times without a result: it seems to take its worker down", t.Deliveries()),
		})
		return nil
	}
	start := time.Now()
	for attempt := 1; ; attempt++ {
		failure, err := w.attempt(ctx, b.rows, t.task, attempt)
		switch {
		case err != nil:
			return err
		case failure == nil:
			w.pace.observe(time.Since(start))
			b.digests = append(b.digests, b.rows.Row(b.rows.Len()-1).Digest())
			if attempt > 1 && len(b.retried) < message.MaxRetried {
				b.retried = append(b.retried, message.Retried{Index: t.task.Index, Attempts: attempt})
			}
			return nil
		case attempt > w.settings.Retry.Budget(failure.Class):
			w.pace.observe(time.Since(start))
			w.Log.WarnContext(ctx, "task failed", "task", t.task.Index, "attempts", attempt,
				"class", failure.Class, "error", failure.Message, "task_log", failure.Log)
			b.fail(t, attempt, time.Since(start), failure)
			return nil
		}
		w.progress.retried()
		w.Log.InfoContext(ctx, "task retried", "task", t.task.Index, "attempt", attempt,
			"class", failure.Class, "error", failure.Message)
		if err := pause(ctx, backoff(attempt)); err != nil {
			return err
		}
	}
}

// attempt computes the task once into a new row of rows; the row is taken
// back if the attempt fails.
func (w *Worker) attempt(ctx context.Context, rows *table.Block, t message.Task, attempt int) (*simulator.Error, error) {
	row := rows.Append()
	err := w.fillRow(ctx, row, t, attempt)
	if err == nil {
		return nil, nil
	}
	rows.Truncate(rows.Len() - 1)
	failure, ok := errors.AsType[*simulator.Error](err)
	if !ok || ctx.Err() != nil {
		return nil, fmt.Errorf("compute task %d: %w", t.Index, err)
	}
	return failure, nil
}

func (w *Worker) fillRow(ctx context.Context, row table.Row, t message.Task, attempt int) error {
	row.SetTask(t.Index)
	if err := row.SetKey(t.Key); err != nil {
		return fmt.Errorf("the stream contradicts the plan: %w", err)
	}
	job := simulator.Job{Task: t, Seed: simulator.Seed(w.specSeed, t.Key), Attempt: attempt, Keys: w.planned.Keys}
	return w.simulator.Simulate(ctx, job, row)
}

func (b *batch) fail(t held, attempts int, took time.Duration, failure *simulator.Error) {
	b.failures = append(b.failures, message.Failure{
		Index: t.task.Index, Key: t.task.Key, Copy: t.Sequence(),
		Class: failure.Class, Message: failure.Message, Attempts: attempts, Seconds: took.Seconds(),
		Log: failure.Log,
	})
}

// backoff returns the pause after a failed attempt: 0.2 s, doubled each time
// up to 10 s.
func backoff(attempt int) time.Duration {
	return min(200*time.Millisecond<<min(attempt-1, 10), 10*time.Second)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
