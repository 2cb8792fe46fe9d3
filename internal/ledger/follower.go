package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"windrow/internal/message"
)

// Errors of a Source.
var (
	// ErrGone says that the stream does not exist: the run was removed.
	ErrGone = errors.New("the run's ledger does not exist")
	// ErrNoEvent says that the stream has no message with that sequence.
	ErrNoEvent = errors.New("no such event")
)

// Source is a run's events stream.
type Source interface {
	// Events delivers the stream's messages in order, from the sequence `from`
	// on, for ever. It returns when ctx ends and when reading broke in any way;
	// it never resumes by itself, because the stream may be another one by
	// then. It does not deliver after it has returned.
	Events(ctx context.Context, from uint64, deliver func(Entry)) error
	// EventsInfo describes the stream. It returns ErrGone if there is none.
	EventsInfo(ctx context.Context) (StreamInfo, error)
	// EventAt returns the message with sequence seq, or ErrNoEvent.
	EventAt(ctx context.Context, seq uint64) (Entry, error)
}

// StreamInfo describes an events stream.
type StreamInfo struct {
	Created time.Time
	LastSeq uint64 // 0 if the stream is empty
}

// How often a Follower compares what it holds with the stream, and how long it
// pauses before it reads again.
const (
	compareInterval = 10 * time.Second
	firstPause      = 100 * time.Millisecond
	longestPause    = 10 * time.Second
)

// Follower keeps the State of a run current while Run runs. Its other methods
// may be called from any goroutine.
//
// A broker that was restored from an older copy, or a run that was removed and
// begun anew, has another ledger under the same name. The Follower notices
// by the stream's creation time, its last sequence, and the time and hash of
// the last message it has folded; it then drops the State and folds from the
// beginning. Until CatchUp returns, a State may therefore be behind, and even
// empty again; Epoch tells how often that happened.
type Follower struct {
	digest message.Digest
	source Source
	log    *slog.Logger
	epoch  atomic.Uint64

	mu        sync.Mutex
	state     *State
	mark      mark
	changed   chan struct{} // nil if nobody waits for it
	interrupt func(error)   // ends the reading under way; never nil
	stopped   error         // why Run has returned, or nil
}

// mark identifies what was folded.
type mark struct {
	epoch   uint64
	created time.Time // of the stream; zero if not known yet
	seq     uint64    // last folded; 0 if none
	time    time.Time
	hash    uint64
}

// differenceError says how the stream differs from what was folded.
type differenceError struct{ reason string }

func (e *differenceError) Error() string { return "the ledger is another one: " + e.reason }

var errStopped = errors.New("the follower has stopped")

// NewFollower returns a follower of the run with digest d.
func NewFollower(d message.Digest, source Source, log *slog.Logger) *Follower {
	return &Follower{digest: d, source: source, log: log, state: New(d), interrupt: func(error) {}}
}

// Run reads the ledger until ctx ends, and then returns nil. It reconnects for
// ever; only a stream that is gone ends it, with ErrGone. It is called once.
func (f *Follower) Run(ctx context.Context) error {
	err := f.follow(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = errStopped
	if err != nil {
		f.stopped = err
	}
	f.wake()
	return err
}

func (f *Follower) follow(ctx context.Context) error {
	pause := firstPause
	for {
		before := f.held()
		err := f.read(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being stopped is the normal end
		}
		if errors.Is(err, ErrGone) {
			return fmt.Errorf("follow the ledger of run digest %s: %w", f.digest, err)
		}
		if f.held().seq > before.seq {
			pause = firstPause
		}
		if difference, ok := errors.AsType[*differenceError](err); ok {
			f.reset()
			f.log.WarnContext(ctx, "ledger dropped, reading it from the beginning", "reason", difference.reason, "epoch", f.Epoch())
		} else {
			f.log.InfoContext(ctx, "reading the ledger interrupted", "reason", err, "pause", pause)
		}
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(2*pause, longestPause)
	}
}

// sleep waits for half to all of d. It returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// read folds what the stream delivers until that breaks, or the stream turns
// out to be another one.
func (f *Follower) read(ctx context.Context) error {
	if err := f.compare(ctx); err != nil {
		return err
	}
	reading, interrupt := context.WithCancelCause(ctx)
	f.setInterrupt(interrupt)
	var watching sync.WaitGroup
	watching.Go(func() { interrupt(f.watch(reading)) })
	err := f.source.Events(reading, f.held().seq+1, func(e Entry) { f.fold(reading, e) })
	f.setInterrupt(func(error) {})
	interrupt(err)
	watching.Wait()
	return context.Cause(reading)
}

func (f *Follower) setInterrupt(interrupt func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupt = interrupt
}

// watch compares until there is a difference or an error.
func (f *Follower) watch(ctx context.Context) error {
	ticker := time.NewTicker(compareInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := f.compare(ctx); err != nil {
				return err
			}
		}
	}
}

