// Package producer owns the tasks stream of a run.
//
// It opens the ledger with what is planned, publishes every task once, in
// order, so that task i has sequence i+1, and then follows the ledger: where
// tasks are missing or reopened it appends copies. It can be killed and
// started again anywhere: what it has done is read back from the stream, and
// every publication is fenced by the stream's last sequence.
//
// The package has no API promise outside this module.
package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"reflect"
	"time"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
)

// Queue is what the producer needs of the streams of its run. Publications
// that expect another last sequence than the stream has fail with
// message.ErrMoved, and with message.ErrFull where the stream is full.
type Queue interface {
	// LastTask returns the last sequence of the tasks stream.
	LastTask(ctx context.Context) (uint64, error)
	// StoredTask returns the task with the sequence.
	StoredTask(ctx context.Context, seq uint64) (message.Task, error)
	// StoredTasks yields what the stream holds from a sequence to its end.
	StoredTasks(ctx context.Context, from uint64) iter.Seq2[uint64, message.Task]
	// PublishTasks appends tasks, all or none, if last is the last sequence.
	PublishTasks(ctx context.Context, last uint64, tasks []message.Task) error
	// GrowTasks doubles the size limit of the tasks stream.
	GrowTasks(ctx context.Context) error
	// EnsureConsumer makes what hands the tasks to the workers, if it is not
	// there, and tells whether it was not.
	EnsureConsumer(ctx context.Context, ackWait time.Duration) (made bool, err error)
	// Publish appends an event.
	Publish(ctx context.Context, e message.Event) (uint64, error)
	// PublishAfter appends an event if last is the ledger's last sequence.
	PublishAfter(ctx context.Context, last uint64, e message.Event) (uint64, error)
}

// Config is what a producer is made of.
type Config struct {
	Plan   *Plan
	Queue  Queue
	Ledger *ledger.Follower // somebody else runs it

	// Batch is how many tasks are published at once. 0 stands for 1000, which
	// every server takes.
	Batch int

	// GiveWay lets a producer that finds another at work follow it and help
	// out when it is gone, instead of ending with ErrSecondProducer.
	GiveWay        bool
	ExitWhenSealed bool // also: end when more tasks failed than may, or the run is cancelled
	Log            *slog.Logger
}

// ErrSecondProducer is returned by a producer that finds another at work.
var ErrSecondProducer = errors.New("another producer publishes the tasks of this run")

// Producer publishes the tasks of one run.
type Producer struct {
	Config
	tasks  uint64 // number of tasks in the plan
	copies *copies
	read   uint64 // last sequence of the tasks stream that copies knows of
	epoch  uint64 // of the ledger that open has seen

	// rolledBack is set once a stream was another one than before: ledger
	// sequences in older copies then say nothing.
	rolledBack bool
}

// New returns a producer that has not started.
func New(c Config) *Producer {
	if c.Batch == 0 {
		c.Batch = batchTasks
	}
	return &Producer{Config: c, tasks: uint64(c.Plan.Planned.Tasks)} //nolint:gosec // a plan has at least one task
}

// Limits of one batch, which the broker stores whole or not at all.
const (
	batchTasks = 1000 // if the broker takes no more
	batchBytes = 4 << 20
)

const (
	checkInterval = 10 * time.Second
	retryPause    = 500 * time.Millisecond
)

// errRolledBack says that a stream is not the one it was: the broker lost its
// latest writes, was put back to an older copy, or the run was begun anew.
var errRolledBack = errors.New("the broker has forgotten something")

