package foreign_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// The test binary plays the child, and what a file can make of it.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || !strings.HasPrefix(os.Args[1], "play-") {
		os.Exit(m.Run())
	}
	serve := func(do func()) error { return foreign.ServeAs(os.Stdin, os.Stdout, do) }
	err := map[string]func() error{
		"play-reader": func() error { return foreign.Serve(context.Background(), os.Stdin, os.Stdout) }, //nolint:forbidigo // this is its main
		"play-hang":   func() error { return serve(func() { select {} }) },
		"play-spin":   func() error { return serve(spin) },
		"play-crash":  func() error { return serve(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGSEGV); select {} }) },
		"play-grow":   func() error { return serve(grow) },
		"play-killed": func() error { return serve(func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }) },
		"play-liar": func() error {
			return serve(func() { _, _ = os.Stdout.WriteString(`{"follow": -1}` + "\n") })
		},
	}[os.Args[1]]()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func spin() {
	for i := 0; ; i++ {
		if i < 0 {
			return
		}
	}
}

func grow() {
	for kept := [][]byte{nil}; ; kept[0] = kept[len(kept)-1] {
		block := make([]byte, 16<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		kept = append(kept, block)
	}
}

func reader(t *testing.T, limits foreign.Limits, play string) *foreign.Reader {
	t.Helper()
	r, err := foreign.NewReader(limits, play)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func TestWhatAFileDoesToTheChildIsAVerdict(t *testing.T) {
	t.Parallel()
	path := file(t, []float64{1, 2, 3}, []float64{1, 2, 3})
	brief := foreign.Limits{Clock: 200 * time.Millisecond, Memory: 2 << 30}
	for name, c := range map[string]struct {
		limits foreign.Limits
		want   string
	}{
		"play-hang":   {brief, "it took longer than 200ms"},
		"play-spin":   {foreign.Limits{Clock: 200 * time.Millisecond, Memory: 2 << 30, Shares: 2}, "it took longer than 400ms"},
		"play-crash":  {foreign.DefaultLimits, "libhdf5 crashed on it: "},
		"play-killed": {foreign.DefaultLimits, "the process that read it was killed"},
		"play-grow":   {foreign.Limits{Clock: time.Minute, Memory: 1 << 30}, "it needs more than 1.0 GiB of memory"},
		"play-liar":   {foreign.DefaultLimits, "libhdf5 crashed on it: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := reader(t, c.limits, name)
			for range 2 { // another child is started for the next file
				_, err := r.Check(t.Context(), path, nil)
				damage, ok := errors.AsType[*foreign.DamagedError](err)
				if !ok || !strings.HasPrefix(damage.Reason, c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
			}
		})
	}
}

// TestAChildThatNobodyWaitsForEnds: its parent may be killed while libhdf5
// goes round in circles.
func TestAChildThatNobodyWaitsForEnds(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), os.Args[0], "play-spin")
	child.Stdin = strings.NewReader(`{"ask": "check", "path": "x", "clock": 1000000, "memory": 2147483648}`)
	said, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "the CPU time is over") {
		t.Errorf("%v: %s", err, said)
	}
}

