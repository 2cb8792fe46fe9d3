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
// taken and leaves. Those at work do not notice.
func TestTwoMergers(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, patient(spec), 100*time.Millisecond)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "complete")
	roles := []*process{
		c.metered(t, b.url, "", "producer", "spec.yaml"),
		c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold, "merger"),
		c.metered(t, b.url, "", "worker", "--allow-spec", "spec.yaml"),
	}
	eventually(t, "the first merger to be at work", func() bool { return strings.Contains(roles[1].stderr.String(), "shard copied") })
	before := usageOf(t, roles...)
	second := b.role(t, "merger", "--exit-when-sealed")
	if code := second.wait(); code != 6 || !strings.Contains(second.stderr.String(), "another merger has the lock") {
		t.Errorf("the second merger ended with %d:\n%s", code, &second.stderr)
	}
	c.pace(t, 0)
	held()
	before.check(t)
	release()
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, 0)
	b.p.kill()
}

// TestMergerStoppedBeforeItsRename stops a merger whose file is complete. One
// with another output, which no lock keeps away, seals meanwhile. Then the
// first goes on: it finds that what it has is what was sealed.
func TestMergerStoppedBeforeItsRename(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, patient(spec), 10*time.Millisecond)
	b := c.newBroker(t)
	once := c.path("stopped")
	stopped := c.metered(t, b.url, fault.MergerBeforeRename+"=stop@"+once, "merger")
	roles := []*process{c.metered(t, b.url, "", "producer", "spec.yaml"), c.metered(t, b.url, "", "worker", "--allow-spec", "spec.yaml")}
	eventually(t, "the merger to stop", stopped.isStopped)
	allEnd(t, 0, b.role(t, "merger", "--exit-when-sealed", "--output", "other.h5"))
	if got := sha256Of(t, c.path("other.h5")); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	stopped.signal(syscall.SIGCONT)
	allEnd(t, 0, append(roles, stopped)...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, 0)
	b.p.kill()
}

// TestTwoProducers holds a producer between two batches while a second one
// publishes the rest: the first finds out, says so, and leaves. Those at work
// do not notice.
func TestTwoProducers(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 1200)
	want := calmCounted(t, spec)
	c := newCounted(t, patient(spec), 100*time.Millisecond)
	b := c.newBroker(t)
	batch, heldThere, goOn := c.hold(t, "batch")
	hold, held, release := c.hold(t, "complete")
	first := c.start(t, []string{"WINDROW_FAULT=" + fault.ProducerBatchAcked + "#1=hold@" + batch},
		"producer", "spec.yaml", "--exit-when-sealed", "--nats", b.url)
	heldThere()
	others := []*process{
		c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold, "merger"),
		c.metered(t, b.url, "", "worker", "--allow-spec", "spec.yaml"),
	}
	eventually(t, "rows", func() bool { return recordedBy(others[1]) > 2 })
	before := usageOf(t, others...)
	rest, published, leave := c.hold(t, "rest")
	second := c.metered(t, b.url, fault.ProducerPublished+"=hold@"+rest, "producer", "spec.yaml")
	published()
	leave()
	goOn()
	if code := first.wait(); code != 6 || !strings.Contains(first.stderr.String(), "another producer") {
		t.Errorf("the first producer ended with %d:\n%s", code, &first.stderr)
	}
	c.pace(t, 0)
	held()
	before.check(t)
	release()
	allEnd(t, 0, append(others, second)...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, 0)
	b.p.kill()
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
	allEnd(t, 0, p, w, right)
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

// TestWorkerInAnotherFolderWaitsForTheMerger has a worker wait for the broker of a
// windrow run before that starts, with a shards folder of its own: it computes
// nothing before the merger has shown it the right one.
func TestWorkerInAnotherFolderWaitsForTheMerger(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 5ms}}"}))
	address := freeAddress(t)
	command := []string{"run", "spec.yaml", "--workers", "1", "--listen", address}
	first := c.start(t, nil, command...) // makes token and certificate
	c.awaitRows(t, 1)
	first.signal(syscall.SIGINT)
	if code := first.wait(); code != 130 {
		t.Fatalf("exit code %d:\n%s", code, &first.stderr)
	}
	token, err := os.ReadFile(c.path(".windrow", "token"))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"NATS_TOKEN=" + string(token), "NATS_CA=" + c.path(".windrow", "server.pem")}
	worker := c.start(t, env, "worker", "--nats", "nats://"+address, "--shards", "elsewhere", "--run", c.runID(t))
	eventually(t, "the worker to wait", func() bool { return strings.Contains(worker.stderr.String(), "waiting") })
	run := c.start(t, nil, command...)
	if code := worker.wait(); code != 6 || !strings.Contains(worker.stderr.String(), "is not the folder that merger") {
		t.Errorf("the worker ended with %d:\n%s", code, &worker.stderr)
	}
	if n := recordedBy(worker); n > 0 {
		t.Errorf("%d shards in another folder", n)
	}
	if code := run.wait(); code != 0 {
		t.Errorf("exit code %d:\n%s", code, &run.stderr)
	}
}
