package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/internal/queue"
)

type removeOptions struct {
	connectFlags
	yes bool
}

func newRemove(a *app) *cobra.Command {
	o := removeOptions{}
	c := &cobra.Command{
		Use:   "rm RUN",
		Short: "Remove what a run keeps: streams, shards and logs, never a dataset",
		Long: `Remove what a run keeps: its streams in the broker; in the state directory its
shards and logs; and beside the state directory what there is of a dataset that
was not finished. A sealed dataset is never removed. A run at which a worker or a
merger is at work is refused.

With --nats or NATS_URL only the streams are removed: the others are where the
workers and the merger ran.`,
		Example: `  windrow rm tenders-1a2b3c4d
  windrow rm tenders-1a2b3c4d --yes`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error { return a.remove(c.Context(), o, args[0]) },
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return c
}

func (a *app) remove(ctx context.Context, o removeOptions, id string) (err error) {
	conn, closing, err := a.connect(ctx, o.connectFlags, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	run, err := pickRun(ctx, conn, id)
	if err != nil {
		return err
	}
	if err := o.refuseLive(ctx, run); err != nil {
		return err
	}
	paths, err := o.paths(run)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: to be removed: the run in the broker%s\n", run.ID(), listed(paths))
	if err := a.confirm(o.yes); err != nil {
		return err
	}
	// The streams go last: killed before, the same command goes on, and a run
	// that is started again computes what has lost its shard.
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	if err := conn.DeleteRun(ctx, run.ID()); err != nil {
		return fmt.Errorf("remove %s: %w", run.ID(), err)
	}
	fmt.Fprintf(a.stdout, "%s: removed\n", run.ID())
	return nil
}

// refuseLive returns an error if somebody is at work on the run.
func (o removeOptions) refuseLive(ctx context.Context, run *queue.Run) error {
	crew, err := listen(ctx, run)
	if err != nil {
		return err
	}
	if alive := len(crew.alive()); alive > 0 {
		return &exitError{exitUsage, fmt.Errorf("%s is at work: %s alive", run.ID(), plural(alive, "process")), "windrow cancel " + string(run.ID()) + o.again()}
	}
	return nil
}

// paths returns the files and folders of the run, if its state directory is here.
func (o removeOptions) paths(run *queue.Run) ([]string, error) {
	if o.url != "" || queue.OptionsFromEnv(os.Getenv).URL != "" {
		return nil, nil
	}
	s := o.state()
	var found []string
	for _, folder := range []string{filepath.Join(s.shards(), string(run.ID())), s.logs(run.ID())} {
		if isDir(folder) {
			found = append(found, folder)
		}
	}
	outs, err := dataset.Unfinished(filepath.Dir(s.dir), run.Digest())
	for _, out := range outs {
		found = append(found, dataset.Leftovers(out)...)
	}
	return found, err
}

func listed(paths []string) string {
	var text strings.Builder
	for _, path := range paths {
		var bytes uint64
		_ = filepath.WalkDir(path, func(_ string, entry os.DirEntry, err error) error { // a size for people
			if err != nil {
				return nil //nolint:nilerr // what cannot be read has no size
			}
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				bytes += uint64(info.Size()) //nolint:gosec // a size is not negative
			}
			return nil
		})
		fmt.Fprintf(&text, ", %s (%s)", path, humanize.IBytes(bytes))
	}
	return text.String()
}

// confirm asks on a terminal whether to go on.
func (a *app) confirm(yes bool) error {
	if yes {
		return nil
	}
	if !isTerminal(a.stderr) {
		return &exitError{exitUsage, errors.New("nobody is there to be asked"), "the same command with --yes"}
	}
	fmt.Fprint(a.stderr, "go on? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n') // no answer is no
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return &exitError{exitUsage, errors.New("nothing was removed"), ""}
	}
	return nil
}
