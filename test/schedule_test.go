package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scheduleVariable repeats one schedule.
const scheduleVariable = "WINDROW_SCHEDULE"

// scheduleTime is for how long schedules are begun: for one alone, or eight
// minutes with WINDROW_CHAOS=1, as in .ci/run.
func scheduleTime() time.Duration {
	if os.Getenv("WINDROW_CHAOS") != "" {
		return 8 * time.Minute
	}
	return 0
}

// schedule is a campaign and the storm over it, drawn at random.
type schedule struct {
	spec    string
	workers int
	storm   string
}

func newSchedule(seed uint64) schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	simulator := fmt.Sprintf("{sleep: {duration: %dms}}", 2+r.IntN(20))
	more := map[string]string{}
	if r.IntN(2) == 0 { // programs of their own, which are stopped as well
		simulator = "{command: [sh, model.sh, '{seed}'], mode: exec, timeout: 6s}"
		more["columns"] = "[{name: y, type: f64}]"
	}
	more["simulator"] = simulator
	more["tasks"] = fmt.Sprintf("{matrix: {seed: 1..%d}}", 100+r.IntN(500))
	more["queue"] = fmt.Sprintf("{ack_wait: %dms, shard_seconds: %.2f}", 1000+r.IntN(2000), 0.05+0.45*r.Float64())
	storm := []string{fmt.Sprintf("broker=%d,seed=%d", r.IntN(5), r.Uint64())}
	for _, kind := range []string{"kill", "truncate", "flip"} {
		storm = append(storm, fmt.Sprintf("%s=%.1f%%", kind, 15*r.Float64()*float64(r.IntN(2))))
	}
	for _, kind := range []string{"hang", "stop"} { // which take seconds each
		storm = append(storm, fmt.Sprintf("%s=%.1f%%", kind, 2*r.Float64()*float64(r.IntN(2))))
	}
	return schedule{specOf(more), 1 + r.IntN(5), strings.Join(storm, ",")}
}

// TestRandomSchedules draws campaigns and storms over them, one after the
// other. What a storm meets depends on the moment: repeat a failing one with
// the seed that its name is, more than once.
//
//nolint:tparallel // one after the other: each has processes enough
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	first, only := uint64(time.Now().UnixNano()), os.Getenv(scheduleVariable)
	if only != "" {
		var err error
		if first, err = strconv.ParseUint(only, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	for seed := first; ; seed++ {
		if !t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { newSchedule(seed).run(t) }) {
			t.Errorf("repeat it with %s=%d go test -tags faults ./test -run TestRandomSchedules -count=10", scheduleVariable, seed)
		}
		if only != "" || time.Since(begun) >= scheduleTime() {
			return
		}
	}
}

func (s schedule) run(t *testing.T) {
	t.Helper()
	c := newCampaign(t, s.spec)
	if err := os.WriteFile(c.path("model.sh"), []byte("sleep 0.01\necho \"{\\\"y\\\": $1}\" >result.json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, _ := c.run(t, 0, "run", "spec.yaml", "--workers", strconv.Itoa(s.workers), "--chaos="+s.storm, "--compare")
	if !strings.Contains(stdout, "the same bytes") {
		t.Errorf("windrow says:\n%s", stdout)
	}
	t.Logf("%d workers: %s", s.workers, strings.TrimSpace(strings.SplitN(stdout, "\n", 2)[0]))
}
