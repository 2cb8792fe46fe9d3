package test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"windrow/internal/message"
)

// diskFault is what a system call on one of the output's files returns instead
// of doing its work: once, at the one numbered first, or from there on.
type diskFault struct {
	calls string // as strace names them
	errno string
	first int
	stays bool
}

func (f diskFault) String() string { return fmt.Sprintf("%s %s at %d", f.calls, f.errno, f.first) }

const renames = "rename,renameat,renameat2"

// diskFaults are some of them; many more with WINDROW_CHAOS=1.
func diskFaults() []diskFault {
	faults := []diskFault{
		{"fallocate", "ENOSPC", 1, true},
		{"pwrite64", "ENOSPC", 9, true},
		{"pwrite64", "EIO", 25, false},
		{"pread64", "EIO", 30, true},
		{"fsync", "EIO", 2, false},
		{renames, "EIO", 1, false},
	}
	if os.Getenv("WINDROW_CHAOS") == "" {
		return faults
	}
	for first := 1; first <= 60; first += 6 {
		faults = append(faults, diskFault{"pwrite64", "ENOSPC", first, true}, diskFault{"pwrite64", "EIO", first, false}, diskFault{"pread64", "EIO", first, false})
	}
	for first := 1; first <= 5; first++ {
		faults = append(faults, diskFault{"fsync", "EIO", first, false}, diskFault{"ftruncate", "EIO", first, false}, diskFault{renames, "EIO", first, false})
	}
	return faults
}

// TestDiskFailsUnderTheOutput lets a system call on the files of the output
// fail: the run ends with the cause and without a dataset, and goes on when
// the disk works again. Or it did not need that call.
func TestDiskFailsUnderTheOutput(t *testing.T) {
	t.Parallel()
	needStrace(t)
	for _, storage := range []message.Storage{message.Contiguous, message.Chunked, message.Gzip} {
		spec := specOf(map[string]string{
			"simulator": "{noop: {}}", "output": fmt.Sprintf("{file: out.h5, storage: %s}", storage),
		})
		for _, fault := range diskFaults() {
			t.Run(fmt.Sprintf("%s/%s", storage, fault), func(t *testing.T) {
				t.Parallel()
				failOnce(t, spec, fault)
			})
		}
	}
}

func failOnce(t *testing.T, spec string, fault diskFault) {
	t.Helper()
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	p := c.underStrace(t, fault)
	code, said := p.wait(), p.stderr.String()
	trace, err := os.ReadFile(c.path("strace.log"))
	if err != nil {
		t.Fatal(err)
	}
	injected := strings.Count(string(trace), "(INJECTED)")
	_, err = os.Stat(c.path("out.h5"))
	switch cause := map[string]string{"ENOSPC": "no space", "EIO": "input/output error"}[fault.errno]; {
	case code == 0: // it did not need the call that failed, or there were fewer
	case code != 6, !strings.Contains(said, cause), !strings.Contains(said, "next: windrow run spec.yaml"):
		t.Errorf("exit code %d with %d faults:\n%s", code, injected, said)
	case err == nil && !strings.Contains(fault.calls, "fsync"): // the directory of a dataset that has its name
		t.Error("a dataset was left")
	}
	if code != 0 && injected == 0 {
		t.Errorf("exit code %d without a fault", code)
	}
	c.run(t, 0, "run", "spec.yaml")
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
}

// underStrace runs the spec while calls on the files of its output fail.
func (c *campaign) underStrace(t *testing.T, fault diskFault) *process {
	t.Helper()
	when := strconv.Itoa(fault.first)
	if fault.stays {
		when += "+"
	}
	// With -D windrow is the child, and its exit code the one that counts:
	// strace itself may fail at a thread that ends.
	args := []string{"-D", "-f", "-qq", "-e", "signal=none", "-o", "strace.log", "-e", fmt.Sprintf("inject=%s:error=%s:when=%s", fault.calls, fault.errno, when)}
	for _, suffix := range []string{"", ".partial", ".rows", ".tmp"} {
		args = append(args, "-P", c.path("out.h5"+suffix))
	}
	return c.startCommand(t, nil, "strace", append(args, "windrow", "run", "spec.yaml")...)
}

// needStrace skips the test where strace is not there or may not trace.
func needStrace(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("strace", "-qq", "-e", "trace=none", "true").CombinedOutput(); err != nil {
		t.Skipf("system calls cannot be made to fail here: strace: %v %s", err, out)
	}
}

// TestOutputOnReadOnlyFileSystem says so before anything is computed.
func TestOutputOnReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, strings.Replace(specOf(nil), "out.h5", "disk/out.h5", 1))
	dir := c.smallDisk(t, 4, "disk")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, stderr := c.run(t, 2, "run", "spec.yaml", "--state-dir", ".windrow")
	if !strings.Contains(stderr, "disk") || !strings.Contains(stderr, "read-only file system") {
		t.Errorf("it says:\n%s", stderr)
	}
}

// TestFileSizeLimit runs the merger under a limit of the size of files that
// the dataset is larger than.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	for _, storage := range []message.Storage{message.Contiguous, message.Chunked, message.Gzip} {
		t.Run(string(storage), func(t *testing.T) {
			t.Parallel()
			spec := specOf(map[string]string{
				"simulator": "{noop: {}}", "output": fmt.Sprintf("{file: out.h5, storage: %s}", storage),
				"tasks": "{matrix: {a: 1..100, b: 1..100}}",
			})
			c := newCampaign(t, spec)
			b := c.newBroker(t)
			others := []*process{b.role(t, "producer", "spec.yaml", "--exit-when-sealed"), b.role(t, "worker", "--exit-when-sealed")}
			limited := c.startCommand(t, nil, "bash", "-c", `ulimit -f 100 && exec windrow merger --exit-when-sealed --nats "$1"`, "bash", b.url)
			if code := limited.wait(); code != 6 || !strings.Contains(limited.stderr.String(), "file too large") {
				t.Errorf("exit code %d:\n%s", code, &limited.stderr)
			}
			if _, err := os.Stat(c.path("out.h5")); err == nil {
				t.Error("a dataset was left")
			}
			allEnd(t, 0, append(others, b.role(t, "merger", "--exit-when-sealed"))...)
			if got, want := c.sha256(t), calmSHA256(t, spec); got != want {
				t.Errorf("sha256 %s, undisturbed %s", got, want)
			}
		})
	}
}
