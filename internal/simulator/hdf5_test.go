package simulator_test

import (
	"testing"
	"time"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/table"
)

// freshHDF5 returns a bench that runs testdata/exec_h5.py for each task, with
// the Python that has h5py. part is what reads its files.
func freshHDF5(t *testing.T, part string, column table.Column, args ...string) *bench {
	t.Helper()
	reader, err := foreign.NewReader(foreign.DefaultLimits, part)
	if err != nil {
		t.Fatal(err)
	}
	s := commandSpec(time.Minute, []table.Column{column}, append([]string{"/usr/bin/python3", "exec_h5.py"}, args...)...)
	s.Simulator.Command.Exec = true
	script := message.File{Path: "exec_h5.py", Digest: digest(t, "testdata/exec_h5.py")}
	return newBench(t, s, simulator.Options{Dir: "testdata", Files: []message.File{script}, Reader: reader})
}

func TestResultInHDF5(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"doubles", "float32", "scales"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := freshHDF5(t, readerPart, grid, mode)
			for range 2 {
				b.mustRun(t, "")
				for i := range 6 {
					if got := b.row.Get(1, i); got != float64(i) {
						t.Errorf("element %d is %v", i, got)
					}
				}
			}
		})
	}
}

func TestSingleValuesInHDF5(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]any{"texts": "jensen", "fixed": "jensen", "one": 7.0} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			column := text
			if mode == "one" {
				column = number
			}
			if got := freshHDF5(t, readerPart, column, mode).mustRun(t, ""); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestFewerThanPaddedInHDF5(t *testing.T) {
	t.Parallel()
	padded := grid
	padded.Shape = []table.Dim{{Name: "y", Size: 4}, {Name: "x", Size: 3}}
	padded.Padded = []string{"y"}
	b := freshHDF5(t, readerPart, padded, "doubles")
	b.mustRun(t, "")
	if last, fill := b.row.Get(1, 5), b.row.Get(1, 6).(float64); last != 5.0 || fill == fill {
		t.Errorf("elements 5 and 6 are %v, %v", last, fill)
	}
}

func TestResultInHDF5ThatBreaksTheContract(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"wrong_shape": `column "value": result.h5 has the shape [3 2]; expected [2 3]`,
		"huge":        `column "value": result.h5 has the shape [1000000000 1000000] there, of more than 6 elements`,
		"infinite":    `column "value", element 3: +Inf is not finite`,
		"text":        `column "value": result.h5 has the shape []; expected [2 3]`,
		"compound":    `column "value": result.h5 has neither numbers nor text there`,
		"missing":     `column "value" is missing in result.h5`,
		"extra":       `result.h5: "valeu" is not a column; did you mean "value"?`,
		"group":       `column "value" is missing in result.h5`,
		"truncated":   "result.h5: stopped before it was closed",
		"junk":        "result.h5: not an HDF5 file",
		"link":        "result.h5 is not a regular file",
		"both":        "left both result.json and result.h5",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, freshHDF5(t, readerPart, grid, mode).run(t, ""), message.ClassInvalidOutput, want)
		})
	}
}

func TestWholeNumbersOfHDF5MustFit(t *testing.T) {
	t.Parallel()
	whole := grid
	whole.Type, whole.Finite = table.Type{Kind: table.Int64}, false
	wantFailure(t, freshHDF5(t, readerPart, whole, "unsigned").run(t, ""), message.ClassInvalidOutput,
		`column "value": result.h5 element 5: 18446744073709551615 is too large`)
}

// A file on which libhdf5 dies costs its task, not the worker.
func TestReaderThatDiesOfAResult(t *testing.T) {
	t.Parallel()
	b := freshHDF5(t, dyingReaderPart, grid, "doubles")
	for range 2 {
		wantFailure(t, b.run(t, ""), message.ClassInvalidOutput, "result.h5: libhdf5 crashed on it: ")
	}
}
