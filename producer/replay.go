package producer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
)

// ErrUnpublished is returned by AppendCopies as long as the stream does not
// have every task once: copies before that would take the place of tasks.
var ErrUnpublished = errors.New("not all tasks are published yet")

// AppendCopies appends the copies that the ledger asks for, as the stream has
// the tasks, and returns how many: the part of a producer that a replay plays
// where none is at work. A producer that is, or comes, may do the same at the
// same time. Each publication is fenced by the stream's last sequence, so
// whoever is later finds the copy there.
func AppendCopies(ctx context.Context, q Queue, s *ledger.State) (int, error) {
	for appended := 0; ; {
		n, err := appendDue(ctx, q, s)
		appended += n
		switch {
		case errors.Is(err, message.ErrFull):
			if err := q.GrowTasks(ctx); err != nil {
				return appended, fmt.Errorf("make room in the tasks stream: %w", err)
			}
		case errors.Is(err, message.ErrMoved):
			if err := pause(ctx, retryPause/10); err != nil {
				return appended, err
			}
		default:
			return appended, err
		}
	}
}

// appendDue appends the copies that the stream lacks now.
func appendDue(ctx context.Context, q Queue, s *ledger.State) (appended int, err error) {
	last, err := q.LastTask(ctx)
	if err != nil {
		return 0, err
	}
	tasks := uint64(s.Tasks()) //nolint:gosec // a count is not negative
	if last < tasks || tasks == 0 {
		return 0, ErrUnpublished
	}
	c := newCopies()
	for seq, task := range q.StoredTasks(ctx, tasks+1) {
		c.Seen(task.Index, seq, task.Cause)
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	for part := range slices.Chunk(c.Due(s), batchTasks) {
		batch, err := readBack(ctx, q, part)
		if err != nil {
			return appended, err
		}
		if err := q.PublishTasks(ctx, last, batch); err != nil {
			return appended, fmt.Errorf("append %d copies: %w", len(batch), err)
		}
		fault.Point(fault.ProducerCopiesAppended)
		last += uint64(len(batch))
		appended += len(batch)
	}
	return appended, nil
}

// readBack returns copies of tasks as the stream has them.
func readBack(ctx context.Context, q Queue, wanted []due) ([]message.Task, error) {
	batch := make([]message.Task, 0, len(wanted))
	for _, d := range wanted {
		task, err := q.StoredTask(ctx, uint64(d.index)+1) //nolint:gosec // an index is not negative
		if err != nil {
			return nil, fmt.Errorf("read back task %d: %w", d.index, err)
		}
		if task.Index != d.index {
			return nil, fmt.Errorf("sequence %d holds task %d: %w", d.index+1, task.Index, errForeignTask)
		}
		task.Cause = d.cause
		batch = append(batch, task)
	}
	return batch, nil
}
