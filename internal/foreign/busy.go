package foreign

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Busy returns a *DamagedError if another process has the file open for writing:
// what is in it is not yet what will be. It holds the lock with which libhdf5
// keeps others away from a file that it writes; or the file is marked as being
// written, and a process has it open for writing: a writer with SWMR gives the
// lock back, and only looking at the processes of this host tells it from one
// that was killed.
//
// A shared lock is asked for, and given back at once, so readers do not disturb
// each other. Where the file system has no locks nobody is found, nor among the
// processes of other users.
func Busy(path string) error {
	if _, err := lookAt(path); err != nil {
		return nil // which is told when it is read
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // nothing was written
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	marked, multiple := marks(f)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return unread("another process has it open for writing")
	case marked && multiple && hasWriter(f):
		return unread("another process has it open for writing, with SWMR")
	case marked && hasWriter(f):
		return unread("another process has it open for writing")
	}
	return nil
}

// unread returns the DamagedError of a file that may be sound.
func unread(reason string) error { return &DamagedError{Reason: reason, Unread: true} }

// The superblock of HDF5, which may begin at 0, 512 and each double of it, has a
// byte of marks from its version 3 on.
const (
	superblockBytes = 12
	superblockMost  = 1 << 20 // how far it is looked for
	versionAt       = 8
	marksAt         = 11
	writeMark       = 1
	swmrMark        = 4
)

var signature = []byte("\x89HDF\r\n\x1a\n")

// marks tells whether a file says of itself that it is being written, and with
// SWMR: by one writer beside many readers.
func marks(f *os.File) (writes, swmr bool) {
	_, block := superblock(f, superblockBytes)
	marked := block != nil && block[versionAt] >= 3 && block[marksAt]&writeMark != 0
	return marked, marked && block[marksAt]&swmrMark != 0
}

// superblock returns where the superblock of a file begins, and so many bytes of
// it; nil: there is none.
func superblock(f *os.File, size int) (at int64, block []byte) {
	block = make([]byte, size)
	for ; at <= superblockMost; at = max(512, 2*at) {
		if _, err := f.ReadAt(block, at); err != nil {
			return 0, nil
		}
		if bytes.HasPrefix(block, signature) {
			return at, block
		}
	}
	return 0, nil
}

// hasWriter tells whether a process that may be looked at has a file open for
// writing.
func hasWriter(f *os.File) bool {
	file, err := f.Stat()
	if err != nil {
		return false
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is none that is wrong
	for _, link := range open {
		info, err := os.Stat(link)
		if err != nil || !os.SameFile(info, file) {
			continue
		}
		about, _ := os.ReadFile(strings.Replace(link, "/fd/", "/fdinfo/", 1)) // of one that ended: nothing
		_, rest, _ := strings.Cut(string(about), "flags:")
		octal, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
		if flags, err := strconv.ParseInt(octal, 8, 64); err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY {
			return true
		}
	}
	return false
}
