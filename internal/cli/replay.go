package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/producer"
)

type replayOptions struct {
	connectFlags
	failed, missing      bool
	tasks                []int64
	keys, classes, group []string
	dryRun, wait, reopen bool
	accept               []string
}

func newReplay(a *app) *cobra.Command {
	o := replayOptions{}
	c := &cobra.Command{
		Use:   "replay [RUN] --failed|--task N|--key ...|--class C|--group G|--missing",
		Short: "Let failed tasks of a run be computed again",
		Long: `Let failed tasks of a run be computed again: after you have removed what made
them fail. The tasks are reopened in the ledger, and copies of them, as they
stand in the stream, are appended for the workers: a run at work computes them
at once, another when it is started again.

Selectors add up. What is recorded is never computed again. Killed at any
moment, the same command goes on.

A sealed run is opened again only with --reopen. Its dataset stays until the
new one is verified.

Where a script of the run that is here has changed, because you have mended it,
replay says which rows were computed before, and wants --accept-changed.`,
		Example: `  windrow replay --failed
  windrow replay --task 17 --task 23
  windrow replay --key farm_id=3,farm_type=1,seed=7
  windrow replay --class crash --dry-run
  windrow replay --group 3f2a1c --wait
  windrow replay tenders-1a2b3c4d --failed --reopen
  windrow replay --failed --accept-changed sim.py`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return usageError(c, err)
			}
			return a.replay(a.stops.gentle, o, firstOf(args))
		},
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.failed, "failed", false, "all tasks that have failed")
	c.Flags().Int64SliceVar(&o.tasks, "task", nil, "the task with this index, if it has failed; may be repeated")
	c.Flags().StringArrayVar(&o.keys, "key", nil, "the task with this key, as in farm_id=3,seed=7, if it has failed; may be repeated")
	c.Flags().StringSliceVar(&o.classes, "class", nil, "tasks that failed with this class: error, crash, timeout, invalid_output or lost")
	c.Flags().StringSliceVar(&o.group, "group", nil, "tasks of this group, as `windrow failed` calls it")
	c.Flags().BoolVar(&o.missing, "missing", false, "tasks that were delivered, but are neither recorded nor failed; the merger asks for these by itself when nobody is computing")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only say what would be computed again")
	c.Flags().BoolVar(&o.wait, "wait", false, "wait until the workers have computed them; ends with 4 if some failed again")
	addAccept(c, &o.accept)
	c.Flags().BoolVar(&o.reopen, "reopen", false, "also if the run is sealed")
	return c
}

func (o replayOptions) check() error {
	if !o.failed && !o.missing && len(o.tasks)+len(o.keys)+len(o.classes)+len(o.group) == 0 {
		return errors.New("say what to replay: --failed, --task, --key, --class, --group or --missing")
	}
	for _, class := range o.classes {
		if !slices.Contains(message.Classes, message.Class(class)) {
			return fmt.Errorf("--class %s: error, crash, timeout, invalid_output or lost", class)
		}
	}
	return nil
}

func (a *app) replay(ctx context.Context, o replayOptions, id string) (err error) {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if s.Planned() == nil {
		return &exitError{exitUsage, fmt.Errorf("%s is not planned yet", run.ID()), "windrow run SPEC"}
	}
	chosen, err := o.choose(ctx, run, s)
	if err != nil {
		return err
	}
	a.sayChoice(run.ID(), chosen)
	if sealed, _ := s.Sealed(); sealed != nil && len(chosen.failed) > 0 && !o.reopen && !o.dryRun {
		return &exitError{exitUsage, fmt.Errorf("%s is sealed; its %s can be computed again if you open it", run.ID(),
			plural(len(chosen.failed), "failed task")), fmt.Sprintf("windrow replay %s %s --reopen%s", run.ID(), o.selectors(), o.again())}
	}
	changed, err := changedHere(s)
	if err != nil {
		return err
	}
	if changed.onlyFiles() && len(changed.files) > 0 && !changed.accepted("", o.accept) {
		changed.say(a.stderr, s)
		if !o.dryRun {
			return changed.refuseReplay(run.ID(), o)
		}
	}
	if o.dryRun {
		return nil
	}
	if err := chosen.ask(ctx, run); err != nil {
		return err
	}
	asked := append(slices.Clone(chosen.failed), chosen.lost...)
	if err := changed.publish(ctx, run); err != nil { // reopened first: a sealed run takes nothing else
		return err
	}
	if len(chosen.failed) > 0 {
		fmt.Fprintf(a.stdout, "%s reopened\n", plural(len(chosen.failed), "task"))
	}
	if err := a.deliver(ctx, run, len(asked) > 0, o.again()); err != nil || !o.wait {
		return err
	}
	return a.awaitTasks(ctx, run, asked, o.again())
}

