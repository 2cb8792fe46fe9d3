package simulator

import (
	"context"
	"time"

	"windrow/internal/table"
)

func describeNoop() Description {
	return Description{
		Model:   "noop 1",
		Source:  "windrow's noop model: a number derived from the task's seed",
		Columns: table.Columns{seedColumn()},
	}
}

func describeSleep() Description {
	return Description{
		Model:   "sleep 1",
		Source:  "windrow's sleep model: a number derived from the task's seed, after a pause",
		Columns: table.Columns{seedColumn()},
	}
}

func seedColumn() table.Column {
	return table.Column{
		Name: "value", Type: table.Type{Kind: table.Float64}, Unit: "1",
		LongName: "number from the seed", Description: "the task's seed divided by 2^53",
		Min: new(0.0), Max: new(1.0), Finite: true,
	}
}

// noop sets the one result to a number in [0, 1) that tells tasks apart.
func noop(_ context.Context, job Job, row table.Row, first int) error {
	row.SetFloats(first, float64(job.Seed)/(1<<seedBits))
	return nil
}

// sleep returns a model that waits for d and then does what noop does.
func sleep(d time.Duration) model {
	return func(ctx context.Context, job Job, row table.Row, first int) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return noop(ctx, job, row, first)
		}
	}
}
