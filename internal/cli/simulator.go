package cli

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
	"windrow/producer"
)

func newSimulator(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "simulator",
		Short: "Write a simulator, or test one before a run",
		Example: `  windrow simulator new python > sim.py
  windrow simulator test own.yaml`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSimulatorNew(a), newSimulatorTest(a))
	return c
}

//go:embed sim.py
var pythonSimulator string

func newSimulatorNew(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "new python",
		Short: "Print a simulator that works, to put your model into",
		Long: `Print a simulator that works, to put your model into. It answers with one
column called value, of type f64.`,
		Example:   `  windrow simulator new python > sim.py`,
		ValidArgs: []string{"python"},
		Args:      exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] != "python" {
				return &exitError{exitUsage, fmt.Errorf("language %q: expected python; docs/SIMULATORS.md has the protocol for others", args[0]), ""}
			}
			_, err := fmt.Fprint(a.stdout, pythonSimulator)
			return err
		},
	}
}

func newSimulatorTest(a *app) *cobra.Command {
	tasks := 5
	c := &cobra.Command{
		Use:   "test SPEC",
		Short: "Try the simulator of a spec on a few of its tasks; store nothing",
		Long: `Try the simulator of a spec on a few of its tasks, evenly spread, and on one
without parameters, and show whether it keeps to the contract: what its answers
come to, whether the same task gives the same row in another process, how fast
it is, what it prints, and whether it ends with its input. Nothing is stored.

Exit code 5 if an answer breaks the contract, or rows differ.`,
		Example: `  windrow simulator test own.yaml
  windrow simulator test own.yaml --tasks 20`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if tasks < 1 || tasks > 10_000 {
				return &exitError{exitUsage, fmt.Errorf("--tasks %d: 1 to 10000 are allowed", tasks), ""}
			}
			plan, err := loadStartable(a.stops.gentle, args[0])
			if err != nil {
				return err
			}
			return a.testSimulator(a.stops.gentle, plan, tasks)
		},
	}
	c.Flags().IntVar(&tasks, "tasks", tasks, "real tasks to try")
	return c
}

// report is what a test finds, line by line.
type report struct {
	lines  [][2]string
	broken []string // names of the lines that break the contract
}

func (r *report) add(name, format string, args ...any) {
	r.lines = append(r.lines, [2]string{name, fmt.Sprintf(format, args...)})
}

func (r *report) fail(name, format string, args ...any) {
	r.broken = append(r.broken, name)
	r.add(name, format, args...)
}

func (a *app) testSimulator(ctx context.Context, plan *producer.Plan, k int) error {
	tasks, err := spread(plan, k)
	if err != nil {
		return err
	}
	t, err := newTrial(ctx, plan)
	if err != nil {
		return err
	}
	defer t.simulator.Close() //nolint:errcheck // it is closed below unless there is another error
	r := &report{}
	first, err := t.tryTasks(ctx, tasks, r)
	if err != nil {
		return err
	}
	if err := t.tryBad(ctx, tasks[0], r); err != nil {
		return err
	}
	r.add("noise", "%s printed beside the answers", plural(int(t.printed.lines.Load()), "line"))
	begin := time.Now()
	if err := t.simulator.Close(); err != nil {
		return err
	}
	if c := plan.Spec.Simulator.Command; c != nil && !c.Exec {
		if took := time.Since(begin); took < simulator.StopGrace {
			r.add("end of input", "the program ended")
		} else {
			r.add("end of input", "the program went on and was killed after %s", shortTime(took))
		}
	}
	if err := a.show(r, first); err != nil {
		return err
	}
	if len(r.broken) > 0 {
		return &exitError{exitCorrupt, fmt.Errorf("the simulator does not keep to the contract: %s", strings.Join(r.broken, ", ")), ""}
	}
	return nil
}

// tryTasks runs real tasks, and the first that succeeds again in another
// process. It returns the row of that one, if any.
func (t *trial) tryTasks(ctx context.Context, tasks []message.Task, r *report) (table.Row, error) {
	var good *message.Task
	var later time.Duration
	failures := 0
	row := table.NewBlock(t.plan.Planned.Columns, 1).Append()
	for i, task := range tasks {
		o, err := t.run(ctx, task)
		if err != nil {
			return row, err
		}
		if i == 0 {
			r.add("first answer", "after %s, with the start of the simulator", shortTime(o.took))
		} else {
			later += o.took
		}
		switch {
		case o.failure != nil && failures < 3:
			r.fail("task", "%d: %v", task.Index, o.failure)
			failures++
		case o.failure != nil:
			failures++
		case good == nil:
			good, row = &tasks[i], t.row
			t.row = table.NewBlock(t.plan.Planned.Columns, 1).Append()
		}
	}
	r.add("contract", "%d of %d answers are as the columns declare", len(tasks)-failures, len(tasks))
	if n := len(tasks) - 1; n > 0 {
		r.add("speed", "%s for each task after the first", shortTime(later/time.Duration(n)))
	}
	if good == nil {
		return table.Row{}, nil
	}
	return row, t.tryAgain(ctx, *good, row, r)
}

// tryAgain compares row with what another process makes of the same task.
func (t *trial) tryAgain(ctx context.Context, task message.Task, row table.Row, r *report) error {
	other, err := newTrial(ctx, t.plan)
	if err != nil {
		return err
	}
	defer other.simulator.Close() //nolint:errcheck // its row is all that counts
	o, err := other.run(ctx, task)
	switch {
	case err != nil:
		return err
	case o.failure != nil:
		r.fail("determinism", "task %d failed in another process: %v", task.Index, o.failure)
	case other.row.Digest() != row.Digest():
		r.fail("determinism", "task %d has another row in another process; draw random numbers from the seed of the task", task.Index)
	default:
		r.add("determinism", "task %d has the same row in another process", task.Index)
	}
	return nil
}

// tryBad runs a task without parameters, and a real one after it.
func (t *trial) tryBad(ctx context.Context, task message.Task, r *report) error {
	o, err := t.runBad(ctx)
	if err != nil {
		return err
	}
	if o.failure == nil {
		r.add("bad task", "a task without parameters was answered as if it had some")
	} else {
		r.add("bad task", "%v", o.failure)
	}
	if _, err := t.run(ctx, task); err != nil {
		return err
	}
	return nil
}

// show prints the report, and what windrow would store of a task.
func (a *app) show(r *report, row table.Row) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, line := range r.lines {
		fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
	}
	if row != (table.Row{}) {
		fmt.Fprintf(w, "\nstored\ttype\tvalue of task %d\n", row.Task())
		for c, column := range row.Columns() {
			fmt.Fprintf(w, "%s\t%s\t%s\n", column.Name, typeAndShape(column), firstValues(row, c))
		}
	}
	return w.Flush()
}

func typeAndShape(c table.Column) string {
	words := []string{c.Type.String()}
	for _, d := range c.Shape {
		words = append(words, sizeOf(c, d))
	}
	return strings.Join(words, " ")
}

func firstValues(row table.Row, c int) string {
	const shown = 3
	n := row.Columns()[c].Elements()
	values := make([]string, min(n, shown))
	for i := range values {
		values[i] = fmt.Sprint(row.Get(c, i))
	}
	text := strings.Join(values, " ")
	if n > shown {
		text += " ..."
	}
	return text
}

// shortTime rounds a duration to what a reader wants to know.
func shortTime(d time.Duration) time.Duration {
	switch {
	case d > time.Minute:
		return d.Round(time.Second)
	case d > time.Second:
		return d.Round(100 * time.Millisecond)
	case d > time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
