package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

type runsOptions struct {
	connectFlags
	json bool
}

func newRuns(a *app) *cobra.Command {
	o := runsOptions{}
	c := &cobra.Command{
		Use:   "runs",
		Short: "List the runs of a broker or state directory",
		Example: `  windrow runs
  windrow runs --json
  windrow runs --nats nats://127.0.0.1:4222`,
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error { return a.runs(c.Context(), o) },
	}
	o.connectFlags.add(c)
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON array")
	return c
}

// listedRun is a run as `windrow runs --json` prints it.
type listedRun struct {
	Run      message.RunID `json:"run"`
	State    string        `json:"state"` // created, open, paused, cancelled, failing or sealed
	Tasks    int64         `json:"tasks"`
	Recorded int64         `json:"recorded"`
	Failed   int64         `json:"failed"`
	Bytes    uint64        `json:"bytes"` // of the tasks in the broker
	Created  time.Time     `json:"created"`
}

func (a *app) runs(ctx context.Context, o runsOptions) error {
	conn, closing, err := a.connect(ctx, o.connectFlags, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return err
	}
	defer func() { _ = closing() }() // nothing was written
	infos, err := conn.Runs(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(infos, func(a, b queue.RunInfo) int { return b.Created.Compare(a.Created) })
	listed := make([]listedRun, 0, len(infos))
	for _, info := range infos {
		run, err := conn.OpenRun(ctx, info.ID)
		if err != nil {
			return err
		}
		s, err := fold(ctx, run)
		if err != nil {
			return err
		}
		listed = append(listed, listedRun{
			info.ID, stateOf(s), s.Tasks(), s.Recorded(), s.Failed(), info.TaskBytes, info.Created.UTC(),
		})
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(listed)
	}
	if len(listed) == 0 {
		fmt.Fprintln(a.stdout, "there is no run\nnext: windrow run SPEC")
		return nil
	}
	t := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, r := range listed {
		fmt.Fprintf(t, "%s\t%s\t%s of %s recorded, %s failed\t%s\t%s\n", r.Run, r.State, humanize.Comma(r.Recorded),
			humanize.Comma(r.Tasks), humanize.Comma(r.Failed), humanize.IBytes(r.Bytes), humanize.Time(r.Created))
	}
	return t.Flush()
}

// stateOf returns the state of a run in a word, by its ledger alone.
func stateOf(s *ledger.State) string {
	switch sealed, _ := s.Sealed(); {
	case sealed != nil:
		return "sealed"
	case s.Planned() == nil:
		return "created"
	case haltedWord(s) != "":
		return haltedWord(s)
	case s.Settings() != nil && !wantsWork(s):
		return "failing"
	}
	return "open"
}
