package lazyfs_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"windrow/test/lazyfs"
)

// mounted mounts one, and returns the path of a name in it.
func mounted(t *testing.T) (*lazyfs.FS, func(elem ...string) string) {
	t.Helper()
	dir := t.TempDir()
	return lazyfs.New(t, dir), func(elem ...string) string { return filepath.Join(append([]string{dir}, elem...)...) }
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// sync syncs a file or a directory.
func sync(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync(), f.Close())
}

func losePower(t *testing.T, f *lazyfs.FS) {
	t.Helper()
	must(t, f.LosePower(nil))
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func isGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is there: %v", path, err)
	}
}

func TestNothingIsLostWhileThePowerIsOn(t *testing.T) {
	t.Parallel()
	_, path := mounted(t)
	must(t, os.MkdirAll(path("a", "b"), 0o700), os.WriteFile(path("a", "b", "file"), []byte("written"), 0o600))
	must(t, os.Rename(path("a", "b", "file"), path("a", "file")), os.Remove(path("a", "b")))
	holds(t, path("a", "file"), "written")
	must(t, os.Truncate(path("a", "file"), 3), os.Truncate(path("a", "file"), 5))
	holds(t, path("a", "file"), "wri\x00\x00")
	if err := os.Remove(path("a")); !errors.Is(err, syscall.ENOTEMPTY) {
		t.Errorf("a directory with a file is removed: %v", err)
	}
}

func TestUnsyncedBytesAreLost(t *testing.T) {
	t.Parallel()
	f, path := mounted(t)
	synced := bytes.Repeat([]byte("durable "), 2000)
	must(t, os.WriteFile(path("never"), synced, 0o600), os.WriteFile(path("before"), synced, 0o600), os.WriteFile(path("cut"), synced, 0o600))
	for _, name := range []string{"before", "cut", "."} {
		sync(t, path(name))
	}
	file, err := os.OpenFile(path("before"), os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt([]byte("lost"), 5000)
	must(t, err)
	_, err = file.WriteAt([]byte("lost"), 20_000)
	must(t, err, file.Close(), os.Truncate(path("cut"), 10), os.Truncate(path("cut"), 9000))

	losePower(t, f)
	holds(t, path("never"), "")
	holds(t, path("before"), string(synced))
	holds(t, path("cut"), string(synced))
}

func TestSyncedBytesStay(t *testing.T) {
	t.Parallel()
	f, path := mounted(t)
	file, err := os.OpenFile(path("synchronous"), os.O_CREATE|os.O_WRONLY|os.O_SYNC, 0o600)
	must(t, err)
	_, err = file.WriteString("each write")
	must(t, err, file.Close())
	must(t, os.WriteFile(path("once"), []byte("all of it"), 0o600))
	sync(t, path("once"))
	sync(t, path())

	losePower(t, f)
	holds(t, path("synchronous"), "each write")
	holds(t, path("once"), "all of it")
}

func TestUnsyncedNamesAreLost(t *testing.T) {
	t.Parallel()
	f, path := mounted(t)
	must(t, os.WriteFile(path("old"), []byte("first"), 0o600))
	sync(t, path("old"))
	sync(t, path())
	must(t, os.WriteFile(path("new"), []byte("second"), 0o600))
	sync(t, path("new"))
	must(t, os.Rename(path("new"), path("old")), os.Mkdir(path("folder"), 0o700), os.WriteFile(path("folder", "file"), nil, 0o600))
	sync(t, path("folder"))

	losePower(t, f)
	holds(t, path("old"), "first")
	isGone(t, path("new"))
	isGone(t, path("folder"))

	must(t, os.WriteFile(path("new"), []byte("second"), 0o600))
	sync(t, path("new"))
	must(t, os.Rename(path("new"), path("old")))
	sync(t, path())
	must(t, os.Remove(path("old")))

	losePower(t, f)
	holds(t, path("old"), "second")
	isGone(t, path("new"))
}

// TestChanceKeepsWhatItLikes loses power while a file is written over and
// grows: a page is as it was or as it is, and both happen.
func TestChanceKeepsWhatItLikes(t *testing.T) {
	t.Parallel()
	f, path := mounted(t)
	old, written := bytes.Repeat([]byte("o"), 40*4096), bytes.Repeat([]byte("w"), 60*4096)
	must(t, os.WriteFile(path("file"), old, 0o600))
	sync(t, path("file"))
	sync(t, path())
	r := rand.New(rand.NewPCG(1, 0))
	seen := map[byte]int{}
	for range 10 {
		file, err := os.OpenFile(path("file"), os.O_WRONLY, 0)
		must(t, err)
		_, err = file.WriteAt(written, 0)
		must(t, err, file.Close())
		must(t, f.LosePower(func() bool { return r.IntN(2) == 0 }))
		got, err := os.ReadFile(path("file"))
		must(t, err)
		if n := len(got); n != len(old) && n != len(written) {
			t.Fatalf("%d bytes are left", n)
		}
		for page := range len(got) / 4096 {
			first := got[page*4096]
			if !bytes.Equal(got[page*4096:][:4096], bytes.Repeat([]byte{first}, 4096)) {
				t.Fatalf("page %d is torn", page)
			}
			seen[first]++
		}
		must(t, os.WriteFile(path("file"), old, 0o600))
		sync(t, path("file"))
	}
	for _, b := range []byte{'o', 'w', 0} {
		if seen[b] < 20 {
			t.Errorf("%d pages of %q, of %v", seen[b], b, seen)
		}
	}
}
