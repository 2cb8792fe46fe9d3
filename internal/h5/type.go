package h5

import "fmt"

// Kind is the kind of a dataset's elements.
type Kind int

// The kinds of elements; numbers are little-endian.
const (
	Float64 Kind = iota + 1
	Float32
	Int64
	Int32
	Int8
	String // of a fixed length, ASCII, padded with NUL
)

// Type is the type of a dataset's elements.
type Type struct {
	Kind Kind
	Len  int // bytes of a String, else 0
}

// Bytes returns the size of one element.
func (t Type) Bytes() int {
	switch t.Kind {
	case Float64, Int64:
		return 8
	case Float32, Int32:
		return 4
	case Int8:
		return 1
	case String:
		return t.Len
	}
	panic(fmt.Sprintf("h5: kind %d", t.Kind))
}

// valid tells whether t is a type. A length of -1 would mean any to libhdf5.
func (t Type) valid() bool {
	if t.Kind == String {
		return t.Len > 0
	}
	return t.Kind >= Float64 && t.Kind < String && t.Len == 0
}

// Bounds says which readers a file is for: objects are written in the format
// of that version of libhdf5, no older and no newer.
type Bounds int

// The bounds in use. Both have checksums on metadata. V110 marks a file as
// being written, so that one that was never closed does not open; V108 is read
// by everything.
const (
	V108 Bounds = iota
	V110
)
