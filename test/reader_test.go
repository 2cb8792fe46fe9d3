package test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
)

// TestIndependentReader has h5py read a dataset and the shards it was made of.
func TestIndependentReader(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{
		"tasks":     "{matrix: {farm_id: 0..1, farm_type: 0..1, seed: 1..3}}",
		"simulator": "{windfarm: {site: tenders, layout: polygon, min_spacing: 3D, wake: iea37, directions: 36, speeds: 3..25}}",
	}))
	c.run(t, 0, "run", "spec.yaml", "--workers", "2", "--keep-shards")
	shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
	if err != nil || len(shards) == 0 {
		t.Fatalf("shards: %v, %v", shards, err)
	}
	if out := c.python(t, "testdata/python/reader.py", append([]string{c.path("out.h5")}, shards...)...); out != "dataset 12\nshards 12\n" {
		t.Errorf("reader.py says:\n%s", out)
	}
	c.python(t, "testdata/python/poolish.py", append([]string{c.path("out.h5")}, shards...)...)
	c.python(t, "testdata/python/xarray_reader.py", c.path("out.h5"))
	if out := c.python(t, "../examples/load.py", c.path("out.h5")); !containsLine(out, "storm: 12 of 12 tasks, 0 failed") || !containsLine(out, "  aep ") {
		t.Errorf("load.py says:\n%s", out)
	}
}

// python runs a script of this repository in the campaign's directory, with the
// Python that has h5py, and returns what it printed.
func (c *campaign) python(t *testing.T, script string, args ...string) string {
	t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("/usr/bin/python3", append([]string{path}, args...)...)
	command.Dir = c.dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// TestH5dump has the tools of the HDF Group read it, too.
func TestH5dump(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{
		"tasks": "{matrix: {farm_id: 0..1, seed: 1..2}}", "simulator": "{noop: {}}",
	}))
	c.run(t, 0, "run", "spec.yaml", "--workers", "1")
	out, err := exec.Command("h5dump", "-d", "/seed", "-y", "-A", "0", c.path("out.h5")).CombinedOutput()
	if err != nil {
		t.Fatalf("h5dump: %v\n%s", err, out)
	}
	for _, want := range []string{"H5T_STD_I32LE", "SIMPLE { ( 4 ) / ( 4 ) }", "1, 2, 1, 2"} {
		if !contains(out, want) {
			t.Errorf("h5dump does not show %q:\n%s", want, out)
		}
	}
}

// TestReadersOfStorages has h5py, netCDF4 and h5dump read each storage, and
// h5py append rows where there are chunks.
func TestReadersOfStorages(t *testing.T) {
	t.Parallel()
	for output, filters := range map[string][]string{
		"storage: contiguous":     {"CONTIGUOUS"},
		"storage: chunked":        {"CHUNKED ( 120 )", "H5S_UNLIMITED"},
		"storage: gzip, level: 3": {"CHUNKED ( 120 )", "H5S_UNLIMITED", "PREPROCESSING SHUFFLE", "COMPRESSION DEFLATE { LEVEL 3 }", "CHECKSUM FLETCHER32"},
	} {
		t.Run(output, func(t *testing.T) {
			t.Parallel()
			c := newCampaign(t, specOf(map[string]string{
				"output": "{file: out.h5, " + output + "}", "simulator": "{noop: {}}",
				"tasks": "{matrix: {kind: [onshore, offshore], seed: 1..60}}",
			}))
			c.run(t, 0, "run", "spec.yaml", "--workers", "2")
			script, err := filepath.Abs("testdata/python/storage.py")
			if err != nil {
				t.Fatal(err)
			}
			storage := strings.TrimSuffix(strings.Fields(output)[1], ",")
			if out, err := exec.Command("/usr/bin/python3", script, c.path("out.h5"), storage).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			out, err := exec.Command("h5dump", "-p", "-d", "/seed", c.path("out.h5")).CombinedOutput()
			if err != nil {
				t.Fatalf("h5dump: %v\n%s", err, out)
			}
			for _, want := range append(filters, "58, 59, 60") {
				if !contains(out, want) {
					t.Errorf("h5dump does not show %q:\n%s", want, out)
				}
			}
		})
	}
}

// TestManifestAsDocumented has a reader written from docs/FORMAT.md alone find
// every digest in the manifest right.
func TestManifestAsDocumented(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]map[string]string{
		"text key": {},
		"gzip":     {"output": "{file: out.h5, storage: gzip}"},
		"kept":     {"failures": "{allow: 1, rows: keep}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := map[string]string{
				"tasks":     "{matrix: {farm_type: [A, B], seed: 1..3}}",
				"simulator": "{command: [python3, sim.py], timeout: 1m}",
				"columns":   "[{name: y, type: f64}, {name: wide, type: f32, shape: {a: 2}, padded: [a]}]",
			}
			maps.Copy(spec, change)
			c := newCampaign(t, specOf(spec))
			code := 0
			if name == "kept" {
				code = 3
			}
			if err := os.WriteFile(c.path("sim.py"), fmt.Appendf(nil, twoColumns, code), 0o600); err != nil {
				t.Fatal(err)
			}
			c.run(t, code, "run", "spec.yaml", "--workers", "1")
			rows := strings.Fields(c.python(t, "testdata/python/manifest.py", c.path("out.h5"), "task", "farm_type", "seed", "y", "wide", "farm_type_code"))
			if len(rows) != 2*6 {
				t.Fatalf("manifest.py says: %q", rows)
			}
			for i := 0; i < len(rows); i += 2 {
				content, err := hex.DecodeString(rows[i+1])
				if err != nil {
					t.Fatal(err)
				}
				if got := strconv.FormatUint(max(1, xxh3.Hash(content)), 10); got != rows[i] {
					t.Errorf("row %d has the digest %s, the manifest says %s", i/2, got, rows[i])
				}
			}
		})
	}
}

// twoColumns is a simulator that fails one task, or none.
const twoColumns = `import json, sys
for line in sys.stdin:
    task = json.loads(line)
    n = task["params"]["seed"]
    reply = {"id": task["id"], "result": {"y": n / 2, "wide": [n]}}
    if n == %d and task["params"]["farm_type"] == "A":
        reply = {"id": task["id"], "error": "as asked"}
    print(json.dumps(reply), flush=True)
`
