package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

func newFailed(a *app) *cobra.Command {
	f := connectFlags{}
	c := &cobra.Command{
		Use:   "failed [RUN]",
		Short: "List the tasks of a run that failed, by class and message",
		Example: `  windrow failed
  windrow failed tenders-1a2b3c4d`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.failed(c.Context(), f, firstOf(args))
		},
	}
	f.add(c)
	return c
}

func (a *app) failed(ctx context.Context, f connectFlags, id string) error {
	conn, closing, err := a.connect(ctx, f, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	run, err := pickRun(ctx, conn, id)
	if err != nil {
		return err
	}
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if s.Failed() == 0 {
		fmt.Fprintf(a.stdout, "%s: no task failed\n", run.ID())
		return nil
	}
	fmt.Fprintf(a.stdout, "%s: %s of %d failed\n", run.ID(), plural(int(s.Failed()), "task"), s.Tasks())
	for _, g := range groupFailures(s) {
		g.print(a.stdout, s.Planned().Keys)
	}
	reopen := ""
	if sealed, _ := s.Sealed(); sealed != nil {
		reopen = " --reopen"
	}
	fmt.Fprintf(a.stdout, "next: windrow replay %s --failed%s%s\n", run.ID(), reopen, f.again())
	return nil
}

// failureGroup is the failures of one class that say the same.
type failureGroup struct {
	class   message.Class
	message string
	first   message.Failure
	indexes []int64
}

// groupFailures returns the largest group first.
func groupFailures(s *ledger.State) []*failureGroup {
	type kind struct {
		class   message.Class
		message string
	}
	groups := map[kind]*failureGroup{}
	for _, f := range s.Failures() {
		k := kind{f.Class, message.FirstLine(f.Message, 200)}
		g := groups[k]
		if g == nil {
			g = &failureGroup{class: k.class, message: k.message, first: f}
			groups[k] = g
		}
		g.indexes = append(g.indexes, f.Index)
	}
	sorted := make([]*failureGroup, 0, len(groups))
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *failureGroup) int {
		return cmp.Or(cmp.Compare(len(b.indexes), len(a.indexes)), cmp.Compare(a.first.Index, b.first.Index))
	})
	return sorted
}

func (g *failureGroup) print(w io.Writer, keys []string) {
	var key []string
	for i, v := range g.first.Key {
		if i < len(keys) {
			key = append(key, keys[i]+"="+v.String())
		}
	}
	fmt.Fprintf(w, "%5d  %s: %s\n", len(g.indexes), g.class, g.message)
	fmt.Fprintf(w, "       tasks %s; first: %s, %s\n", message.RangesOf(g.indexes), strings.Join(key, " "), plural(g.first.Attempts, "attempt"))
}
