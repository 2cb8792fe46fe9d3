package queue_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/broker"
	"windrow/internal/message"
	"windrow/internal/queue"
)

func TestPublishTasks(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, queue.MaxBatch))
	publishTasks(t, r, 1000, tasks(1000, 1))
	publishTasks(t, r, 1001, tasks(1001, 4))

	wantLast(t, r, 1005)
	next := uint64(1)
	for seq, task := range r.StoredTasks(t.Context(), 1) {
		if seq != next || task.Index != int64(seq)-1 {
			t.Fatalf("got task %d at sequence %d, want sequence %d", task.Index, seq, next)
		}
		next++
	}
	if next != 1006 {
		t.Errorf("stored tasks ended before sequence %d, want 1006", next)
	}
	got, err := r.StoredTask(t.Context(), 1003)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tasks(1002, 1)[0], got); diff != "" {
		t.Errorf("task at sequence 1003 (-want +got):\n%s", diff)
	}
}

func TestPublishTasksExpectsLast(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, queue.MaxBatch, broker.MaxBatch} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			r, _ := newRun(t)
			publishTasks(t, r, 0, tasks(0, 10))
			for _, last := range []uint64{0, 9, 11} {
				wantError(t, r.PublishTasks(t.Context(), last, tasks(10, n)), message.ErrMoved)
			}
			wantLast(t, r, 10)
			publishTasks(t, r, 10, tasks(10, n))
			wantLast(t, r, uint64(10+n))
		})
	}
}

func TestPublishTasksAgainAfterLostConfirmation(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 100)) // suppose that its confirmation was lost
	wantError(t, r.PublishTasks(t.Context(), 0, tasks(0, 100)), message.ErrMoved)
	wantLast(t, r, 100)
}

func TestPublishTasksRefusesBatch(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	for _, n := range []int{0, broker.MaxBatch + 1} {
		if err := r.PublishTasks(t.Context(), 0, tasks(0, n)); err == nil {
			t.Errorf("a batch of %d tasks was accepted", n)
		}
	}
	wantLast(t, r, 0)
}

func TestFullStreamGrows(t *testing.T) {
	t.Parallel()
	c := connect(t, newServer(t).options())
	small := config()
	small.TasksMaxBytes = 64 << 10
	r := createRun(t, c, small)

	big := tasks(0, 50)
	for i := range big {
		big[i].Params = json.RawMessage(`{"note":"` + strings.Repeat("x", 2000) + `"}`)
	}
	wantError(t, r.PublishTasks(t.Context(), 0, big), message.ErrFull)
	wantLast(t, r, 0)
	if err := r.GrowTasks(t.Context()); err != nil {
		t.Fatal(err)
	}
	publishTasks(t, r, 0, big)
	wantLast(t, r, 50)
}

func TestStoredTasksFromTheEnd(t *testing.T) {
	t.Parallel()
	r, _ := newRun(t)
	publishTasks(t, r, 0, tasks(0, 3))
	for seq := range r.StoredTasks(t.Context(), 4) {
		t.Errorf("got sequence %d, want none", seq)
	}
	for seq := range r.StoredTasks(t.Context(), 1) {
		if seq > 1 {
			t.Fatalf("got sequence %d after the loop was left", seq)
		}
		break
	}
}

func TestForeignTask(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := connect(t, s.options())
	r := createRun(t, c, config())
	publishTasks(t, r, 0, tasks(0, 1))
	rawPublish(t, s, "windrow.tenders-1a2b3c4d.task", `{"v":1}`)
	publishTasks(t, r, 2, tasks(1, 1))

	if _, err := r.StoredTask(t.Context(), 2); err == nil {
		t.Error("a task without a digest was accepted")
	}
	var got []uint64
	for seq := range r.StoredTasks(t.Context(), 1) {
		got = append(got, seq)
	}
	if diff := cmp.Diff([]uint64{1, 3}, got); diff != "" {
		t.Errorf("sequences of tasks (-want +got):\n%s", diff)
	}
}

func wantLast(t *testing.T, r *queue.Run, want uint64) {
	t.Helper()
	got, err := r.LastTask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("last task has sequence %d, want %d", got, want)
	}
}
