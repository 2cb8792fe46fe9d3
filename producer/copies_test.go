package producer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// story is a ledger and a tasks stream, both in memory.
type story struct {
	tasks  int64
	ledger *ledger.State
	stream []stored // what the tasks stream holds beyond the first copies
}

type stored struct {
	index int64
	cause uint64
}

func newStory(t *testing.T, tasks int64) *story {
	t.Helper()
	s := &story{tasks: tasks, ledger: ledger.New("")}
	if err := s.publish(&message.Planned{Tasks: tasks}); err != nil {
		t.Fatal(err)
	}
	return s
}

// publish appends an event; the error says that it has no effect.
func (s *story) publish(e message.Event) error {
	return s.ledger.Apply(ledger.Entry{Seq: s.ledger.Last() + 1, Kind: e.Kind(), Event: e})
}

// end returns the last sequence of the tasks stream.
func (s *story) end() uint64 { return uint64(s.tasks) + uint64(len(s.stream)) }

// sequence returns the sequence of s.stream[k].
func (s *story) sequence(k int) uint64 { return uint64(s.tasks) + uint64(k) + 1 }

// restart returns what a producer knows that has read the tasks stream anew.
func (s *story) restart() *copies {
	c := newCopies()
	for k, copied := range s.stream {
		c.Seen(copied.index, s.sequence(k), copied.cause)
	}
	return c
}

func shard(index int64) message.Event {
	return &message.Shard{Rows: message.RangesOf([]int64{index})}
}

func failed(index int64, taskCopy uint64) message.Event {
	return &message.Failed{Failures: []message.Failure{{Index: index, Copy: taskCopy}}}
}

func missing(after uint64, indexes ...int64) message.Event {
	return &message.Missing{Rows: message.RangesOf(indexes), After: after}
}

func reopened(after uint64, indexes ...int64) message.Event {
	return &message.Reopened{Rows: message.RangesOf(indexes), After: after}
}

func TestCopiesDue(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		events []message.Event // after planned, which is event 1 and has 5 tasks
		stream []stored        // from sequence 6 on
		want   []due
	}{
		"nobody asks":                    {nil, nil, nil},
		"missing":                        {[]message.Event{missing(5, 3, 1)}, nil, []due{{1, 2}, {3, 2}}},
		"not delivered yet":              {[]message.Event{missing(2, 1, 2)}, nil, []due{{1, 2}}},
		"served":                         {[]message.Event{missing(5, 3)}, []stored{{3, 2}}, nil},
		"another task was served":        {[]message.Event{missing(5, 3, 1)}, []stored{{1, 2}}, []due{{3, 2}}},
		"a later copy has another cause": {[]message.Event{missing(5, 3)}, []stored{{3, 9}}, nil},
		"missing again":                  {[]message.Event{missing(5, 3), missing(6, 3)}, []stored{{3, 2}}, []due{{3, 3}}},
		"missing again, served again":    {[]message.Event{missing(5, 3), missing(6, 3)}, []stored{{3, 2}, {3, 3}}, nil},
		"two requests before a copy":     {[]message.Event{missing(4, 3), missing(5, 3)}, nil, []due{{3, 3}}},
		"recorded since":                 {[]message.Event{missing(5, 3), shard(3)}, nil, nil},
		"failed since":                   {[]message.Event{missing(5, 3), failed(3, 4)}, nil, nil},
		"reopened":                       {[]message.Event{failed(3, 4), reopened(5, 3)}, nil, []due{{3, 3}}},
		"voided before it was served":    {[]message.Event{missing(5, 3), shard(3), &message.Rejected{Event: 3}}, nil, []due{{3, 2}}},
		"after the stream's end":         {[]message.Event{missing(1<<63, 3)}, nil, []due{{3, 2}}},
		"after the end, but only once":   {[]message.Event{missing(1<<63, 3)}, []stored{{3, 2}}, nil},
		"of a ledger that was rolled back": {
			[]message.Event{missing(7, 3)},
			[]stored{{3, 90}, {1, 91}},
			[]due{{3, 2}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, 5)
			for _, e := range test.events {
				if err := s.publish(e); err != nil {
					t.Fatal(err)
				}
			}
			s.stream = test.stream
			if got := s.restart().Due(s.ledger); !slices.Equal(got, test.want) {
				t.Errorf("due are %v, want %v", got, test.want)
			}
		})
	}
}

