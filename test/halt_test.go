package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// recorded returns how many rows the newest run has.
func (c *campaign) recorded(t *testing.T) int {
	t.Helper()
	return int(c.status(t)["recorded"].(float64))
}

// TestPauseOutlivesTheRun pauses a run, kills it and starts it again: nothing
// is computed until it is resumed.
func TestPauseOutlivesTheRun(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 25ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	c.awaitRows(t, 50)
	stdout, _ := c.run(t, 0, "pause")
	if !strings.Contains(stdout, "paused; workers finish the tasks that they hold") || !strings.Contains(stdout, "next: windrow resume storm-") {
		t.Errorf("pause says:\n%s", stdout)
	}
	eventually(t, "the workers to be done", func() bool {
		s := c.status(t)
		return s["state"] == "paused" && s["workers"].(float64) == 2 && s["in_work"].(float64) == 0
	})
	rows := c.recorded(t)
	p.kill()
	eventually(t, "its workers to follow", func() bool { return len(c.children(t, "worker")) == 0 })
	p = c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	eventually(t, "new workers", func() bool { return len(c.children(t, "worker")) == 2 }) // status would open the broker's store itself
	eventually(t, "their beats", func() bool { return c.status(t)["workers"].(float64) == 2 })
	<-time.After(2 * time.Second)
	if now := c.recorded(t); now != rows || rows >= 600 {
		t.Errorf("%d rows while paused, %d before", now, rows)
	}
	if stdout, _ := c.run(t, 0, "pause"); !strings.Contains(stdout, "paused already") {
		t.Errorf("a second pause says:\n%s", stdout)
	}
	c.run(t, 0, "resume")
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	if _, stderr := c.run(t, 2, "pause"); !strings.Contains(stderr, "is sealed: there is nothing to pause") {
		t.Errorf("pause of a sealed run says:\n%s", stderr)
	}
}

// awaitRows waits until the newest run has so many rows.
func (c *campaign) awaitRows(t *testing.T, n int) {
	t.Helper()
	eventually(t, "a worker", func() bool { return len(c.children(t, "worker")) > 0 })
	eventually(t, fmt.Sprint(n, " rows"), func() bool {
		p := c.start(t, nil, "status", "--json")
		if p.wait() != 0 { // there is no broker yet
			return false
		}
		_, rest, _ := strings.Cut(p.stdout.String(), `"recorded":`)
		rows := 0
		_, err := fmt.Sscanf(rest, "%d", &rows)
		return err == nil && rows >= n
	})
}

// TestCancelAndTakeItBack ends a run without a dataset, and then lets it go on
// from where it was.
func TestCancelAndTakeItBack(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 25ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	c.awaitRows(t, 50)
	c.run(t, 0, "cancel")
	if code := p.wait(); code != 4 || !strings.Contains(p.stderr.String(), "was cancelled at") {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
	rows := c.recorded(t)
	if _, stderr := c.run(t, 4, "run", "spec.yaml"); !strings.Contains(stderr, "next: windrow resume storm-") {
		t.Errorf("run of a cancelled run says:\n%s", stderr)
	}
	if stdout, _ := c.run(t, 0, "runs"); !strings.Contains(stdout, "cancelled") {
		t.Errorf("runs says:\n%s", stdout)
	}
	if _, err := os.Stat(c.path("out.h5")); !os.IsNotExist(err) || c.recorded(t) != rows || rows >= 600 {
		t.Errorf("a dataset, or more rows than %d: %v", rows, err)
	}
	c.run(t, 0, "resume", c.runID(t))
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestCancelEndsEveryRole cancels a run of roles that were started by hand.
func TestCancelEndsEveryRole(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 25ms}}"}))
	b := c.newBroker(t)
	roles := map[*process]int{
		b.role(t, "producer", "spec.yaml", "--exit-when-sealed"): 4,
		b.role(t, "merger", "--exit-when-sealed"):                4,
		b.role(t, "worker", "--exit-when-sealed"):                0,
	}
	eventually(t, "50 rows", func() bool { return b.recordedIfThere() >= 50 })
	c.run(t, 0, "cancel", "--nats", b.url)
	for p, want := range roles {
		if code := p.wait(); code != want {
			t.Errorf("%v ended with %d, want %d:\n%s", p.cmd.Args, code, want, &p.stderr)
		}
	}
}

