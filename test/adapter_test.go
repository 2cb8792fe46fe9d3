package test

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestAdapters runs the examples for programs that few machines have: against
// the program where python3 can import it, and else against a stand-in, which
// shows only that the adapter speaks the protocol.
func TestAdapters(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		module, example, spec string
		rows                  int
		task                  int
		real, standIn         float64 // aep of the task, GWh
	}{
		{"floris", "004-floris", "floris.yaml", 18, 4, 372.3642992250937, 24 * 16 * (1 - 100/(125.88*7*3))},
		{"py_wake", "005-pywake", "pywake.yaml", 9, 2, 368.7647199209298, 29 * 16 * 0.9},
	} {
		t.Run(a.module, func(t *testing.T) {
			t.Parallel()
			c := &campaign{dir: t.TempDir()}
			t.Cleanup(func() { c.checkNoProcess(t) })
			if err := os.CopyFS(c.dir, os.DirFS(filepath.Join("../examples", a.example))); err != nil {
				t.Fatal(err)
			}
			env, want := []string{}, a.real
			if err := exec.Command("python3", "-c", "import "+a.module).Run(); err != nil {
				t.Logf("%s is not installed: this is not run against the real package", a.module)
				env, want = c.standIn(t), a.standIn
			}
			windrow := func(args ...string) string {
				t.Helper()
				p := c.start(t, env, args...)
				if code := p.wait(); code != 0 {
					t.Fatalf("exit code %d:\n%s", code, &p.stderr)
				}
				return p.stdout.String()
			}
			if got := windrow("simulator", "test", a.spec); !containsLine(got, "contract      5 of 5") {
				t.Errorf("the trial says:\n%s", got)
			}
			windrow("run", a.spec)
			out := strings.TrimSuffix(a.spec, ".yaml") + ".h5"
			if got := windrow("verify", out); !strings.Contains(got, strconv.Itoa(a.rows)+" of "+strconv.Itoa(a.rows)+" tasks") {
				t.Errorf("the dataset is\n%s", got)
			}
			if got := readAEP(t, c.path(out), a.task); math.Abs(got/want-1) > 1e-9 {
				t.Errorf("task %d has an AEP of %v GWh, want %v", a.task, got, want)
			}
		})
	}
}

// standIn returns the environment in which python3 is Debian's, which has numpy,
// and finds the stand-ins.
func (c *campaign) standIn(t *testing.T) []string {
	t.Helper()
	modules, err := filepath.Abs("testdata/python/standin")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink("/usr/bin/python3", filepath.Join(bin, "python3")); err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "PYTHONPATH=" + modules, "PYTHONDONTWRITEBYTECODE=1"}
}

func readAEP(t *testing.T, path string, task int) float64 {
	t.Helper()
	script := "import sys, h5py\nprint(repr(float(h5py.File(sys.argv[1])['aep'][int(sys.argv[2])])))"
	out, err := exec.Command("/usr/bin/python3", "-c", script, path, strconv.Itoa(task)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	aep, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatal(err)
	}
	return aep
}
