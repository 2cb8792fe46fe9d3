package dataset

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
)

// NoSpaceError says that the file system cannot hold a file.
type NoSpaceError struct {
	Path      string
	Needed    int64 // bytes of the file
	Available int64 // bytes free when it was tried
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("no space for %s: %d bytes needed, %d available", e.Path, e.Needed, e.Available)
}

// Unwrap returns the system's error.
func (e *NoSpaceError) Unwrap() error { return syscall.ENOSPC }

// noSpace returns err, as a *NoSpaceError if it says that the disk or the
// user's quota is full.
func noSpace(err error, path string, needed int64) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return &NoSpaceError{Path: path, Needed: needed, Available: available(filepath.Dir(path))}
}

func available(dir string) int64 {
	var stat syscall.Statfs_t
	if syscall.Statfs(dir, &stat) != nil {
		return 0
	}
	return int64(stat.Bavail) * stat.Bsize //nolint:gosec // a file system is smaller than 8 EiB
}
