package h5

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Text attributes are scalar, of variable length and UTF-8: what h5py returns
// as str.

// SetString sets a text attribute of the root group.
func (f *File) SetString(name, value string) error { return setString(f.file, name, value) }

// SetString sets a text attribute of the dataset.
func (d *Dataset) SetString(name, value string) error { return setString(d.dataset, name, value) }

func setString(h handle, name, value string) error {
	n, v := C.CString(name), C.CString(value)
	defer C.free(unsafe.Pointer(n))
	defer C.free(unsafe.Pointer(v))
	return callOn(h, "set attribute", name, func(id C.hid_t) error {
		if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
			return errors.New("not UTF-8 without NUL")
		}
		return check(C.h5_set_string(id, n, v))
	})
}

// SetNumber sets a scalar attribute of the root group from the bytes of one
// element of type t.
func (f *File) SetNumber(name string, t Type, value []byte) error {
	return setNumbers(f.file, name, t, 0, value)
}

// SetNumber sets a scalar attribute of the dataset.
func (d *Dataset) SetNumber(name string, t Type, value []byte) error {
	return setNumbers(d.dataset, name, t, 0, value)
}

// SetNumbers sets an attribute of the root group that is an array of n elements
// of type t.
func (f *File) SetNumbers(name string, t Type, n int, values []byte) error {
	return setArray(f.file, name, t, n, values)
}

// SetNumbers sets an attribute of the dataset that is such an array.
func (d *Dataset) SetNumbers(name string, t Type, n int, values []byte) error {
	return setArray(d.dataset, name, t, n, values)
}

func setArray(h handle, name string, t Type, n int, values []byte) error {
	if n < 1 {
		return fmt.Errorf("set attribute %s: %d numbers", name, n)
	}
	return setNumbers(h, name, t, n, values)
}

// setNumbers sets an array of n elements, or a scalar if n is 0.
func setNumbers(h handle, name string, t Type, n int, values []byte) error {
	if t.Kind == String || len(values) != max(1, n)*t.Bytes() {
		return fmt.Errorf("set attribute %s: %d bytes for %d numbers", name, len(values), max(1, n))
	}
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return callOn(h, "set attribute", name, func(id C.hid_t) error {
		return check(C.h5_set_numbers(id, s, C.int(t.Kind), C.int(n), unsafe.Pointer(&values[0])))
	})
}

// SetStringOf sets a text attribute of the group or dataset at path.
func (f *File) SetStringOf(path, name, value string) error {
	return f.with(path, func(h handle) error { return setString(h, name, value) })
}

// SetNumberOf sets a scalar attribute of the group or dataset at path.
func (f *File) SetNumberOf(path, name string, t Type, value []byte) error {
	return f.with(path, func(h handle) error { return setNumbers(h, name, t, 0, value) })
}

// object is an open group or dataset.
type object struct{ id C.hid_t }

// ID implements handle.
func (o object) ID() int64 { return int64(o.id) }

// with opens an object for a function.
func (f *File) with(path string, do func(handle) error) error {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	var o object
	err := callOn(f.file, "open", path, func(id C.hid_t) error {
		if o.id = C.h5_open_object(id, p); o.id < 0 {
			return errNoReason
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(do(o), call("close", path, func() error { C.h5_close_object(o.id); return nil }))
}

// String returns a text attribute of the root group.
func (f *File) String(name string) (string, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var value *C.char
	err := callOn(f.file, "read attribute", name, func(id C.hid_t) error { return check(C.h5_get_string(id, n, &value)) })
	if err != nil {
		return "", err
	}
	defer C.free(unsafe.Pointer(value))
	return C.GoString(value), nil
}

// Int returns a scalar attribute of the root group as a whole number.
func (f *File) Int(name string) (int64, error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var value C.int64_t
	err := callOn(f.file, "read attribute", name, func(id C.hid_t) error { return check(C.h5_get_int(id, n, &value)) })
	return int64(value), err
}

// MakeScale makes the dataset a dimension scale.
func (d *Dataset) MakeScale(name string) error {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	return callOn(d.dataset, "make a scale of", d.name, func(id C.hid_t) error { return check(C.H5DSset_scale(id, n)) })
}

// AttachScale says that scale gives the values along dimension dim.
func (d *Dataset) AttachScale(dim int, scale *Dataset) error {
	return callOn(d.dataset, "attach scale to", d.name, func(id C.hid_t) error {
		if scale.dataset.ID() == 0 {
			return os.ErrClosed
		}
		return check(C.H5DSattach_scale(id, C.hid_t(scale.dataset.ID()), C.uint(dim)))
	})
}
