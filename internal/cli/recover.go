package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/atomicfile"
	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/rescue"
	"windrow/internal/table"
	"windrow/internal/tasklist"
	"windrow/producer"
)

type recoverOptions struct {
	spec, tasks string
	key         []string
	require     []string
	missing     string
	run         bool
	runOptions
}

func newRecover(a *app) *cobra.Command {
	o := recoverOptions{}
	c := &cobra.Command{
		Use:   "recover FILE... (--spec SPEC | --tasks TASKS.csv --key NAMES)",
		Short: "Find which tasks a crashed campaign has in its files, and which are missing",
		Long: `Find which tasks of a campaign are whole in the HDF5 files that its workers left
behind, and which are missing. A file that is damaged counts with the rows that
can still be read and are numbers; one that was cut short, or whose writer was
killed, with those that are whole within the bytes that are there. In any file, a
row that has only zeros, or the fill values of its datasets, beside its key is
taken for one that was never written. A file that another process has open for
writing is not read.

The tasks are those of a spec, or of a list as a spec's tasks.file. A row must
have the results that --require names; with a spec all its columns, and be what
they declare: shapes, types, min, max, finite.
Keys are compared by value, whatever their types: text that is a number, as "3",
counts as the number where the list has one.

A file has a dataset in its root for each column; or a group for each task, as
farm3_t1_s17, in its root or in a group there, whose key is in its attributes, or
in its name: the numbers in the order of the key. Groups of no task are named.

Exit code 4 if tasks are missing. --run computes them instead, as "windrow run"
does: rows that were found become shards, which are validated and announced like
those of a worker, and all are sealed into one dataset, in which it says which
rows are from which file. Interrupted, the same command goes on, or
"windrow run SPEC" without the files.`,
		Example: `  windrow recover worker_*.h5 --tasks tasks.csv --key farm_id,farm_type,seed --missing missing.csv
  windrow recover worker_*.h5 --spec campaign.yaml
  windrow recover worker_*.h5 --spec campaign.yaml --run`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			err := o.check(args)
			if o.spec != "" && c.Flags().Changed("require") {
				err = errors.New("--require and --spec exclude each other")
			}
			if err != nil {
				return usageError(c, err)
			}
			return a.recover(c.Context(), o, args)
		},
	}
	c.Flags().StringVar(&o.spec, "spec", "", "spec of the campaign's tasks and columns")
	c.Flags().StringVar(&o.tasks, "tasks", "", "list of the campaign's tasks, .csv with a header or .jsonl")
	c.Flags().StringSliceVar(&o.key, "key", nil, "columns that identify a task (default: those of the spec)")
	c.Flags().StringSliceVar(&o.require, "require", []string{"layout", "aep"}, "results that a task of --tasks must have beside its key; with --spec its columns")
	c.Flags().StringVar(&o.missing, "missing", "", "write the keys of the missing tasks to this file, as CSV; one that exists must be such a list")
	c.Flags().BoolVar(&o.run, "run", false, "compute the missing tasks, and seal all into the dataset of the spec")
	c.Flags().IntVar(&o.workers, "workers", runtime.NumCPU(), "worker processes, with --run")
	c.Flags().Lookup("workers").DefValue = "one for each core"
	c.Flags().StringVar(&o.stateDir, "state-dir", "", "directory of the run's state, with --run (default: .windrow beside the dataset)")
	return c
}

func (o *recoverOptions) check(files []string) error {
	switch {
	case len(files) == 0:
		return errors.New("an argument is missing: which files")
	case (o.spec == "") == (o.tasks == ""):
		return errors.New("either --spec or --tasks says which tasks there should be")
	case o.run && o.spec == "":
		return errors.New("--run needs --spec: how the missing tasks are computed")
	case o.tasks != "" && len(o.key) == 0:
		return errors.New("--key is missing: the columns of the list that identify a task")
	}
	return nil
}

// campaignTasks are the tasks that there should be.
type campaignTasks struct {
	key     []string
	results []string // that each must have
	tasks   iter.Seq2[message.Task, error]
	plan    *producer.Plan // nil if there is only a list
}

