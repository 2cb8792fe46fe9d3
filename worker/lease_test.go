package worker

import (
	"testing"
	"time"

	"windrow/internal/message"
)

// loan is a delivery that counts what is said about it.
type loan struct{ extended, given int }

func (l *loan) Task() (message.Task, error) { return message.Task{}, nil }
func (l *loan) Sequence() uint64            { return 1 }
func (l *loan) Deliveries() int             { return 1 }
func (l *loan) Ack() error                  { return nil }
func (l *loan) Nak() error                  { l.given++; return nil }
func (l *loan) InProgress() error           { l.extended++; return nil }

func TestLeaseIsNotTouchedPastItsEnd(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	kept, late := &loan{}, &loan{}
	for _, c := range []struct {
		loan        *loan
		at          time.Duration // when it is extended and given back
		wantTouched int
	}{{kept, 8 * time.Second, 1}, {late, 10 * time.Second, 0}} {
		l := newLeases(10*time.Second, start, []Delivery{c.loan})
		l.now = func() time.Time { return start.Add(c.at) }
		l.extend()
		l.giveBack([]held{{Delivery: c.loan}})
		if c.loan.extended != c.wantTouched || c.loan.given != c.wantTouched {
			t.Errorf("after %s of a lease of 10s: extended %d times, given back %d times; want %d",
				c.at, c.loan.extended, c.loan.given, c.wantTouched)
		}
	}
}

func TestExtensionPostponesTheEnd(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	d := &loan{}
	l := newLeases(10*time.Second, now, []Delivery{d})
	l.now = func() time.Time { return now }
	for range 5 {
		now = now.Add(6 * time.Second)
		l.extend()
	}
	if !l.release(d) || d.extended != 5 {
		t.Errorf("the lease ended though it was extended in time (%d times)", d.extended)
	}
	if l.release(d) {
		t.Error("a lease ended twice")
	}
}

func TestBackoffDoublesUpToTenSeconds(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{1: 200 * time.Millisecond, 2: 400 * time.Millisecond, 6: 6400 * time.Millisecond, 7: 10 * time.Second, 100: 10 * time.Second} {
		if got := backoff(attempt); got != want {
			t.Errorf("backoff after attempt %d: %s, want %s", attempt, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	t.Parallel()
	var p pace
	if got := p.tasksIn(5); got != 1 {
		t.Errorf("%v tasks before the first is known, want 1", got)
	}
	for range 100 {
		p.observe(50 * time.Millisecond)
	}
	if got := p.tasksIn(5); got < 99.9 || got > 100.1 {
		t.Errorf("%v tasks of 50 ms in 5 s, want 100", got)
	}
}
