package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// campaign is a spec in a directory of its own, where windrow is run on it.
type campaign struct {
	dir string
}

// specOf returns a spec of 600 tasks of 2 ms, which is enough to be killed in.
// more replaces parts of it.
func specOf(more map[string]string) string {
	parts := map[string]string{
		"output":    "{file: out.h5}",
		"tasks":     "{matrix: {farm_id: 0..9, farm_type: 0..5, seed: 1..10}}",
		"simulator": "{sleep: {duration: 2ms}}",
		"queue":     "{ack_wait: 2s, shard_seconds: 0.2}",
	}
	maps.Copy(parts, more)
	var b strings.Builder
	b.WriteString("version: 1\nname: storm\nseed: 7\n")
	for _, k := range []string{"output", "tasks", "simulator", "columns", "retry", "failures", "queue"} {
		if v, ok := parts[k]; ok {
			fmt.Fprintf(&b, "%s: %s\n", k, v)
		}
	}
	return b.String()
}

// newCampaign makes a directory with the spec in it. When the test is over,
// whatever shard or dataset it left is verified, and no process of it is left.
func newCampaign(t *testing.T, spec string) *campaign {
	t.Helper()
	c := &campaign{dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.dir, "spec.yaml"), []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.checkLeftovers(t) })
	return c
}

func (c *campaign) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// process is a windrow at work.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer
	stderr lockedBuffer
	done   chan struct{} // closed when it has ended
}

// lockedBuffer is read while a process writes to it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts windrow in the campaign's directory. env is added to the
// environment.
func (c *campaign) start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return c.startCommand(t, env, "windrow", args...)
}

func (c *campaign) startCommand(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Dir = c.dir
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 15 * time.Second // for children that hold our pipes
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("%s %s: %v\n%s%s", name, strings.Join(args, " "), p.cmd.ProcessState, &p.stdout, &p.stderr)
		}
	})
	return p
}

// patience is how long a test waits for what must come.
const patience = 4 * time.Minute

// killed is the exit code of a process that a signal has ended.
const killed = -1

// wait returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT)
		p.t.Fatalf("%s still runs after %s", strings.Join(p.cmd.Args, " "), patience)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// kill ends the process at once, and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// isStopped tells whether a SIGSTOP has stopped the process.
func (p *process) isStopped() bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	return err == nil && containsLine(string(status), "State:\tT")
}

// run runs windrow to its end and returns what it printed.
func (c *campaign) run(t *testing.T, wantCode int, args ...string) (stdout, stderr string) {
	t.Helper()
	p := c.start(t, nil, args...)
	if code := p.wait(); code != wantCode {
		t.Fatalf("windrow %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, wantCode, &p.stdout, &p.stderr)
	}
	return p.stdout.String(), p.stderr.String()
}

// sha256 returns the digest of the dataset.
func (c *campaign) sha256(t *testing.T) string {
	t.Helper()
	return sha256Of(t, c.path("out.h5"))
}

func sha256Of(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// calm holds the sha256 of each spec's dataset, computed once without
// disturbance by one worker.
var calm sync.Map

// calmSHA256 returns what the dataset of the spec must be.
func calmSHA256(t *testing.T, spec string) string {
	t.Helper()
	once, _ := calm.LoadOrStore(spec, sync.OnceValue(func() string {
		c := newCampaign(t, spec)
		c.run(t, 0, "run", "spec.yaml", "--workers", "1")
		return c.sha256(t)
	}))
	return once.(func() string)()
}

// untilSealed runs `windrow run` again and again until it succeeds, as a user
// would whose machine fails. It returns the number of runs.
func (c *campaign) untilSealed(t *testing.T, env []string, args ...string) int {
	t.Helper()
	args = append([]string{"run", "spec.yaml"}, args...)
	for runs := 1; runs <= 20; runs++ {
		p := c.start(t, env, args...)
		if p.wait() == 0 {
			return runs
		}
	}
	t.Fatal("not sealed after 20 runs")
	return 0
}

// eventually waits until cond holds. It looks often, but where a look starts a
// process, no more than a third of the time, for others are at work.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		begun := time.Now()
		if cond() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain for %s", patience, what)
		}
		<-time.After(max(10*time.Millisecond, 2*time.Since(begun)))
	}
}

