package simulator

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"windrow/internal/message"
	"windrow/internal/table"
)

func TestPanicIsACrashOfTheTask(t *testing.T) {
	t.Parallel()
	b := &builtin{brokenModel, "value", nil}
	err := b.Simulate(t.Context(), Job{}, oneColumn(seedColumn()))
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	if failure.Class != message.ClassCrash || !strings.Contains(failure.Message, "index out of range") {
		t.Errorf("got %v", failure)
	}
	if len(failure.Log) == 0 || !strings.Contains(strings.Join(failure.Log[:4], "\n"), "brokenModel") {
		t.Errorf("the stack does not begin where the model panicked: %q", failure.Log)
	}
}

func brokenModel(context.Context, Job, table.Row, int) error {
	row := []float64{0}
	row = row[:len(row)-1]
	_ = row[len(row)]
	return nil
}

func TestModelThatBreaksItsColumnFails(t *testing.T) {
	t.Parallel()
	b := &builtin{func(_ context.Context, _ Job, row table.Row, first int) error {
		row.SetFloats(first, math.Inf(1))
		return nil
	}, "value", nil}
	var failure *Error
	if err := b.Simulate(t.Context(), Job{}, oneColumn(seedColumn())); !errors.As(err, &failure) || failure.Class != message.ClassInvalidOutput {
		t.Errorf("got %v", err)
	}
}

func TestRowsOfAnotherModelAreNobodysFailure(t *testing.T) {
	t.Parallel()
	b := &builtin{noop, "value", nil}
	err := b.Simulate(t.Context(), Job{}, oneColumn(table.Column{Name: "aep", Type: f64}))
	var failure *Error
	if err == nil || errors.As(err, &failure) {
		t.Errorf("got %v", err)
	}
}
