package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"windrow/internal/spec"
	"windrow/internal/table"
)

// command is a simulator that is a program of the user's, started at the first
// task, in Options.Dir and without a shell. The package comment has the
// protocol.
//
// The program runs in a process group of its own, which is killed as a whole
// when a task has taken too long or the program has died, and it is the first
// that the kernel kills when memory runs out. What it sees of the environment
// says the function environment.
type command struct {
	*spec.Command

	columns table.Columns
	options Options
	files   fileCheck
	oom     *oomWatch

	scratch string // where the program leaves arrays; made with the first child
	child   *child // nil: none is running
	sent    int    // requests so far, which makes their ids unique
}

func describeCommand(s *spec.Spec) Description {
	return Description{
		Model:   "command 1",
		Source:  "the program " + strings.Join(s.Simulator.Command.Args, " "),
		Columns: s.Columns,
	}
}

func newCommand(s *spec.Spec, opts Options) *command {
	return &command{Command: s.Simulator.Command, columns: s.Columns, options: opts, oom: newOOMWatch()}
}

// Simulate implements Simulator.
func (c *command) Simulate(ctx context.Context, job Job, row table.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	first, err := firstResult(row, c.columns[0].Name)
	if err != nil {
		return err
	}
	err = c.fill(ctx, job, row, first)
	if cleared := clearDir(c.scratch); cleared != nil && err == nil {
		err = fmt.Errorf("empty the scratch directory: %w", cleared)
	}
	return err
}

// fill computes the result columns of row, the first of which is at first.
func (c *command) fill(ctx context.Context, job Job, row table.Row, first int) error {
	result, err := c.compute(ctx, job)
	if errors.Is(err, errRetired) {
		result, err = c.compute(ctx, job)
	}
	if err != nil {
		return err
	}
	if err = setResult(row, first, c.columns, result, c.scratch); err == nil {
		err = checkRow(row)
	}
	err = c.withLog(err)
	c.recycle()
	return err
}

// recycle ends a program that has had its number of tasks, for those that use
// more memory with each.
func (c *command) recycle() {
	if c.RecycleAfter > 0 && c.child.answers >= c.RecycleAfter {
		c.child.stop()
		c.child = nil
	}
}

// Close stops the program: first its input ends and it gets SIGTERM, 2 s later
// SIGKILL.
func (c *command) Close() error {
	if c.child != nil {
		c.child.stop()
		c.child = nil
	}
	if c.scratch == "" {
		return nil
	}
	err := os.RemoveAll(c.scratch)
	c.scratch = ""
	return err
}

// errRetired says that the program had ended by itself, with status 0, after
// it answered the task before.
var errRetired = errors.New("the program has ended after its last answer")

// compute gets the result of a task from the child, and gets rid of a child
// that cannot be trusted with the next task.
func (c *command) compute(ctx context.Context, job Job) (map[string]json.RawMessage, error) {
	if err := c.ensureChild(); err != nil {
		return nil, err
	}
	c.sent++
	id := fmt.Sprintf("%d.%d-%d", job.Task.Index, job.Attempt, c.sent)
	request, err := encodeRequest(id, job, c.Timeout)
	if err != nil {
		return nil, err
	}
	child := c.child
	answer, err := child.ask(ctx, id, request, c.Timeout)
	if err != nil {
		c.child = nil
		return nil, c.blame(ctx, child, err)
	}
	if failure := answer.failure(); failure != nil {
		err := c.withLog(failure)
		c.recycle()
		return nil, err
	}
	return answer.Result, nil
}

// ensureChild starts the program unless it is running. How it ended between
// two tasks is nobody's failure.
func (c *command) ensureChild() error {
	if c.child != nil && c.child.hasExited() {
		c.options.Log.Debug("simulator ended between tasks", slog.Int("pid", c.child.pid), slog.String("how", c.child.end(0).String()))
		c.child = nil
	}
	if c.child != nil {
		return nil
	}
	if err := c.files.check(c.options.Dir, c.options.Files); err != nil {
		return err
	}
	if err := c.makeScratch(); err != nil {
		return err
	}
	child, err := startChild(c.Command, c.options.Dir, c.scratch, c.oom, c.options.Log)
	if err != nil {
		return startError(err)
	}
	c.options.Log.Debug("simulator started", slog.Int("pid", child.pid), slog.Any("command", c.Args))
	c.child = child
	return nil
}

func (c *command) makeScratch() (err error) {
	if c.scratch == "" {
		if c.scratch, err = os.MkdirTemp("", "windrow-scratch-"); err != nil {
			return fmt.Errorf("make a scratch directory: %w", err)
		}
	}
	return nil
}

// clearDir removes what is in a directory, if there is one.
func clearDir(dir string) error {
	if dir == "" {
		return nil
	}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

func startError(err error) error {
	if isPermanent(err) {
		err = fmt.Errorf("%w: %w", ErrStart, err)
	}
	return fmt.Errorf("start simulator: %w", err)
}

// isPermanent tells whether a program could not be started because of what it
// is, not because of what the machine lacks at the moment.
func isPermanent(err error) bool {
	return slices.ContainsFunc([]error{
		exec.ErrNotFound, exec.ErrDot, fs.ErrNotExist, fs.ErrPermission, syscall.ENOEXEC, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP,
	}, func(target error) bool { return errors.Is(err, target) })
}

// blame says whose fault it is that child did not answer, and ends child.
func (c *command) blame(ctx context.Context, child *child, err error) error {
	grace := time.Duration(0)
	if errors.Is(err, io.EOF) || errors.Is(err, errClosedInput) {
		grace = drainGrace // it is ending; let it say how
	}
	end := child.end(grace)
	failure, isFailure := errors.AsType[*Error](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case child.tooBig: // the end of the process orders the reading
		return child.outgrown(c.MaxRSS, end)
	case isFailure:
		failure.Log = child.log.lines()
		return failure
	case end.bySelf && end.clean() && child.answers > 0:
		return errRetired
	case end.bySelf:
		return child.crash(end.String())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return child.timeout("no answer")
	case errors.Is(err, io.EOF):
		return child.crash("closed its standard output without an answer")
	case errors.Is(err, errClosedInput):
		return child.crash("closed its standard input")
	}
	return fmt.Errorf("talk to simulator: %w", err)
}

// withLog adds the task's log to err if it is a failure of the task.
func (c *command) withLog(err error) error {
	if failure, ok := errors.AsType[*Error](err); ok {
		failure.Log = lastLines(append(c.child.log.lines(), failure.Log...))
	}
	return err
}
