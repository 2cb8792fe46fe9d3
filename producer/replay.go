package producer

import (
	"cmp"
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
	stored, err := storedTasks(ctx, q, wanted)
	batch := make([]message.Task, 0, len(wanted))
	for _, d := range wanted {
		task, ok := stored[d.index]
		if !ok {
			return nil, fmt.Errorf("read back task %d: %w", d.index, cmp.Or(err, errForeignTask))
		}
		task.Cause = d.cause
		batch = append(batch, task)
	}
	return batch, nil
}

// closeTogether is how many tasks may lie between two that are wanted, for all
// between them to be read instead of each by itself, which takes a request.
const closeTogether = 50

// storedTasks returns the tasks that the stream has under the sequences of those
// that are wanted, which ascend. What is not there, or is another task, is left
// out; the error says why, if anybody knows.
func storedTasks(ctx context.Context, q Queue, wanted []due) (stored map[int64]message.Task, err error) {
	stored = make(map[int64]message.Task, len(wanted))
	first, last := wanted[0].index, wanted[len(wanted)-1].index
	if n := int64(len(wanted)); n > 1 && last-first < closeTogether*n {
		for seq, task := range q.StoredTasks(ctx, uint64(first)+1) { //nolint:gosec // an index is not negative
			if task.Index == int64(seq)-1 { //nolint:gosec // a stream has fewer
				stored[task.Index] = task
			}
			if seq > uint64(last) { //nolint:gosec // an index is not negative
				break
			}
		}
		return stored, ctx.Err()
	}
	for _, d := range wanted {
		task, oneErr := q.StoredTask(ctx, uint64(d.index)+1) //nolint:gosec // an index is not negative
		switch {
		case oneErr != nil:
			err = oneErr
		case task.Index == d.index:
			stored[d.index] = task
		}
	}
	return stored, err
}
