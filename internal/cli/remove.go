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

	"windrow/internal/message"
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
		Long: `Remove what a run keeps: its streams in the broker, and in the state directory
its shards and logs. A dataset is never removed. A run at which a worker or a
merger is at work is refused.

With --nats or NATS_URL only the streams are removed: shards and logs are where
the workers and the merger ran.`,
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
	folders := o.folders(run.ID())
	fmt.Fprintf(a.stdout, "%s: to be removed: the run in the broker%s\n", run.ID(), listed(folders))
	if err := a.confirm(o.yes); err != nil {
		return err
	}
	// The streams go last: killed before, the same command goes on, and a run
	// that is started again computes what has lost its shard.
	for _, folder := range folders {
		if err := os.RemoveAll(folder); err != nil {
			return fmt.Errorf("remove %s: %w", folder, err)
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

// folders returns what the run has in the state directory, if that is here.
func (o removeOptions) folders(id message.RunID) []string {
	if o.url != "" || queue.OptionsFromEnv(os.Getenv).URL != "" {
		return nil
	}
	s := o.state()
	var found []string
	for _, folder := range []string{filepath.Join(s.shards(), string(id)), s.logs(id)} {
		if isDir(folder) {
			found = append(found, folder)
		}
	}
	return found
}

func listed(folders []string) string {
	var text strings.Builder
	for _, folder := range folders {
		var bytes uint64
		_ = filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error { // a size for people
			if info, infoErr := entry.Info(); err == nil && infoErr == nil && info.Mode().IsRegular() {
				bytes += uint64(info.Size()) //nolint:gosec // a size is not negative
			}
			return nil
		})
		fmt.Fprintf(&text, ", %s (%s)", folder, humanize.IBytes(bytes))
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
