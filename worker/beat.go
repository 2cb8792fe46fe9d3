package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"windrow/internal/message"
)

// progress is what the worker's beats say.
type progress struct {
	mu             sync.Mutex
	held, computed int
	retries        int
	holdings       []message.Holding
	since          time.Time
}

func (p *progress) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.computed, p.holdings, p.since = n, 0, nil, time.Now()
}

// name tells which tasks are in hand.
func (p *progress) name(tasks []held) {
	byDeliveries := map[int][]int64{}
	for _, h := range tasks {
		byDeliveries[h.Deliveries()] = append(byDeliveries[h.Deliveries()], h.task.Index)
	}
	room := message.MaxBeatRanges
	var holdings []message.Holding
	for _, n := range slices.Sorted(maps.Keys(byDeliveries)) {
		rows := message.RangesOf(byDeliveries[n])
		rows = rows[:min(len(rows), room)]
		if room -= len(rows); len(rows) > 0 {
			holdings = append(holdings, message.Holding{Tasks: rows, Deliveries: n})
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holdings = holdings
}

func (p *progress) retried() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retries++
}

func (p *progress) done(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.computed = n
}

// beat tells everyone every second that the worker lives, until ctx ends.
func (w *Worker) beat(ctx context.Context) {
	ticker := time.NewTicker(beatInterval)
	defer ticker.Stop()
	for {
		w.progress.mu.Lock()
		b := message.Beat{
			Role: "worker", ID: w.ID, Folder: w.Folder,
			Held: w.progress.held, Done: w.progress.computed, Retries: w.progress.retries,
			Holdings: w.progress.holdings, Since: w.progress.since,
		}
		w.progress.mu.Unlock()
		if err := w.Queue.Beat(ctx, b); err != nil {
			w.Log.DebugContext(ctx, "beat not sent", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
