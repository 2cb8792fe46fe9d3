package h5_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"windrow/internal/h5"
)

var (
	float64s = h5.Type{Kind: h5.Float64}
	int64s   = h5.Type{Kind: h5.Int64}
	int8s    = h5.Type{Kind: h5.Int8}
)

// TestMain makes the test binary a process that does one thing to a file, if
// it is told which: "WHAT PATH".
func TestMain(m *testing.M) {
	what, path, _ := strings.Cut(os.Getenv("WINDROW_H5_TEST"), " ")
	children := map[string]func(string) error{"make": makeCampaign, "die": dieWriting, "fill": fillLimited, "fail": fail}
	if child, ok := children[what]; ok {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child runs the test binary to do what with path.
func child(t *testing.T, what, path string, env ...string) (stderr string, err error) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "WINDROW_H5_TEST="+what+" "+path), env...)
	var said strings.Builder
	cmd.Stderr = &said
	err = cmd.Run()
	return said.String(), err
}

// create makes a file that is closed, without an error, at the end.
func create(t *testing.T, bounds h5.Bounds) (f *h5.File, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.h5")
	f, err := h5.Create(path, bounds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f, path
}

func open(t *testing.T, path string) *h5.File {
	t.Helper()
	f, err := h5.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, f) })
	return f
}

func closed(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// dataset returns the opened or created dataset, closed at the end.
func dataset(t *testing.T) func(*h5.Dataset, error) *h5.Dataset {
	t.Helper()
	return func(d *h5.Dataset, err error) *h5.Dataset {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closed(t, d) })
		return d
	}
}

func floats(values ...float64) []byte {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return data
}

func counting(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i%127 + 1)
	}
	return data
}

func TestRowsComeBack(t *testing.T) {
	t.Parallel()
	for _, typ := range []h5.Type{
		float64s, {Kind: h5.Float32}, int64s, {Kind: h5.Int32}, int8s, {Kind: h5.String, Len: 5},
	} {
		for _, bounds := range []h5.Bounds{h5.V108, h5.V110} {
			t.Run(fmt.Sprint(typ, bounds), func(t *testing.T) {
				t.Parallel()
				testRowsComeBack(t, typ, bounds)
			})
		}
	}
}

func testRowsComeBack(t *testing.T, typ h5.Type, bounds h5.Bounds) {
	t.Helper()
	f, path := create(t, bounds)
	dims := []int64{7, 3, 2}
	d := dataset(t)(f.Create("/x", typ, dims))
	row := 6 * typ.Bytes()
	want := counting(7 * row)
	for _, part := range [][2]int{{4, 7}, {0, 4}, {7, 7}} {
		if err := d.Write(int64(part[0]), int64(part[1]-part[0]), want[part[0]*row:part[1]*row]); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, d)
	closed(t, f)

	d = dataset(t)(open(t, path).Dataset("/x"))
	if !d.Is(typ) || d.ElementBytes() != typ.Bytes() {
		t.Errorf("not of type %v, or %d bytes", typ, d.ElementBytes())
	}
	if d.Is(h5.Type{}) || d.Is(h5.Type{Kind: h5.String, Len: 6}) {
		t.Error("is of any type")
	}
	if got, err := d.Dims(); err != nil || !slices.Equal(got, dims) {
		t.Errorf("shape %v, %v; want %v", got, err, dims)
	}
	got := make([]byte, len(want))
	if err := errors.Join(d.Read(0, 3, got[:3*row]), d.Read(3, 4, got[3*row:])); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestNoRows(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	d := dataset(t)(f.Create("x", float64s, []int64{0, 3}))
	closed(t, d)
	closed(t, f)
	d = dataset(t)(open(t, path).Dataset("x"))
	if dims, err := d.Dims(); err != nil || !slices.Equal(dims, []int64{0, 3}) {
		t.Errorf("shape %v, %v", dims, err)
	}
	if err := d.Read(0, 0, nil); err != nil {
		t.Error(err)
	}
	if offset, err := d.Offset(); err == nil || !strings.Contains(err.Error(), "no content at one place") {
		t.Errorf("offset %d, %v", offset, err)
	}
}

func TestWrongRowsAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	d := dataset(t)(f.Create("x", float64s, []int64{4, 2}))
	for _, c := range []struct {
		first, n int64
		bytes    int
		want     string
	}{
		{0, 1, 15, "buffer of 15 bytes for 1 rows of shape [2]"},
		{0, 1, 17, "buffer of 17 bytes"},
		{0, 2, 16, "buffer of 16 bytes for 2 rows"},
		{0, 0, 1, "buffer of 1 bytes"},
		{0, 5, 80, "rows 0 to 4 of a shape [4 2]"},
		{4, 1, 16, "rows 4 to 4 of"},
		{-1, 1, 16, "rows -1 to -1"},
		{1, -1, 0, "rows 1 to -1"},
		{math.MaxInt64, 1, 16, "of a shape [4 2]"},
		{1, math.MaxInt64, 16, "of a shape [4 2]"},
	} {
		buf := make([]byte, c.bytes)
		for op, err := range map[string]error{"write": d.Write(c.first, c.n, buf), "read": d.Read(c.first, c.n, buf)} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %d rows at %d in %d bytes: %v, want %q", op, c.n, c.first, c.bytes, err, c.want)
			}
		}
	}
}

