package merger_test

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

	"windrow/internal/dataset"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/shard"
	"windrow/internal/table"
	"windrow/merger"
)

const tasks = 6

var (
	digest  = message.Digest(strings.Repeat("ab", 32))
	columns = table.Columns{
		table.TaskIndex(), {Name: "seed", Type: table.Type{Kind: table.Int32}}, {Name: "aep", Type: table.Type{Kind: table.Float64}},
	}
)

// stream is a ledger in memory, and the broker's view of the workers. onAsk is
// called when the merger publishes an event.
type stream struct {
	dir string

	mu        sync.Mutex
	entries   []ledger.Entry
	changed   chan struct{}
	delivered uint64
	busy      bool
	confirmed bool // a worker uses the shards folder, too
	moves     int  // how often a publication that expects a sequence fails first
	onAsk     func(message.Event)
}

func newStream(t *testing.T, allow int64) *stream {
	t.Helper()
	s := &stream{dir: t.TempDir(), changed: make(chan struct{}), delivered: tasks, onAsk: func(message.Event) {}}
	s.append(&message.Planned{
		Name: "test", Tasks: tasks, Keys: []string{"seed"}, Columns: columns, Model: "test 1", Source: "a test", Spec: json.RawMessage("{}"),
	})
	s.append(&message.Settings{
		Output: "out.h5", Storage: message.Contiguous, Rows: message.DropRows, Allow: message.Allowance{Count: allow},
		AckWait: message.Duration(time.Minute), ShardSeconds: 5,
	})
	return s
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

// shard writes a shard with the rows of the tasks and announces it.
func (s *stream) shard(t *testing.T, indexes ...int64) *message.Shard {
	t.Helper()
	block := table.NewBlock(columns, len(indexes))
	for _, i := range indexes {
		row := block.Append()
		row.SetTask(i)
		row.SetFloats(2, float64(i)/3)
	}
	path := filepath.Join(s.dir, fmt.Sprintf("new-%d.tmp", indexes[0]))
	want := shard.Expected{Columns: columns, Tasks: indexes, Digests: block.Digests()}
	if err := shard.Write(path, digest, block, want.Digests); err != nil {
		t.Fatal(err)
	}
	extents, err := shard.Validate(path, digest, want)
	if err != nil {
		t.Fatal(err)
	}
	e, err := shard.Announce(path, extents, want)
	if err != nil {
		t.Fatal(err)
	}
	e.Worker, e.Folder = "w", "nonce"
	if err := os.Rename(path, filepath.Join(s.dir, e.Name)); err != nil {
		t.Fatal(err)
	}
	s.append(e)
	return e
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

func (s *stream) Idle(context.Context) (bool, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.busy, s.delivered, nil
}

func (s *stream) LastTask(context.Context) (uint64, error) { return tasks, nil }

func (s *stream) Publish(_ context.Context, e message.Event) (uint64, error) {
	seq := s.append(e)
	s.onAsk(e)
	return seq, nil
}

func (s *stream) PublishAfter(_ context.Context, last uint64, e message.Event) (uint64, error) {
	s.mu.Lock()
	moved := s.moves > 0 || last != uint64(len(s.entries))
	s.moves--
	s.mu.Unlock()
	if moved {
		return 0, message.ErrMoved
	}
	return s.append(e), nil
}

// merge runs a merger on the stream to its end and returns the output.
func merge(t *testing.T, s *stream) (output string, err error) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	follower := ledger.NewFollower(digest, s, log)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var following sync.WaitGroup
	following.Go(func() { _ = follower.Run(ctx) })
	defer following.Wait()
	defer cancel()
	output = filepath.Join(t.TempDir(), "out.h5")
	err = merger.New(merger.Config{
		Output: output, Shards: s.dir, Folder: "nonce", Digest: digest, Version: "test",
		Queue: s, Ledger: follower, Confirmed: func() bool { return s.confirmed }, ExitWhenSealed: true, Log: log,
	}).Run(ctx)
	if ctx.Err() != nil {
		t.Fatal("the merger has not ended")
	}
	return output, err
}

// wantSealed checks that the dataset is there, verifies, and is what the
// ledger says.
func wantSealed(t *testing.T, s *stream, output string, err error, rows int64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	report, err := dataset.Verify(t.Context(), output)
	if err != nil {
		t.Fatal(err)
	}
	sealed, ok := s.entries[len(s.entries)-1].Event.(*message.Sealed)
	if !ok || sealed.SHA256 != report.SHA256 || sealed.Rows != rows || report.Rows != rows {
		t.Errorf("sealed %+v, in the file %d rows with sha256 %s; want %d rows", sealed, report.Rows, report.SHA256, rows)
	}
}

func TestSealsWhatIsComplete(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.shard(t, 3, 4, 5)
	s.shard(t, 0, 1, 2, 3) // 3 has an owner
	s.moves = 2            // events that change nothing come in between
	output, err := merge(t, s)
	wantSealed(t, s, output, err, tasks)
}

// TestSealsWhileShardsArrive announces shards while others are copied: none
// may be taken for copied because the ledger has it.
func TestSealsWhileShardsArrive(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.busy = true
	var announcing sync.WaitGroup
	announcing.Go(func() {
		for i := range int64(tasks) {
			s.shard(t, i)
		}
	})
	output, err := merge(t, s)
	announcing.Wait()
	wantSealed(t, s, output, err, tasks)
}

func TestRejectsDamagedShard(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	bad := s.shard(t, 0, 1, 2)
	if err := os.Truncate(filepath.Join(s.dir, bad.Name), bad.Bytes-1); err != nil {
		t.Fatal(err)
	}
	s.shard(t, 3, 4, 5)
	var asked []string
	s.onAsk = func(e message.Event) {
		switch e := e.(type) {
		case *message.Rejected:
			asked = append(asked, fmt.Sprintf("rejected %d", e.Event))
		case *message.Missing:
			asked = append(asked, fmt.Sprintf("missing %s after %d", e.Rows, e.After))
			s.shard(t, 0, 1, 2)
		}
	}
	output, err := merge(t, s)
	wantSealed(t, s, output, err, tasks)
	if want := []string{"rejected 3", "missing 0-2 after 6"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// TestRejectsTheDamagedOnesOfABatch finds a damaged row where rows are copied
// already, of that shard and of others.
func TestRejectsTheDamagedOnesOfABatch(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.shard(t, 0, 2)
	for _, indexes := range [][]int64{{1, 4}, {3, 5}} {
		bad := s.shard(t, indexes...)
		file, err := os.OpenFile(filepath.Join(s.dir, bad.Name), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte{9}, bad.Offsets[2]+8); err != nil { // of the second row
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var asked []string
	s.onAsk = func(e message.Event) {
		switch e := e.(type) {
		case *message.Rejected:
			asked = append(asked, fmt.Sprintf("rejected %d for its %s: %s", e.Event, e.Flaw, e.Reason[strings.Index(e.Reason, "row "):][:5]))
		case *message.Missing:
			asked = append(asked, fmt.Sprintf("missing %s", e.Rows))
			s.shard(t, 1, 3, 4, 5)
		}
	}
	output, err := merge(t, s)
	wantSealed(t, s, output, err, tasks)
	if want := []string{"rejected 4 for its digest: row 1", "rejected 5 for its digest: row 1", "missing 1, 3-5"}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

// TestAsksOnceForEachDelivery lets the first copy of a missing task come to
// nothing: it is asked for again, but only after the copy was delivered.
func TestAsksOnceForEachDelivery(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.shard(t, 0, 1, 2, 3, 4)
	var afters []uint64
	s.onAsk = func(e message.Event) {
		missing, ok := e.(*message.Missing)
		if !ok {
			return
		}
		if afters = append(afters, missing.After); len(afters) == 2 {
			s.shard(t, 5)
			return
		}
		time.AfterFunc(1200*time.Millisecond, func() { // two audits later
			s.mu.Lock()
			defer s.mu.Unlock()
			s.delivered++
		})
	}
	output, err := merge(t, s)
	wantSealed(t, s, output, err, tasks)
	if want := []uint64{6, 7}; !slices.Equal(afters, want) {
		t.Errorf("asked with `after` %v, want %v", afters, want)
	}
}

func failures(indexes ...int64) *message.Failed {
	f := &message.Failed{Worker: "w"}
	for _, i := range indexes {
		f.Failures = append(f.Failures, message.Failure{
			Index: i, Key: []table.Value{table.IntValue(i)}, Copy: uint64(i) + 1, Class: message.ClassError, Message: "no", Attempts: 1,
		})
	}
	return f
}

func TestFailuresWithinTheAllowance(t *testing.T) {
	t.Parallel()
	s := newStream(t, 2)
	s.shard(t, 0, 2, 3, 5)
	s.append(failures(1, 4))
	output, err := merge(t, s)
	wantSealed(t, s, output, err, 4)
}

func TestFailuresBeyondTheAllowance(t *testing.T) {
	t.Parallel()
	s := newStream(t, 1)
	s.shard(t, 0, 2, 3, 5)
	s.append(failures(1, 4))
	output, err := merge(t, s)
	if !errors.Is(err, merger.ErrTooManyFailures) {
		t.Errorf("error %v, want %v", err, merger.ErrTooManyFailures)
	}
	if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dataset was written: %v", err)
	}
}

// shardElsewhere announces a shard in another folder than the merger's.
func (s *stream) shardElsewhere(t *testing.T) {
	t.Helper()
	e := *s.shard(t, 0, 1, 2)
	e.Folder = "another"
	s.mu.Lock()
	s.entries[2].Event = &e
	s.mu.Unlock()
}

func TestShardInAnotherFolderOfAWorkerThatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.confirmed = true
	s.shardElsewhere(t)
	s.shard(t, 0, 1, 2)
	s.shard(t, 3, 4, 5)
	output, err := merge(t, s)
	wantSealed(t, s, output, err, tasks)
	if rejected, ok := s.entries[5].Event.(*message.Rejected); !ok || rejected.Event != 3 {
		t.Errorf("want event 3 rejected, got %+v", s.entries[5].Event)
	}
}

func TestShardInAnotherFolderOfAMergerThatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStream(t, 0)
	s.shardElsewhere(t)
	if _, err := merge(t, s); !errors.Is(err, merger.ErrFolder) {
		t.Errorf("error %v, want %v", err, merger.ErrFolder)
	}
}
