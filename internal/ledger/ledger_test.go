package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

const digest = message.Digest("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")

// The events of the tests are made by these, in few words.

func planned(tasks int64) message.Event { return &message.Planned{Name: "test", Tasks: tasks} }

func settings(output string) message.Event { return &message.Settings{Output: output} }

func shard(indexes ...int64) message.Event {
	return &message.Shard{Rows: message.RangesOf(indexes), Worker: "w", Seconds: 1}
}

func failed(index int64, taskCopy uint64) message.Event {
	return &message.Failed{Failures: []message.Failure{{Index: index, Copy: taskCopy, Class: message.ClassError}}, Worker: "w"}
}

func rejected(seq uint64) message.Event {
	return &message.Rejected{Event: seq, Flaw: message.FlawDigest, Reason: "truncated"}
}

func missing(after uint64, indexes ...int64) message.Event {
	return &message.Missing{Rows: message.RangesOf(indexes), After: after}
}

func reopened(after uint64, indexes ...int64) message.Event {
	return &message.Reopened{Rows: message.RangesOf(indexes), After: after}
}

func sealed() message.Event { return &message.Sealed{Bytes: 1} }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// entry returns the message with sequence seq that holds e.
func entry(seq uint64, e message.Event) ledger.Entry {
	return ledger.Entry{Seq: seq, Time: epoch.Add(time.Duration(seq) * time.Second), Kind: e.Kind(), Event: e, Hash: seq}
}

func entries(events ...message.Event) []ledger.Entry {
	history := make([]ledger.Entry, len(events))
	for k, e := range events {
		history[k] = entry(uint64(k+1), e)
	}
	return history
}

// fold returns the state after the events and what Apply said of the last.
func fold(events ...message.Event) (*ledger.State, error) {
	s := ledger.New(digest)
	var err error
	for _, e := range entries(events...) {
		err = s.Apply(e)
	}
	return s, err
}

// describe writes a history as one would say it.
func describe(events []message.Event) string {
	var b strings.Builder
	for k, e := range events {
		fmt.Fprintf(&b, "%d: %s %+v\n", k+1, e.Kind(), reflect.ValueOf(e).Elem().Interface())
	}
	return b.String()
}

// checkHistory compares the fold with the naive model. In between it checks
// that an event was ignored exactly if it changed nothing.
func checkHistory(t *testing.T, events []message.Event) {
	t.Helper()
	s, _ := fold(events...)
	got, want := snapshotOf(s), newNaive(entries(events...)).snapshot()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("state differs from the definitions (-want +got):\n%s\nafter\n%s", cmp.Diff(want, got), describe(events))
	}
}

// TestAllShortHistories compares the fold with the definitions after every
// history, up to a length, of events over a small alphabet.
func TestAllShortHistories(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		length   int
		tasks    int64
		alphabet []message.Event
	}{
		"two tasks": {length: 4, tasks: 2, alphabet: []message.Event{
			shard(0), shard(1), shard(0, 1), failed(0, 1), failed(0, 5), failed(1, 2),
			rejected(2), rejected(3), missing(2, 0, 1), missing(4, 0),
			reopened(2, 0), reopened(4, 0, 1), sealed(), settings("a"),
		}},
		"one task": {length: 5, tasks: 1, alphabet: []message.Event{
			shard(0), failed(0, 1), failed(0, 5), rejected(2), rejected(3),
			missing(2, 0), reopened(2, 0), reopened(4, 0), sealed(),
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := test.length
			if testing.Short() {
				length--
			}
			history := []message.Event{planned(test.tasks)}
			var extend func()
			extend = func() {
				checkHistory(t, history)
				if len(history) > length {
					return
				}
				for _, e := range test.alphabet {
					history = append(history, e)
					extend()
					history = history[:len(history)-1]
				}
			}
			extend()
		})
	}
}

// TestRandomHistories does the same for longer histories, in which anything
// may come before planned, twice, or name what does not exist.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		var history []message.Event
		for range 50 {
			history = append(history, randomEvent(random, uint64(len(history))))
		}
		history[random.IntN(4)] = planned(6)
		for n := 1; n <= len(history); n += 1 + random.IntN(8) {
			checkHistory(t, history[:n])
		}
		checkIgnored(t, history)
	}
}

