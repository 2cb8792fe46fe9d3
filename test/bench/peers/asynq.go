package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"
)

const (
	asynqKind    = "noop"
	asynqClients = 16 // connections that enqueue: asynq has no call for many tasks
)

// runAsynq enqueues n tasks to the Redis at address, and then works at them
// until all are done. What it stores of a task is the task, for an hour, and
// that it is done; a task has an id, so that it cannot be enqueued twice.
func runAsynq(ctx context.Context, address string, n int) error {
	redis := asynq.RedisClientOpt{Addr: address, PoolSize: 2 * asynqClients}
	client := asynq.NewClient(redis)
	defer func() { _ = client.Close() }()
	group, enqueuing := errgroup.WithContext(ctx)
	for c := range asynqClients {
		group.Go(func() error {
			for i := c; i < n; i += asynqClients {
				payload, err := json.Marshal(keyOf(i))
				if err != nil {
					return err
				}
				task := asynq.NewTask(asynqKind, payload, asynq.TaskID(fmt.Sprint(i)), asynq.Retention(time.Hour))
				if _, err := client.EnqueueContext(enqueuing, task); err != nil {
					return fmt.Errorf("enqueue task %d: %w", i, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}

	var done atomic.Int64
	finished := make(chan struct{})
	mux := asynq.NewServeMux()
	mux.HandleFunc(asynqKind, func(_ context.Context, t *asynq.Task) error {
		var k key
		if err := json.Unmarshal(t.Payload(), &k); err != nil {
			return err
		}
		if done.Add(1) == int64(n) {
			close(finished)
		}
		return nil
	})
	server := asynq.NewServer(redis, asynq.Config{Concurrency: concurrency, Logger: quiet{}, LogLevel: asynq.FatalLevel})
	if err := server.Start(mux); err != nil {
		return fmt.Errorf("start the workers: %w", err)
	}
	select {
	case <-finished:
	case <-ctx.Done():
	}
	server.Shutdown() // waits until the last ones are recorded as done
	info, err := asynq.NewInspector(redis).GetQueueInfo("default")
	if err != nil {
		return err
	}
	if info.Completed != n {
		return fmt.Errorf("%d of %d tasks are recorded as done", info.Completed, n)
	}
	return ctx.Err()
}

// quiet drops asynq's log.
type quiet struct{}

var none = slog.New(slog.NewTextHandler(io.Discard, nil))

func (quiet) Debug(a ...any) { none.Debug(fmt.Sprint(a...)) }
func (quiet) Info(a ...any)  { none.Info(fmt.Sprint(a...)) }
func (quiet) Warn(a ...any)  { none.Warn(fmt.Sprint(a...)) }
func (quiet) Error(a ...any) { none.Error(fmt.Sprint(a...)) }
func (quiet) Fatal(a ...any) { panic(fmt.Sprint(a...)) }
