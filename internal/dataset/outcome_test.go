package dataset_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"windrow/internal/dataset"
	"windrow/internal/message"
)

// TestImportsInAnyPartsGiveTheSameBytes: what was imported is announced in parts,
// whose number and order depend on who was killed when.
func TestImportsInAnyPartsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	one := message.Imported{File: "worker 1.h5", SHA256: message.Digest(strings.Repeat("12", 32))}
	two := message.Imported{File: "worker_\u00e92.h5", SHA256: message.Digest(strings.Repeat("34", 32))}
	ranges := func(tasks ...int64) message.Ranges { return message.RangesOf(tasks) }
	whole := []dataset.Imported{{one, ranges(3, 4, 5, 50)}, {two, ranges(10, 11, 12, 51)}}
	parts := []dataset.Imported{{two, ranges(11, 51)}, {one, ranges(5)}, {one, ranges(3, 4)}, {two, ranges(10, 12)}, {one, ranges(50)}}
	for _, storage := range storages {
		t.Run(string(storage), func(t *testing.T) {
			t.Parallel()
			f := stored(form(120, message.DropRows), storage)
			var sealed []message.Sealed
			out := filepath.Join(t.TempDir(), "out.h5")
			for _, imports := range [][]dataset.Imported{nil, whole, parts} {
				p := open(t, out, f)
				copyRows(t, p, upTo(120)...)
				finished, err := p.Finish(t.Context(), nil, imports)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(finished.Commit(), p.Close()); err != nil {
					t.Fatal(err)
				}
				committed, err := dataset.Committed(t.Context(), out, f, nil, imports)
				if err != nil || committed == nil {
					t.Fatalf("committed: %v, %v", committed, err)
				}
				if other, err := dataset.Committed(t.Context(), out, f, nil, append(slices.Clone(imports), dataset.Imported{Imported: one, Rows: ranges(100)})); other != nil || err != nil {
					t.Errorf("with other imports: %v, %v", other, err)
				}
				sealed = append(sealed, finished.Sealed)
			}
			if sealed[0].SHA256 == sealed[1].SHA256 || sealed[1] != sealed[2] {
				t.Errorf("sealed without imports, with them, and in parts: %v", sealed)
			}
			python(t, "-c", `import sys, h5py
f = h5py.File(sys.argv[1])["imported"]
assert list(f["name"]) == [b"worker 1.h5", b"worker_?2.h5"] and list(f["rows"]) == [4, 4], list(f["name"])
assert [s.decode() for s in f["sha256"]] == ["12" * 32, "34" * 32]
t = f["tasks"]
assert list(zip(t["first"], t["last"], t["source"])) == [(3, 5, 0), (10, 12, 1), (50, 50, 0), (51, 51, 1)]`, out)
		})
	}
}

func TestTasksAreNotImportedTwice(t *testing.T) {
	t.Parallel()
	p := open(t, filepath.Join(t.TempDir(), "out.h5"), form(10, message.DropRows))
	copyRows(t, p, upTo(10)...)
	from := message.Imported{File: "a.h5", SHA256: message.Digest(strings.Repeat("12", 32))}
	other := message.Imported{File: "b.h5", SHA256: message.Digest(strings.Repeat("34", 32))}
	for name, imports := range map[string][]dataset.Imported{
		"twice":  {{from, message.Ranges{{First: 0, Last: 4}}}, {other, message.Ranges{{First: 4, Last: 5}}}},
		"beyond": {{from, message.Ranges{{First: 9, Last: 10}}}},
	} {
		if _, err := p.Finish(t.Context(), nil, imports); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
