package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// kind is a way to disturb.
type kind string

const (
	kill     kind = "kill"     // a worker, with its simulator, or the merger
	truncate kind = "truncate" // the new shard
	flip     kind = "flip"     // a bit of the new shard
	hang     kind = "hang"     // a simulator, for a while; of a built-in model, its worker
	stop     kind = "stop"     // a worker or the merger, for a while
)

var kinds = []kind{kill, truncate, flip, hang, stop}

const (
	look        = 20 * time.Millisecond // between looks for new shards
	longestStop = 8 * time.Second       // of a stopped process
	lastKill    = 0.9                   // of the tasks: later ones may all be in one shard
)

// Storm disturbs a run. Make one with New; it is for one goroutine.
type Storm struct {
	config  Config
	shards  string
	longest time.Duration
	inside  bool // models are built in: workers have no simulators to stop
	say     func(what string)
	random  *rand.Rand
	due     []kind  // to happen once at the next shards, whatever the dice say
	brokers []int64 // tasks at which a broker is killed, in order
	reached int64   // the highest first task of a shard
	seen    map[string]bool
	hangs   int // that wait for a simulator
	counts  map[string]int
	stopped map[int]*time.Timer // by process id
}

// New makes a storm over a run of so many tasks, whose workers write to the
// folder shards. A task may take timeout, of which a stopped process takes half at most: tasks
// are not to be blamed for the storm. Without a timeout (0) the model is built into the workers.
// say is called with what was done.
func New(c Config, tasks int64, shards string, timeout time.Duration, say func(what string)) *Storm {
	longest := longestStop
	if timeout > 0 {
		longest = min(longestStop, timeout/2)
	}
	s := &Storm{
		config: c, shards: shards, longest: longest, inside: timeout == 0, say: say,
		random: rand.New(rand.NewPCG(c.Seed, 0)),
		seen:   map[string]bool{}, counts: map[string]int{}, stopped: map[int]*time.Timer{},
	}
	for _, k := range kinds {
		if c.rates[k] > 0 {
			s.due = append(s.due, k)
		}
	}
	for range c.broker {
		s.brokers = append(s.brokers, int64(lastKill*s.random.Float64()*float64(tasks)))
	}
	slices.Sort(s.brokers)
	s.random.Shuffle(len(s.due), func(i, j int) { s.due[i], s.due[j] = s.due[j], s.due[i] })
	return s
}

// Disturb disturbs the run whose first process is root until it ends or ctx
// does. It returns true if it has killed that process: the run, to be started
// again. Every stopped process goes on before it returns.
func (s *Storm) Disturb(ctx context.Context, root int, ended <-chan struct{}) (killed bool, err error) {
	defer s.goOn()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	worked := false
	for {
		select {
		case <-ended:
			return false, nil
		case <-ctx.Done():
			return false, nil
		case <-ticker.C:
		}
		fresh, err := s.newShards()
		if err != nil {
			return false, err
		}
		for _, shard := range fresh {
			worked = true
			if err := s.roll(root, shard); err != nil {
				return false, err
			}
		}
		if err := s.hang(root); err != nil {
			return false, err
		}
		// Only a run that has got somewhere, or a storm would last for ever.
		if worked && len(s.brokers) > 0 && s.reached >= s.brokers[0] {
			s.brokers = s.brokers[1:]
			if err := syscall.Kill(root, syscall.SIGKILL); err != nil {
				return false, fmt.Errorf("kill the run: %w", err)
			}
			s.did("broker", fmt.Sprintf("killed the run with its broker, process %d", root))
			return true, nil
		}
	}
}

// Summary says how often each thing was done.
func (s *Storm) Summary() string {
	var parts []string
	for _, name := range append([]kind{"broker"}, kinds...) {
		if n := s.counts[string(name)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, n))
		}
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (s *Storm) newShards() (fresh []string, err error) {
	entries, err := os.ReadDir(s.shards)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for shards: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".h5") && !s.seen[name] {
			s.seen[name] = true
			s.reached = max(s.reached, firstTask(name))
			fresh = append(fresh, filepath.Join(s.shards, name))
		}
	}
	return fresh, nil
}

