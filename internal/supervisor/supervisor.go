// Package supervisor runs the worker and merger processes of a local run and
// starts them again when they die.
//
// A child is in a process group of its own, so that Ctrl-C on the terminal
// reaches only the parent, which then stops the children in order. It inherits
// the reading end of a pipe, the lifeline, that nobody writes to: when the
// parent is gone, however it died, the child reads its end and stops. A child
// finds the lifeline with OpenLifeline.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Child is a process to keep alive.
type Child struct {
	Name string   // names the log file, too
	Args []string // of this program
	Env  []string // added to the parent's
}

// Exit is how a child ended for good.
type Exit struct {
	Name   string
	Code   int
	Reason string // what it printed last, without the program's name
}

// Restarting is for deaths that a restart may mend: signals and internal
// errors. The pause before one doubles up to the longest while a child dies
// young.
const (
	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
	youngAge     = 10 * time.Second
	internalCode = 1
	maxInternal  = 5 // internal errors in a row before giving up
)

// Supervisor runs children. Its zero value is not usable; see Start.
type Supervisor struct {
	program  string
	logs     string
	log      *slog.Logger
	lifeline *Lifeline
	exits    chan Exit
	running  sync.WaitGroup

	mu       sync.Mutex
	stopping bool
	stopped  chan struct{} // closed when stopping is set
	alive    map[string]*os.Process
}

// Start starts the children, which are this program with other arguments.
// Their standard error is appended to files in the folder logs. The caller
// must call Stop; the end of ctx alone stops nothing.
func Start(ctx context.Context, program, logs string, children []Child, log *slog.Logger) (*Supervisor, error) {
	if err := os.MkdirAll(logs, 0o700); err != nil {
		return nil, fmt.Errorf("make logs folder: %w", err)
	}
	lifeline, err := NewLifeline()
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		program: program, logs: logs, log: log, lifeline: lifeline,
		exits: make(chan Exit, len(children)), stopped: make(chan struct{}), alive: map[string]*os.Process{},
	}
	for _, c := range children {
		s.running.Go(func() { s.exits <- s.keep(context.WithoutCancel(ctx), c) })
	}
	return s, nil
}

// Exits delivers each child's end: its success, or an exit code that a restart
// does not mend.
func (s *Supervisor) Exits() <-chan Exit { return s.exits }

// Stop ends the children: it asks them, waits for the grace period at most,
// and kills what is left. It may be called again, with a shorter grace.
func (s *Supervisor) Stop(grace time.Duration) {
	s.mu.Lock()
	if !s.stopping {
		s.stopping = true
		close(s.stopped)
	}
	s.mu.Unlock()
	s.signal(syscall.SIGTERM)

	gone := make(chan struct{})
	go func() {
		s.running.Wait()
		close(gone)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
		s.signal(syscall.SIGKILL)
		<-gone
	}
	s.lifeline.Close()
}

func (s *Supervisor) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.alive {
		_ = p.Signal(sig) // it may have ended just now
	}
}

// keep runs the child until it ends for good.
func (s *Supervisor) keep(ctx context.Context, c Child) Exit {
	pause, failures := firstPause, 0
	for {
		started := time.Now()
		exit, final := s.runOnce(ctx, c)
		if final || s.isStopping() {
			return exit
		}
		if exit.Code == internalCode {
			if failures++; failures == maxInternal {
				return exit
			}
		} else {
			failures = 0
		}
		if time.Since(started) > youngAge {
			pause, failures = firstPause, 0
		}
		s.log.WarnContext(ctx, "child died and is started again", "child", c.Name, "reason", exit.Reason)
		s.wait(pause)
		pause = min(2*pause, longestPause)
	}
}

func (s *Supervisor) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping
}

func (s *Supervisor) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.stopped:
	case <-timer.C:
	}
}

// runOnce runs the child once. The end is final unless it was a signal or an
// internal error.
func (s *Supervisor) runOnce(ctx context.Context, c Child) (exit Exit, final bool) {
	exit.Name = c.Name
	logFile, err := os.OpenFile(filepath.Join(s.logs, c.Name+".log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		exit.Code, exit.Reason = internalCode, err.Error()
		return exit, true
	}
	defer func() { _ = logFile.Close() }()
	offset, _ := logFile.Seek(0, io.SeekEnd)

	cmd := exec.CommandContext(ctx, s.program, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	s.lifeline.Tie(cmd)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.start(cmd, c.Name); err != nil {
		exit.Code, exit.Reason = internalCode, err.Error()
		return exit, true
	}
	err = cmd.Wait()
	s.mu.Lock()
	delete(s.alive, c.Name)
	s.mu.Unlock()

	exit.Code = cmd.ProcessState.ExitCode() // -1 for a signal
	exit.Reason = lastWords(logFile, offset)
	if exit.Code < 0 || exit.Reason == "" && err != nil {
		exit.Reason = fmt.Sprint(err)
	}
	return exit, exit.Code >= 0 && exit.Code != internalCode
}

func (s *Supervisor) start(cmd *exec.Cmd, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return errors.New("stopped before it started")
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.alive[name] = cmd.Process
	return nil
}

// lastWords returns the error that the child printed after offset: the last
// lines that start with the program's name.
func lastWords(f *os.File, offset int64) string {
	const window = 16 << 10
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	start := max(offset, info.Size()-window)
	tail, err := io.ReadAll(io.NewSectionReader(f, start, info.Size()-start))
	if err != nil {
		return ""
	}
	var words []string
	for line := range strings.Lines(string(tail)) {
		if text, ok := strings.CutPrefix(line, Prefix); ok {
			words = append(words, strings.TrimSpace(text))
		}
	}
	return strings.Join(words, "\n")
}

// Prefix starts the lines of the error that a child ends with.
const Prefix = "windrow: "