func TestACancelledQuestionIsNoVerdict(t *testing.T) {
	t.Parallel()
	path := file(t, []float64{1, 2, 3}, []float64{1, 2, 3})
	r := reader(t, foreign.DefaultLimits, "play-hang")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := r.Check(ctx, path, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestTheReaderOutlivesBadFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage, classic, pipe := filepath.Join(dir, "garbage.h5"), filepath.Join(dir, "classic.nc"), filepath.Join(dir, "pipe.h5")
	if err := errors.Join(os.WriteFile(garbage, []byte("Killed\n"), 0o600), os.WriteFile(classic, []byte("CDF\x05\x00\x00"), 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	r := reader(t, foreign.DefaultLimits, "play-reader")
	sound := file(t, []float64{1, 2, 3}, []float64{1, 2, 3, 4, 5, 6})
	for _, c := range []struct{ path, want string }{
		{garbage, "not an HDF5 file"},
		{classic, "it is a netCDF-3 file; netCDF-4 and HDF5 are read: nccopy -k nc4 IN OUT"},
		{pipe, "it is not a file"},
		{filepath.Join(dir, "none.h5"), "there is no such file"},
		{file(t, []float64{1, math.NaN(), 3}, []float64{1, 2, 3}), "dataset aep: row 1 is NaN"},
	} {
		if _, err := r.Check(t.Context(), c.path, []string{"seed", "aep"}); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
		if rows, err := r.Check(t.Context(), sound, []string{"seed", "aep"}); rows != 3 || err != nil {
			t.Errorf("the sound file: %d rows, %v", rows, err)
		}
	}
}

func TestReadAndList(t *testing.T) {
	t.Parallel()
	path := file(t, []float64{1, 2, 3}, []float64{1, 2, 3, 4, 5, 6})
	r := reader(t, foreign.DefaultLimits, "play-reader")
	group, err := r.List(t.Context(), path, "/")
	if err != nil {
		t.Fatal(err)
	}
	float64s := h5.Type{Kind: h5.Float64}
	contiguous := h5.Storage{Layout: "contiguous"}
	want := foreign.Group{Datasets: []foreign.Dataset{
		{Name: "aep", Type: float64s, Shape: []int64{3}, Storage: contiguous},
		{Name: "layout", Type: float64s, Shape: []int64{3, 2}, Storage: contiguous},
		{Name: "seed", Type: h5.Type{Kind: h5.Int32}, Shape: []int64{3}, Storage: contiguous},
	}}
	if diff := cmp.Diff(want, group); diff != "" {
		t.Error(diff)
	}
	rows, err := r.Read(t.Context(), path, "layout", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(foreign.Rows{Type: float64s, Bytes: bytesOf([]float64{3, 4, 5, 6})}, rows); diff != "" {
		t.Error(diff)
	}
	for want, ask := range map[string]func() error{
		"dataset layout: rows 2 to 3 cannot be read": func() error { _, err := r.Read(t.Context(), path, "layout", 2, 2); return err },
		"dataset aep: rows 0 to 9223372036854775806": func() error { _, err := r.Read(t.Context(), path, "aep", 0, math.MaxInt64); return err },
		"dataset cost is missing":                    func() error { _, err := r.Read(t.Context(), path, "cost", 0, 1); return err },
		"group cost cannot be listed":                func() error { _, err := r.List(t.Context(), path, "cost"); return err },
	} {
		damage, ok := errors.AsType[*foreign.DamagedError](ask())
		if !ok || !strings.HasPrefix(damage.Reason, want) {
			t.Errorf("got %v, want %s", damage, want)
		}
	}
}

// TestVariablesOfNetCDF reads files that h5netcdf wrote.
func TestVariablesOfNetCDF(t *testing.T) {
	t.Parallel()
	r := reader(t, foreign.DefaultLimits, "play-reader")
	got, err := r.Variables(t.Context(), "testdata/netcdf/rose.nc")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]foreign.Variable{
		"wind_direction":       {Dims: []string{"wind_direction"}, Shape: []int{4}, Values: []float64{0, 90, 180, 270}},
		"wind_speed":           {Dims: []string{"wind_speed"}, Shape: []int{4}, Values: []float64{6, 8, 10, 12}},
		"turbulence_intensity": {Values: []float64{0.06}},
		"probability": {Dims: []string{"wind_speed", "wind_direction"}, Shape: []int{4, 4}, Values: []float64{
			0.1, 0.05, 0.1, 0.1, 0.05, 0.05, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05,
		}},
	}
	nearly := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-8 }) // it has 32 bits
	if diff := cmp.Diff(want, got, nearly); diff != "" {
		t.Error(diff)
	}
	got, err = r.Variables(t.Context(), "testdata/netcdf/gridded.nc")
	if err != nil || !slices.Equal(got["probability"].Dims, []string{"x", "wind_direction"}) {
		t.Errorf("gridded: %+v, %v", got["probability"], err)
	}
	got, err = r.Variables(t.Context(), "testdata/netcdf/series.nc")
	if err != nil || !slices.Equal(got["wind_speed"].Dims, []string{"time"}) {
		t.Errorf("series: %+v, %v", got["wind_speed"], err)
	}
	text := filepath.Join(t.TempDir(), "text.nc")
	if err := os.WriteFile(text, []byte("no netCDF"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Variables(t.Context(), text); err == nil {
		t.Error("text is read as netCDF")
	}
}

// TestEachChunkIsInflatedOnce reads one large chunk in many blocks.
func TestEachChunkIsInflatedOnce(t *testing.T) {
	t.Parallel()
	const rows, numbers, blocks = 4096, 1024, 128 // 32 MiB
	path := filepath.Join(t.TempDir(), "chunk.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.CreateChunked("layout", h5.Type{Kind: h5.Float64}, []int64{rows, numbers}, rows, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Write(0, rows, make([]byte, rows*numbers*8)), d.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	r := reader(t, foreign.DefaultLimits, "play-reader")
	read := func(first, n int64) time.Duration {
		t.Helper()
		began := time.Now()
		if _, err := r.Read(t.Context(), path, "layout", first, n); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	once, rest := read(0, 1), time.Duration(0)
	for at := range int64(blocks) {
		rest += read(at*rows/blocks, rows/blocks)
	}
	if rest > 20*once {
		t.Errorf("the first row took %s, then %d blocks took %s", once, blocks, rest)
	}
}
