package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// stream is a ledger.Source in memory. Readers of it do not notice what is
// replaced behind them, until their reading is broken or they ask.
type stream struct {
	mu      sync.Mutex
	created time.Time
	entries []ledger.Entry
	down    error         // what every call returns, if not nil
	changed chan struct{} // closed and replaced with every change
	broken  chan struct{} // closed and replaced when readings break
	asked   int           // calls of EventsInfo
}

var errDown = errors.New("connection refused")

func newStream(events ...message.Event) *stream {
	return &stream{
		created: epoch, entries: entries(events...),
		changed: make(chan struct{}), broken: make(chan struct{}),
	}
}

func (s *stream) Events(ctx context.Context, from uint64, deliver func(ledger.Entry)) error {
	s.mu.Lock()
	down, broken := s.down, s.broken
	s.mu.Unlock()
	if down != nil {
		return down
	}
	for {
		s.mu.Lock()
		next, changed := s.entries[min(from-1, uint64(len(s.entries))):], s.changed
		s.mu.Unlock()
		for _, e := range next {
			deliver(e)
			from = e.Seq + 1
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-broken:
			return errDown
		case <-changed:
		}
	}
}

func (s *stream) EventsInfo(context.Context) (ledger.StreamInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return ledger.StreamInfo{Created: s.created, LastSeq: uint64(len(s.entries))}, s.down
}

func (s *stream) EventAt(_ context.Context, seq uint64) (ledger.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[seq-1]; e.Seq == seq {
		return e, s.down
	}
	return ledger.Entry{}, ledger.ErrNoEvent
}

// change does something to the stream and wakes its readers.
func (s *stream) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

// publish appends events.
func (s *stream) publish(events ...message.Event) {
	s.change(func() {
		for _, e := range events {
			s.entries = append(s.entries, entry(uint64(len(s.entries)+1), e))
		}
	})
}

// replace puts another history in place, from the event after `keep` on.
func (s *stream) replace(keep int, events ...message.Event) {
	s.change(func() {
		s.entries = s.entries[:keep:keep]
		for _, e := range events {
			other := entry(uint64(len(s.entries)+1), e)
			other.Time, other.Hash = other.Time.Add(time.Hour), other.Hash+1000
			s.entries = append(s.entries, other)
		}
	})
}

func (s *stream) timesAsked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// fold returns the state that the stream says.
func (s *stream) fold() *ledger.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := ledger.New(digest)
	for _, e := range s.entries {
		_ = state.Apply(e)
	}
	return state
}

// breakReadings ends all calls of Events.
func (s *stream) breakReadings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.broken)
	s.broken = make(chan struct{})
}

func (s *stream) setDown(err error) {
	s.mu.Lock()
	s.down = err
	s.mu.Unlock()
	s.breakReadings()
}

// follow runs a follower of source until the test ends, and checks that it then
// returns nil. It must be called in a synctest bubble.
func follow(t *testing.T, source ledger.Source) *ledger.Follower {
	t.Helper()
	f := ledger.NewFollower(digest, source, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run returned %v when it was stopped", err)
		}
	})
	return f
}

// checkHolds makes sure that f holds what the stream says.
func checkHolds(t *testing.T, f *ledger.Follower, s *stream) {
	t.Helper()
	want := s.fold()
	f.View(func(got *ledger.State) {
		if got.Last() != want.Last() || got.Recorded() != want.Recorded() || got.Failed() != want.Failed() {
			t.Errorf("folded to event %d, %d recorded, %d failed; the stream says %d, %d, %d",
				got.Last(), got.Recorded(), got.Failed(), want.Last(), want.Recorded(), want.Failed())
		}
	})
}

// pass lets time pass in a synctest bubble, until all that is due has happened.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func checkEpoch(t *testing.T, f *ledger.Follower, want uint64) {
	t.Helper()
	if got := f.Epoch(); got != want {
		t.Errorf("the state was dropped %d times, want %d", got, want)
	}
}

func TestFollowerKeepsCurrent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4), shard(0))
		f := follow(t, s)
		synctest.Wait()
		checkHolds(t, f, s)
		s.publish(shard(1), failed(2, 3))
		synctest.Wait()
		checkHolds(t, f, s)
		pass(time.Hour) // many comparisons
		checkHolds(t, f, s)
		checkEpoch(t, f, 0)
	})
}

func TestFollowerReconnects(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4), shard(0))
		f := follow(t, s)
		synctest.Wait()
		s.setDown(errDown)
		s.publish(shard(1))
		pass(time.Hour)
		if asked := s.timesAsked(); asked < 300 || asked > 1000 {
			t.Errorf("asked %d times in an hour: pauses should grow to 5 to 10 s", asked)
		}
		s.setDown(nil)
		pass(10 * time.Second)
		checkHolds(t, f, s)
		checkEpoch(t, f, 0)

		s.publish(shard(2))
		synctest.Wait() // progress: the next pause is short again
		s.breakReadings()
		s.publish(shard(3))
		pass(100 * time.Millisecond)
		checkHolds(t, f, s)
	})
}

