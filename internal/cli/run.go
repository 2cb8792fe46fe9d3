package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/chaos"
	"windrow/internal/dataset"
	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/producer"
)

type runOptions struct {
	workers    int
	stateDir   string
	restart    bool
	keepShards bool
	keepFailed string
	accept     []string
	events     string
	notify     string
	listen     string
	output     string // instead of the spec's
	chaos      chaosOptions
	imports    []string // files of others whose rows are not computed again: see recover --run
	found      int64    // tasks that they have
}

func newRun(a *app) *cobra.Command {
	o := runOptions{}
	c := &cobra.Command{
		Use:   "run SPEC",
		Short: "Compute a spec on this machine, from tasks to the verified dataset",
		Long: `Compute a spec on this machine: an embedded broker, a producer, worker
processes and a merger turn its tasks into one verified dataset.

Stop it with Ctrl-C, kill it, or lose power: the same command goes on where it
was. On a finished run it verifies the dataset and computes nothing.

--chaos puts that to the proof on your own spec: it computes NAME.chaos.h5 while
it kills and stops the processes of that run from outside and damages its
shards, says what it did, and compares the file with the dataset of a run that
was left in peace. Its list is, without one,

  ` + chaos.Default + `

Rates are for each new shard; broker=N kills the whole run N times, which then
goes on. seed=S repeats the choices, though not the moments they meet.`,
		Example: `  windrow run examples/001-tenders/tenders.yaml
  windrow run examples/001-tenders/tenders.yaml --workers 8
  windrow run examples/001-tenders/tenders.yaml --restart
  windrow run examples/001-tenders/tenders.yaml --events events.jsonl --notify 'echo $WINDROW_EXIT_CODE'
  windrow run examples/001-tenders/tenders.yaml --listen 0.0.0.0:4222
  windrow run examples/001-tenders/tenders.yaml --chaos --compare
  windrow run examples/001-tenders/tenders.yaml --chaos=kill=20%,flip=5%,broker=10,seed=7`,
		Args: func(c *cobra.Command, args []string) error {
			if o.chaos.list == defaultStorm && len(args) == 2 {
				return usageError(c, fmt.Errorf("a list follows --chaos after a =: --chaos=%s", args[1]))
			}
			return exactly(1)(c, args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case o.chaos.list != "":
				return a.chaos(o, args[0])
			case o.chaos.compare:
				return &exitError{exitUsage, errors.New("--compare is for --chaos"), "windrow run " + args[0] + " --chaos --compare"}
			default:
				return a.run(o, args[0])
			}
		},
	}
	c.Flags().IntVar(&o.workers, "workers", runtime.NumCPU(), "worker processes")
	c.Flags().Lookup("workers").DefValue = "one for each core"
	c.Flags().StringVar(&o.stateDir, "state-dir", "", "directory of the run's state (default: .windrow beside the dataset)")
	c.Flags().BoolVar(&o.restart, "restart", false, "forget what was computed and begin anew; the dataset stays until the new one is verified")
	c.Flags().BoolVar(&o.keepShards, "keep-shards", false, "keep the workers' files after the dataset is sealed")
	c.Flags().StringVar(&o.listen, "listen", "", "address, as 0.0.0.0:4222, at which workers on other hosts may join, over TLS and with a token; their command is printed")
	addKeepFailed(c, &o.keepFailed)
	addAccept(c, &o.accept)
	addEvents(c, &o.events)
	addNotify(c, &o.notify)
	addChaos(c, &o)
	return c
}

func (a *app) run(o runOptions, path string) (err error) {
	if o.workers < 1 || o.workers > 1024 {
		return &exitError{exitUsage, fmt.Errorf("--workers %d: 1 to 1024 are allowed", o.workers), ""}
	}
	plan, err := loadPlan(a.stops.gentle, path)
	if err != nil {
		return err
	}
	if o.output != "" {
		plan.Spec.Output.File, plan.Settings.Output = o.output, filepath.Base(o.output)
	}
	a.warnOf(plan)
	defer func() { a.notify(a.stops.now, o.notify, plan, err) }()
	s := stateBeside(o.stateDir, plan.Spec.Output.File)
	if err := checkStart(plan, s); err != nil {
		return err
	}
	log := newLog(a.stderr, slog.LevelWarn)
	at, err := parseListen(o.listen)
	if err != nil {
		return err
	}
	l, err := s.host(a.stops.now, at, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := l.broker.WriteInfo(s.dir, l.url); err != nil {
		return err
	}
	c := &campaign{app: a, options: o, specPath: path, plan: plan, local: l, log: log, crew: newCrew()}
	return c.run(a.stops.now)
}

// campaign is one `windrow run` at work.
type campaign struct {
	*app
	options  runOptions
	specPath string
	plan     *producer.Plan
	local    *local
	log      *slog.Logger
	crew     *crew
	queue    *queue.Run
	ledger   *ledger.Follower

	storeFailed error // of the broker's store; read when nobody watches any more
}

func (c *campaign) run(ctx context.Context) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.ledger.Run(ctx) })
	group.Go(func() error {
		defer cancel()
		return c.followed(ctx)
	})
	return group.Wait()
}

