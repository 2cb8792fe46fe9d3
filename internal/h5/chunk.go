package h5

/*
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Layout is how the content of a dataset lies in its file.
type Layout struct {
	ChunkRows int64 // rows of a chunk; 0: the content is not in chunks
	Level     int   // of deflate, with shuffled bytes before it and a checksum after it; 0: chunks are stored as they are
	Other     bool  // something else: other filters, or chunks that do not span whole rows
}

// CreateChunked makes a dataset in chunks of chunkRows whole rows, to which
// rows can be appended, and opens it. With a level from 1 to 9 a chunk is
// stored shuffled, deflated and with a Fletcher32 checksum, as h5py's
// compression="gzip", shuffle=True, fletcher32=True has it.
func (f *File) CreateChunked(name string, t Type, dims []int64, chunkRows int64, level int) (*Dataset, error) {
	if chunkRows < 1 || level < 0 || level > 9 {
		return nil, fmt.Errorf("create dataset %s: chunks of %d rows, level %d", name, chunkRows, level)
	}
	return f.create(name, t, dims, Layout{ChunkRows: chunkRows, Level: level})
}

// Layout tells how the content lies in the file.
func (d *Dataset) Layout() (Layout, error) {
	var l Layout
	err := callOn(d.dataset, "read the layout of", d.name, func(id C.hid_t) error {
		var rows C.hsize_t
		var level C.int
		status := C.h5_layout(id, &rows, &level)
		if status < 0 {
			return errNoReason
		}
		l = Layout{int64(rows), int(level), status == C.OTHER}
		return nil
	})
	return l, err
}

// WriteChunk writes the chunk that begins with row first, as it is to be in
// the file: whole, its last rows filled up where the dataset ends within it,
// and filtered if the dataset has filters.
func (d *Dataset) WriteChunk(first int64, chunk []byte) error {
	if len(chunk) == 0 || first < 0 {
		return fmt.Errorf("write %s: a chunk of %d bytes at row %d", d.name, len(chunk), first)
	}
	return callOn(d.dataset, "write", d.name, func(id C.hid_t) error {
		return check(C.h5_write_chunk(id, C.hsize_t(first), C.size_t(len(chunk)), unsafe.Pointer(&chunk[0])))
	})
}

// ReadChunk reads the chunk that begins with row first, as it is in the file,
// into the buffer, and returns what of the buffer it is. A chunk that is not in
// the file, is larger than the buffer, or was written without one of the
// filters is an error.
func (d *Dataset) ReadChunk(first int64, buffer []byte) ([]byte, error) {
	err := callOn(d.dataset, "read", d.name, func(id C.hid_t) error {
		size := int64(C.h5_chunk_size(id, C.hsize_t(first)))
		if size < 0 {
			return errNoReason
		}
		if size == 0 || size > int64(len(buffer)) {
			return fmt.Errorf("the chunk of row %d has %d bytes: 1 to %d are possible", first, size, len(buffer))
		}
		buffer = buffer[:size]
		return check(C.h5_read_chunk(id, C.hsize_t(first), unsafe.Pointer(&buffer[0])))
	})
	if err != nil {
		return nil, err
	}
	return buffer, nil
}