func (o *recoverOptions) load(ctx context.Context) (t campaignTasks, err error) {
	if o.spec == "" {
		list, err := tasklist.Open(o.tasks, o.key)
		if err != nil {
			return t, &exitError{exitUsage, err, ""}
		}
		return campaignTasks{key: o.key, results: o.require, tasks: list.Tasks(0)}, nil
	}
	plan, err := loadPlan(ctx, o.spec)
	if err != nil {
		return t, err
	}
	if len(o.key) > 0 && !slices.Equal(o.key, plan.Planned.Keys) {
		return t, &exitError{exitUsage, fmt.Errorf("--key %s: the key of %s is %s",
			strings.Join(o.key, ","), o.spec, strings.Join(plan.Planned.Keys, ",")), ""}
	}
	return tasksOf(plan), nil
}

func tasksOf(plan *producer.Plan) campaignTasks {
	return campaignTasks{plan.Planned.Keys, declarationOf(plan).names, plan.Spec.TasksFrom(0), plan}
}

// salvage finds the rows of tasks in files of others.
type salvage struct {
	reader   *foreign.Reader
	key      []string
	results  []string
	tasks    *rescue.Tasks
	declared declaration // nothing, if there is only a list

	duplicates int64
	strange    int64 // rows of no task
	first      string
}

func newSalvage(r *foreign.Reader, t campaignTasks) (*salvage, error) {
	tasks, err := rescue.NewTasks(t.tasks)
	if err != nil {
		return nil, err
	}
	s := &salvage{reader: r, key: t.key, results: t.results, tasks: tasks}
	if t.plan != nil {
		s.declared = declarationOf(t.plan)
	}
	return s, nil
}

// declaration is what the columns of a spec say about the rows of others.
type declaration struct {
	keys    int          // columns of the key
	names   []string     // of the results
	results []int        // their positions among the columns
	scratch *table.Block // of one row
}

func declarationOf(plan *producer.Plan) declaration {
	var d declaration
	columns, codes, keys := plan.Planned.Columns, plan.Spec.CodeColumns(), len(plan.Planned.Keys)
	d.keys = keys
	for i, c := range columns[1+keys:] {
		if codes.Index(c.Name) < 0 {
			d.results = append(d.results, 1+keys+i)
			d.names = append(d.names, c.Name)
		}
	}
	d.scratch = table.NewBlock(columns, 1)
	return d
}

// fits returns an error unless the record is what the columns declare.
func (d declaration) fits(rec rescue.Record) error {
	if d.scratch == nil {
		return nil
	}
	d.scratch.Truncate(0)
	return rescue.Fill(d.scratch.Append(), d.results, rec)
}

// keyFits returns an error unless the key of a record has the declared types.
func (d declaration) keyFits(rec rescue.Record) error {
	if d.scratch == nil {
		return nil
	}
	d.scratch.Truncate(0)
	return rescue.CheckKey(d.scratch.Append(), d.keys, rec)
}

// found is what was found in a file.
type found struct {
	rescue.Find
	misfits int64  // whole rows that are not what the columns declare
	misfit  string // why the first is not
}

// file calls take with each row of a task that was not found before.
func (s *salvage) file(ctx context.Context, path string, take func(index int64, rec rescue.Record) error) (f found, err error) {
	f.Find, err = rescue.Records(ctx, s.reader, path, s.key, s.results, func(rec rescue.Record) error {
		index, ok := s.tasks.Index(rec)
		if !ok {
			if s.strange++; s.strange == 1 {
				s.first = fmt.Sprintf("%s, %s of %s", rec.Show(), rec.Place, path)
			}
			return nil
		}
		if err := s.declared.fits(rec); err != nil {
			if f.misfits++; f.misfits == 1 {
				f.misfit = rec.Place + ": " + err.Error()
			}
			return nil
		}
		if !s.tasks.Take(index) {
			s.duplicates++
			return nil
		}
		return take(index, rec)
	})
	return f, err
}

