package h5_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

	"windrow/internal/h5"
)

func TestReadAny(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	types := map[string]h5.Type{
		"f64": {Kind: h5.Float64}, "i16": {Kind: h5.Int16}, "u8": {Kind: h5.Uint8}, "u16": {Kind: h5.Uint16},
		"u32": {Kind: h5.Uint32}, "u64": {Kind: h5.Uint64}, "bool": {Kind: h5.Bool},
		"string(3)": {Kind: h5.String, Len: 3}, "text(3)": {Kind: h5.Text, Len: 3},
	}
	content := func(typ h5.Type) []byte { return bytes.Repeat([]byte{1}, 2*typ.Bytes()) }
	for name, typ := range types {
		d := dataset(t)(f.Create(name, typ, []int64{2}))
		if err := d.Write(0, 2, content(typ)); err != nil {
			t.Errorf("write %s: %v", name, err)
		}
		closed(t, d)
	}
	closed(t, f)
	f = open(t, path)
	for name, typ := range types {
		d := dataset(t)(f.Dataset(name))
		got, err := d.Any()
		if err != nil || got != typ || got.String() != name {
			t.Errorf("%s: is %s, %v", name, got, err)
		}
		buffer := make([]byte, 2*typ.Bytes())
		if err := d.ReadAny(0, 2, buffer); err != nil || !bytes.Equal(buffer, content(typ)) {
			t.Errorf("read %s: %v, %v", name, buffer, err)
		}
		for _, short := range [][]byte{nil, buffer[1:], append(buffer, 0)} {
			if err := d.ReadAny(0, 2, short); err == nil {
				t.Errorf("%s: read into %d bytes", name, len(short))
			}
		}
		if err := d.ReadAny(1, 2, buffer); err == nil {
			t.Errorf("%s: read a row that is not there", name)
		}
		if _, err := d.ReadText(0, 2); err == nil {
			t.Errorf("%s: read as text of any length", name)
		}
		closed(t, d)
	}
	closed(t, f)
}

// TestChunksBehindAUserBlock is about files of MATLAB, which begin with 512 bytes
// of their own: addresses are those in the file.
func TestChunksBehindAUserBlock(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	content := bytes.Repeat([]byte("windrow "), 4)
	d := dataset(t)(f.CreateChunked("x", h5.Type{Kind: h5.Float64}, []int64{4}, 4, 0))
	if err := d.WriteChunk(0, content); err != nil {
		t.Fatal(err)
	}
	closed(t, d)
	d = dataset(t)(f.Create("y", h5.Type{Kind: h5.Float64}, []int64{4}))
	if err := d.Write(0, 4, content); err != nil {
		t.Fatal(err)
	}
	closed(t, d)
	closed(t, f)
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stored = append(make([]byte, 512), stored...)
	if err := os.WriteFile(path, stored, 0o600); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	x, y := dataset(t)(f.Dataset("x")), dataset(t)(f.Dataset("y"))
	chunks, err := x.Chunks(1)
	piece, errPiece := y.Offset()
	if err := errors.Join(err, errPiece); err != nil || len(chunks.All) != 1 {
		t.Fatalf("chunks %v, %v", chunks, err)
	}
	for what, at := range map[string]int64{"chunk": int64(chunks.All[0].Address), "piece": piece} {
		if !bytes.HasPrefix(stored[at:], content) {
			t.Errorf("the %s is not at %d", what, at)
		}
	}
	closed(t, x)
	closed(t, y)
}

func TestStorageAndTypeNames(t *testing.T) {
	t.Parallel()
	f, path := create(t, h5.V108)
	closed(t, dataset(t)(f.Create("text", h5.Type{Kind: h5.Text, Len: 3}, []int64{2})))
	closed(t, dataset(t)(f.CreateChunked("packed", h5.Type{Kind: h5.Float32}, []int64{4, 2}, 3, 5)))
	closed(t, f)
	f = open(t, path)
	for name, want := range map[string]string{"text": "text(3) contiguous [] []", "packed": "f32 chunked [3 2] [{2 true false 0} {1 true false 5} {3 false false 0}]"} {
		d := dataset(t)(f.Dataset(name))
		typeName, err := d.TypeName()
		s, errStorage := d.Storage()
		got := fmt.Sprint(typeName, " ", s.Layout, " ", s.Chunk, " ", s.Filters)
		if err := errors.Join(err, errStorage); err != nil || got != want || d.Null() {
			t.Errorf("%s: %s, %v: want %s", name, got, err, want)
		}
		h, err := d.Header()
		address, errAddress := f.Address(name)
		if err := errors.Join(err, errAddress); err != nil || h.Address != address {
			t.Errorf("%s: at %d and %d, %v", name, h.Address, address, err)
		}
		closed(t, d)
	}
	closed(t, f)
}
