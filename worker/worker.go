// Package worker turns tasks into validated shards.
//
// A worker fetches a batch of tasks, computes their rows, writes them to one
// shard, validates the shard, announces it in the ledger, and only then
// acknowledges the tasks: see commit, which is the ack rule. Workers are
// independent processes; any of them may be stopped, killed or cut off at any
// time. What it held is then delivered to another worker after ack_wait, and
// what was announced twice counts once, because the first shard that names a
// task owns it.
//
// The package has no API promise outside this module.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
)

// Queue is what a worker needs of the streams of its run.
type Queue interface {
	// Fetch waits up to wait for a first task and returns it with what else
	// is ready, n tasks at most.
	Fetch(ctx context.Context, n int, wait time.Duration) ([]Delivery, error)
	// Publish appends an event to the ledger and returns its sequence.
	Publish(ctx context.Context, e message.Event) (uint64, error)
	// Flush waits until the server has read all that was sent, acks included.
	Flush(ctx context.Context) error
	// Beat tells everyone what the worker is doing; a lost beat is harmless.
	Beat(ctx context.Context, b message.Beat) error
}

// Delivery is one delivery of a task. The methods that answer it only send;
// Queue.Flush waits for the server.
type Delivery interface {
	Task() (message.Task, error)
	Sequence() uint64  // in the tasks stream
	Deliveries() int   // how often the task was delivered, this time included
	Ack() error        // never deliver it again
	Nak() error        // deliver it again at once
	InProgress() error // restart its ack_wait
}

// Config is what a worker is made of.
type Config struct {
	ID      string // unique among all processes; letters, digits, points, dashes
	Shards  string // shards folder of the run
	Folder  string // nonce of the shards folder
	Digest  message.Digest
	Queue   Queue
	Ledger  *ledger.Follower // somebody else runs it
	Workers func() int       // live workers, this one included

	// Simulator makes the simulator of the run.
	Simulator func(*message.Planned) (simulator.Simulator, error)

	ExitWhenSealed bool // also: end when more tasks failed than may, or the run is cancelled
	Log            *slog.Logger
}

// Worker computes tasks of one run.
type Worker struct {
	Config
	planned   *message.Planned
	settings  message.Settings
	specSeed  int64
	simulator simulator.Simulator
	pace      pace
	announced uint64 // ledger sequence of what this worker announced last
	forgotten uint64 // up to here, causes are not in the ledger: it was put back
	progress  progress
}

// New returns a worker that has not started.
func New(c Config) *Worker { return &Worker{Config: c} }

// Limits of a batch and of a task's life.
const (
	maxBatch        = 2000
	maxShardBytes   = 64 << 20
	aloneDeliveries = 4  // from here on a task gets a shard of its own
	lostDeliveries  = 20 // from here on a task is recorded as lost without being run
	fetchWait       = 2 * time.Second
	ledgerWait      = 10 * time.Second
	beatInterval    = time.Second
)

// Run works until the run is sealed (with ExitWhenSealed) or fetching ends.
//
// Two contexts stop it: when fetching ends, Run finishes the task in hand,
// announces what is computed and gives back what was only fetched; when
// working ends as well, it drops everything at once. The tasks of a dropped
// batch come back after ack_wait. Run returns nil for all of these, and an
// error if the worker cannot go on: its shards folder, its simulator or its
// broker is unusable.
func (w *Worker) Run(fetching, working context.Context) error {
	err := w.run(fetching, working)
	if fetching.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, fetching.Err())) {
		return nil
	}
	return err
}

func (w *Worker) run(fetching, working context.Context) error {
	if err := w.prepare(fetching); err != nil {
		return err
	}
	defer func() { _ = w.simulator.Close() }() // it only stops children
	beating, stopBeating := context.WithCancel(working)
	defer stopBeating()
	go w.beat(beating)
	for {
		more, err := w.awaitWork(fetching)
		if err != nil || !more {
			return err
		}
		deliveries, err := w.Queue.Fetch(fetching, w.batchSize(), fetchWait)
		if err != nil {
			return fmt.Errorf("fetch tasks: %w", err)
		}
		if len(deliveries) == 0 {
			continue
		}
		fault.Point(fault.WorkerFetched)
		err = w.handle(fetching, working, deliveries)
		if errors.Is(err, message.ErrUnreachable) { // what was not acknowledged comes back
			w.Log.WarnContext(working, "batch interrupted", "reason", err)
		} else if err != nil {
			return err
		}
	}
}

// prepare waits until the run is planned and makes its simulator.
func (w *Worker) prepare(ctx context.Context) error {
	err := w.Ledger.Wait(ctx, func(s *ledger.State) bool { return s.Planned() != nil && s.Settings() != nil })
	if err != nil {
		return err
	}
	w.Ledger.View(func(s *ledger.State) { w.planned = s.PlannedNow() })
	if w.simulator, err = w.Simulator(w.planned); err != nil {
		return fmt.Errorf("start simulator: %w", err)
	}
	s, err := spec.Decode(w.planned.Spec)
	if err != nil {
		return fmt.Errorf("read the spec in the ledger: %w", err)
	}
	w.specSeed = s.Seed
	return nil
}

// awaitWork waits while there is nothing to fetch for: the run is paused,
// cancelled or sealed, or more tasks failed than may. It returns false when the
// worker's work is done.
func (w *Worker) awaitWork(ctx context.Context) (more bool, err error) {
	err = w.Ledger.Wait(ctx, func(s *ledger.State) bool {
		if settings := s.Settings(); settings != nil {
			w.settings = *settings
		}
		_, sealed := s.Sealed()
		over := sealed != 0 || s.Cancelled() || s.Overrun()
		halted, _ := s.Halted()
		more = !over && halted == ""
		return more || over && w.ExitWhenSealed
	})
	return more, err
}

// batchSize returns how many tasks to fetch: what takes shard_seconds at the
// present pace, but no more than a quarter of the worker's share of the rest,
// so that all workers finish together.
func (w *Worker) batchSize() int {
	var rest int64
	w.Ledger.View(func(s *ledger.State) { rest = s.Missing() })
	n := w.pace.tasksIn(w.settings.ShardSeconds)
	share := math.Ceil(float64(rest) / float64(4*max(1, w.Workers())))
	n = min(n, share, maxBatch, float64(maxShardBytes/w.planned.Columns.RowBytes()))
	return max(1, int(n))
}

// pace is the running average of the time a task takes.
type pace struct{ seconds float64 }

// observe takes the time of one task into the average.
func (p *pace) observe(d time.Duration) {
	const weight = 0.1
	s := max(d.Seconds(), 1e-7)
	if p.seconds == 0 {
		p.seconds = s
		return
	}
	p.seconds += weight * (s - p.seconds)
}

// tasksIn returns how many tasks fit in the seconds; 1 before the first task.
func (p *pace) tasksIn(seconds float64) float64 {
	if p.seconds == 0 {
		return 1
	}
	return seconds / p.seconds
}
