package dataset

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"windrow/internal/message"
	"windrow/internal/table"
)

// maxFailureMessage is the longest message in a dataset, in bytes.
const maxFailureMessage = 512

// failed are the failed tasks of a run.
type failed struct {
	rows *table.Block    // of the group `failed`, in the order of the tasks; nil without failures
	at   map[int64]int   // row of each task
	keys [][]table.Value // of each row
}

// newFailed returns the failures, which may be in any order. Their attempts,
// seconds and copies are left out: those differ from run to run.
func newFailed(planned *message.Planned, failures []message.Failure) (*failed, error) {
	f := &failed{at: map[int64]int{}}
	if len(failures) == 0 {
		return f, nil
	}
	sorted := slices.SortedFunc(slices.Values(failures), func(a, b message.Failure) int { return cmp.Compare(a.Index, b.Index) })
	f.rows = table.NewBlock(failedColumns(planned, sorted), len(sorted))
	for i, failure := range sorted {
		if f.has(failure.Index) {
			return nil, fmt.Errorf("task %d is among the failures twice", failure.Index)
		}
		if failure.Index < 0 || failure.Index >= planned.Tasks || len(failure.Key) != len(planned.Keys) {
			return nil, fmt.Errorf("failure of task %d with %d key values: the run has %d tasks and %d keys",
				failure.Index, len(failure.Key), planned.Tasks, len(planned.Keys))
		}
		if err := setFailure(f.rows.Append(), failure); err != nil {
			return nil, fmt.Errorf("failure of task %d: %w", failure.Index, err)
		}
		f.at[failure.Index] = i
		f.keys = append(f.keys, failure.Key)
	}
	return f, nil
}

func (f *failed) has(task int64) bool {
	_, ok := f.at[task]
	return ok
}

func (f *failed) count() int64 { return int64(len(f.at)) }

// fill makes the failed ones among the rows of the tasks first, first+1, ...
// what they are where failed rows are kept: task and key, and the fill value
// of each result.
func (f *failed) fill(first int64, block *table.Block) error {
	for i := range block.Len() {
		if task := first + int64(i); f.has(task) {
			if err := f.fillRow(task, block.Row(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *failed) fillRow(task int64, row table.Row) error {
	for c := range row.Columns() {
		row.FillColumn(c)
	}
	row.SetTask(task)
	if err := row.SetKey(f.keys[f.at[task]]); err != nil {
		return fmt.Errorf("failure of task %d: %w", task, err)
	}
	return nil
}

// status returns the values of the column `status` of n tasks.
func (f *failed) status(first int64, n int) []byte {
	status := make([]byte, n)
	for i := range status {
		if at, ok := f.at[first+int64(i)]; ok {
			code := f.rows.Row(at).Bytes(1 + len(f.keys[at]) + 1)
			status[i] = 1 + code[0]
		}
	}
	return status
}

// failedColumns returns the columns index, the keys, class, class_code and
// message. A key that is called like one of the others gets the prefix key_.
func failedColumns(planned *message.Planned, failures []message.Failure) table.Columns {
	longest, longestClass := 1, 1
	for _, failure := range failures {
		longest = max(longest, len(Normalise(failure.Message)))
	}
	for _, name := range classNames() {
		longestClass = max(longestClass, len(name))
	}
	own := table.Columns{
		{Name: "index", Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "task index", Description: "position of the failed task in the task list, counted from 0"},
		{Name: "class", Type: table.Type{Kind: table.String, Length: longestClass}, LongName: "class of the failure"},
		{Name: "class_code", Type: table.Type{Kind: table.Int8}, Unit: "1", LongName: "class of the failure", Flags: classNames()},
		{Name: "message", Type: table.Type{Kind: table.String, Length: longest}, LongName: "first line of the message", Description: "without what differs from attempt to attempt: paths, addresses, times, process ids"},
	}
	columns := own[:1:1]
	for _, key := range planned.Columns[1 : 1+len(planned.Keys)] {
		if own.Index(key.Name) >= 0 {
			key.Name = "key_" + key.Name
		}
		columns = append(columns, key)
	}
	return append(columns, own[1:]...)
}

func setFailure(row table.Row, failure message.Failure) error {
	code := slices.Index(message.Classes, failure.Class)
	if code < 0 {
		return fmt.Errorf("class %q is unknown", failure.Class)
	}
	row.SetTask(failure.Index)
	for k, value := range failure.Key {
		if err := row.Set(1+k, 0, value.Any()); err != nil {
			return err
		}
	}
	after := 1 + len(failure.Key)
	for i, value := range []any{string(failure.Class), int64(code), Normalise(failure.Message)} {
		if err := row.Set(after+i, 0, value); err != nil {
			return err
		}
	}
	return nil
}

// varying are parts of messages that differ from attempt to attempt or from
// machine to machine, in the order in which they are replaced.
var varying = []struct {
	pattern *regexp.Regexp
	by      string
}{
	{regexp.MustCompile(`0x[0-9a-fA-F]+`), "<addr>"},
	{regexp.MustCompile(`(^|[\s"'(=:,\[])/[^\s"'():,;\]]+`), "$1<path>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?`), "<time>"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d(\.\d+)?\b`), "<time>"},
	{regexp.MustCompile(`\b(?i:(pid|process|thread|goroutine))([ :=]+)\d+\b`), "$1$2<id>"},
	{regexp.MustCompile(`\(peak [^)]*\)`), "(peak <size>)"},
	{regexp.MustCompile(`\b\d+(\.\d+)? ?(ns|us|µs|ms|s|seconds?)\b`), "<duration>"},
}

// Normalise returns the first line of a failure's message as it stands in a
// dataset: printable ASCII, at most maxFailureMessage bytes, with <addr>,
// <path>, <time>, <id> and <duration> for what is likely to differ when the
// same task fails again.
func Normalise(text string) string {
	text = message.FirstLine(text, message.MaxRecordBytes)
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.by)
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return message.Cut(text, maxFailureMessage)
}
