package worker

import (
	"context"
	"sync"
	"time"

	"windrow/internal/message"
)

// progress is what the worker's beats say.
type progress struct {
	mu             sync.Mutex
	held, computed int
}

func (p *progress) hold(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.computed = n, 0
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
			Held: w.progress.held, Done: w.progress.computed,
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
