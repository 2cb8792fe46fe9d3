package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"windrow/internal/chunk"
	"windrow/internal/h5"
)

func TestRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows     int64
		rowBytes int
		want     int64
	}{
		{0, 8, 1},
		{1, 8, 1},
		{3000, 8, 3000},
		{16_384, 8, 16_384},
		{16_385, 8, 8193}, // two chunks of nearly equal size
		{983_040, 1600, 81},
		{10, 1 << 20, 1},
	} {
		if got := chunk.Rows(c.rows, c.rowBytes); got != c.want {
			t.Errorf("%d rows of %d bytes: chunks of %d rows, want %d", c.rows, c.rowBytes, got, c.want)
		}
	}
}

// columns are of the sizes that matter: single bytes, texts, numbers, and rows
// of which few or only one fit in a chunk.
var columns = []struct {
	name  string
	typ   h5.Type
	shape []int64
}{
	{"byte", h5.Type{Kind: h5.Int8}, nil},
	{"text", h5.Type{Kind: h5.String, Len: 7}, nil},
	{"number", h5.Type{Kind: h5.Float32}, nil},
	{"layout", h5.Type{Kind: h5.Float64}, []int64{100, 2}},
	{"field", h5.Type{Kind: h5.Float64}, []int64{17_000}},
}

const rows = 150

func rowBytes(c int) int {
	n := columns[c].typ.Bytes()
	for _, d := range columns[c].shape {
		n *= int(d)
	}
	return n
}

// content returns all bytes of each column, the same for every call.
func content() [][]byte {
	random := rand.New(rand.NewPCG(1, 1))
	all := make([][]byte, len(columns))
	for c := range all {
		all[c] = make([]byte, rows*rowBytes(c))
		for i := range all[c] {
			all[c][i] = byte('a' + random.IntN(9))
		}
	}
	return all
}

// write makes a file of the columns, handed over in parts of n rows.
func write(t *testing.T, path string, level int, content [][]byte, n int) {
	t.Helper()
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	w := chunk.NewWriter(level)
	var open []*h5.Dataset
	for c, column := range columns {
		chunkRows := chunk.Rows(rows, rowBytes(c))
		d, err := f.CreateChunked(column.name, column.typ, append([]int64{rows}, column.shape...), chunkRows, level)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, d)
		w.Add(d, chunkRows, rowBytes(c), column.typ.Bytes())
	}
	for first := 0; first < rows; first += n {
		last := min(first+n, rows)
		for c := range columns {
			if err := w.Write(t.Context(), c, content[c][first*rowBytes(c):last*rowBytes(c)]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, d := range open {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestRowsAreReadBack has libhdf5 undo the filters.
func TestRowsAreReadBack(t *testing.T) {
	t.Parallel()
	want := content()
	for _, level := range []int{0, 1, 4, 9} {
		t.Run(strconv.Itoa(level), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.h5")
			write(t, path, level, want, 37)
			f, err := h5.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			for c, column := range columns {
				d, err := f.Dataset(column.name)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(want[c]))
				if err := d.Read(0, rows, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want[c]) {
					t.Errorf("column %s differs", column.name)
				}
				layout, err := d.Layout()
				if want := (h5.Layout{ChunkRows: chunk.Rows(rows, rowBytes(c)), Level: level}); err != nil || layout != want {
					t.Errorf("column %s has the layout %+v, %v, want %+v", column.name, layout, err, want)
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEqualRowsGiveEqualBytes writes the same rows several times: which
// goroutine filters a chunk, and when it is done, differs.
func TestEqualRowsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	rows := content()
	var want []byte
	for i := range 4 {
		path := filepath.Join(t.TempDir(), "x.h5")
		write(t, path, 1, rows, 20)
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Errorf("file %d differs from the first", i)
		}
	}
}

// TestStretchesAreEachDeflatedTheirWay writes some chunks with sequences that
// come again, some with none, in turn, and has libhdf5 read them.
func TestStretchesAreEachDeflatedTheirWay(t *testing.T) {
	t.Parallel()
	const rows, width = 400, 1 << 11
	random := rand.New(rand.NewPCG(2, 2))
	letters := make([]byte, 700)
	for i := range letters {
		letters[i] = byte(random.Uint32())
	}
	var want []byte
	for row := range rows {
		text := bytes.Repeat(letters, 3)[:width]
		for i := range text {
			if row/90%2 == 0 {
				text[i] = byte('a' + random.IntN(9))
			}
		}
		want = append(want, text...)
	}
	var before []byte
	for range 3 {
		path := filepath.Join(t.TempDir(), "x.h5")
		f, err := h5.Create(path, h5.V108)
		if err != nil {
			t.Fatal(err)
		}
		d, err := f.CreateChunked("x", h5.Type{Kind: h5.Uint8}, []int64{rows, width}, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		w := chunk.NewWriter(1)
		w.Add(d, 1, width, 1)
		if err := errors.Join(w.Write(t.Context(), 0, want), w.Close(t.Context())); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if err := errors.Join(d.Read(0, rows, got), d.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Error("the rows differ")
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && !bytes.Equal(file, before) {
			t.Error("the file is not the one before")
		}
		if most := len(want) * 2 / 3; len(file) > most { // three quarters if all were deflated as letters
			t.Errorf("%d bytes for %d of rows", len(file), len(want))
		}
		before = file
	}
}

// one returns a writer of one dataset.
func one(t *testing.T) (*chunk.Writer, *h5.Dataset) {
	t.Helper()
	f, err := h5.Create(filepath.Join(t.TempDir(), "x.h5"), h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.CreateChunked("x", h5.Type{Kind: h5.Int8}, []int64{10_000}, 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(d.Close(), f.Close()) }) // the test may have closed one
	w := chunk.NewWriter(1)
	w.Add(d, 1000, 1, 1)
	return w, d
}

// TestErrorIsReported closes the dataset, so that no chunk can be written.
func TestErrorIsReported(t *testing.T) {
	t.Parallel()
	w, d := one(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_ = w.Write(t.Context(), 0, make([]byte, 10_000)) // may be too early to know
	if err := w.Close(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("close: %v, want %v", err, os.ErrClosed)
	}
}

func TestTooManyRowsAreRefused(t *testing.T) {
	t.Parallel()
	w, _ := one(t)
	_ = w.Write(t.Context(), 0, make([]byte, 11_000)) // may be too early to know
	if err := w.Close(t.Context()); err == nil {
		t.Error("11,000 rows were written to a dataset of 10,000")
	}
}

func TestInterruptedWriterEnds(t *testing.T) {
	t.Parallel()
	w, _ := one(t)
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Write(ctx, 0, make([]byte, 9_500)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = w.Close(ctx) // whether what was left got its place is all the same: it returns
}
