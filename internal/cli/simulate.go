package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

type simulateOptions struct {
	connectFlags
	task         int64
	key          string
	json         bool
	allowCommand bool
}

func newSimulate(a *app) *cobra.Command {
	o := simulateOptions{}
	c := &cobra.Command{
		Use:   "simulate SPEC|RUN --task N",
		Short: "Compute one task here, and show its row",
		Long: `Compute one task here, with the seed, parameters and checks that a worker would
use, once. What it prints goes to standard error, its row to standard output.
Nothing is recorded: it is for finding out why a task fails.

Of a SPEC the task is taken as the spec has it now. Of a RUN it is taken from
the run's stream; a command then runs in the working directory, and only if
its files are those the run was planned with.

Exit codes, beside those of every command:
   10  the task failed: error
   11  the task failed: crash
   12  the task failed: timeout
   13  the task failed: invalid_output`,
		Example: `  windrow simulate examples/001-tenders/tenders.yaml --task 17
  windrow simulate examples/001-tenders/tenders.yaml --key farm_id=3,farm_type=1,seed=7 --json
  windrow simulate tenders-1a2b3c4d --task 17`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (o.key == "") == !c.Flags().Changed("task") {
				return usageError(c, errors.New("say which task: --task N or --key NAME=VALUE"))
			}
			return a.simulate(a.stops.gentle, o, args[0])
		},
	}
	o.connectFlags.add(c)
	c.Flags().Int64Var(&o.task, "task", 0, "the task with this index, counted from 0")
	c.Flags().StringVar(&o.key, "key", "", "the task with this key, as in farm_id=3,farm_type=1,seed=7")
	c.Flags().BoolVar(&o.json, "json", false, "print the row as JSON; what is not finite is null")
	c.Flags().BoolVar(&o.allowCommand, "allow-command", false, "run the command that a run on a NATS server asks for")
	return c
}

// single is one task and all that it takes to compute it.
type single struct {
	planned *message.Planned
	dir     string // where a command runs
	task    message.Task
}

func (a *app) simulate(ctx context.Context, o simulateOptions, name string) error {
	find := o.fromSpec
	if info, err := os.Stat(name); err != nil || info.IsDir() {
		if _, err := message.ParseRunID(name); err != nil {
			return &exitError{exitUsage, fmt.Errorf("%s is neither a spec nor a run", name), "windrow status"}
		}
		find = func(ctx context.Context, name string) (*single, error) { return a.fromRun(ctx, o, name) }
	}
	t, err := find(ctx, name)
	if err != nil {
		return err
	}
	row, err := t.compute(ctx, a.stderr)
	if failure, ok := errors.AsType[*simulator.Error](err); ok {
		return &exitError{
			exitTask + slices.Index(message.Classes, failure.Class),
			fmt.Errorf("task %d (%s) failed: %w", t.task.Index, taskKey{t.planned.Keys, t.task.Key}, failure), "",
		}
	}
	if err != nil {
		return err
	}
	return printRow(a.stdout, row, o.json)
}

func (o simulateOptions) fromSpec(ctx context.Context, path string) (*single, error) {
	plan, err := loadPlan(ctx, path)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(plan.Spec.Dir())
	if err != nil {
		return nil, err
	}
	index := o.task
	if o.key != "" {
		key, err := parseKey(o.key, plan.Planned.Keys)
		if err != nil {
			return nil, err
		}
		for t, err := range plan.Spec.TasksFrom(0) {
			if err != nil {
				return nil, err
			}
			if key.matches(t.Key) {
				return &single{plan.Planned, dir, t}, nil
			}
		}
		return nil, noSuchKey(o.key)
	}
	if err := checkTask(index, plan.Planned); err != nil {
		return nil, err
	}
	for t, err := range plan.Spec.TasksFrom(index) {
		return &single{plan.Planned, dir, t}, err
	}
	return nil, fmt.Errorf("the plan has no task %d", index)
}

func (a *app) fromRun(ctx context.Context, o simulateOptions, id string) (_ *single, err error) {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closing()) }()
	s, err := fold(ctx, run)
	if err != nil {
		return nil, err
	}
	planned := s.PlannedNow()
	if planned == nil {
		return nil, &exitError{exitUsage, fmt.Errorf("%s is not planned yet", run.ID()), "windrow run SPEC"}
	}
	decoded, err := spec.Decode(planned.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec in the ledger: %w", err)
	}
	remote := o.url != "" || queue.OptionsFromEnv(os.Getenv).URL != ""
	if decoded.Simulator.Command != nil && remote && !o.allowCommand {
		return nil, &exitError{exitUsage, fmt.Errorf("run %s wants to run a command, which is not allowed", run.ID()), "windrow simulate SPEC, or add --allow-command"}
	}
	task, err := o.stored(ctx, run, planned)
	if err != nil {
		return nil, err
	}
	dir, err := os.Getwd()
	return &single{planned, dir, task}, err
}

// stored returns the task as the run's stream has it.
func (o simulateOptions) stored(ctx context.Context, run *queue.Run, planned *message.Planned) (message.Task, error) {
	if o.key != "" {
		return taskOfKey(ctx, run, planned, o.key)
	}
	if err := checkTask(o.task, planned); err != nil {
		return message.Task{}, err
	}
	return run.StoredTask(ctx, uint64(o.task)+1) //nolint:gosec // checkTask knows that it is not negative
}

