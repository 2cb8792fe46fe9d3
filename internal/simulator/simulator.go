// Package simulator computes the result columns of tasks, by a model built
// into windrow or by a program of the user's.
//
// The built-in models are pure Go and run in the calling process:
//
//	windfarm   energy of wind farms with wakes; the campaign windrow began with
//	noop       a number derived from the task's seed, for measuring windrow
//	sleep      waits, then does what noop does
//
// A command runs in a child process that outlives its tasks and speaks JSON
// Lines on its standard input and output:
//
//	{"v": 1, "id": "17.1-18", "attempt": 1, "seed": 123, "params": {"farm_id": 3}, "deadline_s": 60}
//	{"id": "17.1-18", "result": {"aep": 4.2, "layout": [[0, 0], [900, 0]]}}
//
// It is asked for one task at a time, with all keys and parameters of the task
// in params, and answers before it reads the next line. Instead of the result
// it may report
//
//	{"id": "17.1-18", "error": {"type": "ValueError", "message": "...", "traceback": "..."}}
//
// or the error as plain text. Lines with the id and "progress", and a greeting
// {"hello": {"name": ..., "version": ...}}, are allowed and change nothing.
// Every other line, all of standard error, and what stands before an answer on
// its line, is the log of the task. A result has every column and nothing
// else. A column without a shape takes one value; others take arrays nested as
// the shape is, row-major, or one flat array with exactly as many elements. Along
// padded dimensions nested arrays may be shorter; fill values stand for the
// rest, which no limit is for.
// NaN, Infinity and -Infinity may stand bare, null is NaN in a column of
// floats; whether a column takes them is for its declaration to say. An answer
// is 64 MiB long at most. At the end of its input the program is to exit; one
// that exits with status 0 after an answer is started again for the next task.
//
// Large arrays need not go through JSON: {"$npy": "layout.npy"} stands for the
// array in a file of that name, written by numpy.save or its like, in the
// directory that the environment variable WINDROW_SCRATCH names. The directory
// is emptied after each task.
//
// In mode exec there is a process for each task, in an empty directory of its
// own, which is WINDROW_SCRATCH, too. It finds there the request, as
// params.json, and leaves result.json, the object that would be the result
// above, or result.h5, an HDF5 file with a dataset for each column. It answers by exiting with status 0; what it prints is its log.
// {name} in an argument of the command is replaced by the parameter of that
// name.
//
// Whatever a task does, it costs only itself: a panic, a signal, an exit, a
// hang or a wrong answer becomes an *Error with the class that decides how
// often the task is tried again. Every other error is about the machine or the
// configuration and must not be charged to the task.
//
// The rows are a function of the spec and the task alone. All that is random
// in a simulation is to come from Job.Seed, which is the same for every
// attempt on every worker.
package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// Simulator computes the result columns of tasks, one at a time. It is not
// safe for concurrent use.
type Simulator interface {
	// Simulate fills the result columns of row, whose other columns the caller
	// has set, and checks what the columns declare. It returns an
	// *Error where the task failed, with the result columns in any state; the
	// error of ctx where that ended first, which is not a failure of the task;
	// and any other error, as ErrStart and ErrFilesChanged, where no task can
	// be computed.
	Simulate(ctx context.Context, job Job, row table.Row) error

	// Close stops what the simulator holds. It may be called more than once.
	Close() error
}

// Job is one attempt at one task.
type Job struct {
	Task    message.Task
	Seed    uint64   // of the task, from Seed
	Attempt int      // counted from 1
	Keys    []string // names of the key columns, in the order of Task.Key
}

// Error is the failure of one task.
type Error struct {
	Class   message.Class
	Message string   // one line
	Log     []string // last lines of what the task printed, or of the stack
}

func (e *Error) Error() string { return string(e.Class) + ": " + e.Message }