// TestPlacedRows writes where Offset says, without libhdf5, as the merger does.
func TestPlacedRows(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	var offsets []int64
	for _, name := range []string{"a", "b"} {
		d := dataset(t)(f.Create(name, float64s, []int64{5, 2}))
		offset, err := d.Offset()
		if err != nil {
			t.Fatal(err)
		}
		offsets = append(offsets, offset)
		closed(t, d)
	}
	closed(t, f)

	plain, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, errA := plain.WriteAt(floats(1, 2), offsets[0]+3*16)
	_, errB := plain.WriteAt(floats(3, 4), offsets[1])
	if err := errors.Join(errA, errB, plain.Close()); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	for name, want := range map[string][]byte{"a": floats(0, 0, 0, 0, 0, 0, 1, 2, 0, 0), "b": floats(3, 4, 0, 0, 0, 0, 0, 0, 0, 0)} {
		got := make([]byte, len(want))
		if err := dataset(t)(f.Dataset(name)).Read(0, 5, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if got := python(t, path, `print(f["a"][3].tolist(), f["b"][0].tolist())`); got != "[1.0, 2.0] [3.0, 4.0]" {
		t.Errorf("h5py reads %s", got)
	}
}

func TestMissingAndOtherObjects(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	if err := f.Group("g"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"aep", "/aep", "no/aep"} {
		if _, err := f.Dataset(name); !errors.Is(err, h5.ErrNotFound) {
			t.Errorf("open %s: %v, want %v", name, err, h5.ErrNotFound)
		}
	}
	if _, err := f.Dataset("g"); err == nil || errors.Is(err, h5.ErrNotFound) {
		t.Errorf("a group as a dataset: %v", err)
	}
	if _, err := h5.Create(path, h5.V108); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create twice: %v, want %v", err, fs.ErrExist)
	}
	if _, err := h5.Open(path + ".no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open nothing: %v, want %v", err, fs.ErrNotExist)
	}
}

// dieWriting leaves what a killed writer of a shard leaves.
func dieWriting(path string) error {
	f, err := h5.Create(path, h5.V110)
	if err != nil {
		return err
	}
	_, err = f.Create("x", float64s, []int64{1000})
	if err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole, died := filepath.Join(dir, "whole.h5"), filepath.Join(dir, "died.h5")
	if stderr, err := child(t, "make", whole); err != nil {
		t.Fatal(err, stderr)
	}
	if stderr, err := child(t, "die", died); err == nil {
		t.Fatal("the writer was not killed", stderr)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		path string
		want error
		text string
	}{
		{put("empty.h5", nil), h5.ErrNotHDF5, "not an HDF5 file"},
		{put("zeros.h5", make([]byte, 4096)), h5.ErrNotHDF5, "not an HDF5 file"},
		{put("text.h5", []byte("version https://git-lfs")), h5.ErrNotHDF5, "not an HDF5 file"},
		{put("cut.h5", content[:2000]), h5.ErrTruncated, "stopped before it was closed: 2,000 of "},
	} {
		_, err := h5.Open(c.path)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: %v, want %q", filepath.Base(c.path), err, c.text)
		}
	}
	if _, err := h5.Open(died); !errors.Is(err, h5.ErrTruncated) {
		t.Errorf("of a killed writer: %v, want %v", err, h5.ErrTruncated)
	}
}

func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 1000 {
		path := filepath.Join(dir, strconv.Itoa(i%10))
		_ = os.Remove(path)
		if err := makeCampaign(path); err != nil { // counts open objects at Close
			t.Fatal(err)
		}
	}
	if open := descriptors(t, dir); open > 0 {
		t.Errorf("%d descriptors are open", open)
	}
}

