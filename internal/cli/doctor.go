package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"windrow/internal/broker"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/queue"
)

type doctorOptions struct {
	connectFlags
	json bool
}

func newDoctor(a *app) *cobra.Command {
	o := doctorOptions{}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what would make runs fail here, and for leftovers of dead runs",
		Long: `Look for what would make runs fail on this machine: room on the disk, file
locks, libhdf5, the settings and the clock of the broker; and for what dead runs
have left behind. Each finding comes with the command that mends it. Nothing is
changed.

Exit code 6 says that something has to be mended before a run can succeed.`,
		Example: `  windrow doctor
  windrow doctor --state-dir /scratch/campaign/.windrow
  windrow doctor --nats nats://127.0.0.1:4222 --json`,
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context(), o) },
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON array")
	return c
}

// finding is what was found out about one thing.
type finding struct {
	Check string `json:"check"` // disk, locks, libhdf5, broker, clock or leftovers
	Level health `json:"level"`
	Text  string `json:"text"`
	Next  string `json:"next,omitempty"` // the command that mends it
}

type health string

const (
	healthy health = "ok"
	ailing  health = "warning"
	ill     health = "bad"
)

// examination collects findings.
type examination struct {
	options  doctorOptions
	dir      string // of the state, or where it would be
	findings []finding
}

func (e *examination) add(check string, level health, next, format string, args ...any) {
	e.findings = append(e.findings, finding{check, level, fmt.Sprintf(format, args...), next})
}

func (a *app) doctor(ctx context.Context, o doctorOptions) error {
	e := &examination{options: o, dir: o.state().dir}
	if !isDir(e.dir) {
		e.dir = filepath.Dir(e.dir)
	}
	e.disk()
	e.locks()
	e.libhdf5()
	if err := a.examineBroker(ctx, e); err != nil {
		return err
	}
	e.scratch()
	if err := e.print(a); err != nil {
		return err
	}
	if slices.ContainsFunc(e.findings, func(f finding) bool { return f.Level == ill }) {
		return &exitError{exitBroker, errors.New("something has to be mended"), ""}
	}
	return nil
}

func (e *examination) print(a *app) error {
	if e.options.json {
		return json.NewEncoder(a.stdout).Encode(e.findings)
	}
	for _, f := range e.findings {
		fmt.Fprintf(a.stdout, "%-8s %s: %s\n", f.Level, f.Check, f.Text)
		if f.Next != "" {
			fmt.Fprintf(a.stdout, "         next: %s\n", f.Next)
		}
	}
	return nil
}

// littleSpace is what no run of any size can do with.
const littleSpace = 64 << 20

func (e *examination) disk() {
	switch d, err := diskOf(e.dir); {
	case err != nil:
		e.add("disk", ill, "", "%v", err)
	case d.free < littleSpace:
		e.add("disk", ill, "df "+e.dir, "%s are free at %s", size(d.free), e.dir)
	default:
		e.add("disk", healthy, "", "%s are free at %s; `windrow plan SPEC` tells what a run needs", size(d.free), e.dir)
	}
}

// locks tries whether a second process would be kept out.
func (e *examination) locks() {
	f, err := os.CreateTemp(e.dir, ".windrow-doctor-*")
	if err != nil {
		e.add("locks", ill, "windrow doctor --state-dir DIR", "no file can be made: %v", err)
		return
	}
	defer func() { _ = errors.Join(f.Close(), os.Remove(f.Name())) }() // it was only for this
	first, second := flock.New(f.Name()), flock.New(f.Name())
	held, err := first.TryLock()
	if err == nil && held {
		defer func() { _ = first.Unlock() }() // the file goes anyway
		var twice bool
		if twice, err = second.TryLock(); err == nil && !twice {
			e.add("locks", healthy, "", "files in %s can be locked", e.dir)
			return
		}
	}
	if err == nil {
		err = errors.New("two have the same lock")
	}
	e.add("locks", ill, "windrow run SPEC --state-dir DIR, on a local disk", "file locks do not work in %s: %v", e.dir, err)
}

func (e *examination) libhdf5() {
	dir, err := os.MkdirTemp(e.dir, ".windrow-doctor-*")
	if err == nil {
		err = tryHDF5(filepath.Join(dir, "a.h5"))
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		e.add("libhdf5", ill, "windrow version", "libhdf5 %s: %v", h5.LibVersion(), err)
		return
	}
	e.add("libhdf5", healthy, "", "libhdf5 %s writes and reads", h5.LibVersion())
}

// tryHDF5 writes a file and reads it back.
func tryHDF5(path string) error {
	f, err := h5.Create(path, h5.V110)
	if err != nil {
		return err
	}
	const text = "was here"
	if err := errors.Join(f.SetString("windrow", text), f.Close()); err != nil {
		return err
	}
	f, err = h5.Open(path)
	if err != nil {
		return err
	}
	got, err := f.String("windrow")
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got != text {
		return fmt.Errorf("wrote %q, read %q", text, got)
	}
	return nil
}

