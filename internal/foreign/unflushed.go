package foreign

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
)

var (
	errUnflushed = errors.New("stopped before anything was flushed")
	errNoRoot    = errors.New("zeros where the header of its root should be")
)

// notOpened says why a file does not open. libhdf5 keeps what describes a file in
// memory until it is flushed, and what it wrote before is nowhere: of a writer that
// was killed before its first flush only a bad object header would be told.
func notOpened(path string, err error) error {
	if zeros, ended := rootIsZero(path); zeros && ended {
		return errNoRoot
	} else if zeros {
		return errUnflushed
	}
	err = inWords(err)
	if strings.Contains(err.Error(), "object header") { // no other is read so early
		return rootUnread(err)
	}
	return err
}

func rootUnread(err error) error {
	return fmt.Errorf("the header of its root cannot be read: %w", err)
}

// Where the address of the header of the root is in a superblock, and that of the
// end of the file, by its version.
var (
	rootAt = []int64{64, 68, 36, 36}
	endAt  = []int64{40, 44, 28, 28}
)

// Where the size of an address is: of the versions 0 and 1, and later.
const (
	earlySizeAt = 13
	sizeAt      = 9

	rootBytes = 16 // the least that a header has
	addresses = 8  // bytes, but in files of odd programs
)

// rootIsZero tells whether nothing but zeros is where a file has its root, and
// whether it ends where it says: it was flushed then, and lost its root later.
func rootIsZero(path string) (zeros, ended bool) {
	f, err := os.Open(path)
	if err != nil {
		return false, false
	}
	defer f.Close() //nolint:errcheck // only read
	at, block := superblock(f, int(rootAt[1])+addresses)
	if block == nil || int(block[versionAt]) >= len(rootAt) {
		return false, false
	}
	version, size := block[versionAt], block[sizeAt]
	if version < 2 {
		size = block[earlySizeAt]
	}
	root := make([]byte, rootBytes)
	address := binary.LittleEndian.Uint64(block[rootAt[version]:])
	if size != addresses || address > 1<<62 {
		return false, false
	}
	_, err = f.ReadAt(root, at+int64(address))
	info, errStat := f.Stat()
	end := binary.LittleEndian.Uint64(block[endAt[version]:])
	ended = errStat == nil && end == uint64(info.Size()) //nolint:gosec // not negative
	return err == nil && bytes.Equal(root, make([]byte, rootBytes)), ended
}
