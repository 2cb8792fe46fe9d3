// Package ledger computes the state of a run from the events of its ledger.
//
// The ledger is a stream; its order is the order in which things count.
// [State] is a pure function of the events in that order: everybody who has
// read the same events holds the same state, whatever crashed on the way, and
// nobody keeps anything else. A [Follower] reads the stream for ever, keeps a
// State current, and begins anew when the stream turns out to be another one.
//
// A task index is in one of three conditions:
//
//	               shard names it
//	   +----------------------------------------+
//	   |            rejected, no other shard    v
//	Waiting <------------------------------- Recorded
//	   |  ^                                     ^
//	   |  | reopened                            |
//	   v  |           shard names it            |
//	 Failed ------------------------------------+
//
// The rules, for events after the first planned and, but for reopened, before
// sealed:
//
//   - The first shard that names an index, and is not rejected, owns it. When
//     the owner is rejected, the next shard that names the index takes over.
//   - A failure counts if nobody owns its index and its copy of the task is
//     later than the After of the last reopened that affected the index. Of
//     several the first holds. A shard that names the index ends it for good.
//   - missing asks for copies of the waiting indexes it names.
//   - reopened affects only the failed indexes it names: their failures end,
//     and it asks for copies of them. One that affects an index unseals.
//   - accepted counts if its from is the digest of that file of the run now; its
//     to is so afterwards.
//   - paused and cancelled hold until resumed; cancelled takes the place of
//     paused. They change no index.
//   - Requests stay: the one with the highest After holds for an index
//     whenever it is waiting.
package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"windrow/internal/message"
)

// Entry is one message of the events stream.
type Entry struct {
	Seq   uint64        // sequence in the stream, from 1
	Time  time.Time     // when the broker stored it
	Kind  message.Kind  // of the subject it was published on
	Event message.Event // nil if it could not be decoded
	Err   error         // why it could not be decoded
	Hash  uint64        // of the raw payload
}

// IgnoredError says why an event has no effect.
type IgnoredError struct {
	Seq    uint64
	Kind   message.Kind
	Reason string
	Breach bool // no correct process publishes this; else the event was merely late
}

func (e *IgnoredError) Error() string {
	return fmt.Sprintf("ignore %s event %d: %s", e.Kind, e.Seq, e.Reason)
}

// late is the verdict on an event that lost a race.
func late(reason string) *IgnoredError { return &IgnoredError{Reason: reason} }

// breach is the verdict on an event that should not have been published.
func breach(format string, args ...any) *IgnoredError {
	return &IgnoredError{Reason: fmt.Sprintf(format, args...), Breach: true}
}

// State is the state of one run: a pure function of its events in order.
// It is not safe for concurrent use. It takes 4 bytes for each index that is
// recorded or failed, and 4 for each index that a request named.
type State struct {
	digest   message.Digest
	last     uint64
	planned  *message.Planned
	begun    time.Time // when planned was stored
	settings *message.Settings
	sealed   *message.Sealed
	sealedAt uint64
	accepted []Acceptance
	halted   message.Kind // KindPaused, KindCancelled or ""
	haltedAt time.Time

	cells     pages    // per index: cellWaiting, cellFailed, or the slot of its owner
	shards    []*Shard // in ledger order; slot k is shards[k-1]
	contested []int32  // slots of shards that named an index which had an owner
	recorded  int64
	failures  map[int64]*Failure
	floors    map[int64]uint64 // After of the last reopened that affected the index

	asked    pages     // per index: slot of the request that holds, or 0
	requests []request // slot k is requests[k-1]

	counters Counters
}

const (
	cellWaiting = 0
	cellFailed  = -1
)

type request struct{ after, cause uint64 }

// Shard is a shard event as the ledger holds it.
type Shard struct {
	*message.Shard
	Seq      uint64 // of the event; names the shard in rejected
	Time     time.Time
	Owned    int64        // rows that it owns
	Rejected string       // why it was rejected, or ""
	Flaw     message.Flaw // of a rejected shard

	slot int32
}

// Failure is a failure that counts, without its log. It does not change once
// it is there.
type Failure struct {
	message.Failure
	Seq    uint64 // of the event
	Time   time.Time
	Worker string
}

// New returns the state of the run with digest d before its first event.
func New(d message.Digest) *State {
	return &State{digest: d, failures: map[int64]*Failure{}, floors: map[int64]uint64{}}
}

