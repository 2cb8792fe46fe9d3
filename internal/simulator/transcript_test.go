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
	transcript := transcriptOf(t, "transcript", 5)
	path := filepath.Join(t.TempDir(), "transcript")
	write(t, path, transcript, 0o600)
	s := commandSpec(time.Minute, farmColumns(), "python3", "replay.py", path)
	newBench(t, s, simulator.Options{Dir: "testdata"}).play(t, transcript)
}

func TestTranscriptOfModeExec(t *testing.T) {
	t.Parallel()
	transcript := transcriptOf(t, "transcript-exec", 3)
	path := filepath.Join(t.TempDir(), "transcript")
	write(t, path, transcript, 0o600)
	s := commandSpec(time.Minute, farmColumns(), "python3", absolute(t, "testdata/replay.py"), path, "exec")
	s.Simulator.Command.Exec = true
	newBench(t, s, simulator.Options{}).play(t, transcript)
}

func farmColumns() []table.Column {
	zero := 0.0
	return []table.Column{
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Min: &zero, Finite: true},
		{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 2}, {Name: "xy", Size: 2}}},
	}
}

// transcriptOf returns a transcript in the manual, with some outcomes at least.
func transcriptOf(t *testing.T, name string, outcomes int) string {
	t.Helper()
	manual, err := os.ReadFile("../../docs/SIMULATORS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(manual), "```"+name+"\n")
	transcript, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the manual has no", name)
	}
	if n := strings.Count(transcript, "\n== "); n < outcomes {
		t.Fatalf("only %d outcomes in the transcript", n)
	}
	return transcript
}

// play computes the tasks of a transcript and compares what comes of them.
func (b *bench) play(t *testing.T, transcript string) {
	t.Helper()
	var got string
	for line := range strings.Lines(transcript) {
		line = strings.TrimSuffix(line, "\n")
		if request, ok := strings.CutPrefix(line, "-> "); ok {
			got = b.replay(t, request)
		}
		if want, ok := strings.CutPrefix(line, "== "); ok && got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
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
