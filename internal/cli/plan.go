package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"windrow/internal/dataset"
	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/version"
	"windrow/producer"
)

func newPlan(a *app) *cobra.Command {
	dir := ""
	c := &cobra.Command{
		Use:   "plan SPEC",
		Short: "Check a spec and show what it comes to; change nothing",
		Long: `Check a spec and show what it comes to: the tasks, the columns, the size of the
dataset, and the disk space that the run needs. All errors are shown at once.
Nothing is created.`,
		Example: `  windrow plan examples/001-tenders/tenders.yaml`,
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			plan, err := loadPlan(c.Context(), args[0])
			if err != nil {
				return err
			}
			if err := checkStart(plan, stateBeside(dir, plan.Spec.Output.File)); err != nil {
				return err
			}
			a.warnOf(plan)
			return showPlan(a.stdout, plan, args[0])
		},
	}
	c.Flags().StringVar(&dir, "state-dir", "", "directory of the run's state (default: .windrow beside the dataset)")
	return c
}

// warnOf shows what is odd about the files that a spec names.
func (a *app) warnOf(plan *producer.Plan) {
	for _, warning := range plan.Warnings {
		fmt.Fprintf(a.stderr, "windrow: warning: %s\n", warning)
	}
}

// loadPlan reads a spec and works out its plan. The error has all problems.
func loadPlan(ctx context.Context, path string) (*producer.Plan, error) {
	s, err := spec.Load(path)
	if err != nil {
		return nil, specError(path, err)
	}
	if err := s.CheckOutput(); err != nil {
		return nil, specError(path, err)
	}
	return planOf(ctx, path, s)
}

// loadPlanElsewhere returns the plan of a spec whose dataset somebody else
// writes, perhaps on another machine: this one need not have room for it.
func loadPlanElsewhere(ctx context.Context, path string) (*producer.Plan, error) {
	s, err := spec.Load(path)
	if err != nil {
		return nil, specError(path, err)
	}
	return planOf(ctx, path, s)
}

func planOf(ctx context.Context, path string, s *spec.Spec) (*producer.Plan, error) {
	plan, err := planSpec(ctx, s)
	if err != nil {
		return nil, specError(path, err)
	}
	return plan, nil
}

// planSpec works out a plan.
func planSpec(ctx context.Context, s *spec.Spec) (*producer.Plan, error) {
	reader, err := newReader()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return producer.NewPlan(ctx, s, reader)
}

func specError(path string, err error) error {
	return &exitError{exitUsage, err, "windrow plan " + path}
}

// checkStart makes sure that a run can begin: its output is free, its command
// is there, and the disks have room. A run that has begun is not asked again.
func checkStart(plan *producer.Plan, s state) error {
	problems := checkCommand(plan.Spec)
	begun := s.hasBegun(plan.ID())
	if !begun {
		if err := guardOutput(plan.Spec.Output.File, plan.Planned.Name); err != nil {
			problems = append(problems, plan.Spec.Problem("output.file", plan.Spec.Output.File, "%v", err))
		}
	}
	if len(problems) > 0 {
		return specError(plan.Spec.Path(), problems)
	}
	if begun {
		return nil
	}
	return checkDisk(plan, s.dir)
}

// loadStartable loads the plan of a spec whose simulator is on this machine.
func loadStartable(ctx context.Context, path string) (*producer.Plan, error) {
	plan, err := loadPlan(ctx, path)
	if err != nil {
		return nil, err
	}
	if problems := checkCommand(plan.Spec); len(problems) > 0 {
		return nil, specError(path, problems)
	}
	return plan, nil
}

// scripts are the endings by which an argument is known to be a program's file.
var scripts = []string{".py", ".sh", ".pl", ".rb", ".jl", ".r", ".R", ".m", ".js", ".lua"}

// checkCommand finds a simulator that cannot be started on this machine.
func checkCommand(s *spec.Spec) (problems spec.Problems) {
	if s.Simulator.Command == nil {
		return nil
	}
	for i, arg := range s.Simulator.Command.Args {
		path := arg
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Dir(), arg)
		}
		_, err := os.Stat(path)
		switch isPath := strings.Contains(arg, "/"); {
		case i == 0 && !isPath:
			if _, err := exec.LookPath(arg); err != nil {
				problems = append(problems, s.Problem("simulator.command", arg, "there is no such program on PATH"))
			}
		case err != nil && (i == 0 || slices.Contains(scripts, filepath.Ext(arg))):
			problems = append(problems, s.Problem("simulator.command", arg, "there is no such file: %s", path))
		}
	}
	return problems
}

// need is the disk space that a run takes at most.
type need struct{ shards, dataset, broker int64 }

func diskNeed(plan *producer.Plan) (need, error) {
	broker, err := plan.BrokerBytes()
	if err != nil {
		return need{}, err
	}
	rows := dataset.Size(formOf(plan))
	n := need{shards: rows, dataset: rows, broker: broker}
	if plan.Settings.Allow.Of(plan.Planned.Tasks) > 0 || plan.Settings.Storage != message.Contiguous {
		n.dataset *= 2 // a dataset without the failed rows, or in chunks, is written beside the partial file
	}
	return n, nil
}