// compare returns a *differenceError if the stream is not the one that was
// folded, and another error if it cannot tell.
func (f *Follower) compare(ctx context.Context) error {
	held := f.held()
	info, err := f.source.EventsInfo(ctx)
	if err != nil {
		return fmt.Errorf("describe the events stream: %w", err)
	}
	reason, err := f.difference(ctx, held, info)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.mark.epoch != held.epoch: // what was compared is dropped already
	case reason != "":
		return &differenceError{reason}
	case f.mark.created.IsZero():
		f.mark.created = info.Created
	}
	return nil
}

func (f *Follower) difference(ctx context.Context, held mark, info StreamInfo) (reason string, err error) {
	switch {
	case !held.created.IsZero() && !info.Created.Equal(held.created):
		return fmt.Sprintf("it was created at %v, not at %v", info.Created, held.created), nil
	case info.LastSeq < held.seq:
		return fmt.Sprintf("it ends with event %d, but event %d was read", info.LastSeq, held.seq), nil
	case held.seq == 0:
		return "", nil
	}
	stored, err := f.source.EventAt(ctx, held.seq)
	switch {
	case errors.Is(err, ErrNoEvent):
		return fmt.Sprintf("it has lost event %d", held.seq), nil
	case err != nil:
		return "", fmt.Errorf("read event %d: %w", held.seq, err)
	case stored.Hash != held.hash || !stored.Time.Equal(held.time):
		return fmt.Sprintf("its event %d is not the one that was read", held.seq), nil
	}
	return "", nil
}

func (f *Follower) fold(ctx context.Context, e Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Seq <= f.mark.seq {
		return
	}
	f.logIgnored(ctx, f.state.Apply(e))
	f.mark.seq, f.mark.time, f.mark.hash = e.Seq, e.Time, e.Hash
	f.wake()
}

func (f *Follower) logIgnored(ctx context.Context, err error) {
	ignored, ok := errors.AsType[*IgnoredError](err)
	if !ok {
		return
	}
	level := slog.LevelDebug
	if ignored.Breach {
		level = slog.LevelWarn
	}
	f.log.Log(ctx, level, "event ignored", "seq", ignored.Seq, "kind", string(ignored.Kind), "reason", ignored.Reason)
}

func (f *Follower) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = New(f.digest)
	f.mark = mark{epoch: f.epoch.Add(1)}
	f.wake()
}

// wake tells everybody that something has changed; f.mu is held.
func (f *Follower) wake() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *Follower) held() mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mark
}

// View calls view with the state, which must not be used after view returns;
// events, shards and failures that were taken from it may be, but for what
// State.Shards names.
func (f *Follower) View(view func(*State)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	view(f.state)
}

// Epoch returns how often the state was dropped. View may call it.
func (f *Follower) Epoch() uint64 { return f.epoch.Load() }

// Changed returns a channel that is closed when the next event is folded, the
// state is dropped, or Run returns.
func (f *Follower) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next()
}

func (f *Follower) next() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// Wait returns nil as soon as cond holds, which is asked now and after every
// change. It returns an error when ctx ends, and ErrGone or another one when
// Run has returned.
func (f *Follower) Wait(ctx context.Context, cond func(*State) bool) error {
	for {
		f.mu.Lock()
		done, stopped := cond(f.state), f.stopped
		changed := f.next()
		f.mu.Unlock()
		switch {
		case done:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case stopped != nil:
			return fmt.Errorf("wait for the ledger: %w", stopped)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// CatchUp returns nil when everything that is in the stream at the time of the
// call was folded, and the stream is the one that was folded. It fails when
// the stream cannot be described or read.
func (f *Follower) CatchUp(ctx context.Context) error {
	for {
		epoch := f.Epoch()
		dropped := func(*State) bool { return f.Epoch() != epoch }
		info, err := f.source.EventsInfo(ctx)
		if err != nil {
			return fmt.Errorf("describe the events stream: %w", err)
		}
		err = f.Wait(ctx, func(s *State) bool { return s.Last() >= info.LastSeq || dropped(s) })
		if err != nil {
			return err
		}
		err = f.compare(ctx)
		if difference, ok := errors.AsType[*differenceError](err); ok {
			f.drop(epoch, difference)
			err = f.Wait(ctx, dropped)
		}
		if err != nil {
			return err
		}
		if f.Epoch() == epoch {
			return nil
		}
	}
}

// drop makes Run drop the state, unless it has done so since epoch. If Run is
// between two readings, it will notice the difference by itself.
func (f *Follower) drop(epoch uint64, difference error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mark.epoch == epoch {
		f.interrupt(difference)
	}
}
