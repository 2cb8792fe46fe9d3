package chaos

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ list, want string }{
		{Default, Default + ",seed=9"},
		{"kill=0.07", "kill=0.07,seed=9"},
		{"seed=12,flip=100%", "flip=100%,seed=12"},
		{"broker=10,kill=0", "broker=10,kill=0,seed=9"},
		{"kill=5", ""},
		{"kill=-1%", ""},
		{"kill=NaN", ""},
		{"kill", ""},
		{"kill=5%,,", ""},
		{"melt=5%", ""},
		{"broker=3%", ""},
		{"broker=1001", ""},
		{"seed=-1", ""},
		{"", ""},
	} {
		c, err := Parse(test.list, 9)
		switch {
		case test.want == "" && err == nil:
			t.Errorf("Parse(%q) = %v, want an error", test.list, c)
		case test.want != "" && (err != nil || c.String() != test.want):
			t.Errorf("Parse(%q) = %v, %v, want %s", test.list, c, err, test.want)
		}
		if again, err := Parse(c.String(), 0); test.want != "" && (err != nil || again.String() != test.want) {
			t.Errorf("Parse(%v) = %v, %v", c, again, err)
		}
	}
}

// standIn starts processes that look like those of a run: a merger, and a
// worker with a simulator. It returns the first one's id and a channel that is
// closed when it has ended.
func standIn(t *testing.T) (root int, ended chan struct{}) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range map[string]string{
		"run":    "sh merger & sh worker & wait",
		"merger": "while :; do sleep 0.01; done",
		"worker": "sh -c 'while :; do sleep 0.01; done' simulator & wait",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "sh", "run")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group, of which some are gone
		<-ended
	})
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(20 * time.Second); ; {
		if all, err := processesBelow(cmd.Process.Pid); err == nil && len(all.roles) == 2 && len(all.simulators) == 1 {
			return cmd.Process.Pid, ended
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("no processes to disturb")
		}
	}
}

// storm lets a storm meet n shards of a run that stands in, and returns the
// shards' folder, what was done and how it ended.
func storm(t *testing.T, list string, n int) (shards string, said []string, killed bool) {
	t.Helper()
	config, err := Parse(list, 1)
	if err != nil {
		t.Fatal(err)
	}
	root, ended := standIn(t)
	shards = t.TempDir()
	for i := range n {
		if err := os.WriteFile(filepath.Join(shards, fmt.Sprintf("%d-ab.h5", 90+i)), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := New(config, 100, shards, 800*time.Millisecond, func(what string) { said = append(said, what) })
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	killed, err = s.Disturb(ctx, root, ended)
	if err != nil {
		t.Fatal(err)
	}
	all, err := processesBelow(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(all.roles, all.simulators...) {
		if state(t, p.pid) == "T" {
			t.Errorf("%s is left stopped", p.name)
		}
	}
	return shards, said, killed
}

// state is the letter that /proc gives: T for a stopped process.
func state(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "" // it is gone
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

func TestTruncatesShards(t *testing.T) {
	t.Parallel()
	shards, said, _ := storm(t, "truncate=100%", 3)
	for i := range 3 {
		info, err := os.Stat(filepath.Join(shards, fmt.Sprintf("%d-ab.h5", 90+i)))
		if err != nil || info.Size() >= 1000 {
			t.Errorf("shard %d: %d bytes, %v", i, info.Size(), err)
		}
	}
	if len(said) != 3 {
		t.Errorf("said %q", said)
	}
}

func TestFlipsOneBitOfAShard(t *testing.T) {
	t.Parallel()
	shards, said, _ := storm(t, "flip=100%", 1)
	content, err := os.ReadFile(filepath.Join(shards, "90-ab.h5"))
	if err != nil {
		t.Fatal(err)
	}
	ones := 0
	for _, b := range content {
		ones += bits.OnesCount8(b)
	}
	if ones != 1 || len(content) != 1000 {
		t.Errorf("%d bits of %d bytes are not as they were; said %q", ones, len(content), said)
	}
}

func TestKillsTheRun(t *testing.T) {
	t.Parallel()
	if _, said, killed := storm(t, "broker=1", 1); !killed || len(said) != 1 {
		t.Errorf("killed: %v; said %q", killed, said)
	}
}

func TestLeavesARunAloneThatHasWrittenNothing(t *testing.T) {
	t.Parallel()
	if _, said, killed := storm(t, Default, 0); killed || len(said) != 0 {
		t.Errorf("killed: %v; said %q", killed, said)
	}
}

func TestKillsAndStopsRolesAndSimulators(t *testing.T) {
	t.Parallel()
	_, said, _ := storm(t, "kill=100%,hang=100%,stop=100%", 1)
	// One of each is due, of which the first meets the only shard.
	if len(said) != 1 {
		t.Errorf("said %q", said)
	}
	_, said, _ = storm(t, "kill=100%,hang=100%,stop=100%", 4)
	all := strings.Join(said, "\n")
	for _, want := range []string{"killed the", "stopped the simulator", "for 0."} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in:\n%s", want, all)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := New(Config{}, 0, "", time.Hour, func(string) {})
	if got := s.Summary(); got != "nothing" {
		t.Error(got)
	}
	s.did("kill", "")
	s.did("broker", "")
	s.did("kill", "")
	if got := s.Summary(); got != "broker 1, kill 2" {
		t.Error(got)
	}
}

// What a list may be is what a user typed.
func FuzzParse(f *testing.F) {
	f.Add(Default)
	f.Add("kill=1e-300%,seed=18446744073709551615")
	f.Fuzz(func(t *testing.T, list string) {
		c, err := Parse(list, 1)
		if err != nil {
			return
		}
		again, err := Parse(c.String(), 2)
		if err != nil || again.String() != c.String() {
			t.Errorf("Parse(%q) = %v, which is read as %v, %v", list, c, again, err)
		}
	})
}
