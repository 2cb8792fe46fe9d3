package queue_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"windrow/internal/broker"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	digest  message.Digest = "1a2b3c4d00000000000000000000000000000000000000000000000000000000"
	ackWait                = time.Second
)

var quiet = slog.New(slog.DiscardHandler)

// server is a broker that tests stop and start again at the same address.
type server struct {
	tb     testing.TB
	dir    string
	broker *broker.Broker
}

func newServer(tb testing.TB) *server {
	tb.Helper()
	s := &server{tb: tb, dir: tb.TempDir()}
	s.start(broker.Options{})
	tb.Cleanup(s.stop)
	return s
}

func (s *server) start(o broker.Options) {
	s.tb.Helper()
	o.StoreDir, o.Log = s.dir, quiet
	b, err := broker.Start(o)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.broker = b
}

func (s *server) stop() {
	s.tb.Helper()
	if err := s.broker.Close(); err != nil {
		s.tb.Error(err)
	}
}

// startAgain starts the broker where it was, on what is in its directory.
func (s *server) startAgain() {
	s.tb.Helper()
	s.start(broker.Options{Listen: s.broker.URL()[len("nats://"):], Access: broker.Access{Token: s.broker.Token()}})
}

func (s *server) options() queue.Options {
	return queue.Options{URL: s.broker.URL(), Token: s.broker.Token(), Name: "windrow test", Patient: true}
}

func connect(tb testing.TB, o queue.Options) *queue.Conn {
	tb.Helper()
	c, err := queue.Connect(tb.Context(), o, quiet)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func config() queue.RunConfig {
	return queue.RunConfig{
		ID: message.NewRunID("tenders", digest), Digest: digest, Name: "tenders",
		AckWait: ackWait, TasksMaxBytes: 1 << 30, EventsMaxBytes: 256 << 20,
	}
}

func newRun(tb testing.TB) (*queue.Run, *queue.Conn) {
	tb.Helper()
	c := connect(tb, newServer(tb).options())
	return createRun(tb, c, config()), c
}

func createRun(tb testing.TB, c *queue.Conn, config queue.RunConfig) *queue.Run {
	tb.Helper()
	r, err := c.CreateRun(tb.Context(), config)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// tasks returns the tasks first, first+1, ... first+n-1.
func tasks(first int64, n int) []message.Task {
	list := make([]message.Task, n)
	for i := range list {
		list[i] = message.Task{Index: first + int64(i), Key: []table.Value{}, Params: json.RawMessage(`{"wake":"iea37"}`)}
	}
	return list
}

func publishTasks(tb testing.TB, r *queue.Run, last uint64, list []message.Task) {
	tb.Helper()
	if err := r.PublishTasks(tb.Context(), last, list); err != nil {
		tb.Fatal(err)
	}
}

// event returns an event that is told from others by its number.
func event(n uint64) *message.Rejected {
	return &message.Rejected{Event: n, Flaw: message.FlawAbsent, Reason: "test"}
}

func publish(tb testing.TB, r *queue.Run, n uint64) {
	tb.Helper()
	if _, err := r.Publish(tb.Context(), event(n)); err != nil {
		tb.Fatal(err)
	}
}

// follow reads the ledger from a sequence on. The channels yield what arrives,
// and then why reading ended.
func follow(tb testing.TB, r *queue.Run, from uint64) (<-chan ledger.Entry, <-chan error) {
	tb.Helper()
	ctx, stop := context.WithCancel(tb.Context())
	entries, end := make(chan ledger.Entry, 100), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- r.Events(ctx, from, func(e ledger.Entry) { entries <- e })
	}()
	tb.Cleanup(func() { stop(); <-done })
	return entries, end
}

// receive returns what a channel yields next.
func receive[T any](tb testing.TB, from <-chan T) T {
	tb.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(30 * time.Second):
		tb.Fatal("nothing came within 30 s")
		panic("unreachable")
	}
}

func wantEvent(tb testing.TB, e ledger.Entry, seq, n uint64) {
	tb.Helper()
	if e.Err != nil || e.Seq != seq || e.Kind != message.KindRejected {
		tb.Fatalf("got %+v, want event %d", e, seq)
	}
	if diff := cmp.Diff(message.Event(event(n)), e.Event); diff != "" {
		tb.Errorf("event %d (-want +got):\n%s", seq, diff)
	}
}

func wantError(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("got error %v, want %v", err, want)
	}
}
