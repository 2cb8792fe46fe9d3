package worker

import (
	"context"
	"sync"
	"time"
)

// leases keeps the tasks of a batch from being delivered to somebody else
// while the worker is at them.
//
// A delivery that was not extended in time belongs to whoever got the next
// one, and the broker does not tell: a late Nak or InProgress would hit that
// delivery. So each has a time until which it is ours for certain, and after
// that it is never extended or given back again. Acks stay allowed: they say
// that the task is recorded, which is true whoever holds it.
type leases struct {
	ackWait time.Duration
	now     func() time.Time

	mu    sync.Mutex
	until map[Delivery]time.Time
}

func newLeases(ackWait time.Duration, fetched time.Time, deliveries []Delivery) *leases {
	l := &leases{ackWait: ackWait, now: time.Now, until: make(map[Delivery]time.Time, len(deliveries))}
	for _, d := range deliveries {
		l.until[d] = fetched.Add(l.safe())
	}
	return l
}

// safe is how long an extension holds for certain, whatever the network and
// the clock's granularity take.
func (l *leases) safe() time.Duration { return l.ackWait * 9 / 10 }

// keep extends all leases every third of ack_wait until ctx ends.
func (l *leases) keep(ctx context.Context) {
	ticker := time.NewTicker(l.ackWait / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.extend()
		}
	}
}

func (l *leases) extend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d, until := range l.until {
		now := l.now()
		if now.After(until) {
			delete(l.until, d) // lost; see above
			continue
		}
		if d.InProgress() == nil {
			l.until[d] = now.Add(l.safe())
		}
	}
}

// release ends the lease of d and tells whether d was still ours.
func (l *leases) release(d Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, held := l.until[d]
	delete(l.until, d)
	return held && !l.now().After(until)
}

// giveBack returns what is still ours, to be delivered again at once.
func (l *leases) giveBack(tasks []held) {
	for _, t := range tasks {
		if l.release(t.Delivery) {
			_ = t.Nak() // if it is lost, ack_wait does the same later
		}
	}
}
