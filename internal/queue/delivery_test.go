package queue_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/queue"
)

const fetchWait = 5 * ackWait

func TestFetchReturnsWhatIsReady(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 5))
	got := fetch(t, r, 100) // in particular, it does not wait for 100
	if len(got) != 5 {
		t.Fatalf("fetched %d tasks, want 5", len(got))
	}
	for i, d := range got {
		task, err := d.Task()
		if err != nil || task.Index != int64(i) || d.Sequence() != uint64(i)+1 || d.Deliveries() != 1 {
			t.Errorf("delivery %d: task %d at sequence %d, delivered %d times, error %v", i, task.Index, d.Sequence(), d.Deliveries(), err)
		}
	}
}

func TestFetchWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	type result struct {
		got []*queue.Delivery
		err error
	}
	fetched := make(chan result, 1)
	go func() {
		got, err := r.Fetch(t.Context(), 10, time.Minute)
		fetched <- result{got, err}
	}()
	waitFor(t, r, "a worker to wait", func(info queue.WorkersInfo) bool { return info.Waiting == 1 })
	publishTasks(t, r, 0, tasks(0, 3))
	f := receive(t, fetched)
	if f.err != nil || len(f.got) == 0 {
		t.Fatalf("fetched %d tasks, error %v", len(f.got), f.err)
	}
}

func TestFetchNothing(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	if got, err := r.Fetch(t.Context(), 10, 50*time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("fetched %d tasks of an empty stream, error %v", len(got), err)
	}
}

// TestDeletedConsumer deletes what hands out the tasks: workers wait for it, and
// it begins at the first task when it is made again.
func TestDeletedConsumer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	publishTasks(t, r, 0, tasks(0, 5))
	fetch(t, r, 5)
	if made, err := r.EnsureConsumer(t.Context(), ackWait); made || err != nil {
		t.Errorf("one that is there was made: %v, %v", made, err)
	}

	conn, err := nats.Connect(s.broker.URL(), nats.Token(s.broker.Token()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "windrow_"+string(r.ID())+"_tasks", "workers"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Workers(t.Context())
	wantError(t, err, queue.ErrNoConsumer)
	if got, err := r.Fetch(t.Context(), 10, 50*time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("fetched %d tasks that nobody hands out, error %v", len(got), err)
	}

	if made, err := r.EnsureConsumer(t.Context(), ackWait); !made || err != nil {
		t.Errorf("one that is gone was not made: %v, %v", made, err)
	}
	fetch(t, r, 5)
}

func TestFetchEndsWithContext(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := r.Fetch(ctx, 10, time.Minute)
		ended <- err
	}()
	waitFor(t, r, "a worker to wait", func(info queue.WorkersInfo) bool { return info.Waiting == 1 })
	stop()
	wantError(t, receive(t, ended), context.Canceled)
}

func TestUnansweredTaskIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 2))
	first := fetch(t, r, 2)
	answer(t, r, first[0].Ack)
	again := fetch(t, r, 2)
	if len(again) != 1 || again[0].Sequence() != 2 || again[0].Deliveries() != 2 {
		t.Fatalf("got %d deliveries, want the second of sequence 2", len(again))
	}
}

func TestNakDeliversAtOnce(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	slow := config()
	slow.AckWait = time.Hour
	r := createRun(t, c, slow)
	publishTasks(t, r, 0, tasks(0, 1))
	answer(t, r, fetch(t, r, 1)[0].Nak)
	again := fetch(t, r, 1)
	if len(again) != 1 || again[0].Deliveries() != 2 {
		t.Errorf("got %d deliveries after a Nak, want the second one", len(again))
	}
}

func TestInProgressKeepsTask(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 1))
	held := fetch(t, r, 1)[0]

	ctx, stop := context.WithTimeout(t.Context(), 3*ackWait)
	defer stop()
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		ticker := time.NewTicker(ackWait / 10)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := held.InProgress(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	if got, err := r.Fetch(t.Context(), 1, 2*ackWait); err != nil || len(got) != 0 {
		t.Errorf("got %d deliveries of a task in progress, error %v", len(got), err)
	}
	<-beating
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 5))
	got := fetch(t, r, 3)
	answer(t, r, got[0].Ack)
	waitFor(t, r, "one ack of three deliveries", func(info queue.WorkersInfo) bool {
		return info.Pending == 2 && info.AckPending == 2 && info.Delivered == 3
	})
}

func TestFetchOutlivesBroker(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	r := createRun(t, connect(t, s.options()), config())
	publishTasks(t, r, 0, tasks(0, 1))
	s.stop()
	if got, err := r.Fetch(t.Context(), 1, 10*time.Millisecond); err != nil || len(got) != 0 {
		t.Fatalf("without a broker: %d tasks, error %v", len(got), err)
	}
	s.startAgain()
	if got := fetch(t, r, 1); got[0].Sequence() != 1 {
		t.Errorf("got sequence %d after the broker came back, want 1", got[0].Sequence())
	}
}

// fetch fetches until there is something.
func fetch(t *testing.T, r *queue.Run, n int) []*queue.Delivery {
	t.Helper()
	for ctx := t.Context(); ; {
		got, err := r.Fetch(ctx, n, fetchWait)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 0 {
			return got
		}
	}
}

// TestBrokerGoesDuringFlush ends the connection where a flush waits for its
// answer: it may succeed later.
func TestBrokerGoesDuringFlush(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "INFO {\"max_payload\":1024}\r\n")
			pings := 0
			for lines := bufio.NewScanner(conn); pings < 2 && lines.Scan(); {
				if lines.Text() != "PING" {
					continue
				}
				if pings++; pings == 1 { // the client's, when it connects
					_, _ = io.WriteString(conn, "PONG\r\n")
				}
			}
			_ = conn.Close()
		}
	}()
	c := connect(t, queue.Options{URL: "nats://" + listener.Addr().String(), Name: "windrow test"})
	wantError(t, c.Flush(t.Context()), queue.ErrUnreachable)
}

func answer(t *testing.T, r *queue.Run, give func() error) {
	t.Helper()
	if err := give(); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until the consumer is as it should be.
func waitFor(t *testing.T, r *queue.Run, what string, is func(queue.WorkersInfo) bool) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		info, err := r.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if is(info) {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("waited 30 s for %s: %+v", what, info)
		}
	}
}
