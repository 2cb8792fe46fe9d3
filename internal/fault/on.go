//go:build faults

package fault

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Enabled tells whether this build obeys WINDROW_FAULT.
const Enabled = true

// rule is one rule of WINDROW_FAULT.
type rule struct {
	action string // kill, hold or stop
	file   string // or empty
	nth    int    // 0: every time
}

var (
	rules = sync.OnceValue(func() map[string]rule {
		rules, err := parse(os.Getenv("WINDROW_FAULT"))
		if err != nil {
			fmt.Fprintln(os.Stderr, "windrow: WINDROW_FAULT:", err)
			os.Exit(2) //nolint:forbidigo // a test that is wrong must not pass
		}
		return rules
	})

	mu      sync.Mutex
	reached = map[string]int{}
)

// Point marks a place at which a crash matters.
func Point(name string) {
	r, ok := rules()[name]
	if !ok {
		return
	}
	mu.Lock()
	reached[name]++
	times := reached[name]
	mu.Unlock()
	if r.nth == 0 || r.nth == times {
		r.act()
	}
}

func parse(text string) (map[string]rule, error) {
	parsed := map[string]rule{}
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		point, action, _ := strings.Cut(part, "=")
		name, nth, counted := strings.Cut(point, "#")
		var r rule
		r.action, r.file, _ = strings.Cut(action, "@")
		if counted {
			n, err := strconv.Atoi(nth)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("%q: expected a count after #", part)
			}
			r.nth = n
		}
		switch {
		case !slices.Contains(Points, name):
			return nil, fmt.Errorf("%q: there is no point of that name", part)
		case !slices.Contains([]string{"kill", "hold", "stop"}, r.action):
			return nil, fmt.Errorf("%q: the action is kill, hold or stop", part)
		case r.action == "hold" && r.file == "":
			return nil, fmt.Errorf("%q: hold needs @FILE", part)
		}
		parsed[name] = r
	}
	return parsed, nil
}

func (r rule) act() {
	if r.action == "hold" {
		hold(r.file)
		return
	}
	if r.file != "" {
		f, err := os.OpenFile(r.file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return // another process was first
		}
		_ = f.Close()
	}
	if r.action == "stop" {
		stop()
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal arrives
}

// stop stops the process and returns when it is continued. A signal is for the
// process: the thread that sends it may run on for a while.
func stop() {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	<-continued
}

// hold waits while the file exists.
func hold(file string) {
	if _, err := os.Stat(file); err != nil {
		return
	}
	_ = os.WriteFile(file+".held", nil, 0o600)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := os.Stat(file); err != nil {
			return
		}
	}
}
