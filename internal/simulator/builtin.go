package simulator

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/table"
)

// model computes one task in this process and fills the columns of row from
// first on.
type model func(ctx context.Context, job Job, row table.Row, first int) error

// builtin runs a model so that nothing it does ends the process.
type builtin struct {
	model model
	first string // name of the first result column

	reader *foreign.Reader // of the model's files, or nil
}

// Simulate implements Simulator.
func (b *builtin) Simulate(ctx context.Context, job Job, row table.Row) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	first, err := firstResult(row, b.first)
	if err != nil {
		return err
	}
	if err := b.run(ctx, job, row, first); err != nil {
		return err
	}
	return checkRow(row)
}

func (b *builtin) run(ctx context.Context, job Job, row table.Row, first int) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{
				Class:   message.ClassCrash,
				Message: message.FirstLine(fmt.Sprintf("panic: %v", v), maxMessage),
				Log:     panicStack(debug.Stack()),
			}
		}
	}()
	return b.model(ctx, job, row, first)
}

// Close implements Simulator.
func (b *builtin) Close() error {
	if b.reader != nil {
		b.reader.Close()
	}
	return nil
}

// panicStack returns the first lines of a stack from the frame that panicked.
func panicStack(stack []byte) []string {
	lines := strings.Split(strings.TrimSpace(string(stack)), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			lines = lines[min(i+2, len(lines)):] // the call and its position
			break
		}
	}
	return lines[:min(len(lines), maxLogLines)]
}
