package simulator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"windrow/internal/message"
)

// checkFiles returns ErrFilesChanged for the first of files, whose relative
// paths start at dir, that is not what the run was planned with.
func checkFiles(dir string, files []message.File) error {
	for _, f := range files {
		path := f.Path
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		digest, err := fileDigest(path)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFilesChanged, err)
		}
		if digest != f.Digest {
			return fmt.Errorf("%w: %s has SHA-256 %s; the run was planned with %s", ErrFilesChanged, path, digest, f.Digest)
		}
	}
	return nil
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
