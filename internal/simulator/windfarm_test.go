package simulator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
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
	return loadText(t, dir, text)
}

func loadText(t testing.TB, dir, text string) *spec.Spec {
	t.Helper()
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
		d, err := simulator.Describe(t.Context(), loadWindfarm(t, dir, tasks, "3D"), nil)
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
			_, err := simulator.Describe(t.Context(), loadWindfarm(t, t.TempDir(), strings.ReplaceAll(tt.tasks, "bad.csv", filepath.Join(dir, "bad.csv")), "3D"), nil)
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
	"none":                  "a49fff0f382c3af2b5c80b476892fde653f9d69795161b0f40ef3cf03b91f91c",
	"iea37":                 "3771163ae6b01c0007d8669cd9f18b59d3d5e01f02c6d1f5a91a3beb82c75324",
	"iea37/pywake":          "ec84c109bb3ea5e06a6ecff9c088417e988143c1c62b76422a32537fed3554f5",
	"jensen/pywake":         "2896da158c21f3b55c13d77dfff15e2b869d6f0db9e35d0f97a69117515fad8d",
	"jensen/floris":         "22fa85d3ca9ddebb5ac9a84a8e32c9c9ebf70997b6310f899630e1304575dfc6",
	"jensen/foxes":          "5e00ebcec0472f0cbc35a315db990b913e14abbb4ddebcc02ee2cb8055d5510f",
	"bastankhah2014/pywake": "35b716318138b628dfaa5e495ba8b01c3df41b3d80dc47d88774cf662cfe6a14",
	"gauss/floris":          "9562107fe1c8840a9458ba83fd20d3a13a9d9676d8c718828c0b2785d0e18e16",
	"niayifar/pywake":       "513897b59309811ce739b8430ea9856821e377467efe64a1396dbf473cb145fe",
	"turbopark/pywake":      "1c360799a52bfd2d9d1ddc1864ccffbccaf559d5898600c33eb08b072a9e7d55",
}

// loadOpen returns a spec of farms without a boundary.
func loadOpen(t testing.TB, tasks, windfarm string) *spec.Spec {
	t.Helper()
	return loadText(t, t.TempDir(), "version: 1\nname: test\nseed: 42\ntasks: {matrix: {"+tasks+"}}\nsimulator:\n  windfarm: {"+windfarm+"}\noutput: {file: test.h5}\n")
}

const styles = "site: open, turbine: nrel_5mw, layout: styles, min_spacing: 2.5D, wake: jensen/pywake, directions: 36, speeds: 3..25, split: 60/20/20"

// TestFarmsWithStyles computes a farm of each style and compares what the row
// says of its layout with the layout.
func TestFarmsWithStyles(t *testing.T) {
	t.Parallel()
	s := loadOpen(t, "farm_type: [cluster, single_string, grid], spacing: [3.0, 5.5], seed: 1..9", styles)
	b := newBench(t, s, simulator.Options{})
	b.keys = []string{"farm_type", "spacing", "seed"}
	const diameter = 125.88 // of nrel_5mw, m
	for _, style := range []string{"cluster", "single_string", "grid"} {
		job := b.taskOf(table.StringValue(style), table.FloatValue(5.5), table.IntValue(3))
		if err := b.Simulate(t.Context(), job, b.row); err != nil {
			t.Fatal(err)
		}
		n, _ := b.get("n_turbines").(int64)
		var layout []wind.Point
		for i := range int(n) {
			layout = append(layout, wind.Point{X: b.float("layout", 2*i), Y: b.float("layout", 2*i+1)})
		}
		if got, want := b.float("min_spacing", 0), wind.ClosestPair(layout); got != want || got < 2.5*diameter || got > 5.6*diameter {
			t.Errorf("%s: min_spacing %g, two turbines are %g m apart", style, got, want)
		}
		if got := b.float("layout_spacing", 0); got != 5.5 {
			t.Errorf("%s: layout_spacing %g", style, got)
		}
		inStrings := style == "single_string"
		if strings := b.get("layout_strings"); (strings == int64(1)) != inStrings || math.IsNaN(b.float("layout_noise", 0)) == inStrings {
			t.Errorf("%s: %v strings, noise %g", style, strings, b.float("layout_noise", 0))
		}
		if hasAngle := style != "cluster"; math.IsNaN(b.float("layout_angle", 0)) == hasAngle {
			t.Errorf("%s: angle %g", style, b.float("layout_angle", 0))
		}
	}
}

