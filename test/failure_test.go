package test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"windrow/internal/fault"
	"windrow/internal/message"
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

// TestPoisonedBatch computes 1,000 tasks, which are published as one batch, of
// which some crash their simulator, err, hang, or answer what cannot be. Each
// of them is begun as often as its budget says and no other is begun twice:
// the simulators die, and the workers do not.
func TestPoisonedBatch(t *testing.T) {
	t.Parallel()
	poison := map[int]message.Class{}
	for i, class := range []message.Class{
		message.ClassCrash, message.ClassError, message.ClassTimeout, message.ClassInvalidOutput,
		message.ClassCrash, message.ClassError, message.ClassTimeout, message.ClassInvalidOutput,
		message.ClassCrash, message.ClassError, message.ClassCrash,
	} {
		poison[300+61*i] = class
	}
	attempts := map[message.Class]int{message.ClassCrash: 2, message.ClassError: 3, message.ClassTimeout: 1, message.ClassInvalidOutput: 2}
	spec := strings.Replace(patient(countedSpec(7, 1000)), "timeout: 1m", "timeout: 4s, start_timeout: 20s", 1) +
		"retry: {crash: 1, error: 2, timeout: 0, invalid_output: 1}\nfailures: {allow: 11}\n"
	poisoned := func(each time.Duration) *campaign {
		c := newCounted(t, spec, each)
		text, err := json.Marshal(poison)
		if err == nil {
			err = os.WriteFile(c.path("poison"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	calm := poisoned(0)
	undisturbed := calm.start(t, nil, "run", "spec.yaml", "--workers", "1")

	c := poisoned(2 * time.Millisecond)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "complete")
	role := func(args ...string) *process { return c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold, args...) }
	workers := []*process{role("worker", "--allow-spec", "spec.yaml"), role("worker", "--allow-spec", "spec.yaml")}
	decided := []*process{role("producer", "spec.yaml"), role("merger")}
	eventually(t, "both to be at work", func() bool { return recordedBy(workers[0]) > 0 && recordedBy(workers[1]) > 0 })
	before := usageOf(t, append(workers, decided...)...)
	held()
	before.check(t)
	release()
	allEnd(t, 0, workers...)
	allEnd(t, 3, append(decided, undisturbed)...)

	if got, want := c.sha256(t), calm.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	var innocent []string
	begun := map[int]int{}
	for _, line := range c.attempts(t) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if begun[n]++; poison[n] == "" {
			innocent = append(innocent, line)
		}
	}
	checkAgain(t, innocent, 0)
	for n := 1; n <= 1000; n++ {
		if want := max(1, attempts[poison[n]]); begun[n] != want {
			t.Errorf("%d attempts at %d (%s), want %d", begun[n], n, poison[n], want)
		}
	}
	b.checkPoisoned(t, poison)
	b.p.kill()
}

// checkPoisoned compares which rows are in the dataset, and which failed in
// which way, with which should be.
func (b *broker) checkPoisoned(t *testing.T, poison map[int]message.Class) {
	t.Helper()
	out, err := exec.Command("h5dump", "-d", "/n", "-y", "-w", "1", b.path("out.h5")).CombinedOutput()
	if err != nil {
		t.Fatalf("h5dump: %v\n%s", err, out)
	}
	var rows, want []int
	for _, value := range regexp.MustCompile(`(?m)^ +(\d+),?$`).FindAllStringSubmatch(string(out), -1) {
		n, err := strconv.Atoi(value[1])
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, n)
	}
	for n := 1; n <= 1000; n++ {
		if poison[n] == "" {
			want = append(want, n)
		}
	}
	if !slices.Equal(rows, want) {
		t.Errorf("rows of the dataset: %v", rows)
	}
	failed := map[int]message.Class{}
	for _, g := range b.groups(t, "--nats", b.url) {
		for _, r := range g.Rows {
			for index := r[0]; index <= r[1]; index++ {
				failed[int(index)+1] = message.Class(g.Class)
			}
		}
	}
	if !maps.Equal(failed, poison) {
		t.Errorf("failed: %v, should be %v", failed, poison)
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
	if deliveries := s["deliveries"].(float64); deliveries < 10000 || deliveries > 10020 { // at a load of 23, one task was delivered twice
		t.Errorf("%v deliveries of 10,000 tasks", deliveries)
	}
	if events, shards := s["events"].(float64), s["shards"].(float64); events != shards+3 {
		t.Errorf("%v events for %v shards: want the shards, planned, settings and sealed", events, shards)
	}
}
