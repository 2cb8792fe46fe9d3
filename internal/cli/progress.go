package cli

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// Progress of a run is drawn as a bar on a terminal and as a plain line every
// ten seconds elsewhere.
const (
	redrawInterval = 200 * time.Millisecond
	lineInterval   = 10 * time.Second
	beatLife       = 4 * time.Second // a worker that was silent for longer does not count
)

// crew is what the beats of the workers and the merger say.
type crew struct {
	mu    sync.Mutex
	beats map[string]seenBeat
}

type seenBeat struct {
	message.Beat
	at time.Time
}

func newCrew() *crew { return &crew{beats: map[string]seenBeat{}} }

func (c *crew) saw(b message.Beat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats[b.Role+" "+b.ID] = seenBeat{b, time.Now()}
}

// alive returns the beats of those who spoke lately.
func (c *crew) alive() []message.Beat {
	c.mu.Lock()
	defer c.mu.Unlock()
	var alive []message.Beat
	for id, b := range c.beats {
		if time.Since(b.at) > beatLife {
			delete(c.beats, id)
			continue
		}
		alive = append(alive, b.Beat)
	}
	return alive
}

// workers returns the number of live workers.
func (c *crew) workers() int {
	workers := 0
	for _, b := range c.alive() {
		if b.Role == roleWorker {
			workers++
		}
	}
	return workers
}

// meter follows how many tasks are done and foretells the end.
type meter struct {
	total   int64
	samples []sample // one a second, of the last minute
}

type sample struct {
	at   time.Time
	done int64
}

const meterWindow = time.Minute

// observe takes note of the tasks done at a time.
func (m *meter) observe(at time.Time, done int64) {
	if n := len(m.samples); n > 0 && at.Sub(m.samples[n-1].at) < time.Second {
		return
	}
	m.samples = append(m.samples, sample{at, done})
	for at.Sub(m.samples[0].at) > meterWindow {
		m.samples = m.samples[1:]
	}
}

// rates returns the slowest and the fastest rate, in tasks a second, over the
// older half, the younger half and all of the window; ok is false while there
// is too little to tell.
func (m *meter) rates() (slow, fast float64, ok bool) {
	n := len(m.samples)
	if n < 4 {
		return 0, 0, false
	}
	first, middle, last := m.samples[0], m.samples[n/2], m.samples[n-1]
	for i, r := range []float64{rate(first, last), rate(first, middle), rate(middle, last)} {
		if i == 0 || r < slow {
			slow = r
		}
		fast = max(fast, r)
	}
	return slow, fast, slow > 0
}

func rate(a, b sample) float64 {
	return float64(b.done-a.done) / max(b.at.Sub(a.at).Seconds(), 1e-3)
}

// String returns the rate and the time left as a range.
func (m *meter) String() string {
	slow, fast, ok := m.rates()
	if !ok {
		return "warming up"
	}
	last := m.samples[len(m.samples)-1]
	rest := float64(m.total - last.done)
	mean := rate(m.samples[0], last)
	return fmt.Sprintf("%s tasks/s, %s left", humanize.CommafWithDigits(mean, 1), span(rest/fast, rest/slow))
}

// span returns a range of seconds as people say it.
func span(low, high float64) string {
	a, b := roughly(low), roughly(high)
	if a == b {
		return a
	}
	return a + " to " + b
}

func roughly(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d > 2*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	case d > 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// progress shows how a run goes until ctx ends.
type progress struct {
	ledger *ledger.Follower
	crew   *crew
	meter  meter
	halted string // as haltedWord says
}

func newProgress(f *ledger.Follower, c *crew, total int64) *progress {
	return &progress{ledger: f, crew: c, meter: meter{total: total}}
}

// read returns the numbers of now.
func (p *progress) read() (done, failed int64, workers int) {
	var recorded int64
	p.ledger.View(func(s *ledger.State) {
		recorded, failed = s.Recorded(), s.Failed()
		p.halted = haltedWord(s)
	})
	done = recorded + failed
	p.meter.observe(time.Now(), done)
	return done, failed, p.crew.workers()
}

// pace is how fast the run goes, or why it does not.
func (p *progress) pace() string {
	if p.halted == string(message.KindPaused) {
		return "paused: `windrow resume` goes on"
	}
	return p.meter.String()
}

func (p *progress) show(ctx context.Context, w *console) {
	if isTerminal(w) {
		p.bar(ctx, w)
		return
	}
	p.lines(ctx, w)
}

func (p *progress) lines(ctx context.Context, w io.Writer) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	printed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		done, failed, workers := p.read()
		if time.Since(printed) < lineInterval {
			continue
		}
		printed = time.Now()
		fmt.Fprintf(w, "%s of %s tasks, %d failed, %s, %s\n",
			humanize.Comma(done), humanize.Comma(p.meter.total), failed, plural(workers, "worker"), p.pace())
	}
}

func (p *progress) bar(ctx context.Context, w *console) {
	bars := w.showBars(mpb.WithWidth(40), mpb.WithRefreshRate(redrawInterval))
	var mu sync.Mutex
	var text string
	bar := bars.AddBar(p.meter.total,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d tasks ")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			mu.Lock()
			defer mu.Unlock()
			return text
		})),
	)
	ticker := time.NewTicker(redrawInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		done, failed, workers := p.read()
		mu.Lock()
		text = fmt.Sprintf(" %d failed, %s, %s", failed, plural(workers, "worker"), p.pace())
		mu.Unlock()
		bar.SetCurrent(min(done, p.meter.total-1)) // a full bar would be removed
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	bar.Abort(true)
	w.hideBars()
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", humanize.Comma(int64(n)), noun)
}
