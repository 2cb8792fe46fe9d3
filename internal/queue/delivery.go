package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/message"
)

const (
	fetchPart  = 500         // tasks to ask for at once
	fetchPause = time.Second // after a fetch that was interrupted
)

// WorkersInfo says how far the workers are.
type WorkersInfo struct {
	Pending     uint64 // messages of the tasks stream that were never delivered
	AckPending  int    // delivered, and neither acknowledged nor given up
	Redelivered int    // of these, delivered more than once
	Waiting     int    // workers that wait for tasks
	Delivered   uint64 // highest sequence of the tasks stream that was delivered
	Deliveries  uint64 // so far, of whatever task
}

// Workers returns how far the workers are, all of it at one moment.
func (r *Run) Workers(ctx context.Context) (WorkersInfo, error) {
	var info *jetstream.ConsumerInfo
	err := r.conn.ask(ctx, "describe the workers' consumer", []string{"$JS.API.CONSUMER.INFO." + r.tasksStream()}, func(ctx context.Context) error {
		consumer, err := r.conn.js.Consumer(ctx, r.tasksStream(), consumerName)
		if err == nil {
			info = consumer.CachedInfo()
		}
		return err
	})
	if err != nil {
		return WorkersInfo{}, err
	}
	return WorkersInfo{
		Pending: info.NumPending, AckPending: info.NumAckPending, Redelivered: info.NumRedelivered,
		Waiting: info.NumWaiting, Delivered: info.Delivered.Stream, Deliveries: info.Delivered.Consumer,
	}, nil
}

// EnsureConsumer makes the workers' consumer as CreateRun does, if it is not
// there, and tells whether it was not.
func (r *Run) EnsureConsumer(ctx context.Context, ackWait time.Duration) (made bool, err error) {
	_, err = r.Workers(ctx)
	if !errors.Is(err, ErrNoConsumer) {
		return false, err
	}
	return true, r.conn.ensureConsumer(ctx, RunConfig{ID: r.id, AckWait: ackWait})
}

// DeliverAgain has the tasks from sequence from on delivered once more, those
// that are lent out included. It is for when all who held tasks are gone.
func (r *Run) DeliverAgain(ctx context.Context, from uint64) error {
	return r.conn.ask(ctx, "reset the workers' consumer", []string{"$JS.API.CONSUMER.RESET." + r.tasksStream()}, func(ctx context.Context) error {
		_, err := r.conn.js.ResetConsumerToSequence(ctx, r.tasksStream(), consumerName, from)
		return err
	})
}

// Fetch waits up to wait for a task and returns it with what else is ready,
// n tasks at most. Each is lent for the run's ack wait. Fetch waits out
// interruptions, returning no tasks; it returns an error when ctx ends, and
// when trying again is of no use.
func (r *Run) Fetch(ctx context.Context, n int, wait time.Duration) ([]*Delivery, error) {
	fetched, err := r.fetch(ctx, n, wait)
	switch {
	case len(fetched) > 0: // they are lent to us, whatever happened then
		return fetched, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case r.conn.nc.IsClosed():
		return nil, err
	case errors.Is(err, ErrUnreachable), errors.Is(err, ErrNoConsumer), errors.Is(err, jetstream.ErrConsumerDeleted):
		r.conn.log.WarnContext(ctx, "fetching tasks interrupted", "reason", err)
		return nil, sleep(ctx, min(wait, fetchPause))
	}
	return nil, err
}

// fetch asks for what is ready. If nothing is, it waits for one task and asks
// again: a request for many would wait until there are so many.
func (r *Run) fetch(ctx context.Context, n int, wait time.Duration) ([]*Delivery, error) {
	prefixes := []string{"$JS.API.CONSUMER.INFO." + r.tasksStream(), "$JS.API.CONSUMER.MSG.NEXT." + r.tasksStream()}
	var fetched []*Delivery
	err := r.conn.askFor(ctx, requestLimit+wait, "fetch tasks", prefixes, func(ctx context.Context) error {
		consumer, err := r.conn.js.Consumer(ctx, r.tasksStream(), consumerName)
		if err != nil {
			return err
		}
		if fetched, err = r.ready(ctx, consumer, n); err != nil || len(fetched) > 0 {
			return err
		}
		if fetched, err = r.first(ctx, consumer, wait); err != nil || len(fetched) == 0 || n == 1 {
			return err
		}
		rest, err := r.ready(ctx, consumer, n-1)
		fetched = append(fetched, rest...)
		return err
	})
	return fetched, err
}

