package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

type logsOptions struct{ connectFlags }

func newLogs(a *app) *cobra.Command {
	o := logsOptions{}
	c := &cobra.Command{
		Use:   "logs [RUN] [TASK]",
		Short: "Show what the processes of a run, or a failed task, said last",
		Long: `Show the last lines that each process of a run has logged, with the file that
has all of them. With TASK, its index or its key, show what the task printed
each time that it failed: the ledger keeps the last 20 lines. Of a task that did
not fail nothing is kept.

Without RUN it is the newest run. The logs of processes that you start yourself
are where you send them.`,
		Example: `  windrow logs
  windrow logs tenders-1a2b3c4d
  windrow logs tenders-1a2b3c4d 17
  windrow logs tenders-1a2b3c4d farm_id=3,farm_type=1,seed=7`,
		Args: between(0, 2),
		RunE: func(c *cobra.Command, args []string) error {
			id, task := "", ""
			for _, arg := range args {
				if _, err := message.ParseRunID(arg); err == nil && id == "" && task == "" {
					id = arg
				} else {
					task = arg
				}
			}
			if len(args) == 2 && (id == "" || task == "") {
				return usageError(c, errors.New("say a run and a task"))
			}
			return a.logs(c.Context(), o, id, task)
		},
	}
	o.connectFlags.add(c)
	return c
}

func (a *app) logs(ctx context.Context, o logsOptions, id, task string) error {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	if task != "" {
		return a.taskLog(ctx, o, run, task)
	}
	files, err := filepath.Glob(filepath.Join(o.state().logs(run.ID()), "*.log"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return &exitError{exitUsage, fmt.Errorf("there are no logs of %s in %s", run.ID(), o.state().dir), ""}
	}
	for i, file := range files {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		fmt.Fprintf(a.stdout, "==> %s <==\n", file)
		lines, err := lastLinesOf(file)
		if err != nil {
			return err
		}
		_, _ = a.stdout.Write(lines)
	}
	return nil
}

const (
	tailLines = 20
	readTail  = 64 << 10 // of a log file
)

// lastLinesOf returns the end of a file.
func lastLinesOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tail := make([]byte, min(info.Size(), readTail))
	n, err := f.ReadAt(tail, info.Size()-int64(len(tail)))
	if n < len(tail) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	lines := slices.Collect(bytes.Lines(tail))
	return bytes.Join(lines[max(0, len(lines)-tailLines):], nil), nil
}

// taskLog prints what the ledger keeps of what a task printed.
func (a *app) taskLog(ctx context.Context, o logsOptions, run *queue.Run, task string) error {
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
	found := false
	err = eachEvent(ctx, run, func(e ledger.Entry) {
		failed, ok := e.Event.(*message.Failed)
		if !ok {
			return
		}
		for _, f := range failed.Failures {
			if f.Index != index {
				continue
			}
			found = true
			fmt.Fprintf(a.stdout, "%s  %s: %s\n", e.Time.Local().Format(time.DateTime), f.Class, f.Message) //nolint:gosmopolitan // people read their own clock
			for _, line := range f.Log {
				fmt.Fprintln(a.stdout, line)
			}
		}
	})
	if err == nil && !found {
		fmt.Fprintf(a.stdout, "task %d of %s has not failed: nothing of what it printed is kept\n", index, run.ID())
	}
	fmt.Fprintf(a.stdout, "next: windrow simulate %s --task %d%s\n", run.ID(), index, o.again())
	return err
}
