package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// execution is a command in mode exec: a fresh process for each task, in a
// directory of its own. The package comment has what stands in it.
type execution struct {
	*spec.Command

	columns table.Columns
	options Options
	files   fileCheck
	oom     *oomWatch
}

const (
	paramsFile = "params.json"
	resultFile = "result.json"
)

// Simulate implements Simulator.
func (e *execution) Simulate(ctx context.Context, job Job, row table.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	first, err := firstResult(row, e.columns[0].Name)
	if err != nil {
		return err
	}
	if err := e.files.check(e.options.Dir, e.options.Files); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.options.KeepFailed, fmt.Sprintf("windrow-task%d-attempt%d-", job.Task.Index, job.Attempt))
	if err != nil {
		return fmt.Errorf("make the directory of task %d: %w", job.Task.Index, err)
	}
	err = e.compute(ctx, job, row, first, dir)
	if failure, ok := errors.AsType[*Error](err); ok && e.options.KeepFailed != "" {
		e.options.Log.InfoContext(ctx, "directory of a failed task kept", slog.String("dir", dir), slog.String("why", failure.Error()))
		return err
	}
	if removed := removeDir(dir); removed != nil && err == nil {
		err = fmt.Errorf("remove the directory of task %d: %w", job.Task.Index, removed)
	}
	return err
}

// removeDir removes the directory of a task. Most have only what is removed
// first, which takes a third of the system calls.
func removeDir(dir string) error {
	for _, name := range []string{paramsFile, resultFile} {
		_ = unix.Unlink(filepath.Join(dir, name)) // it may not be there
	}
	if unix.Rmdir(dir) == nil {
		return nil
	}
	return os.RemoveAll(dir)
}

// Close implements Simulator. No process of the user's outlives its task.
func (e *execution) Close() error {
	if e.options.Reader != nil {
		e.options.Reader.Close()
	}
	return nil
}

func (e *execution) compute(ctx context.Context, job Job, row table.Row, first int, dir string) error {
	id := fmt.Sprintf("%d.%d", job.Task.Index, job.Attempt)
	request, err := newRequest(id, job, e.StartTimeout+e.Timeout)
	if err != nil {
		return err
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("encode request for task %d: %w", job.Task.Index, err)
	}
	if err := os.WriteFile(filepath.Join(dir, paramsFile), append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the parameters of task %d: %w", job.Task.Index, err)
	}
	command := *e.Command
	if command.Args, err = e.arguments(request.Params); err != nil {
		return err
	}
	log, err := e.run(ctx, &command, dir)
	if err != nil {
		return err
	}
	err = e.takeResult(ctx, row, first, dir)
	if err == nil {
		err = checkRow(row)
	}
	if failure, ok := errors.AsType[*Error](err); ok {
		failure.Log = log
	}
	return err
}

// takeResult puts what a process has left in its directory into the columns of
// row from first on.
func (e *execution) takeResult(ctx context.Context, row table.Row, first int, dir string) error {
	result, err := readResult(dir)
	hdf5 := hdf5Result{e.options.Reader, filepath.Join(dir, resultHDF5)}
	switch there := hdf5.isThere(); {
	case there && errors.Is(err, errNoResult):
		return hdf5.into(ctx, row, first, e.columns)
	case there:
		return invalid("the program left both %s and %s", resultFile, resultHDF5)
	case errors.Is(err, errNoResult):
		return invalid("the program ended with status 0 and left no %s", resultFile)
	case err != nil:
		return err
	}
	return setResult(row, first, e.columns, result, dir)
}

var placeholder = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_]*\}`)

// arguments returns the command's arguments for a task: parameters in place of
// their names, and absolute paths for the program and the files of the run,
// because the process starts in another directory.
func (e *execution) arguments(params map[string]json.RawMessage) ([]string, error) {
	dir, err := filepath.Abs(e.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the directory of the spec: %w", err)
	}
	args := slices.Clone(e.Args)
	for i, arg := range args {
		isFile := slices.ContainsFunc(e.options.Files, func(f message.File) bool { return f.Path == filepath.Clean(arg) })
		if (isFile || i == 0 && strings.Contains(arg, "/")) && !filepath.IsAbs(arg) {
			args[i] = filepath.Join(dir, arg)
			continue
		}
		var missing string
		args[i] = placeholder.ReplaceAllStringFunc(arg, func(name string) string {
			value, ok := params[strings.Trim(name, "{}")]
			if !ok {
				missing = name
			}
			var text string
			if json.Unmarshal(value, &text) == nil {
				return text
			}
			return string(value)
		})
		if missing != "" {
			return nil, &Error{Class: message.ClassError, Message: fmt.Sprintf("argument %q of the command: the task has no parameter %s", arg, missing)}
		}
		if strings.ContainsRune(args[i], 0) {
			return nil, &Error{Class: message.ClassError, Message: fmt.Sprintf("argument %q of the command: the parameter has a NUL", arg)}
		}
	}
	return args, nil
}

// run lets a process do its work, and returns what it printed last.
func (e *execution) run(ctx context.Context, command *spec.Command, dir string) ([]string, error) {
	child, err := startChild(command, dir, dir, e.oom, e.options.Log)
	if err != nil {
		return nil, startError(err)
	}
	child.greeted = func() {}
	child.allowed = e.StartTimeout + e.Timeout
	over := time.NewTimer(child.allowed)
	defer over.Stop()
	child.expireAlive(time.Now().Add(child.allowed))
	stop := context.AfterFunc(ctx, func() { child.expire(time.Unix(1, 0)) })
	defer stop()

	err = child.readAll()
	select { // the output may end before the process
	case <-child.exited:
	case <-over.C:
	case <-ctx.Done():
	}
	switch end := child.end(0); {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case child.tooBig: // the end of the process orders the reading
		return nil, child.outgrown(e.MaxRSS, end)
	case !end.bySelf:
		return nil, child.timeout("not done")
	case !end.clean():
		return nil, child.crash(end.String())
	case err != nil:
		return nil, err
	}
	return child.log.lines(), nil
}

// readAll logs what the program prints until its output ends, or its time is
// over. A line that is far too long is a failure of the task.
func (c *child) readAll() error {
	for {
		line, err := c.readLine()
		c.note(line)
		if failure, ok := errors.AsType[*Error](err); ok {
			return failure
		}
		if err != nil {
			return nil //nolint:nilerr // how the process ends says more
		}
	}
}

var errNoResult = errors.New("there is no " + resultFile)

// readResult reads the JSON that a process has left in its directory.
func readResult(dir string) (map[string]json.RawMessage, error) {
	data, err := readPlain(dir, resultFile, maxLineLength)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoResult
	case err != nil:
		return nil, invalid("%s: %v", resultFile, err)
	}
	var result map[string]json.RawMessage
	if err := json.Unmarshal(standardJSON(data), &result); err != nil || result == nil {
		return nil, invalid("%s is not a JSON object of columns", resultFile)
	}
	return result, nil
}

// readPlain reads a file in a directory that a program of the user's has
// written: a regular file, no link to another place, of limit bytes at most.
func readPlain(dir, name string, limit int64) ([]byte, error) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return nil, fmt.Errorf("%s is not the plain name of a file", strconv.Quote(message.Cut(name, 64)))
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, errors.New("is a link")
	} else if err != nil {
		return nil, bareError(err)
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, bareError(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a regular file")
	case info.Size() > limit:
		return nil, fmt.Errorf("has %d bytes, %d at most are expected", info.Size(), limit)
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	if err != nil {
		return nil, bareError(err)
	}
	return data[:n], nil
}

// bareError returns err without the path, which is another one in each attempt.
func bareError(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
