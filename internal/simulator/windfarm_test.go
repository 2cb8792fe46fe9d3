package simulator_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/wind"
)

const windfarmSpec = `version: 1
name: test
seed: 42
tasks:
  %TASKS%
simulator:
  windfarm: {site: tenders, layout: polygon, min_spacing: %SPACING%, wake: iea37, directions: 360, speeds: 3..25}
output: {file: test.h5}
`

// loadWindfarm returns a spec with the given tasks, in a directory that may
// have a list of them.
func loadWindfarm(t testing.TB, dir, tasks, spacing string) *spec.Spec {
	t.Helper()
	text := strings.NewReplacer("%TASKS%", tasks, "%SPACING%", spacing).Replace(windfarmSpec)
	path := filepath.Join(dir, "spec.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := spec.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const campaign = "matrix: {farm_id: 0..9, farm_type: 0..5, seed: 1..50}"

func newFarm(t testing.TB, tasks, spacing string) *bench {
	t.Helper()
	return newBench(t, loadWindfarm(t, t.TempDir(), tasks, spacing), simulator.Options{}, "farm_id", "farm_type", "seed")
}

func (b *bench) float(column string, i int) float64 {
	f, _ := b.row.Get(b.row.Columns().Index(column), i).(float64)
	return f
}

func TestWindfarmRowIsConsistent(t *testing.T) {
	t.Parallel()
	b := newFarm(t, campaign, "3D")
	for farmType, turbines := range map[int64]int{0: 100, 5: 66} {
		if err := b.Simulate(t.Context(), b.task([]int64{4, farmType, 1}, ""), b.row); err != nil {
			t.Fatal(err)
		}
		if got := b.get("n_turbines"); got != int64(turbines) {
			t.Errorf("type %d has %v turbines, want %d", farmType, got, turbines)
		}
		sum := 0.0
		for i := range 100 {
			standing := i < turbines
			for _, v := range []float64{b.float("turbine_aep", i), b.float("layout", 2*i), b.float("layout", 2*i+1)} {
				if math.IsNaN(v) == standing {
					t.Fatalf("type %d: turbine %d of %d has %v", farmType, i, turbines, v)
				}
			}
			if standing {
				sum += b.float("turbine_aep", i)
			}
		}
		aep, free := b.float("aep", 0), b.float("aep_nowake", 0)
		if !(aep > 3000 && aep < free && free < 8760) { // GWh of a farm of 1 GW
			t.Errorf("type %d: aep %v, without wakes %v", farmType, aep, free)
		}
		if math.Abs(sum/aep-1) > 1e-12 {
			t.Errorf("type %d: turbines sum to %v, aep is %v", farmType, sum, aep)
		}
		if got, want := b.float("wake_loss", 0), 1-aep/free; math.Abs(got-want) > 1e-12 {
			t.Errorf("type %d: wake loss %v, want %v", farmType, got, want)
		}
		if cf := b.float("capacity_factor", 0); cf < 0.3 || cf > 0.75 {
			t.Errorf("type %d: capacity factor %v", farmType, cf)
		}
	}
}

func TestWindfarmRowDependsOnTheTaskAlone(t *testing.T) {
	t.Parallel()
	rowOf := func(b *bench, farmID, farmType, seed int64) []byte {
		job := b.task([]int64{farmID, farmType, seed}, "")
		if err := b.Simulate(t.Context(), job, b.row); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for c := range b.row.Columns() {
			all = append(all, b.row.Bytes(c)...)
		}
		return all
	}
	fresh, used := newFarm(t, campaign, "3D"), newFarm(t, campaign, "3D")
	want := rowOf(fresh, 3, 5, 7)
	rowOf(used, 9, 0, 1) // more turbines: its row is to leave nothing behind
	if !bytes.Equal(rowOf(used, 3, 5, 7), want) {
		t.Error("the row depends on the tasks before")
	}
	if bytes.Equal(rowOf(used, 3, 5, 8), want) {
		t.Error("two seeds have one layout")
	}
}

func TestTurbineDimensionIsThatOfTheLargestFarm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "tasks.csv"), "farm_id,farm_type,seed\n0,5,1\n1,4,1\n", 0o600)
	for tasks, want := range map[string]int{
		campaign: 100,
		"matrix: {farm_id: 0, farm_type: [4, 5], seed: 1}":   71,
		"{file: tasks.csv, key: [farm_id, farm_type, seed]}": 71,
	} {
		d, err := simulator.Describe(loadWindfarm(t, dir, tasks, "3D"))
		if err != nil {
			t.Fatal(err)
		}
		layout := d.Columns[d.Columns.Index("layout")]
		if got := layout.Shape[0].Size; got != want {
			t.Errorf("%s: %d turbines, want %d", tasks, got, want)
		}
	}
}

