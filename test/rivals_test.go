package test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/fault"
)

// TestTwoRuns starts a second `windrow run` on the state directory of the
// first: it says who is there and leaves.
func TestTwoRuns(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 30ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	first := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	eventually(t, "the first run to be at work", func() bool { return len(c.children(t, "worker")) > 0 })
	_, stderr := c.run(t, 6, "run", "spec.yaml")
	if !strings.Contains(stderr, "another windrow is at work") {
		t.Errorf("the second run does not say why it leaves:\n%s", stderr)
	}
	if code := first.wait(); code != 0 {
		t.Fatalf("the first run ended with %d", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestTwoMergers starts a second merger for one dataset: it finds the lock
// taken and leaves.
func TestTwoMergers(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	b := c.newBroker(t)
	p := b.role(t, "producer", "spec.yaml", "--exit-when-sealed")
	first := b.role(t, "merger", "--exit-when-sealed")
	eventually(t, "the first merger to have the lock", func() bool {
		_, err := os.Stat(c.path("out.h5.partial"))
		return err == nil
	})
	second := b.role(t, "merger", "--exit-when-sealed")
	if code := second.wait(); code != 6 || !strings.Contains(second.stderr.String(), "another merger has the lock") {
		t.Errorf("the second merger ended with %d:\n%s", code, &second.stderr)
	}
	w := b.role(t, "worker", "--exit-when-sealed")
	for _, p := range []*process{p, first, w} {
		if code := p.wait(); code != 0 {
			t.Errorf("%v ended with %d:\n%s", p.cmd.Args, code, &p.stderr)
		}
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	if again := c.record(t).DuplicateRows; again != 0 {
		t.Errorf("%d rows were computed again", again)
	}
}

// TestTwoProducers holds a producer between two batches while a second one
// publishes the rest: the first finds out, says so, and leaves.
func TestTwoProducers(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..9, farm_type: 0..5, seed: 1..50}}",
		"simulator": "{noop: {}}",
	})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "batch")
	first := c.start(t, []string{"WINDROW_FAULT=" + fault.ProducerBatchAcked + "#1=hold@" + hold},
		"producer", "spec.yaml", "--exit-when-sealed", "--nats", b.url)
	held()
	second := b.role(t, "producer", "spec.yaml", "--exit-when-sealed")
	others := []*process{second, b.role(t, "merger", "--exit-when-sealed"), b.role(t, "worker", "--exit-when-sealed")}
	for _, p := range others {
		if code := p.wait(); code != 0 {
			t.Errorf("%v ended with %d:\n%s", p.cmd.Args, code, &p.stderr)
		}
	}
	release()
	if code := first.wait(); code != 6 || !strings.Contains(first.stderr.String(), "another producer") {
		t.Errorf("the first producer ended with %d:\n%s", code, &first.stderr)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	if again := c.record(t).DuplicateRows; again != 0 {
		t.Errorf("%d rows were computed again", again)
	}
}

// TestForeignPartial leaves the unfinished file of another run under the
// name of the output: it is made anew.
func TestForeignPartial(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	other := strings.Replace(spec, "seed: 7", "seed: 8", 1)
	other = strings.Replace(other, "name: storm", "name: other", 1)
	if err := os.WriteFile(c.path("other.yaml"), []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	p := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerComplete + "=hold@" + c.path("other.yaml")}, "run", "other.yaml", "--workers", "1")
	eventually(t, "the other run's rows to be there", func() bool {
		_, err := os.Stat(c.path("other.yaml.held"))
		return err == nil
	})
	p.kill()
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestWorkersAndMergerShareAFolder starts a merger on another folder than the
// worker's: it finds out before it does anything.
func TestWorkersAndMergerShareAFolder(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 20ms}}"}))
	b := c.newBroker(t)
	p := b.role(t, "producer", "spec.yaml", "--exit-when-sealed")
	w := b.role(t, "worker", "--exit-when-sealed", "--shards", "here")
	eventually(t, "a shard", func() bool { return b.recordedIfThere() > 0 })
	wrong := b.role(t, "merger", "--exit-when-sealed", "--shards", "there")
	if code := wrong.wait(); code != 6 || !strings.Contains(wrong.stderr.String(), "is not the folder that worker") {
		t.Errorf("the merger on another folder ended with %d:\n%s", code, &wrong.stderr)
	}
	right := b.role(t, "merger", "--exit-when-sealed", "--shards", "here")
	for _, p := range []*process{p, w, right} {
		if code := p.wait(); code != 0 {
			t.Errorf("%v ended with %d:\n%s", p.cmd.Args, code, &p.stderr)
		}
	}
}

// TestRolesStartedAfterTheSeal find nothing to do and no folder to share: the
// merger has removed it, and nobody makes another.
func TestRolesStartedAfterTheSeal(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(nil))
	b := c.newBroker(t)
	args := []string{"--run", c.runID(t), "--exit-when-sealed"}
	for _, p := range []*process{
		b.role(t, "producer", "spec.yaml", "--exit-when-sealed"), b.role(t, "worker", "--exit-when-sealed"), b.role(t, append([]string{"merger"}, args...)...),
	} {
		if code := p.wait(); code != 0 {
			t.Fatalf("%v ended with %d:\n%s", p.cmd.Args, code, &p.stderr)
		}
	}
	noFolder := func() {
		t.Helper()
		if _, err := os.Stat(c.path(".windrow", "shards", c.runID(t))); !os.IsNotExist(err) {
			t.Errorf("the shards folder of the sealed run: %v", err)
		}
	}
	noFolder()
	for _, role := range []string{"worker", "merger"} {
		if late := b.role(t, append([]string{role}, args...)...); late.wait() != 0 {
			t.Errorf("%s ended with %d:\n%s", role, late.wait(), &late.stderr)
		}
		noFolder()
	}
	waiting := b.role(t, "worker", args[0], args[1]) // for the run to be opened again
	<-time.After(time.Second)
	noFolder()
	waiting.signal(syscall.SIGINT)
	if code := waiting.wait(); code != 130 {
		t.Errorf("the worker that waited ended with %d:\n%s", code, &waiting.stderr)
	}
}
