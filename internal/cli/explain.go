package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

type explainOptions struct {
	connectFlags
}

func newExplain(a *app) *cobra.Command {
	o := explainOptions{}
	c := &cobra.Command{
		Use:   "explain [RUN] TASK",
		Short: "Tell what became of one task, from the ledger",
		Long: `Tell what became of one task: whether it waits, is in the hands of a worker, is
recorded, failed or is missing, and every event of the ledger that names it,
with its time by the broker's clock.

TASK is the index of the task, counted from 0, or its key. Without RUN it is the
newest run.`,
		Example: `  windrow explain 17
  windrow explain tenders-1a2b3c4d farm_id=3,farm_type=1,seed=7`,
		Args: between(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			id := ""
			if len(args) == 2 {
				id = args[0]
			}
			return a.explain(c.Context(), o, id, args[len(args)-1])
		},
	}
	o.connectFlags.add(c)
	return c
}

func (a *app) explain(ctx context.Context, o explainOptions, id, task string) error {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if s.Planned() == nil {
		return &exitError{exitUsage, fmt.Errorf("%s is not planned yet", run.ID()), "windrow run SPEC"}
	}
	index, err := indexOf(ctx, run, s, task)
	if err != nil {
		return err
	}
	condition, err := conditionOf(ctx, run, s, index)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: task %d of %s: %s\n", run.ID(), index, humanize.Comma(s.Tasks()), condition)
	story := story{task: index, shards: map[uint64]string{}}
	err = eachEvent(ctx, run, func(e ledger.Entry) {
		for _, line := range story.tell(e) {
			fmt.Fprintf(a.stdout, "  %s  %s\n", e.Time.Local().Format(time.DateTime), line) //nolint:gosmopolitan // people read their own clock
		}
	})
	if err == nil && s.Status(index) == ledger.Failed {
		fmt.Fprintf(a.stdout, "next: windrow simulate %s --task %d%s\n", run.ID(), index, o.again())
	}
	return err
}

// conditionOf says in words where the task is.
func conditionOf(ctx context.Context, run *queue.Run, s *ledger.State, index int64) (string, error) {
	switch s.Status(index) {
	case ledger.Recorded:
		return "recorded in shard " + s.Owner(index).Name, nil
	case ledger.Failed:
		return "failed: " + string(s.Failure(index).Class), nil
	case ledger.Waiting:
	}
	latest := uint64(index) + 1                                     //nolint:gosec // an index is not negative
	for seq, t := range run.StoredTasks(ctx, uint64(s.Tasks())+1) { //nolint:gosec // a count is not negative
		if t.Index == index {
			latest = seq
		}
	}
	last, err := run.LastTask(ctx)
	if err != nil {
		return "", err
	}
	workers, err := run.Workers(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case last < latest:
		return "not published yet", nil
	case workers.Delivered < latest:
		return fmt.Sprintf("waiting, %s before it", plural(int(latest-workers.Delivered-1), "task")), nil //nolint:gosec // a stream has fewer
	}
	if held, err := whoHolds(ctx, run, index); held != "" || err != nil {
		return held, err
	}
	if workers.AckPending > 0 {
		return "delivered to a worker, which has not answered yet; or its worker is gone, and it is delivered again after ack_wait", nil
	}
	return "missing: delivered, but neither recorded nor failed; the merger asks for it, or `windrow replay --missing`", nil
}

// whoHolds says in words which worker has a task in hand, as it tells itself.
func whoHolds(ctx context.Context, run *queue.Run, index int64) (string, error) {
	crew, err := listen(ctx, run)
	if err != nil {
		return "", err
	}
	for _, b := range crew.alive() {
		for _, h := range b.Holdings {
			if h.Tasks.Contains(index) {
				return fmt.Sprintf("running at %s, with what it fetched %s (delivery %d)", b.ID, humanize.Time(b.Since), h.Deliveries), nil
			}
		}
	}
	return "", nil
}

// indexOf returns the index of the task that a user calls by its index or key.
func indexOf(ctx context.Context, run *queue.Run, s *ledger.State, task string) (int64, error) {
	index, err := strconv.ParseInt(task, 10, 64)
	if err == nil {
		return index, checkTask(index, s.Planned())
	}
	if !strings.Contains(task, "=") {
		return 0, &exitError{exitUsage, fmt.Errorf("%q is no task: say its index, or its key as in farm_id=3,seed=7", message.Cut(task, 80)), ""}
	}
	return indexOfKey(ctx, run, s, task)
}

// attemptAt returns the attempt at which a task gave its row.
func attemptAt(event *message.Shard, index int64) int {
	for _, r := range event.Retried {
		if r.Index == index {
			return r.Attempts
		}
	}
	return 1
}

// story is what the ledger says about one task.
type story struct {
	task   int64
	shards map[uint64]string // that name it, by their events
}

// tell returns what an event says about the task.
func (st *story) tell(e ledger.Entry) []string {
	index := st.task
	switch event := e.Event.(type) {
	case *message.Planned:
		return []string{"planned"}
	case *message.Shard:
		if event.Rows.Contains(index) {
			st.shards[e.Seq] = event.Name
			return []string{fmt.Sprintf("recorded by %s in %s, with %s, at attempt %d", event.Worker, event.Name,
				plural(int(event.Rows.Len()), "row"), attemptAt(event, index))}
		}
	case *message.Failed:
		for _, f := range event.Failures {
			if f.Index != index {
				continue
			}
			lines := []string{fmt.Sprintf("failed at %s after %s, %.3g s: %s: %s", event.Worker, plural(f.Attempts, "attempt"), f.Seconds, f.Class, f.Message)}
			for _, line := range f.Log {
				lines = append(lines, "| "+message.FirstLine(line, 200))
			}
			return lines
		}
	case *message.Rejected:
		if name, ok := st.shards[event.Event]; ok {
			return []string{fmt.Sprintf("%s is rejected: %s", name, event.Reason)}
		}
	case *message.Missing:
		if event.Rows.Contains(index) {
			return []string{"missing: a copy is asked for"}
		}
	case *message.Reopened:
		if event.Rows.Contains(index) {
			return []string{"reopened: a copy is asked for"}
		}
	case *message.Accepted:
		return []string{event.Path + " was changed, and that is accepted"}
	case *message.Paused, *message.Resumed, *message.Cancelled:
		return []string{"the run is " + string(event.Kind())}
	case *message.Sealed:
		return []string{"the run is sealed"}
	}
	return nil
}