// examineBroker looks at the broker, and at what its runs and others have left
// in the state directory.
func (a *app) examineBroker(ctx context.Context, e *examination) error {
	server := e.options.url
	if server == "" {
		server = queue.OptionsFromEnv(os.Getenv).URL
	}
	if server == "" && !e.options.state().exists() {
		e.add("broker", healthy, "", "no state directory here and no --nats: `windrow run` brings its own broker, which syncs each write")
		return nil
	}
	conn, closing, err := a.connect(ctx, e.options.connectFlags, newLog(a.stderr, slog.LevelError+1))
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, text := explain(err, false)
		reason, next, _ := strings.Cut(text, "\nnext: ")
		e.add("broker", ill, next, "%s", reason)
		return nil
	}
	defer func() { _ = closing() }() // nothing was written
	if server == "" {
		e.add("broker", healthy, "", "embedded, nats-server %s, which syncs each write", broker.Version())
	} else {
		e.server(ctx, queue.PublicURL(server), monitoringOf(server))
	}
	runs, err := conn.Runs(ctx)
	if err != nil {
		e.add("broker", ill, "", "%v", err)
		return nil
	}
	e.clock(ctx, conn, runs)
	if server == "" {
		e.leftovers(runs)
	}
	return nil
}

const (
	monitoringPort = "8222" // of the configurations in deploy/nats
	monitoringTime = 2 * time.Second
)

// monitoringOf returns where the first server of a list tells of its settings.
func monitoringOf(list string) string {
	first, _, _ := strings.Cut(list, ",")
	u, err := url.Parse(first)
	if err != nil || u.Hostname() == "" {
		return ""
	}
	return "http://" + net.JoinHostPort(u.Hostname(), monitoringPort)
}

// server asks the monitoring of a server whether it syncs what it confirms.
func (e *examination) server(ctx context.Context, public, monitoring string) {
	const advice = "jetstream {sync_interval: always} in the server's configuration"
	var answer struct {
		Config struct {
			SyncAlways   bool          `json:"sync_always"`
			SyncInterval time.Duration `json:"sync_interval"`
		} `json:"config"`
	}
	switch err := getJSON(ctx, monitoring+"/jsz?config=true", &answer); {
	case err != nil:
		e.add("broker", ailing, advice, "%s answers; whether it syncs what it confirms cannot be seen, as its monitoring at port %s does not answer", public, monitoringPort)
	case !answer.Config.SyncAlways:
		e.add("broker", ill, advice, "%s syncs every %s only: a power failure would lose what it has confirmed", public, answer.Config.SyncInterval)
	default:
		e.add("broker", healthy, "", "%s syncs each write", public)
	}
}

func getJSON(ctx context.Context, address string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, monitoringTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// maxSkew is how far two clocks may be apart before people are misled.
const maxSkew = 5 * time.Second

func (e *examination) clock(ctx context.Context, conn *queue.Conn, runs []queue.RunInfo) {
	if len(runs) == 0 {
		e.add("clock", healthy, "", "there is no run to compare the broker's clock by")
		return
	}
	run, err := conn.OpenRun(ctx, runs[0].ID)
	var theirs time.Time
	if err == nil {
		theirs, err = run.Clock(ctx)
	}
	switch skew := time.Since(theirs); {
	case err != nil:
		e.add("clock", ailing, "", "%v", err)
	case skew.Abs() > maxSkew:
		e.add("clock", ailing, "timedatectl", "the broker's clock differs by %s from this one: times in reports are the broker's", skew.Abs().Round(time.Second))
	default:
		e.add("clock", healthy, "", "the broker's clock is this one")
	}
}

// leftovers looks in the state directory, and beside it, for what belongs to no
// run.
func (e *examination) leftovers(runs []queue.RunInfo) {
	known := func(id string) bool {
		return slices.ContainsFunc(runs, func(r queue.RunInfo) bool { return string(r.ID) == id })
	}
	s := e.options.state()
	found := false
	for _, parent := range []string{s.shards(), filepath.Dir(s.logs("x"))} {
		folders, _ := os.ReadDir(parent) // without one there is nothing left over
		for _, folder := range folders {
			if _, err := message.ParseRunID(folder.Name()); err == nil && !known(folder.Name()) {
				path := filepath.Join(parent, folder.Name())
				found = true
				e.add("leftovers", ailing, "rm -r "+path, "%s is of a run that the broker does not know", path)
			}
		}
	}
	partials, _ := filepath.Glob(filepath.Join(filepath.Dir(s.dir), "*.partial")) // the pattern is good
	for _, path := range partials {
		lock := flock.New(strings.TrimSuffix(path, ".partial") + ".lock")
		held, err := lock.TryRLock()
		if err != nil || !held {
			continue // a merger is at work
		}
		_ = lock.Unlock()
		found = true
		e.add("leftovers", ailing, "windrow run SPEC goes on with it; rm "+path, "%s is a dataset on its way at which nobody works", path)
	}
	if !found {
		e.add("leftovers", healthy, "", "%s has nothing of dead runs", s.dir)
	}
}

// scratch looks for the directories that killed workers have left.
func (e *examination) scratch() {
	var old []string
	for _, pattern := range []string{"windrow-scratch-*", "windrow-task*", fetched} {
		dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), pattern)) // the pattern is good
		for _, dir := range dirs {
			if info, err := os.Stat(dir); err == nil && info.IsDir() && time.Since(info.ModTime()) > oldScratch {
				old = append(old, dir)
			}
		}
	}
	if len(old) > 0 {
		e.add("leftovers", ailing, fmt.Sprintf("rm -r %s, when no worker runs", filepath.Join(os.TempDir(), "windrow-*")),
			"%s of simulators in %s, unchanged for a day", humanize.Comma(int64(len(old)))+" directories", os.TempDir())
	}
}

// oldScratch is how long a task may leave its directory alone.
const oldScratch = 24 * time.Hour