// Run produces until the run is sealed (with ExitWhenSealed) or ctx ends,
// which is no error.
func (p *Producer) Run(ctx context.Context) error {
	err := errRolledBack
	for errors.Is(err, errRolledBack) {
		p.epoch = p.Ledger.Epoch()
		if err = p.open(ctx); err == nil {
			err = p.publishAll(ctx)
		}
		if err == nil {
			err = p.serve(ctx)
		}
		if errors.Is(err, errRolledBack) {
			p.Log.WarnContext(ctx, "what is missing is published again", "reason", err)
			p.rolledBack = true
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // being stopped is the normal end
	}
	return err
}

// open brings `planned` and the settings into the ledger.
func (p *Producer) open(ctx context.Context) error {
	for {
		if err := p.Ledger.CatchUp(ctx); err != nil {
			if err := p.recover(ctx, err); err != nil {
				return err
			}
			continue
		}
		planned, last := false, uint64(0)
		p.Ledger.View(func(s *ledger.State) { planned, last = s.Planned() != nil, s.Last() })
		if planned {
			break
		}
		if _, err := p.Queue.PublishAfter(ctx, last, p.Plan.Planned); err != nil {
			if err := p.recover(ctx, err); err != nil {
				return fmt.Errorf("open the ledger: %w", err)
			}
		}
	}
	fault.Point(fault.ProducerPlanned)
	var current *message.Settings
	p.Ledger.View(func(s *ledger.State) { current = s.Settings() })
	if current != nil && reflect.DeepEqual(*current, *p.Plan.Settings) {
		return nil
	}
	seq, err := p.Queue.Publish(ctx, p.Plan.Settings)
	if err != nil {
		return fmt.Errorf("announce the settings: %w", err)
	}
	return p.Ledger.Wait(ctx, func(s *ledger.State) bool { return s.Last() >= seq || p.Ledger.Epoch() != p.epoch })
}

// publishAll publishes the tasks that the stream does not have yet.
//
// After an error nobody knows whether the batch was stored; the stream's last
// sequence tells. A stream that has moved on without an error of our own has
// another publisher.
func (p *Producer) publishAll(ctx context.Context) error {
	unsure := false
	for {
		last, err := p.Queue.LastTask(ctx)
		if err == nil {
			if last >= p.tasks {
				fault.Point(fault.ProducerPublished)
				return nil
			}
			err = p.publishFrom(ctx, last)
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, message.ErrMoved) && !unsure && !p.GiveWay:
			return ErrSecondProducer
		}
		unsure = true
		if err := p.recover(ctx, err); err != nil {
			return err
		}
	}
}

// errForeignTask says that the stream holds what the plan does not.
var errForeignTask = errors.New("tasks stream holds another task than the plan")

// publishFrom publishes the tasks after the stream's last sequence.
func (p *Producer) publishFrom(ctx context.Context, last uint64) error {
	first := int64(last) //nolint:gosec // less than the number of tasks
	if last > 0 {
		if err := p.checkStored(ctx, last); err != nil {
			return err
		}
	}
	batch, bytes := make([]message.Task, 0, p.Batch), 0
	flush := func() error {
		fault.Point(fault.ProducerBatchSent)
		if err := p.Queue.PublishTasks(ctx, last, batch); err != nil {
			return fmt.Errorf("publish tasks %d to %d: %w", batch[0].Index, batch[len(batch)-1].Index, err)
		}
		fault.Point(fault.ProducerBatchAcked)
		last += uint64(len(batch))
		batch, bytes = batch[:0], 0
		return nil
	}
	for task, err := range p.Plan.Spec.TasksFrom(first) {
		if err != nil {
			return fmt.Errorf("read the task list: %w", err)
		}
		batch = append(batch, task)
		if bytes += len(task.Params) + 200; len(batch) == p.Batch || bytes > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) > 0 {
		return flush()
	}
	return nil
}

// checkStored makes sure that the task with sequence seq is the plan's.
func (p *Producer) checkStored(ctx context.Context, seq uint64) error {
	stored, err := p.Queue.StoredTask(ctx, seq)
	if err != nil {
		return fmt.Errorf("read back task %d: %w", seq-1, err)
	}
	planned, err := p.planned(int64(seq) - 1) //nolint:gosec // a sequence of the plan's
	if err != nil {
		return err
	}
	if !stored.SameWork(planned) {
		return fmt.Errorf("sequence %d holds task %d: %w", seq, stored.Index, errForeignTask)
	}
	return nil
}

// planned returns the plan's task with the index.
func (p *Producer) planned(index int64) (message.Task, error) {
	for t, err := range p.Plan.Spec.TasksFrom(index) {
		return t, err
	}
	return message.Task{}, fmt.Errorf("the plan has no task %d", index)
}

