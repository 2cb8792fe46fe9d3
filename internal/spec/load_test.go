package spec_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/spec"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with the content of a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); run the tests with -update if this is meant:\n%s", path, diff)
	}
}

// Each file in testdata/bad has, beside it, everything that is wrong with it.
func TestBadSpecs(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no bad specs", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, err := spec.Load(path)
			problems, ok := errors.AsType[spec.Problems](err)
			if !ok {
				t.Fatalf("got error %v: want spec.Problems", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".err", problems.Error()+"\n")
		})
	}
}
