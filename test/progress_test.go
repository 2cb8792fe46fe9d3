package test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func slow(t *testing.T) {
	t.Helper()
	if os.Getenv("WINDROW_CHAOS") == "" {
		t.Skip("takes half a minute of waiting: WINDROW_CHAOS=1 runs it")
	}
}

// TestEndIsForetold runs tasks of which some sleep fifty times as long as
// others, and compares what the first line of progress says with when the run
// ends. No other test of processes runs beside it: they would change how fast
// this machine is.
func TestEndIsForetold(t *testing.T) {
	slow(t)
	c := newCampaign(t, specOf(map[string]string{
		"tasks":     "{matrix: {n: 1..1500}}",
		"simulator": "{command: [python3, sleeper.py], timeout: 1m}",
		"columns":   "[{name: y, type: f64}]",
	}))
	script, err := os.ReadFile("testdata/python/sleeper.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("sleeper.py"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	line := regexp.MustCompile(`([0-9,]+) of 1,500 tasks, 0 failed, 2 workers, [0-9.]+ tasks/s, (?:([0-9]+) s to )?([0-9]+) s left`)
	var found []string
	eventually(t, "a line of progress", func() bool {
		found = line.FindStringSubmatch(p.stderr.String())
		return found != nil
	})
	said := time.Now()
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	left := time.Since(said).Seconds()
	high, _ := strconv.ParseFloat(found[3], 64)
	low := high
	if found[2] != "" {
		low, _ = strconv.ParseFloat(found[2], 64)
	}
	t.Logf("%s; it took %.1f s", found[0], left)
	if middle := (low + high) / 2; math.Abs(middle-left) > 0.2*left+1.5 { // to start, to seal and to round takes a second
		t.Errorf("%s; it took %.1f s", found[0], left)
	}
}

// TestNobodyWorks leaves a producer alone.
func TestNobodyWorks(t *testing.T) {
	t.Parallel()
	slow(t)
	c := newCampaign(t, specOf(nil))
	b := c.newBroker(t)
	p := b.role(t, "producer", "spec.yaml")
	want := "no workers for 4[0-9] s: start one with windrow worker --nats " + regexp.QuoteMeta(b.url)
	eventually(t, want, func() bool { return regexp.MustCompile(want).MatchString(p.stderr.String()) })
	if strings.Contains(p.stderr.String(), "no workers for 2") {
		t.Errorf("it was said too early:\n%s", &p.stderr)
	}
	p.kill()
}
