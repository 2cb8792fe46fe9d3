package test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"windrow/internal/fault"
)

func contains(text []byte, part string) bool { return bytes.Contains(text, []byte(part)) }

// troubleSpec is of 20 tasks, of which 8 fail, two in each way, after their
// budgets.
func troubleSpec(failures string) string {
	return specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..1, seed: 1..10}}",
		"simulator": "{command: [python3, trouble.py], timeout: 4s}",
		"columns":   "[{name: aep, type: f64, unit: GWh, min: 0, finite: true}]",
		"retry":     "{error: 2, crash: 1, timeout: 0, invalid_output: 0}",
		"failures":  failures,
	})
}

func newTrouble(t *testing.T, failures string) *campaign {
	t.Helper()
	c := newCampaign(t, troubleSpec(failures))
	c.addTrouble(t)
	return c
}

// addTrouble adds the simulator that fails until the campaign is mended.
func (c *campaign) addTrouble(t *testing.T) {
	t.Helper()
	script, err := os.ReadFile("testdata/python/trouble.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("trouble.py"), script, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFailingTasks runs tasks that always err, kill their simulator, hang, or
// give a wrong answer. They cost only themselves, and the dataset of the rest
// is the same whoever computed it.
func TestFailingTasks(t *testing.T) {
	t.Parallel()
	for _, rows := range []string{"drop", "keep"} {
		t.Run(rows, func(t *testing.T) {
			t.Parallel()
			sums, groups := map[string]bool{}, map[string]bool{}
			for _, workers := range []string{"1", "5"} {
				c := newTrouble(t, "{allow: 8, rows: "+rows+"}")
				c.run(t, 3, "run", "spec.yaml", "--workers", workers)
				sums[c.sha256(t)] = true
				groups[c.failedGroups(t)] = true
				stdout, _ := c.run(t, 0, "failed")
				for _, want := range []string{
					"8 tasks of 20 failed", "error: ValueError: no layout after 3 attempts", "crash: ", "SIGSEGV",
					"timeout: ", "invalid_output: ", "below the minimum 0", "2 attempts",
				} {
					if !strings.Contains(stdout, want) {
						t.Errorf("`windrow failed` does not say %q:\n%s", want, stdout)
					}
				}
			}
			if len(groups) != 1 {
				t.Errorf("the failures of 1 and 5 workers differ: %v", groups)
			}
			if len(sums) != 1 {
				t.Errorf("the datasets of 1 and 5 workers differ: %v", sums)
			}
		})
	}
}

// TestFewFailures is a campaign of which three in a hundred tasks fail, in four
// ways, with one worker and with five.
func TestFewFailures(t *testing.T) {
	t.Parallel()
	slow(t)
	spec := specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..2, seed: 1..130}}",
		"simulator": "{command: [python3, trouble.py], timeout: 4s}",
		"columns":   "[{name: aep, type: f64, unit: GWh, min: 0, finite: true}]",
		"retry":     "{error: 1, crash: 1, timeout: 0, invalid_output: 0}",
		"failures":  "{allow: 5%}",
	})
	var sums, groups []string
	for _, workers := range []string{"1", "5"} {
		c := newCampaign(t, spec)
		c.addTrouble(t)
		c.run(t, 3, "run", "spec.yaml", "--workers", workers)
		stdout, _ := c.run(t, 0, "failed")
		if !strings.Contains(stdout, "12 tasks of 390 failed") {
			t.Errorf("`windrow failed` says:\n%s", stdout)
		}
		sums, groups = append(sums, c.sha256(t)), append(groups, c.failedGroups(t))
	}
	if sums[0] != sums[1] || groups[0] != groups[1] {
		t.Errorf("1 and 5 workers differ: %v\n%v", sums, groups)
	}
}

// TestFullDiskWhileAFailureIsRecorded fills the broker's disk while the first
// task, which fails, is in hand: the failure is recorded when there is room.
func TestFullDiskWhileAFailureIsRecorded(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..1, seed: [3, 1, 2, 4]}}",
		"simulator": "{command: [python3, trouble.py], timeout: 4s}",
		"columns":   "[{name: aep, type: f64, unit: GWh, min: 0, finite: true}]",
		"retry":     "{error: 0}",
		"failures":  "{allow: 2}",
	})
	calm := newCampaign(t, spec)
	calm.addTrouble(t)
	calm.run(t, 3, "run", "spec.yaml", "--workers", "1")

	c := newCampaign(t, spec)
	c.addTrouble(t)
	dir := c.smallDisk(t, 4, ".windrow", "broker")
	hold, held, release := c.hold(t, "disk")
	p := c.start(t, []string{"WINDROW_FAULT=" + fault.WorkerSimulated + "=hold@" + hold}, "run", "spec.yaml", "--workers", "1")
	held()
	filler := fill(t, dir)
	release()
	if code := p.wait(); code != 6 || !strings.Contains(p.stderr.String(), "no space") || !strings.Contains(p.stderr.String(), "next: windrow run spec.yaml") {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	c.run(t, 3, "run", "spec.yaml", "--workers", "1")
	if got, want := c.sha256(t), calm.sha256(t); got != want || c.failedGroups(t) != calm.failedGroups(t) {
		t.Errorf("sha256 %s, undisturbed %s; groups %s, %s", got, want, c.failedGroups(t), calm.failedGroups(t))
	}
}

