package h5

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
)

// Errors that say what is wrong with a file, in words for its owner.
var (
	// ErrNotHDF5 says that the file does not start as an HDF5 file does: it is
	// something else, or nothing of it was ever written.
	ErrNotHDF5 = errors.New("not an HDF5 file")
	// ErrTruncated says that the file is shorter than it says of itself, or
	// still marked as being written: its writer was stopped before it closed
	// the file.
	ErrTruncated = errors.New("stopped before it was closed")
	// ErrNotFound says that there is no object or attribute of that name.
	ErrNotFound = errors.New("not there")
)

// Error is what a call of libhdf5 failed with.
type Error struct {
	Op     string // what was tried
	Object string // file, dataset or attribute
	Reason string // the innermost entry of libhdf5's error stack
	Kind   error  // ErrNotHDF5, ErrTruncated, ErrNotFound, os.ErrExist, os.ErrClosed, a syscall.Errno or nil
}

func (e *Error) Error() string {
	var errno syscall.Errno
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("%s %s: %s", e.Op, e.Object, e.Reason)
	case errors.As(e.Kind, &errno):
		return fmt.Sprintf("%s %s: %s: %s", e.Op, e.Object, what(e.Reason), errno)
	case errors.Is(e.Kind, ErrTruncated):
		return fmt.Sprintf("%s %s: %s%s", e.Op, e.Object, e.Kind, e.sizes())
	}
	return fmt.Sprintf("%s %s: %s", e.Op, e.Object, e.Kind)
}

// Unwrap returns the kind of the error.
func (e *Error) Unwrap() error { return e.Kind }

// newError returns the error of a call that failed for the reason that libhdf5
// gave, or else with err.
func newError(op, object, reason string, err error) *Error {
	e := &Error{Op: op, Object: object, Reason: reason}
	if reason == "" {
		e.Reason = err.Error()
		if errors.Is(err, os.ErrClosed) {
			e.Kind = os.ErrClosed
		}
		return e
	}
	m := errno.FindStringSubmatch(reason)
	switch {
	case m != nil:
		n, _ := strconv.Atoi(m[1]) // digits
		e.Kind = syscall.Errno(n)
	case reason == "file exists":
		e.Kind = os.ErrExist
	case strings.Contains(reason, "file signature not found"), strings.Contains(reason, "not a valid superblock"):
		e.Kind = ErrNotHDF5
	case strings.Contains(reason, "truncated file"), strings.Contains(reason, "file is already open for write"):
		e.Kind = ErrTruncated
	case strings.Contains(reason, "doesn't exist"), strings.Contains(reason, "can't locate attribute"), strings.Contains(reason, "not found"):
		e.Kind = ErrNotFound
	}
	return e
}

// errno is how libhdf5 tells the error of a system call, after what it did:
// "file write failed: time = ..., errno = 28, error message = ...".
var errno = regexp.MustCompile(`\berrno = (\d{1,4}), error message = `)

// what returns what failed, the words before libhdf5's details.
func what(reason string) string {
	if i := strings.IndexAny(reason, ":,"); i >= 0 {
		return reason[:i]
	}
	return reason
}

// eof is how libhdf5 tells the size a file has and the size it should have.
var eof = regexp.MustCompile(`eof = (\d+), .*stored_eof = (\d+)`)

func (e *Error) sizes() string {
	m := eof.FindStringSubmatch(e.Reason)
	if m == nil {
		return ""
	}
	have, errHave := strconv.ParseInt(m[1], 10, 64)
	want, errWant := strconv.ParseInt(m[2], 10, 64)
	if errHave != nil || errWant != nil {
		return ""
	}
	return fmt.Sprintf(": %s of %s bytes", humanize.Comma(have), humanize.Comma(want))
}
