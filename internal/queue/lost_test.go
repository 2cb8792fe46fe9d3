package queue_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"windrow/internal/queue"
)

// deafLink carries connections to a broker until it is deaf: then what the
// broker says is lost, and hangUp ends the connections.
type deafLink struct {
	address string
	deaf    atomic.Bool
	conns   chan net.Conn
}

func newDeafLink(t *testing.T, s *server) *deafLink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &deafLink{address: listener.Addr().String(), conns: make(chan net.Conn, 100)}
	t.Cleanup(func() { _ = listener.Close(); l.hangUp() })
	go func() {
		for {
			ours, err := listener.Accept()
			if err != nil {
				return
			}
			theirs, err := net.Dial("tcp", s.broker.URL()[len("nats://"):])
			if err != nil {
				_ = ours.Close()
				continue
			}
			l.conns <- ours
			go func() {
				_, _ = io.Copy(theirs, ours)
				_ = theirs.Close()
			}()
			go func() {
				buffer := make([]byte, 64<<10)
				for {
					n, err := theirs.Read(buffer)
					if err != nil {
						_ = ours.Close()
						return
					}
					if !l.deaf.Load() {
						_, _ = ours.Write(buffer[:n]) // an end that is gone is noticed by the other half
					}
				}
			}()
		}
	}()
	return l
}

// hangUp ends all connections; those that come are heard again.
func (l *deafLink) hangUp() {
	l.deaf.Store(false)
	for {
		select {
		case c := <-l.conns:
			_ = c.Close()
		default:
			return
		}
	}
}

// TestConfirmationLost breaks the connection when a publication is stored and
// its confirmation is on the way: nobody waits for it any longer.
func TestConfirmationLost(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	link := newDeafLink(t, s)
	o := s.options()
	o.URL = "nats://" + link.address
	beside := createRun(t, connect(t, s.options()), config())
	r := createRun(t, connect(t, o), config())

	link.deaf.Store(true)
	ended := make(chan error)
	go func() { ended <- r.PublishTasks(t.Context(), 0, tasks(0, 10)) }()
	for last := uint64(0); last < 10; {
		var err error
		if last, err = beside.LastTask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	link.hangUp()
	wantError(t, receive(t, ended), queue.ErrUnreachable)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it waited for %s", took)
	}
}
