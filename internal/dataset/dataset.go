// Package dataset makes and checks the dataset: the one HDF5 file that a run
// ends in.
//
// The file has a root dataset for each column, with the first dimension `row`,
// in the order of the tasks; dimension scales with values; units and words on
// everything; `/manifest` with the SHA-256 of each dataset's content and of
// all other bytes of the file; `/failed` if tasks failed, and `/imported` if rows
// are from files of other programs. There is no
// clock, host, worker, attempt or path in it: equal rows give equal bytes.
//
// It grows as a Partial, two files beside the dataset:
//
//	<out>.partial  the dataset at full size, made by HDF5 once and then closed;
//	               rows are written at known offsets by plain writes, so a
//	               merger that is killed cannot corrupt it
//	<out>.rows     the checkpoint: what the partial is, and a digest for each
//	               row in it
//
// OpenPartial makes or resumes both, Copy puts rows into place, Sync makes
// them durable, and Finish checks all of them and returns the Finished file,
// which Commit puts under its final name. A file under that name is complete
// and verified. Verify checks such a file long afterwards, from its manifest
// alone.
package dataset

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"windrow/internal/message"
)

// Remove deletes what a run leaves beside its sealed dataset at out: the
// partial, the checkpoint, and a second file.
func Remove(out string) error {
	var errs []error
	for _, path := range []string{partialPath(out), checkpointPath(out), secondPath(out)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Unfinished returns where in a folder the datasets are to be that are on their way
// for a run: those whose checkpoint names it. A folder that is not there has none.
func Unfinished(dir string, run message.Digest) (outs []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		name, isCheckpoint := strings.CutSuffix(entry.Name(), checkpointPath(""))
		if !isCheckpoint || !entry.Type().IsRegular() {
			continue
		}
		out := filepath.Join(dir, name)
		rows, h, err := openCheckpoint(checkpointPath(out))
		if err != nil {
			continue // it is something else, or nobody knows whose
		}
		if err := rows.close(); err != nil {
			return nil, err
		}
		if h.Run == run {
			outs = append(outs, out)
		}
	}
	return outs, nil
}

// Leftovers returns what is there of the files that Remove deletes, the checkpoint
// last: who is interrupted while removing them finds the others by it.
func Leftovers(out string) (paths []string) {
	for _, path := range []string{partialPath(out), secondPath(out), checkpointPath(out)} {
		if _, err := os.Lstat(path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// Size returns about how many bytes a dataset of this form has without
// failures: what its rows and scales need, and no less than its metadata.
func Size(form Form) int64 {
	const metadata = 1 << 20
	scales := form.Planned.Tasks * 8
	return form.Planned.Tasks*int64(form.columns().RowBytes()) + scales + metadata
}
