package worker

import (
	"context"
	"fmt"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Import records rows that a file of another program has: they go into a shard
// that is written, validated and announced by the ack rule, as if they had been
// computed. Their tasks are acknowledged when a worker finds them recorded.
// Rows stand in the order of their tasks.
func (w *Worker) Import(ctx context.Context, rows *table.Block, from message.Imported) error {
	err := w.Ledger.Wait(ctx, func(s *ledger.State) bool { return s.Planned() != nil })
	if err != nil {
		return err
	}
	w.Ledger.View(func(s *ledger.State) { w.planned = s.Planned() })
	announcement, err := w.writeShard(&batch{rows: rows, digests: rows.Digests()})
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrShards, w.Shards, err)
	}
	announcement.Imported = &from
	if _, err := w.Queue.Publish(ctx, announcement); err != nil {
		return fmt.Errorf("announce shard %s: %w", announcement.Name, err)
	}
	fault.Point(fault.WorkerAnnounced)
	w.Log.InfoContext(ctx, "rows imported", "rows", rows.Len(), "file", from.File)
	return nil
}