func formOf(plan *producer.Plan) dataset.Form {
	return dataset.Form{
		Digest: plan.Digest, Planned: plan.Planned, Rows: plan.Settings.Rows,
		Storage: plan.Settings.Storage, Level: plan.Settings.Level, Version: version.Windrow,
	}
}

// checkDisk makes sure that the run fits on the disks as they are now. What a
// run has already allocated is not asked for again.
func checkDisk(plan *producer.Plan, stateDir string) error {
	n, err := diskNeed(plan)
	if err != nil {
		return specError(plan.Spec.Path(), err)
	}
	out := filepath.Dir(plan.Spec.Output.File)
	if info, err := os.Stat(plan.Spec.Output.File + ".partial"); err == nil {
		n.dataset = max(0, n.dataset-info.Size())
	}
	outDisk, err := diskOf(out)
	if err != nil {
		return err
	}
	stateDisk, err := diskOf(stateDir)
	if err != nil {
		return err
	}
	short := func(where string, needed int64, d disk) error {
		return specError(plan.Spec.Path(), spec.Problems{plan.Spec.Problem("output.file", plan.Spec.Output.File,
			"the run needs %s in the directory %s, which has %s free", size(needed), where, size(d.free))})
	}
	if outDisk.id == stateDisk.id {
		n.dataset += n.shards + n.broker
	} else if stateDisk.free < n.shards+n.broker {
		return short(stateDir, n.shards+n.broker, stateDisk)
	}
	if outDisk.free < n.dataset {
		return short(out, n.dataset, outDisk)
	}
	return nil
}

// size returns a number of bytes as people read it.
func size(bytes int64) string { return humanize.IBytes(uint64(max(0, bytes))) }

type disk struct {
	id   unix.Fsid
	free int64
}

// diskOf returns the file system that dir is on, or will be.
func diskOf(dir string) (disk, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return disk{}, err
	}
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return disk{}, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return disk{st.Fsid, int64(st.Bavail) * st.Bsize}, nil //nolint:gosec // as the kernel counts
}

func showPlan(out io.Writer, plan *producer.Plan, path string) error {
	p := plan.Planned
	n, err := diskNeed(plan)
	if err != nil {
		return specError(path, err)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "run\t%s\n", plan.ID())
	fmt.Fprintf(w, "tasks\t%s (keys: %s)\n", humanize.Comma(p.Tasks), strings.Join(p.Keys, ", "))
	fmt.Fprintf(w, "simulator\t%s\n", p.Model)
	for _, f := range p.Files {
		fmt.Fprintf(w, "file\t%s (sha256 %s...)\n", f.Path, f.Digest.Short())
	}
	stored := ""
	if plan.Settings.Storage != message.Contiguous {
		stored = ", stored as " + storage(plan.Settings)
	}
	fmt.Fprintf(w, "dataset\t%s, %s, %s a row%s\n", plan.Spec.Output.File,
		size(dataset.Size(formOf(plan))), size(int64(p.Columns.RowBytes())), stored)
	fmt.Fprintf(w, "disk\t%s for the dataset; until it is sealed, %s for shards and %s for the broker\n",
		size(n.dataset), size(n.shards), size(n.broker))
	fmt.Fprintf(w, "failures\t%s allowed, rows of failed tasks: %s\n", plan.Settings.Allow, plan.Settings.Rows)
	fmt.Fprintln(w, "columns")
	for _, c := range p.Columns {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", c.Name, shapeOf(c), c.Unit, c.LongName)
	}
	if err := showTasks(w, plan); err != nil {
		return err
	}
	fmt.Fprintf(w, "next: windrow run %s\n", path)
	return w.Flush()
}

// shapeOf returns a column's type and shape as in "f64 (row, turbine=100)",
// with turbine<=100 where rows may have fewer.
func shapeOf(c table.Column) string {
	dims := []string{table.RowDim}
	for _, d := range c.Shape {
		dims = append(dims, sizeOf(c, d))
	}
	return fmt.Sprintf("%s (%s)", c.Type, strings.Join(dims, ", "))
}

func sizeOf(c table.Column, d table.Dim) string {
	if c.IsPadded(d) {
		return fmt.Sprintf("%s<=%d", d.Name, d.Size)
	}
	return fmt.Sprintf("%s=%d", d.Name, d.Size)
}

// showTasks lists the first tasks.
func showTasks(w io.Writer, plan *producer.Plan) error {
	const shown = 3
	fmt.Fprintln(w, "first tasks")
	for t, err := range plan.Spec.TasksFrom(0) {
		if err != nil {
			return specError(plan.Spec.Path(), err)
		}
		if t.Index == shown {
			break
		}
		var key []string
		for i, v := range t.Key {
			key = append(key, plan.Planned.Keys[i]+"="+v.String())
		}
		fmt.Fprintf(w, "  %d\t%s %s\n", t.Index, strings.Join(key, " "), t.Params)
	}
	return nil
}