// The stream is replaced while the follower reads it. How it notices, and that
// it then holds what the new stream says.
func TestFollowerNoticesAnotherStream(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		silent  bool // nothing breaks the reading
		replace func(s *stream)
	}{
		"rolled back": {replace: func(s *stream) { s.replace(2) }},
		"rolled back and grown to the same length": {replace: func(s *stream) { s.replace(2, shard(3), failed(2, 3)) }},
		"rolled back and grown further":            {replace: func(s *stream) { s.replace(2, shard(3), failed(2, 3), shard(1)) }},
		"same hash, another time":                  {replace: func(s *stream) { s.change(func() { s.entries[3].Time = epoch }) }},
		"same time, another hash":                  {replace: func(s *stream) { s.change(func() { s.entries[3].Hash = 0 }) }},
		"begun anew with the same messages":        {replace: func(s *stream) { s.change(func() { s.created = epoch.Add(1) }) }},
		"begun anew, empty": {replace: func(s *stream) {
			s.change(func() { s.created = epoch.Add(1) })
			s.replace(0)
		}},
		"silently": {silent: true, replace: func(s *stream) { s.replace(3, failed(2, 3)) }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStream(planned(4), shard(0), shard(1), shard(2))
				f := follow(t, s)
				synctest.Wait()
				if !test.silent {
					s.breakReadings()
					synctest.Wait()
				}
				test.replace(s)
				pass(11 * time.Second)
				checkEpoch(t, f, 1)
				checkHolds(t, f, s)
				s.publish(planned(7), shard(2))
				pass(time.Minute)
				checkEpoch(t, f, 1)
				checkHolds(t, f, s)
			})
		})
	}
}

// A stream that has lost the message at the cursor is not the one that was
// read. This is no reason to ask for it for ever.
func TestFollowerNoticesALostEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4), shard(0), shard(1))
		f := follow(t, s)
		synctest.Wait()
		s.change(func() { s.entries[2].Seq = 0 })
		s.breakReadings()
		pass(11 * time.Second)
		if f.Epoch() == 0 {
			t.Error("the loss was not noticed")
		}
	})
}

func TestFollowerEndsWhenTheStreamIsGone(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"at the start": 0, "later": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStream(planned(4))
				f := ledger.NewFollower(digest, s, slog.New(slog.DiscardHandler))
				time.AfterFunc(wait, func() { s.setDown(ledger.ErrGone) })
				synctest.Wait()
				waited := make(chan error)
				go func() { waited <- f.Wait(t.Context(), func(s *ledger.State) bool { return s.Recorded() > 0 }) }()
				if err := f.Run(t.Context()); !errors.Is(err, ledger.ErrGone) {
					t.Errorf("Run returned %v", err)
				}
				if err := <-waited; !errors.Is(err, ledger.ErrGone) {
					t.Errorf("Wait returned %v", err)
				}
				if err := f.CatchUp(t.Context()); !errors.Is(err, ledger.ErrGone) {
					t.Errorf("CatchUp returned %v", err)
				}
			})
		})
	}
}

func TestFollowerWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4))
		f := follow(t, s)
		time.AfterFunc(time.Minute, func() { s.publish(shard(0)) })
		time.AfterFunc(time.Hour, func() { s.publish(shard(1)) })
		start := time.Now()
		err := f.Wait(t.Context(), func(s *ledger.State) bool { return s.Recorded() == 2 })
		if waited := time.Since(start); err != nil || waited != time.Hour {
			t.Errorf("waited %v, %v", waited, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = f.Wait(ctx, func(s *ledger.State) bool { return s.Recorded() == 3 })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait returned %v at the end of its context", err)
		}
	})
}

func TestFollowerWaitEndsWithRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := ledger.NewFollower(digest, newStream(), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		go func() { _ = f.Run(ctx) }()
		if err := f.Wait(t.Context(), func(*ledger.State) bool { return false }); err == nil {
			t.Error("Wait returned nil though its condition never held")
		}
	})
}

// A reset changes the state, so it wakes those who wait.
func TestFollowerWaitSeesReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4), shard(0))
		f := follow(t, s)
		synctest.Wait()
		changed := f.Changed()
		s.replace(0)
		s.breakReadings()
		if err := f.Wait(t.Context(), func(s *ledger.State) bool { return s.Planned() == nil }); err != nil {
			t.Error(err)
		}
		<-changed
	})
}

// slowStream delivers nothing before it is told to.
type slowStream struct {
	*stream
	release chan struct{}
}

func (s slowStream) Events(ctx context.Context, from uint64, deliver func(ledger.Entry)) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.release:
		return s.stream.Events(ctx, from, deliver)
	}
}

func TestCatchUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := slowStream{newStream(planned(4), shard(0)), make(chan struct{})}
		f := follow(t, s)
		time.AfterFunc(time.Hour, func() { close(s.release) })
		start := time.Now()
		if err := f.CatchUp(t.Context()); err != nil || time.Since(start) != time.Hour {
			t.Errorf("caught up after %v: %v", time.Since(start), err)
		}
		checkHolds(t, f, s.stream)
	})
}

// What was replaced between two comparisons is noticed by CatchUp at once,
// while nothing breaks the reading.
func TestCatchUpNoticesAnotherStream(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *stream){
		"rolled back": func(s *stream) { s.replace(2) },
		"replaced":    func(s *stream) { s.replace(1, shard(3), shard(1)) },
		"recreated":   func(s *stream) { s.change(func() { s.created = epoch.Add(time.Hour) }) },
	}
	for name, replace := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStream(planned(4), shard(0), shard(1))
				f := follow(t, s)
				if err := f.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				replace(s)
				start := time.Now()
				if err := f.CatchUp(t.Context()); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("took %v", took)
				}
				checkEpoch(t, f, 1)
				checkHolds(t, f, s)
			})
		})
	}
}

func TestCatchUpFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStream(planned(4))
		f := follow(t, s)
		s.setDown(errDown)
		if err := f.CatchUp(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("CatchUp returned %v though nobody can say where the stream ends", err)
		}
	})
}

func TestFollowerLogsBreaches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newStream(planned(1), shard(0), failed(0, 1), shard(7))
		f := ledger.NewFollower(digest, s, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			_ = f.CatchUp(ctx)
		}()
		if err := f.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "seq=4 kind=shard") {
			t.Errorf("one breach, the shard of task 7 in a run of one task, was logged as:\n%s", got)
		}
	})
}
