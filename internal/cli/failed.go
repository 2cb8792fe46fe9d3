package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/table"
)

type failedOptions struct {
	connectFlags
	json, csv bool
}

func newFailed(a *app) *cobra.Command {
	o := failedOptions{}
	c := &cobra.Command{
		Use:   "failed [RUN]",
		Short: "List the tasks of a run that failed, by class and message",
		Long: `List the tasks of a run that failed. Failures of one class whose messages
differ only in numbers, paths, addresses and times are one group: how many
tasks, a message, the first and the last to fail, and the command that computes
one of them here, to see what happens.

--json prints the groups with the last lines that their first task printed;
--csv prints a line for each failed task.`,
		Example: `  windrow failed
  windrow failed tenders-1a2b3c4d
  windrow failed --json | jq '.groups[] | {class, count, message}'
  windrow failed --csv > failed.csv`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if o.json && o.csv {
				return usageError(c, errors.New("--json and --csv exclude each other"))
			}
			return a.failed(c.Context(), o, firstOf(args))
		},
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.json, "json", false, "print the groups as JSON")
	c.Flags().BoolVar(&o.csv, "csv", false, "print each failed task as a line of CSV")
	return c
}

func (a *app) failed(ctx context.Context, o failedOptions, id string) error {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if o.csv {
		return writeFailures(a.stdout, s)
	}
	groups := groupFailures(s)
	if err := addLogs(ctx, run, groups); err != nil {
		return err
	}
	for _, g := range groups {
		g.Repeat = fmt.Sprintf("windrow simulate %s --task %d%s", run.ID(), g.First.Task, o.again())
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(failedReport{Run: run.ID(), Tasks: s.Tasks(), Failed: s.Failed(), Groups: groups})
	}
	if s.Failed() == 0 {
		fmt.Fprintf(a.stdout, "%s: no task failed\n", run.ID())
		return nil
	}
	fmt.Fprintf(a.stdout, "%s: %s of %d failed\n", run.ID(), plural(int(s.Failed()), "task"), s.Tasks())
	for _, g := range groups[:min(len(groups), shownGroups)] {
		g.print(a.stdout)
	}
	if more := len(groups) - shownGroups; more > 0 {
		fmt.Fprintf(a.stdout, "and %s: windrow failed %s --json%s\n", plural(more, "smaller group"), run.ID(), o.again())
	}
	reopen := ""
	if sealed, _ := s.Sealed(); sealed != nil {
		reopen = " --reopen"
	}
	fmt.Fprintf(a.stdout, "next: windrow replay %s --failed%s%s\n", run.ID(), reopen, o.again())
	return nil
}

// What is shown to people; --json and --csv have it all.
const (
	shownGroups = 20
	shownRanges = 10
	shownLines  = 5
)

// failedReport is what --json prints.
type failedReport struct {
	Run    message.RunID   `json:"run"`
	Tasks  int64           `json:"tasks"`
	Failed int64           `json:"failed"`
	Groups []*failureGroup `json:"groups"`
}

// failureGroup is the failures of one class that say the same.
type failureGroup struct {
	ID      string         `json:"id"` // of class and pattern: the same in every run
	Class   message.Class  `json:"class"`
	Pattern string         `json:"pattern"` // what the messages have in common
	Message string         `json:"message"` // of the first
	Count   int            `json:"count"`
	Rows    message.Ranges `json:"rows"`
	First   failedTask     `json:"first"` // to fail
	Last    failedTask     `json:"last"`
	Log     []string       `json:"log"` // last lines that First printed
	Repeat  string         `json:"repeat"`

	indexes []int64
	seq     uint64 // of the event that has First
}

// failedTask is a failed task as reports name it.
type failedTask struct {
	Task     int64     `json:"task"`
	Key      taskKey   `json:"key"`
	Attempts int       `json:"attempts"`
	Seconds  float64   `json:"seconds"`
	Worker   string    `json:"worker"`
	Time     time.Time `json:"time"`
}

func newFailedTask(f *ledger.Failure, keys []string) failedTask {
	return failedTask{f.Index, taskKey{keys, f.Key}, f.Attempts, f.Seconds, f.Worker, f.Time.UTC()}
}

// taskKey is the key of a task with its names: an object in JSON.
type taskKey struct {
	names  []string
	values []table.Value
}

// String returns the key as --key takes it.
func (k taskKey) String() string {
	var pairs []string
	for i, v := range k.values[:min(len(k.values), len(k.names))] {
		pairs = append(pairs, k.names[i]+"="+v.String())
	}
	return strings.Join(pairs, ",")
}

// MarshalJSON implements json.Marshaler.
func (k taskKey) MarshalJSON() ([]byte, error) {
	object := map[string]table.Value{}
	for i, v := range k.values[:min(len(k.values), len(k.names))] {
		object[k.names[i]] = v
	}
	return json.Marshal(object)
}

var number = regexp.MustCompile(`[-+]?\d+(\.\d+)?([eE][-+]?\d+)?`)

