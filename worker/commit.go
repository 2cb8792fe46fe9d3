package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nats-io/nuid"

	"windrow/internal/atomicfile"
	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/shard"
)

// ErrShards says that a shard could not be brought to disk, or was not read
// back as it was written. The rows are computed again, by another worker or
// when there is room.
var ErrShards = errors.New("the shards folder is not usable")

// commit is the ack rule: a task is acknowledged only after its row is on
// disk, synced, read back, checked and announced. Its steps, each followed by
// a crash point that a test kills the worker at:
//
//  1. write the rows to a temporary file of the worker's own; close it
//  2. sync the file to disk
//  3. read it back through a fresh open: schema, tasks in order, value limits,
//     and the digests taken when the rows were computed
//  4. hash the file, to be named and announced by it
//  5. rename it to <first task>-<sha256>.h5
//  6. sync the folder
//  7. announce the shard, and failures, in the ledger; wait for the broker's
//     confirmation that they are stored
//  8. acknowledge the tasks
//
// A worker killed before step 7 leaves a file that nobody knows, and one
// killed after it leaves tasks that the next delivery finds recorded. An error
// before step 8 acknowledges nothing.
func (w *Worker) commit(ctx context.Context, leases *leases, b *batch) error {
	if b.rows.Len() > 0 {
		announcement, err := w.writeShard(b)
		if err != nil && w.isSealed(ctx) { // without us: the folder may be gone
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrShards, w.Shards, err)
		}
		if w.announced, err = w.Queue.Publish(ctx, announcement); err != nil {
			return fmt.Errorf("announce shard %s: %w", announcement.Name, err)
		}
	}
	if len(b.failures) > 0 {
		failed := &message.Failed{Failures: b.failures, Worker: w.ID}
		for _, part := range failed.Split() {
			var err error
			if w.announced, err = w.Queue.Publish(ctx, part); err != nil {
				return fmt.Errorf("record failed tasks: %w", err)
			}
		}
	}
	fault.Point(fault.WorkerAnnounced)

	for _, h := range b.answered {
		w.ack(leases, h.Delivery)
	}
	if err := w.Queue.Flush(ctx); err != nil {
		return fmt.Errorf("acknowledge %d tasks: %w", len(b.answered), err)
	}
	fault.Point(fault.WorkerAcked)
	w.Log.InfoContext(ctx, "tasks recorded", "rows", b.rows.Len(), "failed", len(b.failures), "seconds", b.seconds)
	return nil
}

// isSealed tells whether the run is sealed by now.
func (w *Worker) isSealed(ctx context.Context) (sealed bool) {
	if err := w.Ledger.CatchUp(ctx); err != nil {
		return false
	}
	w.Ledger.View(func(s *ledger.State) { _, at := s.Sealed(); sealed = at != 0 })
	return sealed
}

// writeShard does steps 1 to 6. Nothing is left behind if one of them fails.
func (w *Worker) writeShard(b *batch) (_ *message.Shard, err error) {
	temporary := filepath.Join(w.Shards, w.ID+"-"+nuid.Next()+".tmp")
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // the first error counts
		}
	}()

	want := shard.Expected{Columns: w.planned.Columns, Tasks: b.tasks(), Digests: b.digests}
	if err := shard.Write(temporary, w.Digest, b.rows, b.digests); err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerWritten)
	if err := shard.Sync(temporary); err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerSynced)
	extents, err := shard.Validate(temporary, w.Digest, want)
	if err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerValidated)
	announcement, err := shard.Announce(temporary, extents, want)
	if err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerHashed)
	if err := atomicfile.Rename(temporary, filepath.Join(w.Shards, announcement.Name)); err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerRenamed)
	if err := atomicfile.SyncDir(w.Shards); err != nil {
		return nil, err
	}
	fault.Point(fault.WorkerDirSynced)
	announcement.Worker, announcement.Folder = w.ID, w.Folder
	announcement.Seconds, announcement.Retried = b.seconds, b.retried
	return announcement, nil
}

// tasks returns the index of each row's task.
func (b *batch) tasks() []int64 {
	tasks := make([]int64, b.rows.Len())
	for i := range tasks {
		tasks[i] = b.rows.Row(i).Task()
	}
	return tasks
}
