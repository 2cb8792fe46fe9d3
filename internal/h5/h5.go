// Package h5 is windrow's only door to libhdf5.
//
// Files, datasets and dataspaces are handles of gonum.org/v1/hdf5, used where
// that is safe: bytes go in and out through buffers whose length was checked
// against the file. What the binding lacks or gets wrong (versions of the file
// format, early allocation, offsets, string attributes, dimension scales) is
// in shim.c.
//
// All calls are serialised: libhdf5 has one lock inside, its high-level part
// has none. The library keeps its error stack for each OS thread, so a call
// and the question why it failed are made on one thread. Files and datasets
// are safe for concurrent use; after Close, all but Close is os.ErrClosed.
//
// A call that returns nil does not prove that bytes are on the disk: libhdf5
// never syncs, and H5Fclose hides a full disk. Callers sync, and read back.
package h5

/*
#cgo linux,!arm64 CFLAGS: -I/usr/lib/x86_64-linux-gnu/hdf5/serial/include
#cgo linux,!arm64 LDFLAGS: -L/usr/lib/x86_64-linux-gnu/hdf5/serial
#cgo linux,arm64 CFLAGS: -I/usr/lib/aarch64-linux-gnu/hdf5/serial/include
#cgo linux,arm64 LDFLAGS: -L/usr/lib/aarch64-linux-gnu/hdf5/serial
#cgo LDFLAGS: -lhdf5 -lhdf5_hl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"gonum.org/v1/hdf5"
)

var (
	library  sync.Mutex
	prepared bool
)

// call makes one call of libhdf5 and returns its error with the reason.
func call(op, object string, f func() error) error {
	library.Lock()
	defer library.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	C.h5_listen()
	if !prepared {
		if C.h5_stay_in_file() < 0 {
			return newError(op, object, C.GoString(C.h5_reason()), errNoReason)
		}
		prepared = true
	}
	if err := f(); err != nil {
		return newError(op, object, C.GoString(C.h5_reason()), err)
	}
	return nil
}

// handle is a file or a dataset of the binding; its ID is 0 once it is closed.
type handle interface{ ID() int64 }

// callOn is call with the identifier of what must be open.
func callOn(h handle, op, object string, f func(id C.hid_t) error) error {
	return call(op, object, func() error {
		id := h.ID()
		if id == 0 {
			return os.ErrClosed
		}
		return f(C.hid_t(id))
	})
}

var (
	errNoReason = errors.New("libhdf5 gives no reason")
	errOther    = errors.New("of another type or size")
)

// check returns the error of a call of the shim.
func check(status C.herr_t) error {
	switch {
	case status < 0:
		return errNoReason
	case status == C.OTHER:
		return errOther
	}
	return nil
}

// LibVersion returns the version of libhdf5.
func LibVersion() string {
	library.Lock()
	defer library.Unlock()
	v, err := hdf5.LibVersion()
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Release)
}

// File is an open HDF5 file.
type File struct {
	path string
	file *hdf5.File
}

// Create makes the file at path, which must not exist, and opens it for
// writing. Equal calls make equal bytes: no times are stored.
func Create(path string, bounds Bounds) (*File, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	err := call("create", path, func() error {
		return withoutFork(func() error { return check(C.h5_create_file(name, C.int(bounds))) })
	})
	if err != nil {
		return nil, err
	}
	f, err := open(path, hdf5.F_ACC_RDWR)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	err = callOn(f.file, "set the format of", path, func(id C.hid_t) error { return check(C.h5_set_bounds(id, C.int(bounds))) })
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

// Open opens the file at path for reading.
func Open(path string) (*File, error) { return open(path, hdf5.F_ACC_RDONLY) }

// OpenUnclosed opens a file for reading that its writer did not close, which Open
// refuses with ErrTruncated. What lies beyond the end of the file reads as zeros,
// without an error.
func OpenUnclosed(path string) (f *File, err error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var id C.hid_t
	err = call("open", path, func() error {
		return withoutFork(func() error {
			if id = C.h5_open_unclosed(name); id < 0 {
				return errNoReason
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	f, err = Open(path) // which shares what is open
	closed := call("close", path, func() error { return check(C.H5Fclose(id)) })
	if err == nil && closed != nil {
		err = errors.Join(closed, f.Close())
	}
	return f, err
}

func open(path string, flags int) (*File, error) {
	f := &File{path: path}
	err := call("open", path, func() error {
		return withoutFork(func() (err error) {
			if f.file, err = hdf5.OpenFile(path, flags); err != nil {
				return err
			}
			if err := check(C.h5_close_on_exec(C.hid_t(f.file.ID()))); err != nil {
				return errors.Join(err, f.file.Close())
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// withoutFork runs f, which opens a file, while no process is started.
// libhdf5 opens without O_CLOEXEC: a child would inherit the descriptor and
// the lock on it.
func withoutFork(f func() error) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return f()
}

// Close closes the file. Datasets that are still open are an error: the file
// stays open with them, and locked. It may be called again.
func (f *File) Close() error {
	return call("close", f.path, func() error {
		id := C.hid_t(f.file.ID())
		if id == 0 {
			return nil
		}
		left := C.h5_open_objects(id) - 1 // the file counts, too
		if err := f.file.Close(); err != nil {
			return err
		}
		if left != 0 {
			return fmt.Errorf("%d objects are still open in it", left)
		}
		return nil
	})
}

// Group makes a group.
func (f *File) Group(name string) error {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return callOn(f.file, "create group", name, func(id C.hid_t) error { return check(C.h5_create_group(id, n)) })
}

// Names returns the names of the datasets in the root group, in the order of
// the alphabet.
func (f *File) Names() ([]string, error) {
	var names []string
	err := callOn(f.file, "list", f.path, func(C.hid_t) error {
		n, err := f.file.NumObjects()
		if err != nil {
			return err
		}
		for i := range n {
			kind, err := f.file.ObjectTypeByIndex(i)
			if err != nil {
				return err
			}
			if kind != hdf5.H5G_DATASET {
				continue
			}
			name, err := f.file.ObjectNameByIndex(i)
			if err != nil {
				return err
			}
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// Dataset is an open dataset.
type Dataset struct {
	name    string
	dataset *hdf5.Dataset
}

// Create makes a dataset and opens it: contiguous, with its space allocated
// at once and not filled.
func (f *File) Create(name string, t Type, dims []int64) (*Dataset, error) {
	return f.create(name, t, dims, Layout{})
}

func (f *File) create(name string, t Type, dims []int64, l Layout) (*Dataset, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	err := callOn(f.file, "create dataset", name, func(id C.hid_t) error {
		if !t.Valid() {
			return fmt.Errorf("there is no type %+v", t)
		}
		if _, ok := product(int64(max(1, t.Bytes())), dims); !ok || len(dims) == 0 || len(dims) > maxRank {
			return fmt.Errorf("shape %v is not possible", dims)
		}
		size := make([]C.hsize_t, len(dims))
		for i, d := range dims {
			size[i] = C.hsize_t(d)
		}
		return check(C.h5_create_dataset(id, n, C.int(t.Kind), C.size_t(t.Len), C.int(len(dims)), &size[0], C.hsize_t(l.ChunkRows), C.int(l.Level)))
	})
	if err != nil {
		return nil, err
	}
	return f.Dataset(name)
}

// WriteScalar makes a dataset that is a single number, from the bytes of one
// element of type t.
func (f *File) WriteScalar(name string, t Type, value []byte) (err error) {
	if t.Kind == String || len(value) != t.Bytes() {
		return fmt.Errorf("write %s: %d bytes for a number", name, len(value))
	}
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	err = callOn(f.file, "create dataset", name, func(id C.hid_t) error {
		var none C.hsize_t
		return check(C.h5_create_dataset(id, n, C.int(t.Kind), 0, 0, &none, 0, 0))
	})
	if err != nil {
		return err
	}
	d, err := f.Dataset(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return callOn(d.dataset, "write", name, func(id C.hid_t) error {
		return check(C.h5_write_scalar(id, C.int(t.Kind), unsafe.Pointer(&value[0])))
	})
}

// product returns the bytes of elements of a shape, unless they are too many.
func product(element int64, dims []int64) (bytes int64, ok bool) {
	total := uint64(element)
	for _, dim := range dims {
		high, low := bits.Mul64(total, uint64(dim))
		if dim < 0 || high > 0 || low > math.MaxInt64 {
			return 0, false
		}
		total = low
	}
	return int64(total), true
}

// Dataset opens a dataset.
func (f *File) Dataset(name string) (*Dataset, error) {
	d := &Dataset{name: name}
	err := callOn(f.file, "open dataset", name, func(C.hid_t) (err error) {
		d.dataset, err = f.file.OpenDataset(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// Close closes the dataset. It may be called again.
func (d *Dataset) Close() error {
	return call("close dataset", d.name, func() error { return d.dataset.Close() }) // the binding allows two
}

// Offset returns where in the file the content begins. A dataset without
// elements has none, which is an error.
func (d *Dataset) Offset() (offset int64, err error) {
	err = callOn(d.dataset, "find the content of", d.name, func(id C.hid_t) error {
		if offset = int64(C.h5_offset(id)); offset < 0 {
			return errors.New("no content at one place in the file: empty, or chunked")
		}
		return nil
	})
	return offset, err
}

// maxRank is the largest number of dimensions that libhdf5 knows.
const maxRank = 32

// Dims returns the size of each dimension.
func (d *Dataset) Dims() ([]int64, error) {
	var dims []int64
	err := callOn(d.dataset, "read the shape of", d.name, func(id C.hid_t) error {
		var size [maxRank]C.hsize_t
		rank := C.h5_rank(id, &size[0], maxRank)
		if rank < 0 {
			return errNoReason
		}
		for _, s := range size[:rank] {
			if s > math.MaxInt64 {
				return errors.New("a dimension exceeds 63 bits")
			}
			dims = append(dims, int64(s))
		}
		return nil
	})
	return dims, err
}

// Is tells whether the elements are of type t, byte order included.
func (d *Dataset) Is(t Type) bool {
	var is bool
	err := callOn(d.dataset, "read the type of", d.name, func(id C.hid_t) error {
		is = t.Valid() && C.h5_is_type(id, C.int(t.Kind), C.size_t(t.Len)) != 0
		return nil
	})
	return err == nil && is
}

// Plain tells whether Read reads the elements: numbers, enumerations, and text
// of fixed length.
func (d *Dataset) Plain() bool {
	var plain bool
	err := callOn(d.dataset, "read the type of", d.name, func(id C.hid_t) error {
		plain = C.h5_is_plain(id) != 0
		return nil
	})
	return err == nil && plain
}

// ElementBytes returns the size of one element in the file, or 0 if the file
// does not tell.
func (d *Dataset) ElementBytes() int {
	size, _ := d.elementBytes() // 0 with an error
	return size
}

func (d *Dataset) elementBytes() (int, error) {
	var size uint
	err := callOn(d.dataset, "read the type of", d.name, func(C.hid_t) error {
		t, err := d.dataset.Datatype()
		if err != nil {
			return err
		}
		size = t.Size()
		return t.Close()
	})
	if err == nil && size == 0 {
		err = newError("read the type of", d.name, "", errNoReason)
	}
	return int(size), err
}

// Read reads n rows, the first dimension, from row first on, into buffer,
// whose length must be exactly that of the rows. Elements that are neither
// numbers nor text of fixed length are refused: in memory they are pointers.
func (d *Dataset) Read(first, n int64, buffer []byte) error {
	return d.transfer("read", first, n, buffer, func(memory, file *hdf5.Dataspace) error {
		return d.dataset.ReadSubset(&buffer, memory, file)
	})
}

// Write writes n rows from buffer, as Read reads them. After an error the file
// is worthless.
func (d *Dataset) Write(first, n int64, buffer []byte) error {
	return d.transfer("write", first, n, buffer, func(memory, file *hdf5.Dataspace) error {
		return d.dataset.WriteSubset(&buffer, memory, file)
	})
}

// transfer selects rows and moves them. The binding trusts lengths blindly, so
// all are checked here.
func (d *Dataset) transfer(op string, first, n int64, buffer []byte, move func(memory, file *hdf5.Dataspace) error) error {
	dims, err := d.Dims()
	if err != nil {
		return err
	}
	size, err := d.elementBytes()
	if err != nil {
		return err
	}
	if len(dims) == 0 || first < 0 || n < 0 || n > dims[0] || first > dims[0]-n {
		return fmt.Errorf("%s %s: rows %d to %d of a shape %v", op, d.name, first, first+n-1, dims)
	}
	dims[0] = n
	if want, ok := product(int64(size), dims); !ok || want != int64(len(buffer)) {
		return fmt.Errorf("%s %s: a buffer of %d bytes for %d rows of shape %v, %d bytes each", op, d.name, len(buffer), n, dims[1:], size)
	}
	if len(buffer) == 0 {
		return nil
	}
	return callOn(d.dataset, op, d.name, func(id C.hid_t) error {
		if C.h5_is_plain(id) == 0 {
			return errOther
		}
		return d.move(first, dims, move)
	})
}

// move selects the rows of shape dims from row first on and moves them.
func (d *Dataset) move(first int64, dims []int64, move func(memory, file *hdf5.Dataspace) error) (err error) {
	start, count := make([]uint, len(dims)), make([]uint, len(dims))
	start[0] = uint(first)
	for i, dim := range dims {
		count[i] = uint(dim)
	}
	file := d.dataset.Space()
	if file == nil {
		return errors.New("no dataspace")
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.SelectHyperslab(start, nil, count, nil); err != nil {
		return err
	}
	memory, err := hdf5.CreateSimpleDataspace(count, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	return move(memory, file)
}
