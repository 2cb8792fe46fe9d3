package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"windrow/internal/fault"
)

// mend removes what makes the tasks of newTrouble fail.
func (c *campaign) mend(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(c.path("mended"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// mendedSHA256 returns what the dataset of newTrouble is if nothing fails.
func mendedSHA256(t *testing.T) string {
	t.Helper()
	c := newTrouble(t, "{allow: 8}")
	c.mend(t)
	c.run(t, 0, "run", "spec.yaml", "--workers", "1")
	return c.sha256(t)
}

// group is a group of failures as `windrow failed --json` has it, without what
// differs from run to run.
type group struct {
	ID, Class, Pattern string
	Count              int
	Rows               [][2]int64
}

func (c *campaign) groups(t *testing.T, args ...string) []group {
	t.Helper()
	stdout, _ := c.run(t, 0, append([]string{"failed", "--json"}, args...)...)
	var report struct{ Groups []group }
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	return report.Groups
}

// failedGroups returns the groups as text.
func (c *campaign) failedGroups(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(c.groups(t))
}

// groupOf returns the id of the group of failures of a class.
func (c *campaign) groupOf(t *testing.T, class string) string {
	t.Helper()
	for _, g := range c.groups(t) {
		if g.Class == class {
			return g.ID
		}
	}
	t.Fatalf("no group of class %s", class)
	return ""
}

// TestReplayByEachSelector replays a sealed run piece by piece, and ends in the
// dataset of a run in which nothing failed.
func TestReplayByEachSelector(t *testing.T) {
	t.Parallel()
	want := mendedSHA256(t)
	c := newTrouble(t, "{allow: 8}")
	c.run(t, 3, "run", "spec.yaml", "--workers", "3")
	group := c.groupOf(t, "error")
	c.mend(t)
	for _, step := range []struct {
		selectors []string
		rows      string
		exit      int
	}{
		{[]string{"--class", "crash"}, "2 tasks to compute again: 4, 14\n", 3},
		{[]string{"--group", group}, "2 tasks to compute again: 2, 12\n", 3},
		{[]string{"--key", "seed=7,farm_id=1"}, "1 task to compute again: 16\n", 3},
		{[]string{"--task", "6", "--task", "8"}, "2 tasks to compute again: 6, 8\n", 3},
		{[]string{"--failed"}, "1 task to compute again: 18\n", 0},
	} {
		stdout, _ := c.run(t, 0, append([]string{"replay", "--dry-run"}, step.selectors...)...)
		if !strings.HasSuffix(stdout, step.rows) {
			t.Errorf("replay --dry-run %v:\n%s", step.selectors, stdout)
		}
		c.run(t, 2, append([]string{"replay"}, step.selectors...)...) // it is sealed
		c.run(t, 0, append([]string{"replay", "--reopen"}, step.selectors...)...)
		c.run(t, step.exit, "run", "spec.yaml", "--workers", "2")
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, without failures %s", got, want)
	}
}

// TestReplayDuringRun replays while the merger is about to seal without the
// failed rows: it must notice, and seal with them.
func TestReplayDuringRun(t *testing.T) {
	t.Parallel()
	want := mendedSHA256(t)
	c := newTrouble(t, "{allow: 8}")
	hold, held, release := c.hold(t, "seal")
	p := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerComplete + "=hold@" + hold}, "run", "spec.yaml", "--workers", "2")
	held()
	_, stderr := c.run(t, 4, "replay", "--task", "2", "--wait") // it fails again
	if !strings.Contains(stderr, "1 of 1 task failed again") {
		t.Errorf("replay --wait: %s", stderr)
	}
	c.mend(t)
	stdout, _ := c.run(t, 0, "replay", "--failed", "--wait")
	if !strings.Contains(stdout, "8 tasks recorded") {
		t.Errorf("replay --wait: %s", stdout)
	}
	release()
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, without failures %s", got, want)
	}
}