func TestWindfarmRefusesOtherTasks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad.csv"), "farm_id,farm_type,seed\n0,5,1\n1,6,1\n", 0o600)
	for _, tt := range []struct{ tasks, want string }{
		{"matrix: {farm_id: 0..10, farm_type: 0..5, seed: 1}", "spec.yaml:5: tasks.matrix.farm_id: 10: expected an integer from 0 to 9"},
		{"matrix: {farm_id: 0..9, farm_type: [1.0], seed: 1}", "tasks.matrix.farm_type: 1.0: expected an integer from 0 to 5"},
		{"matrix: {farm_id: 0..9, farm_type: 0..5, seed: [a, b]}", "tasks.matrix.seed: a: expected an integer"},
		{"matrix: {site: 0..9}", "has no key farm_id"},
		{"{file: bad.csv, key: [farm_id, farm_type, seed]}", "farm_type of task 1: expected an integer from 0 to 5"},
		{"{file: bad.csv, key: [farm_id, seed]}", "lacks farm_type"},
	} {
		t.Run(tt.tasks, func(t *testing.T) {
			t.Parallel()
			_, err := simulator.Describe(loadWindfarm(t, t.TempDir(), strings.ReplaceAll(tt.tasks, "bad.csv", filepath.Join(dir, "bad.csv")), "3D"))
			var problems spec.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v\nwant ...%s...", err, tt.want)
			}
		})
	}
}

func TestFarmThatDoesNotFitFails(t *testing.T) {
	t.Parallel()
	b := newFarm(t, campaign, "20D")
	err := b.Simulate(t.Context(), b.task([]int64{0, 0, 1}, ""), b.row)
	wantFailure(t, err, message.ClassError, "no free position")
}

func TestTaskOutsideTheModelFails(t *testing.T) {
	t.Parallel()
	b := newFarm(t, "matrix: {farm_id: 0, farm_type: 5, seed: 1}", "3D")
	wantFailure(t, b.Simulate(t.Context(), b.task([]int64{10, 5, 1}, ""), b.row), message.ClassError, `farm_id is "10": expected an integer from 0 to 9`)
	wantFailure(t, b.Simulate(t.Context(), b.task([]int64{0, 0, 1}, ""), b.row), message.ClassError, "have room for 66")
}

func BenchmarkWindfarm(b *testing.B) {
	bench := newFarm(b, campaign, "3D")
	seed := int64(0)
	for b.Loop() {
		seed++
		if err := bench.Simulate(b.Context(), bench.task([]int64{seed % 10, seed % 6, seed}, ""), bench.row); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWindfarmRowsAreThoseOfEarlierBuilds holds every amd64 machine to the same
// bytes of whole rows, as they go into a dataset: layout, energies and padding.
// A change here changes datasets: raise wind.Version, or the model's, with it.
func TestWindfarmRowsAreThoseOfEarlierBuilds(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("compilers for other architectures fuse multiplications with additions")
	}
	for _, wake := range wind.ModelNames() {
		s := loadWindfarm(t, t.TempDir(), campaign, "3D")
		s.Simulator.Windfarm.Wake, s.Simulator.Windfarm.Directions = wake, 36
		b := newBench(t, s, simulator.Options{}, "farm_id", "farm_type", "seed")
		rows := sha256.New()
		for _, key := range [][]int64{{0, 0, 1}, {4, 5, 17}, {9, 2, 50}} {
			if err := b.Simulate(t.Context(), b.task(key, ""), b.row); err != nil {
				t.Fatal(err)
			}
			for c := range b.row.Columns() {
				rows.Write(b.row.Bytes(c))
			}
		}
		if got := hex.EncodeToString(rows.Sum(nil)); got != rowDigests[wake] {
			t.Errorf("%q: %q,", wake, got)
		}
	}
}

// rowDigests are the sha256 of three rows of each wake model.
var rowDigests = map[string]string{
	"none":                  "5d47162d4cf24b93193d3bba4ce54274e8c638fb61ae6c5ccf606b9b2bdaaa7b",
	"iea37":                 "c9d87dc09c297609dfbf063400a9ba0dda8b9373e89bd34469f147563c14bc84",
	"iea37/pywake":          "87ea0bf1ade34c00e72313d2bea310c7ab7a5ea5c3bbec2157cf9aaef1139967",
	"jensen/pywake":         "bf9baf3b1e1d2fc94143d67fe68650594541409022ee7df98b74052959c9587f",
	"jensen/floris":         "0097df3c53797b8df6cb3604d3f2e9f003f5ae8c1e0c8e106a9be214808e57a9",
	"jensen/foxes":          "c5d25d4d4dc4ea8940622cff7be26a9d6cc39f221be57b10b702c9da9c48db35",
	"bastankhah2014/pywake": "e4a0dddd0e8aa03da2188c6f134c4bc70a82d1468274b80dcf97245e8bbf555c",
	"gauss/floris":          "3b10d141b0806388d445f756ce0fef8324ab6242a69c5194076f04114429c874",
	"niayifar/pywake":       "abbd91625aa46d0823e177fbc2e951e38ebed39ee6d80ad2d515d10042d117b3",
	"turbopark/pywake":      "81074a9091ce0414c3b5ae94ebd43e6ba82d6d0dce0673c79e30b52b67571cdc",
}