// TestAbortedEarly runs tasks of which many fail, with a limit for the share:
// the run gives up long before it has tried them all, and goes on when the
// cause is mended.
func TestAbortedEarly(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..9, seed: 1..30}}",
		"simulator": "{command: [python3, trouble.py], timeout: 4s}",
		"columns":   "[{name: aep, type: f64, unit: GWh, min: 0, finite: true}]",
		"retry":     "{error: 0, crash: 0, timeout: 0, invalid_output: 0}",
		"failures":  "{allow: 100%, abort_if: 10% after 12}",
	})
	c := newCampaign(t, spec)
	c.addTrouble(t)
	_, stderr := c.run(t, 4, "run", "spec.yaml", "--workers", "2")
	if !strings.Contains(stderr, "tasks failed (failures.abort_if: 10% after 12): no dataset was written") || !strings.Contains(stderr, "next: windrow failed") {
		t.Errorf("it says:\n%s", stderr)
	}
	if s := c.status(t); s["state"] != "failing" || s["waiting"].(float64) < 200 {
		t.Errorf("it has tried nearly all: %v", s)
	}
	c.mend(t)
	c.run(t, 0, "replay", "--failed")
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	c.run(t, 0, "verify", "out.h5")
}

// TestTooManyFailures expects no dataset, and the way out: mend the cause and
// replay.
func TestTooManyFailures(t *testing.T) {
	t.Parallel()
	c := newTrouble(t, "{allow: 7}")
	_, stderr := c.run(t, 4, "run", "spec.yaml", "--workers", "2")
	if !strings.Contains(stderr, "tasks failed, 7 allowed") || !strings.Contains(stderr, "next: windrow failed") {
		t.Errorf("no way out is shown:\n%s", stderr)
	}
	if _, err := os.Stat(c.path("out.h5")); err == nil {
		t.Error("a dataset was written")
	}
	c.run(t, 4, "run", "spec.yaml", "--workers", "2") // nothing has changed

	if err := os.WriteFile(c.path("mended"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ := c.run(t, 0, "replay", "--failed")
	if !strings.Contains(stdout, "tasks reopened") {
		t.Errorf("replay: %s", stdout)
	}
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	if s := c.status(t); s["state"] != "sealed" || s["recorded"].(float64) != 20 {
		t.Errorf("status after the replay: %v", s)
	}
}

// TestReplayOfSealedRun opens a sealed run again, which must be asked for.
func TestReplayOfSealedRun(t *testing.T) {
	t.Parallel()
	c := newTrouble(t, "{allow: 8}")
	c.run(t, 3, "run", "spec.yaml", "--workers", "2")
	before := c.sha256(t)
	_, stderr := c.run(t, 2, "replay", "--failed")
	if !strings.Contains(stderr, "--reopen") {
		t.Errorf("replay of a sealed run: %s", stderr)
	}
	if err := os.WriteFile(c.path("mended"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(t, 0, "replay", "--failed", "--reopen")
	if c.sha256(t) != before {
		t.Error("reopening changed the dataset")
	}
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	if c.sha256(t) == before {
		t.Error("the dataset is still the one without the failed rows")
	}
}

// TestNumbersOfNoop checks that a run of 10,000 tasks has the deliveries,
// shards and events that the protocol promises: one delivery for each task,
// one event for each shard, and none for a task.
func TestNumbersOfNoop(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{
		"tasks": "{matrix: {farm_id: 0..9, farm_type: 0..9, seed: 1..100}}", "simulator": "{noop: {}}",
		"queue": "{ack_wait: 30s, shard_seconds: 5}",
	}))
	c.run(t, 0, "run", "spec.yaml", "--workers", "2", "--keep-shards")
	s := c.status(t)
	if s["recorded"].(float64) != 10000 || s["state"] != "sealed" {
		t.Fatalf("status %v", s)
	}
	// A batch is a quarter of a worker's share of the rest, so the rest shrinks
	// by an eighth with each: from 10,000 to 1 in 8 ln 10,000 = 74 batches, and
	// a few single tasks at the start and the end.
	if shards := s["shards"].(float64); shards < 10 || shards > 110 {
		t.Errorf("%v shards", shards)
	}
	if deliveries := s["deliveries"].(float64); deliveries != 10000 {
		t.Errorf("%v deliveries of 10,000 tasks", deliveries)
	}
	if events, shards := s["events"].(float64), s["shards"].(float64); events != shards+3 {
		t.Errorf("%v events for %v shards: want the shards, planned, settings and sealed", events, shards)
	}
}
