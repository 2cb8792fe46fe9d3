package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/version"
	"windrow/merger"
)

type mergerOptions struct {
	roleFlags
	output     string
	keepShards bool
}

func newMerger(a *app) *cobra.Command {
	o := mergerOptions{}
	c := &cobra.Command{
		Use:   "merger",
		Short: "Put the shards of a run together into its dataset",
		Long: `Put the shards of a run together into its dataset: copy rows as they are
announced, ask again for what is missing, and at the end verify the file, give
it its name, and seal the run. Stop or kill it at any time.

Exit codes with --exit-when-sealed: 0 sealed, 3 sealed with allowed failures,
4 too many tasks failed.`,
		Example: `  windrow merger --nats nats://127.0.0.1:4222 --shards /data/shards
  windrow merger --nats nats://127.0.0.1:4222 --output out/tenders.h5 --exit-when-sealed`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error { return a.merger(o) },
	}
	o.add(c)
	c.Flags().StringVar(&o.output, "output", ".", "the dataset, or the folder in which it gets the name that its spec says")
	c.Flags().BoolVar(&o.keepShards, "keep-shards", false, "keep the workers' files after the dataset is sealed")
	return c
}

func (a *app) merger(o mergerOptions) error {
	var sealed *message.Sealed
	err := a.serveRuns(a.stops.gentle, roleMerger, o.roleFlags, func(ctx context.Context, m *member) (err error) {
		sealed, err = o.merge(ctx, m, a.stdout)
		if (errors.Is(err, merger.ErrTooManyFailures) || errors.Is(err, merger.ErrCancelled)) && o.run == "" && !o.exitWhenSealed {
			m.log.WarnContext(ctx, "no dataset", "reason", err)
			return nil // the next run may do better, and so may this one after a replay
		}
		return err
	})
	if err == nil && o.exitWhenSealed && sealed != nil && sealed.Failed > 0 {
		return &exitError{exitAllowed, allowedError(sealed.Failed), ""}
	}
	return err
}

// merge builds the dataset of one run and tidies up behind it.
func (o mergerOptions) merge(ctx context.Context, m *member, stdout io.Writer) (*message.Sealed, error) {
	output, err := o.path(ctx, m)
	if err != nil {
		return nil, err
	}
	lock, err := lockOutput(ctx, output)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Unlock() }() // the process ends anyway
	if err := guardOutput(output, m.run.ID().Name()); err != nil {
		return nil, &exitError{exitUsage, err, "windrow merger --output FILE"}
	}

	group, ctx := errgroup.WithContext(ctx)
	beating, stopBeating := context.WithCancel(ctx)
	group.Go(func() error { m.beat(beating, roleMerger); return nil })
	group.Go(func() error {
		defer stopBeating()
		mg := merger.New(merger.Config{
			Output: output, Shards: m.shards, Folder: m.folder, Digest: m.run.Digest(),
			Confirmed: func() bool { return o.ownShards || m.isConfirmed() },
			Version:   version.Windrow, Queue: mergerQueue{m.run}, Ledger: m.ledger,
			ExitWhenSealed: o.exitWhenSealed || o.run == "", Log: m.log,
		})
		m.monitor.watchMerge(mg.Merged)
		return mg.Run(ctx)
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var sealed *message.Sealed
	m.ledger.View(func(s *ledger.State) {
		if sealed, _ = s.Sealed(); sealed != nil {
			err = errors.Join(merger.WriteRecord(output, s), merger.Tidy(output, m.shards, sealed, o.keepShards))
			reportDataset(stdout, output, sealed)
		}
	})
	return sealed, err
}

// lockWait is how long a merger waits for the lock on its output: the orphan of
// a killed run needs a moment to end.
const lockWait = 10 * time.Second

// lockOutput makes sure that no other merger writes the dataset. The lock file
// stays: who removes one cannot know whether somebody else has just locked it.
func lockOutput(ctx context.Context, output string) (*flock.Flock, error) {
	lock := flock.New(output + ".lock")
	waiting, stop := context.WithTimeout(ctx, lockWait)
	defer stop()
	held, err := lock.TryLockContext(waiting, 50*time.Millisecond)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, notWritable(filepath.Dir(output), err)
	case held:
		return lock, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return nil, &exitError{exitBroker, fmt.Errorf("another merger has the lock on %s.lock", output), "windrow status"}
	}
	return nil, fmt.Errorf("lock %s.lock: %w", output, err)
}

// notWritable says who could write to a folder that this process cannot.
func notWritable(dir string, err error) error {
	info, statErr := os.Stat(dir)
	if statErr != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return err
	}
	return &exitError{
		exitBroker, fmt.Errorf("folder %s is not writable for user %d: it belongs to user %d: %w", dir, os.Getuid(), owner.Uid, err),
		fmt.Sprintf("in a container, a line WINDROW_UID=%d in the file .env; else sudo chown %d %s", owner.Uid, os.Getuid(), dir),
	}
}

// path returns where the dataset goes, which waits for the run's settings if
// only a folder was named.
func (o mergerOptions) path(ctx context.Context, m *member) (string, error) {
	if filepath.Ext(o.output) == ".h5" {
		return o.output, nil
	}
	var name string
	err := m.ledger.Wait(ctx, func(s *ledger.State) bool {
		if s.Settings() != nil {
			name = s.Settings().Output
		}
		return name != ""
	})
	return filepath.Join(o.output, name), err
}

func allowedError(failed int64) error {
	return fmt.Errorf("%s failed, as failures.allow permits", plural(int(failed), "task"))
}

// mergerQueue gives the merger its view of the run's streams.
type mergerQueue struct{ *queue.Run }

func (q mergerQueue) Idle(ctx context.Context) (idle bool, delivered uint64, err error) {
	info, err := q.Workers(ctx)
	if errors.Is(err, queue.ErrNoConsumer) { // somebody has deleted it; the producer makes it again
		return false, 0, nil
	}
	return info.Pending == 0 && info.AckPending == 0, info.Delivered, err
}