// selectors returns the selectors as they are typed.
func (o replayOptions) selectors() string {
	var words []string
	if o.failed {
		words = append(words, "--failed")
	}
	for _, n := range o.tasks {
		words = append(words, fmt.Sprintf("--task %d", n))
	}
	for _, key := range o.keys {
		words = append(words, "--key "+key)
	}
	for _, class := range o.classes {
		words = append(words, "--class "+class)
	}
	for _, g := range o.group {
		words = append(words, "--group "+g)
	}
	if o.missing {
		words = append(words, "--missing")
	}
	return strings.Join(words, " ")
}

// choice is the tasks that a replay is about, by their condition.
type choice struct {
	failed            []int64
	lost              []int64 // delivered up to after, and waiting
	recorded, waiting int     // named, and left alone
	after             uint64  // last sequence that was delivered
}

// choose sorts the tasks that the selectors name.
func (o replayOptions) choose(ctx context.Context, run *queue.Run, s *ledger.State) (choice, error) {
	var c choice
	for _, index := range o.tasks {
		if err := checkTask(index, s.Planned()); err != nil {
			return c, err
		}
		c.add(s, index)
	}
	for _, text := range o.keys {
		index, err := indexOfKey(ctx, run, s, text)
		if err != nil {
			return c, err
		}
		c.add(s, index)
	}
	for _, g := range groupFailures(s) {
		if o.failed || slices.Contains(o.classes, string(g.Class)) || slices.Contains(o.group, g.ID) {
			c.failed = append(c.failed, g.indexes...)
		}
	}
	slices.Sort(c.failed)
	c.failed = slices.Compact(c.failed)
	if !o.missing {
		return c, nil
	}
	workers, err := run.Workers(ctx)
	if err != nil {
		return c, err
	}
	c.after = workers.Delivered
	for _, rows := range s.Unrecorded() {
		for i := rows.First; i <= rows.Last && uint64(i) < c.after; i++ { //nolint:gosec // an index is not negative
			c.lost = append(c.lost, i)
		}
	}
	return c, nil
}

func (c *choice) add(s *ledger.State, index int64) {
	switch s.Status(index) {
	case ledger.Failed:
		c.failed = append(c.failed, index)
	case ledger.Recorded:
		c.recorded++
	case ledger.Waiting:
		c.waiting++
	}
}

// indexOfKey returns the index of the task with the key: most likely it is
// among the failed ones.
func indexOfKey(ctx context.Context, run *queue.Run, s *ledger.State, text string) (int64, error) {
	key, err := parseKey(text, s.Planned().Keys)
	if err != nil {
		return 0, err
	}
	for _, f := range s.Failures() {
		if key.matches(f.Key) {
			return f.Index, nil
		}
	}
	task, err := taskOfKey(ctx, run, s.Planned(), text)
	return task.Index, err
}

func (a *app) sayChoice(id message.RunID, c choice) {
	if c.recorded > 0 {
		fmt.Fprintf(a.stdout, "%s: %s named: recorded already, left alone\n", id, plural(c.recorded, "task"))
	}
	if c.waiting > 0 {
		fmt.Fprintf(a.stdout, "%s: %s named: not computed yet, left alone\n", id, plural(c.waiting, "task"))
	}
	switch rows := message.RangesOf(append(slices.Clone(c.failed), c.lost...)); {
	case len(rows) > 0:
		fmt.Fprintf(a.stdout, "%s: %s to compute again: %s\n", id, plural(int(rows.Len()), "task"), shortRanges(rows))
	case c.recorded+c.waiting == 0:
		fmt.Fprintf(a.stdout, "%s: no task has failed in that way; nothing to replay\n", id)
	default:
		fmt.Fprintf(a.stdout, "%s: nothing to replay\n", id)
	}
}