// patternOf returns what a message has in common with those of other tasks
// that fail for the same reason.
func patternOf(text string) string {
	return number.ReplaceAllString(dataset.Normalise(text), "#")
}

// groupFailures returns the largest group first. The order depends on what
// failed alone, not on when or where.
func groupFailures(s *ledger.State) []*failureGroup {
	type kind struct {
		class   message.Class
		pattern string
	}
	groups := map[kind]*failureGroup{}
	var keys []string
	if p := s.Planned(); p != nil {
		keys = p.Keys
	}
	sorted := []*failureGroup{}
	for _, failure := range s.Failures() {
		f := s.Failure(failure.Index)
		k := kind{f.Class, patternOf(f.Message)}
		task := newFailedTask(f, keys)
		g := groups[k]
		if g == nil {
			g = &failureGroup{ID: groupID(k.class, k.pattern), Class: k.class, Pattern: k.pattern, Message: message.FirstLine(f.Message, 200), First: task, Last: task, seq: f.Seq}
			groups[k] = g
			sorted = append(sorted, g)
		}
		if task.Time.After(g.Last.Time) {
			g.Last = task
		}
		if task.Time.Before(g.First.Time) {
			g.First, g.seq, g.Message = task, f.Seq, message.FirstLine(f.Message, 200)
		}
		g.indexes = append(g.indexes, f.Index)
	}
	for _, g := range sorted {
		g.Count, g.Rows = len(g.indexes), message.RangesOf(g.indexes)
	}
	slices.SortFunc(sorted, func(a, b *failureGroup) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Rows[0].First, b.Rows[0].First))
	})
	return sorted
}

// groupID returns the name of a group: short, and the same as long as there is
// one.
func groupID(class message.Class, pattern string) string {
	sum := sha256.Sum256([]byte(string(class) + "\n" + pattern))
	return hex.EncodeToString(sum[:3])
}

// addLogs reads the logs of the groups' first tasks, which the state does not
// keep.
func addLogs(ctx context.Context, run *queue.Run, groups []*failureGroup) error {
	type place struct {
		seq  uint64
		task int64
	}
	wanted := map[place]*failureGroup{}
	for _, g := range groups {
		wanted[place{g.seq, g.First.Task}] = g
	}
	if len(wanted) == 0 {
		return nil
	}
	return eachEvent(ctx, run, func(e ledger.Entry) {
		event, ok := e.Event.(*message.Failed)
		if !ok {
			return
		}
		for _, f := range event.Failures {
			if g := wanted[place{e.Seq, f.Index}]; g != nil {
				g.Log = f.Log
			}
		}
	})
}

func (g *failureGroup) print(w io.Writer) {
	fmt.Fprintf(w, "%5d  %s: %s\n", g.Count, g.Class, g.Message)
	fmt.Fprintf(w, "       group %s, tasks %s\n", g.ID, shortRanges(g.Rows))
	fmt.Fprintf(w, "       first: task %s\n", g.First)
	if g.Last.Task != g.First.Task {
		fmt.Fprintf(w, "       last:  task %s\n", g.Last)
	}
	for _, line := range g.Log[max(0, len(g.Log)-shownLines):] {
		fmt.Fprintf(w, "       | %s\n", message.FirstLine(line, 200))
	}
	fmt.Fprintf(w, "       repeat it: %s\n", g.Repeat)
}

// String returns the task as people read it.
func (t failedTask) String() string {
	return fmt.Sprintf("%d (%s), %s, %.3g s, %s, %s", t.Task, t.Key, plural(t.Attempts, "attempt"), t.Seconds,
		t.Worker, t.Time.Local().Format(time.DateTime)) //nolint:gosmopolitan // people read their own clock
}

// shortRanges returns the ranges, without the middle of many.
func shortRanges(rows message.Ranges) string {
	if len(rows) <= shownRanges {
		return rows.String()
	}
	return fmt.Sprintf("%s, and %s up to %d", rows[:shownRanges], plural(len(rows)-shownRanges, "range"), rows[len(rows)-1].Last)
}

// writeFailures writes a line of CSV for each failed task.
func writeFailures(out io.Writer, s *ledger.State) error {
	if s.Planned() == nil {
		return nil
	}
	w := csv.NewWriter(out)
	header := append([]string{"task"}, s.Planned().Keys...)
	if err := w.Write(append(header, "class", "message", "attempts", "seconds", "worker", "time")); err != nil {
		return err
	}
	for _, failure := range s.Failures() {
		f := s.Failure(failure.Index)
		line := []string{strconv.FormatInt(f.Index, 10)}
		for _, v := range f.Key {
			line = append(line, v.String())
		}
		line = append(line, string(f.Class), f.Message, strconv.Itoa(f.Attempts), strconv.FormatFloat(f.Seconds, 'f', 3, 64),
			f.Worker, f.Time.UTC().Format(time.RFC3339))
		if err := w.Write(line); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
