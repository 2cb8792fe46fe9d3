package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/fault"
)

// TestBitFlippedInPartial holds the merger when all rows are copied and flips
// a bit in one: verification finds it and copies the row again.
func TestBitFlippedInPartial(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	hold, held, release := c.hold(t, "complete")
	p := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerComplete + "=hold@" + hold}, "run", "spec.yaml", "--workers", "2")
	held()
	flipTaskBit(t, c.path("out.h5.partial"))
	release()
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	if logs := strings.Join(c.logs(t), "\n"); !strings.Contains(logs, "damaged rows are copied again") {
		t.Error("the flipped bit was not noticed")
	}
}

// flipTaskBit flips a bit in the column `task` of a partial file: it looks for
// the content 300, 301, 302.
func flipTaskBit(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var pattern []byte
	for i := uint64(300); i < 303; i++ {
		pattern = binary.LittleEndian.AppendUint64(pattern, i)
	}
	at := bytes.LastIndex(content, pattern)
	if at < 0 {
		t.Fatal("the column `task` is not in the partial file")
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt([]byte{content[at] ^ 4}, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// TestBrokerPutBack replaces the broker's store in mid-run by an older copy of
// itself: what the ledger has forgotten is computed again.
func TestBrokerPutBack(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, spec, 15*time.Millisecond)
	b := c.newBroker(t)
	hold, held, release := c.hold(t, "complete")
	roles := []*process{
		c.metered(t, b.url, "", "producer", "spec.yaml"),
		c.metered(t, b.url, fault.MergerComplete+"=hold@"+hold, "merger"),
		c.metered(t, b.url, "", "worker", "--allow-spec", "spec.yaml"),
	}
	eventually(t, "100 rows", func() bool { return b.recordedIfThere() >= 100 })
	before := usageOf(t, roles...)
	b.p.kill()
	if err := os.CopyFS(c.path("store.old"), os.DirFS(c.path("store"))); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	eventually(t, "200 rows", func() bool { return b.recordedIfThere() >= 200 })
	b.p.kill()
	forgotten := len(c.attempts(t)) - 100 // what was in hand at the copy is not in its ledger
	c.pace(t, 0)
	if err := os.RemoveAll(c.path("store")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(c.path("store.old"), c.path("store")); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	held()
	before.check(t)
	release()
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	c.checkAttempts(t, forgotten+20) // and what a busy machine lets go of
	b.p.kill()
}

// recordedIfThere returns the number of rows, or -1 while there is no run yet.
func (b *broker) recordedIfThere() int {
	out, err := exec.Command("windrow", "status", "--json", "--nats", b.url).Output()
	if err != nil {
		return -1
	}
	_, rest, _ := strings.Cut(string(out), `"recorded":`)
	n := -1
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil {
		return -1
	}
	return n
}

// TestRestartUnderLiveWorkers begins a run anew while workers and a merger
// live that know the old one.
func TestRestartUnderLiveWorkers(t *testing.T) {
	t.Parallel()
	spec := countedSpec(7, 600)
	want := calmCounted(t, spec)
	c := newCounted(t, spec, 100*time.Millisecond) // so that it is begun anew long before the seal
	b := c.newBroker(t)
	worker := func() *process { return b.role(t, "worker", "--exit-when-sealed", "--allow-spec", "spec.yaml") }
	first := b.role(t, "producer", "spec.yaml")
	roles := []*process{b.role(t, "merger", "--exit-when-sealed"), worker(), worker()}
	eventually(t, "30 rows", func() bool { return b.recordedIfThere() >= 30 })
	first.kill()
	roles = append(roles, b.role(t, "producer", "spec.yaml", "--restart", "--exit-when-sealed"))
	c.pace(t, 0)
	allEnd(t, 0, roles...)
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestRestartForgetsRows begins a run anew because what its command computes
// has changed in a way that the digest does not see. Roles that know the old
// rows must not bring them into the dataset.
func TestRestartForgetsRows(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{
		"tasks":     "{matrix: {seed: 1..300}}",
		"simulator": "{command: [python3, factor.py], timeout: 1m}",
		"columns":   "[{name: y, type: f64}]",
	}))
	script, err := os.ReadFile("testdata/python/factor.py")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("factor.py", string(script))
	write("factor", "1 0.1") // so that it is begun anew long before the seal
	b := c.newBroker(t)
	first := b.role(t, "producer", "spec.yaml")
	roles := []*process{b.role(t, "merger", "--exit-when-sealed"), b.role(t, "worker", "--exit-when-sealed", "--allow-spec", "spec.yaml")}
	eventually(t, "20 rows", func() bool { return b.recordedIfThere() >= 20 })
	first.kill()
	roles[1].kill()
	write("factor", "2 0")
	roles = []*process{
		roles[0], b.role(t, "producer", "spec.yaml", "--restart", "--exit-when-sealed"),
		b.role(t, "worker", "--exit-when-sealed", "--allow-spec", "spec.yaml"),
	}
	allEnd(t, 0, roles...)
	out, err := exec.Command("h5dump", "-d", "/y", "-y", "-w", "1", c.path("out.h5")).CombinedOutput()
	if err != nil || contains(out, "  1") || strings.Count(string(out), " 2") < 300 {
		t.Errorf("rows of before the restart are in the dataset: %v\n%s", err, out)
	}
}

// smallDisk mounts a file system of the size at a directory of the campaign.
func (c *campaign) smallDisk(t *testing.T, megabytes int, elem ...string) (dir string) {
	t.Helper()
	dir = c.path(elem...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		t.Skipf("a full disk needs a file system of its own, and mounting one is not permitted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill fills a file system and returns the file that does.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	return path
}

// TestFullDisk fills the disk of the shards or of the output in mid-run: the
// run says so and ends without a dataset, and goes on when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		disk  []string // where the small file system is
		out   string
		point string // held while the disk is filled
	}{
		"shards": {[]string{".windrow", "shards"}, "out.h5", fault.WorkerSimulated},
		"broker": {[]string{".windrow", "broker"}, "out.h5", fault.WorkerSimulated},
		"output": {[]string{"disk"}, "disk/out.h5", fault.ProducerStreamsCreated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := countedSpec(7, 600)
			campaign := newCounted(t, strings.Replace(spec, "out.h5", c.out, 1), 0)
			dir := campaign.smallDisk(t, 4, c.disk...)
			hold, held, release := campaign.hold(t, "disk")
			p := campaign.start(t, []string{"WINDROW_FAULT=" + c.point + "=hold@" + hold},
				"run", "spec.yaml", "--workers", "1", "--state-dir", ".windrow")
			held()
			filler := fill(t, dir)
			release()
			if code := p.wait(); code != 6 || !strings.Contains(p.stderr.String(), "no space") {
				t.Errorf("exit code %d:\n%s", code, &p.stderr)
			}
			if _, err := os.Stat(campaign.path(c.out)); err == nil {
				t.Error("a dataset was written on a full disk")
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			campaign.run(t, 0, "run", "spec.yaml", "--workers", "1", "--state-dir", ".windrow")
			if got, want := sha256Of(t, campaign.path(c.out)), calmCounted(t, spec); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
			campaign.checkAttempts(t, 200) // a batch, which may be as long as is left of 0.2 s
		})
	}
}

// TestNothingComputedTwice runs a sealed campaign again: no file changes.
func TestNothingComputedTwice(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{noop: {}}"}))
	c.run(t, 0, "run", "spec.yaml", "--workers", "1")
	before, err := os.Stat(c.path("out.h5"))
	if err != nil {
		t.Fatal(err)
	}
	events := c.status(t)["events"]
	stdout, _ := c.run(t, 0, "run", "spec.yaml", "--workers", "1")
	if !strings.Contains(stdout, "nothing was computed") {
		t.Errorf("the second run says:\n%s", stdout)
	}
	after, err := os.Stat(c.path("out.h5"))
	if err != nil || !after.ModTime().Equal(before.ModTime()) || c.status(t)["events"] != events {
		t.Errorf("the second run has changed something: %v, %v, %v", before, after, err)
	}
	if err := os.Remove(c.path("out.h5")); err != nil {
		t.Fatal(err)
	}
	if _, stderr := c.run(t, 5, "run", "spec.yaml"); !strings.Contains(stderr, "is gone") || !strings.Contains(stderr, "--restart") {
		t.Errorf("a dataset that is gone:\n%s", stderr)
	}
	if _, err := os.Stat(c.path("out.h5")); !os.IsNotExist(err) {
		t.Error("a dataset was computed again without being asked for")
	}
	c.run(t, 0, "run", "spec.yaml", "--restart")
}

// TestInterrupted stops a run with SIGINT: it finishes what is in hand, says
// how to go on, and does so.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 10ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	eventually(t, "a shard", func() bool {
		shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
		return err == nil && len(shards) > 1
	})
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if said := p.stderr.String(); !strings.Contains(said, "rows are kept") || !strings.Contains(said, "next: windrow run spec.yaml") {
		t.Errorf("it does not say how to go on:\n%s", said)
	}
	if left, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(c.path(".windrow", "broker.json")); !os.IsNotExist(err) {
		t.Errorf("broker.json: %v", err)
	}
	_, stderr := c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	if !strings.Contains(stderr, "going on") {
		t.Errorf("it does not go on:\n%s", stderr)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// TestStoppedAtOnce sends two SIGINTs to a run whose tasks take an hour.
func TestStoppedAtOnce(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 1h}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "1")
	eventually(t, "a worker", func() bool { return len(c.children(t, "worker")) == 1 })
	p.signal(syscall.SIGINT)
	eventually(t, "the first signal to be taken", func() bool { return strings.Contains(p.stderr.String(), "again to stop at once") })
	p.signal(syscall.SIGINT)
	if code := p.wait(); code != 130 {
		t.Errorf("exit code %d:\n%s", code, &p.stderr)
	}
}