// Errors that no task is to blame for. Trying again does not help until
// somebody has changed something.
var (
	// ErrStart says that the command cannot be started: it does not exist or
	// must not be executed.
	ErrStart = errors.New("the command cannot be started")

	// ErrFilesChanged says that a file the run was planned with has other
	// bytes now, or is gone: rows would come from two programs.
	ErrFilesChanged = errors.New("a file of the run has changed")
)

// Options says where and with what a simulator runs.
type Options struct {
	Dir   string         // working directory of a command, and where Files are
	Files []message.File // what the run was planned with
	Log   *slog.Logger   // what a command prints, at level Debug

	// KeepFailed is where the directories of failed tasks stay, for a command
	// in mode exec. Without it they are temporary and removed.
	KeepFailed string

	// Reader reads result.h5, for a command in mode exec, and the netCDF files
	// of a wind farm.
	Reader *foreign.Reader
}

// Description says what a simulator computes.
type Description struct {
	Model   string        // name and version, as in "windfarm 1"; part of the run's digest
	Source  string        // how the rows come about, for the dataset's `source` attribute
	Columns table.Columns // results
	Inputs  []message.Input

	Warnings []string // what is odd about the files that the spec names
}

// Describe returns what the simulator of s computes, or spec.Problems that say
// why it cannot compute the tasks of s. The reader reads the HDF5 files that the
// spec leads to.
func Describe(ctx context.Context, s *spec.Spec, reader *foreign.Reader) (Description, error) {
	switch c := s.Simulator; {
	case c.Windfarm != nil:
		var warnings []string
		files := newFiles(ctx, s.Dir(), reader)
		files.Warn = func(text string) { warnings = append(warnings, text) }
		d, err := describeWindfarm(s, files)
		d.Warnings = warnings
		return d, err
	case c.Noop != nil:
		return describeNoop(), nil
	case c.Sleep != nil:
		return describeSleep(), nil
	case c.Command != nil:
		return describeCommand(s), nil
	}
	return Description{}, errNoSimulator
}

// New returns the simulator of s. A command is not started before its first
// task.
func New(ctx context.Context, s *spec.Spec, opts Options) (Simulator, error) {
	switch c := s.Simulator; {
	case c.Windfarm != nil:
		if err := CheckFiles(opts.Dir, FilesOf(s, opts.Files)); err != nil {
			return nil, err
		}
		w, err := newWindfarm(s, newFiles(ctx, opts.Dir, opts.Reader))
		if err != nil {
			return nil, fmt.Errorf("read the wind farm of the run: %w", err)
		}
		return &builtin{w.simulate, layoutName, opts.Reader}, nil
	case c.Noop != nil:
		return &builtin{noop, seedColumn().Name, opts.Reader}, nil
	case c.Sleep != nil:
		return &builtin{sleep(c.Sleep.Duration), seedColumn().Name, opts.Reader}, nil
	case c.Command != nil:
		if c.Command.Exec {
			return &execution{Command: c.Command, columns: s.Columns, options: opts, oom: newOOMWatch()}, nil
		}
		return newCommand(s, opts), nil
	}
	return nil, errNoSimulator
}

var errNoSimulator = errors.New("the spec names no simulator")

// firstResult returns the position in row of the first result column, which
// others follow without a gap.
func firstResult(row table.Row, name string) (int, error) {
	if c := row.Columns().Index(name); c >= 0 {
		return c, nil
	}
	return 0, fmt.Errorf("the rows of the run have no column %q", name)
}

// checkRow makes a breach of what a column declares the failure of its task.
func checkRow(row table.Row) error { return breachOf(row.Check()) }

// checkGiven does so for an element of a padded column, where the row does not
// tell a fill value that the simulator has given.
func checkGiven(row table.Row, c, i int) error {
	if len(row.Columns()[c].Padded) == 0 {
		return nil
	}
	return breachOf(row.CheckElement(c, i))
}

func breachOf(err error) error {
	if breach, ok := errors.AsType[*table.ContractError](err); ok {
		return &Error{Class: message.ClassInvalidOutput, Message: breach.Error()}
	}
	if err != nil {
		return fmt.Errorf("check row: %w", err)
	}
	return nil
}
