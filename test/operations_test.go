package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tried is an entry of a table, its first column, and the tests that try it.
type tried struct{ entry, tests string }

// operations are the entries of docs/OPERATIONS.md by their section. Tests are
// functions of this folder or of the worker's, and scripts.
var operations = map[string][]tried{
	"Exit codes": {
		{"0", "TestNothingComputedTwice"},
		{"2", "bad-input.txt changed.txt"},
		{"3", "failures.txt merge.txt"},
		{"4", "TestTooManyFailures TestCancelAndTakeItBack recover.txt"},
		{"5", "verify.txt check.txt"},
		{"6", "TestFullDisk TestTwoMergers broker.txt"},
		{"10 to 13", "failures.txt"},
		{"130", "TestInterrupted"},
		{"1", ""}, // nobody knows how to provoke what nobody foresaw
	},
	"What happens when": {
		{"a worker dies", "TestKilledAtEveryPoint TestStormOnRun"},
		{"the merger dies", "TestKilledAtEveryPoint TestStormOnRun"},
		{"`run` is killed, or power fails", "TestKilledRunLeavesNoProcess TestStormOnRun TestPowerLost"},
		{"the disk fills, or a file reaches its limit (`ulimit -f`)", "TestFullDisk TestDiskFailsUnderTheOutput TestFullDiskWhileAFailureIsRecorded limit.txt"},
		{"the broker is lost (roles by hand)", "TestStormOnRoles"},
		{"the broker's store was put back to an older copy", "TestBrokerPutBack"},
		{"a shard is truncated, changed or deleted before it was copied", "TestShardDamagedBeforeItsCopy"},
		{"the same after it was copied", "TestShardDamagedAfterItsCopy"},
		{"a byte of the partial changes", "TestBitFlippedInPartial"},
		{"the dataset is changed or deleted after the seal", "TestNothingComputedTwice verify.txt"},
		{"a task takes its worker down", "TestSuspectIsComputedAlone"},
		{"something else has the name of the output", "output.txt"},
		{"the spec names another output, or other `failures.rows`, after the seal", "output.txt events.txt"},
		{"seed, tasks, simulator or one of its files change", "changed.txt accept.txt"},
		{"two `run`s, or two mergers for one output", "TestTwoRuns TestTwoMergers"},
	},
	"Computing failed tasks again": {
		{"failed tasks", "failures.txt"},
		{"a task you wonder about", "failures.txt TestExplainTellsTheWorker retry.txt"},
		{"mended the cause of one group of them", "TestReplayByEachSelector"},
		{"doubts about what that means", "TestReplayByEachSelector"},
		{"a run at work", "TestReplayDuringRun"},
		{"a run that ended with 4, or is not at work", "TestTooManyFailures"},
		{"a sealed run", "TestReplayOfSealedRun failures.txt"},
		{"workers that vanished with their tasks", "TestReplayMissing"},
	},
	"Pausing, cancelling and removing runs": {
		{"the cores for something else for a while", "TestPauseOutlivesTheRun"},
		{"to end a run without a dataset", "TestCancelAndTakeItBack TestCancelEndsEveryRole"},
		{"to be rid of a run", "TestRemove"},
		{"to know what the processes said", "failures.txt"},
		{"to know what a failed task printed", "failures.txt"},
	},
}

// TestOperations holds docs/OPERATIONS.md to its tests: each entry has one, and
// there is none for what is not an entry.
func TestOperations(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	known := testNames(t)
	for section, entries := range operations {
		_, text, found := strings.Cut(string(document), "\n## "+section+"\n")
		if !found {
			t.Errorf("there is no section %q", section)
			continue
		}
		text, _, _ = strings.Cut(text, "\n## ")
		var written []string
		for line := range strings.Lines(text) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && !strings.HasPrefix(strings.TrimSpace(cells[1]), "---") {
				written = append(written, strings.TrimSpace(cells[1]))
			}
		}
		for _, entry := range written[1:] { // the first are titles
			if !slices.ContainsFunc(entries, func(e tried) bool { return e.entry == entry }) {
				t.Errorf("%s: no test tries the entry %q", section, entry)
			}
		}
		for _, e := range entries {
			if !slices.Contains(written, e.entry) {
				t.Errorf("%s: there is no entry %q", section, e.entry)
			}
			for name := range strings.FieldsSeq(e.tests) {
				if !known[name] {
					t.Errorf("%s: %s: there is no test %s", section, e.entry, name)
				}
			}
		}
	}
}

// TestGuarantees holds docs/GUARANTEES.md to its tests: each promise and each
// event names some, and they exist.
func TestGuarantees(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../docs/GUARANTEES.md")
	if err != nil {
		t.Fatal(err)
	}
	known, rows := testNames(t), 0
	name := regexp.MustCompile("`(Test\\w+|\\w+\\.txt)`")
	for line := range strings.Lines(string(document)) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "---") || strings.Contains(cells[2], "tried by") {
			continue
		}
		rows++
		named := name.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("nothing tries %q", cells[1])
		}
		for _, m := range named {
			if !known[m[1]] {
				t.Errorf("%s: there is no test %s", cells[1], m[1])
			}
		}
	}
	if rows < 15 {
		t.Errorf("the document has %d entries", rows)
	}
}

// testNames returns the tests that there are, and the scripts.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "../worker/*_test.go", "../merger/*_test.go", "../internal/*/*_test.go", "testdata/script/*.txt"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal("no files: ", pattern, err)
		}
		for _, file := range files {
			if filepath.Ext(file) == ".txt" {
				names[filepath.Base(file)] = true
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllSubmatch(text, -1) {
				names[string(m[1])] = true
			}
		}
	}
	return names
}
