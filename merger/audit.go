package merger

import (
	"context"
	"errors"
	"fmt"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
)

// rangesPerEvent keeps a `missing` event well below message.MaxEventBytes.
const rangesPerEvent = 5000

// audit asks for the tasks that will not come by themselves: all were
// published, none waits and none is in work, and still they are not recorded.
// Acknowledgements are a hint only; the broker may have delivered a task whose
// record it then lost.
//
// The order matters. Idleness is seen first and the ledger is read up to its
// end after that, so whatever the deliveries led to is in the fold. A task is
// named again only if more of the stream was delivered since it was last
// asked for: the copy that the first request led to has then come and gone.
func (m *Merger) audit(ctx context.Context) error {
	last, err := m.Queue.LastTask(ctx)
	if err != nil || last < uint64(m.planned.Tasks) { //nolint:gosec // a plan has at least one task
		return later(err)
	}
	idle, delivered, err := m.Queue.Idle(ctx)
	if err != nil || !idle {
		return later(err)
	}
	if err := m.Ledger.CatchUp(ctx); err != nil {
		return err
	}
	var missing []int64
	m.Ledger.View(func(s *ledger.State) { missing = missingAfter(s, delivered) })
	if len(missing) == 0 {
		return nil
	}
	m.Log.WarnContext(ctx, "tasks are missing", "tasks", len(missing), "after", delivered)
	for _, rows := range message.RangesOf(missing).Split(rangesPerEvent) {
		if _, err := m.Queue.Publish(ctx, &message.Missing{Rows: rows, After: delivered}); err != nil {
			return fmt.Errorf("ask for missing tasks: %w", err)
		}
	}
	fault.Point(fault.MergerMissingAsked)
	return nil
}

// later drops the error of a broker that is away: the next step audits again.
func later(err error) error {
	if errors.Is(err, message.ErrUnreachable) {
		return nil
	}
	return err
}

// missingAfter returns the waiting tasks that no request with the same or a
// later `after` has asked for.
func missingAfter(s *ledger.State, delivered uint64) []int64 {
	var missing []int64
	for index := range s.Unrecorded().All() {
		if after, _, asked := s.Request(index); !asked || after < delivered {
			missing = append(missing, index)
		}
	}
	return missing
}