// Apply folds the next event. It returns nil if the event counts, else an
// *IgnoredError that says why it has no effect.
func (s *State) Apply(e Entry) error {
	if e.Seq <= s.last {
		return &IgnoredError{Seq: e.Seq, Kind: e.Kind, Reason: fmt.Sprintf("folded up to %d already", s.last)}
	}
	s.last = e.Seq
	s.counters.see(e.Time)
	ignored := s.fold(e)
	if ignored == nil {
		return nil
	}
	s.counters.Ignored++
	ignored.Seq, ignored.Kind = e.Seq, e.Kind
	return ignored
}

func (s *State) fold(e Entry) *IgnoredError {
	if e.Err != nil {
		return breach("%s", message.Cut(e.Err.Error(), message.MaxRecordBytes))
	}
	if planned, ok := e.Event.(*message.Planned); ok {
		return s.plan(planned, e.Time)
	}
	if s.planned == nil {
		return late("nothing is planned yet")
	}
	if reopened, ok := e.Event.(*message.Reopened); ok {
		return s.reopen(e, reopened)
	}
	if s.sealed != nil {
		return late("the run is sealed")
	}
	switch event := e.Event.(type) {
	case *message.Settings:
		s.settings = event
	case *message.Shard:
		return s.record(e, event)
	case *message.Failed:
		return s.fail(e, event)
	case *message.Rejected:
		return s.reject(event)
	case *message.Missing:
		return s.miss(e, event)
	case *message.Accepted:
		return s.accept(e, event)
	case *message.Paused, *message.Resumed, *message.Cancelled:
		return s.halt(event.Kind(), e.Time)
	case *message.Sealed:
		s.sealed, s.sealedAt = event, e.Seq
	default:
		return breach("unknown event")
	}
	return nil
}

func (s *State) plan(planned *message.Planned, at time.Time) *IgnoredError {
	if s.planned != nil {
		return late("the run is planned already")
	}
	if planned.Tasks < 1 || planned.Tasks > message.MaxTasks {
		return breach("%d tasks", planned.Tasks)
	}
	s.planned, s.begun = planned, at
	s.cells, s.asked = newPages(planned.Tasks), newPages(planned.Tasks)
	return nil
}

func (s *State) checkRows(rows message.Ranges) *IgnoredError {
	if len(rows) == 0 {
		return breach("no rows")
	}
	if err := rows.Validate(s.planned.Tasks); err != nil {
		return breach("%v", err)
	}
	return nil
}

func (s *State) record(e Entry, event *message.Shard) *IgnoredError {
	if ignored := s.checkRows(event.Rows); ignored != nil {
		return ignored
	}
	shard := &Shard{Shard: event, Seq: e.Seq, Time: e.Time, slot: int32(len(s.shards) + 1)} //nolint:gosec // a stream has fewer
	s.shards = append(s.shards, shard)
	s.claim(shard)
	duplicates := event.Rows.Len() - shard.Owned
	if duplicates > 0 {
		s.contested = append(s.contested, shard.slot)
	}
	s.counters.Shards++
	s.counters.DuplicateRows += duplicates
	s.counters.Seconds += event.Seconds
	return nil
}

// claim makes shard the owner of the indexes it names that have none.
func (s *State) claim(shard *Shard) {
	before := shard.Owned
	for i := range shard.Rows.All() {
		switch s.cells.at(i) {
		case cellWaiting:
		case cellFailed:
			delete(s.failures, i)
		default:
			continue
		}
		s.cells.set(i, shard.slot)
		shard.Owned++
	}
	s.recorded += shard.Owned - before
}

func (s *State) reject(event *message.Rejected) *IgnoredError {
	k, found := slices.BinarySearchFunc(s.shards, event.Event, func(sh *Shard, seq uint64) int { return cmp.Compare(sh.Seq, seq) })
	if !found {
		return breach("event %d is not a shard of this run", event.Event)
	}
	shard := s.shards[k]
	if shard.Rejected != "" {
		return late("that shard is rejected already")
	}
	shard.Rejected, shard.Flaw = cmp.Or(event.Reason, "no reason given"), event.Flaw
	s.counters.RejectedShards++
	s.release(shard)
	s.takeOver(shard)
	return nil
}

