package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/merger"
)

// alreadySealed verifies the dataset of a finished run.
func (c *campaign) alreadySealed(sealed *message.Sealed) error {
	out := c.plan.Spec.Output.File
	if err := c.checkSettings(); err != nil {
		return err
	}
	if err := checkSealed(out, sealed); err != nil {
		return &exitError{exitCorrupt, err, "windrow run " + c.specPath + " --restart"}
	}
	shards := filepath.Join(c.local.state.shards(), string(c.plan.ID()))
	if err := merger.Tidy(out, shards, sealed, c.options.keepShards); err != nil {
		return err
	}
	if err := c.ensureRecord(out); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s is finished and verified; nothing was computed\n", c.plan.ID())
	return c.report(sealed)
}

// ensureRecord writes the record that a merger was killed before.
func (c *campaign) ensureRecord(out string) (err error) {
	if _, err := os.Stat(out + ".run.json"); err == nil {
		return nil
	}
	c.ledger.View(func(s *ledger.State) { err = merger.WriteRecord(out, s) })
	return err
}

// checkSettings refuses a spec that wants another file than the one that was
// sealed: it is not made by itself, because that may take long.
func (c *campaign) checkSettings() error {
	var was message.Settings
	c.ledger.View(func(s *ledger.State) { was = *s.Settings() })
	out, now := c.plan.Spec.Output.File, c.plan.Settings
	switch {
	case was.Output != now.Output:
		old := filepath.Join(filepath.Dir(out), was.Output)
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed as %s; output.file is %s now", old, out), "mv " + old + " " + out + ", or windrow run " + c.specPath + " --restart"}
	case was.Storage != now.Storage || was.Level != now.Level:
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed with output.storage: %s; it is %s now",
			storage(&was), storage(now)), "windrow run " + c.specPath + " --restart"}
	case was.Rows != now.Rows:
		return &exitError{exitCorrupt, fmt.Errorf("the run is sealed with failures.rows: %s; it is %s now", was.Rows, now.Rows), "windrow run " + c.specPath + " --restart"}
	}
	return nil
}

// storage returns output.storage, with the level where there is one.
func storage(s *message.Settings) string {
	if s.Level == 0 {
		return string(s.Storage)
	}
	return fmt.Sprintf("%s (level %d)", s.Storage, s.Level)
}

// givenUp returns the error that ends the run, or nil.
func (c *campaign) givenUp() error {
	if err := c.cancelled(); err != nil {
		return err
	}
	return c.tooManyFailures()
}

// cancelled returns an error if somebody has cancelled the run.
func (c *campaign) cancelled() error {
	var recorded int64
	var since time.Time
	cancelled := false
	c.ledger.View(func(s *ledger.State) {
		cancelled, recorded = s.Cancelled(), s.Recorded()
		_, since = s.Halted()
	})
	if !cancelled {
		return nil
	}
	id := c.plan.ID()
	return &exitError{exitIncomplete, fmt.Errorf("%s was cancelled at %s: no dataset was written, %s of %s rows are kept", id,
		since.Local().Format(time.DateTime), humanize.Comma(recorded), humanize.Comma(c.plan.Planned.Tasks)), //nolint:gosmopolitan // people read their own clock
		"windrow resume " + string(id) + " --state-dir " + c.local.state.dir + ", and then windrow run " + c.specPath + "; or windrow run " + c.specPath + " --restart"}
}

// tooManyFailures returns an error if more tasks have failed than may.
func (c *campaign) tooManyFailures() error {
	var first message.Failure
	var why string
	overrun := false
	c.ledger.View(func(s *ledger.State) {
		if overrun = s.Overrun(); !overrun {
			return
		}
		first = s.Failures()[0]
		failed, allow := s.Failed(), s.Settings().Allow.Of(s.Tasks())
		why = fmt.Sprintf("%s failed, %d allowed (failures.allow)", plural(int(failed), "task"), allow)
		if failed <= allow {
			why = fmt.Sprintf("%d of the first %s failed (failures.abort_if: %s)", failed,
				plural(int(s.Recorded()+failed), "task"), s.Settings().AbortIf)
		}
	})
	if !overrun {
		return nil
	}
	return &exitError{exitIncomplete, fmt.Errorf("%s: no dataset was written\nfirst: task %d, %s: %s",
		why, first.Index, first.Class, message.FirstLine(first.Message, 200)), "windrow failed " + string(c.plan.ID()) + " --state-dir " + c.local.state.dir}
}

func (c *campaign) interruptedError() error {
	var recorded int64
	c.ledger.View(func(s *ledger.State) { recorded = s.Recorded() })
	return &exitError{exitInterrupted, fmt.Errorf("interrupted: %s of %s rows are kept",
		humanize.Comma(recorded), humanize.Comma(c.plan.Planned.Tasks)), "windrow run " + c.specPath}
}

// report prints the last lines of a finished run.
func (c *campaign) report(sealed *message.Sealed) error {
	reportDataset(c.stdout, c.plan.Spec.Output.File, sealed)
	if sealed.Failed == 0 {
		return nil
	}
	return &exitError{
		exitAllowed, allowedError(sealed.Failed),
		"windrow failed " + string(c.plan.ID()) + " --state-dir " + c.local.state.dir,
	}
}

func reportDataset(w io.Writer, out string, sealed *message.Sealed) {
	fmt.Fprintf(w, "%s: %s rows, %s, sha256 %s\n", out, humanize.Comma(sealed.Rows), size(sealed.Bytes), sealed.SHA256)
	fmt.Fprintf(w, "next: windrow verify %s\n", out)
}
