package lazyfs

import (
	"context"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// inode is a node as the kernel knows it, while the file system is mounted.
type inode struct {
	fs.Inode

	fs   *FS
	node node
}

var _ interface {
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeMkdirer
	fs.NodeCreater
	fs.NodeLinker
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeOpener
	fs.NodeReader
	fs.NodeWriter
	fs.NodeAllocater
	fs.NodeFsyncer
	fs.NodeFlusher
	fs.NodeStatfser
} = (*inode)(nil)

// handle is an open file.
type handle struct{ synchronous bool } // every write is synced

func newHandle(flags uint32) *handle { return &handle{flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0} }

// locked takes the lock and returns what releases it.
func (i *inode) locked() func() {
	i.fs.mu.Lock()
	return i.fs.mu.Unlock
}

func (i *inode) dir() *dir   { return i.node.(*dir) }  //nolint:errcheck // the kernel knows which is which
func (i *inode) file() *file { return i.node.(*file) } //nolint:errcheck // the same

func describe(n node, out *fuse.Attr) {
	out.Ino, out.Nlink, out.Blksize = n.number(), 1, pageSize
	switch n := n.(type) {
	case *dir:
		out.Mode = n.mode
	case *file:
		out.Mode, out.Size = n.mode, uint64(len(n.data))
		out.Blocks = (out.Size + 511) / 512
	}
}

// known returns the inode of a node under this one.
func (i *inode) known(ctx context.Context, n node, out *fuse.EntryOut) *fs.Inode {
	describe(n, &out.Attr)
	return i.NewInode(ctx, &inode{fs: i.fs, node: n}, fs.StableAttr{Mode: out.Mode & syscall.S_IFMT, Ino: n.number()})
}

// Lookup finds a name.
func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	defer i.locked()()
	n, found := i.dir().names[name]
	if !found {
		return nil, syscall.ENOENT
	}
	return i.known(ctx, n, out), 0
}

// Readdir lists the names.
func (i *inode) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	defer i.locked()()
	var entries []fuse.DirEntry
	for name, n := range i.dir().names {
		var a fuse.Attr
		describe(n, &a)
		entries = append(entries, fuse.DirEntry{Name: name, Mode: a.Mode, Ino: a.Ino})
	}
	return fs.NewListDirStream(entries), 0
}

// Getattr describes the node.
func (i *inode) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	defer i.locked()()
	describe(i.node, &out.Attr)
	return 0
}

// Setattr changes its size or mode. Modes are durable at once, times are not
// kept.
func (i *inode) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	defer i.locked()()
	if mode, given := in.GetMode(); given {
		switch n := i.node.(type) {
		case *dir:
			n.mode = n.mode&syscall.S_IFMT | mode&0o7777
		case *file:
			n.mode = n.mode&syscall.S_IFMT | mode&0o7777
		}
	}
	if size, given := in.GetSize(); given {
		i.file().resize(int64(size))
	}
	describe(i.node, &out.Attr)
	return 0
}

// Mkdir makes a directory.
func (i *inode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	defer i.locked()()
	n := i.fs.newDir(mode)
	i.dir().change(map[string]node{name: n})
	return i.known(ctx, n, out), 0
}

// Create makes a file and opens it.
func (i *inode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	defer i.locked()()
	n := i.fs.newFile(mode)
	i.dir().change(map[string]node{name: n})
	return i.known(ctx, n, out), newHandle(flags), 0, 0
}

// Link gives a file one more name.
func (i *inode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	defer i.locked()()
	n := target.(*inode).node //nolint:errcheck // there are no others
	i.dir().change(map[string]node{name: n})
	return i.known(ctx, n, out), 0
}

// Unlink removes a name of a file.
func (i *inode) Unlink(_ context.Context, name string) syscall.Errno {
	defer i.locked()()
	i.dir().change(map[string]node{name: nil})
	return 0
}

// Rmdir removes an empty directory.
func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno {
	defer i.locked()()
	if n, is := i.dir().names[name].(*dir); is && len(n.names) > 0 {
		return syscall.ENOTEMPTY
	}
	i.dir().change(map[string]node{name: nil})
	return 0
}

// Rename is one change in one directory, and two where there are two.
func (i *inode) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	defer i.locked()()
	if flags != 0 { // neither exchanges nor spares what is there
		return syscall.EINVAL
	}
	from, n := i.dir(), i.dir().names[name]
	into := newParent.(*inode).dir() //nolint:errcheck // there are no others
	if replaced, is := into.names[newName].(*dir); is && len(replaced.names) > 0 {
		return syscall.ENOTEMPTY
	}
	if from == into {
		from.change(map[string]node{name: nil, newName: n})
		return 0
	}
	into.change(map[string]node{newName: n})
	from.change(map[string]node{name: nil})
	return 0
}

// Open opens a file. What the kernel keeps of it stays good.
func (i *inode) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	defer i.locked()()
	if flags&syscall.O_TRUNC != 0 {
		i.file().resize(0)
	}
	return newHandle(flags), fuse.FOPEN_KEEP_CACHE, 0
}

// Read reads.
func (i *inode) Read(_ context.Context, _ fs.FileHandle, buffer []byte, at int64) (fuse.ReadResult, syscall.Errno) {
	defer i.locked()()
	return fuse.ReadResultData(i.file().read(buffer, at)), 0
}

// Write writes.
func (i *inode) Write(_ context.Context, h fs.FileHandle, data []byte, at int64) (uint32, syscall.Errno) {
	defer i.locked()()
	i.file().write(data, at)
	if h, is := h.(*handle); is && h.synchronous {
		i.node.sync()
	}
	return uint32(len(data)), 0
}

// Allocate reserves room, which makes a file longer.
func (i *inode) Allocate(_ context.Context, _ fs.FileHandle, at, size uint64, mode uint32) syscall.Errno {
	defer i.locked()()
	if mode != 0 {
		return syscall.EOPNOTSUPP
	}
	f := i.file()
	f.resize(max(int64(at+size), int64(len(f.data))))
	return 0
}

// Fsync makes the bytes of a file or the names of a directory durable.
func (i *inode) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	defer i.locked()()
	i.node.sync()
	return 0
}

// Flush is what the kernel says of a file that is closed: nothing is synced.
func (i *inode) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 }

// Statfs tells of room for everything.
func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = pageSize, pageSize, 255
	out.Blocks, out.Bfree, out.Bavail = 1<<22, 1<<22, 1<<22
	out.Files, out.Ffree = 1<<20, 1<<20
	return 0
}
