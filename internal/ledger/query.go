package ledger

import (
	"iter"
	"maps"
	"slices"
	"time"

	"windrow/internal/message"
)

// Status is the condition of a task.
type Status uint8

// The conditions of a task.
const (
	Waiting  Status = iota // neither recorded nor failed
	Recorded               // a shard owns its row
	Failed                 // a failure counts
)

// String implements fmt.Stringer.
func (s Status) String() string { return [...]string{"waiting", "recorded", "failed"}[s] }

// Counters are numbers for people; nothing depends on them.
type Counters struct {
	Events         int64 // folded
	Ignored        int64 // of these, without effect
	Shards         int64 // shard events that counted
	RejectedShards int64
	DuplicateRows  int64     // rows claimed by a shard when they had an owner
	Seconds        float64   // workers' time in all shards
	First, Last    time.Time // of the first and the last event
}

func (c *Counters) see(t time.Time) {
	if c.Events == 0 {
		c.First = t
	}
	c.Events++
	c.Last = t
}

// Digest returns the run's digest.
func (s *State) Digest() message.Digest { return s.digest }

// Last returns the sequence of the last event folded, or 0.
func (s *State) Last() uint64 { return s.last }

// Planned returns what the run is, or nil as long as nothing is planned.
func (s *State) Planned() *message.Planned { return s.planned }

// PlannedNow is Planned with its files as they are by now: as those say that
// changes were accepted.
func (s *State) PlannedNow() *message.Planned {
	if s.planned == nil || len(s.accepted) == 0 {
		return s.planned
	}
	now := *s.planned
	now.Files = slices.Clone(now.Files)
	for _, a := range s.accepted {
		for i := range now.Files {
			if now.Files[i].Path == a.Path {
				now.Files[i].Digest = a.To
			}
		}
	}
	return &now
}

// Accepted returns the changes of files that were accepted, in their order.
func (s *State) Accepted() []Acceptance { return s.accepted }

// Begun returns when the run was planned, by the broker's clock. It is the same
// for everybody who reads the ledger, also after the broker was put back to an
// older copy, and another one when the run was begun anew.
func (s *State) Begun() time.Time { return s.begun }

// Settings returns the settings that hold, or nil as long as there are none.
func (s *State) Settings() *message.Settings { return s.settings }

// Sealed returns the event that seals the run and its sequence, or nil and 0.
func (s *State) Sealed() (*message.Sealed, uint64) { return s.sealed, s.sealedAt }

// Overrun tells whether more tasks have failed than the settings permit: the
// run is given up until some are reopened, or the settings change.
func (s *State) Overrun() bool {
	if s.settings == nil {
		return false
	}
	return s.Failed() > s.settings.Allow.Of(s.Tasks()) || s.settings.AbortIf.Met(s.Recorded()+s.Failed(), s.Failed())
}

// Halted returns KindPaused or KindCancelled and since when the run is that, or
// "" where workers may fetch tasks.
func (s *State) Halted() (kind message.Kind, since time.Time) { return s.halted, s.haltedAt }

// Cancelled tells whether the run is to end without a dataset.
func (s *State) Cancelled() bool { return s.halted == message.KindCancelled }

// Counters returns numbers for people.
func (s *State) Counters() Counters { return s.counters }

// Tasks returns the number of tasks, which is 0 as long as nothing is planned.
// It is the sum of Recorded, Failed and Missing.
func (s *State) Tasks() int64 {
	if s.planned == nil {
		return 0
	}
	return s.planned.Tasks
}

// Recorded returns the number of tasks whose row is in a shard.
func (s *State) Recorded() int64 { return s.recorded }

// Failed returns the number of tasks with a failure that counts.
func (s *State) Failed() int64 { return int64(len(s.failures)) }

// Missing returns the number of tasks that wait.
func (s *State) Missing() int64 { return s.Tasks() - s.Recorded() - s.Failed() }

// Status returns the condition of a task. An index outside the run waits.
func (s *State) Status(index int64) Status {
	switch s.cells.at(index) {
	case cellWaiting:
		return Waiting
	case cellFailed:
		return Failed
	default:
		return Recorded
	}
}

// Owner returns the shard that holds the row of a task, or nil.
func (s *State) Owner(index int64) *Shard {
	if slot := s.cells.at(index); slot > 0 {
		return s.shards[slot-1]
	}
	return nil
}

// Shards returns all shards in ledger order, rejected ones too. The slice only
// grows; Owned and Rejected of its elements change as events are folded.
func (s *State) Shards() []*Shard { return slices.Clip(s.shards) }

// OwnedBy returns the indexes that shard owns.
func (s *State) OwnedBy(shard *Shard) message.Ranges {
	var owned message.Ranges
	for i := range shard.Rows.All() {
		if s.cells.at(i) == shard.slot {
			owned = add(owned, message.Range{First: i, Last: i})
		}
	}
	return owned
}

// Failure returns the failure that counts for a task, or nil.
func (s *State) Failure(index int64) *Failure { return s.failures[index] }

// FailedByClass returns the number of failures that count, by their class.
func (s *State) FailedByClass() map[message.Class]int64 {
	classes := map[message.Class]int64{}
	for _, f := range s.failures {
		classes[f.Class]++
	}
	return classes
}

// Failures returns the failures that count in ascending order of index.
func (s *State) Failures() []message.Failure {
	failures := make([]message.Failure, 0, len(s.failures))
	for _, index := range slices.Sorted(maps.Keys(s.failures)) {
		failures = append(failures, s.failures[index].Failure)
	}
	return failures
}

// Unrecorded returns the waiting indexes.
func (s *State) Unrecorded() message.Ranges {
	var waiting message.Ranges
	for p, page := range s.cells {
		first := int64(p) * pageCells
		end := min(first+pageCells, s.Tasks())
		if page == nil {
			waiting = add(waiting, message.Range{First: first, Last: end - 1})
			continue
		}
		for i := first; i < end; i++ {
			if page[i-first] == cellWaiting {
				waiting = add(waiting, message.Range{First: i, Last: i})
			}
		}
	}
	return waiting
}

// add appends r, which begins after the end of rs, to rs.
func add(rs message.Ranges, r message.Range) message.Ranges {
	if n := len(rs); n > 0 && rs[n-1].Last+1 == r.First {
		rs[n-1].Last = r.Last
		return rs
	}
	return append(rs, r)
}

// Request says that a copy of a waiting task is needed unless there is one
// later than After.
type Request struct {
	Index int64
	After uint64 // sequence in the tasks stream
	Cause uint64 // sequence of the event that asks
}

// Request returns the highest After that asks for a task, and the sequence of
// the event that does. ok is false if the task does not wait, or nobody asks.
func (s *State) Request(index int64) (after, cause uint64, ok bool) {
	slot := s.asked.at(index)
	if slot == 0 || s.cells.at(index) != cellWaiting {
		return 0, 0, false
	}
	held := s.requests[slot-1]
	return held.after, held.cause, true
}

// Requests yields the requests for waiting tasks in ascending order of index.
func (s *State) Requests() iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for p, page := range s.asked {
			if page == nil {
				continue
			}
			for c, slot := range page {
				index := int64(p)*pageCells + int64(c)
				if slot == 0 || s.cells.at(index) != cellWaiting {
					continue
				}
				held := s.requests[slot-1]
				if !yield(Request{Index: index, After: held.after, Cause: held.cause}) {
					return
				}
			}
		}
	}
}
