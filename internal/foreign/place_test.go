package foreign_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"windrow/internal/chunk"
	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// chunkedFile makes a file of 96 numbers in 3 chunks, each deflated and with a
// checksum, and returns its chunks.
func chunkedFile(t *testing.T, level int) (content []byte, chunks []h5.Chunk) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "chunked.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.CreateChunked("aep", h5.Type{Kind: h5.Float64}, []int64{96}, 32, level)
	if err != nil {
		t.Fatal(err)
	}
	numbers := make([]float64, 96)
	for i := range numbers {
		numbers[i] = float64(i)
	}
	w := chunk.NewWriter(level)
	w.Add(d, 32, 8, 8)
	if err := errors.Join(w.Write(t.Context(), 0, bytesOf(numbers)), w.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	all, err := d.Chunks(3)
	if few, errFew := d.Chunks(2); err != nil || errFew != nil || len(all.All) != 3 || len(few.All) != 0 || all.Rows != 32 || all.Across != 1 {
		t.Fatalf("chunks %v, of 2 at most %v: %v, %v", all, few, err, errFew)
	}
	chunks = all.All
	if err := errors.Join(d.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return content, chunks
}

// TestChunksThatNoLibraryStores changes what the index says of the second chunk.
// libhdf5 reads other numbers without an error then, or crashes. The rows of the
// other chunks are still to be had.
func TestChunksThatNoLibraryStores(t *testing.T) {
	t.Parallel()
	reader := reader(t, foreign.DefaultLimits, "play-reader")
	for name, c := range map[string]struct {
		level          int
		size, skipped  uint32 // 0: as it is
		address        func(chunks []h5.Chunk) uint64
		row            uint64
		want           string
		alsoUnreadable int64 // row
	}{
		"less than its checksum": {level: 1, size: 3, want: "dataset aep: the chunk of row 32: it has 3 bytes"},
		"without its checksum":   {level: 1, skipped: 4, want: "dataset aep: the chunk of row 32: it seems to have skipped filter 3, which may not be skipped"},
		"not inflated":           {level: 1, skipped: 2, want: "dataset aep: the chunk of row 32: it has "},
		"not shuffled":           {level: 1, skipped: 1, want: "dataset aep: the chunk of row 32: it seems not to be shuffled"},
		"short":                  {size: 255, want: "dataset aep: the chunk of row 32: it has 255 bytes"},
		"beyond the end":         {address: func([]h5.Chunk) uint64 { return 1 << 40 }, want: "dataset aep: the chunk of row 32: it lies beyond the end of the file"},
		"of a lost address":      {address: func([]h5.Chunk) uint64 { return 0 }, want: "dataset aep: the chunk of row 32: it lies on top of the file's own header"},
		"of other rows":          {row: 64, want: "dataset aep: the chunk of row 64: it is there twice", alsoUnreadable: 64},
		"of no rows":             {row: 320, want: "dataset aep: the chunk of row 320: the dataset has no such chunk"},
		"another's":              {address: func(chunks []h5.Chunk) uint64 { return chunks[2].Address }, want: "dataset aep: two chunks lie on top of each other", alsoUnreadable: 64},
	} {
		content, chunks := chunkedFile(t, c.level)
		at := bytes.Index(content, binary.LittleEndian.AppendUint64(nil, chunks[1].Address))
		key := content[at-8*2-8:] // size, mask, the first element and a 0, then the address
		if got := binary.LittleEndian.Uint32(key); uint64(got) != chunks[1].Bytes {
			t.Fatalf("size of the chunk: %d and %d", got, chunks[1].Bytes)
		}
		if c.size > 0 {
			binary.LittleEndian.PutUint32(key, c.size)
		}
		binary.LittleEndian.PutUint32(key[4:], c.skipped)
		if c.address != nil {
			binary.LittleEndian.PutUint64(content[at:], c.address(chunks))
		}
		if c.row > 0 {
			binary.LittleEndian.PutUint64(key[8:], c.row)
		}
		path := filepath.Join(t.TempDir(), "mutant.h5")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Check(t.Context(), path, nil); err == nil || !bytes.HasPrefix([]byte(err.Error()), []byte(c.want)) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		for _, row := range []int64{0, 31, 32, 63, 64, 95} {
			readable := row/32 != 1 && (c.alsoUnreadable == 0 || row/32 != c.alsoUnreadable/32)
			rows, err := reader.ReadWary(t.Context(), path, "aep", []string{"aep"}, row, 1)
			if (err == nil) != readable || readable && !bytes.Equal(rows.Bytes, bytesOf([]float64{float64(row)})) {
				t.Errorf("%s: row %d: %v, %v", name, row, rows.Bytes, err)
			}
		}
	}
}

// TestRowsOfAFileThatWasCut cuts files short everywhere. libhdf5 reads zeros for
// what lies beyond the end: a row must be as it was, or not be had.
func TestRowsOfAFileThatWasCut(t *testing.T) {
	t.Parallel()
	numbers := make([]float64, 96)
	for i := range numbers {
		numbers[i] = float64(1 + i)
	}
	piece, err := os.ReadFile(file(t, numbers, numbers))
	if err != nil {
		t.Fatal(err)
	}
	packed, _ := chunkedFile(t, 1)
	plain, _ := chunkedFile(t, 0)
	reader := reader(t, foreign.DefaultLimits, "play-reader")
	for name, c := range map[string]struct {
		content []byte
		first   float64 // number
		saved   int     // rows, without the last 98 bytes
	}{"in one piece": {piece, 1, 96}, "in chunks": {plain, 0, 64}, "gzip": {packed, 0, 32}} {
		path := filepath.Join(t.TempDir(), "cut.h5")
		for cut := 1; cut < len(c.content); cut += 97 {
			if err := os.WriteFile(path, c.content[:len(c.content)-cut], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Check(t.Context(), path, nil); err == nil {
				t.Errorf("%s without its last %d bytes: sound", name, cut)
			}
			if _, err := reader.Read(t.Context(), path, "aep", 0, 1); err == nil {
				t.Errorf("%s without its last %d bytes: read without care", name, cut)
			}
			saved := 0
			for row := range int64(96) {
				rows, err := reader.ReadWary(t.Context(), path, "aep", []string{"aep"}, row, 1)
				if err == nil && !bytes.Equal(rows.Bytes, bytesOf([]float64{c.first + float64(row)})) {
					t.Fatalf("%s without its last %d bytes: row %d is %v", name, cut, row, rows.Bytes)
				}
				if err == nil {
					saved++
				}
			}
			if cut == 98 && saved != c.saved {
				t.Errorf("%s: %d rows saved, want %d", name, saved, c.saved)
			}
		}
	}
}

// TestChunkOnAnotherDataset has one chunk of a dataset point to where something of
// another one lies. It is found though the dataset is not required, as merge copies
// it; and neither can be read, as nobody knows which of them is right.
func TestChunkOnAnotherDataset(t *testing.T) {
	t.Parallel()
	reader := reader(t, foreign.DefaultLimits, "play-reader")
	content, aep, wake := twoColumns(t)
	at := bytes.Index(content, binary.LittleEndian.AppendUint64(nil, wake.chunks[1].Address))
	for name, c := range map[string]struct {
		address uint64
		lost    map[string][]int64 // by dataset the first rows of chunks that cannot be read
		want    string
	}{
		"as it was":             {wake.chunks[1].Address, nil, ""},
		"a chunk":               {aep.chunks[2].Address, map[string][]int64{"aep": {64}, "wake": {32}}, "datasets aep and wake lie on top of each other"},
		"on two chunks":         {aep.chunks[1].Address - 8, map[string][]int64{"aep": {0, 32}, "wake": {32}}, "datasets aep and wake lie on top of each other"},
		"the header of another": {aep.header.Address + 8, map[string][]int64{"wake": {32}}, "datasets aep and wake lie on top of each other"},
		"its own header":        {wake.header.Address - 8, map[string][]int64{"wake": {32}}, "dataset wake lies on top of its own header"},
	} {
		binary.LittleEndian.PutUint64(content[at:], c.address)
		path := filepath.Join(t.TempDir(), "mutant.h5")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := reader.Check(t.Context(), path, []string{"aep"})
		if (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		for _, dataset := range []string{"aep", "wake"} {
			for row := int64(0); row < 96; row += 32 {
				rows, err := reader.ReadWary(t.Context(), path, dataset, []string{"aep", "wake"}, row, 1)
				if (err != nil) != slices.Contains(c.lost[dataset], row) {
					t.Errorf("%s: row %d of %s: %v, %v", name, row, dataset, rows.Bytes, err)
				}
			}
		}
	}
}

// stored is where a dataset lies.
type stored struct {
	header h5.Header
	chunks []h5.Chunk
}

// twoColumns makes a file of two datasets of 96 numbers in 3 chunks each.
func twoColumns(t *testing.T) (content []byte, aep, wake stored) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "two.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	for name, about := range map[string]*stored{"aep": &aep, "wake": &wake} {
		d, err := f.CreateChunked(name, h5.Type{Kind: h5.Float64}, []int64{96}, 32, 0)
		if err != nil {
			t.Fatal(err)
		}
		for first := int64(0); first < 96; first += 32 {
			if err := d.WriteChunk(first, bytes.Repeat([]byte{byte(len(name))}, 32*8)); err != nil {
				t.Fatal(err)
			}
		}
		all, err := d.Chunks(3)
		header, errHeader := d.Header()
		if err := errors.Join(err, errHeader, d.Close()); err != nil {
			t.Fatal(err)
		}
		*about = stored{header, all.All}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return content, aep, wake
}