// open makes the run in the broker, unless its inputs have changed.
func (c *campaign) open(ctx context.Context) error {
	if c.options.restart {
		if err := c.forget(ctx); err != nil {
			return err
		}
	} else if err := adopt(ctx, c.local.conn, c.plan, c.options.accept, "windrow run "+c.specPath); err != nil {
		return err
	}
	if _, err := c.local.conn.OpenRun(ctx, c.plan.ID()); errors.Is(err, queue.ErrNoRun) {
		if err := guardOutput(c.plan.Spec.Output.File, c.plan.Planned.Name); err != nil {
			return &exitError{exitUsage, err, ""}
		}
	}
	run, err := createRun(ctx, c.local.conn, c.plan, 1)
	if err != nil {
		return err
	}
	if c.options.listen != "" {
		if err := storeFiles(ctx, run, c.plan, 1); err != nil {
			return err
		}
	}
	if err := c.local.broker.SyncNames(); err != nil {
		return err
	}
	c.queue, c.ledger = run, ledger.NewFollower(run.Digest(), run, c.log)
	return nil
}

// forget removes all runs of this name, with their shards and the unfinished
// dataset. The folders of the shards stay: workers may be looking at them.
func (c *campaign) forget(ctx context.Context) error {
	forgotten, err := forget(ctx, c.local.conn, c.plan.Planned.Name)
	if err != nil {
		return err
	}
	for _, id := range forgotten {
		if err := removeShards(filepath.Join(c.local.state.shards(), string(id))); err != nil {
			return fmt.Errorf("forget run %s: %w", id, err)
		}
	}
	return dataset.Remove(c.plan.Spec.Output.File)
}

// forget removes all runs of a name from the broker and returns their ids.
func forget(ctx context.Context, conn *queue.Conn, name string) ([]message.RunID, error) {
	runs, err := conn.Runs(ctx)
	if err != nil {
		return nil, err
	}
	var forgotten []message.RunID
	for _, r := range runs {
		if r.Name != name {
			continue
		}
		if err := conn.DeleteRun(ctx, r.ID); err != nil {
			return nil, fmt.Errorf("forget run %s: %w", r.ID, err)
		}
		forgotten = append(forgotten, r.ID)
	}
	return forgotten, nil
}

func removeShards(dir string) error {
	for _, pattern := range []string{"*.h5", "*.tmp"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Remove(f); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// followed runs the campaign with the ledger being followed.
func (c *campaign) followed(ctx context.Context) error {
	if err := c.ledger.CatchUp(ctx); err != nil {
		return err
	}
	stop, err := followEvents(ctx, c.options.events, c.queue, c.ledger)
	if err != nil {
		return err
	}
	return errors.Join(c.toTheEnd(ctx), stop())
}

// toTheEnd computes what is missing, if anything is.
func (c *campaign) toTheEnd(ctx context.Context) error {
	var sealed *message.Sealed
	c.ledger.View(func(s *ledger.State) { sealed, _ = s.Sealed() })
	if sealed != nil {
		return c.alreadySealed(sealed)
	}
	if err := c.cancelled(); err != nil {
		return err
	}
	c.announce()
	if err := c.invite(); err != nil {
		return err
	}
	if err := c.deliverAgain(ctx); err != nil {
		return err
	}
	return c.compute(ctx)
}

// createRun makes the streams of a planned run, or finds them.
func createRun(ctx context.Context, conn *queue.Conn, plan *producer.Plan, replicas int) (*queue.Run, error) {
	taskBytes, err := plan.TaskStreamBytes()
	if err != nil {
		return nil, err
	}
	run, err := conn.CreateRun(ctx, queue.RunConfig{
		ID: plan.ID(), Digest: plan.Digest, Name: plan.Planned.Name,
		AckWait: time.Duration(plan.Settings.AckWait), Replicas: replicas,
		TasksMaxBytes: taskBytes, EventsMaxBytes: plan.EventStreamBytes(),
	})
	if err != nil {
		return nil, fmt.Errorf("make run %s: %w", plan.ID(), err)
	}
	fault.Point(fault.ProducerStreamsCreated)
	return run, nil
}
