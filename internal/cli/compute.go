package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"windrow/internal/broker"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/supervisor"
	"windrow/producer"
)

const (
	childGrace  = 30 * time.Second // for children to finish what is in hand
	mergerGrace = 10 * time.Second // for workers to notice the seal
	storeGrace  = 3 * time.Second  // for children that wait for a broker without a store
)

// deliverAgain has the broker deliver what workers of an earlier start held.
// They are gone; without this their tasks would wait for ack_wait.
func (c *campaign) deliverAgain(ctx context.Context) error {
	var first int64
	waiting := false
	c.ledger.View(func(s *ledger.State) {
		if missing := s.Unrecorded(); len(missing) > 0 {
			first, waiting = missing[0].First, true
		}
	})
	held, err := c.queue.Workers(ctx)
	if err != nil || !waiting || held.AckPending == 0 {
		return err
	}
	return c.queue.DeliverAgain(ctx, uint64(first)+1) //nolint:gosec // an index is not negative
}

func (c *campaign) announce() {
	var recorded int64
	c.ledger.View(func(s *ledger.State) { recorded = s.Recorded() })
	verb, tasks := "computing", humanize.Comma(c.plan.Planned.Tasks)
	switch {
	case recorded > 0:
		verb = fmt.Sprintf("going on: %s rows are there,", humanize.Comma(recorded))
	case c.options.found > 0:
		verb = fmt.Sprintf("importing %s rows, computing", humanize.Comma(c.options.found))
		tasks = humanize.Comma(c.plan.Planned.Tasks - c.options.found)
	}
	fmt.Fprintf(c.stderr, "%s: %s %s tasks with %s, logs in %s\n", c.plan.ID(), verb,
		tasks, plural(c.options.workers, "worker"), c.local.state.logs(c.plan.ID()))
}

// compute runs the producer here and the other roles as children.
func (c *campaign) compute(ctx context.Context) error {
	children, err := c.children()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		p := producer.New(producer.Config{
			Plan: c.plan, Queue: producerQueue{c.queue}, Ledger: c.ledger,
			Batch: broker.MaxBatch, GiveWay: true, ExitWhenSealed: true, Log: c.log,
		})
		return p.Run(ctx)
	})
	group.Go(func() error { return c.queue.Beats(ctx, c.crew.saw) })
	group.Go(func() error {
		newProgress(c.ledger, c.crew, c.plan.Planned.Tasks, "look into "+c.local.state.logs(c.plan.ID())).show(ctx, c.stderr)
		return nil
	})
	group.Go(func() error {
		defer cancel()
		if err := c.awaitSettings(ctx); err != nil {
			return err
		}
		if err := c.importRows(ctx, program); err != nil {
			return err
		}
		s, err := supervisor.Start(ctx, program, c.local.state.logs(c.plan.ID()), children, c.log)
		if err != nil {
			return err
		}
		return c.watch(ctx, s)
	})
	if err := group.Wait(); err != nil {
		return c.causeOf(err)
	}
	var sealed *message.Sealed
	c.ledger.View(func(s *ledger.State) { sealed, _ = s.Sealed() })
	if sealed == nil {
		return c.interruptedError()
	}
	c.awaitFarewell()
	return c.report(sealed)
}

// causeOf returns the error of the broker's store, if it has failed: whoever was
// publishing then may have met it first, with an error that says nothing.
func (c *campaign) causeOf(err error) error {
	select {
	case why := <-c.local.broker.Failed():
		return c.storeError(why)
	default:
		return cmp.Or(c.storeFailed, err)
	}
}

func (c *campaign) storeError(why string) error {
	return &exitError{exitBroker, fmt.Errorf("the broker's store in %s cannot be written: %s", c.local.state.dir, why), "windrow run " + c.specPath}
}

// awaitSettings waits until the ledger has the settings of this start: by those
// of an earlier one, too many tasks may have failed.
func (c *campaign) awaitSettings(ctx context.Context) error {
	return c.ledger.Wait(ctx, func(s *ledger.State) bool {
		_, sealed := s.Sealed()
		return sealed != 0 || s.Settings() != nil && *s.Settings() == *c.plan.Settings
	})
}

