package producer

import "windrow/internal/ledger"

// copies is the rule for when a copy of a task is appended: a task that waits
// needs one if somebody asks for it, and its last copy is not later than what
// the request says was delivered. The first copy of task i has the sequence
// i + 1; those beyond are counted with Seen.
//
// The rule needs no memory but the tasks stream itself, so a producer that was
// killed between any two steps continues where it was. Nothing is served twice
// as long as Seen is called, before Due, for all that the stream holds.
type copies struct {
	last map[int64]taskCopy // of the tasks that have a copy beyond the first
}

type taskCopy struct{ seq, cause uint64 }

// due is a task that needs a copy because of the event with sequence cause.
type due struct {
	index int64
	cause uint64
}

func newCopies() *copies { return &copies{last: map[int64]taskCopy{}} }

// Seen notes that the stream holds a copy of the task with sequence seq, made
// because of the event with sequence cause.
func (c *copies) Seen(index int64, seq, cause uint64) {
	if seq > c.last[index].seq {
		c.last[index] = taskCopy{seq, cause}
	}
}

// Due returns the tasks that need a copy, in ascending order of index.
func (c *copies) Due(s *ledger.State) []due {
	var needed []due
	for r := range s.Requests() {
		if c.needs(r) {
			needed = append(needed, due{r.Index, r.Cause})
		}
	}
	return needed
}

// needs compares the causes too: a request whose After lies beyond the end of
// the stream would else be served for ever.
func (c *copies) needs(r ledger.Request) bool {
	last, copied := c.last[r.Index]
	if !copied {
		return r.After > uint64(r.Index) //nolint:gosec // an index is not negative
	}
	return last.seq <= r.After && last.cause != r.Cause
}
