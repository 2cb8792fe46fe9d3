package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"windrow/internal/atomicfile"
	"windrow/test/lazyfs"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteReplacesWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"first", "second"} {
		err := atomicfile.Write(path, 0o600, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != text {
			t.Errorf("content %q, want %q", got, text)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Write(path, 0o600, func(w io.Writer) error {
		_, err := io.WriteString(w, "half of the n")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("content %q, want the old one", got)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left in the directory: %v, %v", entries, err)
	}
}

func TestRenameStaysInOneDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from := filepath.Join(dir, "a")
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Rename(from, filepath.Join(t.TempDir(), "a")); err == nil {
		t.Error("a file was renamed to another directory, which may be another file system")
	}
	if err := atomicfile.Commit(from, filepath.Join(dir, "b")); err != nil {
		t.Error(err)
	}
}

func TestPreallocateSetsTheLength(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := atomicfile.Preallocate(f, 1<<20); err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Size() != 1<<20 {
		t.Errorf("size %d, %v; want 1 MiB", info.Size(), err)
	}
	if err := atomicfile.Preallocate(f, 1<<60); err == nil {
		t.Error("an exbibyte was reserved")
	}
}

// TestPowerLost loses power after each promise: what is promised is there.
func TestPowerLost(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := lazyfs.New(t, dir)
	losePower := func() {
		t.Helper()
		if err := disk.LosePower(nil); err != nil {
			t.Fatal(err)
		}
	}
	below := filepath.Join(dir, "a", "b", "c")
	path := filepath.Join(below, "file")
	if err := atomicfile.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	losePower()
	for _, text := range []string{"first", "second"} {
		err := atomicfile.Write(path, 0o600, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		losePower()
		if got := content(t, path); got != text {
			t.Errorf("content %q, want %q", got, text)
		}
	}
}

// TestMkdirAllSyncsWhatIsThere: who made the directory may have been killed
// before its name was durable.
func TestMkdirAllSyncsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := lazyfs.New(t, dir)
	below := filepath.Join(dir, "folder")
	if err := errors.Join(os.Mkdir(below, 0o700), atomicfile.MkdirAll(below, 0o700), disk.LosePower(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(below); err != nil {
		t.Error(err)
	}
}
