package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"windrow/merger"
)

// containsLine tells whether a line of the text starts with prefix.
func containsLine(text, prefix string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// record returns what out.h5.run.json says.
func (c *campaign) record(t *testing.T) merger.Record {
	t.Helper()
	return c.recordOf(t, "out.h5")
}

// recordOf returns what the record of another output says.
func (c *campaign) recordOf(t *testing.T, out string) merger.Record {
	t.Helper()
	text, err := os.ReadFile(c.path(out + ".run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r merger.Record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// countedSpec returns a spec whose simulator notes each attempt.
func countedSpec(seed, tasks int) string {
	spec := specOf(map[string]string{
		"tasks":     fmt.Sprintf("{matrix: {n: 1..%d}}", tasks),
		"simulator": "{command: [python3, counted.py], timeout: 1m}",
		"columns":   "[{name: y, type: f64, min: 0}]",
	})
	return strings.Replace(spec, "name: storm\nseed: 7", fmt.Sprintf("name: storm%d\nseed: %d", seed, seed), 1)
}

// patient returns the spec with leases that outlast the test: for where no worker
// dies, and nothing is to be delivered twice however busy the machine is.
func patient(spec string) string { return strings.Replace(spec, "ack_wait: 2s", "ack_wait: 1h", 1) }

// newCounted makes the campaign of a countedSpec, each task of which takes a
// while.
func newCounted(t *testing.T, spec string, each time.Duration) *campaign {
	t.Helper()
	c := newCampaign(t, spec)
	script, err := os.ReadFile("testdata/python/counted.py")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.path("counted.py"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	c.pace(t, each)
	return c
}

// pace says how long each task of a countedSpec takes that is begun from now on.
func (c *campaign) pace(t *testing.T, each time.Duration) {
	t.Helper()
	err := os.WriteFile(c.path("pace.new"), fmt.Append(nil, each.Seconds()), 0o600)
	if err == nil {
		err = os.Rename(c.path("pace.new"), c.path("pace"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// calmCounted returns what the dataset of a countedSpec must be, however long
// its tasks take.
func calmCounted(t *testing.T, spec string) string {
	t.Helper()
	once, _ := calm.LoadOrStore(spec, sync.OnceValue(func() string {
		c := newCounted(t, spec, 0)
		c.run(t, 0, "run", "spec.yaml", "--workers", "1")
		c.checkAttempts(t, 0)
		return c.sha256(t)
	}))
	return once.(func() string)()
}

// attempts returns the tasks of a countedSpec that were begun, in order, those
// begun again as often as that.
func (c *campaign) attempts(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(c.path("attempts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return slices.Sorted(strings.Lines(string(text)))
}

// checkAttempts compares how many tasks of a countedSpec were begun, by
// whatever process and whatever became of them, with how many had to be.
func (c *campaign) checkAttempts(t *testing.T, most int) {
	t.Helper()
	checkAgain(t, c.attempts(t), most)
}

// checkAgain tells how many of the tasks begun were begun before.
func checkAgain(t *testing.T, begun []string, most int) {
	t.Helper()
	needed := len(slices.Compact(slices.Clone(begun)))
	t.Logf("%d of %d tasks were computed again, at most %d may", len(begun)-needed, needed, most)
	if len(begun)-needed > most {
		t.Errorf("%d of %d tasks were computed again, at most %d may", len(begun)-needed, needed, most)
	}
}

// allEnd waits until each role has ended as it should.
func allEnd(t *testing.T, code int, roles ...*process) {
	t.Helper()
	for _, p := range roles {
		if got := p.wait(); got != code {
			t.Errorf("%v ended with %d:\n%s", p.cmd.Args, got, &p.stderr)
		}
	}
}
