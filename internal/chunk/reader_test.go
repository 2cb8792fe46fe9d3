package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"windrow/internal/chunk"
	"windrow/internal/h5"
)

// open opens a dataset of a file.
func open(t *testing.T, path, name string) *h5.Dataset {
	t.Helper()
	f, err := h5.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Dataset(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(d.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func shapeOf(c int) chunk.Shape {
	return chunk.Shape{
		Rows: rows, ChunkRows: chunk.Rows(rows, rowBytes(c)), RowBytes: rowBytes(c), ElementBytes: columns[c].typ.Bytes(),
	}
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	t.Parallel()
	want := content()
	for _, level := range []int{1, 4, 9} {
		t.Run(strconv.Itoa(level), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.h5")
			write(t, path, level, want, 37)
			for c, column := range columns {
				var got []byte
				err := chunk.Read(t.Context(), open(t, path, column.name), shapeOf(c), func(rows []byte) error {
					got = append(got, rows...)
					return nil
				})
				if err != nil || !bytes.Equal(got, want[c]) {
					t.Errorf("column %s: %d bytes of %d, or others: %v", column.name, len(got), len(want[c]), err)
				}
			}
		})
	}
}

// TestReadOfDamagedChunk flips each of some bits of a chunk in the file.
func TestReadOfDamagedChunk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.h5")
	write(t, path, 1, content(), 37)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const layout = 3
	raw, err := open(t, path, "layout").ReadChunk(chunk.Rows(rows, rowBytes(layout)), make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(sound, raw)
	if at < 0 {
		t.Fatal("the chunk is not in the file")
	}
	for _, offset := range []int{0, 1, 2, len(raw) / 2, len(raw) - 5, len(raw) - 1} {
		damaged := bytes.Clone(sound)
		damaged[at+offset] ^= 16
		path := filepath.Join(dir, strconv.Itoa(offset)+".h5")
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		err := chunk.Read(t.Context(), open(t, path, "layout"), shapeOf(layout), func([]byte) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), "the chunk of row "+strconv.Itoa(int(chunk.Rows(rows, rowBytes(layout))))+": ") {
			t.Errorf("byte %d: %v", offset, err)
		}
	}
}

// TestReadStops has visit fail, its caller give up, and a dataset end early.
func TestReadStops(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.h5")
	write(t, path, 1, content(), 37)
	const field = 4
	d, enough := open(t, path, columns[field].name), errors.New("enough")
	visits := 0
	err := chunk.Read(t.Context(), d, shapeOf(field), func([]byte) error {
		if visits++; visits == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || visits != 3 {
		t.Errorf("after %d visits: %v, want %v", visits, err, enough)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = chunk.Read(ctx, d, shapeOf(field), func([]byte) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	longer := shapeOf(field)
	longer.Rows++
	if err := chunk.Read(t.Context(), d, longer, func([]byte) error { return nil }); err == nil {
		t.Error("a chunk was read that is not there")
	}
}

// TestReadable knows what a Writer makes.
func TestReadable(t *testing.T) {
	t.Parallel()
	for c, column := range columns {
		if !shapeOf(c).Readable() {
			t.Errorf("%+v of column %s is not readable", shapeOf(c), column.name)
		}
	}
	for _, s := range []chunk.Shape{
		{Rows: 10, ChunkRows: 0, RowBytes: 8, ElementBytes: 8},
		{Rows: 10, ChunkRows: 16_385, RowBytes: 8, ElementBytes: 8},
		{Rows: 10, ChunkRows: 1 << 40, RowBytes: 1, ElementBytes: 1},
		{Rows: 10, ChunkRows: 2, RowBytes: 100_000, ElementBytes: 8},
	} {
		if s.Readable() {
			t.Errorf("%+v is readable", s)
		}
	}
}
