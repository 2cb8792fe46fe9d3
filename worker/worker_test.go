package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/worker"
)

var digest = message.Digest(strings.Repeat("ab", 32))

// stream is a ledger and a tasks stream in memory. It writes down, in order,
// what the worker does.
type stream struct {
	mu      sync.Mutex
	entries []ledger.Entry
	changed chan struct{}
	batches [][]worker.Delivery // what Fetch returns, one after the other
	empty   func()              // called when there is nothing left to fetch
	shards  string
	trace   []string
}

func newStream(t *testing.T, allow int64, batches ...[]worker.Delivery) *stream {
	t.Helper()
	s := &stream{changed: make(chan struct{}), batches: batches, shards: t.TempDir()}
	columns := table.Columns{
		table.TaskIndex(),
		{Name: "seed", Type: table.Type{Kind: table.Int32}},
		{Name: "value", Type: table.Type{Kind: table.Float64}, Finite: true},
	}
	s.append(&message.Planned{
		Name: "test", Tasks: 100, Keys: []string{"seed"}, Columns: columns, Model: "test 1",
		Spec: canonical(t),
	})
	s.append(&message.Settings{
		Output: "out.h5", Storage: "contiguous", Rows: message.DropRows, Allow: message.Allowance{Count: allow},
		Retry: message.Retry{Error: 1}, AckWait: message.Duration(time.Minute), ShardSeconds: 5,
	})
	return s
}

// canonical returns a spec as the ledger has it; the worker reads its seed.
func canonical(t *testing.T) json.RawMessage {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spec.yaml")
	text := "version: 1\nname: test\nseed: 1\ntasks: {matrix: {seed: 0..99}}\nsimulator: {noop: {}}\noutput: {file: out.h5}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := spec.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := loaded.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

func (s *stream) append(e message.Event) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := uint64(len(s.entries) + 1)
	s.entries = append(s.entries, ledger.Entry{Seq: seq, Time: time.Unix(int64(seq), 0), Kind: e.Kind(), Event: e, Hash: seq})
	close(s.changed)
	s.changed = make(chan struct{})
	return seq
}

