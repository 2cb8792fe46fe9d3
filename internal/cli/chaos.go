package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/chaos"
	"windrow/internal/supervisor"
	"windrow/producer"
)

// defaultStorm is the list of --chaos without one.
const defaultStorm = "default"

type chaosOptions struct {
	list    string
	compare bool
}

func addChaos(c *cobra.Command, o *runOptions) {
	f := c.Flags()
	f.StringVar(&o.chaos.list, "chaos", "", "compute NAME.chaos.h5 under a storm of this `list`, and compare with the dataset that is there")
	f.Lookup("chaos").NoOptDefVal = defaultStorm
	f.BoolVar(&o.chaos.compare, "compare", false, "with --chaos: first make the dataset to compare with")
	f.StringVar(&o.output, "output", "", "dataset, instead of the spec's")
	if err := f.MarkHidden("output"); err != nil {
		panic(err) // the flag was added a line above
	}
	for _, other := range []string{"restart", "keep-shards", "keep-failed", "accept-changed", "events", "notify", "listen"} {
		c.MarkFlagsMutuallyExclusive("chaos", other)
	}
}

// disturbed is a run under chaos, computed by child processes.
type disturbed struct {
	*app
	options runOptions
	path    string // of the spec
	plan    *producer.Plan
	output  string
	state   state
	begun   time.Time
	// Ties the runs to us: killed as we may be, none goes on by itself.
	lifeline *supervisor.Lifeline
}

// chaos computes the spec under disturbance and compares the dataset with that
// of a calm run.
func (a *app) chaos(o runOptions, path string) error {
	if o.chaos.list == defaultStorm {
		o.chaos.list = chaos.Default
	}
	config, err := chaos.Parse(o.chaos.list, rand.Uint64())
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--chaos: %w", err), "windrow run " + path + " --chaos=" + chaos.Default}
	}
	plan, err := loadPlan(a.stops.gentle, path)
	if err != nil {
		return err
	}
	calm := plan.Spec.Output.File
	d := &disturbed{
		app: a, options: o, path: path, plan: plan,
		output: strings.TrimSuffix(calm, ".h5") + ".chaos.h5",
		state:  state{stateBeside(o.stateDir, calm).dir + ".chaos"},
		begun:  time.Now(),
	}
	if d.lifeline, err = supervisor.NewLifeline(); err != nil {
		return err
	}
	defer d.lifeline.Close()
	want, err := d.calmSHA256(calm)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%s: computing %s under --chaos=%v\n", plan.ID(), d.output, config)
	storm := chaos.New(config, plan.Planned.Tasks, filepath.Join(d.state.shards(), string(plan.ID())), d.timeout(), d.say)
	if err := d.untilSealed(storm); err != nil {
		return err
	}
	got, err := verifyInChild(a.stops.now, d.output, 0)
	if err != nil {
		return err
	}
	return d.compare(calm, want, string(got.SHA256), fmt.Sprintf("%s (%s)", storm.Summary(), config))
}

// timeout is what one task may take, for the storm to stay below; 0 of a
// built-in model, which has none.
func (d *disturbed) timeout() time.Duration {
	if command := d.plan.Spec.Simulator.Command; command != nil {
		return command.Timeout
	}
	return 0
}

func (d *disturbed) say(what string) {
	fmt.Fprintf(d.stderr, "  %6.1f s  %s\n", time.Since(d.begun).Seconds(), what)
}

// calmSHA256 returns the sha256 of the undisturbed dataset, verified, or "" if
// there is none.
func (d *disturbed) calmSHA256(calm string) (string, error) {
	if d.options.chaos.compare {
		fmt.Fprintf(d.stderr, "%s: first without disturbance\n", d.plan.ID())
		p, err := d.start("run", d.path, "--workers", strconv.Itoa(d.options.workers), "--state-dir", stateBeside(d.options.stateDir, calm).dir)
		if err != nil {
			return "", err
		}
		<-p.ended
		if err := d.outcome(p); err != nil {
			return "", err
		}
	} else if _, err := os.Stat(calm); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	report, err := verifyInChild(d.stops.now, calm, 0)
	if err != nil {
		return "", err
	}
	if report.Digest != d.plan.Digest {
		return "", &exitError{exitUsage, fmt.Errorf("%s is of other inputs than %s: nothing to compare with", calm, d.path), "windrow run " + d.path + " --chaos --compare"}
	}
	return string(report.SHA256), nil
}

