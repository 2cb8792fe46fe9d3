package cli

import (
	"testing"
	"time"
)

func TestMeterForetellsARange(t *testing.T) {
	t.Parallel()
	m := meter{total: 1000}
	start := time.Unix(0, 0)
	if got := m.String(); got != "warming up" {
		t.Errorf("before the first task: %q", got)
	}
	done := int64(0)
	for second := range 20 {
		m.observe(start.Add(time.Duration(second)*time.Second), done)
		if second < 10 {
			done += 5
		} else {
			done += 15
		}
	}
	// 50 tasks in the first half, 135 in the second: 5 and 15 a second.
	if got, want := m.String(), "9.7 tasks/s, 54 s to 3 min left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMeterForgetsWhatIsOlderThanAMinute(t *testing.T) {
	t.Parallel()
	m := meter{total: 1_000_000}
	start := time.Unix(0, 0)
	for second := range 600 {
		m.observe(start.Add(time.Duration(second)*time.Second), int64(second))
	}
	if n := len(m.samples); n != 61 {
		t.Errorf("%d samples are kept, want those of a minute", n)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{3, 3.2, "3 s"}, {50, 119, "50 s to 119 s"}, {100, 400, "100 s to 7 min"}, {7300, 10000, "2 h to 3 h"},
	} {
		if got := span(c.low, c.high); got != c.want {
			t.Errorf("span of %v to %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}
