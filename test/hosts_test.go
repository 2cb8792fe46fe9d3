package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// hosts are two network namespaces with a cable between them, which stand in
// for two hosts that see the same folder.
type hosts struct{ a, b string }

const (
	addressA = "10.213.0.1" // nobody else is in these networks
	addressB = "10.213.0.2"
	cable    = "cable"
)

// newHosts skips the test where namespaces cannot be made.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	prefix := fmt.Sprintf("windrow-%d-%d-", os.Getpid(), time.Now().UnixNano())
	h := &hosts{prefix + "a", prefix + "b"}
	for i, name := range []string{h.a, h.b} {
		if out, err := exec.CommandContext(t.Context(), "ip", "netns", "add", name).CombinedOutput(); err != nil {
			t.Skipf("not run: network namespaces cannot be made here: %v %s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		if i == 0 {
			continue
		}
		ip(t, "link", "add", cable, "netns", h.a, "type", "veth", "peer", "name", cable, "netns", h.b)
	}
	for name, address := range map[string]string{h.a: addressA, h.b: addressB} {
		ip(t, "-n", name, "address", "add", address+"/24", "dev", cable)
		ip(t, "-n", name, "link", "set", "lo", "up")
		ip(t, "-n", name, "link", "set", cable, "up")
	}
	return h
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// on starts a program on a host.
func (c *campaign) on(t *testing.T, host string, env []string, args ...string) *process {
	t.Helper()
	return c.startCommand(t, env, "ip", append([]string{"netns", "exec", host}, args...)...)
}

// invitation is the line for workers on other hosts.
var invitation = regexp.MustCompile(`on other hosts that see this folder: (windrow worker .*)`)

// invited returns the command that a `windrow run --listen` prints.
func invited(t *testing.T, run *process) []string {
	t.Helper()
	var found []string
	eventually(t, "the command for other hosts", func() bool {
		found = invitation.FindStringSubmatch(run.stderr.String())
		return found != nil
	})
	return strings.Fields(found[1])
}

func recordedBy(worker *process) int { return strings.Count(worker.stderr.String(), "tasks recorded") }

// TestWorkerOnAnotherHost computes with a worker on another host, which is cut
// off for longer than its tasks are left to it.
func TestWorkerOnAnotherHost(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 40ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	run := c.on(t, h.a, nil, "windrow", "run", "spec.yaml", "--workers", "1", "--listen", addressA+":4222")
	worker := c.on(t, h.b, nil, invited(t, run)...)
	eventually(t, "rows from the other host", func() bool { return recordedBy(worker) > 2 })

	ip(t, "-n", h.a, "link", "set", cable, "down")
	<-time.After(5 * time.Second) // ack_wait is 2 s
	before := recordedBy(worker)
	ip(t, "-n", h.a, "link", "set", cable, "up")
	if code := run.wait(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if code := worker.wait(); code != 0 {
		t.Errorf("exit code %d of the worker on the other host", code)
	}
	if recordedBy(worker) == before {
		t.Error("the worker has done nothing since it was cut off")
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, on one host %s", got, want)
	}
}

// TestWorkerOnAnotherHostWithAnotherFolder starts a worker that reaches the
// broker, but writes its shards where the merger does not look.
func TestWorkerOnAnotherHostWithAnotherFolder(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 5ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	run := c.on(t, h.a, nil, "windrow", "run", "spec.yaml", "--workers", "1", "--listen", addressA+":4222")
	id := invited(t, run)[5]
	token, err := os.ReadFile(c.path(".windrow", "token"))
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"NATS_TOKEN=" + string(token), "NATS_CA=" + c.path(".windrow", "server.pem")}
	worker := c.on(t, h.b, env, "windrow", "worker", "--nats", "nats://"+addressA+":4222", "--shards", "elsewhere", "--run", id)
	if code := worker.wait(); code != 6 {
		t.Errorf("exit code %d", code)
	}
	if text := worker.stderr.String(); !strings.Contains(text, "elsewhere/"+id+" is not the folder that") ||
		!strings.Contains(text, "workers and merger must share one") || strings.Contains(text, string(token)) {
		t.Errorf("the worker says:\n%s", text)
	}
	if code := run.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, on one host %s", got, want)
	}
}

// TestWorkerOutlivesTheRunItJoined kills a `windrow run --listen` and starts it
// again: the worker on the other host waits, and goes on.
func TestWorkerOutlivesTheRunItJoined(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	spec := specOf(map[string]string{"simulator": "{sleep: {duration: 15ms}}"})
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	command := []string{"windrow", "run", "spec.yaml", "--workers", "1", "--listen", addressA + ":4222"}
	run := c.on(t, h.a, nil, command...)
	worker := c.on(t, h.b, nil, invited(t, run)...)
	eventually(t, "rows from the other host", func() bool { return recordedBy(worker) > 2 })
	run.kill()
	again := c.on(t, h.a, nil, command...)
	if code := again.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code := worker.wait(); code != 0 {
		t.Errorf("exit code %d of the worker on the other host", code)
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, on one host %s", got, want)
	}
}

// squares is a simulator, of which the other host has nothing.
const squares = `import json, sys, time
for line in sys.stdin:
    task = json.loads(line)
    time.sleep(0.01)
    print(json.dumps({"id": task["id"], "result": {"y": task["params"]["seed"] ** 2}}), flush=True)
`

// TestCommandTravelsToAnotherHost computes with a program that the other host
// does not have.
func TestCommandTravelsToAnotherHost(t *testing.T) {
	t.Parallel()
	h := newHosts(t)
	c := newCampaign(t, specOf(map[string]string{
		"simulator": "{command: [python3, model/squares.py], timeout: 1m}",
		"columns":   "[{name: y, type: f64}]",
	}))
	if err := os.Mkdir(c.path("model"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("model", "squares.py"), []byte(squares), 0o600); err != nil {
		t.Fatal(err)
	}
	run := c.on(t, h.a, nil, "windrow", "run", "spec.yaml", "--workers", "1", "--listen", addressA+":4222")
	scratch := t.TempDir()
	elsewhere := append([]string{"env", "-C", t.TempDir(), "TMPDIR=" + scratch}, invited(t, run)...)
	worker := c.on(t, h.b, nil, elsewhere...)
	if code := run.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if code := worker.wait(); code != 0 {
		t.Errorf("exit code %d of the worker on the other host", code)
	}
	if text := worker.stderr.String(); !strings.Contains(text, "files of the run fetched") || !strings.Contains(text, "tasks recorded") {
		t.Errorf("the worker says:\n%s", text)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	got := c.sha256(t)
	c.run(t, 0, "run", "spec.yaml", "--workers", "1", "--restart")
	if want := c.sha256(t); got != want {
		t.Errorf("sha256 %s, on one host %s", got, want)
	}
}
