package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"windrow/internal/message"
)

// MaxBatch is the number of tasks that can be published at once, unless the
// server is configured otherwise: it is nats-server's default limit.
const MaxBatch = 1000

// LastTask returns the last sequence of the tasks stream.
func (r *Run) LastTask(ctx context.Context) (uint64, error) {
	info, err := r.conn.streamInfo(ctx, r.tasksStream())
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}

// PublishTasks appends tasks, all or none, if last is the last
// sequence of the tasks stream. It returns when they are on disk. The error is
// message.ErrMoved if the stream has another last sequence, and message.ErrFull
// if it has no room for them. After any other error they may be stored:
// LastTask tells.
func (r *Run) PublishTasks(ctx context.Context, last uint64, tasks []message.Task) error {
	if len(tasks) == 0 {
		return errors.New("publish no tasks")
	}
	batch := make([]*nats.Msg, len(tasks))
	for i, t := range tasks {
		payload, err := message.EncodeTask(r.digest, t)
		if err != nil {
			return fmt.Errorf("encode task %d: %w", t.Index, err)
		}
		batch[i] = nats.NewMsg(taskSubject(r.id))
		batch[i].Data = payload
	}
	batch[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(last, 10))
	batch[0].Header.Set(jetstream.ExpectedStreamHeader, r.tasksStream())
	return r.conn.tell(ctx, "publish tasks", []string{taskSubject(r.id)}, func(ctx context.Context) error {
		return r.publishBatch(ctx, batch)
	})
}

func (r *Run) publishBatch(ctx context.Context, batch []*nats.Msg) error {
	if len(batch) == 1 {
		_, err := r.conn.js.PublishMsg(ctx, batch[0], jetstream.WithRetryAttempts(0))
		return err
	}
	// One answer to the whole batch says it all; another one to its first
	// message would only cost a round trip.
	_, err := jetstreamext.PublishMsgBatch(ctx, r.conn.js, batch, jetstreamext.BatchFlowControl{AckFirst: false})
	return err
}

// GrowTasks doubles the size limit of the tasks stream. The error is
// message.ErrFull if the broker has no room for that.
func (r *Run) GrowTasks(ctx context.Context) error {
	info, err := r.conn.streamInfo(ctx, r.tasksStream())
	if err != nil {
		return err
	}
	return r.conn.resizeStream(ctx, info.Config, 2*info.Config.MaxBytes)
}

// StoredTask returns the task with the sequence seq of the tasks stream.
func (r *Run) StoredTask(ctx context.Context, seq uint64) (message.Task, error) {
	msg, err := r.conn.stored(ctx, r.tasksStream(), seq)
	if err != nil {
		return message.Task{}, err
	}
	return message.DecodeTask(r.digest, msg.Data)
}

// stored returns the message with the sequence seq of a stream.
func (c *Conn) stored(ctx context.Context, stream string, seq uint64) (msg *jetstream.RawStreamMsg, err error) {
	what := fmt.Sprintf("read message %d of %s", seq, stream)
	err = c.ask(ctx, what, []string{"$JS.API.STREAM.INFO." + stream, "$JS.API.STREAM.MSG.GET." + stream}, func(ctx context.Context) error {
		s, err := c.js.Stream(ctx, stream)
		if err == nil {
			msg, err = s.GetMsg(ctx, seq)
		}
		return err
	})
	return msg, err
}

// StoredTasks yields the tasks with their sequences, from the sequence `from`
// to what is the last one when it begins. It leaves out what is not a task of
// the run, with a warning. It waits out interruptions; it ends early when ctx
// ends, and when the run does.
func (r *Run) StoredTasks(ctx context.Context, from uint64) iter.Seq2[uint64, message.Task] {
	return func(yield func(uint64, message.Task) bool) {
		var last uint64
		err := r.conn.retry(ctx, func() (err error) {
			last, err = r.LastTask(ctx)
			return err
		})
		if err == nil && from <= last {
			err = r.readTasks(ctx, from, last, yield)
		}
		if err != nil && ctx.Err() == nil {
			r.conn.log.WarnContext(ctx, "reading the tasks stream ended early", "reason", err)
		}
	}
}

// readTasks yields the tasks with the sequences from next to last.
func (r *Run) readTasks(ctx context.Context, next, last uint64, yield func(uint64, message.Task) bool) error {
	return r.conn.retry(ctx, func() error {
		return r.conn.follow(ctx, r.tasksStream(), next, func(m jetstream.Msg, at *jetstream.MsgMetadata) bool {
			seq := at.Sequence.Stream
			next = seq + 1
			if seq > last {
				return false
			}
			task, err := message.DecodeTask(r.digest, m.Data())
			if err != nil {
				r.conn.log.WarnContext(ctx, "not a task of this run", "stream", r.tasksStream(), "seq", seq, "reason", err)
				return seq < last
			}
			return yield(seq, task) && seq < last
		})
	})
}

// retry calls attempt until it succeeds, fails for good, or ctx ends.
func (c *Conn) retry(ctx context.Context, attempt func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := attempt()
		if !errors.Is(err, ErrUnreachable) || c.nc.IsClosed() {
			return err
		}
		c.log.InfoContext(ctx, "trying again", "reason", err, "pause", pause)
		if ended := sleep(ctx, pause); ended != nil {
			return errors.Join(ended, err)
		}
	}
}
