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
	Int16
	Uint8
	Uint16
	Uint32
	Uint64
	Bool    // 0 and 1, called FALSE and TRUE as by h5py
	Text    // of a fixed length, UTF-8, padded with NUL
	VarText // of any length, UTF-8
)

var kindNames = map[Kind]string{
	Float64: "f64", Float32: "f32", Int64: "i64", Int32: "i32", Int16: "i16", Int8: "i8",
	Uint64: "u64", Uint32: "u32", Uint16: "u16", Uint8: "u8", Bool: "bool",
	String: "string", Text: "text", VarText: "text of any length",
}

func (t Type) String() string {
	if t.isFixedText() {
		return fmt.Sprintf("%s(%d)", kindNames[t.Kind], t.Len)
	}
	return kindNames[t.Kind]
}

func (t Type) isFixedText() bool { return t.Kind == String || t.Kind == Text }

// Type is the type of a dataset's elements.
type Type struct {
	Kind Kind
	Len  int // bytes of a String or a Text, else 0
}

// Bytes returns the size of one element.
func (t Type) Bytes() int {
	switch t.Kind {
	case Float64, Int64, Uint64:
		return 8
	case Float32, Int32, Uint32:
		return 4
	case Int16, Uint16:
		return 2
	case Int8, Uint8, Bool:
		return 1
	case String, Text:
		return t.Len
	case VarText: // each has its own: see ReadText
		return 0
	}
	panic(fmt.Sprintf("h5: kind %d", t.Kind))
}

// Valid tells whether t is a type. A length of -1 would mean any to libhdf5.
func (t Type) Valid() bool {
	if t.isFixedText() {
		return t.Len > 0
	}
	return t.Kind >= Float64 && t.Kind <= VarText && t.Len == 0
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
