package h5

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Any tells the type of a dataset that another program may have made: the one
// of windrow's kinds that holds all its values, whatever the byte order. What
// has no such kind, as a compound, is an error.
func (d *Dataset) Any() (Type, error) {
	var t Type
	err := callOn(d.dataset, "read the type of", d.name, func(id C.hid_t) error {
		var length C.size_t
		t = Type{Kind(C.h5_dataset_kind(id, &length)), int(length)}
		switch {
		case t.Kind < 0:
			return errNoReason
		case t.Kind == 0, t.isFixedText() && t.Len == 0:
			return errors.New("neither numbers nor text")
		}
		return nil
	})
	return t, err
}

// DatasetCached opens a dataset whose rows are to be read one after another: so
// that each chunk is inflated once, if the chunks that a row is in take no more
// than most bytes. It returns what the cache may take.
func (f *File) DatasetCached(name string, most int64) (d *Dataset, bytes int64, err error) {
	n := C.CString(name)
	defer C.free(unsafe.Pointer(n))
	var id C.hid_t
	err = callOn(f.file, "open dataset", name, func(file C.hid_t) error {
		var size C.uint64_t
		if id = C.h5_open_cached(file, n, C.uint64_t(most), &size); id < 0 {
			return errNoReason
		}
		bytes = int64(size)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	d, err = f.Dataset(name) // which shares what is open
	closed := call("close dataset", name, func() error { return check(C.H5Dclose(id)) })
	if err == nil && closed != nil {
		err = errors.Join(closed, d.Close())
	}
	return d, bytes, err
}

// Unwritten tells whether the dataset has elements, and nobody wrote any: nothing
// of it is in the file.
func (d *Dataset) Unwritten() bool {
	dims, err := d.Dims()
	if err != nil || slices.Contains(dims, 0) {
		return false
	}
	var stored int64
	err = callOn(d.dataset, "find the size of", d.name, func(id C.hid_t) error {
		stored = int64(C.h5_stored_bytes(id))
		return nil
	})
	return err == nil && stored == 0
}

// Fill returns what an element of the type that Any tells has where nobody wrote
// it; nil is zeros.
func (d *Dataset) Fill() ([]byte, error) {
	t, err := d.Any()
	if err != nil || t.Kind == VarText {
		return nil, err
	}
	return d.fill(t.Kind, t.Bytes())
}

// FillRead is Fill of elements as Read reads them.
func (d *Dataset) FillRead() ([]byte, error) {
	if !d.Plain() {
		return nil, nil
	}
	return d.fill(0, d.ElementBytes())
}

func (d *Dataset) fill(kind Kind, size int) (value []byte, err error) {
	if size <= 0 || size > maxFillBytes {
		return nil, nil
	}
	err = callOn(d.dataset, "read the fill value of", d.name, func(id C.hid_t) error {
		value = make([]byte, size)
		status := C.h5_fill(id, C.int(kind), C.size_t(size), unsafe.Pointer(&value[0]))
		if status == C.OTHER {
			value = nil
			return nil
		}
		return check(status)
	})
	return value, err
}

const maxFillBytes = 1 << 12

// ReadAny reads n rows as elements of the type that Any tells, whatever their
// byte order is in the file. The buffer must have exactly their length.
func (d *Dataset) ReadAny(first, n int64, buffer []byte) error {
	t, err := d.Any()
	if err != nil {
		return err
	}
	if t.Kind == VarText {
		return fmt.Errorf("read %s: %s", d.name, t)
	}
	rows, err := d.rows(first, n)
	if err != nil {
		return err
	}
	if want, ok := product(int64(t.Bytes()), []int64{rows.elements}); !ok || want != int64(len(buffer)) {
		return fmt.Errorf("read %s: a buffer of %d bytes for %d elements of type %s", d.name, len(buffer), rows.elements, t)
	}
	if len(buffer) == 0 {
		return nil
	}
	return callOn(d.dataset, "read", d.name, func(id C.hid_t) error {
		return check(C.h5_read_as(id, C.int(t.Kind), rows.rank, &rows.start[0], &rows.count[0], unsafe.Pointer(&buffer[0])))
	})
}

// maxTexts is how many texts of any length are read at a time.
const maxTexts = 1 << 22

// ReadText reads n rows of text of any length.
func (d *Dataset) ReadText(first, n int64) ([][]byte, error) {
	rows, err := d.rows(first, n)
	if err != nil || rows.elements == 0 {
		return nil, err
	}
	if rows.elements > maxTexts {
		return nil, fmt.Errorf("read %s: %d texts at a time", d.name, rows.elements)
	}
	var texts [][]byte
	err = callOn(d.dataset, "read", d.name, func(id C.hid_t) error {
		pointers := (**C.char)(C.calloc(C.size_t(rows.elements), C.size_t(unsafe.Sizeof(uintptr(0)))))
		defer C.h5_free_texts(pointers, C.size_t(rows.elements))
		if err := check(C.h5_read_text(id, rows.rank, &rows.start[0], &rows.count[0], pointers)); err != nil {
			return err
		}
		texts = goTexts(pointers, rows.elements)
		return nil
	})
	return texts, err
}

// WriteText writes n rows of text of any length, as ReadText reads them; text
// ends before a NUL.
func (d *Dataset) WriteText(first, n int64, texts [][]byte) error {
	rows, err := d.rows(first, n)
	if err != nil || len(texts) == 0 {
		return err
	}
	if rows.elements != int64(len(texts)) {
		return fmt.Errorf("write %s: %d texts for %d elements", d.name, len(texts), rows.elements)
	}
	pointers := (**C.char)(C.calloc(C.size_t(len(texts)), C.size_t(unsafe.Sizeof(uintptr(0)))))
	all := unsafe.Slice(pointers, len(texts))
	for i, text := range texts {
		all[i] = C.CString(string(text))
	}
	defer func() {
		for _, p := range all {
			C.free(unsafe.Pointer(p))
		}
		C.free(unsafe.Pointer(pointers))
	}()
	return callOn(d.dataset, "write", d.name, func(id C.hid_t) error {
		return check(C.h5_write_text(id, rows.rank, &rows.start[0], &rows.count[0], pointers))
	})
}

func goTexts(pointers **C.char, n int64) [][]byte {
	texts := make([][]byte, n)
	for i, p := range unsafe.Slice(pointers, n) {
		if p != nil {
			texts[i] = []byte(C.GoString(p))
		}
	}
	return texts
}

// selection is of rows of a dataset, or of the one element of a single value.
type selection struct {
	rank         C.int
	start, count [maxRank]C.hsize_t
	elements     int64
}

// rows returns the selection of rows; a single value counts as one.
func (d *Dataset) rows(first, n int64) (s selection, err error) {
	dims, err := d.Dims()
	if err != nil {
		return s, err
	}
	s.rank = C.int(len(dims))
	if len(dims) == 0 {
		dims = []int64{1}
	}
	if first < 0 || n < 0 || n > dims[0] || first > dims[0]-n {
		return s, fmt.Errorf("read %s: rows %d to %d of a shape %v", d.name, first, first+n-1, dims)
	}
	dims[0] = n
	elements, ok := product(1, dims)
	if !ok {
		return s, fmt.Errorf("read %s: a shape %v", d.name, dims)
	}
	s.elements = elements
	s.start[0] = C.hsize_t(first)
	for i, dim := range dims {
		s.count[i] = C.hsize_t(dim)
	}
	return s, nil
}

// Filter is what is done to a chunk before it is stored.
type Filter struct {
	ID       int  // as HDF5 numbers them
	Optional bool // it may be skipped where it is of no use
	Missing  bool // libhdf5 does not have it
	Level    int  // of Deflate
}

// The filters of HDF5 itself that windrow knows something about.
const (
	Deflate    = C.H5Z_FILTER_DEFLATE
	Shuffle    = C.H5Z_FILTER_SHUFFLE
	Fletcher32 = C.H5Z_FILTER_FLETCHER32
)

const maxFilters = 32 // as many as the mask of a chunk has bits

// Filters returns the filters of a dataset in their order, and the bytes of a
// chunk before them; 0: it is not in chunks.
func (d *Dataset) Filters() (filters []Filter, chunkBytes int64, err error) {
	err = callOn(d.dataset, "read the filters of", d.name, func(id C.hid_t) error {
		var ids, optional, there, levels [maxFilters]C.int
		var bytes C.hsize_t
		n := C.h5_filters(id, &ids[0], &optional[0], &there[0], &levels[0], maxFilters, &bytes)
		if n < 0 || bytes > math.MaxInt64 {
			return errNoReason
		}
		chunkBytes = int64(bytes)
		for i := range n {
			filters = append(filters, Filter{int(ids[i]), optional[i] != 0, there[i] == 0, int(levels[i])})
		}
		return nil
	})
	return filters, chunkBytes, err
}

// Header is where the header of a dataset lies in its file. Names of the same
// address are of the same dataset.
type Header struct {
	Address, Bytes uint64 // 0 bytes: it is in several pieces
}

// Header returns where the header of the dataset lies.
func (d *Dataset) Header() (h Header, err error) {
	err = callOn(d.dataset, "find the header of", d.name, func(id C.hid_t) error {
		var address, bytes C.uint64_t
		err := check(C.h5_header(id, &address, &bytes))
		h = Header{uint64(address), uint64(bytes)}
		return err
	})
	return h, err
}

// Address returns where the header of the group or dataset at path lies: names of
// the same address are of the same object.
func (f *File) Address(path string) (uint64, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	var address, bytes C.uint64_t
	err := callOn(f.file, "find the header of", path, func(id C.hid_t) error {
		object := C.h5_open_object(id, p)
		if object < 0 {
			return errNoReason
		}
		defer C.h5_close_object(object)
		return check(C.h5_header(object, &address, &bytes))
	})
	return uint64(address), err
}

// Chunk is a chunk as the index of a dataset has it.
type Chunk struct {
	First          uint64 // row
	Number         uint64 // in the order of the elements, NoChunk where the dataset has none
	Address, Bytes uint64
	Skipped        uint32 // a bit for each of the filters, the lowest for the first
}

// NoChunk is the number of a chunk that is none of its dataset.
const NoChunk = math.MaxUint64

// Chunks are those that are stored of a dataset.
type Chunks struct {
	All    []Chunk
	Stored int64  // how many there are
	Rows   uint64 // of a chunk
	Across uint64 // how many chunks a row is in
}

// Chunks returns the chunks of a dataset, or only their number if there are more
// than most:
// libhdf5 1.10 takes a time that grows with their square.
func (d *Dataset) Chunks(most int) (chunks Chunks, err error) {
	err = callOn(d.dataset, "read the chunks of", d.name, func(id C.hid_t) error {
		stored := make([]C.struct_chunk, most)
		var rows, across C.uint64_t
		n := C.h5_chunks(id, &stored[0], C.size_t(most), &rows, &across)
		if n < 0 {
			return errNoReason
		}
		chunks.Stored, chunks.Rows, chunks.Across = int64(n), uint64(rows), uint64(across)
		if int64(n) > int64(most) {
			return nil
		}
		for _, c := range stored[:n] {
			chunks.All = append(chunks.All, Chunk{uint64(c.first), uint64(c.number), uint64(c.address), uint64(c.bytes), uint32(c.skipped)})
		}
		return nil
	})
	return chunks, err
}

// Members are the names in a group, each in the order of the alphabet.
type Members struct {
	Datasets, Groups []string
	Types            []string // that are kept under a name
	Damaged          []string // what cannot be opened
	Links            []Link   // that lead to nothing in the file
	Followed         []Link   // soft links to what is in the file
}

// Link is a name for what is elsewhere, or nowhere.
type Link struct {
	Name     string `json:"name"`
	Target   string `json:"target"`             // a path, or the name of another file
	Path     string `json:"path,omitempty"`     // in the other file
	External bool   `json:"external,omitempty"` // it leads into another file, and is not followed
	Hard     bool   `json:"hard,omitempty"`     // it is another name of what is at the target
	Dangling bool   `json:"dangling,omitempty"` // there is nothing at the target
}

// String says what a link is that leads to nothing in its file.
func (l Link) String() string {
	if l.External {
		return "a link into " + l.Target + ": links into other files are not followed"
	}
	return "a link to " + l.Target + ", which is not in the file"
}

// Members lists a group. A soft link to a dataset counts as the dataset; one to a
// group counts only as a link.
func (f *File) Members(group string) (m Members, err error) {
	g := C.CString(group)
	defer C.free(unsafe.Pointer(g))
	var list []byte
	err = callOn(f.file, "list group", group, func(id C.hid_t) error {
		var names *C.char
		n := C.h5_list(id, g, &names)
		if n < 0 {
			return errNoReason
		}
		defer C.free(unsafe.Pointer(names))
		list = bytes.Clone(unsafe.Slice((*byte)(unsafe.Pointer(names)), n))
		return nil
	})
	var link *Link
	for entry := range bytes.SplitSeq(list, []byte{0}) {
		if len(entry) == 0 {
			continue
		}
		switch name := string(entry[1:]); entry[0] {
		case 'd':
			m.Datasets = append(m.Datasets, name)
		case 'g':
			m.Groups = append(m.Groups, name)
		case 't':
			m.Types = append(m.Types, name)
		case '?':
			m.Damaged = append(m.Damaged, name)
		case 'e', 's':
			m.Links = append(m.Links, Link{Name: name, External: entry[0] == 'e', Dangling: entry[0] == 's'})
			link = &m.Links[len(m.Links)-1]
		case 'f':
			m.Followed = append(m.Followed, Link{Name: name})
			link = &m.Followed[len(m.Followed)-1]
		case '>':
			link.Target = name
		case '/':
			link.Path = name
		}
	}
	return m, err
}

// Attribute is an attribute of a group or a dataset, with its values unless
// they are too many or of a type that windrow has not.
type Attribute struct {
	Name  string   `json:"name"`
	Type  Type     `json:"type"`            // the zero Type: none of windrow's
	Other string   `json:"other,omitempty"` // the name of a type that is none of windrow's
	Null  bool     `json:"null,omitempty"`  // its dataspace is null: it has no value
	Shape []int64  `json:"shape,omitempty"`
	Bytes []byte   `json:"bytes,omitempty"` // of all elements, little-endian
	Texts [][]byte `json:"texts,omitempty"` // of type VarText

	Unread string `json:"unread,omitempty"` // why its value cannot be read
}

// Limits of what is read of attributes.
const (
	maxAttributes        = 1 << 16
	maxAttributeElements = 1 << 12
	maxAttributeName     = 1 << 10
)

// Attributes returns the attributes of the group or dataset at path, those too
// whose values cannot be read.
func (f *File) Attributes(path string) ([]Attribute, error) {
	n := C.int(0)
	if err := f.object(path, func(object C.hid_t) error {
		if n = C.h5_attributes(object); n < 0 {
			return errNoReason
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var attributes []Attribute
	for i := range min(n, maxAttributes) {
		var a Attribute
		err := f.object(path, func(object C.hid_t) (err error) {
			a, err = readAttribute(object, i)
			return err
		})
		if e, ok := errors.AsType[*Error](err); ok && a.Name != "" {
			a.Unread, err = e.Reason, nil
		}
		if err != nil {
			return nil, err
		}
		attributes = append(attributes, a)
	}
	return attributes, nil
}

// object hands the open group or dataset at path to do.
func (f *File) object(path string, do func(object C.hid_t) error) error {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	return callOn(f.file, "read attributes of", path, func(id C.hid_t) error {
		object := C.h5_open_object(id, p)
		if object < 0 {
			return errNoReason
		}
		defer C.h5_close_object(object)
		return do(object)
	})
}

func readAttribute(object C.hid_t, i C.int) (a Attribute, err error) {
	var name [maxAttributeName]C.char
	var kind, null C.int
	var length C.size_t
	var dims [maxRank]C.hsize_t
	if C.h5_attribute_name(object, i, &name[0], maxAttributeName) < 0 {
		return a, errNoReason
	}
	a.Name = C.GoString(&name[0])
	rank := C.h5_attribute_shape(object, i, &kind, &length, &null, &dims[0], maxRank)
	if rank < 0 {
		return a, errNoReason
	}
	a.Null = null != 0
	a.Type = Type{Kind(kind), int(length)}
	for _, d := range dims[:rank] {
		a.Shape = append(a.Shape, int64(d))
	}
	if kind == 0 && !a.Null {
		a.Other = attributeTypeName(object, i)
	}
	elements, ok := product(1, a.Shape)
	if kind == 0 || !ok || elements > maxAttributeElements || elements == 0 {
		return a, nil
	}
	if a.Type.Kind == VarText {
		pointers := (**C.char)(C.calloc(C.size_t(elements), C.size_t(unsafe.Sizeof(uintptr(0)))))
		defer C.h5_free_texts(pointers, C.size_t(elements))
		if err := check(C.h5_attribute_read(object, i, kind, unsafe.Pointer(pointers))); err != nil {
			return a, err
		}
		a.Texts = goTexts(pointers, elements)
		return a, nil
	}
	size := elements * int64(a.Type.Bytes())
	if size <= 0 || size > maxAttributeElements*8 {
		return a, nil
	}
	a.Bytes = make([]byte, size)
	return a, check(C.h5_attribute_read(object, i, kind, unsafe.Pointer(&a.Bytes[0])))
}