// TestRemove removes a run at which nobody is at work, and never its dataset.
func TestRemove(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 40ms}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2", "--keep-shards")
	c.awaitRows(t, 10)
	id := c.runID(t)
	if _, stderr := c.run(t, 2, "rm", id, "--yes"); !strings.Contains(stderr, "is at work") || !strings.Contains(stderr, "next: windrow cancel "+id) {
		t.Errorf("rm of a live run says:\n%s", stderr)
	}
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	sum := c.sha256(t)
	if _, stderr := c.run(t, 2, "rm", id); !strings.Contains(stderr, "--yes") {
		t.Errorf("rm without a terminal says:\n%s", stderr)
	}
	if shards, err := os.ReadDir(c.path(".windrow", "shards", id)); err != nil || len(shards) < 2 {
		t.Errorf("shards were removed without a yes: %v, %v", shards, err)
	}
	stdout, _ := c.run(t, 0, "rm", id, "--yes")
	for _, want := range []string{"the run in the broker", ".windrow/shards/" + id, ".windrow/logs/" + id, id + ": removed"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("rm does not say %q:\n%s", want, stdout)
		}
	}
	if stdout, _ := c.run(t, 0, "runs"); !strings.Contains(stdout, "there is no run") {
		t.Errorf("runs says:\n%s", stdout)
	}
	for _, gone := range []string{"shards", "logs"} {
		if _, err := os.Stat(c.path(".windrow", gone, id)); !os.IsNotExist(err) {
			t.Errorf("%s of the run: %v", gone, err)
		}
	}
	if got := c.sha256(t); got != sum {
		t.Errorf("the dataset has changed: %s, was %s", got, sum)
	}
	c.run(t, 2, "rm", id, "--yes") // there is no such run
}

// TestRemoveUnfinished removes a run that was cancelled, with what there is of its
// dataset, and what is not of the run stays.
func TestRemoveUnfinished(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 40ms}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	c.awaitRows(t, 10)
	c.run(t, 0, "cancel")
	if code := p.wait(); code != 4 {
		t.Fatalf("exit code %d:\n%s", code, &p.stderr)
	}
	others := []string{"other.h5.partial", "other.h5.rows", "other.h5"}
	for _, name := range others {
		if err := os.WriteFile(c.path(name), []byte("of another"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _ := c.run(t, 0, "rm", c.runID(t), "--yes")
	for _, name := range []string{"out.h5.partial", "out.h5.rows"} {
		if _, err := os.Stat(c.path(name)); !os.IsNotExist(err) || !strings.Contains(stdout, ", "+name+" (") {
			t.Errorf("%s: %v; rm says:\n%s", name, err, stdout)
		}
	}
	for _, name := range others {
		if _, err := os.Stat(c.path(name)); err != nil || strings.Contains(stdout, name) {
			t.Errorf("%s: %v; rm says:\n%s", name, err, stdout)
		}
	}
}

// TestExplainTellsTheWorker asks about a task in work, one behind it, and one
// that is not of the run.
func TestExplainTellsTheWorker(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 1h}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "1")
	var stdout string
	eventually(t, "a worker", func() bool { return len(c.children(t, "worker")) > 0 })
	eventually(t, "task 0 to be in work", func() bool {
		q := c.start(t, nil, "explain", "0")
		if q.wait() != 0 {
			return false
		}
		stdout = q.stdout.String()
		return strings.Contains(stdout, "running at ")
	})
	if !strings.Contains(stdout, "(delivery 1)") || !strings.Contains(stdout, "fetched") {
		t.Errorf("explain 0 says:\n%s", stdout)
	}
	if stdout, _ := c.run(t, 0, "explain", "farm_id=0,farm_type=0,seed=6"); !strings.Contains(stdout, "task 5 of 600: waiting, 4 tasks before it") {
		t.Errorf("explain of the sixth says:\n%s", stdout)
	}
	if _, stderr := c.run(t, 2, "explain", "later"); !strings.Contains(stderr, `"later" is no task`) {
		t.Errorf("explain later says:\n%s", stderr)
	}
	if stdout, _ := c.run(t, 0, "logs"); !strings.Contains(stdout, "/worker-1.log <==") || !strings.Contains(stdout, "/merger.log <==") {
		t.Errorf("logs says:\n%s", stdout)
	}
	p.kill()
}
