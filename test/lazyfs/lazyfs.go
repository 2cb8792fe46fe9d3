// Package lazyfs is a file system that loses power.
//
// It is mounted with FUSE and lives in memory, twice: as processes see it, and
// as it is on the disk. A sync brings the one to the other, of a file its
// bytes, of a directory its names, and nothing else. LosePower makes of it what
// is on the disk; of what was not synced nothing survives, or what chance will
// have. So it is as lazy as POSIX allows, and lazier than file systems are:
// ext4 makes the name of a file durable with its bytes.
//
// Symbolic links are not there. The process that mounts it must
// not map its files into memory: a thread that waits for a page is none that
// could bring it, and the Go runtime may wait for that thread.
package lazyfs

import (
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// FS is a mounted file system.
type FS struct {
	mountPoint string
	server     *fuse.Server

	mu    sync.Mutex // guards the nodes
	root  *dir
	nodes uint64
}

// New mounts an empty file system for a test, or skips the test where there is
// no /dev/fuse or no right to mount. It is unmounted when the test is over; no
// process may have anything open in it then.
func New(t *testing.T, mountPoint string) *FS {
	t.Helper()
	f := &FS{mountPoint: mountPoint}
	f.root = f.newDir(0o755)
	if err := f.mount(); err != nil {
		t.Skipf("not run: no file system of FUSE that could lose power: %v", err)
	}
	t.Cleanup(func() {
		if err := f.server.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *FS) mount() (err error) {
	// The kernel may believe what it has seen: nobody else changes anything.
	valid := time.Hour
	// go-fuse opens /dev/fuse in a way that a process started now would inherit.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	f.server, err = fs.Mount(f.mountPoint, &inode{fs: f, node: f.root}, &fs.Options{
		MountOptions: fuse.MountOptions{Name: "lazyfs", FsName: "lazyfs", DirectMountStrict: true, MaxWrite: 1 << 20},
		EntryTimeout: &valid, AttrTimeout: &valid,
	})
	if err != nil {
		return fmt.Errorf("mount %s: %w", f.mountPoint, err)
	}
	return nil
}

// LosePower unmounts the file system, forgets what was not synced, and mounts
// it again. Whoever used it must have died. Each change that was not synced
// survives if survives says so; nil: none does.
func (f *FS) LosePower(survives func() bool) error {
	if survives == nil {
		survives = func() bool { return false }
	}
	if err := f.server.Unmount(); err != nil {
		return fmt.Errorf("lose power: %w", err)
	}
	f.root.losePower(survives)
	return f.mount()
}

func (f *FS) newNumber() uint64 {
	f.nodes++
	return f.nodes
}

func (f *FS) newDir(mode uint32) *dir {
	return &dir{inode: f.newNumber(), mode: mode&0o7777 | syscall.S_IFDIR, names: map[string]node{}}
}

func (f *FS) newFile(mode uint32) *file {
	return &file{inode: f.newNumber(), mode: mode&0o7777 | syscall.S_IFREG, before: map[int64][]byte{}}
}
