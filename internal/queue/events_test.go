package queue_test

import (
	"context"
	"os"
	"testing"

	"github.com/nats-io/nats.go"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

var _ ledger.Source = (*queue.Run)(nil)

func TestEvents(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publish(t, r, 1)
	publish(t, r, 2)
	entries, _ := follow(t, r, 2)
	wantEvent(t, receive(t, entries), 2, 2)
	publish(t, r, 3)
	third := receive(t, entries)
	wantEvent(t, third, 3, 3)

	stored, err := r.EventAt(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	wantEvent(t, stored, 3, 3)
	if stored.Hash != third.Hash || !stored.Time.Equal(third.Time) {
		t.Errorf("event 3 reads as %+v when asked for, but was followed as %+v", stored, third)
	}
	_, err = r.EventAt(t.Context(), 4)
	wantError(t, err, ledger.ErrNoEvent)
}

func TestEventsEndsWithContext(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publish(t, r, 1)
	ctx, stop := context.WithCancel(t.Context())
	err := r.Events(ctx, 1, func(ledger.Entry) { stop() })
	wantError(t, err, context.Canceled)
}

func TestPublishAfter(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	for last := range uint64(3) {
		seq, err := r.PublishAfter(t.Context(), last, event(last+1))
		if err != nil || seq != last+1 {
			t.Fatalf("published after %d: sequence %d, error %v", last, seq, err)
		}
	}
	for _, last := range []uint64{0, 2, 4} {
		_, err := r.PublishAfter(t.Context(), last, event(9))
		wantError(t, err, message.ErrMoved)
	}
}

func TestUndecodableEvent(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	rawPublish(t, s, "windrow.tenders-1a2b3c4d.event.shard", `{"v":1,"kind":"sealed"}`)
	rawPublish(t, s, "windrow.tenders-1a2b3c4d.event.surprise", `not JSON`)
	publish(t, r, 3)
	entries, _ := follow(t, r, 1)
	for _, kind := range []message.Kind{message.KindShard, "surprise"} {
		if e := receive(t, entries); e.Kind != kind || e.Err == nil || e.Event != nil {
			t.Errorf("got %+v, want an undecodable %s", e, kind)
		}
	}
	wantEvent(t, receive(t, entries), 3, 3)
}

func TestEventsEndsWhenBrokerStops(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	publish(t, r, 1)
	before, err := r.EventsInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	entries, end := follow(t, r, 1)
	wantEvent(t, receive(t, entries), 1, 1)
	s.stop()
	wantError(t, receive(t, end), queue.ErrUnreachable)

	published := make(chan error, 1)
	go func() {
		_, err := r.Publish(t.Context(), event(2)) // waits for the broker
		published <- err
	}()
	s.startAgain()
	if err := receive(t, published); err != nil {
		t.Fatal(err)
	}
	entries, _ = follow(t, r, 2)
	wantEvent(t, receive(t, entries), 2, 2)
	after, err := r.EventsInfo(t.Context())
	if err != nil || !after.Created.Equal(before.Created) || after.LastSeq != 2 {
		t.Errorf("after the restart: %+v, error %v; before: %+v", after, err, before)
	}
}

func TestOlderCopyOfStore(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	publish(t, r, 1)
	s.stop()
	older := t.TempDir()
	if err := os.CopyFS(older, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	s.startAgain()
	publish(t, r, 2)
	entries, end := follow(t, r, 1)
	wantEvent(t, receive(t, entries), 1, 1)
	wantEvent(t, receive(t, entries), 2, 2)
	s.stop()
	wantError(t, receive(t, end), queue.ErrUnreachable)

	s.dir = older
	s.startAgain()
	publish(t, r, 3)
	info, err := r.EventsInfo(t.Context())
	if err != nil || info.LastSeq != 2 {
		t.Errorf("older copy: %+v, error %v; want 2 events", info, err)
	}
	second, err := r.EventAt(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	wantEvent(t, second, 2, 3)
}

func TestDeletedRun(t *testing.T) {
	t.Parallel()
	r, c := newRun(t)
	publishTasks(t, r, 0, tasks(0, 3))
	publish(t, r, 1)
	entries, end := follow(t, r, 1)
	wantEvent(t, receive(t, entries), 1, 1)

	for range 2 { // it is no error if there is none
		if err := c.DeleteRun(t.Context(), r.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if err := receive(t, end); err == nil {
		t.Error("Events returned no error")
	}
	wantError(t, r.Events(t.Context(), 1, func(ledger.Entry) {}), ledger.ErrGone)
	_, err := r.EventsInfo(t.Context())
	wantError(t, err, ledger.ErrGone)
	_, err = r.EventAt(t.Context(), 1)
	wantError(t, err, ledger.ErrGone)
	_, err = r.Publish(t.Context(), event(2))
	wantError(t, err, ledger.ErrGone)
	_, err = c.OpenRun(t.Context(), r.ID())
	wantError(t, err, queue.ErrNoRun)
	if runs, err := c.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Errorf("runs after deletion: %v, error %v", runs, err)
	}
}

// rawPublish stores a payload that no windrow would publish.
func rawPublish(t *testing.T, s *server, subject, payload string) {
	t.Helper()
	nc, err := nats.Connect(s.broker.URL(), nats.Token(s.broker.Token()))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.RequestWithContext(t.Context(), subject, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}