// TestSplitDividesByLayout draws the parts of 500 layouts, and finds equal
// layouts in one part whatever the key.
func TestSplitDividesByLayout(t *testing.T) {
	t.Parallel()
	b := newBench(t, loadOpen(t, "seed: 1..500", strings.ReplaceAll(styles, "layout: styles", "layout: single_string, turbines: 5")), simulator.Options{}, "seed")
	var parts [3]int
	for seed := range int64(500) {
		if err := b.Simulate(t.Context(), b.task([]int64{seed + 1}, ""), b.row); err != nil {
			t.Fatal(err)
		}
		part, _ := b.get("split").(int64)
		parts[part]++
	}
	// 300, 100 and 100 are expected; standard deviations 11, 9 and 9.
	if parts[0] < 255 || parts[0] > 345 || parts[1] < 64 || parts[1] > 136 {
		t.Errorf("the parts have %v layouts", parts)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "layout.csv"), "x,y\n0,0\n1000,0\n", 0o600)
	s := loadOpen(t, "a: 1..20, b: [x, y]", strings.ReplaceAll(styles, "layout: styles", "layout: "+filepath.Join(dir, "layout.csv")))
	fixed := newBench(t, s, simulator.Options{Dir: dir})
	fixed.keys = []string{"a", "b"}
	seen := map[any]bool{}
	for a := range int64(20) {
		if err := fixed.Simulate(t.Context(), fixed.taskOf(table.IntValue(a+1), table.StringValue("x")), fixed.row); err != nil {
			t.Fatal(err)
		}
		seen[fixed.get("split")] = true
	}
	if len(seen) != 1 {
		t.Errorf("one layout is in the parts %v", seen)
	}
}

// taskOf returns a job with keys of several types.
func (b *bench) taskOf(key ...table.Value) simulator.Job {
	return simulator.Job{Task: message.Task{Key: key}, Seed: simulator.Seed(42, key), Attempt: 1, Keys: b.keys}
}

func TestOpenFarmsRefuseOtherTasks(t *testing.T) {
	t.Parallel()
	for tasks, want := range map[string]string{
		"seed: 1":                               "has no key farm_type: the windfarm model needs a layout style: cluster, single_string",
		"farm_type: [0, 1]":                     "tasks.matrix.farm_type: 0: expected a layout style",
		"farm_type: [cluster, spiral]":          "tasks.matrix.farm_type: spiral: expected a layout style",
		"farm_type: [grid], spacing: [0, 3]":    "tasks.matrix.spacing: 0: expected a number above 0 and up to 50, in rotor diameters",
		"farm_type: [grid], spacing: [3, true]": "tasks.matrix.spacing",
	} {
		path := filepath.Join(t.TempDir(), "spec.yaml")
		write(t, path, "version: 1\nname: test\ntasks: {matrix: {"+tasks+"}}\nsimulator:\n  windfarm: {"+styles+"}\noutput: {file: test.h5}\n", 0o600)
		loaded, err := spec.Load(path)
		if err == nil {
			_, err = simulator.Describe(t.Context(), loaded, nil)
		}
		var problems spec.Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %v\nwant ...%s...", tasks, err, want)
		}
	}
}

func TestWindfarmFilesThatDoNotFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "near.csv"), "x,y\n0,0\n100,0\n", 0o600)
	write(t, filepath.Join(dir, "rose.csv"), "wd,ws,freq_val\n0,8,1\n", 0o600)
	open := "site: open, turbine: nrel_5mw, min_spacing: 2D, wake: none, "
	for windfarm, want := range map[string]string{
		open + "directions: 36, speeds: 3..25, layout: near.csv":                                                                       "simulator.windfarm.layout: near.csv: turbines 0 and 1 (from 0) are 100.0 m apart, min_spacing is 251.8 m",
		open + "directions: 36, speeds: 3..25, layout: none.csv":                                                                       "none.csv: no such file",
		open + "layout: cluster, resource: rose.csv, directions: 36":                                                                   "simulator.windfarm.directions: is given: this resource has its own",
		open + "layout: cluster, resource: wind.nc":                                                                                    `"wind.nc": expected a file (.csv, .tab, .yaml)`,
		open + "layout: cluster":                                                                                                       "simulator.windfarm.directions: is missing",
		open + "layout: polygon, directions: 36, speeds: 3..25":                                                                        "site open has the layouts styles, cluster",
		"site: open, layout: grid, min_spacing: 2D, wake: none, directions: 36, speeds: 3..25":                                         "simulator.windfarm.turbine: is missing",
		"site: tenders, turbine: v80, layout: polygon, min_spacing: 2D, wake: none, directions: 36, speeds: 3..25":                     "the tenders have their own",
		open + "layout: grid, directions: 36, speeds: 3..25, split: 80/10/20":                                                          "expected percentages of training, validation and test that sum to 100",
		strings.Replace(open, "nrel_5mw", "v90", 1) + "layout: grid, directions: 36, speeds: 3..25":                                    `"v90": expected a file (.csv, .yaml), or one of nrel_5mw`,
		strings.Replace(open, "wake: none", "wake: jensen/pywake", 1) + "turbines: 3, layout: near.csv, directions: 36, speeds: 3..25": "is for layouts that are drawn",
	} {
		path := filepath.Join(dir, "spec.yaml")
		write(t, path, "version: 1\nname: test\ntasks: {matrix: {seed: 1..2, farm_id: 0, farm_type: 0}}\nsimulator:\n  windfarm: {"+windfarm+"}\noutput: {file: test.h5}\n", 0o600)
		s, err := spec.Load(path)
		if err == nil {
			_, err = simulator.Describe(t.Context(), s, nil)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gave %v\nwant ...%s...", windfarm, err, want)
		}
	}
}

// TestInterruptedLayoutIsNoFailure stops between two tasks what made the
// simulator, and then the task itself: neither is the task's fault.
func TestInterruptedLayoutIsNoFailure(t *testing.T) {
	t.Parallel()
	s := loadOpen(t, "layout_id: 0..1", strings.ReplaceAll(styles, "layout: styles, min_spacing: 2.5D", "layout: layouts.h5, min_spacing: 1D"))
	writeLayouts(t, filepath.Join(s.Dir(), "layouts.h5"))
	reader, err := foreign.NewReader(foreign.DefaultLimits, readerPart)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, s, simulator.Options{Dir: s.Dir(), Reader: reader}, "layout_id")
	if err := b.Simulate(t.Context(), b.task([]int64{1}, ""), b.row); err != nil {
		t.Fatal(err)
	}
	if n := b.get("n_turbines"); n != int64(2) {
		t.Errorf("the second layout has %v turbines, want 2", n)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	err = b.Simulate(stopped, b.task([]int64{0}, ""), b.row)
	if failure := (*simulator.Error)(nil); !errors.Is(err, context.Canceled) || errors.As(err, &failure) {
		t.Errorf("interrupted: %v", err)
	}
	if err := b.Simulate(t.Context(), b.task([]int64{0}, ""), b.row); err != nil {
		t.Errorf("after the interruption: %v", err)
	}
}

// writeLayouts makes a file of two layouts, of three turbines and of two.
func writeLayouts(t *testing.T, path string) {
	t.Helper()
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Create("layout", h5.Type{Kind: h5.Float64}, []int64{2, 3, 2})
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := binary.Append(nil, binary.LittleEndian, []float64{0, 0, 1000, 0, 0, 1000, 0, 0, 500, 500, math.NaN(), math.NaN()})
	if err := errors.Join(err, d.Write(0, 2, bytes), d.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
