package rescue

import (
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
