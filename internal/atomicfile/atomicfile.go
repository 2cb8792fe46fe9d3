// Package atomicfile makes files appear whole or not at all. It is the only
// place in windrow that renames a file.
//
// A file under its final name is complete and on the disk: it was written
// under another name in the same directory, synced, renamed, and then the
// directory was synced. After a crash at any moment there is the old file or
// the new one, and perhaps a temporary file that nobody reads.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Write makes the file at path hold what write writes. On an error the old
// file, if there is one, is untouched, and no temporary file is left.
func Write(path string, perm os.FileMode, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
			_ = os.Remove(f.Name()) // the first error counts
		}
	}()
	if err := errors.Join(f.Chmod(perm), write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	return Commit(f.Name(), path)
}

// Commit gives the synced file temporary its final name, replacing what has
// it, and makes the name durable. Both must be in one directory.
func Commit(temporary, final string) error {
	if err := Rename(temporary, final); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(final))
}

// Rename is Commit without the sync: after a crash the file has either name.
func Rename(temporary, final string) error {
	if filepath.Dir(temporary) != filepath.Dir(final) {
		return fmt.Errorf("rename %s to %s: not in one directory", temporary, final)
	}
	return os.Rename(temporary, final)
}

// Sync makes the content of the file at path durable.
func Sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// MkdirAll makes the directory at path and what is missing above it, and makes
// the names of them durable: what is synced in a directory is lost with it. A
// directory that is there already gets a durable name too, as who made it may
// have been killed in between.
func MkdirAll(path string, perm os.FileMode) error {
	path = filepath.Clean(path)
	parents := []string{filepath.Dir(path)}
	for dir := parents[0]; ; {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
		parents = append(parents, dir)
	}
	if err := os.MkdirAll(path, perm); err != nil {
		return err
	}
	for _, dir := range slices.Backward(parents) {
		// A directory above ours that we may not read is not ours to sync.
		if err := SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Preallocate reserves the disk space of a file of size bytes, so that a full
// disk shows now (ENOSPC) and not when the file is half written. Where the
// file system cannot reserve, the file only gets its length.
func Preallocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = f.Truncate(size)
	}
	if err != nil {
		return fmt.Errorf("reserve %d bytes for %s: %w", size, f.Name(), err)
	}
	return nil
}
