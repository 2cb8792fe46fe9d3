package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/producer"
	"windrow/worker"
)

type workerOptions struct {
	roleFlags
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
runs the models built into windrow, and a command only if you allow it.`,
		Example: `  windrow worker --nats nats://127.0.0.1:4222 --shards /data/shards
  windrow worker --nats nats://127.0.0.1:4222 --allow-spec campaign.yaml`,
		Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			if o.allowSpec != "" && o.allowCommand {
				return &exitError{exitUsage, errors.New("--allow-spec and --allow-command exclude each other"), "windrow worker --help"}
			}
			return a.worker(o)
		},
	}
	o.add(c)
	c.Flags().StringVar(&o.allowSpec, "allow-spec", "", "run the command of this spec, for runs with the same digest")
	c.Flags().BoolVar(&o.allowCommand, "allow-command", false, "run any command that a run asks for, in the current directory")
	addKeepFailed(c, &o.keepFailed)
	return c
}

func addKeepFailed(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "keep-failed", "", "keep the directories of failed tasks here, of a command in mode exec")
}

func (a *app) worker(o workerOptions) error {
	return a.serveRuns(a.stops.gentle, roleWorker, o.roleFlags, func(ctx context.Context, m *member) error {
		w := worker.New(worker.Config{
			ID: m.id, Shards: m.shards, Folder: m.folder, Digest: m.run.Digest(),
			Queue: workerQueue{m.run}, Ledger: m.ledger,
			Workers: m.crew.workers,
			Simulator: func(planned *message.Planned) (simulator.Simulator, error) {
				return o.simulator(planned, m)
			},
			ExitWhenSealed: o.exitWhenSealed || o.run == "",
			Log:            m.log,
		})
		return w.Run(ctx, a.stops.now)
	})
}

// simulator makes the simulator of a run, if it may run here.
func (o workerOptions) simulator(planned *message.Planned, m *member) (simulator.Simulator, error) {
	s, err := spec.Decode(planned.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec in the ledger: %w", err)
	}
	options := simulator.Options{Files: planned.Files, Log: m.log}
	if s.Simulator.Command != nil {
		if options.Dir, err = o.commandDir(m, planned); err != nil {
			return nil, err
		}
		if options.KeepFailed, err = makeKeepFailed(o.keepFailed); err != nil {
			return nil, err
		}
		if options.Reader, err = newReader(); err != nil {
			return nil, err
		}
	}
	return simulator.New(s, options)
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

// commandDir returns the directory in which the run's command may run.
func (o workerOptions) commandDir(m *member, planned *message.Planned) (string, error) {
	if o.allowCommand {
		return os.Getwd()
	}
	if o.allowSpec == "" {
		return "", &exitError{exitUsage, fmt.Errorf("run %s wants to run a command, which is not allowed", m.run.ID()), "windrow worker --allow-spec SPEC"}
	}
	allowed, err := spec.Load(o.allowSpec)
	if err != nil {
		return "", err
	}
	plan, err := producer.NewPlan(allowed)
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
