package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windrow/internal/message"
	"windrow/internal/queue"
)

func TestRuns(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	if runs, err := c.Runs(t.Context()); err != nil || len(runs) != 0 {
		t.Fatalf("an empty broker has runs %v, error %v", runs, err)
	}
	first := createRun(t, c, config())
	publishTasks(t, first, 0, tasks(0, 7))
	publish(t, first, 1)
	other := config()
	other.Digest = "99" + digest[2:]
	other.Name = "a_events"
	other.ID = message.NewRunID(other.Name, other.Digest)
	createRun(t, c, other)

	got, err := c.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []queue.RunInfo{
		{ID: other.ID, Digest: other.Digest, Name: other.Name},
		{ID: first.ID(), Digest: digest, Name: "tenders", Tasks: 7, Events: 1},
	}
	options := cmp.Options{
		cmpopts.SortSlices(func(a, b queue.RunInfo) bool { return a.ID < b.ID }),
		cmpopts.IgnoreFields(queue.RunInfo{}, "Created", "TaskBytes"),
	}
	if diff := cmp.Diff(want, got, options); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	for _, r := range got {
		if age := time.Since(r.Created); age < 0 || age > time.Hour {
			t.Errorf("run %s was created %v ago", r.ID, age)
		}
	}
}

func TestCreateRunAgain(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	slow := config()
	slow.AckWait, slow.TasksMaxBytes = time.Hour, 1<<10
	r := createRun(t, c, slow)
	wantError(t, r.PublishTasks(t.Context(), 0, tasks(0, 100)), message.ErrFull)

	r = createRun(t, c, config()) // shorter ack wait, more room
	publishTasks(t, r, 0, tasks(0, 100))
	fetch(t, r, 100)
	if again := fetch(t, r, 1); again[0].Deliveries() != 2 {
		t.Errorf("got delivery %d, want the second one, after the new ack wait", again[0].Deliveries())
	}

	r = createRun(t, c, slow) // less room takes none away
	publishTasks(t, r, 100, tasks(100, 100))
}

func TestCreateRunRefusesOtherDigest(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	createRun(t, c, config())
	other := config()
	other.Digest = digest[:8] + "99" + digest[10:]
	_, err := c.CreateRun(t.Context(), other)
	wantError(t, err, message.ErrOtherRun)
}

func TestOpenRun(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	_, err := c.OpenRun(t.Context(), config().ID)
	wantError(t, err, queue.ErrNoRun)
	created := createRun(t, c, config())
	opened, err := c.OpenRun(t.Context(), created.ID())
	if err != nil {
		t.Fatal(err)
	}
	if opened.ID() != created.ID() || opened.Digest() != digest {
		t.Errorf("opened %s with digest %s", opened.ID(), opened.Digest())
	}
}

func TestRunIDIsChecked(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	for _, id := range []message.RunID{"", "tenders", "tenders-1a2b3c4d.task", ">"} {
		bad := config()
		bad.ID = id
		if _, err := c.CreateRun(t.Context(), bad); err == nil {
			t.Errorf("run %q was created", id)
		}
		if _, err := c.OpenRun(t.Context(), id); err == nil {
			t.Errorf("run %q was opened", id)
		}
		if err := c.DeleteRun(t.Context(), id); err == nil {
			t.Errorf("run %q was deleted", id)
		}
	}
}

func TestBeats(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	ctx, stop := context.WithCancel(t.Context())
	heard, ended := make(chan message.Beat), make(chan error, 1)
	go func() {
		ended <- r.Beats(ctx, func(b message.Beat) {
			select {
			case heard <- b:
			case <-ctx.Done():
			}
		})
	}()
	sending := make(chan struct{})
	want := message.Beat{Role: "worker", ID: "w-1", Held: 3, Done: 1}
	go func() {
		defer close(sending)
		for ctx.Err() == nil { // until the listener listens
			if err := r.Beat(ctx, want); err != nil {
				t.Error(err)
			}
			if err := r.Flush(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}()
	if diff := cmp.Diff(want, receive(t, heard)); diff != "" {
		t.Errorf("beat (-want +got):\n%s", diff)
	}
	stop()
	<-sending
	if err := receive(t, ended); err != nil {
		t.Errorf("Beats ended with %v", err)
	}
}