func (s *State) release(shard *Shard) {
	for i := range shard.Rows.All() {
		if s.cells.at(i) == shard.slot {
			s.cells.set(i, cellWaiting)
		}
	}
	s.recorded -= shard.Owned
	shard.Owned = 0
}

// takeOver gives what the rejected shard owned to the next shards that name
// it. They come later in the ledger, and they are contested: when they came,
// their index had an owner.
func (s *State) takeOver(rejected *Shard) {
	k, _ := slices.BinarySearch(s.contested, rejected.slot+1)
	for _, slot := range s.contested[k:] {
		next := s.shards[slot-1]
		if next.Rejected == "" && mayOverlap(next.Rows, rejected.Rows) {
			s.claim(next)
		}
	}
}

func mayOverlap(a, b message.Ranges) bool {
	return a[0].First <= b[len(b)-1].Last && b[0].First <= a[len(a)-1].Last
}

func (s *State) fail(e Entry, event *message.Failed) *IgnoredError {
	for _, f := range event.Failures {
		if f.Index < 0 || f.Index >= s.planned.Tasks {
			return breach("index %d of %d tasks", f.Index, s.planned.Tasks)
		}
	}
	verdict := late("every task is recorded or failed already, or reopened since")
	for _, f := range event.Failures {
		if s.cells.at(f.Index) == cellWaiting && f.Copy > s.floors[f.Index] {
			s.cells.set(f.Index, cellFailed)
			f.Log = nil // it is in the event for who asks; a state may hold 100,000 failures
			s.failures[f.Index] = &Failure{Failure: f, Seq: e.Seq, Time: e.Time, Worker: event.Worker}
			verdict = nil
		}
	}
	return verdict
}

func (s *State) miss(e Entry, event *message.Missing) *IgnoredError {
	if ignored := s.checkRows(event.Rows); ignored != nil {
		return ignored
	}
	asking := s.newRequest(event.After, e.Seq)
	asked := false
	for i := range event.Rows.All() {
		if s.cells.at(i) == cellWaiting && asking(i) {
			asked = true
		}
	}
	if !asked {
		return late("no task waits that was not asked for already")
	}
	return nil
}

// Acceptance is a change of a file that counts.
type Acceptance struct {
	message.Accepted
	Time     time.Time
	Recorded int64 // rows until then
}

func (s *State) accept(e Entry, event *message.Accepted) *IgnoredError {
	now := s.PlannedNow().Files
	i := slices.IndexFunc(now, func(f message.File) bool { return f.Path == event.Path })
	if i < 0 {
		return breach("%s is not a file of the run", message.Cut(event.Path, 80))
	}
	if now[i].Digest != event.From {
		return late("that file is another one by now")
	}
	s.accepted = append(s.accepted, Acceptance{*event, e.Time, s.recorded})
	return nil
}

func (s *State) halt(kind message.Kind, at time.Time) *IgnoredError {
	switch {
	case kind == message.KindResumed && s.halted == "":
		return late("the run is neither paused nor cancelled")
	case kind == message.KindResumed:
		kind = ""
	case kind == s.halted, s.halted == message.KindCancelled:
		return late("the run is " + string(s.halted) + " already")
	}
	s.halted, s.haltedAt = kind, at
	return nil
}

func (s *State) reopen(e Entry, event *message.Reopened) *IgnoredError {
	if ignored := s.checkRows(event.Rows); ignored != nil {
		return ignored
	}
	asking := s.newRequest(event.After, e.Seq)
	verdict := late("no task named is failed")
	for i := range event.Rows.All() {
		if s.cells.at(i) != cellFailed {
			continue
		}
		s.cells.set(i, cellWaiting)
		delete(s.failures, i)
		s.floors[i] = event.After
		asking(i)
		s.sealed, s.sealedAt = nil, 0
		verdict = nil
	}
	return verdict
}

// newRequest returns a function that makes the request hold for an index, and
// tells whether it does: the request with the highest after holds, the first
// of equals.
func (s *State) newRequest(after, cause uint64) func(index int64) bool {
	slot := int32(len(s.requests) + 1) //nolint:gosec // a stream has fewer
	return func(index int64) bool {
		if held := s.asked.at(index); held != 0 && s.requests[held-1].after >= after {
			return false
		}
		if int(slot) > len(s.requests) {
			s.requests = append(s.requests, request{after, cause})
		}
		s.asked.set(index, slot)
		return true
	}
}
