package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/broker"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/shard"
)

// The roles that can be started by hand, and what beats call them.
const (
	roleProducer = "producer"
	roleWorker   = "worker"
	roleMerger   = "merger"
)

// roleFlags are the flags of worker and merger.
type roleFlags struct {
	url            string
	connection     queue.Options // instead of url and environment, if it has a URL
	run            string
	shards         string
	ownShards      bool // by windrow run, whose folder they are in
	exitWhenSealed bool
	metrics        string
}

func (f *roleFlags) add(c *cobra.Command) {
	addURL(c, &f.url)
	c.Flags().StringVar(&f.run, "run", "", "run to work for (default: any that is not sealed, one after the other)")
	c.Flags().StringVar(&f.shards, "shards", filepath.Join(stateDir, "shards"), "folder that all workers and the merger share; each run has a folder in it")
	c.Flags().BoolVar(&f.exitWhenSealed, "exit-when-sealed", false, "end when the run is sealed; name it with --run, or a role that starts after the seal waits for another run")
	c.Flags().BoolVar(&f.ownShards, ownShardsFlag, false, "the shards folder is the right one, whatever other roles use")
	if err := c.Flags().MarkHidden(ownShardsFlag); err != nil {
		panic(err) // the flag was added a line above
	}
	addMonitor(c, &f.metrics)
}

const ownShardsFlag = "own-shards"

func addURL(c *cobra.Command, url *string) {
	c.Flags().StringVar(url, "nats", "", "URL of the NATS server (default: $NATS_URL; credentials come from the environment, under the names that the nats command uses)")
}

// options returns where the broker of a role is.
func (f *roleFlags) options() queue.Options {
	if f.connection.URL != "" {
		return f.connection
	}
	return optionsFor(f.url)
}

// optionsFor returns the options of the environment, for the server that
// --nats names, if it does.
func optionsFor(url string) queue.Options {
	options := queue.OptionsFromEnv(os.Getenv)
	if url != "" {
		options.URL = url
	}
	return options
}

// connectRole connects a role started by hand, or by `windrow run`. Such a
// role waits for the broker as long as it takes.
func (a *app) connectRole(ctx context.Context, options queue.Options, role string, log *slog.Logger) (*queue.Conn, error) {
	if options.URL == "" {
		return nil, noURL(role)
	}
	options.Name, options.Patient = "windrow "+role, true
	return queue.Connect(ctx, options, log)
}

func noURL(command string) error {
	return &exitError{
		exitUsage, fmt.Errorf("windrow %s needs the URL of a NATS server", command),
		"windrow " + command + " --nats nats://127.0.0.1:4222",
	}
}

// member is a worker or merger at work for one run.
type member struct {
	run     *queue.Run
	ledger  *ledger.Follower
	crew    *crew
	shards  string // of this run
	folder  string
	id      string
	own     bool        // the folder is the run's own
	hosted  bool        // by a windrow run, which brings a merger
	proven  atomic.Bool // it is the right one, as far as can be known
	monitor *monitor
	log     *slog.Logger
}

