package h5

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"strings"
	"unsafe"
)

// Storage is how the values of a dataset lie in its file, whoever wrote it.
type Storage struct {
	Layout  string   `json:"layout"`            // compact, contiguous, chunked or Virtual
	Outside bool     `json:"outside,omitempty"` // the values are in files of their own
	Chunk   []int64  `json:"chunk,omitempty"`   // the shape of a chunk
	Filters []Filter `json:"filters,omitempty"` // in their order
}

// Virtual is the layout of a dataset that shows parts of others.
const Virtual = "virtual"

var layoutNames = map[C.int]string{
	C.H5D_COMPACT: "compact", C.H5D_CONTIGUOUS: "contiguous", C.H5D_CHUNKED: "chunked", C.H5D_VIRTUAL: Virtual,
}

// Storage tells how the values lie in the file.
func (d *Dataset) Storage() (s Storage, err error) {
	if s.Filters, _, err = d.Filters(); err != nil {
		return s, err
	}
	err = callOn(d.dataset, "read the layout of", d.name, func(id C.hid_t) error {
		var chunk [maxRank]C.hsize_t
		var rank, outside C.int
		layout := C.h5_storage(id, &chunk[0], maxRank, &rank, &outside)
		if layout < 0 {
			return errNoReason
		}
		s.Layout, s.Outside = layoutNames[layout], outside != 0
		for _, n := range chunk[:rank] {
			s.Chunk = append(s.Chunk, int64(n))
		}
		return nil
	})
	return s, err
}

// Null tells whether the dataspace is null: the dataset has a type, and no value.
func (d *Dataset) Null() bool {
	null := false
	err := callOn(d.dataset, "read the dataspace of", d.name, func(id C.hid_t) error {
		null = C.h5_is_null(id) != 0
		return nil
	})
	return err == nil && null
}

// TypeName names the type of the elements, also one that Any has no Type for: as
// an enum with its members, or a compound with its fields.
func (d *Dataset) TypeName() (name string, err error) {
	err = callOn(d.dataset, "read the type of", d.name, func(id C.hid_t) error {
		stored := C.H5Dget_type(id)
		if stored < 0 {
			return errNoReason
		}
		name = nameAndClose(stored, 0)
		return nil
	})
	return name, err
}

// NamedType names the type that is kept at path.
func (f *File) NamedType(path string) (name string, err error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	err = callOn(f.file, "read the type", path, func(id C.hid_t) error {
		stored := C.H5Topen2(id, p, C.H5P_DEFAULT)
		if stored < 0 {
			return errNoReason
		}
		name = nameAndClose(stored, 0)
		return nil
	})
	return name, err
}

func attributeTypeName(object C.hid_t, i C.int) string {
	return nameAndClose(C.h5_attribute_type(object, i), 0)
}

// Limits of the name of a type, which may have types within it without end.
const (
	namedDepth   = 4
	namedMembers = 8
	namedBytes   = 64 // of the name of a member
)

const unnamed = "..."

func nameAndClose(id C.hid_t, depth int) string {
	if id < 0 {
		return "an unknown type"
	}
	defer C.H5Tclose(id)
	return typeName(id, depth)
}

// typeName names a type. The library must be locked.
func typeName(id C.hid_t, depth int) string {
	if depth > namedDepth {
		return unnamed
	}
	class, size := C.H5Tget_class(id), int(C.H5Tget_size(id))
	var length C.size_t
	if t := (Type{Kind(C.h5_type_kind(id, &length)), int(length)}); t.Valid() && class != C.H5T_FLOAT {
		return t.String()
	}
	within := func() string { return nameAndClose(C.H5Tget_super(id), depth+1) }
	switch class {
	case C.H5T_INTEGER:
		return fmt.Sprintf("whole number of %d bytes", size)
	case C.H5T_FLOAT:
		return fmt.Sprintf("f%d", 8*size)
	case C.H5T_ENUM:
		return "enum of " + within() + " {" + members(id, enumMember) + "}"
	case C.H5T_COMPOUND:
		return compoundName(id, depth)
	case C.H5T_VLEN:
		return "variable-length of " + within()
	case C.H5T_ARRAY:
		return fmt.Sprintf("array %v of %s", arrayShape(id), within())
	case C.H5T_BITFIELD:
		return fmt.Sprintf("bitfield of %d bits", 8*size)
	case C.H5T_OPAQUE:
		return strings.TrimSpace(fmt.Sprintf("opaque of %d bytes %s", size, takeText(C.H5Tget_tag(id))))
	case C.H5T_REFERENCE:
		if C.h5_is_object_reference(id) != 0 {
			return "object reference"
		}
		return "region reference"
	case C.H5T_TIME:
		return "time"
	}
	return "an unknown type"
}

// compoundName names a compound. One of two floats r and i is a complex number, as
// h5py writes it.
func compoundName(id C.hid_t, depth int) string {
	word, names := "compound", [2]string{}
	if C.H5Tget_nmembers(id) == 2 {
		for i := range names {
			if C.H5Tget_member_class(id, C.uint(i)) == C.H5T_FLOAT {
				names[i] = memberName(id, C.uint(i))
			}
		}
	}
	if names == [2]string{"r", "i"} {
		word = "complex"
	}
	return word + " {" + members(id, func(id C.hid_t, i C.uint) string {
		return memberName(id, i) + " " + nameAndClose(C.H5Tget_member_type(id, i), depth+1)
	}) + "}"
}

// members returns the first members of an enum or a compound, in words.
func members(id C.hid_t, word func(id C.hid_t, i C.uint) string) string {
	var words []string
	for i := range max(0, C.H5Tget_nmembers(id)) {
		if len(words) == namedMembers {
			words = append(words, unnamed)
			break
		}
		words = append(words, word(id, C.uint(i)))
	}
	return strings.Join(words, ", ")
}

func enumMember(id C.hid_t, i C.uint) string {
	var value C.int64_t
	if C.h5_enum_value(id, i, &value) < 0 {
		return memberName(id, i)
	}
	return fmt.Sprintf("%s=%d", memberName(id, i), int64(value))
}

func memberName(id C.hid_t, i C.uint) string {
	return takeText(C.H5Tget_member_name(id, i))
}

// takeText returns the beginning of a text that libhdf5 has allocated, and frees it.
func takeText(p *C.char) string {
	if p == nil {
		return ""
	}
	defer C.H5free_memory(unsafe.Pointer(p))
	text := C.GoString(p)
	if len(text) > namedBytes {
		text = text[:namedBytes] + unnamed
	}
	return strings.ToValidUTF8(text, "?")
}

func arrayShape(id C.hid_t) (shape []int64) {
	var dims [maxRank]C.hsize_t
	rank := C.H5Tget_array_ndims(id)
	if rank < 0 || rank > maxRank || C.H5Tget_array_dims2(id, &dims[0]) < 0 {
		return nil
	}
	for _, n := range dims[:rank] {
		shape = append(shape, int64(n))
	}
	return shape
}
