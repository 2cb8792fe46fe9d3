package test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"windrow/internal/fault"
)

// TestBrokerKilledTenTimes kills the broker while tasks are published, fetched
// and acknowledged, and starts it again. The roles live through it, and hold no
// more in the end than in the beginning.
func TestBrokerKilledTenTimes(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, spec, 20*time.Millisecond)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "complete")
	metered := func(args ...string) *process {
		return c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold, args...)
	}
	workers := []*process{metered("worker", "--allow-spec", "spec.yaml"), metered("worker", "--allow-spec", "spec.yaml")}
	roles := append(workers, metered("producer", "spec.yaml"), metered("merger"))
	eventually(t, "both to be at work", func() bool { return recordedBy(workers[0]) > 2 && recordedBy(workers[1]) > 2 })
	before := usageOf(t, roles...)
	for range 10 {
		<-time.After(300 * time.Millisecond)
		b.p.kill()
		b.start(t)
	}
	held()
	before.check(t)
	release()
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, 100) // leases outlast the broker
	b.p.kill()
}

// TestBrokerStoreDamaged kills a run and damages what the broker has on disk:
// the run goes on to the same dataset, and computes no more again than it had
// begun.
func TestBrokerStoreDamaged(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	for name, d := range map[string]struct {
		files  string // below the directory of the streams
		damage damage
		slow   bool
	}{
		"consumers gone":        {"*/obs", os.RemoveAll, false},
		"bit flipped in tasks":  {"*_tasks/msgs/*.blk", flipBit, false},
		"bit flipped in ledger": {"*_events/msgs/*.blk", flipBit, false},
		"tasks cut":             {"*_tasks/msgs/*.blk", truncate, true},
		"tasks gone":            {"*_tasks/msgs/*.blk", os.Remove, true},
		"ledger cut":            {"*_events/msgs/*.blk", truncate, true},
		"ledger gone":           {"*_events/msgs/*.blk", os.Remove, true},
		"descriptions gone":     {"*/meta.inf", os.Remove, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d.slow {
				slow(t)
			}
			c := newCounted(t, spec, 4*time.Millisecond)
			p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
			eventually(t, "100 attempts", func() bool { return len(c.attempts(t)) >= 100 })
			c.killAll(t, p)
			begun := len(c.attempts(t))
			damaged, err := filepath.Glob(c.path(".windrow", "broker", "jetstream", "*", "streams", d.files))
			if err != nil || len(damaged) == 0 {
				t.Fatalf("files to damage: %v, %v", damaged, err)
			}
			for _, file := range damaged {
				if err := d.damage(file); err != nil {
					t.Fatal(err)
				}
			}
			c.run(t, 0, "run", "spec.yaml", "--workers", "2")
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			c.checkAttempts(t, begun+20) // and what a busy machine lets go of
		})
	}
}
