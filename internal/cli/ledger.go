package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

// fold reads the ledger of a run to its present end.
func fold(ctx context.Context, run *queue.Run) (*ledger.State, error) {
	s := ledger.New(run.Digest())
	err := eachEvent(ctx, run, func(e ledger.Entry) { _ = s.Apply(e) }) // what is ignored has no effect on the state
	if err != nil {
		return nil, err
	}
	return s, nil
}

// eachEvent passes the events of a run on, to the ledger's present end.
func eachEvent(ctx context.Context, run *queue.Run, visit func(ledger.Entry)) error {
	info, err := run.EventsInfo(ctx)
	if err != nil || info.LastSeq == 0 {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var last uint64
	err = run.Events(reading, 1, func(e ledger.Entry) {
		if last >= info.LastSeq {
			return
		}
		visit(e)
		if last = e.Seq; last >= info.LastSeq {
			stop()
		}
	})
	if last >= info.LastSeq {
		return nil
	}
	return fmt.Errorf("read the ledger of %s: %w", run.ID(), errors.Join(err, ctx.Err()))
}

// openRun connects to the broker and opens the run with the id, or without one
// the newest. The caller must call closing.
func (a *app) openRun(ctx context.Context, f connectFlags, id string) (run *queue.Run, closing func() error, err error) {
	conn, closing, err := a.connect(ctx, f, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return nil, nil, err
	}
	if run, err = pickRun(ctx, conn, id); err != nil {
		return nil, nil, errors.Join(err, closing())
	}
	return run, closing, nil
}

// pickRun opens the run with the id, or without one the newest.
func pickRun(ctx context.Context, conn *queue.Conn, id string) (*queue.Run, error) {
	if id != "" {
		parsed, err := message.ParseRunID(id)
		if err != nil {
			return nil, &exitError{exitUsage, err, "windrow status"}
		}
		run, err := conn.OpenRun(ctx, parsed)
		if errors.Is(err, queue.ErrNoRun) {
			return nil, &exitError{exitUsage, fmt.Errorf("there is no run %s", parsed), "windrow status"}
		}
		return run, err
	}
	runs, err := conn.Runs(ctx)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, &exitError{exitUsage, errors.New("there is no run"), "windrow run SPEC"}
	}
	newest := slices.MaxFunc(runs, func(a, b queue.RunInfo) int { return a.Created.Compare(b.Created) })
	return conn.OpenRun(ctx, newest.ID)
}

const awaitInterval = time.Second

// awaitRun waits for the run with the id to be there, or without one for any
// run that is not sealed.
func awaitRun(ctx context.Context, conn *queue.Conn, id string, log *slog.Logger) (*queue.Run, error) {
	if id != "" {
		if _, err := message.ParseRunID(id); err != nil {
			return nil, &exitError{exitUsage, err, "windrow status"}
		}
	}
	ticker := time.NewTicker(awaitInterval)
	defer ticker.Stop()
	for waited := false; ; waited = true {
		run, err := findRun(ctx, conn, id)
		if err != nil && !errors.Is(err, queue.ErrNoRun) && !errors.Is(err, queue.ErrUnreachable) {
			return nil, err
		}
		if run != nil {
			return run, nil
		}
		if !waited {
			log.InfoContext(ctx, "waiting for a run", "id", id)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// wantsWork tells whether a run is planned, not sealed, and may still succeed.
func wantsWork(s *ledger.State) bool {
	sealed, _ := s.Sealed()
	return sealed == nil && !s.Cancelled() && s.Planned() != nil && s.Settings() != nil && !s.Overrun()
}

// findRun returns the run with the id, or without one the oldest that wants
// work; nil if there is none.
func findRun(ctx context.Context, conn *queue.Conn, id string) (*queue.Run, error) {
	if id != "" {
		return conn.OpenRun(ctx, message.RunID(id))
	}
	runs, err := conn.Runs(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(runs, func(a, b queue.RunInfo) int { return a.Created.Compare(b.Created) })
	for _, r := range runs {
		run, err := conn.OpenRun(ctx, r.ID)
		if err != nil {
			return nil, err
		}
		s, err := fold(ctx, run)
		if err != nil {
			return nil, err
		}
		if wantsWork(s) {
			return run, nil
		}
	}
	return nil, nil
}
