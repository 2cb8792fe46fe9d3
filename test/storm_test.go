package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/fault"
)

// stormSeed returns the seed of a storm: from WINDROW_STORM_SEED, to repeat
// one, or from the clock. It is printed.
func stormSeed(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WINDROW_STORM_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("repeat with WINDROW_STORM_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// kills returns how many kills a storm brings before it lets the run end: many
// more with WINDROW_CHAOS=1, as in .ci/run.
func kills(few int) int {
	if os.Getenv("WINDROW_CHAOS") != "" {
		return 5 * few
	}
	return few
}

// stormSpec returns a spec that takes long enough for the kills.
func stormSpec() string {
	return specOf(map[string]string{"simulator": fmt.Sprintf("{sleep: {duration: %dms}}", kills(6))})
}

// after returns a channel that delivers after a random time below limit.
func after(r *rand.Rand, limit time.Duration) <-chan time.Time {
	return time.After(time.Duration(r.Int64N(int64(limit))))
}

// TestStormOnRun kills workers, the merger and `windrow run` itself, which is
// the broker and the producer, at random times.
func TestStormOnRun(t *testing.T) {
	t.Parallel()
	spec := stormSpec()
	want := calmSHA256(t, spec)
	for _, workers := range []int{1, 2, 5} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) {
			t.Parallel()
			r := stormSeed(t)
			c := newCampaign(t, spec)
			killed, most := 0, kills(12)
			for sealed := false; !sealed; {
				p := c.start(t, nil, "run", "spec.yaml", "--workers", strconv.Itoa(workers))
				for running := true; running; {
					limit := 1500 * time.Millisecond
					if killed > most {
						limit = time.Hour // let it end
					}
					select {
					case <-p.done:
						running = false
						if sealed = p.wait() == 0; !sealed && killed == 0 {
							t.Fatalf("exit code %d without a kill", p.wait())
						}
					case <-after(r, limit):
						killed++
						c.killOne(t, r, p)
					}
				}
			}
			t.Logf("%d kills", killed)
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
		})
	}
}

// killOne kills the run or one of its children.
func (c *campaign) killOne(t *testing.T, r *rand.Rand, p *process) {
	t.Helper()
	victims := append(c.children(t, "worker"), c.children(t, "merger")...)
	if r.IntN(4) == 0 || len(victims) == 0 {
		p.kill()
		return
	}
	_ = syscall.Kill(victims[r.IntN(len(victims))], syscall.SIGKILL) // it may have ended
}

// TestStormOnRoles starts the roles by hand, at different times, against an
// ordinary nats-server, and kills them and the server at random times.
func TestStormOnRoles(t *testing.T) {
	t.Parallel()
	r := stormSeed(t)
	spec := stormSpec()
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	// With --run, a role that is started again after the seal ends, too.
	worker := []string{"worker", "--run", c.runID(t), "--exit-when-sealed"}
	roles := map[string][]string{
		"producer": {"producer", "spec.yaml", "--exit-when-sealed"},
		"merger":   {"merger", "--run", c.runID(t), "--exit-when-sealed"},
		"worker 1": worker, "worker 2": worker, "worker 3": worker,
	}
	names := []string{"producer", "merger", "worker 1", "worker 2", "worker 3"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	b := c.newBroker(t)
	running := map[string]*process{}
	for _, name := range names {
		running[name] = b.role(t, roles[name]...)
		<-after(r, 500*time.Millisecond)
	}
	for kill := range kills(15) {
		select {
		case <-running["merger"].done:
			if _, err := os.Stat(c.path("out.h5")); err == nil {
				t.Logf("sealed after %d kills", kill)
				goto sealed
			}
		case <-after(r, 1200*time.Millisecond):
		}
		victim := names[r.IntN(len(names))]
		if r.IntN(6) == 0 {
			b.p.kill()
			<-after(r, time.Second)
			b.start(t)
			continue
		}
		running[victim].kill()
		running[victim] = b.role(t, roles[victim]...)
	}
sealed:
	for name, p := range running {
		if code := p.wait(); code != 0 {
			t.Errorf("%s: exit code %d\n%s", name, code, &p.stderr)
		}
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// runID returns the id that the campaign's run will have.
func (c *campaign) runID(t *testing.T) string {
	t.Helper()
	stdout, _ := c.run(t, 0, "plan", "spec.yaml")
	return strings.Fields(stdout)[1] // run storm-1a2b3c4d
}

// TestKilledRunLeavesNoProcess kills `windrow run`; its children must follow
// within ten seconds.
func TestKilledRunLeavesNoProcess(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 1h}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	eventually(t, "two workers and a merger", func() bool {
		return len(c.children(t, "worker")) == 2 && len(c.children(t, "merger")) == 1
	})
	p.kill()
	killed := time.Now()
	eventually(t, "the children to end", func() bool {
		return len(c.children(t, "worker"))+len(c.children(t, "merger")) == 0
	})
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("children lived for %s after the run was killed", took)
	}
}

// TestStoppedWorker stops a worker that holds tasks for longer than ack_wait.
// Its tasks are computed by the other; then it goes on as if nothing were.
func TestStoppedWorker(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, spec, 10*time.Millisecond)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "complete")
	role := func(rule string, args ...string) *process {
		return c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold+","+rule, args...)
	}
	once := c.path("stopped") // as long as it is there, nobody stops
	if err := os.WriteFile(once, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stopped := role(fault.WorkerSimulated+"=stop@"+once, "worker", "--allow-spec", "spec.yaml")
	other := role("", "worker", "--allow-spec", "spec.yaml")
	roles := []*process{role("", "producer", "spec.yaml"), role("", "merger"), stopped, other}
	eventually(t, "both to be at work", func() bool { return recordedBy(stopped) > 2 && recordedBy(other) > 2 })
	before := usageOf(t, roles...)
	if err := os.Remove(once); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the worker to stop", stopped.isStopped)
	<-time.After(5 * time.Second) // more than twice ack_wait: that is what is tested
	stopped.signal(syscall.SIGCONT)
	held()
	before.check(t)
	release()
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, 2*20) // what the stopped one held, and what a busy machine lets go of
	b.p.kill()
}

// TestWorkIsShared starts two workers; each must compute 40 to 60 % of the
// rows. The tasks are long enough for a busy machine to start both in time.
func TestWorkIsShared(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 25ms}}"}))
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	shares := c.record(t).Workers
	if len(shares) != 2 {
		t.Fatalf("%d workers in the record: %v", len(shares), shares)
	}
	for id, share := range shares {
		if share.Rows < 240 || share.Rows > 360 {
			t.Errorf("worker %s computed %d of 600 rows", id, share.Rows)
		}
	}
}