// TestStateIsPrivate checks the modes of what a run keeps: nobody else may
// read the broker's token or put a shard in its folder.
func TestStateIsPrivate(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 5ms}}"}))
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "1")
	eventually(t, "the shards folder", func() bool {
		_, err := os.Stat(c.path(".windrow", "shards"))
		return err == nil
	})
	for name, want := range map[string]fs.FileMode{".windrow": 0o700, ".windrow/shards": 0o700, ".windrow/broker.json": 0o600} {
		info, err := os.Stat(c.path(name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
	token, err := os.ReadFile(c.path(".windrow", "broker.json"))
	if err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	_, rest, _ := strings.Cut(string(token), `"token"`)
	secret := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(` :",{}`+"\n", r) })[0]
	if logs := strings.Join(c.logs(t), "\n") + p.stderr.String(); len(secret) < 20 || strings.Contains(logs, secret) {
		t.Errorf("the token (%d characters) is in the logs", len(secret))
	}
}

// TestDoctorSeesAFullDisk asks on a disk that is full, and one that is read-only.
func TestDoctorSeesAFullDisk(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(nil))
	dir := c.smallDisk(t, 4, "disk")
	fill(t, dir)
	stdout, _ := c.run(t, 6, "doctor", "--state-dir", "disk/.windrow")
	for _, want := range []string{"bad      disk: 0 B are free at disk", "next: df disk", "bad      libhdf5: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("doctor does not say %q:\n%s", want, stdout)
		}
	}
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := c.run(t, 6, "doctor", "--state-dir", "disk/.windrow"); !strings.Contains(stdout, "bad      locks: no file can be made") {
		t.Errorf("doctor on a read-only disk:\n%s", stdout)
	}
}

// TestResumeOnSmallDisk interrupts a run and goes on, on a disk that has room
// for the run and not much more, and at once: what the workers of the first
// start held does not wait for ack_wait.
func TestResumeOnSmallDisk(t *testing.T) {
	t.Parallel()
	spec := specOf(map[string]string{
		"simulator": "{sleep: {duration: 10ms}}", "queue": "{ack_wait: 1h, shard_seconds: 2}",
	})
	c := newCampaign(t, strings.Replace(spec, "out.h5", "disk/out.h5", 1))
	c.smallDisk(t, 64, "disk")
	p := c.start(t, nil, "run", "spec.yaml", "--workers", "2")
	eventually(t, "shards", func() bool {
		shards, err := filepath.Glob(c.path("disk", ".windrow", "shards", "*", "*.h5"))
		return err == nil && len(shards) > 4
	})
	p.kill()
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	c.run(t, 0, "run", "spec.yaml", "--workers", "2")
	c.run(t, 0, "verify", "disk/out.h5")
}
