package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

func TestHalting(t *testing.T) {
	t.Parallel()
	paused, resumed, cancelled := &message.Paused{}, &message.Resumed{}, &message.Cancelled{}
	for name, test := range map[string]struct {
		events  []message.Event
		want    message.Kind
		since   int // seconds after epoch
		ignored string
	}{
		"at first":               {nil, "", 0, ""},
		"paused":                 {[]message.Event{paused}, message.KindPaused, 2, ""},
		"paused twice":           {[]message.Event{paused, paused}, message.KindPaused, 2, "paused already"},
		"resumed":                {[]message.Event{paused, resumed}, "", 3, ""},
		"resumed for nothing":    {[]message.Event{resumed}, "", 0, "neither paused nor cancelled"},
		"cancelled":              {[]message.Event{cancelled}, message.KindCancelled, 2, ""},
		"paused, then cancelled": {[]message.Event{paused, cancelled}, message.KindCancelled, 3, ""},
		"cancelled, then paused": {[]message.Event{cancelled, paused}, message.KindCancelled, 2, "cancelled already"},
		"taken back":             {[]message.Event{cancelled, resumed}, "", 3, ""},
		"after the seal":         {[]message.Event{shard(0), sealed(), cancelled}, "", 0, "sealed"},
		"in between, rows count": {[]message.Event{paused, shard(0)}, message.KindPaused, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := fold(append([]message.Event{planned(1)}, test.events...)...)
			kind, since := s.Halted()
			if kind != test.want || s.Cancelled() != (test.want == message.KindCancelled) {
				t.Errorf("halted: %q, want %q", kind, test.want)
			}
			if want := epoch.Add(time.Duration(test.since) * time.Second); test.since > 0 && !since.Equal(want) {
				t.Errorf("since %s, want %s", since, want)
			}
			ignored, _ := errors.AsType[*ledger.IgnoredError](err)
			if (ignored == nil) != (test.ignored == "") || ignored != nil && !strings.Contains(ignored.Reason, test.ignored) {
				t.Errorf("ignored: %v, want %q", err, test.ignored)
			}
			if recorded := s.Recorded(); name == "in between, rows count" && recorded != 1 {
				t.Errorf("%d rows recorded", recorded)
			}
		})
	}
}

func TestAcceptedChanges(t *testing.T) {
	t.Parallel()
	a, b, c := message.Digest(strings.Repeat("a", 64)), message.Digest(strings.Repeat("b", 64)), message.Digest(strings.Repeat("c", 64))
	plan := &message.Planned{Name: "test", Tasks: 2, Files: []message.File{{Path: "sim.py", Digest: a}, {Path: "tasks.csv", Digest: a}}}
	accepted := func(path string, from, to message.Digest) message.Event {
		return &message.Accepted{Path: path, From: from, To: to}
	}
	for name, test := range map[string]struct {
		events  []message.Event
		want    message.Digest // of sim.py
		ignored string
	}{
		"none":          {nil, a, ""},
		"one":           {[]message.Event{accepted("sim.py", a, b)}, b, ""},
		"two":           {[]message.Event{accepted("sim.py", a, b), shard(0), accepted("sim.py", b, c)}, c, ""},
		"and back":      {[]message.Event{accepted("sim.py", a, b), accepted("sim.py", b, a)}, a, ""},
		"twice":         {[]message.Event{accepted("sim.py", a, b), accepted("sim.py", a, c)}, b, "another one by now"},
		"of no file":    {[]message.Event{accepted("other.py", a, b)}, a, "other.py is not a file of the run"},
		"after the end": {[]message.Event{shard(0, 1), sealed(), accepted("sim.py", a, b)}, a, "sealed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := fold(append([]message.Event{plan}, test.events...)...)
			if got := s.PlannedNow().Files; got[0].Digest != test.want || got[1].Digest != a || s.Planned().Files[0].Digest != a {
				t.Errorf("files %v, planned %v", got, s.Planned().Files)
			}
			ignored, _ := errors.AsType[*ledger.IgnoredError](err)
			if (ignored == nil) != (test.ignored == "") || ignored != nil && !strings.Contains(ignored.Reason, test.ignored) {
				t.Errorf("ignored: %v, want %q", err, test.ignored)
			}
			if name == "two" && (len(s.Accepted()) != 2 || s.Accepted()[1].Recorded != 1) {
				t.Errorf("accepted: %+v", s.Accepted())
			}
		})
	}
}

func TestOverrun(t *testing.T) {
	t.Parallel()
	settings := func(allow, abortIf string) *message.Settings {
		s := &message.Settings{}
		if err := s.Allow.UnmarshalText([]byte(allow)); err != nil {
			t.Fatal(err)
		}
		if abortIf != "" {
			if err := s.AbortIf.UnmarshalText([]byte(abortIf)); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	for _, test := range []struct {
		allow, abortIf   string
		recorded, failed int64
		want             bool
	}{
		{"0", "", 9, 0, false},
		{"0", "", 9, 1, true},
		{"1", "", 9, 1, false},
		{"50%", "10% after 5", 4, 0, false},
		{"50%", "10% after 5", 3, 1, false}, // of four
		{"50%", "10% after 5", 4, 1, true},
		{"50%", "20% after 5", 4, 1, false}, // no more than 20 %
		{"50%", "0% after 1", 0, 1, true},
		{"50%", "0% after 1", 5, 0, false},
	} {
		var events []message.Event
		for i := range test.recorded {
			events = append(events, shard(i))
		}
		for i := range test.failed {
			events = append(events, failed(test.recorded+i, 1))
		}
		s, _ := fold(append([]message.Event{planned(10), settings(test.allow, test.abortIf)}, events...)...)
		if got := s.Overrun(); got != test.want {
			t.Errorf("%+v: %t", test, got)
		}
	}
}