func (s *stream) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *stream) Events(ctx context.Context, from uint64, deliver func(ledger.Entry)) error {
	for {
		s.mu.Lock()
		ready, changed := slices.Clone(s.entries[min(from-1, uint64(len(s.entries))):]), s.changed
		s.mu.Unlock()
		for _, e := range ready {
			deliver(e)
			from = e.Seq + 1
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (s *stream) EventsInfo(context.Context) (ledger.StreamInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ledger.StreamInfo{LastSeq: uint64(len(s.entries))}, nil
}

func (s *stream) EventAt(_ context.Context, seq uint64) (ledger.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[seq-1], nil
}

func (s *stream) Fetch(ctx context.Context, _ int, _ time.Duration) ([]worker.Delivery, error) {
	s.mu.Lock()
	if len(s.batches) > 0 {
		defer s.mu.Unlock()
		batch := s.batches[0]
		s.batches = s.batches[1:]
		return batch, nil
	}
	s.mu.Unlock()
	s.empty()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (s *stream) Publish(_ context.Context, e message.Event) (uint64, error) {
	switch e := e.(type) {
	case *message.Shard:
		s.note("shard %s", e.Rows)
	case *message.Failed:
		for _, f := range e.Failures {
			s.note("failed %d %s after %d", f.Index, f.Class, f.Attempts)
		}
	}
	return s.append(e), nil
}

func (s *stream) Flush(context.Context) error { return nil }

func (s *stream) Beat(context.Context, message.Beat) error { return nil }

// delivery is one delivery of a task.
type delivery struct {
	s          *stream
	index      int64
	seq, cause uint64
	deliveries int
}

func (d *delivery) Task() (message.Task, error) {
	return message.Task{Index: d.index, Key: []table.Value{table.IntValue(d.index)}, Cause: d.cause}, nil
}
func (d *delivery) Sequence() uint64 { return d.seq }
func (d *delivery) Deliveries() int  { return max(1, d.deliveries) }
func (d *delivery) Ack() error       { d.s.note("ack %d", d.index); return nil }
func (d *delivery) Nak() error       { d.s.note("nak %d", d.index); return nil }
func (d *delivery) InProgress() error {
	d.s.note("in progress %d", d.index)
	return nil
}

// model computes a value, or what the test wants for a task.
type model map[int64]func(attempt int) error

func (m model) Simulate(_ context.Context, job simulator.Job, row table.Row) error {
	if f := m[job.Task.Index]; f != nil {
		if err := f(job.Attempt); err != nil {
			return err
		}
	}
	row.SetFloats(2, float64(job.Task.Index)/2)
	return nil
}

func (model) Close() error { return nil }

// work runs a worker until nothing is left to fetch and returns the trace.
func work(t *testing.T, s *stream, m model) (trace []string, shards string, err error) {
	t.Helper()
	fetching, stop := context.WithCancel(t.Context())
	defer stop()
	s.empty = stop
	log := slog.New(slog.DiscardHandler)
	follower := ledger.NewFollower(digest, s, log)
	var following sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	following.Go(func() { _ = follower.Run(ctx) })
	defer following.Wait()
	defer cancel()
	w := worker.New(worker.Config{
		ID: "test-1", Shards: s.shards, Folder: "nonce", Digest: digest, Queue: s, Ledger: follower,
		Workers:        func() int { return 1 },
		Simulator:      func(*message.Planned) (simulator.Simulator, error) { return m, nil },
		ExitWhenSealed: true, Log: log,
	})
	err = w.Run(fetching, t.Context())
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trace, s.shards, err
}

func deliveries(s **stream, indexes ...int64) []worker.Delivery {
	var ds []worker.Delivery
	for _, i := range indexes {
		ds = append(ds, &lazy{s, &delivery{index: i, seq: uint64(i) + 1}})
	}
	return ds
}

// lazy is a delivery of a stream that is made after it.
type lazy struct {
	s **stream
	*delivery
}

func (l *lazy) Ack() error { l.delivery.s = *l.s; return l.delivery.Ack() }
func (l *lazy) Nak() error { l.delivery.s = *l.s; return l.delivery.Nak() }

func want(t *testing.T, trace []string, lines ...string) {
	t.Helper()
	if !slices.Equal(trace, lines) {
		t.Errorf("the worker did\n  %s\nwant\n  %s", strings.Join(trace, "\n  "), strings.Join(lines, "\n  "))
	}
}

func TestAcknowledgedAfterAnnounced(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 3, 1, 2))
	trace, shards, err := work(t, s, model{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, trace, "shard 1-3", "ack 1", "ack 2", "ack 3")
	files, err := filepath.Glob(filepath.Join(shards, "*"))
	if err != nil || len(files) != 1 || !strings.HasPrefix(filepath.Base(files[0]), "1-") {
		t.Errorf("files %v, %v: want one shard that starts with task 1", files, err)
	}
}

func TestRecordedTaskIsOnlyAcknowledged(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 5), deliveries(&s, 5))
	trace, _, err := work(t, s, model{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, trace, "shard 5", "ack 5", "ack 5")
}

func TestTwoCopiesInOneBatch(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 4, 4, 5))
	trace, _, err := work(t, s, model{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, trace, "shard 4-5", "ack 4", "ack 4", "ack 5")
}

func TestFailedAfterItsBudget(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 5, deliveries(&s, 1, 2, 3, 4))
	fail := func(c message.Class) func(int) error {
		return func(int) error { return &simulator.Error{Class: c, Message: "no"} }
	}
	trace, _, err := work(t, s, model{
		1: fail(message.ClassError), 2: fail(message.ClassTimeout),
		3: func(attempt int) error {
			if attempt == 1 {
				return &simulator.Error{Class: message.ClassError, Message: "once"}
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, trace, "shard 3-4", "failed 1 error after 2", "failed 2 timeout after 1", "ack 1", "ack 2", "ack 3", "ack 4")
}

func TestSuspectIsComputedAlone(t *testing.T) {
	t.Parallel()
	var s *stream
	batch := deliveries(&s, 7, 8, 9, 10)
	batch[1].(*lazy).deliveries = 4
	batch[2].(*lazy).deliveries = 20
	s = newStream(t, 5, batch)
	trace, _, err := work(t, s, model{9: func(int) error { t.Error("a lost task was run"); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	want(t, trace, "shard 8", "ack 8", "failed 9 lost after 0", "ack 9", "shard 7, 10", "ack 7", "ack 10")
}

func TestUnusableSimulatorGivesTasksBack(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 1, 2))
	trace, _, err := work(t, s, model{2: func(int) error { return simulator.ErrFilesChanged }})
	if !errors.Is(err, simulator.ErrFilesChanged) {
		t.Errorf("error %v", err)
	}
	want(t, trace, "nak 1", "nak 2")
}

func TestUnusableFolderAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 1))
	trace, _, err := work(t, s, model{1: func(int) error { return os.RemoveAll(s.shards) }})
	if !errors.Is(err, worker.ErrShards) {
		t.Errorf("error %v, want %v", err, worker.ErrShards)
	}
	want(t, trace)
}

func TestSealedRunIsOnlyAcknowledged(t *testing.T) {
	t.Parallel()
	var s *stream
	s = newStream(t, 0, deliveries(&s, 1, 2), deliveries(&s, 3))
	trace, _, err := work(t, s, model{2: func(int) error {
		s.append(&message.Sealed{SHA256: digest, Bytes: 1})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(trace) == 4 && trace[3] == "ack 3" { // fetched just before the seal was seen
		trace = trace[:3]
	}
	want(t, trace, "shard 1-2", "ack 1", "ack 2")
}
