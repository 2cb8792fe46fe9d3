package test

import (
	"os"
	"strings"
	"testing"
	"time"

	"windrow/internal/fault"
)

// provoked are the crash points that an undisturbed run does not reach; they
// are reached with a damaged shard. See TestKilledWhileMending.
func provoked(point string) bool {
	switch point {
	case fault.MergerRejected, fault.MergerMissingAsked, fault.ProducerCopiesAppended:
		return true
	}
	return false
}

// TestKilledAtEveryPoint kills the process that first reaches a crash point,
// lets the supervisor or the user start it again, and expects the dataset of
// an undisturbed run.
func TestKilledAtEveryPoint(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	for _, point := range fault.Points {
		if provoked(point) || point == fault.OperatorReopened || point == fault.MergerChunksWritten { // see TestReplayKilled, TestKilledWhilePacking
			continue
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c := newCounted(t, spec, 2*time.Millisecond)
			c.checkKilledAt(t, point, want)
			c.checkAttempts(t, 20) // batches are small at the start, where workers and producer die
		})
	}
}

// checkKilledAt kills the process that first reaches the point, and compares
// the dataset that the run ends in.
func (c *campaign) checkKilledAt(t *testing.T, point, want string) {
	t.Helper()
	once := c.path("killed")
	c.untilSealed(t, []string{"WINDROW_FAULT=" + point + "=kill@" + once}, "--workers", "2")
	if _, err := os.Stat(once); err != nil {
		t.Fatalf("no process was killed at %s: %v", point, err)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestKilledWhileMending damages a shard before it is copied, and kills a
// process at each point of mending that.
func TestKilledWhileMending(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	for _, point := range fault.Points {
		if !provoked(point) {
			continue
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c := newCampaign(t, spec)
			once := c.path("killed")
			hold, held, release := c.hold(t, "copy")
			env := []string{"WINDROW_FAULT=" + strings.Join([]string{
				fault.MergerShardFound + "=hold@" + hold, point + "=kill@" + once,
			}, ",")}
			p := c.start(t, env, "run", "spec.yaml", "--workers", "2")
			held()
			c.damageShards(t, truncate)
			release()
			if p.wait() != 0 {
				c.untilSealed(t, env, "--workers", "2")
			}
			if _, err := os.Stat(once); err != nil {
				t.Fatalf("no process was killed at %s: %v", point, err)
			}
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
		})
	}
}

// stored returns a spec whose dataset is stored so.
func stored(output string) string {
	return specOf(map[string]string{"output": "{file: out.h5, " + output + "}"})
}

// TestKilledWhilePacking kills the merger at the points of a dataset in chunks,
// which is a second file.
func TestKilledWhilePacking(t *testing.T) {
	t.Parallel()
	for _, output := range []string{"storage: chunked", "storage: gzip"} {
		spec := stored(output)
		want := calmSHA256(t, spec)
		for _, point := range []string{
			fault.MergerComplete, fault.MergerChunksWritten, fault.MergerManifestWritten, fault.MergerVerified,
			fault.MergerBeforeRename, fault.MergerRenamed, fault.MergerSealed,
		} {
			t.Run(output+" "+point, func(t *testing.T) {
				t.Parallel()
				newCampaign(t, spec).checkKilledAt(t, point, want)
			})
		}
	}
}

// TestStorageChangesOnTheWay kills a run whose rows are all there and in chunks
// of a file without a manifest, and goes on with another storage.
func TestStorageChangesOnTheWay(t *testing.T) {
	t.Parallel()
	for name, output := range map[string]string{"smaller": "storage: gzip, level: 9", "contiguous": "storage: contiguous"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCampaign(t, stored("storage: gzip"))
			hold, held, release := c.hold(t, "chunks")
			p := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerChunksWritten + "=hold@" + hold}, "run", "spec.yaml", "--workers", "2")
			held()
			p.kill()
			release()
			if err := os.WriteFile(c.path("spec.yaml"), []byte(stored(output)), 0o600); err != nil {
				t.Fatal(err)
			}
			c.run(t, 0, "run", "spec.yaml", "--workers", "2")
			if got, want := c.sha256(t), calmSHA256(t, stored(output)); got != want {
				t.Errorf("sha256 %s, from the start so %s", got, want)
			}
		})
	}
}

// TestOthersOutliveKills kills a role again and again while the others are at
// work, and looks at what they hold.
func TestOthersOutliveKills(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 1200) // which the producer publishes in two batches
	want := calmCounted(t, spec)
	const deaths = 6 // more than what comes and goes in the others
	const letGo = 20 // a batch of the other worker's, for which a busy machine may come too late
	producer, merger, worker := []string{"producer", "spec.yaml"}, []string{"merger"}, []string{"worker", "--allow-spec", "spec.yaml"}
	for name, victim := range map[string]struct {
		role  []string
		first string // where the first one of the role dies
		next  string // where those after it do
		again int    // tasks that are computed again at most
	}{
		"producer in mid-batch": {producer, fault.ProducerBatchSent + "#2", fault.ProducerBatchSent, 0},
		// Its first batch is of one task.
		"worker before it announces":    {worker, fault.WorkerRenamed, fault.WorkerRenamed, deaths + letGo},
		"worker before it acknowledges": {worker, fault.WorkerAnnounced, fault.WorkerAnnounced, letGo},
		"merger":                        {merger, fault.MergerShardCopied, fault.MergerShardCopied, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine := spec
			if victim.again == 0 { // no worker dies
				mine = patient(spec)
			}
			c := newCounted(t, mine, 100*time.Millisecond) // there is work as long as there are kills
			b := c.newBroker(t)
			hold, held, release := c.hold(t, "complete")
			role := func(rule string, args []string) *process {
				return c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold+","+rule, args...)
			}
			others := []*process{role("", worker)}
			for _, args := range [][]string{producer, merger} {
				if args[0] != victim.role[0] {
					others = append(others, role("", args))
				}
			}
			p := role(victim.first+"=kill", victim.role)
			eventually(t, "tasks in work", func() bool { return len(c.attempts(t)) > 2 })
			before := usageOf(t, others...)
			for range deaths - 1 {
				allEnd(t, killed, p)
				p = role(victim.next+"=kill", victim.role)
			}
			allEnd(t, killed, p)
			p = role(fault.MergerRenamed+"=kill", victim.role) // which only a merger reaches
			c.pace(t, 0)
			held()
			before.check(t)
			release()
			if victim.role[0] == "merger" {
				allEnd(t, killed, p)
				before.check(t)
				p = role("", victim.role)
			}
			allEnd(t, 0, append(others, p)...)
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			c.checkAttempts(t, victim.again)
			b.p.kill()
		})
	}
}
