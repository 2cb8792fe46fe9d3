package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/shard"
	"windrow/internal/spec"
	"windrow/producer"
)

func addAccept(c *cobra.Command, files *[]string) {
	c.Flags().StringArrayVar(files, "accept-changed", nil, "file of the simulator that has changed since rows were computed: mix them with the rest, and say so in the dataset; may be repeated")
}

// adopt makes the plan that of the run of its name that the broker has, if their
// only difference is files whose change is, or was, accepted. It returns an
// error if another input has changed, and says which; the run is not mixed.
func adopt(ctx context.Context, conn *queue.Conn, plan *producer.Plan, accept []string, command string) error {
	runs, err := conn.Runs(ctx)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Name != plan.Planned.Name || r.Digest == plan.Digest {
			continue
		}
		run, err := conn.OpenRun(ctx, r.ID)
		if err != nil {
			return err
		}
		s, err := fold(ctx, run)
		if err != nil {
			return err
		}
		if s.Planned() == nil {
			continue // it was never opened: there is nothing to lose
		}
		c := changeOf(s, plan)
		sealed, _ := s.Sealed()
		if !c.onlyFiles() || len(c.files) > 0 && (sealed != nil || !c.accepted(plan.Spec.Dir(), accept)) {
			return c.refuse(run.ID(), s, command)
		}
		if err := c.publish(ctx, run); err != nil {
			return err
		}
		plan.Continue(s.Digest(), s.Planned())
		return nil
	}
	if len(accept) > 0 {
		return &exitError{exitUsage, fmt.Errorf("--accept-changed %s: no run of %q was computed with another one", accept[0], plan.Planned.Name), command}
	}
	return nil
}

// change is how a plan differs from a run.
type change struct {
	lines []string           // all differences, in words
	files []message.Accepted // of the simulator, that have other bytes
}

func changeOf(s *ledger.State, plan *producer.Plan) change {
	now, planned := s.PlannedNow(), plan.Planned
	c := change{lines: spec.Differences(now.Spec, planned.Spec, now.Files, planned.Files)}
	if now.Model != planned.Model {
		c.lines = append(c.lines, fmt.Sprintf("simulator version: %s, was %s", planned.Model, now.Model))
	}
	for _, f := range planned.Files {
		i := slices.IndexFunc(now.Files, func(g message.File) bool { return g.Path == f.Path })
		if i >= 0 && now.Files[i].Digest != f.Digest && f.Path != plan.Spec.Tasks.File { // other tasks are another run
			c.files = append(c.files, message.Accepted{Path: f.Path, From: now.Files[i].Digest, To: f.Digest})
		}
	}
	return c
}

// onlyFiles tells whether nothing else has changed.
func (c change) onlyFiles() bool { return len(c.lines) == len(c.files) }

// accepted tells whether the user has named each file, as the spec does or from
// here; dir is where the spec is.
func (c change) accepted(dir string, accept []string) bool {
	for _, f := range c.files {
		if !slices.ContainsFunc(accept, func(name string) bool {
			name = filepath.Clean(name)
			return name == f.Path || name == filepath.Join(dir, f.Path)
		}) {
			return false
		}
	}
	return true
}

// refuse says what has changed, what would be mixed, and how to go on.
func (c change) refuse(id message.RunID, s *ledger.State, command string) error {
	text := fmt.Sprintf("the inputs of %q have changed since run %s:\n  %s\n", s.Planned().Name, id, strings.Join(c.lines, "\n  "))
	sealed, _ := s.Sealed()
	if !c.onlyFiles() || sealed != nil {
		return &exitError{exitUsage, errors.New(text + "put them back or change `name` to keep that run; or begin anew"), command + " --restart"}
	}
	text += "put them back, or begin anew with --restart; or accept that rows are mixed:\n  " + mixture(s)
	return &exitError{exitUsage, errors.New(text), command + c.flags()}
}

// flags returns what accepts the changes.
func (c change) flags() string {
	var flags strings.Builder
	for _, f := range c.files {
		flags.WriteString(" --accept-changed " + f.Path)
	}
	return flags.String()
}

// mixture says which rows would be of which files.
func mixture(s *ledger.State) string {
	if done := recordedRanges(s); len(done) > 0 {
		return fmt.Sprintf("tasks %s were computed before the change, and stay; all others are computed after it", done)
	}
	return "no row was computed before the change"
}

// publish makes the changes those of the run.
func (c change) publish(ctx context.Context, run *queue.Run) error {
	for _, event := range c.files {
		if _, err := run.Publish(ctx, &event); err != nil {
			return fmt.Errorf("accept the change of %s: %w", event.Path, err)
		}
	}
	return nil
}

// changedHere looks at the files of the run's simulator in this directory, if
// they are here: a replay knows no spec.
func changedHere(s *ledger.State) (change, error) {
	decoded, err := spec.Decode(s.Planned().Spec)
	if err != nil {
		return change{}, fmt.Errorf("read the spec in the ledger: %w", err)
	}
	var c change
	for _, f := range s.PlannedNow().Files {
		sum, _, err := shard.Hash(f.Path)
		if err != nil || sum == f.Digest || f.Path == decoded.Tasks.File {
			continue // it is not here, or what it was
		}
		c.files = append(c.files, message.Accepted{Path: f.Path, From: f.Digest, To: sum})
		c.lines = append(c.lines, f.Path)
	}
	return c, nil
}

// say tells on w what a replay would mix.
func (c change) say(w io.Writer, s *ledger.State) {
	fmt.Fprintf(w, "%s has changed since the run was planned: %s\n", strings.Join(c.lines, ", "), mixture(s))
}

// refuseReplay wants the changes accepted.
func (c change) refuseReplay(id message.RunID, o replayOptions) error {
	next := fmt.Sprintf("windrow replay %s %s%s%s", id, o.selectors(), c.flags(), o.again())
	if o.reopen {
		next += " --reopen"
	}
	return &exitError{exitUsage, errors.New("rows of both would be mixed: put the file back, or accept it"), next}
}

// recordedRanges returns the tasks whose rows are there.
func recordedRanges(s *ledger.State) message.Ranges {
	var recorded []int64
	for i := range s.Tasks() {
		if s.Status(i) == ledger.Recorded {
			recorded = append(recorded, i)
		}
	}
	return message.RangesOf(recorded)
}
