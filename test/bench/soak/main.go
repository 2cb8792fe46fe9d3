// Soak computes one campaign after the other while it kills their processes,
// and watches what memory these have.
//
//	soak SPEC DIR DURATION
//
// It runs windrow's roles and a nats-server, found on PATH, in DIR, and kills
// one of them every five seconds. When a campaign is sealed it verifies the
// dataset and begins the next; when the duration is over, it ends with the one
// at work. It leaves DIR/soak.csv and DIR/soak.svg, and prints a table.
package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	killEvery   = 5 * time.Second
	sampleEvery = time.Second
	broker      = "broker"
	producer    = "producer"
)

// address is where the broker listens.
const address = "127.0.0.1:24222"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: soak SPEC DIR DURATION")
	}
	spec, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	w, err := newWatch(filepath.Join(args[1], "soak.csv"))
	if err != nil {
		return err
	}
	var campaigns []*campaign
	for number := 1; number == 1 || time.Since(w.begun) < length; number++ {
		c := &campaign{number: number, spec: spec, dir: filepath.Join(args[1], "campaign"), watch: w, kills: map[string]int{}}
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("campaign %d, logs in %s: %w", number, c.dir, errors.Join(err, w.close()))
		}
		campaigns = append(campaigns, c)
	}
	_, err = os.Stdout.WriteString(report(campaigns))
	return errors.Join(err, w.close(), w.draw(filepath.Join(args[1], "soak.svg"), campaigns))
}

// campaign is one from the first task to the verified dataset.
type campaign struct {
	number    int
	spec, dir string
	watch     *watch

	roles  []*role
	kills  map[string]int // by name
	begun  time.Duration  // since the first campaign's start
	took   time.Duration  // to the seal
	record record
}

// role is a process that is started again when it was killed.
type role struct {
	name string
	args []string
	cmd  *exec.Cmd
	done chan error
}

func (c *campaign) run(ctx context.Context) (err error) {
	if err := errors.Join(os.RemoveAll(c.dir), os.MkdirAll(c.dir, 0o700)); err != nil {
		return err
	}
	config := fmt.Sprintf("listen: %q\njetstream { store_dir: store, sync_interval: always }\n", address)
	if err := os.WriteFile(filepath.Join(c.dir, "nats.conf"), []byte(config), 0o600); err != nil {
		return err
	}
	plan := exec.CommandContext(ctx, "windrow", "plan", c.spec)
	plan.Dir = c.dir
	planned, err := plan.Output()
	if err != nil {
		return fmt.Errorf("windrow plan: %w", err)
	}
	id := strings.Fields(string(planned))[1]
	ended := []string{"--nats", "nats://" + address, "--exit-when-sealed"}
	windrow := func(args ...string) []string { return append(append([]string{"windrow"}, args...), ended...) }
	c.roles = []*role{
		{name: broker, args: []string{"nats-server", "-c", "nats.conf"}},
		{name: producer, args: windrow("producer", c.spec)},
		{name: "merger", args: windrow("merger", "--run", id)},
		{name: "worker 1", args: windrow("worker", "--run", id)},
		{name: "worker 2", args: windrow("worker", "--run", id)},
	}
	c.begun = time.Since(c.watch.begun)
	defer func() {
		for _, r := range c.roles {
			r.kill()
		}
	}()
	for _, r := range c.roles {
		if err := r.start(ctx, c.dir); err != nil {
			return err
		}
	}
	if err := c.storm(ctx); err != nil {
		return err
	}
	c.took = time.Since(c.watch.begun) - c.begun
	verify := exec.CommandContext(ctx, "windrow", "verify", "soak.h5")
	verify.Dir = c.dir
	if out, err := verify.CombinedOutput(); err != nil {
		return fmt.Errorf("windrow verify: %w\n%s", err, out)
	}
	return c.readRecord()
}

// storm kills a role now and then, all but the producer, which tells of the
// seal, and watches all of them until they have ended.
func (c *campaign) storm(ctx context.Context) error {
	kill, sample := time.NewTicker(killEvery), time.NewTicker(sampleEvery)
	defer kill.Stop()
	defer sample.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-c.roles[1].done:
			if err != nil {
				return fmt.Errorf("producer: %w", err)
			}
			return c.end(ctx)
		case <-sample.C:
			if err := c.watch.sample(c.number, c.roles); err != nil {
				return err
			}
		case <-kill.C:
			victims := []*role{c.roles[0], c.roles[2], c.roles[3], c.roles[4]}
			victim := victims[rand.IntN(len(victims))]
			if err := victim.ended(); err != nil {
				return fmt.Errorf("%s: %w", victim.name, err)
			}
			victim.kill()
			c.kills[victim.name]++
			if err := victim.start(ctx, c.dir); err != nil {
				return err
			}
		}
	}
}

// end waits for the roles that end with the run.
func (c *campaign) end(ctx context.Context) error {
	for _, r := range c.roles[2:] {
		select {
		case err := <-r.done:
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		case <-time.After(time.Minute):
			return fmt.Errorf("%s does not end", r.name)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// start starts the role; what it says is appended to its log.
func (r *role) start(ctx context.Context, dir string) error {
	log, err := os.OpenFile(filepath.Join(dir, r.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the process has its own
	r.cmd = exec.CommandContext(ctx, r.args[0], r.args[1:]...)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = dir, log, log
	r.done = make(chan error, 1)
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", r.name, err)
	}
	cmd, done := r.cmd, r.done
	go func() {
		done <- cmd.Wait()
		close(done)
	}()
	return nil
}

// ended returns why the role ended by itself where it should not have.
func (r *role) ended() error {
	select {
	case err := <-r.done:
		return err // nil: it saw the seal
	default:
		return nil
	}
}

func (r *role) kill() {
	if r.cmd != nil && r.cmd.Process != nil {
		_ = r.cmd.Process.Kill() // it may have ended
		for range r.done {       // until it is gone
		}
	}
}
