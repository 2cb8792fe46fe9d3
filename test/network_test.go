package test

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// link is a network between a role and the broker, which the test can disturb.
type link struct {
	url string

	mu      sync.Mutex
	latency time.Duration
	closed  bool          // nobody gets through, and who was is thrown out
	silent  chan struct{} // nothing gets through while it is open; nil: all does
	conns   []net.Conn
}

// newLink starts a link to the broker.
func (b *broker) newLink(t *testing.T) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{url: "nats://" + listener.Addr().String()}
	t.Cleanup(func() {
		_ = listener.Close()
		l.disturb(func() { l.closed = true })
	})
	go func() {
		for {
			ours, err := listener.Accept()
			if err != nil {
				return
			}
			theirs, err := net.Dial("tcp", strings.TrimPrefix(b.url, "nats://"))
			if err != nil || !l.admit(ours, theirs) {
				_ = ours.Close()
				continue
			}
			go l.carry(ours, theirs)
			go l.carry(theirs, ours)
		}
	}()
	return l
}

func (l *link) admit(ends ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.conns = append(l.conns, ends...)
	return true
}

// disturb changes how the link is.
func (l *link) disturb(how func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.silent != nil {
		close(l.silent)
		l.silent = nil
	}
	l.latency, l.closed = 0, false
	how()
	if l.closed {
		for _, c := range l.conns {
			_ = c.Close()
		}
		l.conns = nil
	}
}

func (l *link) state() (latency time.Duration, silent chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latency, l.silent
}

// packet is what was sent at once, and when it arrives.
type packet struct {
	data []byte
	due  time.Time
}

// carry takes what one end says to the other, in order, each with the latency
// of when it was said. Through silence it is kept.
func (l *link) carry(from, to net.Conn) {
	packets := make(chan packet, 10_000)
	go func() {
		for p := range packets {
			<-time.After(time.Until(p.due))
			if _, silent := l.state(); silent != nil {
				<-silent
			}
			if _, err := to.Write(p.data); err != nil {
				break
			}
		}
		_ = to.Close()
		for range packets { // so that the other half does not wait for room
		}
	}()
	defer close(packets)
	for {
		buffer := make([]byte, 64<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			latency, _ := l.state()
			packets <- packet{buffer[:n], time.Now().Add(latency)}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				_ = from.Close()
			}
			return
		}
	}
}

// TestDisturbedNetwork disturbs the network between one of two workers and the
// broker for longer than its tasks are left to it. The other one goes on.
func TestDisturbedNetwork(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]struct {
		how    func(*link)
		length time.Duration
		slow   bool
	}{
		"cut":       {func(l *link) { l.closed = true }, 6 * time.Second, false},
		"slow":      {func(l *link) { l.latency = 5 * time.Second }, 12 * time.Second, false},
		"silent":    {func(l *link) { l.silent = make(chan struct{}) }, 6 * time.Second, false},
		"half-open": {func(l *link) { l.silent = make(chan struct{}) }, 45 * time.Second, true}, // given up after 30 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if trouble.slow {
				slow(t)
			}
			spec := specOf(map[string]string{"simulator": "{sleep: {duration: 40ms}}"})
			want := calmSHA256(t, spec)
			c := newCampaign(t, spec)
			b := c.newBroker(t)
			l := b.newLink(t)
			id := c.runID(t)
			role := func(url string, args ...string) *process {
				return c.start(t, nil, append(args, "--nats", url, "--exit-when-sealed")...)
			}
			producer := role(b.url, "producer", "spec.yaml")
			merger := role(b.url, "merger", "--run", id)
			disturbed := c.metered(t, l.url, "", "worker", "--run", id)
			eventually(t, "rows over the link", func() bool { return recordedBy(disturbed) > 2 })
			before := usageOf(t, disturbed)

			l.disturb(func() { trouble.how(l) })
			other := role(b.url, "worker", "--run", id)
			<-time.After(trouble.length)
			if producing := recordedBy(other); producing == 0 {
				t.Error("the other worker has done nothing meanwhile")
			}
			before.check(t)
			l.disturb(func() {})
			allEnd(t, 0, merger, producer, disturbed, other)
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			if again := c.record(t).DuplicateRows; again > 60 {
				t.Errorf("%d of 600 rows were computed again", again)
			} else {
				t.Logf("%d of 600 rows were computed again", again)
			}
			b.p.kill()
		})
	}
}
