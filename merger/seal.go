package merger

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"windrow/internal/dataset"
	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
)

// outcome is what the ledger says became of the tasks that no worker computed.
type outcome struct {
	failures []message.Failure
	imports  []dataset.Imported
}

// outcomeOf returns the failures that count and the imported rows that do.
func outcomeOf(s *ledger.State) outcome {
	o := outcome{failures: s.Failures()}
	for _, shard := range s.Shards() {
		if shard.Imported == nil || shard.Rejected != "" {
			continue
		}
		if owned := s.OwnedBy(shard); len(owned) > 0 {
			o.imports = append(o.imports, dataset.Imported{Imported: *shard.Imported, Rows: owned})
		}
	}
	return o
}

// finish verifies the partial, which has all rows but those of the failures,
// gives the dataset its name and seals the run. Damaged rows are copied again,
// a few times; more says that the disk cannot be trusted.
func (m *Merger) finish(ctx context.Context, o outcome) (sealed bool, err error) {
	if err := m.sync(true); err != nil {
		return false, err
	}
	fault.Point(fault.MergerComplete)
	finished, err := m.partial.Finish(ctx, o.failures, o.imports)
	if damaged, ok := errors.AsType[*dataset.DamagedError](err); ok {
		if m.rounds++; m.rounds > maxRounds {
			return false, fmt.Errorf("%s.partial, verified %d times: %w: %w", m.Output, m.rounds, damaged, ErrVerify)
		}
		m.Log.WarnContext(ctx, "damaged rows are copied again", "rows", damaged.Rows.String())
		clear(m.seen)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("finish %s: %w", m.Output, err)
	}
	fault.Point(fault.MergerVerified)

	last, settled, err := m.settled(ctx, o)
	if err != nil || !settled {
		return false, err
	}
	fault.Point(fault.MergerBeforeRename)
	if err := finished.Commit(); err != nil {
		return false, fmt.Errorf("rename to %s: %w", m.Output, err)
	}
	fault.Point(fault.MergerRenamed)
	sealed, err = m.seal(ctx, &finished.Sealed, last)
	if err == nil && !sealed { // the partial is the final file now
		err = errChanged
	}
	return sealed, err
}

// sealCommitted seals the run if the dataset is there already: a merger was
// killed between the rename and the seal.
func (m *Merger) sealCommitted(ctx context.Context) (sealed bool, err error) {
	if err := m.Ledger.CatchUp(ctx); err != nil {
		return false, err
	}
	o := m.outcome()
	last, settled, err := m.settled(ctx, o)
	if err != nil || !settled {
		return false, err
	}
	found, err := dataset.Committed(ctx, m.Output, m.form, o.failures, o.imports)
	if err != nil || found == nil {
		return false, err
	}
	return m.seal(ctx, found, last)
}

func (m *Merger) outcome() (o outcome) {
	m.Ledger.View(func(s *ledger.State) { o = outcomeOf(s) })
	return o
}

// settled reads the ledger to its end and tells whether every task is recorded
// or among the failures, the outcome is still that, as many failed as may, and
// the run is neither sealed nor cancelled. It returns the sequence up to which
// that holds.
func (m *Merger) settled(ctx context.Context, o outcome) (last uint64, settled bool, err error) {
	if err := m.Ledger.CatchUp(ctx); err != nil {
		return 0, false, err
	}
	m.Ledger.View(func(s *ledger.State) {
		last = s.Last()
		_, sealed := s.Sealed()
		settled = s.Planned() != nil && s.Settings() != nil && m.isOf(s) && sealed == 0 && !s.Cancelled() && s.Missing() == 0 &&
			!s.Overrun() && reflect.DeepEqual(outcomeOf(s), o)
	})
	return last, settled, nil
}

// seal closes the ledger. If it has moved on since it was read, what came may
// change nothing (a shard announced twice): then the seal is tried again. If
// it changes something, the run goes on.
func (m *Merger) seal(ctx context.Context, sealed *message.Sealed, last uint64) (bool, error) {
	o := m.outcome()
	for {
		_, err := m.Queue.PublishAfter(ctx, last, sealed)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case errors.Is(err, message.ErrMoved), errors.Is(err, message.ErrUnreachable):
			m.Log.InfoContext(ctx, "seal not confirmed", "reason", err)
		case err != nil:
			return false, fmt.Errorf("seal the run: %w", err)
		}
		var settled bool
		if last, settled, err = m.settled(ctx, o); err != nil {
			return false, err
		}
		var present *message.Sealed
		m.Ledger.View(func(s *ledger.State) { present, _ = s.Sealed() })
		switch {
		case present != nil && *present == *sealed:
			fault.Point(fault.MergerSealed)
			m.Log.InfoContext(ctx, "run sealed", "dataset", m.Output, "rows", sealed.Rows, "sha256", sealed.SHA256)
			return true, nil
		case !settled:
			return false, nil
		}
	}
}