// serve follows the ledger and appends the copies it asks for.
func (p *Producer) serve(ctx context.Context) error {
	p.copies, p.read = newCopies(), p.tasks
	check := time.NewTicker(checkInterval)
	defer check.Stop()
	for {
		changed := p.Ledger.Changed()
		if p.Ledger.Epoch() != p.epoch {
			return errRolledBack
		}
		if err := p.readCopies(ctx); err != nil {
			return err
		}
		var due []due
		sealed, over := uint64(0), false
		p.Ledger.View(func(s *ledger.State) {
			due = p.copies.Due(s)
			_, sealed = s.Sealed()
			over = s.Cancelled() || s.Overrun()
		})
		if p.ExitWhenSealed && (sealed != 0 || over) {
			return nil
		}
		if len(due) > 0 {
			if err := p.appendCopies(ctx, due); err != nil {
				if err := p.recover(ctx, err); err != nil {
					return err
				}
				continue
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-check.C:
			if err := p.keepConsumer(ctx); err != nil {
				return err
			}
		}
	}
}

// keepConsumer makes good what somebody with a key of the server has deleted:
// the workers wait for it. All tasks are delivered once more then, and those
// that are recorded only acknowledged.
func (p *Producer) keepConsumer(ctx context.Context) error {
	made, err := p.Queue.EnsureConsumer(ctx, time.Duration(p.Plan.Settings.AckWait))
	if err != nil {
		return p.recover(ctx, err)
	}
	if made {
		p.Log.WarnContext(ctx, "what hands out the tasks was gone and is made again")
	}
	return nil
}

// recover makes it worth trying again after an error, or returns the error: it
// makes room in a full stream, and gives a broker that does not answer, or
// another publisher, some time.
func (p *Producer) recover(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, message.ErrFull):
		if err := p.Queue.GrowTasks(ctx); err != nil {
			return fmt.Errorf("make room in the tasks stream: %w", err)
		}
		return nil
	case errors.Is(err, message.ErrMoved), errors.Is(err, message.ErrUnreachable):
		p.Log.InfoContext(ctx, "publishing interrupted", "reason", err)
		return pause(ctx, retryPause)
	}
	return err
}

// readCopies takes note of the copies that the stream has since p.read.
func (p *Producer) readCopies(ctx context.Context) error {
	last, err := p.Queue.LastTask(ctx)
	if err != nil {
		return p.recover(ctx, err)
	}
	if last < p.read {
		return errRolledBack
	}
	if last == p.read {
		return nil
	}
	for seq, task := range p.Queue.StoredTasks(ctx, p.read+1) {
		if p.rolledBack {
			task.Cause = 0
		}
		p.copies.Seen(task.Index, seq, task.Cause)
	}
	p.read = last // also beyond what is not a task of this run
	return ctx.Err()
}

// appendCopies appends a copy of each task that is due.
func (p *Producer) appendCopies(ctx context.Context, due []due) error {
	for len(due) > 0 {
		n := min(len(due), batchTasks)
		batch, err := p.copiesOf(ctx, due[:n])
		if err != nil {
			return err
		}
		if err := p.Queue.PublishTasks(ctx, p.read, batch); err != nil {
			return fmt.Errorf("append %d copies: %w", n, err)
		}
		fault.Point(fault.ProducerCopiesAppended)
		for _, task := range batch {
			p.read++
			p.copies.Seen(task.Index, p.read, task.Cause)
		}
		p.Log.InfoContext(ctx, "tasks delivered again", "tasks", n, "cause", batch[0].Cause)
		due = due[n:]
	}
	return nil
}

// copiesOf returns the copies of tasks, which are in ascending order: as the
// stream has them, if that is what the plan says. A broker that has lost or
// damaged a block of the stream is no reason to lose a task.
func (p *Producer) copiesOf(ctx context.Context, due []due) ([]message.Task, error) {
	stored, storedErr := storedTasks(ctx, p.Queue, due)
	copies := make([]message.Task, 0, len(due))
	for task, err := range p.Plan.Spec.TasksFrom(due[0].index) {
		if err != nil {
			return nil, fmt.Errorf("read the task list: %w", err)
		}
		d := due[len(copies)]
		if task.Index != d.index {
			continue
		}
		if found, ok := stored[d.index]; !ok || !found.SameWork(task) {
			p.Log.WarnContext(ctx, "stored task is damaged; the plan's is used", "task", d.index, "error", storedErr)
		}
		task.Cause = d.cause
		if copies = append(copies, task); len(copies) == len(due) {
			return copies, nil
		}
	}
	return nil, fmt.Errorf("the plan has no task %d", due[len(copies)].index)
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
