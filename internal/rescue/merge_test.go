package rescue

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"windrow/internal/h5"
)

// TestWhatVerifySays: only what was read tells that a file is not what was
// written, not that nobody waits for the answer.
func TestWhatVerifySays(t *testing.T) {
	t.Parallel()
	seeds := Column{Name: "seed", Type: h5.Type{Kind: h5.Int32}}
	path := filepath.Join(t.TempDir(), "merged.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Create(seeds.Name, seeds.Type, []int64{1})
	if err != nil {
		t.Fatal(err)
	}
	row := []byte{7, 0, 0, 0}
	if err := errors.Join(d.Write(0, 1, row), d.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	m := &merge{schema: schema{columns: []Column{seeds}}, report: &Report{Rows: 1}}
	verify := func(ctx context.Context, written []byte) error {
		m.sums = make([]uint64, 1)
		m.sum(0, 1, written)
		return m.verify(ctx, path)
	}
	if err := verify(t.Context(), row); err != nil {
		t.Errorf("the file as it was written: %v", err)
	}
	if err := verify(t.Context(), []byte{8, 0, 0, 0}); !errors.Is(err, ErrVerify) {
		t.Errorf("another row was written: %v, want %v", err, ErrVerify)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := verify(ended, row); !errors.Is(err, context.Canceled) || errors.Is(err, ErrVerify) {
		t.Errorf("interrupted: %v, want %v", err, context.Canceled)
	}
}

func TestWidest(t *testing.T) {
	t.Parallel()
	of := func(k h5.Kind) h5.Type { return h5.Type{Kind: k} }
	for _, c := range []struct{ a, b, want h5.Kind }{
		{h5.Float32, h5.Float64, h5.Float64},
		{h5.Int8, h5.Int64, h5.Int64},
		{h5.Uint8, h5.Uint16, h5.Uint16},
		{h5.Int8, h5.Uint8, h5.Int16},
		{h5.Int32, h5.Uint8, h5.Int32},
		{h5.Int64, h5.Uint32, h5.Int64},
		{h5.Bool, h5.Bool, h5.Bool},
		{h5.Int64, h5.Uint64, 0},
		{h5.Int64, h5.Float64, 0}, // 2^53+1 is no float
		{h5.Bool, h5.Int8, 0},
		{h5.VarText, h5.Int8, 0},
	} {
		for _, pair := range [][2]h5.Kind{{c.a, c.b}, {c.b, c.a}} {
			got, ok := widest(of(pair[0]), of(pair[1]))
			if got.Kind != c.want || ok != (c.want != 0) {
				t.Errorf("%v and %v: %v, %t, want %v", of(pair[0]), of(pair[1]), got, ok, of(c.want))
			}
		}
	}
}

func TestConvert(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to, from   h5.Kind
		give, want []byte
	}{
		{h5.Int16, h5.Int8, []byte{0xff, 5}, []byte{0xff, 0xff, 5, 0}},
		{h5.Int32, h5.Uint16, []byte{0xff, 0xff}, []byte{0xff, 0xff, 0, 0}},
		{h5.Int64, h5.Uint32, []byte{0xff, 0xff, 0xff, 0xff}, []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
		{h5.Uint64, h5.Uint8, []byte{200}, []byte{200, 0, 0, 0, 0, 0, 0, 0}},
		{h5.Float64, h5.Float32, []byte{0, 0, 0xc0, 0x3f}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}}, // 1.5
	} {
		if got := convert(h5.Type{Kind: c.to}, h5.Type{Kind: c.from}, c.give); !bytes.Equal(got, c.want) {
			t.Errorf("%v as %v: %v, want %v", c.give, h5.Type{Kind: c.to}, got, c.want)
		}
	}
}
