package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"windrow/internal/fault"
	"windrow/test/lazyfs"
)

// lazyDisk mounts a file system that loses what was not synced at a directory
// of the campaign.
func (c *campaign) lazyDisk(t *testing.T, elem ...string) *lazyfs.FS {
	t.Helper()
	dir := c.path(elem...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return lazyfs.New(t, dir)
}

// losePower kills everything that is at work, and then forgets what was not
// synced, but for what survives.
func (c *campaign) losePower(t *testing.T, p *process, disk *lazyfs.FS, survives func() bool) {
	t.Helper()
	c.killAll(t, p)
	if err := disk.LosePower(survives); err != nil {
		t.Fatal(err)
	}
}

// place is what of a campaign is on a disk that loses power.
type place struct {
	disk       []string
	out, state string
}

var everything = place{[]string{"disk"}, "disk/out.h5", "disk/.windrow"}

var places = map[string]place{
	"broker":     {[]string{".windrow", "broker"}, "out.h5", ".windrow"},
	"shards":     {[]string{".windrow", "shards"}, "out.h5", ".windrow"},
	"output":     {[]string{"disk"}, "disk/out.h5", ".windrow"},
	"everything": everything,
}

func (p place) spec(spec string) string { return strings.Replace(spec, "out.h5", p.out, 1) }

func (p place) run() []string {
	return []string{"run", "spec.yaml", "--workers", "2", "--state-dir", p.state, "--keep-shards"}
}

// rowsIn returns how many rows are in the ledger, and 0 while there is none.
func (c *campaign) rowsIn(t *testing.T, state string) (rows int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // a run that ends meanwhile gives no answer
	defer cancel()
	list := exec.CommandContext(ctx, "windrow", "runs", "--json", "--state-dir", state)
	list.Dir = c.dir
	var stderr strings.Builder
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, &stderr)
	}
	var runs []struct{ Recorded int }
	if err := json.Unmarshal(out, &runs); err != nil || len(runs) == 0 {
		return 0, err
	}
	return runs[0].Recorded, nil
}

// checkAfter checks what is on the disk when the power is back: what was
// recorded before, and no output or one that verifies.
func (c *campaign) checkAfter(t *testing.T, at place, recorded int) {
	t.Helper()
	if now, err := c.rowsIn(t, at.state); recorded > 0 && (now < recorded || err != nil) {
		t.Errorf("%d rows were recorded before power was lost, %d after: %v", recorded, now, err)
	}
	if _, err := os.Stat(c.path(at.out)); err == nil {
		c.run(t, 0, "verify", at.out)
	}
}

// checkSealed checks the dataset of a run that lost power, and that no shard
// was lost that the ledger names.
func (c *campaign) checkSealed(t *testing.T, at place, want string) {
	t.Helper()
	if got := sha256Of(t, c.path(at.out)); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.run(t, 0, "verify", at.out)
	if lost := c.recordOf(t, at.out).Rejected; lost != 0 {
		t.Errorf("%d shards were announced and lost", lost)
	}
}

// TestPowerLost takes the power away at random moments, again and again, and
// with it what was not synced of the broker's store, the shards, the output or
// everything. What the broker had confirmed is there when the power is back,
// and only what was in hand is computed again.
func TestPowerLost(t *testing.T) {
	t.Parallel()
	each := time.Duration(kills(6)) * time.Millisecond
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	for name, at := range places {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := stormSeed(t)
			c := newCounted(t, at.spec(spec), each)
			disk := c.lazyDisk(t, at.disk...)
			lost := 0
			for sealed := false; !sealed; {
				p := c.start(t, nil, at.run()...)
				limit := 1500 * time.Millisecond
				if lost == kills(3) {
					limit = time.Hour // let it end
				}
				select {
				case <-p.done:
					if sealed = p.wait() == 0; !sealed {
						t.Fatalf("exit code %d after %d losses of power", p.wait(), lost)
					}
				case <-after(r, limit):
					recorded, _ := c.rowsIn(t, at.state) // it may have hardly begun
					c.losePower(t, p, disk, byChance(r))
					lost++
					c.checkAfter(t, at, recorded)
				}
			}
			c.checkSealed(t, at, want)
			c.checkAttempts(t, lost*2*int(200*time.Millisecond/each)) // each worker holds 0.2 s of tasks
			t.Logf("power was lost %d times", lost)
		})
	}
}

// byChance says of half of all losses that nothing survives, else of half of
// all changes that they do.
func byChance(r *rand.Rand) func() bool {
	if r.IntN(2) == 0 {
		return nil
	}
	return func() bool { return r.IntN(2) == 0 }
}

// TestPowerLostAtEveryPoint holds a process at a crash point, takes the power
// away from everything, and expects the dataset of an undisturbed run. Without
// WINDROW_CHAOS=1 it does so around what makes names durable.
func TestPowerLostAtEveryPoint(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	points := []string{
		fault.ProducerPlanned, fault.WorkerRenamed, fault.WorkerAnnounced, fault.MergerRowsCreated, fault.MergerPartialSynced,
		fault.MergerBeforeRename, fault.MergerRenamed, fault.MergerSealed,
	}
	if os.Getenv("WINDROW_CHAOS") != "" {
		points = fault.Points
	}
	for _, point := range points {
		if provoked(point) || point == fault.OperatorReopened || point == fault.MergerChunksWritten {
			continue
		}
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			c := newCampaign(t, everything.spec(spec))
			disk := c.lazyDisk(t, everything.disk...)
			hold, held, release := c.hold(t, "point")
			p := c.start(t, []string{"WINDROW_FAULT=" + point + "=hold@" + hold}, everything.run()...)
			held()
			recorded, _ := c.rowsIn(t, everything.state) // there may be nothing yet
			c.losePower(t, p, disk, nil)
			release()
			c.checkAfter(t, everything, recorded)
			c.run(t, 0, everything.run()...)
			c.checkSealed(t, everything, want)
		})
	}
}
