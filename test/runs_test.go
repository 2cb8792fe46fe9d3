package test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestStormOnThreeRuns computes three runs on one broker, which differ in name and
// seed alone, kills workers all the while, and deletes in mid-run what hands
// the tasks of one out. Each ends in the dataset that it would have alone.
func TestStormOnThreeRuns(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]threeRuns{
		"all workers die": {tasks: 400, each: 20 * time.Millisecond, workers: 2, rounds: kills(3), all: true},
		// A task would never end if all did.
		"tasks of five seconds": {tasks: 24, each: 5 * time.Second, workers: 4, rounds: 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !s.all {
				slow(t)
			}
			s.storm(t, stormSeed(t))
		})
	}
}

// threeRuns is a storm over them.
type threeRuns struct {
	tasks, workers int // of each run
	each           time.Duration
	rounds         int  // of kills, two seconds apart
	all            bool // workers die in each, else one
}

// inHand returns how many tasks a worker holds at most.
func (s threeRuns) inHand() int { return max(1, int(200*time.Millisecond/s.each)) }

func (s threeRuns) storm(t *testing.T, r *rand.Rand) {
	t.Helper()
	var broker *broker
	var runs []*campaign
	var lasting, workers []*process // the latter are killed
	var before usage                // of those that last
	var restart []func() *process
	for seed := range 3 {
		c := newCounted(t, countedSpec(seed, s.tasks), s.each)
		runs = append(runs, c)
		if seed == 0 {
			broker = c.newBroker(t)
		}
		id := c.runID(t)
		role := func(args ...string) *process {
			return c.start(t, nil, append(args, "--nats", broker.url, "--exit-when-sealed")...)
		}
		lasting = append(lasting, c.metered(t, broker.url, "", "producer", "spec.yaml"), c.metered(t, broker.url, "", "merger", "--run", id))
		for range s.workers {
			start := func() *process { return role("worker", "--run", id, "--allow-spec", "spec.yaml") }
			restart, workers = append(restart, start), append(workers, start())
		}
	}
	killed := make([]int, len(runs))
	kill := func(i int) {
		killed[i/s.workers]++
		workers[i].kill()
		workers[i] = restart[i]()
	}
	sealed := make(chan struct{})
	go func() {
		defer close(sealed)
		for _, p := range lasting {
			<-p.done
		}
	}()
	limit, storm, look := time.After(patience), time.NewTicker(2*time.Second), time.NewTicker(50*time.Millisecond)
	defer storm.Stop()
	defer look.Stop()
	deleted := false
	for over, round := false, 0; !over; {
		select {
		case <-sealed:
			over = true
		case <-limit:
			t.Fatalf("not sealed after %s", patience)
		case <-look.C:
			if !deleted && len(runs[0].attempts(t)) > s.tasks/3 {
				broker.deleteConsumer(t, runs[0].runID(t))
				deleted = true
			}
		case <-storm.C:
			round++
			if round == 1 { // all are at work
				before = usageOf(t, lasting...)
			}
			for i, only := range r.Perm(len(workers)) {
				if round <= s.rounds && (s.all || only == 0) {
					kill(i)
				}
			}
			if round == min(s.rounds, 3) {
				before.check(t)
			}
		}
	}
	allEnd(t, 0, append(lasting, workers...)...)
	if !deleted {
		t.Error("the run ended before its consumer was deleted")
	}
	for seed, c := range runs {
		if got, want := c.sha256(t), calmCounted(t, countedSpec(seed, s.tasks)); got != want {
			t.Errorf("sha256 %s of run %d, undisturbed %s", got, seed, want)
		}
		t.Logf("run %d: %d workers were killed", seed, killed[seed])
		losses := killed[seed]
		if seed == 0 {
			losses += s.workers // what they held was delivered to others, too
		}
		c.checkAttempts(t, losses*s.inHand())
	}
	broker.p.kill()
}

// deleteConsumer deletes what hands out the tasks of a run.
func (b *broker) deleteConsumer(t *testing.T, run string) {
	t.Helper()
	conn, err := nats.Connect(b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), fmt.Sprintf("windrow_%s_tasks", run), "workers"); err != nil {
		t.Fatal(err)
	}
}