// fillLimited writes more than the process may.
func fillLimited(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	f, err := h5.Create(path, h5.V110)
	if err != nil {
		return err
	}
	d, err := f.Create("x", float64s, []int64{1 << 16})
	if err != nil {
		return err
	}
	if err := d.Write(0, 1<<16, make([]byte, 1<<19)); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("write: %w; want %w", err, syscall.EFBIG)
	}
	return nil
}

func TestFailedWriteIsAnError(t *testing.T) {
	t.Parallel()
	if stderr, err := child(t, "fill", filepath.Join(t.TempDir(), "big.h5")); err != nil {
		t.Error(err, stderr)
	}
}

func TestFullDiskIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f, err := h5.Create(filepath.Join(dir, "big.h5"), h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // may or may not say so again
	d := dataset(t)(f.Create("x", float64s, []int64{1 << 16}))
	err = d.Write(0, 1<<16, make([]byte, 1<<19))
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), "file write failed: no space left on device") {
		t.Errorf("write: %v, want %v", err, syscall.ENOSPC)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	const writers, rows = 8, 64
	d := dataset(t)(f.Create("x", float64s, []int64{writers * rows}))
	var group sync.WaitGroup
	for w := range int64(writers) {
		group.Go(func() {
			for i := w * rows; i < (w+1)*rows; i++ {
				if err := d.Write(i, 1, floats(float64(i))); err != nil {
					t.Error(err)
				}
				if _, err := h5.Open(path + ".no"); !errors.Is(err, fs.ErrNotExist) { // errors do not mix
					t.Error(err)
				}
			}
			if err := makeCampaign(fmt.Sprint(path, w)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := make([]byte, writers*rows*8)
	if err := d.Read(0, writers*rows, got); err != nil {
		t.Fatal(err)
	}
	for i := range writers * rows {
		if v := math.Float64frombits(binary.LittleEndian.Uint64(got[8*i:])); v != float64(i) {
			t.Fatalf("row %d is %v", i, v)
		}
	}
}

// TestChildrenDoNotInheritFiles: with a descriptor a child would inherit the
// file's lock.
func TestChildrenDoNotInheritFiles(t *testing.T) {
	t.Parallel()
	_, written := create(t, h5.V108)
	read := filepath.Join(t.TempDir(), "read.h5")
	if err := makeCampaign(read); err != nil {
		t.Fatal(err)
	}
	open(t, read)
	inherited, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{written, read} {
		if descriptors(t, path) != 1 {
			t.Errorf("%s is not open here", path)
		}
		if strings.Contains(string(inherited), path) {
			t.Errorf("a child process has %s\n%s", path, inherited)
		}
	}
}

func TestLibVersion(t *testing.T) {
	t.Parallel()
	var major, minor, release int
	if _, err := fmt.Sscanf(h5.LibVersion(), "%d.%d.%d", &major, &minor, &release); err != nil || major < 1 {
		t.Errorf("version %q: %v", h5.LibVersion(), err)
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V110)
	long := strings.Repeat("spec: é\n", 20_000) // more than an object header can hold
	d := dataset(t)(f.Create("x", int8s, []int64{1}))
	err := errors.Join(
		f.SetString("spec", long), f.SetString("empty", ""),
		f.SetNumber("count", int64s, binary.LittleEndian.AppendUint64(nil, math.MaxInt64)),
		d.SetNumber("pi", float64s, floats(math.Pi)),
		d.SetNumbers("flag_values", int8s, 3, []byte{0, 1, 0xff}), d.SetString("units", "GWh"))
	if err != nil {
		t.Fatal(err)
	}
	closed(t, d)
	closed(t, f)

	f = open(t, path)
	for name, want := range map[string]string{"spec": long, "empty": ""} {
		if got, err := f.String(name); err != nil || got != want {
			t.Errorf("%s is %.20q, %v; want %.20q", name, got, err, want)
		}
	}
	if n, err := f.Int("count"); err != nil || n != math.MaxInt64 {
		t.Errorf("count %d, %v", n, err)
	}
	const script = `a = f["x"].attrs; print(a["pi"], a["flag_values"].tolist(), repr(a["units"]), f.attrs["count"])`
	const want = "3.141592653589793 [0, 1, -1] 'GWh' 9223372036854775807"
	if got := python(t, path, script); got != want {
		t.Errorf("h5py reads %s, want %s", got, want)
	}
}

func TestWrongAttributesAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	d := dataset(t)(f.Create("x", int8s, []int64{1}))
	if err := errors.Join(f.SetString("text", "x"), f.SetNumber("pi", float64s, floats(math.Pi))); err != nil {
		t.Fatal(err)
	}
	if _, err := f.String("nothing"); !errors.Is(err, h5.ErrNotFound) {
		t.Errorf("attribute that is not there: %v, want %v", err, h5.ErrNotFound)
	}
	_, notText := f.String("pi")
	_, notInt := f.Int("text")
	_, notWhole := f.Int("pi")
	for name, err := range map[string]error{
		"number as text": notText, "text as number": notInt, "fraction as int": notWhole,
		"NUL in text": f.SetString("a", "a\x00b"), "not UTF-8": f.SetString("b", "\xff"), "set twice": f.SetString("text", "y"),
		"too few bytes": f.SetNumber("c", int64s, make([]byte, 7)), "no numbers": d.SetNumbers("d", int64s, 0, nil),
		"text as numbers": f.SetNumber("e", h5.Type{Kind: h5.String, Len: 1}, []byte{1}),
	} {
		if err == nil || errors.Is(err, h5.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestImpossibleDatasetsAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	for _, c := range []struct {
		typ  h5.Type
		dims []int64
	}{
		{float64s, nil},
		{float64s, []int64{-1}},
		{float64s, []int64{1 << 40, 1 << 40}},
		{float64s, make([]int64, 33)},
		{h5.Type{}, []int64{1}},
		{h5.Type{Kind: h5.String}, []int64{1}},
		{h5.Type{Kind: h5.String, Len: -1}, []int64{1}},
	} {
		if _, err := f.Create("x", c.typ, c.dims); err == nil {
			t.Errorf("%v of shape %v was made", c.typ, c.dims)
		}
	}
	d := dataset(t)(f.Create("x", float64s, []int64{1}))
	if _, err := f.Create("x", float64s, []int64{1}); err == nil || !strings.HasSuffix(err.Error(), "name already exists") {
		t.Errorf("second dataset of a name: %v", err)
	}
	closed(t, d)
}

func TestErrorsSayWhy(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	err := f.Group("no/group")
	var e *h5.Error
	if !errors.As(err, &e) || e.Op != "create group" || e.Object != "no/group" || e.Reason != "component not found" {
		t.Errorf("error %#v", err)
	}
}

// TestNothingIsPrinted: libhdf5 prints the errors of threads that nobody told
// not to.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	if stderr, err := child(t, "fail", filepath.Join(t.TempDir(), "x.h5")); err != nil || stderr != "" {
		t.Errorf("%v, printed:\n%s", err, stderr)
	}
}

// fail makes calls fail on many threads.
func fail(path string) error {
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		return err
	}
	d, err := f.Create("x", float64s, []int64{1})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			runtime.LockOSThread() // ends with its thread, so each has a new one
			_, _ = f.Dataset("no")
			_ = d.Is(h5.Type{})
			_ = d.Is(h5.Type{Kind: h5.String, Len: -1})
			_ = f.Group("x")
		})
	}
	group.Wait()
	err = errors.Join(d.Close(), f.Close())
	_ = d.Is(float64s)
	_ = d.ElementBytes()
	return err
}