// serveRuns calls work for the run that was asked for, or for one run after
// the other.
func (a *app) serveRuns(ctx context.Context, role string, f roleFlags, work func(context.Context, *member) error) error {
	log := newLog(a.stderr, slog.LevelInfo).With("role", role)
	monitor := newMonitor()
	stopMonitor, err := monitor.serve(ctx, f.metrics, log)
	if err != nil {
		return err
	}
	defer stopMonitor()
	conn, err := a.connectRole(ctx, f.options(), role, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	monitor.connected(conn)
	id := f.run
	for {
		run, err := awaitRun(ctx, conn, id, log)
		if err != nil {
			return err
		}
		m := &member{
			run: run, crew: newCrew(), shards: filepath.Join(f.shards, string(run.ID())), own: f.ownShards,
			hosted: conn.ServerName() == broker.ServerName, id: processID(), monitor: monitor, log: log.With("run", run.ID()),
		}
		err = a.serveRun(ctx, role, m, f, work)
		switch {
		case isGone(err): // perhaps to begin anew: see producer --restart
			log.WarnContext(ctx, "the run is gone", "run", run.ID(), "reason", err)
			if f.run == "" && !f.exitWhenSealed {
				continue
			}
			if err := awaitReturn(ctx, conn, run.ID()); err != nil {
				return err
			}
			id = string(run.ID()) // it may be sealed by now, and of no use to those who look for work
			continue
		case err != nil:
			return err
		}
		if f.run != "" || f.exitWhenSealed || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func isGone(err error) bool { return errors.Is(err, ledger.ErrGone) || errors.Is(err, queue.ErrNoRun) }

// goneGrace is how long a role waits for a run that is gone to come back.
const goneGrace = 10 * time.Second

// awaitReturn waits for the run to be there again.
func awaitReturn(ctx context.Context, conn *queue.Conn, id message.RunID) error {
	waiting, stop := context.WithTimeout(ctx, goneGrace)
	defer stop()
	ticker := time.NewTicker(awaitInterval / 4)
	defer ticker.Stop()
	for {
		_, err := conn.OpenRun(waiting, id)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-waiting.Done():
			return fmt.Errorf("run %s is gone: %w", id, err)
		case <-ticker.C:
		}
	}
}

// serveRun works for one run.
//
//nolint:contextcheck // it follows the ledger for longer than ctx, the gentle stop, says
func (a *app) serveRun(ctx context.Context, role string, m *member, f roleFlags, work func(context.Context, *member) error) error {
	m.ledger = ledger.NewFollower(m.run.Digest(), m.run, m.log)
	m.monitor.watch(m.run, m.ledger)
	// The ledger is followed for as long as the role works, which is longer
	// than it takes new work.
	base, cancel := context.WithCancel(a.stops.now)
	defer cancel()
	group, base := errgroup.WithContext(base)
	fetching, stop := context.WithCancel(base)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	astray := make(chan error, 1)
	group.Go(func() error {
		return m.run.Beats(base, func(b message.Beat) {
			if err := m.hear(base, role, b); err != nil {
				select {
				case astray <- err:
				default: // it is said already
				}
			}
		})
	})
	group.Go(func() error {
		select {
		case err := <-astray:
			return err
		case <-base.Done():
			return nil
		}
	})
	group.Go(func() error { return m.ledger.Run(base) })
	group.Go(func() error {
		defer cancel()
		// What the ledger says decides what a role does from its start, as that
		// a changed file was accepted.
		err := patiently(fetching, m.log, func() error { return m.ledger.CatchUp(fetching) })
		if err != nil {
			return err
		}
		if f.ends() && m.isSealed() {
			return m.workAfterSeal(fetching, role, work)
		}
		// Until a sealed run is reopened, its folder would be made for nothing.
		if err := m.ledger.Wait(fetching, func(s *ledger.State) bool { _, at := s.Sealed(); return at == 0 }); err != nil {
			return err
		}
		if m.folder, err = shard.OpenFolder(m.shards); err != nil {
			return err
		}
		if err := m.proveFolder(fetching, role); err != nil {
			return err
		}
		return work(fetching, m)
	})
	return group.Wait()
}

// ends tells whether the role leaves a run that is sealed.
func (f *roleFlags) ends() bool { return f.exitWhenSealed || f.run == "" }

// workAfterSeal is for a run that was sealed before the role started. A worker has
// nothing to do then. A merger tidies up behind one that was killed, and does not
// make the folder that it would remove.
func (m *member) workAfterSeal(ctx context.Context, role string, work func(context.Context, *member) error) (err error) {
	if role == roleWorker {
		return nil
	}
	if m.folder, err = shard.ReadFolder(m.shards); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return work(ctx, m)
}

// proveFolder makes sure that the shards folder is the one of the others. A
// merger at work is right, for there is only one: a worker believes nobody
// else, and where none lives, the first that comes tells: see hear. That of a
// windrow run is waited for, as it is sure to come. A merger
// believes who agrees with it: one worker that lies cannot keep it away. In
// windrow run the folder is right; but there, too, the others are given time to
// open it before a merger with nothing left to do removes it.
func (m *member) proveFolder(ctx context.Context, role string) error {
	if err := m.run.Beat(ctx, message.Beat{Role: role, ID: m.id, Folder: m.folder, Greeting: true}); err != nil {
		m.log.DebugContext(ctx, "greeting not sent", "error", err)
	}
	for end := time.Now().Add(proofLimit); ; {
		timer := time.NewTimer(greetingWait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		other, sure := m.disagreement(role)
		if role == roleWorker && other == "" && m.hosted && !m.own && !m.hasMerger() && !m.isSealed() && time.Now().Before(end) {
			continue
		}
		if other == "" || m.own {
			m.proven.Store(true)
			return nil
		}
		if sure || time.Now().After(end) {
			return m.folderError(role, other)
		}
	}
}

// disagreement returns who uses another folder and may be right.
func (m *member) disagreement(role string) (other string, sure bool) {
	if m.isSealed() {
		return "", false
	}
	agree := false
	for _, b := range m.crew.alive() {
		switch {
		case b.ID == m.id || b.Greeting || b.Folder == "" || role == roleWorker && !isAuthority(b, m.id):
		case b.Folder == m.folder:
			agree = true
		default:
			other, sure = b.Role+" "+b.ID, true
		}
	}
	m.ledger.View(func(s *ledger.State) {
		for _, sh := range s.Shards() {
			if sh.Rejected != "" || role == roleWorker {
				continue
			}
			if sh.Folder == m.folder {
				agree = true
			} else if other == "" {
				other = "worker " + sh.Worker
			}
		}
	})
	if agree {
		return "", false
	}
	return other, sure
}

// isSealed tells whether the run is: its folder is removed then, and a worker
// that opened it a moment before may have made another.
func (m *member) isSealed() (sealed bool) {
	m.ledger.View(func(s *ledger.State) {
		_, at := s.Sealed()
		sealed = at != 0
	})
	return sealed
}

// isConfirmed tells whether a live worker uses the same folder.
func (m *member) isConfirmed() bool {
	return slices.ContainsFunc(m.crew.alive(), func(b message.Beat) bool {
		return b.Role == roleWorker && !b.Greeting && b.Folder == m.folder
	})
}

// hasMerger tells whether a merger is at work.
func (m *member) hasMerger() bool {
	return slices.ContainsFunc(m.crew.alive(), func(b message.Beat) bool { return isAuthority(b, m.id) })
}

// isAuthority tells whether a beat is of another process, a merger at work.
func isAuthority(b message.Beat, self string) bool {
	return b.Role == roleMerger && !b.Greeting && b.ID != self && b.Folder != ""
}

func (m *member) folderError(role, owner string) error {
	return &exitError{
		exitBroker, fmt.Errorf("%s is not the folder that %s uses: workers and merger must share one", m.shards, owner),
		fmt.Sprintf("windrow %s --shards DIR", role),
	}
}

// patiently calls f until the broker answers.
func patiently(ctx context.Context, log *slog.Logger, f func() error) error {
	for {
		err := f()
		if !errors.Is(err, queue.ErrUnreachable) {
			return err
		}
		log.WarnContext(ctx, "waiting for the broker", "reason", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(awaitInterval):
		}
	}
}

// How long a starting role listens to the others, and how long a merger waits
// for one that agrees with it.
const (
	greetingWait = 300 * time.Millisecond
	proofLimit   = 5 * time.Second
)

// hear takes note of a beat, and answers a greeting. It returns an error to a
// worker that a merger, which has come later, shows to be in the wrong folder.
func (m *member) hear(ctx context.Context, role string, b message.Beat) error {
	m.crew.saw(b)
	if !m.proven.Load() {
		return nil
	}
	if role == roleWorker && !m.own && isAuthority(b, m.id) && b.Folder != m.folder && !m.isSealed() {
		return m.folderError(role, b.Role+" "+b.ID)
	}
	if !b.Greeting || b.ID == m.id {
		return nil
	}
	if err := m.run.Beat(ctx, message.Beat{Role: role, ID: m.id, Folder: m.folder}); err != nil {
		m.log.DebugContext(ctx, "greeting not answered", "error", err)
	}
	return nil
}

// beat tells everyone every second that the role lives, until ctx ends.
func (m *member) beat(ctx context.Context, role string) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		if err := m.run.Beat(ctx, message.Beat{Role: role, ID: m.id, Folder: m.folder}); err != nil {
			m.log.DebugContext(ctx, "beat not sent", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// processID names this process among all of the run.
func processID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, host)
	return fmt.Sprintf("%s-%d", message.Cut(host, 60), os.Getpid())
}
