// Package tasklist reads the files in which a user lists tasks: CSV with a
// header, or JSON Lines. Both are streamed, so that a list may be far larger
// than memory.
//
// The fields that the key names identify a task; they are integers, numbers
// with a point, or text, and each key is of one type throughout the list. All
// other fields are parameters, which become a JSON object: in CSV a field that
// is a number in JSON's notation is that number, an empty field is null, and
// everything else is text (so 007 and +1 are text); in JSON Lines they are what
// they are. Parameters are sorted by name; a parameter is of one value, but
// records of JSON Lines need not have the same ones.
package tasklist

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
)

// MaxRecordBytes is the size of the longest line or record.
const MaxRecordBytes = 256 << 10

// maxProblems is how many problems of one list are reported.
const maxProblems = 20

// List is a task list that was read once and found good.
type List struct {
	path    string
	key     []string
	count   int64
	columns table.Columns
	size    int64
	changed time.Time
}

// Open reads the whole list at path and checks that every task has a key of
// the right types that no other task has. The error is of type form.Problems.
func Open(path string, key []string) (*List, error) {
	l := &List{path: path, key: key}
	if err := l.check(); err != nil {
		return nil, err
	}
	return l, nil
}

// Count returns the number of tasks.
func (l *List) Count() int64 { return l.count }

// KeyColumns returns the columns of the key: i32 if all values fit, i64, f64
// or string(n).
func (l *List) KeyColumns() table.Columns { return l.columns }

// Tasks yields the tasks from the one with index first on, in the order of the
// list. An error, which is of type form.Problems, ends the sequence; one is
// that the file is not what it was when it was opened.
func (l *List) Tasks(first int64) iter.Seq2[message.Task, error] {
	return func(yield func(message.Task, error) bool) {
		if err := l.each(first, func(t message.Task) bool { return yield(t, nil) }); err != nil {
			yield(message.Task{}, err)
		}
	}
}

func (l *List) each(first int64, do func(message.Task) bool) error {
	f, r, err := l.open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if err := l.checkUnchanged(f); err != nil {
		return err
	}
	for index := int64(0); ; index++ {
		rec, err := r.read(index >= first)
		switch {
		case errors.Is(err, io.EOF):
			return l.checkUnchanged(f)
		case err != nil:
			return l.asProblems(err)
		case index < first:
			continue
		}
		if !do(message.Task{Index: index, Key: rec.key, Params: rec.params}) {
			return nil
		}
	}
}

func (l *List) checkUnchanged(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return l.problem(0, "", "%v", err)
	}
	if info.Size() != l.size || !info.ModTime().Equal(l.changed) {
		return l.problem(0, "", "has changed since it was checked")
	}
	return nil
}

// record is one task as it stands in the file.
type record struct {
	line   int
	key    []table.Value
	params []byte // JSON, nil if there are none
}

// reader reads the records of a file one by one, until io.EOF. Parameters are
// made only where they are wanted.
type reader interface {
	read(wantParams bool) (record, error)
}

func (l *List) open() (*os.File, reader, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, nil, l.problem(0, "", "%v", bare(err))
	}
	var r reader
	if strings.HasSuffix(l.path, ".jsonl") {
		r = newJSONReader(f, l.key)
	} else {
		r, err = newCSVReader(f, l.key)
	}
	if err != nil {
		return nil, nil, errors.Join(l.asProblems(err), f.Close())
	}
	return f, r, nil
}

// bare returns err without the path, which stands before it anyway.
func bare(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// lineError is what is wrong with one record.
type lineError struct {
	line    int
	field   string
	message string
	fatal   bool // what follows cannot be read
}

func (e *lineError) Error() string { return e.message }

func (l *List) problem(line int, field, format string, args ...any) form.Problems {
	return form.Problems{{File: l.path, Line: line, Field: field, Message: fmt.Sprintf(format, args...)}}
}

func (l *List) asProblems(err error) form.Problems {
	if e, ok := errors.AsType[*lineError](err); ok {
		return l.problem(e.line, e.field, "%s", e.message)
	}
	return l.problem(0, "", "%v", bare(err))
}
