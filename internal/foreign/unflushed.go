package foreign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
)

var errUnflushed = errors.New("stopped before anything was flushed")

// notOpened says why a file does not open. libhdf5 keeps what describes a file in
// memory until it is flushed, and what it wrote before is nowhere: of a writer that
// was killed before its first flush only a bad object header would be told.
func notOpened(path string, err error) error {
	if unflushed(path) {
		return errUnflushed
	}
	return inWords(err)
}

// Where the address of the header of the root is in a superblock, by its version.
var rootAt = []int64{64, 68, 36, 36}

// Where the size of an address is: of the versions 0 and 1, and later.
const (
	earlySizeAt = 13
	sizeAt      = 9

	rootBytes = 16 // the least that a header has
	addresses = 8  // bytes, but in files of odd programs
)

// unflushed tells whether nothing but zeros is where a file has its root.
func unflushed(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // only read
	at, block := superblock(f, int(rootAt[1])+addresses)
	if block == nil || int(block[versionAt]) >= len(rootAt) {
		return false
	}
	version, size := block[versionAt], block[sizeAt]
	if version < 2 {
		size = block[earlySizeAt]
	}
	root := make([]byte, rootBytes)
	address := binary.LittleEndian.Uint64(block[rootAt[version]:])
	if size != addresses || address > 1<<62 {
		return false
	}
	_, err = f.ReadAt(root, at+int64(address))
	return err == nil && bytes.Equal(root, make([]byte, rootBytes))
}
