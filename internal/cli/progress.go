package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
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
	mu      sync.Mutex
	beats   map[string]seenBeat
	retries map[string]int // by worker, also of those who are gone
}

type seenBeat struct {
	message.Beat
	at time.Time
}

func newCrew() *crew { return &crew{beats: map[string]seenBeat{}, retries: map[string]int{}} }

func (c *crew) saw(b message.Beat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats[b.Role+" "+b.ID] = seenBeat{b, time.Now()}
	if b.Retries > 0 {
		c.retries[b.ID] = b.Retries
	}
}

// retried returns how often tasks were tried again while somebody listened.
func (c *crew) retried() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, retries := range c.retries {
		n += retries
	}
	return n
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

// meter follows how many tasks are done and foretells the end, from all that it
// has seen: tasks take very different times, and shards come in bursts.
type meter struct {
	total   int64
	step    time.Duration // between two samples; doubled when there are too many
	samples []sample
}

type sample struct {
	at   time.Time
	done int64
}

const (
	meterStep    = time.Second
	meterSamples = 240
	fewSamples   = 4 // nothing can be foretold from fewer
)

// observe takes note of the tasks done at a time.
func (m *meter) observe(at time.Time, done int64) {
	if n := len(m.samples); n > 0 && at.Sub(m.samples[n-1].at) < max(m.step, meterStep) {
		return
	}
	m.samples = append(m.samples, sample{at, done})
	if len(m.samples) > meterSamples {
		for i := range meterSamples/2 + 1 {
			m.samples[i] = m.samples[2*i]
		}
		m.samples, m.step = m.samples[:meterSamples/2+1], 2*max(m.step, meterStep)
	}
}

// rates returns the mean rate, in tasks a second, and what it may be at the
// lowest and highest: four of five times the truth is in between. ok is false
// while there is too little to tell.
func (m *meter) rates() (slow, mean, fast float64, ok bool) {
	samples := m.samples
	for len(samples) >= 4*fewSamples && hasChanged(samples) {
		samples = samples[len(samples)/2:]
	}
	if len(samples) < fewSamples {
		return 0, 0, 0, false
	}
	mean, unsure := rate(samples)
	const fourOfFive = 1.28 // standard deviations
	spread := max(fourOfFive*unsure, mean/50)
	return max(mean-spread, mean/4), mean, mean + spread, mean > 0
}

// hasChanged tells whether the younger half of the samples is of another rate
// than the older one: workers have come or gone, or tasks have become larger.
func hasChanged(samples []sample) bool {
	middle := len(samples) / 2
	older, unsureOlder := rate(samples[:middle+1])
	younger, unsureYounger := rate(samples[middle:])
	return math.Abs(older-younger) > 4*math.Hypot(unsureOlder, unsureYounger)
}

// rate returns the mean rate over the samples and its standard error.
func rate(samples []sample) (mean, unsure float64) {
	first, last := samples[0], samples[len(samples)-1]
	mean = float64(last.done-first.done) / max(last.at.Sub(first.at).Seconds(), 1e-3)
	var squares float64
	for i := 1; i < len(samples); i++ {
		one := float64(samples[i].done-samples[i-1].done) / max(samples[i].at.Sub(samples[i-1].at).Seconds(), 1e-3)
		squares += (one - mean) * (one - mean)
	}
	n := float64(len(samples) - 1)
	return mean, math.Sqrt(squares / n / max(n-1, 1))
}

// String returns the rate and the time left as a range.
func (m *meter) String() string {
	slow, mean, fast, ok := m.rates()
	if !ok {
		return "warming up"
	}
	rest := float64(m.total - m.samples[len(m.samples)-1].done)
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
	hint   string // the command that starts a worker, or where to look

	done, failed int64
	classes      map[message.Class]int64 // of the failed
	halted       string                  // as haltedWord says
	idle         time.Time               // since when there is no worker
}

func newProgress(f *ledger.Follower, c *crew, total int64, hint string) *progress {
	return &progress{ledger: f, crew: c, meter: meter{total: total}, hint: hint, idle: time.Now()}
}

// idleTime is how long there may be no worker before it is said.
const idleTime = 30 * time.Second

// read takes the numbers of now.
func (p *progress) read(now time.Time) {
	p.ledger.View(func(s *ledger.State) {
		p.done, p.halted = s.Recorded()+s.Failed(), haltedWord(s)
		if s.Failed() != p.failed || p.classes == nil {
			p.failed, p.classes = s.Failed(), s.FailedByClass()
		}
	})
	p.meter.observe(now, p.done)
}

// String returns what is said beside the number of tasks: failures, retries,
// workers, and when it will be over.
func (p *progress) String() string {
	parts := []string{fmt.Sprintf("%s failed%s", humanize.Comma(p.failed), classCounts(p.classes))}
	if n := p.crew.retried(); n > 0 {
		parts = append(parts, humanize.Comma(int64(n))+" tried again")
	}
	workers := p.crew.workers()
	if workers > 0 {
		p.idle = time.Now()
	}
	switch idle := time.Since(p.idle); {
	case p.halted == string(message.KindPaused):
		parts = append(parts, plural(workers, "worker"), "paused: `windrow resume` goes on")
	case workers == 0 && idle > idleTime:
		parts = append(parts, fmt.Sprintf("no workers for %.0f s: %s", idle.Seconds(), p.hint))
	default:
		parts = append(parts, plural(workers, "worker"), p.meter.String())
	}
	return strings.Join(parts, ", ")
}

// classCounts returns failures by class, the most frequent first.
func classCounts(classes map[message.Class]int64) string {
	if len(classes) == 0 {
		return ""
	}
	var parts []string
	for _, class := range slices.SortedFunc(maps.Keys(classes), func(a, b message.Class) int {
		return cmp.Or(cmp.Compare(classes[b], classes[a]), cmp.Compare(a, b))
	}) {
		parts = append(parts, fmt.Sprintf("%s %s", humanize.Comma(classes[class]), class))
	}
	return " (" + strings.Join(parts, ", ") + ")"
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
		p.read(time.Now())
		if time.Since(printed) < lineInterval {
			continue
		}
		printed = time.Now()
		fmt.Fprintf(w, "%s of %s tasks, %s\n", humanize.Comma(p.done), humanize.Comma(p.meter.total), p)
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
		p.read(time.Now())
		mu.Lock()
		text = " " + p.String()
		mu.Unlock()
		bar.SetCurrent(min(p.done, p.meter.total-1)) // a full bar would be removed
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
