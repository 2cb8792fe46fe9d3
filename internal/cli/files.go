package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"windrow/internal/message"
	"windrow/internal/queue"
	"windrow/internal/simulator"
	"windrow/producer"
)

// storeFiles puts the files that workers need into the run's object store, for
// those that do not have them.
func storeFiles(ctx context.Context, run *queue.Run, plan *producer.Plan, replicas int) error {
	for _, f := range simulator.FilesOf(plan.Spec, plan.Planned.Files) {
		path := f.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(plan.Spec.Dir(), path)
		}
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("store the files of the simulator: %w", err)
		}
		err = run.StoreFile(ctx, f.Digest, replicas, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("store %s: %w", path, err)
		}
	}
	return nil
}

// fetched is a directory with files of a run. What a killed worker leaves of it
// is found by `windrow doctor`.
const fetched = "windrow-files-*"

// fetchFiles returns a directory of its own with the files, as their paths say.
// The caller removes it. Programs among them can be run.
func fetchFiles(ctx context.Context, run *queue.Run, files []message.File) (dir string, err error) {
	dir, err = os.MkdirTemp("", fetched)
	if err != nil {
		return "", fmt.Errorf("make a directory for the files of the run: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, f := range files {
		if !filepath.IsLocal(f.Path) {
			return "", &exitError{exitUsage, fmt.Errorf("run %s needs %s, which is not here, and files with such a path are not fetched", run.ID(), f.Path), ""}
		}
		if err := fetchFile(ctx, run, f, filepath.Join(dir, f.Path)); err != nil {
			return "", fmt.Errorf("%s of run %s is not here as it was planned, and could not be fetched: %w", f.Path, run.ID(), err)
		}
	}
	return dir, nil
}

func fetchFile(ctx context.Context, run *queue.Run, f message.File, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700) //nolint:gosec // it may be a program
	if errors.Is(err, fs.ErrExist) {                                         // as ./model and model
		return nil
	} else if err != nil {
		return err
	}
	return errors.Join(run.FetchFile(ctx, f.Digest, file), file.Close())
}