func TestLeakedDatasetIsAnError(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	d := dataset(t)(f.Create("x", float64s, []int64{1}))
	if err := f.Close(); err == nil || !strings.Contains(err.Error(), "1 objects are still open") {
		t.Errorf("close: %v", err)
	}
	closed(t, f)
	closed(t, d)
	closed(t, d)
	closed(t, open(t, path)) // nothing holds the file any more
	_, noDims := d.Dims()
	_, noOffset := d.Offset()
	_, noDataset := f.Dataset("x")
	for name, err := range map[string]error{
		"write": d.Write(0, 1, floats(1)), "group": f.Group("g"), "attribute": f.SetString("a", "b"), "scale": d.MakeScale("x"),
		"dims": noDims, "offset": noOffset, "dataset": noDataset, "attach": d.AttachScale(0, d), "units": d.SetString("a", "b"),
	} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s after close: %v, want %v", name, err, os.ErrClosed)
		}
	}
	if d.Is(float64s) || d.ElementBytes() != 0 {
		t.Error("a closed dataset has a type")
	}
}

// descriptors returns how many this process has open on path or in it.
func descriptors(t *testing.T, path string) (open int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		link, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && (link == path || strings.HasPrefix(link, path+"/")) { // an error: of another test, closed by now
			open++
		}
	}
	return open
}

// TestCloseFromManyGoroutines is for the race detector.
func TestCloseFromManyGoroutines(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	d := dataset(t)(f.Create("x", float64s, []int64{1}))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if err := d.Write(0, 1, floats(1)); err != nil && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
			closed(t, d)
		})
	}
	group.Wait()
	for range 4 {
		group.Go(func() { closed(t, f) })
	}
	group.Wait()
}

