package fault_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/fault"
)

// TestMain makes the test binary a process that reaches points, if it is told
// which by WINDROW_FAULT_TEST.
func TestMain(m *testing.M) {
	if points := os.Getenv("WINDROW_FAULT_TEST"); points != "" {
		for p := range strings.SplitSeq(points, ",") {
			fault.Point(p)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// reach starts a process that reaches the points under a rule and returns how
// it ended.
func reach(t *testing.T, rules string, points ...string) (exit *exec.ExitError, stderr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WINDROW_FAULT="+rules, "WINDROW_FAULT_TEST="+strings.Join(points, ","))
	var said strings.Builder
	cmd.Stderr = &said
	err := cmd.Run()
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit, said.String()
}

func killed(exit *exec.ExitError) bool {
	return exit != nil && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

func TestReleaseBuildIgnoresRules(t *testing.T) {
	t.Parallel()
	if fault.Enabled {
		t.Skip("this build has the tag faults")
	}
	if exit, _ := reach(t, fault.WorkerRenamed+"=kill", fault.WorkerRenamed); exit != nil {
		t.Errorf("a build without the tag faults obeyed WINDROW_FAULT: %v", exit)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	if !fault.Enabled {
		t.Skip("needs the tag faults")
	}
	once := filepath.Join(t.TempDir(), "once")
	for _, c := range []struct {
		rules  string
		points []string
		want   bool
	}{
		{"worker.renamed=kill", []string{fault.WorkerRenamed}, true},
		{"worker.renamed=kill", []string{fault.WorkerFetched}, false},
		{"worker.renamed#2=kill", []string{fault.WorkerRenamed}, false},
		{"worker.renamed#2=kill", []string{fault.WorkerRenamed, fault.WorkerRenamed}, true},
		{"worker.renamed=kill@" + once, []string{fault.WorkerRenamed}, true},
		{"worker.renamed=kill@" + once, []string{fault.WorkerRenamed}, false}, // the file is there
	} {
		if exit, _ := reach(t, c.rules, c.points...); killed(exit) != c.want {
			t.Errorf("%s at %v: %v, want killed %v", c.rules, c.points, exit, c.want)
		}
	}
}

// start starts a process that reaches worker.renamed under a rule.
func start(t *testing.T, rule string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WINDROW_FAULT="+rule, "WINDROW_FAULT_TEST="+fault.WorkerRenamed)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if it did not end
	return cmd
}

func TestHold(t *testing.T) {
	t.Parallel()
	if !fault.Enabled {
		t.Skip("needs the tag faults")
	}
	file := filepath.Join(t.TempDir(), "hold")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := start(t, "worker.renamed=hold@"+file)
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := os.Stat(file + ".held"); err == nil {
			break
		}
	}
	if pid, err := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil); pid != 0 || err != nil {
		t.Fatalf("the process ended while the file exists: %v", err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after the file is gone: %v", err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	if !fault.Enabled {
		t.Skip("needs the tag faults")
	}
	cmd := start(t, "worker.renamed=stop")
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the process did not stop: %v, %v", status, err)
	}
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGCONT: %v", err)
	}
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	if !fault.Enabled {
		t.Skip("needs the tag faults")
	}
	for rules, want := range map[string]string{
		"worker.rename=kill":      "no point of that name",
		"worker.renamed=die":      "kill, hold or stop",
		"worker.renamed#0=kill":   "count after #",
		"merger.shard-found=hold": "needs @FILE",
	} {
		exit, stderr := reach(t, rules, fault.WorkerRenamed)
		if exit == nil || exit.ExitCode() != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %v, %q; want exit code 2 and %q", rules, exit, stderr, want)
		}
	}
}

func TestPointsAreDistinct(t *testing.T) {
	t.Parallel()
	points := slices.Clone(fault.Points)
	slices.Sort(points)
	if n := len(slices.Compact(points)); n != len(fault.Points) {
		t.Errorf("%d points, %d distinct", len(fault.Points), n)
	}
}
