package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/message"
	"windrow/internal/queue"
)

type statusOptions struct {
	connectFlags
	json, watch bool
}

func newStatus(a *app) *cobra.Command {
	o := statusOptions{}
	c := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show how far a run is",
		Long: `Show how far a run is: the newest, or the one named. The state is read from the
broker of --nats or $NATS_URL, or else from the state directory, whether the
run is at work or not.`,
		Example: `  windrow status
  windrow status tenders-1a2b3c4d --json
  windrow status --watch`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.status(c.Context(), o, firstOf(args))
		},
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.json, "json", false, "print JSON, with --watch one line each time")
	c.Flags().BoolVar(&o.watch, "watch", false, "print again every two seconds until the run is sealed")
	return c
}

func (f *connectFlags) add(c *cobra.Command) {
	addURL(c, &f.url)
	c.Flags().StringVar(&f.stateDir, "state-dir", "", "directory of the run's state (default: .windrow here)")
	c.ValidArgsFunction = f.completeRun
}

// completeRun tells a shell the runs of the state directory.
func (f *connectFlags) completeRun(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var runs []string
	folders, _ := os.ReadDir(f.state().logs("")) // without one there is nothing to offer
	for _, folder := range folders {
		runs = append(runs, folder.Name())
	}
	return runs, cobra.ShellCompDirectiveDefault
}

// again returns the flags that lead another command to the same broker.
func (f *connectFlags) again() string {
	switch {
	case f.url != "":
		return " --nats " + queue.PublicURL(f.url)
	case f.stateDir != "":
		return " --state-dir " + f.stateDir
	}
	return ""
}

func firstOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// Status is what `windrow status --json` prints.
type Status struct {
	Run       message.RunID   `json:"run"`
	State     string          `json:"state"` // planned, running, paused, cancelled, failing, stopped or sealed
	Tasks     int64           `json:"tasks"`
	Recorded  int64           `json:"recorded"`
	Failed    int64           `json:"failed"`
	Waiting   int64           `json:"waiting"`    // neither recorded nor failed
	InWork    int             `json:"in_work"`    // of these, delivered and not acknowledged
	Allowed   int64           `json:"allowed"`    // failures that the settings permit
	Shards    int             `json:"shards"`     // announced
	Rejected  int             `json:"rejected"`   // of these, void
	Events    int64           `json:"events"`     // in the ledger
	Delivered uint64          `json:"deliveries"` // of tasks to workers, repeated ones included
	Workers   int             `json:"workers"`    // that live now
	Merger    bool            `json:"merger"`     // lives now
	Sealed    *message.Sealed `json:"sealed,omitempty"`
}

const (
	watchInterval = 2 * time.Second
	listenTime    = 1200 * time.Millisecond // a beat comes every second
)

func (a *app) status(ctx context.Context, o statusOptions, id string) error {
	run, closing, err := a.openRun(ctx, o.connectFlags, id)
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		s, err := readStatus(ctx, run)
		if err != nil {
			return err
		}
		if err := s.print(a.stdout, o); err != nil {
			return err
		}
		if !o.watch || s.Sealed != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func readStatus(ctx context.Context, run *queue.Run) (Status, error) {
	crew, err := listen(ctx, run)
	if err != nil {
		return Status{}, err
	}
	s, err := fold(ctx, run)
	if err != nil {
		return Status{}, err
	}
	status := Status{
		Run: run.ID(), State: "planned", Tasks: s.Tasks(), Recorded: s.Recorded(), Failed: s.Failed(), Waiting: s.Missing(),
		Events: s.Counters().Events,
	}
	if workers, err := run.Workers(ctx); err == nil {
		status.Delivered = workers.Deliveries
	}
	for _, sh := range s.Shards() {
		status.Shards++
		if sh.Rejected != "" {
			status.Rejected++
		}
	}
	for _, b := range crew.alive() {
		if b.Role == roleMerger {
			status.Merger = true
		} else {
			status.Workers++
			status.InWork += b.Held
		}
	}
	if settings := s.Settings(); settings != nil {
		status.Allowed = settings.Allow.Of(s.Tasks())
	}
	switch sealed, _ := s.Sealed(); {
	case sealed != nil:
		status.State, status.Sealed = "sealed", sealed
	case haltedWord(s) != "":
		status.State = haltedWord(s)
	case s.Overrun():
		status.State = "failing"
	case status.Workers > 0:
		status.State = "running"
	case status.Shards > 0:
		status.State = "stopped"
	}
	return status, nil
}

// listen hears who lives.
func listen(ctx context.Context, run *queue.Run) (*crew, error) {
	crew := newCrew()
	ctx, stop := context.WithTimeout(ctx, listenTime)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return run.Beats(ctx, crew.saw) })
	return crew, group.Wait()
}

func (s Status) print(w io.Writer, o statusOptions) error {
	if o.json {
		return json.NewEncoder(w).Encode(s)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t%s\n", s.Run, s.State)
	fmt.Fprintf(t, "  tasks\t%s: %s recorded, %s failed, %s waiting\n", humanize.Comma(s.Tasks),
		humanize.Comma(s.Recorded), humanize.Comma(s.Failed), humanize.Comma(s.Waiting))
	fmt.Fprintf(t, "  shards\t%d, %d rejected\n", s.Shards, s.Rejected)
	if s.Sealed == nil {
		merger := "no merger"
		if s.Merger {
			merger = "the merger"
		}
		fmt.Fprintf(t, "  alive\t%s (%s in work), %s\n", plural(s.Workers, "worker"), humanize.Comma(int64(s.InWork)), merger)
	} else {
		fmt.Fprintf(t, "  dataset\t%s rows, sha256 %s\n", humanize.Comma(s.Sealed.Rows), s.Sealed.SHA256)
	}
	if s.Failed > 0 {
		fmt.Fprintf(t, "next: windrow failed %s%s\n", s.Run, o.again())
	}
	return t.Flush()
}
