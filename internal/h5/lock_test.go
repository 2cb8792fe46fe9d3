package h5_test

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"windrow/internal/h5"
)

// TestReopenWhileChildrenStart closes and opens files while processes are
// started. A child holds copies of all descriptors until it has become another
// program, and with them a lock of libhdf5's on a file that is closed here.
func TestReopenWhileChildrenStart(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_ = exec.Command("true").Run() // only its start matters
				}
			}
		})
	}
	defer starting.Wait()
	defer close(done)
	dir := t.TempDir()
	for i := range 150 {
		path := filepath.Join(dir, strconv.Itoa(i))
		f, err := h5.Create(path, h5.V110)
		if err != nil {
			t.Fatal(err)
		}
		closed(t, f)
		if f, err = h5.Open(path); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		closed(t, f)
	}
}
