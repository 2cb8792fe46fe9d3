package test

import (
	"regexp"
	"strconv"
	"testing"
	"time"
)

// metered starts a role under the rules of WINDROW_FAULT that ends with the
// run, and of which usageOf can tell what it holds.
func (c *campaign) metered(t *testing.T, url, rules string, args ...string) *process {
	t.Helper()
	return c.start(t, []string{"WINDROW_FAULT=" + rules}, append(args, "--exit-when-sealed", "--metrics", "127.0.0.1:0", "--nats", url)...)
}

// usage is what processes hold that live through what happens to others.
type usage []holding

type holding struct {
	*process
	address           string
	goroutines, files float64
}

// usageOf asks metered roles. They are to be at work: what they hold then is
// the most of several looks, for a little comes and goes with what they do.
func usageOf(t *testing.T, roles ...*process) (u usage) {
	t.Helper()
	for _, p := range roles {
		h := holding{process: p, address: p.metricsAddress(t)}
		for range 10 {
			goroutines, files := h.now(t)
			h.goroutines, h.files = max(h.goroutines, goroutines), max(h.files, files)
			<-time.After(20 * time.Millisecond)
		}
		u = append(u, h)
	}
	return u
}

// now returns what the process holds.
func (h holding) now(t *testing.T) (goroutines, files float64) {
	t.Helper()
	text := metricsOf(t, h.address)
	for name, value := range map[string]*float64{"go_goroutines": &goroutines, "process_open_fds": &files} {
		found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("%s does not say %s", h.address, name)
		}
		var err error
		if *value, err = strconv.ParseFloat(found[1], 64); err != nil {
			t.Fatal(err)
		}
	}
	return goroutines, files
}

// onTheWay is how many goroutines and files may wait for an answer at the
// moment: over a slow link each request takes seconds.
const onTheWay = 3

// check expects that soon after something happened the processes hold no more
// than they held before. What only comes and goes is gone at one of the looks,
// or on the way.
func (u usage) check(t *testing.T) {
	t.Helper()
	for _, h := range u {
		goroutines, files := h.now(t)
		for end := time.Now().Add(5 * time.Second); (goroutines > h.goroutines || files > h.files) && time.Now().Before(end); goroutines, files = h.now(t) {
			<-time.After(20 * time.Millisecond)
		}
		name := h.cmd.Args[1]
		t.Logf("%s: %g goroutines and %g files, before %g and %g", name, goroutines, files, h.goroutines, h.files)
		if goroutines > h.goroutines+onTheWay || files > h.files+onTheWay {
			t.Errorf("%s: %g goroutines and %g files, before %g and %g", name, goroutines, files, h.goroutines, h.files)
		}
	}
}