// An older copy that is read after a newer one does not hide it.
func TestCopiesSeenInAnyOrder(t *testing.T) {
	t.Parallel()
	s := newStory(t, 5)
	if err := s.publish(missing(6, 3)); err != nil {
		t.Fatal(err)
	}
	c := newCopies()
	c.Seen(3, 7, 2)
	c.Seen(3, 6, 1)
	if got := c.Due(s.ledger); got != nil {
		t.Errorf("due are %v, but sequence 7 is later than 6", got)
	}
}

// TestCopiesServeEveryRequestOnce plays random stories with producers that are
// killed between any two steps and with appends whose confirmation is lost,
// and looks at the stream that comes of it.
func TestCopiesServeEveryRequestOnce(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 100 {
		s := newStory(t, 6)
		producer := s.restart()
		for range 60 {
			s.randomEvent(random)
			producer = s.serve(random, producer)
			s.checkNoneTwice(t)
		}
		s.appendAll(producer)
		s.checkNoneForgotten(t)
		s.checkNoneTwice(t)
	}
}

// randomEvent publishes what a merger, a worker or an operator might.
func (s *story) randomEvent(random *rand.Rand) {
	index, last := random.Int64N(s.tasks), s.end()
	after := max(last-min(last, random.Uint64N(4)), 1)
	e := []message.Event{
		missing(after, index, random.Int64N(s.tasks)),
		missing(after, index, random.Int64N(s.tasks)),
		reopened(after, index),
		failed(index, 1+random.Uint64N(last)),
		shard(index),
		&message.Rejected{Event: random.Uint64N(s.ledger.Last()) + 1},
	}
	_ = s.publish(e[random.IntN(len(e))]) // many have no effect
}

// serve appends some of what is due. It returns the producer, or the one that
// is started in its place: it may be killed before, between and after appends,
// and in particular when a copy is stored and nobody has noted that.
func (s *story) serve(random *rand.Rand, producer *copies) *copies {
	for _, d := range producer.Due(s.ledger) {
		if random.IntN(6) == 0 {
			return s.restart()
		}
		s.stream = append(s.stream, stored(d))
		if random.IntN(6) == 0 {
			return s.restart()
		}
		producer.Seen(d.index, s.end(), d.cause)
	}
	return producer
}

func (s *story) appendAll(producer *copies) {
	for _, d := range producer.Due(s.ledger) {
		s.stream = append(s.stream, stored(d))
	}
}

func (s *story) checkNoneTwice(t *testing.T) {
	t.Helper()
	served := map[stored]bool{}
	for k, copied := range s.stream {
		if served[copied] {
			t.Fatalf("sequence %d serves %+v for the second time: %s", s.sequence(k), copied, s)
		}
		served[copied] = true
	}
}

// checkNoneForgotten makes sure that every task that waits and was asked for
// has a copy later than the request says was delivered.
func (s *story) checkNoneForgotten(t *testing.T) {
	t.Helper()
	for r := range s.ledger.Requests() {
		last := uint64(r.Index) + 1
		for k, copied := range s.stream {
			if copied.index == r.Index {
				last = s.sequence(k)
			}
		}
		if last <= r.After {
			t.Fatalf("%+v is not served: the last copy is %d: %s", r, last, s)
		}
	}
}

func (s *story) String() string { return fmt.Sprintf("%d tasks, then copies %+v", s.tasks, s.stream) }
