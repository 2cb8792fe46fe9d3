package producer

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// stream is a tasks stream in memory. Before a publication, rival may append.
type stream struct {
	Queue
	tasks []message.Task
	full  bool
	rival func()
}

func (s *stream) LastTask(context.Context) (uint64, error) { return uint64(len(s.tasks)), nil }

func (s *stream) StoredTask(_ context.Context, seq uint64) (message.Task, error) {
	return s.tasks[seq-1], nil
}

func (s *stream) StoredTasks(_ context.Context, from uint64) iter.Seq2[uint64, message.Task] {
	return func(yield func(uint64, message.Task) bool) {
		for seq := from; seq <= uint64(len(s.tasks)); seq++ {
			if !yield(seq, s.tasks[seq-1]) {
				return
			}
		}
	}
}

func (s *stream) PublishTasks(_ context.Context, last uint64, tasks []message.Task) error {
	if s.rival != nil {
		s.rival()
		s.rival = nil
	}
	switch {
	case last != uint64(len(s.tasks)):
		return message.ErrMoved
	case s.full:
		return message.ErrFull
	}
	s.tasks = append(s.tasks, tasks...)
	return nil
}

func (s *stream) GrowTasks(context.Context) error {
	s.full = false
	return nil
}

// replayed returns a stream with n tasks, and the ledger of a run in which all
// failed and are reopened.
func replayed(t *testing.T, n int64) (*stream, *ledger.State) {
	t.Helper()
	s := newStory(t, n)
	st := &stream{}
	var all []int64
	for i := range n {
		st.tasks = append(st.tasks, message.Task{Index: i})
		all = append(all, i)
		if err := s.publish(failed(i, uint64(i)+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.publish(reopened(uint64(n), all...)); err != nil {
		t.Fatal(err)
	}
	return st, s.ledger
}

func TestAppendCopiesAppendsEachTaskOnce(t *testing.T) {
	t.Parallel()
	const n = 2*batchTasks + 500
	for name, disturb := range map[string]func(*stream){
		"undisturbed":            func(*stream) {},
		"the stream is full":     func(s *stream) { s.full = true },
		"a producer was quicker": func(s *stream) { s.rival = func() { s.tasks = append(s.tasks, message.Task{Index: 7, Cause: n + 2}) } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, state := replayed(t, n)
			disturb(s)
			for range 2 { // the second finds nothing to do
				if _, err := AppendCopies(t.Context(), s, state); err != nil {
					t.Fatal(err)
				}
			}
			var got, want []int64
			for _, task := range s.tasks[n:] {
				got = append(got, task.Index)
				if task.Cause != n+2 {
					t.Errorf("copy of task %d has the cause %d, want %d", task.Index, task.Cause, n+2)
				}
			}
			for i := range int64(n) {
				want = append(want, i)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%d copies of %d tasks, or not one of each", len(got), n)
			}
		})
	}
}

func TestAppendCopiesLeavesAnUnfinishedStreamAlone(t *testing.T) {
	t.Parallel()
	s, state := replayed(t, 5)
	s.tasks = s.tasks[:4]
	if _, err := AppendCopies(t.Context(), s, state); !errors.Is(err, ErrUnpublished) || len(s.tasks) != 4 {
		t.Errorf("error %v, %d tasks; want %v and 4", err, len(s.tasks), ErrUnpublished)
	}
}