// TestReplayWhileAStaleWorkerReports stops a worker that holds a failure, and
// lets it report it when another has failed the same task, it was replayed, and
// its row is recorded. The report is too late to count.
func TestReplayWhileAStaleWorkerReports(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{
		"tasks": "{matrix: {farm_id: 1..4, seed: [3]}}", "simulator": "{command: [python3, trouble.py]}",
		"columns": "[{name: aep, type: f64}]", "retry": "{error: 0}", "failures": "{allow: 4}",
	}))
	c.addTrouble(t)
	hold, held, release := c.hold(t, "seal")
	rules := fault.MergerComplete + "=hold@" + hold + "," + fault.WorkerSimulated + "=stop@" + c.path("stopped")
	p := c.start(t, []string{"WINDROW_FAULT=" + rules}, "run", "spec.yaml", "--workers", "2")
	held()
	if s := c.status(t); s["failed"].(float64) != 4 {
		t.Fatalf("status before the replay: %v", s)
	}
	c.mend(t)
	c.run(t, 0, "replay", "--failed", "--wait")
	before := c.status(t)["events"].(float64)
	for _, pid := range c.children(t, "worker") {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stale worker to report", func() bool { return c.status(t)["events"].(float64) > before })
	if s := c.status(t); s["recorded"].(float64) != 4 || s["failed"].(float64) != 0 {
		t.Errorf("status after the report: %v", s)
	}
	release()
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestReplayMissing kills a worker that holds tasks, which would be delivered
// again only after an hour, and asks for them.
func TestReplayMissing(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 5ms}}", "queue": "{ack_wait: 1h, shard_seconds: 0.2}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	b := c.newBroker(t)
	roles := []*process{b.role(t, "producer", "spec.yaml", "--exit-when-sealed"), b.role(t, "merger", "--exit-when-sealed")}
	hold, held, _ := c.hold(t, "worker")
	killed := c.start(t, []string{"WINDROW_FAULT=" + fault.WorkerSimulated + "=hold@" + hold}, "worker", "--nats", b.url)
	held()
	killed.kill()
	stdout, _ := c.run(t, 0, "replay", "--missing", "--nats", b.url)
	if !strings.Contains(stdout, "to compute again: 0") {
		t.Errorf("replay --missing says:\n%s", stdout)
	}
	if stdout, _ := c.run(t, 0, "replay", "--missing", "--dry-run", "--nats", b.url); !strings.Contains(stdout, "compute again: 0") {
		t.Errorf("they are still missing, but it says:\n%s", stdout)
	}
	roles = append(roles, b.role(t, "worker", "--exit-when-sealed"))
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestReplayKilled kills a replay when the tasks are reopened and no copy is
// appended. The next replay, or else the next run, appends them.
func TestReplayKilled(t *testing.T) {
	t.Parallel()
	want := mendedSHA256(t)
	for _, next := range []string{"replay", "run"} {
		t.Run(next, func(t *testing.T) {
			t.Parallel()
			c := newTrouble(t, "{allow: 7}")
			c.run(t, 4, "run", "spec.yaml", "--workers", "2")
			c.mend(t)
			p := c.start(t, []string{"WINDROW_FAULT=" + fault.OperatorReopened + "=kill"}, "replay", "--failed")
			if code := p.wait(); code != -1 {
				t.Fatalf("replay was not killed: exit code %d", code)
			}
			if next == "replay" {
				stdout, _ := c.run(t, 0, "replay", "--failed")
				if !strings.Contains(stdout, "8 tasks appended") {
					t.Errorf("replay after a killed one: %s", stdout)
				}
				stdout, _ = c.run(t, 0, "replay", "--failed")
				if strings.Contains(stdout, "appended") {
					t.Errorf("copies are appended twice: %s", stdout)
				}
			}
			c.run(t, 0, "run", "spec.yaml", "--workers", "2")
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, without failures %s", got, want)
			}
		})
	}
}

// TestReplayWaitsForNobody says so when there is no worker to wait for.
func TestReplayWaitsForNobody(t *testing.T) {
	t.Parallel()
	c := newTrouble(t, "{allow: 7}")
	c.run(t, 4, "run", "spec.yaml", "--workers", "2")
	_, stderr := c.run(t, 6, "replay", "--failed", "--wait")
	if !strings.Contains(stderr, "no worker") || !strings.Contains(stderr, "next: windrow run") {
		t.Errorf("replay --wait: %s", stderr)
	}
}
