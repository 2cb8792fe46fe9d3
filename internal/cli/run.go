package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/broker"
	"windrow/internal/chaos"
	"windrow/internal/dataset"
	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/supervisor"
	"windrow/merger"
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

const (
	childGrace  = 30 * time.Second // for children to finish what is in hand
	mergerGrace = 10 * time.Second // for workers to notice the seal
	storeGrace  = 3 * time.Second  // for children that wait for a broker without a store
)

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

// alreadySealed verifies the dataset of a finished run.
func (c *campaign) alreadySealed(sealed *message.Sealed) error {
	out := c.plan.Spec.Output.File
	if err := c.checkSettings(); err != nil {
		return err
	}
	if err := checkSealed(out, sealed); err != nil {
		return &exitError{exitCorrupt, err, "windrow run " + c.specPath + " --restart"}
	}
	shards := filepath.Join(c.local.state.shards(), string(c.plan.ID()))
	if err := merger.Tidy(out, shards, sealed, c.options.keepShards); err != nil {
		return err
	}
	if err := c.ensureRecord(out); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s is finished and verified; nothing was computed\n", c.plan.ID())
	return c.report(sealed)
}

// ensureRecord writes the record that a merger was killed before.
func (c *campaign) ensureRecord(out string) (err error) {
	if _, err := os.Stat(out + ".run.json"); err == nil {
		return nil
	}
	c.ledger.View(func(s *ledger.State) { err = merger.WriteRecord(out, s) })
	return err
}

// checkSettings refuses a spec that wants another file than the one that was
// sealed: it is not made by itself, because that may take long.
func (c *campaign) checkSettings() error {
	var was message.Settings
	c.ledger.View(func(s *ledger.State) { was = *s.Settings() })
	out, now := c.plan.Spec.Output.File, c.plan.Settings
	switch {
	case was.Output != now.Output:
		old := filepath.Join(filepath.Dir(out), was.Output)
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed as %s; output.file is %s now", old, out), "mv " + old + " " + out + ", or windrow run " + c.specPath + " --restart"}
	case was.Storage != now.Storage || was.Level != now.Level:
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed with output.storage: %s; it is %s now",
			storage(&was), storage(now)), "windrow run " + c.specPath + " --restart"}
	case was.Rows != now.Rows:
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed with failures.rows: %s; it is %s now", was.Rows, now.Rows), "windrow run " + c.specPath + " --restart"}
	}
	return nil
}

// storage returns output.storage, with the level where there is one.
func storage(s *message.Settings) string {
	if s.Level == 0 {
		return string(s.Storage)
	}
	return fmt.Sprintf("%s (level %d)", s.Storage, s.Level)
}

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

// givenUp returns the error that ends the run, or nil.
func (c *campaign) givenUp() error {
	if err := c.cancelled(); err != nil {
		return err
	}
	return c.tooManyFailures()
}

// cancelled returns an error if somebody has cancelled the run.
func (c *campaign) cancelled() error {
	var recorded int64
	var since time.Time
	cancelled := false
	c.ledger.View(func(s *ledger.State) {
		cancelled, recorded = s.Cancelled(), s.Recorded()
		_, since = s.Halted()
	})
	if !cancelled {
		return nil
	}
	id := c.plan.ID()
	return &exitError{exitIncomplete, fmt.Errorf("%s was cancelled at %s: no dataset was written, %s of %s rows are kept", id,
		since.Local().Format(time.DateTime), humanize.Comma(recorded), humanize.Comma(c.plan.Planned.Tasks)), //nolint:gosmopolitan // people read their own clock
		"windrow resume " + string(id) + " --state-dir " + c.local.state.dir + ", and then windrow run " + c.specPath + "; or windrow run " + c.specPath + " --restart"}
}

// tooManyFailures returns an error if more tasks have failed than may.
func (c *campaign) tooManyFailures() error {
	var first message.Failure
	var why string
	overrun := false
	c.ledger.View(func(s *ledger.State) {
		if overrun = s.Overrun(); !overrun {
			return
		}
		first = s.Failures()[0]
		failed, allow := s.Failed(), s.Settings().Allow.Of(s.Tasks())
		why = fmt.Sprintf("%s failed, %d allowed (failures.allow)", plural(int(failed), "task"), allow)
		if failed <= allow {
			why = fmt.Sprintf("%d of the first %s failed (failures.abort_if: %s)", failed,
				plural(int(s.Recorded()+failed), "task"), s.Settings().AbortIf)
		}
	})
	if !overrun {
		return nil
	}
	return &exitError{exitIncomplete, fmt.Errorf("%s: no dataset was written\nfirst: task %d, %s: %s",
		why, first.Index, first.Class, message.FirstLine(first.Message, 200)), "windrow failed " + string(c.plan.ID()) + " --state-dir " + c.local.state.dir}
}

func (c *campaign) interruptedError() error {
	var recorded int64
	c.ledger.View(func(s *ledger.State) { recorded = s.Recorded() })
	return &exitError{exitInterrupted, fmt.Errorf("interrupted: %s of %s rows are kept",
		humanize.Comma(recorded), humanize.Comma(c.plan.Planned.Tasks)), "windrow run " + c.specPath}
}

// report prints the last lines of a finished run.
func (c *campaign) report(sealed *message.Sealed) error {
	reportDataset(c.stdout, c.plan.Spec.Output.File, sealed)
	if sealed.Failed == 0 {
		return nil
	}
	return &exitError{
		exitAllowed, allowedError(sealed.Failed),
		"windrow failed " + string(c.plan.ID()) + " --state-dir " + c.local.state.dir,
	}
}

func reportDataset(w io.Writer, out string, sealed *message.Sealed) {
	fmt.Fprintf(w, "%s: %s rows, %s, sha256 %s\n", out, humanize.Comma(sealed.Rows), size(sealed.Bytes), sealed.SHA256)
	fmt.Fprintf(w, "next: windrow verify %s\n", out)
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
