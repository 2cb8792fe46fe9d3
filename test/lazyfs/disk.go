package lazyfs

import (
	"maps"
	"slices"
)

// node is a *file or a *dir: as processes see it, and what is needed to make
// it again what it is on the disk.
type node interface {
	number() uint64
	// sync brings the disk to what processes see.
	sync()
	// losePower makes of it what is on the disk, with the changes that survive.
	losePower(survives func() bool)
}

// pageSize is what a disk writes at once: of two changes to one page that were
// not synced, both survive or none.
const pageSize = 4096

// file is the bytes of a file.
type file struct {
	inode uint64
	mode  uint32
	data  []byte

	durable int64            // how long it is on the disk
	before  map[int64][]byte // what the disk has in its pages that were written since the last sync
}

func (f *file) number() uint64 { return f.inode }

// remember keeps what the disk has between two places, before it is changed.
func (f *file) remember(from, to int64) {
	for page := from / pageSize; page*pageSize < min(to, f.durable); page++ {
		if _, kept := f.before[page]; !kept {
			f.before[page] = slices.Clone(f.data[page*pageSize : min((page+1)*pageSize, f.durable)])
		}
	}
}

func (f *file) write(data []byte, at int64) {
	end := at + int64(len(data))
	f.remember(at, end)
	f.resize(max(end, int64(len(f.data))))
	copy(f.data[at:], data)
}

func (f *file) read(buffer []byte, at int64) []byte {
	if at >= int64(len(f.data)) {
		return nil
	}
	return buffer[:copy(buffer, f.data[at:])]
}

func (f *file) resize(size int64) {
	if old := int64(len(f.data)); size < old {
		f.remember(size, old)
		clear(f.data[size:]) // it is zeros if the file grows again
		f.data = f.data[:size]
		return
	}
	f.data = slices.Grow(f.data, int(size)-len(f.data))[:size]
}

func (f *file) sync() {
	f.durable, f.before = int64(len(f.data)), map[int64][]byte{}
}

func (f *file) losePower(survives func() bool) {
	size := f.durable
	if survives() {
		size = int64(len(f.data))
	}
	disk := make([]byte, size)
	copy(disk, f.data[:min(size, f.durable, int64(len(f.data)))])
	for page, old := range f.before {
		if at := page * pageSize; at < size && (at >= int64(len(f.data)) || !survives()) {
			copy(disk[at:], old)
		}
	}
	for at := f.durable; at < size; { // what was added: zeros, unless it survives
		end := min(size, (at/pageSize+1)*pageSize)
		if survives() {
			copy(disk[at:end], f.data[at:end])
		}
		at = end
	}
	f.data = disk
	f.sync()
}

// dir is the names in a directory.
type dir struct {
	inode uint64
	mode  uint32
	names map[string]node

	before []map[string]node // of each change since the last sync, what its names were; the oldest first
}

func (d *dir) number() uint64 { return d.inode }

// change gives names to nodes, or to nothing where the node is nil, at once.
func (d *dir) change(now map[string]node) {
	was := map[string]node{}
	for name := range now {
		was[name] = d.names[name]
	}
	d.before = append(d.before, was)
	d.set(now)
}

func (d *dir) set(now map[string]node) {
	maps.Copy(d.names, now)
	maps.DeleteFunc(d.names, func(_ string, n node) bool { return n == nil })
}

func (d *dir) sync() { d.before = nil }

// losePower undoes changes from the last one on: they reach a disk in their
// order.
func (d *dir) losePower(survives func() bool) {
	kept := 0
	for kept < len(d.before) && survives() {
		kept++
	}
	for _, was := range slices.Backward(d.before[kept:]) {
		d.set(was)
	}
	d.sync()
	for _, n := range d.names {
		n.losePower(survives)
	}
}
