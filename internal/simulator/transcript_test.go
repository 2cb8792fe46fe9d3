package simulator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
)

// A program that does what the manual's transcript shows is understood as it
// shows, and is asked exactly what it shows.
func TestTranscriptOfTheManual(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/SIMULATORS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(manual), "```transcript\n")
	transcript, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the manual has no transcript")
	}
	path := filepath.Join(t.TempDir(), "transcript")
	write(t, path, transcript, 0o600)

	zero := 0.0
	columns := []table.Column{
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Min: &zero, Finite: true},
		{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 2}, {Name: "xy", Size: 2}}},
	}
	b := newBench(t, commandSpec(time.Minute, columns, "python3", "replay.py", path), simulator.Options{Dir: "testdata"})
	var got string
	outcomes := 0
	for line := range strings.Lines(transcript) {
		line = strings.TrimSuffix(line, "\n")
		if request, ok := strings.CutPrefix(line, "-> "); ok {
			got = b.replay(t, request)
		}
		if want, ok := strings.CutPrefix(line, "== "); ok {
			outcomes++
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
	if outcomes < 5 {
		t.Errorf("only %d outcomes in the transcript", outcomes)
	}
}

// replay computes the task of a request, and returns what came of it.
func (b *bench) replay(t *testing.T, line string) string {
	t.Helper()
	var request struct {
		ID      string
		Attempt int
		Seed    uint64
		Params  json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &request); err != nil {
		t.Fatal(err)
	}
	var index int64
	if _, err := fmt.Sscanf(request.ID, "%d.", &index); err != nil {
		t.Fatal(err)
	}
	job := simulator.Job{Task: message.Task{Index: index, Params: request.Params}, Seed: request.Seed, Attempt: request.Attempt}
	if err := b.Simulate(t.Context(), job, b.row); err != nil {
		return err.Error()
	}
	layout := make([]string, 4)
	for i := range layout {
		layout[i] = fmt.Sprint(b.row.Get(2, i))
	}
	return fmt.Sprintf("aep %v, layout %s", b.row.Get(1, 0), strings.Join(layout, " "))
}