func randomEvent(random *rand.Rand, seq uint64) message.Event {
	indexes := make([]int64, 1+random.IntN(4))
	for k := range indexes {
		indexes[k] = random.Int64N(6)
	}
	if random.IntN(50) == 0 {
		indexes[0] = 6 // outside the run
	}
	after := random.Uint64N(20)
	switch random.IntN(24) {
	case 0:
		return planned(5)
	case 1:
		return settings(strconv.FormatUint(seq, 10))
	case 2:
		return sealed()
	case 3, 4, 5:
		return missing(after, indexes...)
	case 6, 7, 8:
		return reopened(after, indexes...)
	case 9, 10, 11, 12, 13:
		return rejected(random.Uint64N(seq + 2))
	case 14, 15, 16, 17:
		f := &message.Failed{Worker: "w"}
		for _, i := range indexes {
			f.Failures = append(f.Failures, message.Failure{Index: i, Copy: after + random.Uint64N(9), Class: message.ClassCrash})
		}
		return f
	default:
		return shard(indexes...)
	}
}

// checkIgnored makes sure that an event is ignored if, and only if, it changes
// nothing.
func checkIgnored(t *testing.T, history []message.Event) {
	t.Helper()
	s := ledger.New(digest)
	for _, e := range entries(history...) {
		before := snapshotOf(s)
		err := s.Apply(e)
		if changed := !reflect.DeepEqual(before, snapshotOf(s)); changed != (err == nil) {
			t.Fatalf("event %d (%s): changed %v, but Apply returned %v\n%s", e.Seq, e.Kind, changed, err, describe(history[:e.Seq]))
		}
		if s.Last() != e.Seq {
			t.Fatalf("Last is %d after event %d", s.Last(), e.Seq)
		}
	}
}