func TestChunksComeBack(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	d := dataset(t)(f.CreateChunked("/x", int8s, []int64{7, 2}, 3, 0))
	want := counting(14)
	for _, first := range []int64{6, 0, 3} {
		chunk := make([]byte, 6) // the last one is longer than the rows in it
		copy(chunk, want[2*first:])
		if err := d.WriteChunk(first, chunk); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, d)
	closed(t, f)
	d = dataset(t)(open(t, path).Dataset("x"))
	got := make([]byte, 14)
	if err := d.Read(0, 7, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
}

func TestWrongChunksAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	chunked := dataset(t)(f.CreateChunked("/chunked", int8s, []int64{7, 2}, 3, 0))
	gzip := dataset(t)(f.CreateChunked("/gzip", int8s, []int64{7, 2}, 3, 9))
	contiguous := dataset(t)(f.Create("/contiguous", int8s, []int64{7, 2}))
	for name, c := range map[string]struct {
		d     *h5.Dataset
		first int64
		size  int
	}{
		"short":           {chunked, 0, 5},
		"long":            {chunked, 0, 7},
		"empty":           {gzip, 0, 0},
		"between chunks":  {chunked, 1, 6},
		"before the rows": {chunked, -3, 6},
		"after the rows":  {gzip, 9, 6},
		"contiguous":      {contiguous, 0, 6},
	} {
		if err := c.d.WriteChunk(c.first, make([]byte, c.size)); err == nil {
			t.Errorf("%s: a chunk of %d bytes was written at row %d", name, c.size, c.first)
		}
	}
}

func TestLayout(t *testing.T) {
	t.Parallel()
	f, _ := create(t, h5.V108)
	for name, c := range map[string]struct {
		d    *h5.Dataset
		want h5.Layout
	}{
		"contiguous": {dataset(t)(f.Create("/a", float64s, []int64{7})), h5.Layout{}},
		"chunked":    {dataset(t)(f.CreateChunked("/b", float64s, []int64{7, 2}, 3, 0)), h5.Layout{ChunkRows: 3}},
		"gzip":       {dataset(t)(f.CreateChunked("/c", float64s, []int64{0}, 1, 4)), h5.Layout{ChunkRows: 1, Level: 4}},
	} {
		if got, err := c.d.Layout(); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	for _, c := range []struct {
		chunkRows int64
		level     int
	}{{0, 0}, {-1, 0}, {3, -1}, {3, 10}} {
		if _, err := f.CreateChunked("/d", float64s, []int64{7}, c.chunkRows, c.level); err == nil {
			t.Errorf("a dataset in chunks of %d rows, level %d, was made", c.chunkRows, c.level)
		}
	}
}

// TestScalarsAndGroups writes what a file with a group for each task has.
func TestScalarsAndGroups(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(f.Group("farm0"), f.WriteScalar("farm0/aep", float64s, floats(1.5)),
		f.SetNumberOf("farm0", "seed", int64s, binary.LittleEndian.AppendUint64(nil, 7)), f.SetStringOf("farm0", "style", "grid"),
		f.SetStringOf("farm0/aep", "units", "GWh"))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if f, err = h5.Open(path); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	attributes, err := f.Attributes("farm0")
	if err != nil || len(attributes) != 2 || attributes[0].Name != "seed" || string(attributes[1].Texts[0]) != "grid" {
		t.Errorf("attributes %+v, %v", attributes, err)
	}
	d, err := f.Dataset("farm0/aep")
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 8)
	if err := errors.Join(d.ReadAny(0, 1, value), d.Close()); err != nil || !bytes.Equal(value, floats(1.5)) {
		t.Errorf("aep is %x, %v", value, err)
	}
}

func TestScalarsThatCannotBe(t *testing.T) {
	t.Parallel()
	f, err := h5.Create(filepath.Join(t.TempDir(), "f.h5"), h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"too few bytes":    f.WriteScalar("a", float64s, make([]byte, 4)),
		"text":             f.WriteScalar("b", h5.Type{Kind: h5.String, Len: 1}, []byte{1}),
		"no group":         f.WriteScalar("none/a", float64s, make([]byte, 8)),
		"no object":        f.SetStringOf("none", "a", "b"),
		"numbers of none":  f.SetNumberOf("none", "a", float64s, make([]byte, 8)),
		"too few, of root": f.SetNumberOf("/", "a", float64s, make([]byte, 4)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
