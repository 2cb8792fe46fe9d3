package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"windrow/internal/message"
	"windrow/internal/spec"
)

// fileCheck makes sure that the files of a run are those that it was planned
// with. A file is read again only when the file system says that it may have
// changed, so that a process for each task does not cost a hash of a large
// program each.
type fileCheck struct {
	seen map[string]fileState // by path, of files that were right
}

// fileState is what changes with the content of a file. A change of content
// sets the time of change, which no program can set back.
type fileState struct {
	device, inode uint64
	size          int64
	changed       syscall.Timespec
}

// check returns ErrFilesChanged for the first of files, whose relative paths
// start at dir, that is not what the run was planned with.
func (c *fileCheck) check(dir string, files []message.File) error {
	for _, f := range files {
		path := f.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		state, err := stateOf(path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFilesChanged, err)
		}
		if c.seen[path] == state {
			continue
		}
		digest, err := fileDigest(path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFilesChanged, err)
		}
		if digest != f.Digest {
			return fmt.Errorf("%w: %s has SHA-256 %s; the run was planned with %s", ErrFilesChanged, path, digest, f.Digest)
		}
		if time.Since(time.Unix(state.changed.Unix())) < clockTick {
			continue // the next change might have the same time
		}
		if c.seen == nil {
			c.seen = map[string]fileState{}
		}
		c.seen[path] = state // of before it was read: a change in between is seen next time
	}
	return nil
}

// FilesOf returns those of a run's files that a worker needs: all but the list
// of tasks, unless a command reads it, too.
func FilesOf(s *spec.Spec, files []message.File) []message.File {
	return slices.DeleteFunc(slices.Clone(files), func(f message.File) bool {
		c := s.Simulator.Command
		return f.Path == s.Tasks.File && (c == nil || !slices.Contains(c.Args, f.Path))
	})
}

// CheckFiles returns ErrFilesChanged for the first of files, whose relative
// paths start at dir, that is not what the run was planned with.
func CheckFiles(dir string, files []message.File) error { return new(fileCheck).check(dir, files) }

// clockTick is more than the steps of the clock by which file systems note
// changes.
const clockTick = 100 * time.Millisecond

func stateOf(path string) (fileState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileState{}, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileState{}, fmt.Errorf("stat %s: no inode", path)
	}
	return fileState{s.Dev, s.Ino, s.Size, s.Ctim}, nil
}

func fileDigest(path string) (message.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return message.Digest(hex.EncodeToString(h.Sum(nil))), nil
}
