package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/merger"
	"windrow/producer"
)

type producerOptions struct {
	url            string
	replicas       int
	exitWhenSealed bool
	restart        bool
	accept         []string
	metrics        string
}

func newProducer(a *app) *cobra.Command {
	o := producerOptions{}
	c := &cobra.Command{
		Use:   "producer SPEC",
		Short: "Publish the tasks of a spec on a NATS server",
		Long: `Publish the tasks of a spec on a NATS server, once each, and stay to publish
copies of those that went missing or were reopened. Stop or kill it at any
time, and start it again: it goes on where the stream ends.`,
		Example: `  windrow producer examples/001-tenders/tenders.yaml --nats nats://127.0.0.1:4222
  windrow producer examples/001-tenders/tenders.yaml --nats nats://127.0.0.1:4222 --exit-when-sealed`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.producer(o, args[0]) },
	}
	addURL(c, &o.url)
	c.Flags().IntVar(&o.replicas, "replicas", 1, "copies of the streams, in a cluster of NATS servers")
	c.Flags().BoolVar(&o.exitWhenSealed, "exit-when-sealed", false, "end when the run is sealed")
	addAccept(c, &o.accept)
	c.Flags().BoolVar(&o.restart, "restart", false, "forget what was computed and begin anew")
	addMonitor(c, &o.metrics)
	return c
}

func (a *app) producer(o producerOptions, path string) error {
	plan, err := loadPlanElsewhere(a.stops.gentle, path)
	if err != nil {
		return err
	}
	log := newLog(a.stderr, slog.LevelInfo).With("role", roleProducer, "run", plan.ID())
	ctx := a.stops.gentle
	monitor := newMonitor()
	stopMonitor, err := monitor.serve(ctx, o.metrics, log)
	if err != nil {
		return err
	}
	defer stopMonitor()
	conn, err := a.connectRole(ctx, optionsFor(o.url), roleProducer, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	monitor.connected(conn)
	var run *queue.Run
	err = patiently(ctx, log, func() (err error) {
		run, err = o.open(ctx, conn, plan, path)
		return err
	})
	if err != nil {
		return err
	}
	f := ledger.NewFollower(plan.Digest, run, log)
	monitor.watch(run, f)
	crew := newCrew()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.Run(ctx) })
	group.Go(func() error { return run.Beats(ctx, crew.saw) })
	group.Go(func() error {
		newProgress(f, crew, plan.Planned.Tasks, "start one with windrow worker --nats "+queue.PublicURL(cmp.Or(o.url, queue.OptionsFromEnv(os.Getenv).URL))).show(ctx, a.stderr)
		return nil
	})
	group.Go(func() error {
		defer cancel()
		return producer.New(producer.Config{
			Plan: plan, Queue: producerQueue{run}, Ledger: f, ExitWhenSealed: o.exitWhenSealed, Log: log,
		}).Run(ctx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return a.reportSealed(f)
}

// open makes the run, anew if that is asked for.
func (o producerOptions) open(ctx context.Context, conn *queue.Conn, plan *producer.Plan, path string) (*queue.Run, error) {
	var err error
	if o.restart {
		_, err = forget(ctx, conn, plan.Planned.Name)
	} else {
		err = adopt(ctx, conn, plan, o.accept, "windrow producer "+path)
	}
	if err != nil {
		return nil, err
	}
	run, err := createRun(ctx, conn, plan, o.replicas)
	if err != nil {
		return nil, err
	}
	return run, storeFiles(ctx, run, plan, o.replicas)
}

// reportSealed says that the run is sealed. With failed tasks, the error gives
// it its exit code.
func (a *app) reportSealed(f *ledger.Follower) error {
	var sealed *message.Sealed
	var failed int64
	cancelled, overrun := false, false
	f.View(func(s *ledger.State) {
		cancelled, overrun, failed = s.Cancelled(), s.Overrun(), s.Failed()
		sealed, _ = s.Sealed()
	})
	switch {
	case sealed == nil && cancelled:
		return &exitError{exitIncomplete, merger.ErrCancelled, "windrow resume"}
	case sealed == nil && overrun:
		return &exitError{exitIncomplete, fmt.Errorf("%s failed: %w", plural(int(failed), "task"), merger.ErrTooManyFailures), "windrow failed"}
	case sealed == nil:
		return nil
	}
	fmt.Fprintf(a.stdout, "sealed: %s rows, %s, sha256 %s\n", humanize.Comma(sealed.Rows), size(sealed.Bytes), sealed.SHA256)
	if sealed.Failed == 0 {
		return nil
	}
	return &exitError{exitAllowed, allowedError(sealed.Failed), ""}
}

// producerQueue gives the producer its view of the run's streams.
type producerQueue struct{ *queue.Run }
