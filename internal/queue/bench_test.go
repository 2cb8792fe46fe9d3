package queue_test

import (
	"context"
	"testing"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

func BenchmarkPublishTasks(b *testing.B) {
	r, _ := newRun(b)
	batch := tasks(0, queue.MaxBatch)
	var last uint64
	for b.Loop() {
		publishTasks(b, r, last, batch)
		last += queue.MaxBatch
	}
	b.ReportMetric(float64(last)/b.Elapsed().Seconds(), "tasks/s")
}

func BenchmarkFetchAndAck(b *testing.B) {
	r, _ := newRun(b)
	batch := tasks(0, queue.MaxBatch)
	var last uint64
	for b.Loop() {
		b.StopTimer()
		publishTasks(b, r, last, batch)
		b.StartTimer()
		for held := 0; held < len(batch); {
			got, err := r.Fetch(b.Context(), queue.MaxBatch, fetchWait)
			if err != nil {
				b.Fatal(err)
			}
			held += len(got)
			for _, d := range got {
				if err := d.Ack(); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := r.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		last += queue.MaxBatch
	}
	b.ReportMetric(float64(last)/b.Elapsed().Seconds(), "tasks/s")
}

func BenchmarkEvents(b *testing.B) {
	const n = 20_000
	r, _ := newRun(b)
	shard := &message.Shard{
		Name: message.ShardName(0, digest), SHA256: digest, Bytes: 1 << 20, Worker: "host-1234", Seconds: 4.2,
		Rows: message.Ranges{{First: 0, Last: 499}, {First: 1000, Last: 1499}},
	}
	fill(b, r, n, shard)
	var read int
	for b.Loop() {
		ctx, stop := context.WithCancel(b.Context())
		err := r.Events(ctx, 1, func(e ledger.Entry) {
			read++
			if e.Seq == n {
				stop()
			}
		})
		stop()
		if ctx.Err() == nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "events/s")
}

// fill publishes n times the same event, many at a time.
func fill(b *testing.B, r *queue.Run, n int, e message.Event) {
	b.Helper()
	const publishers = 64
	done := make(chan error, publishers)
	for i := range publishers {
		go func() {
			var err error
			for range (n + publishers - 1 - i) / publishers {
				if _, err = r.Publish(b.Context(), e); err != nil {
					break
				}
			}
			done <- err
		}()
	}
	for range publishers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}
