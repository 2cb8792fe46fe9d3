package shard_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"windrow/internal/shard"
)

func TestFolderHasOneNonceWhoeverIsFirst(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "run", "shards")
	nonces := make([]string, 8)
	var wg sync.WaitGroup
	for i := range nonces {
		wg.Go(func() {
			nonce, err := shard.OpenFolder(dir)
			if err != nil {
				t.Error(err)
			}
			nonces[i] = nonce
		})
	}
	wg.Wait()
	for _, nonce := range nonces {
		if nonce == "" || nonce != nonces[0] {
			t.Fatalf("nonces differ: %q", nonces)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("files in the folder: %v, %v; want the nonce alone", entries, err)
	}
}

func TestFoldersHaveDifferentNonces(t *testing.T) {
	t.Parallel()
	a, errA := shard.OpenFolder(t.TempDir())
	b, errB := shard.OpenFolder(t.TempDir())
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if a == b {
		t.Errorf("two folders have the nonce %s", a)
	}
}

func TestReadFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := shard.ReadFolder(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder without nonce: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "folder.nonce"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := shard.ReadFolder(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder with half a nonce: %v", err)
	}
}