func (f found) show(w io.Writer, file string) {
	saved, damaged := f.Saved-f.misfits, "damaged"
	if f.Unread {
		damaged = "not read"
	}
	switch {
	case f.Damage == "":
		fmt.Fprintf(w, "%s: valid, %s", file, plural(int(f.Rows), "row"))
	case saved == 0:
		fmt.Fprintf(w, "%s: %s: %s; no row saved", file, damaged, f.Damage)
	default:
		fmt.Fprintf(w, "%s: %s: %s; %s of %s saved", file, damaged, f.Damage, humanize.Comma(saved), plural(int(f.Rows), "row"))
	}
	if f.Blank > 0 {
		fmt.Fprintf(w, "; %s: never written", blankRows(f.Blank))
	}
	if len(f.Beside) > 0 {
		fmt.Fprintf(w, "; %s", passedOver(f.Beside))
	}
	if f.misfits > 0 {
		fmt.Fprintf(w, "; %s not as the spec declares, the first: %s", plural(int(f.misfits), "row"), f.misfit)
	}
	fmt.Fprintln(w)
}

func (a *app) recover(ctx context.Context, o recoverOptions, files []string) error {
	t, err := o.load(ctx)
	if err != nil {
		return err
	}
	if err := o.checkMissing(t, files); err != nil {
		return err
	}
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := newSalvage(r, t)
	if err != nil {
		return err
	}
	complete := 0
	for _, file := range files {
		f, err := s.file(ctx, file, func(int64, rescue.Record) error { complete++; return nil })
		if err != nil {
			return halted(err, "not all files were read")
		}
		f.show(a.stdout, file)
	}
	missing := s.tasks.Len() - complete
	fmt.Fprintf(a.stdout, "%s of %s complete, %s missing\n", humanize.Comma(int64(complete)), plural(s.tasks.Len(), "task"), humanize.Comma(int64(missing)))
	if s.duplicates > 0 {
		fmt.Fprintf(a.stdout, "%s of tasks that were found before\n", plural(int(s.duplicates), "row"))
	}
	if s.strange > 0 {
		fmt.Fprintf(a.stdout, "%s of no task, the first: %s\n", plural(int(s.strange), "row"), s.first)
	}
	if o.missing != "" {
		if err := s.writeMissing(o.missing, t); err != nil {
			return err
		}
	}
	if o.run {
		o.imports, o.found = files, int64(complete)
		return a.run(o.runOptions, o.spec)
	}
	if missing > 0 {
		next := ""
		if o.spec != "" {
			next = "windrow recover " + strings.Join(files, " ") + " --spec " + o.spec + " --run"
		}
		return &exitError{exitIncomplete, fmt.Errorf("%s missing", plural(missing, "task")), next}
	}
	return nil
}

// checkMissing refuses to write the missing tasks over anything but such a list,
// and over what this command or its spec reads; before the files are read.
func (o *recoverOptions) checkMissing(t campaignTasks, files []string) error {
	if o.missing == "" {
		return nil
	}
	there, err := os.Stat(o.missing)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("--missing: %w", err), ""}
	}
	inputs := append([]string{o.spec, o.tasks}, files...)
	if t.plan != nil {
		for _, f := range t.plan.Planned.Files {
			if !filepath.IsAbs(f.Path) {
				f.Path = filepath.Join(t.plan.Spec.Dir(), f.Path)
			}
			inputs = append(inputs, f.Path)
		}
	}
	for _, input := range inputs {
		if info, err := os.Stat(input); err == nil && os.SameFile(info, there) {
			return &exitError{exitUsage, fmt.Errorf("--missing %s: it is an input; choose another name", o.missing), ""}
		}
	}
	if !there.Mode().IsRegular() || !isList(o.missing, t.key) {
		return &exitError{exitUsage, fmt.Errorf("%s exists, and is no list of missing tasks: move it away, or choose another --missing", o.missing), ""}
	}
	return nil
}

// isList tells whether a file is what writeMissing writes: no other columns than
// the key.
func isList(path string, key []string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	header, err := csv.NewReader(io.LimitReader(f, 1<<16)).Read()
	return err == nil && slices.Equal(header, key)
}

// writeMissing writes the keys of the tasks that were not found, which can be
// the tasks.file of a spec.
func (s *salvage) writeMissing(path string, t campaignTasks) error {
	return atomicfile.Write(path, 0o644, func(w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(t.key); err != nil {
			return err
		}
		for task, err := range t.tasks {
			if err != nil {
				return err
			}
			if s.tasks.Found(task.Index) {
				continue
			}
			fields := make([]string, len(task.Key))
			for i, v := range task.Key {
				fields[i] = v.String()
			}
			if err := out.Write(fields); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	})
}