// ready returns up to n tasks that can be delivered at once. It asks for a part
// at a time: what a message takes is three times what is kept of it.
func (r *Run) ready(ctx context.Context, consumer jetstream.Consumer, n int) ([]*Delivery, error) {
	var received []*Delivery
	for len(received) < n {
		part := min(n-len(received), fetchPart)
		batch, err := consumer.FetchNoWait(part)
		if err != nil {
			return received, err
		}
		got, err := r.collect(ctx, batch)
		received = append(received, got...)
		if err != nil || len(got) < part {
			return received, err
		}
	}
	return received, nil
}

// first waits for a task.
func (r *Run) first(ctx context.Context, consumer jetstream.Consumer, wait time.Duration) ([]*Delivery, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	batch, err := consumer.Fetch(1, jetstream.FetchContext(waiting)) // asks for a little less than wait
	if err != nil {
		return nil, err
	}
	received, err := r.collect(waiting, batch)
	if ctx.Err() == nil && waiting.Err() != nil {
		return received, nil
	}
	return received, err
}

// collect receives a batch. What has come when ctx ends is returned.
func (r *Run) collect(ctx context.Context, batch jetstream.MessageBatch) ([]*Delivery, error) {
	var received []*Delivery
	for {
		select {
		case <-ctx.Done():
			return received, ctx.Err()
		case msg, open := <-batch.Messages():
			if !open {
				return received, batchError(batch)
			}
			d, err := r.delivery(msg)
			if err != nil {
				return received, err
			}
			received = append(received, d)
		}
	}
}

// batchError returns why a batch ended, unless there was just nothing more.
func batchError(batch jetstream.MessageBatch) error {
	err := batch.Error()
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) {
		return nil
	}
	return err
}

// Delivery is one delivery of a task. What answers it is only sent; Run.Flush
// waits until the broker has read it. The broker takes an answer to an earlier
// delivery of the same task for one to the present one.
//
// A worker holds thousands, so this is only what it needs of the message.
type Delivery struct {
	task       message.Task
	err        error // why this is not a task of the run
	sequence   uint64
	deliveries int
	conn       *nats.Conn
	reply      string // subject of the answers
}

func (r *Run) delivery(msg jetstream.Msg) (*Delivery, error) {
	at, err := msg.Metadata()
	if err != nil {
		return nil, fmt.Errorf("read delivery: %w", err)
	}
	d := &Delivery{
		sequence: at.Sequence.Stream, deliveries: int(at.NumDelivered), //nolint:gosec // the limit is 50
		conn: r.conn.nc, reply: msg.Reply(),
	}
	d.task, d.err = message.DecodeTask(r.digest, msg.Data())
	return d, nil
}

// Task returns the task, or an error if this is not a task of the run.
func (d *Delivery) Task() (message.Task, error) { return d.task, d.err }

// Sequence returns the task's sequence in the tasks stream.
func (d *Delivery) Sequence() uint64 { return d.sequence }

// Deliveries returns how often the task was delivered, this time included.
func (d *Delivery) Deliveries() int { return d.deliveries }

// Ack says that the task is never to be delivered again.
func (d *Delivery) Ack() error { return d.answer("+ACK") }

// Nak says that the task is to be delivered again at once.
func (d *Delivery) Nak() error { return d.answer("-NAK") }

// InProgress restarts the ack wait.
func (d *Delivery) InProgress() error { return d.answer("+WPI") }

// answer sends one of the words that JetStream knows.
func (d *Delivery) answer(word string) error {
	if err := d.conn.Publish(d.reply, []byte(word)); err != nil {
		return fmt.Errorf("answer a delivery: %w", err)
	}
	return nil
}
