package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const riverBatch = 5000 // tasks inserted with one COPY

// Kind implements river.JobArgs.
func (key) Kind() string { return "noop" }

type riverWorker struct {
	river.WorkerDefaults[key]
	done     *atomic.Int64
	n        int64
	finished chan struct{}
}

// Work implements river.Worker.
func (w *riverWorker) Work(context.Context, *river.Job[key]) error {
	if w.done.Add(1) == w.n {
		close(w.finished)
	}
	return nil
}

// runRiver inserts n tasks into the PostgreSQL database at url, and then works
// at them until all are recorded as completed. What it stores of a task is a
// row, changed when it is taken and when it is done.
func runRiver(ctx context.Context, url string, n int) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	driver := riverpgxv5.New(pool)
	migrator, err := rivermigrate.New(driver, nil)
	if err != nil {
		return err
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("make the tables: %w", err)
	}
	if _, err := pool.Exec(ctx, "TRUNCATE river_job"); err != nil {
		return err
	}

	worker := &riverWorker{done: new(atomic.Int64), n: int64(n), finished: make(chan struct{})}
	workers := river.NewWorkers()
	river.AddWorker(workers, worker)
	client, err := river.NewClient(driver, &river.Config{
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: concurrency}}, Workers: workers,
		FetchCooldown: river.FetchCooldownMin, FetchPollInterval: river.FetchPollIntervalMin, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	for first := 0; first < n; first += riverBatch {
		batch := make([]river.InsertManyParams, 0, riverBatch)
		for i := first; i < min(first+riverBatch, n); i++ {
			batch = append(batch, river.InsertManyParams{Args: keyOf(i)})
		}
		if _, err := client.InsertManyFast(ctx, batch); err != nil {
			return fmt.Errorf("insert tasks from %d on: %w", first, err)
		}
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	select {
	case <-worker.finished:
	case <-ctx.Done():
		return ctx.Err()
	}
	stopping, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := client.Stop(stopping); err != nil { // waits until the last ones are recorded as done
		return err
	}
	var completed int
	if err := pool.QueryRow(ctx, "SELECT count(*) FROM river_job WHERE state = 'completed'").Scan(&completed); err != nil {
		return err
	}
	if completed != n {
		return fmt.Errorf("%d of %d tasks are recorded as done", completed, n)
	}
	return nil
}
