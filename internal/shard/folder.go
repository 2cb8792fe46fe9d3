package shard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/nats-io/nuid"

	"windrow/internal/atomicfile"
)

// nonceFile names the folder it is in: every worker and the merger of a run
// must see the same folder, and a path alone does not tell (another host, a
// volume that is not mounted).
const nonceFile = "folder.nonce"

var noncePattern = regexp.MustCompile(`^[A-Za-z0-9]{22}$`)

// OpenFolder makes the shards folder if it is not there and returns its nonce.
// The first process that opens a folder makes the nonce.
func OpenFolder(dir string) (nonce string, err error) {
	for range openTries {
		if nonce, err = openFolder(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nonce, err
}

// openTries are enough where a merger removes the folder of a sealed run while
// a worker opens it.
const openTries = 3

func openFolder(dir string) (nonce string, err error) {
	if err := atomicfile.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make shards folder: %w", err)
	}
	nonce, err = ReadFolder(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return nonce, err
	}
	if err := makeNonce(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("name shards folder: %w", err)
	}
	return ReadFolder(dir)
}

// makeNonce writes a complete nonce file and then links it to its name, which
// fails with fs.ErrExist if another process was first.
func makeNonce(dir string) (err error) {
	f, err := os.CreateTemp(dir, nonceFile+"-*.tmp")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if _, err := io.WriteString(f, nuid.New().Next()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), filepath.Join(dir, nonceFile))
}

// ReadFolder returns the nonce of the shards folder, or an error that wraps
// fs.ErrNotExist if it has none.
func ReadFolder(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, nonceFile))
	if err != nil {
		return "", fmt.Errorf("read the folder's nonce: %w", err)
	}
	if !noncePattern.Match(content) {
		return "", fmt.Errorf("%s: not a nonce of a shards folder", filepath.Join(dir, nonceFile))
	}
	return string(content), nil
}
