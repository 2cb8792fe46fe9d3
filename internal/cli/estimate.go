package cli

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/producer"
)

func newEstimate(a *app) *cobra.Command {
	sample := 10
	c := &cobra.Command{
		Use:   "estimate SPEC",
		Short: "Compute a few tasks of a spec and say what all of them would take",
		Long: `Compute a few tasks of a spec, evenly spread, one after the other, and say what
all of them would take: time, disk, failures. Nothing is stored.

Times are the simulator's on this machine as it is now. The ranges are 95%
confidence intervals; they hold as far as the sample is like the other tasks.
Workers that share memory bandwidth or a disk are slower than one alone.`,
		Example: `  windrow estimate own.yaml
  windrow estimate own.yaml --sample 50`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if sample < 2 || sample > 10_000 {
				return &exitError{exitUsage, fmt.Errorf("--sample %d: 2 to 10000 are allowed", sample), ""}
			}
			plan, err := loadStartable(a.stops.gentle, args[0])
			if err != nil {
				return err
			}
			return a.estimate(a.stops.gentle, plan, sample)
		},
	}
	c.Flags().IntVar(&sample, "sample", sample, "tasks to compute")
	return c
}

func (a *app) estimate(ctx context.Context, plan *producer.Plan, k int) error {
	tasks, err := spread(plan, k)
	if err != nil {
		return err
	}
	t, err := newTrial(ctx, plan)
	if err != nil {
		return err
	}
	defer t.simulator.Close()                       //nolint:errcheck // nothing is stored
	if _, err := t.run(ctx, tasks[0]); err != nil { // it bears the start, and is computed again
		return err
	}
	var times []float64
	failed := 0
	for _, task := range tasks {
		o, err := t.run(ctx, task)
		if err != nil {
			return err
		}
		times = append(times, o.took.Seconds())
		if o.failure != nil {
			failed++
			fmt.Fprintf(a.stderr, "task %d: %v\n", task.Index, o.failure)
		}
	}
	return a.showEstimate(plan, times, failed)
}

func (a *app) showEstimate(plan *producer.Plan, times []float64, failed int) error {
	n := float64(plan.Planned.Tasks)
	low, high := meanRange(times)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "tasks\t%s, of which %d were computed\n", humanize.Comma(plan.Planned.Tasks), len(times))
	fmt.Fprintf(w, "a task\t%s to %s\n", seconds(slices.Min(times)), seconds(slices.Max(times)))
	workers := []int{1}
	for m := 2; m <= runtime.NumCPU(); m *= 2 {
		workers = append(workers, m)
	}
	for _, m := range workers {
		fmt.Fprintf(w, "%s\t%s to %s\n", plural(m, "worker"), seconds(low*n/float64(m)), seconds(high*n/float64(m)))
	}
	fmt.Fprintf(w, "dataset\tat most %s\n", humanize.IBytes(uint64(dataset.Size(formOf(plan))))) //nolint:gosec // a size
	least, most := shareRange(failed, len(times))
	fmt.Fprintf(w, "failures\t%d of %d; %.1f%% to %.1f%% of all\n", failed, len(times), 100*least, 100*most)
	return w.Flush()
}

func seconds(s float64) time.Duration { return shortTime(time.Duration(s * float64(time.Second))) }

// meanRange returns the 95% confidence interval of the mean by the normal
// approximation, never below zero.
func meanRange(values []float64) (low, high float64) {
	n := float64(len(values))
	mean, squares := 0.0, 0.0
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	margin := 1.96 * math.Sqrt(squares/max(1, n-1)/n)
	return max(0, mean-margin), mean + margin
}

// shareRange returns Wilson's 95% confidence interval of a share, which is of
// use for none of a few, too.
func shareRange(count, of int) (low, high float64) {
	const z = 1.96
	n, p := float64(of), float64(count)/float64(of)
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	margin := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return max(0, centre-margin), min(1, centre+margin)
}
