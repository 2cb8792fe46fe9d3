package cli

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"windrow/internal/message"
)

func TestMeterForetellsARange(t *testing.T) {
	t.Parallel()
	m := meter{total: 1000}
	start := time.Unix(0, 0)
	if got := m.String(); got != "warming up" {
		t.Errorf("before the first task: %q", got)
	}
	done := int64(0)
	for second := range 20 {
		m.observe(start.Add(time.Duration(second)*time.Second), done)
		if second < 10 {
			done += 5
		} else {
			done += 15
		}
	}
	// 5 tasks a second at first, then 15: what holds now counts.
	if got, want := m.String(), "15.0 tasks/s, 53 s to 55 s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMeterKeepsFewSamples(t *testing.T) {
	t.Parallel()
	m := meter{total: 1_000_000}
	start := time.Unix(0, 0)
	for second := range 100_000 {
		m.observe(start.Add(time.Duration(second)*time.Second), 2*int64(second))
	}
	if n := len(m.samples); n > meterSamples {
		t.Errorf("%d samples are kept", n)
	}
	if got, want := m.String(), "2.0 tasks/s, 109 h to 113 h left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMeterOfSkewedTasks lets four workers compute 3,000 tasks, of which the
// longest take a hundred times as long as most, in shards of five seconds.
// After a tenth of them the end that is foretold must be right within 20 %, and
// in the range, nearly always.
func TestMeterOfSkewedTasks(t *testing.T) {
	t.Parallel()
	const runs, tasks, workers = 200, 3000, 4
	right, inRange := 0, 0
	for seed := range uint64(runs) {
		random := rand.New(rand.NewPCG(seed, 1))
		finished, end := shardsOf(random, tasks, workers, 5)
		m := meter{total: tasks}
		for second := 0.0; second < end; second++ {
			done := int64(0)
			for _, f := range finished {
				if f <= second {
					done++
				}
			}
			m.observe(time.Unix(int64(second), 0), done)
			if done < tasks/10 {
				continue
			}
			slow, mean, fast, ok := m.rates()
			if !ok {
				continue
			}
			rest, truth := float64(tasks-done), end-second
			if math.Abs(rest/mean/truth-1) < 0.2 {
				right++
			}
			if rest/fast <= truth*1.02 && truth*0.98 <= rest/slow {
				inRange++
			}
			break
		}
	}
	t.Logf("right within 20 %% in %d, in the range in %d of %d runs", right, inRange, runs)
	if right < runs*95/100 || inRange < runs*70/100 {
		t.Errorf("right within 20 %% in %d, in the range in %d of %d runs", right, inRange, runs)
	}
}

// shardsOf returns when the shard of each task is announced, and the last.
func shardsOf(random *rand.Rand, tasks, workers int, shardSeconds float64) (finished []float64, end float64) {
	clocks := make([]float64, workers)
	for len(finished) < tasks {
		w := slices.Index(clocks, slices.Min(clocks))
		begun, batch := clocks[w], 0
		for clocks[w]-begun < shardSeconds && len(finished)+batch < tasks {
			clocks[w] += math.Exp(random.NormFloat64() - 0.5) // 1 s on average
			batch++
		}
		for range batch {
			finished = append(finished, clocks[w])
		}
		end = max(end, clocks[w])
	}
	return finished, end
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{3, 3.2, "3 s"}, {50, 119, "50 s to 119 s"}, {100, 400, "100 s to 7 min"}, {7300, 10000, "2 h to 3 h"},
	} {
		if got := span(c.low, c.high); got != c.want {
			t.Errorf("span of %v to %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestProgressTellsWhatPeopleAsk(t *testing.T) {
	t.Parallel()
	p := &progress{
		crew: newCrew(), meter: meter{total: 10}, hint: "start one with windrow worker", failed: 1003,
		classes: map[message.Class]int64{message.ClassTimeout: 1, message.ClassCrash: 1001, message.ClassError: 1},
		idle:    time.Now().Add(-45 * time.Second),
	}
	const failures = "1,003 failed (1,001 crash, 1 error, 1 timeout), "
	if got, want := p.String(), failures+"no workers for 45 s: start one with windrow worker"; got != want {
		t.Errorf("without workers: %q, want %q", got, want)
	}
	p.crew.saw(message.Beat{Role: roleWorker, ID: "a", Retries: 4})
	p.crew.saw(message.Beat{Role: roleWorker, ID: "b", Retries: 1})
	p.crew.saw(message.Beat{Role: roleMerger, ID: "c"})
	if got, want := p.String(), failures+"5 tried again, 2 workers, warming up"; got != want {
		t.Errorf("at work: %q, want %q", got, want)
	}
	p.halted = "paused"
	if got, want := p.String(), failures+"5 tried again, 2 workers, paused: `windrow resume` goes on"; got != want {
		t.Errorf("paused: %q, want %q", got, want)
	}
}