// firstTask returns the task that message.ShardName names a shard after, or 0.
func firstTask(name string) int64 {
	number, _, _ := strings.Cut(name, "-")
	task, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0
	}
	return task
}

// roll throws the dice for a new shard.
func (s *Storm) roll(root int, shard string) error {
	if len(s.due) > 0 {
		done, err := s.do(s.due[0], root, shard)
		if done {
			s.due = s.due[1:]
		}
		return err
	}
	for _, k := range kinds {
		if s.random.Float64() >= s.config.rates[k] {
			continue
		}
		if _, err := s.do(k, root, shard); err != nil {
			return err
		}
	}
	return nil
}

// do returns false if there was nothing to do it to.
func (s *Storm) do(k kind, root int, shard string) (done bool, err error) {
	switch k {
	case truncate, flip:
		return s.damage(k, shard)
	case hang:
		s.hangs++
		return true, s.hang(root)
	case kill, stop:
	}
	all, err := processesBelow(root)
	if err != nil || len(all.roles) == 0 {
		return false, err
	}
	victim := all.roles[s.random.IntN(len(all.roles))]
	if k == kill {
		if syscall.Kill(victim.pid, syscall.SIGKILL) != nil {
			return false, nil //nolint:nilerr // it has ended just now
		}
		s.did(string(k), fmt.Sprintf("killed the %s, process %d", victim.name, victim.pid))
		return true, nil
	}
	return s.halt(k, victim), nil
}

// hang stops a simulator for a while if that is due. One that computes a single
// task may be gone when its shard is seen: it meets the next.
func (s *Storm) hang(root int) error {
	if s.hangs == 0 {
		return nil
	}
	all, err := processesBelow(root)
	if err != nil {
		return err
	}
	victims := all.simulators
	if s.inside {
		victims = slices.DeleteFunc(all.roles, func(p process) bool { return p.name != "worker" })
	}
	if len(victims) > 0 && s.halt(hang, victims[s.random.IntN(len(victims))]) {
		s.hangs--
	}
	return nil
}

// halt stops a process for a while.
func (s *Storm) halt(k kind, p process) (done bool) {
	if timer := s.stopped[p.pid]; timer != nil && timer.Stop() {
		timer.Reset(0) // it is stopped already: no longer than it was to be
		return false
	}
	if syscall.Kill(p.pid, syscall.SIGSTOP) != nil {
		return false
	}
	pause := s.longest/8 + time.Duration(s.random.Int64N(int64(s.longest)*7/8+1))
	s.stopped[p.pid] = time.AfterFunc(pause, func() { _ = syscall.Kill(p.pid, syscall.SIGCONT) })
	s.did(string(k), fmt.Sprintf("stopped the %s, process %d, for %.1f s", p.name, p.pid, pause.Seconds()))
	return true
}

// goOn lets all stopped processes go on.
func (s *Storm) goOn() {
	for pid, timer := range s.stopped {
		if timer.Stop() {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may be gone
		}
	}
	clear(s.stopped)
}

// damage shortens a shard, or flips one of its bits.
func (s *Storm) damage(k kind, shard string) (done bool, err error) {
	f, err := os.OpenFile(shard, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) { // it is merged and gone
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("damage a shard: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("damage a shard: %w", err)
	}
	at := s.random.Int64N(info.Size())
	what := fmt.Sprintf("cut %s to %d of %d bytes", filepath.Base(shard), at, info.Size())
	if k == truncate {
		err = f.Truncate(at)
	} else {
		bit := s.random.IntN(8)
		what = fmt.Sprintf("flipped bit %d of byte %d of %s", bit, at, filepath.Base(shard))
		var b [1]byte
		if _, err = f.ReadAt(b[:], at); err == nil {
			b[0] ^= 1 << bit
			_, err = f.WriteAt(b[:], at)
		}
	}
	if err != nil {
		return false, fmt.Errorf("damage a shard: %w", err)
	}
	s.did(string(k), what)
	return true, nil
}

func (s *Storm) did(name, what string) {
	s.counts[name]++
	s.say(what)
}
