package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

// stops are the two ways in which a command is asked to end. After the first
// SIGINT or SIGTERM, gentle is done: finish what is in hand. After the second,
// now is done as well: drop everything.
//
// A child whose parent is gone stops in the same two steps, by the clock.
type stops struct {
	gentle, now context.Context //nolint:containedctx // this pair is what the type is
	signalled   atomic.Bool
}

const (
	orphanGrace = 3 * time.Second // an orphan drops its work after this
	orphanLimit = 5 * time.Second // and is gone after this, whatever hangs
)

func watchStops(parent context.Context, orphaned <-chan struct{}) (_ *stops, release func()) {
	now, stopNow := context.WithCancel(parent)
	gentle, stopGently := context.WithCancel(now)
	s := &stops{gentle: gentle, now: now}

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for {
			select {
			case <-signals:
				if gentle.Err() != nil {
					stopNow()
				}
				s.signalled.Store(true)
				stopGently()
			case <-orphaned:
				orphaned = nil // once is enough
				stopGently()
				time.AfterFunc(orphanGrace, stopNow)
				time.AfterFunc(orphanLimit, func() { os.Exit(exitInterrupted) }) //nolint:forbidigo // nobody is left to wait for us
			case <-now.Done():
				return
			}
		}
	}()
	return s, func() {
		signal.Stop(signals)
		stopNow()
	}
}

// interrupted tells whether a signal has asked the command to end.
func (s *stops) interrupted() bool { return s.signalled.Load() }
