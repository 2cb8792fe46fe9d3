package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/broker"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/worker"
)

type workerOptions struct {
	roleFlags
	stateDir     string
	allowSpec    string
	allowCommand bool
	keepFailed   string
}

func newWorker(a *app) *cobra.Command {
	o := workerOptions{}
	c := &cobra.Command{
		Use:   "worker",
		Short: "Compute tasks of a run on a NATS server",
		Long: `Compute tasks of a run on a NATS server: fetch tasks, compute their rows, write
them to a shard, validate it, announce it, and only then acknowledge the tasks.

Start as many as you like, on any host that sees the shards folder; stop or
kill them at any time. A spec that comes over the network is code: a worker
runs the models built into windrow, and a command only if you allow it.

With --state-dir it joins a "windrow run --listen" on another host, whose state
directory it sees, perhaps under another name.`,
		Example: `  windrow worker --nats nats://127.0.0.1:4222 --shards /data/shards
  windrow worker --nats nats://127.0.0.1:4222 --allow-spec campaign.yaml
  windrow worker --state-dir /mnt/campaign/.windrow --run tenders-44f1a293 --exit-when-sealed`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			if o.allowSpec != "" && o.allowCommand {
				return &exitError{exitUsage, errors.New("--allow-spec and --allow-command exclude each other"), "windrow worker --help"}
			}
			joined, err := o.join()
			if err != nil {
				return err
			}
			return a.worker(joined)
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.allowSpec, "allow-spec", "", "run the command of this spec, for runs with the same digest")
	c.Flags().BoolVar(&o.allowCommand, "allow-command", false, "run any command that a run asks for: in the current directory if it has the files that the command names, else with those of the producer")
	c.Flags().StringVar(&o.stateDir, "state-dir", "", "state directory of a windrow run --listen on another host, to join that")
	addKeepFailed(c, &o.keepFailed)
	for _, other := range []string{"nats", "shards"} {
		c.MarkFlagsMutuallyExclusive("state-dir", other)
	}
	return c
}

// join returns the options with broker and shards of the run on another host,
// if it is to join one.
func (o workerOptions) join() (workerOptions, error) {
	if o.stateDir == "" {
		return o, nil
	}
	info, err := broker.ReadInfo(o.stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return o, &exitError{exitUsage, fmt.Errorf("no windrow run is at work in %s", o.stateDir), "windrow run SPEC --listen 0.0.0.0:4222"}
	} else if err != nil {
		return o, err
	}
	if info.Certificate == "" {
		return o, &exitError{exitUsage, fmt.Errorf("the windrow run in %s is for its own host alone", o.stateDir), "windrow run SPEC --listen 0.0.0.0:4222"}
	}
	o.connection = queue.Options{URL: info.URL, Token: info.Token, CAFile: info.Certificate}
	o.shards = state{o.stateDir}.shards()
	return o, nil
}

func addKeepFailed(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "keep-failed", "", "keep the directories of failed tasks here, of a command in mode exec")
}

func (a *app) worker(o workerOptions) error {
	return a.serveRuns(a.stops.gentle, roleWorker, o.roleFlags, func(ctx context.Context, m *member) (err error) {
		var home filesHome
		defer func() { err = errors.Join(err, home.remove()) }()
		w := worker.New(worker.Config{
			ID: m.id, Shards: m.shards, Folder: m.folder, Digest: m.run.Digest(),
			Queue: workerQueue{m.run}, Ledger: m.ledger,
			Workers: m.crew.workers,
			Simulator: func(planned *message.Planned) (simulator.Simulator, error) {
				return o.simulator(ctx, planned, m, &home)
			},
			ExitWhenSealed: o.exitWhenSealed || o.run == "",
			Log:            m.log,
		})
		return w.Run(ctx, a.stops.now)
	})
}

// simulator makes the simulator of a run, if it may run here.
func (o workerOptions) simulator(ctx context.Context, planned *message.Planned, m *member, home *filesHome) (simulator.Simulator, error) {
	s, err := spec.Decode(planned.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec in the ledger: %w", err)
	}
	options := simulator.Options{Files: planned.Files, Log: m.log}
	if options.Reader, err = newReader(); err != nil {
		return nil, err
	}
	if s.Simulator.Command != nil || len(simulator.FilesOf(s, planned.Files)) > 0 {
		if err = o.findHome(ctx, m, planned, s, home); err != nil {
			return nil, err
		}
		options.Dir = home.dir
		if home.fetched {
			options.Files = simulator.FilesOf(s, planned.Files)
		}
	}
	if options.KeepFailed, err = makeKeepFailed(o.keepFailed); err != nil {
		return nil, err
	}
	return simulator.New(ctx, s, options)
}

// makeKeepFailed returns the absolute path of the directory for what is left of
// failed tasks; without one they leave nothing.
func makeKeepFailed(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	if err != nil {
		return "", fmt.Errorf("make the directory for failed tasks: %w", err)
	}
	return dir, nil
}

// filesHome is the directory with the files of the run, in which its command
// runs.
type filesHome struct {
	dir     string
	fetched bool // it is ours
}

func (h *filesHome) remove() error {
	if !h.fetched {
		return nil
	}
	return os.RemoveAll(h.dir)
}

// findHome finds the directory with the files of the run: that of the allowed
// spec; or, for any command and for what is no command, this one if it has
// the files as they were planned, and otherwise one to which they are fetched.
func (o workerOptions) findHome(ctx context.Context, m *member, planned *message.Planned, s *spec.Spec, home *filesHome) (err error) {
	if o.allowSpec != "" || s.Simulator.Command != nil && !o.allowCommand {
		home.dir, err = o.allowedDir(ctx, m, planned)
		if err == nil || s.Simulator.Command != nil {
			return err
		}
	}
	if home.dir, err = os.Getwd(); err != nil || simulator.CheckFiles(home.dir, planned.Files) == nil {
		return err
	}
	if home.dir, err = fetchFiles(ctx, m.run, simulator.FilesOf(s, planned.Files)); err != nil {
		return err
	}
	home.fetched = true
	m.log.InfoContext(ctx, "files of the run fetched", "directory", home.dir)
	return nil
}

// allowedDir returns the directory of the spec that is allowed to run.
func (o workerOptions) allowedDir(ctx context.Context, m *member, planned *message.Planned) (string, error) {
	if o.allowSpec == "" {
		return "", &exitError{exitUsage, fmt.Errorf("run %s wants to run a command, which is not allowed", m.run.ID()), "windrow worker --allow-spec SPEC"}
	}
	allowed, err := spec.Load(o.allowSpec)
	if err != nil {
		return "", err
	}
	plan, err := planSpec(ctx, allowed)
	if err != nil {
		return "", err
	}
	if plan.Digest != spec.Digest(planned.Spec, planned.Files, planned.Model) { // of the files as they are by now
		return "", &exitError{exitUsage, fmt.Errorf("run %s is not of %s, whose run is %s", m.run.ID(), o.allowSpec, plan.ID()), ""}
	}
	return filepath.Abs(allowed.Dir())
}

// workerQueue gives the worker its view of the run's streams.
type workerQueue struct{ *queue.Run }

func (q workerQueue) Fetch(ctx context.Context, n int, wait time.Duration) ([]worker.Delivery, error) {
	fetched, err := q.Run.Fetch(ctx, n, wait)
	deliveries := make([]worker.Delivery, len(fetched))
	for i, d := range fetched {
		deliveries[i] = d
	}
	return deliveries, err
}
