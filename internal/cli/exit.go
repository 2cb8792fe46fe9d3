package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"windrow/internal/broker"
	"windrow/internal/dataset"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/merger"
	"windrow/producer"
	"windrow/worker"
)

// The exit codes, which docs/OPERATIONS.md explains.
const (
	exitOK          = 0
	exitInternal    = 1
	exitUsage       = 2
	exitAllowed     = 3
	exitIncomplete  = 4
	exitCorrupt     = 5
	exitBroker      = 6
	exitTask        = 10 // of `simulate`: plus the position of the class of its failure
	exitInterrupted = 130
)

const exitCodes = `    0  complete and verified
    1  internal error
    2  wrong usage, or errors in the spec
    3  sealed, with failed tasks that failures.allow permits
    4  incomplete: too many tasks failed, or the run was cancelled
    5  verification failed, or the input is corrupt
    6  broker, disk or another part of the machinery is not usable
  130  interrupted; the state is kept
`

// exitError is an error with its exit code and the command that helps.
type exitError struct {
	code int
	err  error
	next string // a command line, or empty
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// explain returns the exit code of an error and what the user reads: what went
// wrong, and below it what to do.
func explain(err error, interrupted bool) (code int, text string) {
	if err == nil {
		return exitOK, ""
	}
	text = strings.TrimSpace(err.Error())
	if known, ok := errors.AsType[*exitError](err); ok {
		if known.next != "" {
			text += "\nnext: " + known.next
		}
		return known.code, text
	}
	if errors.Is(err, context.Canceled) && interrupted {
		return exitInterrupted, "interrupted; what was announced is kept"
	}
	return codeOf(err), text
}

// halted gives an interruption the words of a command that keeps no state.
func halted(err error, left string) error {
	if errors.Is(err, context.Canceled) {
		return &exitError{exitInterrupted, errors.New("interrupted; " + left), ""}
	}
	return err
}

// codeOf classifies the errors of the components.
func codeOf(err error) int {
	for _, known := range codes {
		if errors.Is(err, known.sentinel) {
			return known.code
		}
	}
	if _, ok := errors.AsType[spec.Problems](err); ok {
		return exitUsage
	}
	if isSystem(err) {
		return exitBroker
	}
	return exitInternal
}

// isSystem tells whether the error is the operating system's: of a file, a
// disk, a lock.
func isSystem(err error) bool {
	_, path := errors.AsType[*fs.PathError](err)
	_, link := errors.AsType[*os.LinkError](err)
	_, errno := errors.AsType[syscall.Errno](err)
	_, space := errors.AsType[*dataset.NoSpaceError](err)
	return path || link || errno || space
}

// codes are looked through in this order.
var codes = []struct {
	sentinel error
	code     int
}{
	{simulator.ErrStart, exitUsage},
	{simulator.ErrFilesChanged, exitUsage},
	{merger.ErrTooManyFailures, exitIncomplete},
	{merger.ErrCancelled, exitIncomplete},
	{merger.ErrVerify, exitCorrupt},
	{dataset.ErrForeign, exitCorrupt},
	{dataset.ErrCorrupt, exitCorrupt},
	{merger.ErrFolder, exitBroker},
	{worker.ErrShards, exitBroker},
	{producer.ErrSecondProducer, exitBroker},
	{ledger.ErrGone, exitBroker},
	{broker.ErrLocked, exitBroker},
	{message.ErrFull, exitBroker},
	{queue.ErrUnreachable, exitBroker},
	{queue.ErrRefused, exitBroker},
	{queue.ErrDenied, exitBroker},
	{queue.ErrNoRun, exitBroker},
}
