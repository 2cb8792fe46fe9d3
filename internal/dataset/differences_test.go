package dataset_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/dataset"
	"windrow/internal/message"
)

// stretch is where the chunks of a dataset lie in its file, each with so many
// rows, or its whole content.
type stretch struct {
	Offsets []int
	Rows    int64
}

// stretches returns those of all datasets but the manifest's own.
func stretches(t *testing.T, path string) (found map[string]stretch) {
	t.Helper()
	const program = `import json, sys, h5py
found = {}
def note(name, d):
    if isinstance(d, h5py.Dataset) and name.split("/")[-1] not in ("name", "sha256", "entry"):
        offsets = [d.id.get_chunk_info(i).byte_offset for i in range(d.id.get_num_chunks())] if d.chunks else [d.id.get_offset()]
        found[name] = {"Offsets": offsets, "Rows": d.chunks[0] if d.chunks else len(d)}
h5py.File(sys.argv[1]).visititems(note)
print(json.dumps(found))`
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", program, path).Output()
	if err == nil {
		err = json.Unmarshal(out, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDifferencesNameTheRows flips a bit in each column, in each storage. Where a
// column has a checksum for each chunk, none of its rows can be read.
func TestDifferencesNameTheRows(t *testing.T) {
	t.Parallel()
	const n = 40_000
	for _, policy := range []message.RowsPolicy{message.DropRows, message.KeepRows} {
		for _, storage := range storages {
			t.Run(fmt.Sprintf("%s %s", policy, storage), func(t *testing.T) {
				t.Parallel()
				out := filepath.Join(t.TempDir(), "out.h5")
				p := open(t, out, stored(form(n, policy), storage))
				copyRows(t, p, upTo(n)...)
				report := seal(t, p, out, someFailures()...)
				for name, s := range stretches(t, out) {
					if group, _, nested := strings.Cut(name, "/"); nested && group != "manifest" || name == "turbine" || name == "xy" {
						continue // which have no rows of the dataset
					}
					if few := len(s.Offsets) == 1; few != (storage == message.Contiguous || name == "manifest/row_digest" || name == "status" || name == "feasible") {
						t.Fatalf("%s has %d chunks", name, len(s.Offsets))
					}
					expectNamed(t, out, name, s, storage, n-report.Rows)
				}
			})
		}
	}
}

// expectNamed damages row 9 of the last chunk of a dataset.
func expectNamed(t *testing.T, out, name string, s stretch, storage message.Storage, dropped int64) {
	t.Helper()
	width := map[string]int{"layout": 80, "farm_id": 4, "farm_type": 4, "seed": 4, "n_turbines": 4, "feasible": 1, "status": 1, "model": 7}[name]
	if width == 0 {
		width = 8
	}
	row := s.Rows*int64(len(s.Offsets)-1) + 9
	want := dataset.Changed{First: row, Last: row, Columns: []string{name}}
	damaged := s.Offsets[len(s.Offsets)-1] + 9*width
	if storage == message.Gzip && name != "manifest/row_digest" {
		want = dataset.Changed{First: row - 9, Last: min(row-9+s.Rows, 40_000-dropped) - 1, Columns: []string{name}, Unreadable: true}
	}
	want.FirstTask, want.LastTask = taskOf(want.First, dropped), taskOf(want.Last, dropped)
	flip(t, out, damaged)
	defer flip(t, out, damaged)
	if _, err := dataset.Verify(t.Context(), out); !errors.Is(err, dataset.ErrCorrupt) {
		t.Errorf("%s: Verify says %v", name, err)
	}
	got, err := dataset.FindDifferences(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dataset.Differences{Contents: []string{name}, Rows: []dataset.Changed{want}, Count: want.Last - want.First + 1}, got); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

// taskOf returns the task of a row without the failed tasks 0, 7 and 119.
func taskOf(row, dropped int64) int64 {
	for _, failed := range []int64{0, 7, 119}[:dropped] {
		if failed <= row {
			row++
		}
	}
	return row
}

// TestDifferencesNameTheFirst changes rows here and there.
func TestDifferencesNameTheFirst(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(120, message.DropRows))
	copyRows(t, p, upTo(120)...)
	seal(t, p, out)
	content := read(t, out)
	aep, _ := place(t, content, 5, 120)
	seed, _ := place(t, content, 3, 120)
	for _, row := range []int{3, 4, 5, 20, 30, 40, 50, 60, 70} {
		content[aep+8*row] ^= 1
	}
	content[seed+4*90] ^= 1
	write(t, out, content)
	got, err := dataset.FindDifferences(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	either := []string{"seed", "aep"}
	want := dataset.Differences{Contents: either, Count: 10}
	for _, rows := range [][2]int64{{3, 5}, {20, 20}, {30, 30}, {40, 40}, {50, 50}} {
		want.Rows = append(want.Rows, dataset.Changed{First: rows[0], Last: rows[1], FirstTask: rows[0], LastTask: rows[1], Columns: either})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDifferencesOfTheManifest: no row differs where the manifest does.
func TestDifferencesOfTheManifest(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(12, message.DropRows))
	copyRows(t, p, upTo(12)...)
	report := seal(t, p, out)
	content := read(t, out)
	at := bytes.Index(content, []byte(report.Contents[5].SHA256))
	content[at] = 'g'
	write(t, out, content)
	got, err := dataset.FindDifferences(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dataset.Differences{Contents: []string{"aep"}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestRowDigests reads them as others may, who have the documentation alone.
func TestRowDigests(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out.h5")
	p := open(t, out, form(120, message.DropRows))
	copyRows(t, p, upTo(120)...)
	seal(t, p, out)
	s := stretches(t, out)["manifest/row_digest"]
	block := rows(t, upTo(120)...)
	for i := range int(s.Rows) {
		if got := binary.LittleEndian.Uint64(read(t, out)[s.Offsets[0]+8*i:]); got != block.Row(i).Digest() {
			t.Fatalf("row %d: digest %x, %x of the row itself", i, got, block.Row(i).Digest())
		}
	}
}