// runProcess is a `windrow run` at work.
type runProcess struct {
	command *exec.Cmd
	said    bytes.Buffer  // on standard error
	ended   chan struct{} // closed when it has ended
}

// start starts this program. When we are asked to end, it is asked, too.
func (d *disturbed) start(args ...string) (*runProcess, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ctx, release := context.WithCancel(d.stops.gentle)
	p := &runProcess{command: exec.CommandContext(ctx, program, args...), ended: make(chan struct{})}
	p.command.Stderr = &p.said
	d.lifeline.Tie(p.command)
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.command.Cancel = func() error { return p.command.Process.Signal(syscall.SIGTERM) }
	if err := p.command.Start(); err != nil {
		release()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = p.command.Wait() // the exit code is in ProcessState
		release()
		close(p.ended)
	}()
	return p, nil
}

// untilSealed starts the run again whenever the storm has killed it.
func (d *disturbed) untilSealed(storm *chaos.Storm) error {
	args := []string{
		"run", d.path, "--workers", strconv.Itoa(d.options.workers),
		"--output", d.output, "--state-dir", d.state.dir,
	}
	for first := true; ; first = false {
		now := args
		if first { // what an earlier storm left
			now = append(args, "--restart")
		}
		p, err := d.start(now...)
		if err != nil {
			return err
		}
		killed, err := storm.Disturb(d.stops.gentle, p.command.Process.Pid, p.ended)
		if err != nil {
			_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
		}
		<-p.ended
		if err != nil {
			return err
		}
		if !killed {
			return d.outcome(p)
		}
	}
}

// outcome returns the error that a run has ended with.
func (d *disturbed) outcome(p *runProcess) error {
	code := p.command.ProcessState.ExitCode()
	if code == exitOK || code == exitAllowed {
		return nil
	}
	words, next := lastWords(p.said.String())
	if code == exitInterrupted { // with a storm the run begins anew
		next = "windrow run " + d.path + " --chaos=" + d.options.chaos.list
	}
	if code < 0 {
		code, words = exitInternal, p.command.ProcessState.String()
	}
	return &exitError{code, fmt.Errorf("%s: %s", strings.Join(p.command.Args[1:], " "), words), next}
}

// lastWords returns the error that a run has ended with, and the command to
// type next.
func lastWords(said string) (words, next string) {
	var lines []string
	for line := range strings.Lines(said) {
		text, ok := strings.CutPrefix(strings.TrimSpace(line), supervisor.Prefix)
		if command, isNext := strings.CutPrefix(text, "next: "); isNext {
			next = command
		} else if ok {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines, "\n"), next
}

// compare says whether the dataset is that of a calm run, if there is one.
func (d *disturbed) compare(calm, want, got, did string) error {
	fmt.Fprintf(d.stdout, "%s was disturbed: %s\n", d.plan.ID(), did)
	width := len(d.output)
	if want != "" {
		fmt.Fprintf(d.stdout, "  %-*s  sha256 %s\n", width, calm, want)
	}
	fmt.Fprintf(d.stdout, "  %-*s  sha256 %s\n", width, d.output, got)
	switch {
	case want == "":
		fmt.Fprintf(d.stdout, "next: windrow run %s, and compare\n", d.path)
	case want != got:
		return &exitError{exitCorrupt, fmt.Errorf("%s is not the same file as %s: see %s", d.output, calm, d.state.dir), "windrow diff " + calm + " " + d.output}
	default:
		fmt.Fprintln(d.stdout, "  the same bytes")
	}
	return os.RemoveAll(d.state.dir)
}
