package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windrow/internal/fault"
)

// damage does harm to a file.
type damage func(path string) error

func truncate(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}

func empty(path string) error { return os.Truncate(path, 0) }

// flipBit changes one bit in the middle of a file.
func flipBit(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, info.Size()/2); err != nil {
		return err
	}
	b[0] ^= 1 << 3
	_, err = f.WriteAt(b, info.Size()/2)
	return err
}

// damageShards damages all shards that are there, and returns their number.
func (c *campaign) damageShards(t *testing.T, d damage) int {
	t.Helper()
	shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
	if err != nil || len(shards) == 0 {
		t.Fatalf("shards to damage: %v, %v", shards, err)
	}
	for _, s := range shards {
		if err := d(s); err != nil {
			t.Fatal(err)
		}
	}
	return len(shards)
}

// TestShardDamagedBeforeItsCopy holds the merger before it copies a shard,
// damages what there is, and expects the rows to be computed again. The roles
// live through it, and hold no more in the end than in the beginning.
func TestShardDamagedBeforeItsCopy(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	for name, d := range map[string]damage{
		"truncated": truncate, "emptied": empty, "bit flipped": flipBit, "deleted": os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCounted(t, patient(spec), 10*time.Millisecond)
			b := c.newBroker(t)
			first, heldFirst, goOn := c.hold(t, "copy")
			hold, held, release := c.hold(t, "complete")
			shards := []string{"--shards", filepath.Join(".windrow", "shards")}
			role := func(args ...string) *process {
				rules := fault.MergerShardFound + "=hold@" + first + "," + fault.MergerComplete + "=hold@" + hold
				return c.metered(t, b.url, rules, append(args, shards...)...)
			}
			roles := []*process{
				c.metered(t, b.url, "", "producer", "spec.yaml"), role("merger", "--keep-shards"),
				role("worker", "--allow-spec", "spec.yaml"), role("worker", "--allow-spec", "spec.yaml"),
			}
			heldFirst()
			eventually(t, "shards", func() bool { return recordedBy(roles[2]) > 2 && recordedBy(roles[3]) > 2 })
			before := usageOf(t, roles...)
			damaged, rows := c.damageShards(t, d), len(c.attempts(t))
			goOn()
			c.pace(t, 0)
			held()
			before.check(t)
			s := c.status(t, "--nats", b.url)
			release()
			allEnd(t, 0, roles...)
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			if rejected := int(s["rejected"].(float64)); rejected < 1 || rejected > damaged {
				t.Errorf("%d shards rejected of %d damaged", rejected, damaged)
			}
			c.checkAttempts(t, rows) // no more than had been begun
			c.removeDamaged(t)
			b.p.kill()
		})
	}
}

// TestShardDamagedAfterItsCopy holds the merger when it has all rows, damages
// all shards, and expects that to have no effect.
func TestShardDamagedAfterItsCopy(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	for name, d := range map[string]damage{"bit flipped": flipBit, "deleted": os.Remove} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCampaign(t, spec)
			hold, held, release := c.hold(t, "complete")
			p := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerComplete + "=hold@" + hold}, "run", "spec.yaml", "--workers", "2", "--keep-shards")
			held()
			c.damageShards(t, d)
			release()
			if code := p.wait(); code != 0 {
				t.Fatalf("exit code %d", code)
			}
			if got := c.sha256(t); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			if s := c.status(t); s["rejected"].(float64) != 0 || s["deliveries"].(float64) != 600 {
				t.Errorf("%v shards rejected, %v deliveries of 600 tasks", s["rejected"], s["deliveries"])
			}
			c.removeDamaged(t)
		})
	}
}

// removeDamaged removes the shards that a test has damaged, which the run
// keeps out of the dataset but does not delete.
func (c *campaign) removeDamaged(t *testing.T) {
	t.Helper()
	shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		if _, sum, _ := strings.Cut(strings.TrimSuffix(filepath.Base(s), ".h5"), "-"); sum != sha256Of(t, s) {
			if err := os.Remove(s); err != nil {
				t.Error(err)
			}
		}
	}
}