// TestStatus tells the stories that the rules are for.
func TestStatus(t *testing.T) {
	t.Parallel()
	const W, R, F = ledger.Waiting, ledger.Recorded, ledger.Failed
	tests := map[string]struct {
		events []message.Event // after planned, which is event 1 and has 3 tasks
		want   [3]ledger.Status
		owners [3]uint64
	}{
		"nothing happened":                   {nil, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"first shard owns":                   {[]message.Event{shard(0, 1), shard(1, 2)}, [3]ledger.Status{R, R, R}, [3]uint64{2, 2, 3}},
		"rejected: next shard takes over":    {[]message.Event{shard(0, 1), shard(1, 2), rejected(2)}, [3]ledger.Status{W, R, R}, [3]uint64{0, 3, 3}},
		"rejected before the next came":      {[]message.Event{shard(0, 1), rejected(2), shard(1, 2)}, [3]ledger.Status{W, R, R}, [3]uint64{0, 4, 4}},
		"rejected heir does not take over":   {[]message.Event{shard(0), shard(0), shard(0), rejected(3), rejected(2)}, [3]ledger.Status{R, W, W}, [3]uint64{4, 0, 0}},
		"failed":                             {[]message.Event{failed(1, 2)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
		"shard ends a failure":               {[]message.Event{failed(1, 2), shard(1)}, [3]ledger.Status{W, R, W}, [3]uint64{0, 3, 0}},
		"failure of a recorded task":         {[]message.Event{shard(1), failed(1, 2)}, [3]ledger.Status{W, R, W}, [3]uint64{0, 2, 0}},
		"rejection outdates older failures":  {[]message.Event{failed(1, 2), shard(1), failed(1, 9), rejected(3)}, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"failure after rejection counts":     {[]message.Event{shard(1), rejected(2), failed(1, 2)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
		"reopened ends a failure":            {[]message.Event{failed(1, 2), reopened(3, 1)}, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"failure of a copy before reopened":  {[]message.Event{failed(1, 2), reopened(3, 1), failed(1, 3)}, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"failure of a copy after reopened":   {[]message.Event{failed(1, 2), reopened(3, 1), failed(1, 4)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
		"reopened does not affect waiting":   {[]message.Event{reopened(3, 1), failed(1, 2)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
		"reopened does not affect recorded":  {[]message.Event{shard(1), reopened(3, 1), rejected(2), failed(1, 2)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
		"reopened outlasts a rejected shard": {[]message.Event{failed(1, 2), reopened(3, 1), shard(1), rejected(4), failed(1, 3)}, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"nothing counts after sealed":        {[]message.Event{sealed(), shard(0), failed(1, 2)}, [3]ledger.Status{W, W, W}, [3]uint64{}},
		"reopened unseals":                   {[]message.Event{failed(1, 2), sealed(), reopened(3, 1), shard(1)}, [3]ledger.Status{W, R, W}, [3]uint64{0, 5, 0}},
		"reopened of nothing does not":       {[]message.Event{failed(1, 2), sealed(), reopened(3, 0), shard(0)}, [3]ledger.Status{W, F, W}, [3]uint64{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := fold(append([]message.Event{planned(3)}, test.events...)...)
			for i := range int64(3) {
				if got := s.Status(i); got != test.want[i] {
					t.Errorf("task %d is %s, want %s", i, got, test.want[i])
				}
				var owner uint64
				if sh := s.Owner(i); sh != nil {
					owner = sh.Seq
				}
				if owner != test.owners[i] {
					t.Errorf("task %d is owned by event %d, want %d", i, owner, test.owners[i])
				}
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	type want struct {
		after, cause uint64
		ok           bool
	}
	tests := map[string]struct {
		events []message.Event // after planned, which is event 1
		want   want            // for task 0
	}{
		"nobody asks":                   {nil, want{}},
		"missing":                       {[]message.Event{missing(7, 0)}, want{7, 2, true}},
		"the highest holds":             {[]message.Event{missing(7, 0), missing(9, 0), missing(8, 0)}, want{9, 3, true}},
		"the first of equals holds":     {[]message.Event{missing(7, 0), missing(7, 0)}, want{7, 2, true}},
		"of a recorded task":            {[]message.Event{shard(0), missing(7, 0)}, want{}},
		"of a failed task":              {[]message.Event{failed(0, 1), missing(7, 0)}, want{}},
		"reopened":                      {[]message.Event{failed(0, 1), reopened(7, 0)}, want{7, 3, true}},
		"reopened of a waiting task":    {[]message.Event{reopened(7, 0)}, want{}},
		"done":                          {[]message.Event{missing(7, 0), shard(0)}, want{}},
		"not served, recorded, voided":  {[]message.Event{missing(7, 0), shard(0), rejected(3)}, want{7, 2, true}},
		"asked while recorded, voided":  {[]message.Event{shard(0), missing(7, 0), rejected(2)}, want{}},
		"outside the run asks for none": {[]message.Event{missing(7, 0, 3)}, want{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := fold(append([]message.Event{planned(3)}, test.events...)...)
			after, cause, ok := s.Request(0)
			if got := (want{after, cause, ok}); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestIgnored(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events []message.Event
		reason string
		breach bool
	}{
		"before planned":         {[]message.Event{shard(0)}, "nothing is planned yet", false},
		"planned twice":          {[]message.Event{planned(3), planned(4)}, "planned already", false},
		"no tasks":               {[]message.Event{planned(0)}, "0 tasks", true},
		"after sealed":           {[]message.Event{planned(3), sealed(), settings("a")}, "sealed", false},
		"shard outside the run":  {[]message.Event{planned(3), shard(3)}, "within 0 to 2", true},
		"failed outside the run": {[]message.Event{planned(3), failed(3, 1)}, "index 3 of 3 tasks", true},
		"shard without rows":     {[]message.Event{planned(3), shard()}, "no rows", true},
		"no such shard":          {[]message.Event{planned(3), settings("a"), rejected(2)}, "event 2 is not a shard", true},
		"rejected twice":         {[]message.Event{planned(3), shard(0), rejected(2), rejected(2)}, "rejected already", false},
		"failure too late":       {[]message.Event{planned(3), shard(0), failed(0, 1)}, "recorded or failed already", false},
		"nothing to ask for":     {[]message.Event{planned(3), shard(0), missing(4, 0)}, "no task waits", false},
		"nothing to reopen":      {[]message.Event{planned(3), shard(0), reopened(4, 0)}, "no task named is failed", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := fold(test.events...)
			ignored, ok := errors.AsType[*ledger.IgnoredError](err)
			if !ok {
				t.Fatalf("Apply returned %v", err)
			}
			last := uint64(len(test.events))
			if !strings.Contains(ignored.Reason, test.reason) || ignored.Breach != test.breach || ignored.Seq != last {
				t.Errorf("got %+v, want event %d, reason %q, breach %v", ignored, last, test.reason, test.breach)
			}
			if s.Counters().Ignored != 1 {
				t.Errorf("%d events counted as ignored", s.Counters().Ignored)
			}
		})
	}
}

func TestApplyRefusesUndecodable(t *testing.T) {
	t.Parallel()
	s, _ := fold(planned(3))
	err := s.Apply(ledger.Entry{Seq: 2, Kind: message.KindShard, Err: message.ErrOtherRun})
	if want := "ignore shard event 2: message of another run"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if s.Last() != 2 {
		t.Errorf("Last is %d, want 2: the event was folded, though it says nothing", s.Last())
	}
}

func TestApplyTwice(t *testing.T) {
	t.Parallel()
	s, _ := fold(planned(3), shard(0))
	before := s.Counters()
	if err := s.Apply(entry(2, shard(1))); err == nil {
		t.Error("event 2 was folded twice")
	}
	if s.Status(1) != ledger.Waiting || s.Counters() != before {
		t.Error("an event that was folded already changed the state")
	}
}

func TestSettingsWhileSealed(t *testing.T) {
	t.Parallel()
	s, _ := fold(planned(1), settings("a"), failed(0, 1), sealed(), settings("b"), reopened(1, 0))
	if got := s.Settings().Output; got != "a" {
		t.Errorf("unsealed with settings %q: those that came while the run was sealed do not count", got)
	}
	if err := s.Apply(entry(7, settings("c"))); err != nil || s.Settings().Output != "c" {
		t.Errorf("settings after unsealing: %v, %q", err, s.Settings().Output)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	s, _ := fold(planned(9), failed(7, 8), failed(2, 3), failed(2, 4), failed(5, 6), shard(5))
	var got []string
	for _, f := range s.Failures() {
		got = append(got, fmt.Sprintf("%d copy %d", f.Index, f.Copy))
	}
	if want := "2 copy 3, 7 copy 8"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	if f := s.Failure(7); f.Seq != 2 || !f.Time.Equal(epoch.Add(2*time.Second)) || f.Worker != "w" {
		t.Errorf("failure of task 7: %+v", f)
	}
}

func TestCounters(t *testing.T) {
	t.Parallel()
	s, _ := fold(shard(0), planned(4), shard(0, 1), shard(1, 2), rejected(3), rejected(3))
	want := ledger.Counters{
		Events: 6, Ignored: 2, Shards: 2, RejectedShards: 1, DuplicateRows: 1, Seconds: 2,
		First: epoch.Add(time.Second), Last: epoch.Add(6 * time.Second),
	}
	if got := s.Counters(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Before planned, and for indexes outside the run, every question has an
// answer: tasks and events come from outside.
func TestOutsideTheRun(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]message.Event{"not planned": nil, "planned": {planned(10)}} {
		s, _ := fold(events...)
		for _, i := range []int64{-1, 10, message.MaxTasks} {
			if _, _, asked := s.Request(i); s.Status(i) != ledger.Waiting || s.Owner(i) != nil || s.Failure(i) != nil || asked {
				t.Errorf("%s: index %d is known", name, i)
			}
		}
	}
}

// TestHostilePlan makes sure that memory follows what is recorded, not what is
// planned. It is not parallel, because it measures what the process allocates.
func TestHostilePlan(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := fold(planned(message.MaxTasks), shard(0, 1, message.MaxTasks-1))
	runtime.ReadMemStats(&after)
	if err != nil || s.Missing() != message.MaxTasks-3 {
		t.Fatalf("%v, %d missing", err, s.Missing())
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d tasks planned and 3 recorded take %d bytes", message.MaxTasks, grown)
	}
}

// BenchmarkFold folds shards of 1 task and of 1000 tasks.
func BenchmarkFold(b *testing.B) {
	for _, bench := range []struct{ shards, rows int64 }{{200_000, 1}, {10_000, 1000}} {
		b.Run(fmt.Sprintf("shards=%d/rows=%d", bench.shards, bench.rows), func(b *testing.B) {
			history := []ledger.Entry{entry(1, planned(bench.shards*bench.rows))}
			for k := range bench.shards {
				rows := message.Ranges{{First: k * bench.rows, Last: (k+1)*bench.rows - 1}}
				history = append(history, entry(uint64(k)+2, &message.Shard{Rows: rows}))
			}
			b.ReportAllocs()
			for b.Loop() {
				s := ledger.New(digest)
				for _, e := range history {
					if err := s.Apply(e); err != nil {
						b.Fatal(err)
					}
				}
				if s.Missing() != 0 {
					b.Fatal(s.Missing())
				}
			}
			b.ReportMetric(float64(b.N)*float64(bench.shards)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