// ask asks for the tasks in the ledger.
func (c *choice) ask(ctx context.Context, run *queue.Run) error {
	last, err := run.LastTask(ctx)
	if err != nil {
		return err
	}
	for _, rows := range message.RangesOf(c.failed).Split(rangesPerEvent) {
		if _, err := run.Publish(ctx, &message.Reopened{Rows: rows, After: last}); err != nil {
			return fmt.Errorf("reopen tasks %s: %w", shortRanges(rows), err)
		}
	}
	for _, rows := range message.RangesOf(c.lost).Split(rangesPerEvent) {
		if _, err := run.Publish(ctx, &message.Missing{Rows: rows, After: c.after}); err != nil {
			return fmt.Errorf("ask for tasks %s: %w", shortRanges(rows), err)
		}
	}
	fault.Point(fault.OperatorReopened)
	return nil
}

// rangesPerEvent keeps an event well below message.MaxEventBytes.
const rangesPerEvent = 5000

// deliver appends copies of all tasks that the ledger asks for: of this replay,
// and of one that was killed.
func (a *app) deliver(ctx context.Context, run *queue.Run, asked bool, again string) error {
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	appended, err := producer.AppendCopies(ctx, producerQueue{run}, s)
	switch {
	case errors.Is(err, queue.ErrDenied), errors.Is(err, producer.ErrUnpublished):
		if !asked {
			return nil
		}
		fmt.Fprintf(a.stdout, "the producer of the run hands them out: %v\n", err)
	case err != nil:
		return fmt.Errorf("deliver the reopened tasks: %w", err)
	case appended > 0:
		fmt.Fprintf(a.stdout, "%s appended for the workers\n", plural(appended, "task"))
	}
	if asked || appended > 0 {
		fmt.Fprintf(a.stdout, "next, unless the run is at work: windrow run SPEC\nsee how far it is: windrow status %s%s\n", run.ID(), again)
	}
	return nil
}

// awaitTasks waits until the tasks are recorded or have failed again. There
// must be a worker.
func (a *app) awaitTasks(ctx context.Context, run *queue.Run, tasks []int64, again string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	crew := newCrew()
	follower := ledger.NewFollower(run.Digest(), run, newLog(a.stderr, slog.LevelError))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return run.Beats(ctx, crew.saw) })
	group.Go(func() error { return follower.Run(ctx) })
	failed := 0
	group.Go(func() error {
		defer stop()
		if err := follower.CatchUp(ctx); err != nil {
			return err
		}
		hearing, deaf := context.WithTimeout(ctx, workerWait)
		defer deaf()
		done := func(s *ledger.State) bool {
			failed = 0
			for _, index := range tasks {
				switch s.Status(index) {
				case ledger.Waiting:
					return false
				case ledger.Failed:
					failed++
				case ledger.Recorded:
				}
			}
			return true
		}
		err := follower.Wait(hearing, done)
		if err != nil && ctx.Err() == nil && crew.workers() == 0 {
			return &exitError{exitBroker, fmt.Errorf("no worker of %s was heard for %s: the tasks wait for one", run.ID(), workerWait), "windrow run SPEC"}
		}
		if err != nil {
			err = follower.Wait(ctx, done)
		}
		return err
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) || a.stops.gentle.Err() != nil {
		return err
	}
	if failed > 0 {
		return &exitError{exitIncomplete, fmt.Errorf("%d of %s failed again", failed, plural(len(tasks), "task")), fmt.Sprintf("windrow failed %s%s", run.ID(), again)}
	}
	fmt.Fprintf(a.stdout, "%s: %s recorded\n", run.ID(), plural(len(tasks), "task"))
	return nil
}

// workerWait is how long --wait listens for a worker, which speaks every second.
const workerWait = 10 * time.Second