// children returns the processes of this campaign with a role, by their
// command line: the shards folder is in the campaign's directory.
func (c *campaign) children(t *testing.T, role string) []int {
	t.Helper()
	var pids []int
	for _, p := range processes(t) {
		if len(p.args) > 1 && p.args[1] == role && strings.Contains(strings.Join(p.args, " "), c.dir) || p.cwd == c.dir && len(p.args) > 1 && p.args[1] == role {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

type processInfo struct {
	pid  int
	args []string
	cwd  string
}

// processes lists what runs on this machine and has not ended.
func processes(t *testing.T) []processInfo {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var found []processInfo
	for _, dir := range entries {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(line) == 0 {
			continue // gone, or a zombie
		}
		var p processInfo
		if _, err := fmt.Sscan(filepath.Base(dir), &p.pid); err != nil {
			continue
		}
		p.args = strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		p.cwd, _ = os.Readlink(filepath.Join(dir, "cwd"))
		found = append(found, p)
	}
	return found
}

// checkLeftovers verifies what a test leaves behind.
func (c *campaign) checkLeftovers(t *testing.T) {
	t.Helper()
	if t.Failed() {
		return
	}
	c.checkNoProcess(t)
	if _, err := os.Stat(c.path("out.h5")); err == nil {
		out, err := exec.Command("windrow", "verify", c.path("out.h5")).CombinedOutput()
		if err != nil {
			t.Errorf("windrow verify out.h5: %v\n%s", err, out)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
	if err != nil {
		t.Error(err)
	}
	for _, s := range shards {
		name := strings.TrimSuffix(filepath.Base(s), ".h5")
		if _, sum, _ := strings.Cut(name, "-"); sum != sha256Of(t, s) {
			t.Errorf("shard %s does not have the sha256 of its name", s)
		}
	}
}

// started tells whether a process is one of the campaign, or comes from one,
// wherever it works now: unless told otherwise, a process passes on in which
// directory the first was started.
func (c *campaign) started(p processInfo) bool {
	if p.cwd == c.dir || strings.HasPrefix(p.cwd, c.dir+"/") {
		return true
	}
	environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.pid)) // it may have ended, or be another user's
	return slices.Contains(strings.Split(string(environment), "\x00"), "PWD="+c.dir)
}

// killAll kills a run and all that came of it, at once.
func (c *campaign) killAll(t *testing.T, p *process) {
	t.Helper()
	p.signal(syscall.SIGKILL)
	eventually(t, "everything to be killed", func() bool {
		left := 0
		for _, other := range processes(t) {
			if c.started(other) {
				left++
				_ = syscall.Kill(other.pid, syscall.SIGKILL) // it may have ended
			}
		}
		return left == 0
	})
	<-p.done
}

// checkNoProcess waits for the campaign's processes to end, as orphans do
// within five seconds.
func (c *campaign) checkNoProcess(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		var left []processInfo
		for _, p := range processes(t) {
			if c.started(p) {
				left = append(left, p)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			for _, p := range left {
				t.Errorf("process %d is left: %s", p.pid, strings.Join(p.args, " "))
				_ = syscall.Kill(p.pid, syscall.SIGQUIT) // its stacks go to its log
			}
			<-time.After(time.Second)
			for _, log := range c.logs(t) {
				t.Log(log)
			}
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

// logs returns the ends of the logs of the campaign's children.
func (c *campaign) logs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(c.path(".windrow", "logs", "*", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var logs []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, f+":\n"+string(text[max(0, len(text)-6000):]))
	}
	return logs
}

// status returns what `windrow status --json` says.
func (c *campaign) status(t *testing.T, args ...string) map[string]any {
	t.Helper()
	stdout, _ := c.run(t, 0, append([]string{"status", "--json"}, args...)...)
	var s map[string]any
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("status %q: %v", stdout, err)
	}
	return s
}

// hold makes a file while which a fault point holds, and returns a function
// that waits for a process to be held, and one that lets it go.
func (c *campaign) hold(t *testing.T, name string) (file string, held, release func()) {
	t.Helper()
	file = c.path("hold-" + name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func() {
			eventually(t, "a process to be held at "+name, func() bool {
				_, err := os.Stat(file + ".held")
				return err == nil
			})
		}, func() {
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
}
