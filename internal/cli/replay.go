package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"windrow/internal/message"
)

type replayOptions struct {
	connectFlags
	failed, reopen bool
}

func newReplay(a *app) *cobra.Command {
	o := replayOptions{}
	c := &cobra.Command{
		Use:   "replay [RUN] --failed",
		Short: "Let the failed tasks of a run be computed again",
		Long: `Let the failed tasks of a run be computed again: after you have removed what
made them fail. The tasks are reopened in the ledger, and the producer of the
run appends copies of them, as they stand in the stream, for the workers.

A sealed run is opened again only with --reopen. Its dataset stays until the
new one is verified.`,
		Example: `  windrow replay --failed
  windrow replay tenders-1a2b3c4d --failed --reopen`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if !o.failed {
				return usageError(c, errors.New("say what to replay: --failed"))
			}
			return a.replay(c.Context(), o, firstOf(args))
		},
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.failed, "failed", false, "all tasks that have failed")
	c.Flags().BoolVar(&o.reopen, "reopen", false, "also if the run is sealed")
	return c
}

func (a *app) replay(ctx context.Context, o replayOptions, id string) (err error) {
	conn, closing, err := a.connect(ctx, o.connectFlags, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	run, err := pickRun(ctx, conn, id)
	if err != nil {
		return err
	}
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if s.Failed() == 0 {
		fmt.Fprintf(a.stdout, "%s: no task has failed; nothing to replay\n", run.ID())
		return nil
	}
	if sealed, _ := s.Sealed(); sealed != nil && !o.reopen {
		return &exitError{exitUsage, fmt.Errorf("%s is sealed; its %s can be computed again if you open it", run.ID(),
			plural(int(s.Failed()), "failed task")), fmt.Sprintf("windrow replay %s --failed --reopen%s", run.ID(), o.again())}
	}
	var indexes []int64
	for _, f := range s.Failures() {
		indexes = append(indexes, f.Index)
	}
	last, err := run.LastTask(ctx)
	if err != nil {
		return err
	}
	for _, rows := range message.RangesOf(indexes).Split(rangesPerEvent) {
		if _, err := run.Publish(ctx, &message.Reopened{Rows: rows, After: last}); err != nil {
			return fmt.Errorf("reopen tasks %s: %w", rows, err)
		}
	}
	fmt.Fprintf(a.stdout, "%s: %s reopened\n", run.ID(), plural(len(indexes), "task"))
	fmt.Fprintf(a.stdout, "the producer of the run hands them out\nnext, unless it is at work: windrow run SPEC\n")
	return nil
}

// rangesPerEvent keeps an event well below message.MaxEventBytes.
const rangesPerEvent = 5000
