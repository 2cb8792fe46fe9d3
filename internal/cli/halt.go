package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// halting is one of the commands that stop a run, or let it go on. The ledger
// keeps what they say, so it outlives every process.
type halting struct {
	event message.Event
	short string
	long  string
	done  string // what is said then
}

func newPause(a *app) *cobra.Command {
	return newHalting(a, "pause", halting{
		&message.Paused{}, "Let workers finish what they hold and fetch no more",
		`Let workers finish the tasks that they hold and fetch no more, until
` + "`windrow resume`" + `. A paused run stays paused when its processes are started again.`,
		"paused; workers finish the tasks that they hold",
	})
}

func newResume(a *app) *cobra.Command {
	return newHalting(a, "resume", halting{
		&message.Resumed{}, "Let a paused or cancelled run go on",
		`Let a paused run go on. A cancelled one can be started again afterwards, and
computes only what is missing.`,
		"resumed",
	})
}

func newCancel(a *app) *cobra.Command {
	return newHalting(a, "cancel", halting{
		&message.Cancelled{}, "End a run without a dataset",
		`End a run without a dataset. Workers finish the tasks that they hold, and the
processes of the run end with exit code 4. What was recorded stays until
` + "`windrow rm`" + `: ` + "`windrow resume`" + ` and the command that started the run go on from there.`,
		"cancelled; workers finish the tasks that they hold",
	})
}

func newHalting(a *app, verb string, h halting) *cobra.Command {
	f := connectFlags{}
	c := &cobra.Command{
		Use:   verb + " [RUN]",
		Short: h.short,
		Long:  h.long + "\n\nWithout RUN it is the newest run.",
		Example: "  windrow " + verb + `
  windrow ` + verb + ` tenders-1a2b3c4d
  windrow ` + verb + ` tenders-1a2b3c4d --nats nats://127.0.0.1:4222`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error { return a.halt(c.Context(), h, f, firstOf(args)) },
	}
	f.add(c)
	return c
}

func (a *app) halt(ctx context.Context, h halting, f connectFlags, id string) (err error) {
	run, closing, err := a.openRun(ctx, f, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()
	s, err := fold(ctx, run)
	if err != nil {
		return err
	}
	if sealed, _ := s.Sealed(); sealed != nil {
		return &exitError{exitUsage, fmt.Errorf("%s is sealed: there is nothing to %s", run.ID(), wordFor(h.event)), "windrow status " + string(run.ID()) + f.again()}
	}
	if s.Planned() == nil {
		return &exitError{exitUsage, fmt.Errorf("%s is not planned yet", run.ID()), "windrow run SPEC"}
	}
	// The fold decides whether the event has an effect, here as everywhere.
	seq, err := run.Publish(ctx, h.event)
	if err != nil {
		return fmt.Errorf("%s %s: %w", wordFor(h.event), run.ID(), err)
	}
	ignored := s.Apply(ledger.Entry{Seq: seq, Kind: h.event.Kind(), Event: h.event})
	if e, ok := errors.AsType[*ledger.IgnoredError](ignored); ok {
		fmt.Fprintf(a.stdout, "%s: %s\n", run.ID(), e.Reason)
		return nil
	}
	fmt.Fprintf(a.stdout, "%s: %s; %s of %s tasks are recorded\n", run.ID(), h.done, humanize.Comma(s.Recorded()), humanize.Comma(s.Tasks()))
	if halted, _ := s.Halted(); halted != "" {
		fmt.Fprintf(a.stdout, "next: windrow resume %s%s\n", run.ID(), f.again())
	}
	return nil
}

func wordFor(e message.Event) string {
	return map[message.Kind]string{
		message.KindPaused: "pause", message.KindResumed: "resume", message.KindCancelled: "cancel",
	}[e.Kind()]
}

// haltedWord returns paused, cancelled or nothing.
func haltedWord(s *ledger.State) string {
	kind, _ := s.Halted()
	return string(kind)
}