func (c *campaign) children() ([]supervisor.Child, error) {
	out, err := filepath.Abs(c.plan.Spec.Output.File)
	if err != nil {
		return nil, err
	}
	env := c.brokerEnv()
	common := []string{
		"--run", string(c.plan.ID()), "--shards", c.local.state.shards(), "--" + ownShardsFlag, "--exit-when-sealed",
	}
	mergerArgs := append([]string{roleMerger, "--output", out}, common...)
	if c.options.keepShards {
		mergerArgs = append(mergerArgs, "--keep-shards")
	}
	workerArgs := append([]string{roleWorker, "--allow-spec", c.specPath}, common...)
	if c.options.keepFailed != "" {
		workerArgs = append(workerArgs, "--keep-failed", c.options.keepFailed)
	}
	children := []supervisor.Child{{Name: roleMerger, Args: mergerArgs, Env: env}}
	for i := range c.options.workers {
		children = append(children, supervisor.Child{
			Name: fmt.Sprintf("%s-%d", roleWorker, i+1),
			Args: workerArgs,
			Env:  env,
		})
	}
	return children, nil
}

func (c *campaign) brokerEnv() []string {
	return []string{
		"NATS_URL=" + c.local.broker.URL(), "NATS_TOKEN=" + c.local.broker.Token(), "NATS_CA=" + c.local.certificate,
	}
}

// importRows records the rows that files of others have, before a worker
// computes one of them. What was imported by an earlier start is left alone.
func (c *campaign) importRows(ctx context.Context, program string) error {
	if len(c.options.imports) == 0 {
		return nil
	}
	args := []string{
		roleImporter, "--run", string(c.plan.ID()), "--shards", c.local.state.shards(), "--" + ownShardsFlag, "--exit-when-sealed",
		"--spec", c.specPath, "--",
	}
	child := supervisor.Child{Name: roleImporter, Args: append(args, c.options.imports...), Env: c.brokerEnv()}
	s, err := supervisor.Start(ctx, program, c.local.state.logs(c.plan.ID()), []supervisor.Child{child}, c.log)
	if err != nil {
		return err
	}
	defer s.Stop(0)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.stops.gentle.Done(): // who watches the workers sees it, too
		c.stop(s)
		return nil
	case exit := <-s.Exits():
		_, err := c.judge(exit)
		return err
	}
}

// watch waits for the end of the run, for better or worse, and stops the
// children. It returns nil if the run was sealed, or if it was asked to stop.
func (c *campaign) watch(ctx context.Context, s *supervisor.Supervisor) error {
	defer s.Stop(0)
	for {
		changed := c.ledger.Changed()
		if err := c.givenUp(); err != nil {
			c.stop(s)
			return err
		}
		select {
		case <-ctx.Done(): // another part has failed, or a second signal came
			return ctx.Err()
		case <-c.stops.gentle.Done():
			fmt.Fprintln(c.stderr, "stopping: tasks in hand are finished first; again to stop at once")
			c.stop(s)
			return nil
		case why := <-c.local.broker.Failed():
			s.Stop(storeGrace)
			c.storeFailed = c.storeError(why)
			return c.storeFailed
		case exit := <-s.Exits():
			if exit.Code == exitIncomplete && c.givenUp() != nil {
				continue // stopped in order above
			}
			done, err := c.judge(exit)
			if !done && err == nil {
				continue
			}
			if done {
				err = c.awaitSeal(ctx)
				s.Stop(mergerGrace)
			}
			return err
		case <-changed:
		}
	}
}

// stop gives the children time to finish, until the second signal.
func (c *campaign) stop(s *supervisor.Supervisor) {
	forced := context.AfterFunc(c.stops.now, func() { s.Stop(0) })
	defer forced()
	s.Stop(childGrace)
}

// awaitSeal reads the ledger up to the seal, which the merger has seen.
func (c *campaign) awaitSeal(ctx context.Context) error {
	return c.ledger.Wait(ctx, func(s *ledger.State) bool {
		sealed, _ := s.Sealed()
		return sealed != nil
	})
}

// judge says what the end of a child means for the run: the merger's end is
// the end of the run, and a worker may only end by being told to.
func (c *campaign) judge(exit supervisor.Exit) (done bool, err error) {
	if exit.Code == exitOK || exit.Code == exitAllowed {
		return exit.Name == roleMerger, nil
	}
	reason, next, _ := strings.Cut(exit.Reason, "\nnext: ")
	if next == "" {
		next = "windrow run " + c.specPath
	}
	code := exit.Code
	if code < 0 {
		code = exitInternal
	}
	return false, &exitError{code, fmt.Errorf("%s: %s (log: %s)", exit.Name, reason,
		filepath.Join(c.local.state.logs(c.plan.ID()), exit.Name+".log")), next}
}