// taskOfKey returns the task of a run with the key.
func taskOfKey(ctx context.Context, run *queue.Run, planned *message.Planned, text string) (message.Task, error) {
	key, err := parseKey(text, planned.Keys)
	if err != nil {
		return message.Task{}, err
	}
	for _, t := range run.StoredTasks(ctx, 1) {
		if key.matches(t.Key) {
			return t, nil
		}
	}
	return message.Task{}, errors.Join(ctx.Err(), noSuchKey(text))
}

func noSuchKey(text string) error {
	return &exitError{exitUsage, fmt.Errorf("no task has the key %s", text), ""}
}

func checkTask(index int64, planned *message.Planned) error {
	if index >= 0 && index < planned.Tasks {
		return nil
	}
	return &exitError{exitUsage, fmt.Errorf("task %d: the run has the tasks 0 to %d", index, planned.Tasks-1), ""}
}

// keyText is a key as it stands on a command line: a value for each name.
type keyText []string

// parseKey reads farm_id=3,farm_type=1,seed=7 in any order. All names of the
// key must be there.
func parseKey(text string, names []string) (keyText, error) {
	key, given := make(keyText, len(names)), make([]bool, len(names))
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		i := slices.Index(names, strings.TrimSpace(name))
		if !ok || i < 0 || given[i] {
			return nil, keyError(text, names)
		}
		key[i], given[i] = strings.TrimSpace(value), true
	}
	if slices.Contains(given, false) {
		return nil, keyError(text, names)
	}
	return key, nil
}

func keyError(text string, names []string) error {
	return &exitError{exitUsage, fmt.Errorf("--key %s: expected one value for each of %s, as in %s=VALUE",
		message.Cut(text, 80), strings.Join(names, ", "), strings.Join(names, "=VALUE,")), ""}
}

func (k keyText) matches(key []table.Value) bool {
	return slices.EqualFunc(k, key, func(text string, v table.Value) bool { return text == v.String() })
}

// compute computes the task once, as a worker does. What it prints goes to log.
func (t *single) compute(ctx context.Context, log io.Writer) (table.Row, error) {
	decoded, err := spec.Decode(t.planned.Spec)
	if err != nil {
		return table.Row{}, fmt.Errorf("read the spec: %w", err)
	}
	reader, err := newReader()
	if err != nil {
		return table.Row{}, err
	}
	model, err := simulator.New(ctx, decoded, simulator.Options{Dir: t.dir, Files: t.planned.Files, Log: slog.New(printed{log}), Reader: reader})
	if err != nil {
		return table.Row{}, err
	}
	defer func() { _ = model.Close() }() // it only stops children
	row := table.NewBlock(t.planned.Columns, 1).Append()
	row.SetTask(t.task.Index)
	if err := row.SetKey(t.task.Key); err != nil {
		return table.Row{}, fmt.Errorf("the stream contradicts the plan: %w", err)
	}
	err = model.Simulate(ctx, simulator.Job{
		Task: t.task, Seed: simulator.Seed(decoded.Seed, t.task.Key), Attempt: 1, Keys: t.planned.Keys,
	}, row)
	return row, err
}

// printed is a log handler that passes on what a simulator prints, as it is.
type printed struct{ out io.Writer }

func (p printed) Enabled(context.Context, slog.Level) bool { return true }
func (p printed) WithAttrs([]slog.Attr) slog.Handler       { return p }
func (p printed) WithGroup(string) slog.Handler            { return p }

func (p printed) Handle(_ context.Context, r slog.Record) error {
	var err error
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "line" {
			_, err = fmt.Fprintln(p.out, a.Value.String())
		}
		return true
	})
	return err
}

// printRow prints a row: a line for each column, or a JSON object.
func printRow(out io.Writer, row table.Row, asJSON bool) error {
	if !asJSON {
		for c, column := range row.Columns() {
			fmt.Fprintf(out, "%s = %s\n", column.Name, strings.Join(elements(row, c), " "))
		}
		return nil
	}
	var b strings.Builder
	for c, column := range row.Columns() {
		name, err := json.Marshal(column.Name)
		if err != nil {
			return err
		}
		value, err := json.Marshal(values(row, c))
		if err != nil {
			return fmt.Errorf("print column %s: %w", column.Name, err)
		}
		fmt.Fprintf(&b, ",%s:%s", name, value)
	}
	_, err := fmt.Fprintf(out, "{%s}\n", strings.TrimPrefix(b.String(), ","))
	return err
}

func elements(row table.Row, c int) []string {
	var texts []string
	for i := range row.Columns()[c].Elements() {
		texts = append(texts, fmt.Sprint(row.Get(c, i)))
	}
	return texts
}

// values returns the one value of a column without a shape, or all in
// row-major order.
func values(row table.Row, c int) any {
	column := row.Columns()[c]
	all := make([]any, column.Elements())
	for i := range all {
		all[i] = row.Get(c, i)
		if x, ok := all[i].(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			all[i] = nil
		}
	}
	if len(column.Shape) == 0 {
		return all[0]
	}
	return all
}
