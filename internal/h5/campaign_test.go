package h5_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"windrow/internal/h5"
)

// makeCampaign makes a file as a dataset of windrow is: many columns with
// attributes, scales that they share, a group, a dataset without rows.
func makeCampaign(path string) (err error) {
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for i := range 12 { // more than an object header keeps
		if err := f.SetString(fmt.Sprintf("attribute_%d", i), strings.Repeat("é", i)); err != nil {
			return err
		}
	}
	scales := map[string]*h5.Dataset{}
	for _, s := range []struct {
		name string
		size int64
	}{{"row", 4}, {"xy", 2}} {
		d, err := f.Create(s.name, int8s, []int64{s.size})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.Close()) }()
		if err := errors.Join(d.Write(0, s.size, counting(int(s.size))), d.MakeScale(s.name)); err != nil {
			return err
		}
		scales[s.name] = d
	}
	if err := f.Group("/failed"); err != nil {
		return err
	}
	for i := range 12 {
		if err := makeColumn(f, fmt.Sprintf("/column_%d", i), 4, scales["row"], scales["xy"]); err != nil {
			return err
		}
	}
	return makeColumn(f, "/failed/empty", 0)
}

func makeColumn(f *h5.File, name string, rows int64, scales ...*h5.Dataset) (err error) {
	d, err := f.Create(name, float64s, []int64{rows, 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	for dim, s := range scales {
		if err := d.AttachScale(dim, s); err != nil {
			return err
		}
	}
	return errors.Join(d.SetString("units", "m"), d.SetNumbers("flag_values", int8s, 2, []byte{0, 1}), d.Write(0, rows, counting(int(rows)*16)))
}

// TestFilesAreIdentical: nothing of the memory of the process gets into a
// file. glibc fills memory from malloc with a byte of MALLOC_PERTURB_.
func TestFilesAreIdentical(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var first []byte
	for _, perturb := range []string{"0", "1", "85", "170", "255"} {
		path := filepath.Join(dir, perturb)
		if stderr, err := child(t, "make", path, "MALLOC_PERTURB_="+perturb); err != nil {
			t.Fatal(err, stderr)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = content
		}
		if !bytes.Equal(content, first) {
			t.Errorf("the file made with MALLOC_PERTURB_=%s differs: %s", perturb, difference(content, first))
		}
	}
}

func difference(a, b []byte) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d bytes, not %d", len(a), len(b))
	}
	var at []int
	for i := range a {
		if a[i] != b[i] {
			at = append(at, i)
		}
	}
	return fmt.Sprintf("%d bytes, from %d to %d", len(at), at[0], at[len(at)-1])
}

// python runs Python with the file open as f and returns what it prints.
func python(t *testing.T, path, script string) string {
	t.Helper()
	const interpreter = "/usr/bin/python3"
	if err := exec.Command(interpreter, "-c", "import h5py").Run(); err != nil {
		t.Skipf("python3-h5py is not installed: %v", err)
	}
	cmd := exec.Command(interpreter, "-c", "import sys, h5py\nf = h5py.File(sys.argv[1], 'r')\n"+script, path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestPythonReadsIt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "campaign.h5")
	if err := makeCampaign(path); err != nil {
		t.Fatal(err)
	}
	lines := []struct{ expression, want string }{
		{`f.attrs["attribute_3"], f.attrs["attribute_0"], len(f.attrs)`, `('ééé', '', 12)`},
		{`[s.keys() for s in f["column_3"].dims]`, `[['row'], ['xy']]`},
		{`[s[0].name for s in f["column_3"].dims]`, `['/row', '/xy']`},
		{`h5py.h5ds.is_scale(f["row"].id), h5py.h5ds.is_scale(f["column_3"].id)`, `(True, False)`},
		{`f["row"][:].tolist(), str(f["row"].dtype), f["column_0"].dtype.str`, `([1, 2, 3, 4], 'int8', '<f8')`},
		{`f["column_0"].attrs["flag_values"].tolist(), f["column_0"].chunks`, `([0, 1], None)`},
		{`f["failed/empty"].shape, f["column_11"].shape`, `((0, 2), (4, 2))`},
		{`f["column_0"][1].tobytes().hex()`, fmt.Sprintf("'%x'", counting(32)[16:])},
	}
	var script strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&script, "print(repr((%s)))\n", l.expression)
	}
	got := strings.Split(python(t, path, script.String()), "\n")
	for i, l := range lines {
		if i >= len(got) || got[i] != l.want {
			t.Errorf("%s: line %d of %q, want %s", l.expression, i+1, got, l.want)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "campaign.h5")
	foreign := path + ".foreign"
	if err := makeCampaign(path); err != nil {
		t.Fatal(err)
	}
	python(t, path, `
import numpy
g = h5py.File(sys.argv[1] + ".foreign", "w")
g["S4"] = numpy.array([b"ab", b"abcd"], "S4")
g["single"] = 1.5
g["big"] = numpy.zeros(3, ">f8")
g["bool"] = numpy.zeros(3, "?")
g["unsigned"] = numpy.zeros(3, "u1")
g["text"] = ["a", "b"]
g.create_dataset("chunked", data=numpy.arange(10.0), chunks=(3,), compression="gzip")
g.close()`)
	f := open(t, foreign)
	if d := dataset(t)(f.Dataset("S4")); !d.Is(h5.Type{Kind: h5.String, Len: 4}) {
		t.Error("S4 is not string(4)")
	}
	for name, is := range map[string]h5.Type{
		"big": float64s, "bool": int8s, "unsigned": int8s, "text": {Kind: h5.String, Len: 16}, "S4": {Kind: h5.String, Len: 5},
	} {
		if d := dataset(t)(f.Dataset(name)); d.Is(is) {
			t.Errorf("%s is of type %v", name, is)
		}
	}
	text := dataset(t)(f.Dataset("text"))
	if err := text.Read(0, 1, make([]byte, text.ElementBytes())); err == nil { // they would be pointers
		t.Error("text was read as bytes")
	}
	single := dataset(t)(f.Dataset("single"))
	if dims, err := single.Dims(); err != nil || len(dims) != 0 {
		t.Errorf("shape of a single value: %v, %v", dims, err)
	}
	if err := single.Read(0, 1, make([]byte, 8)); err == nil {
		t.Error("a single value has rows")
	}
	chunked := dataset(t)(f.Dataset("chunked"))
	if offset, err := chunked.Offset(); err == nil {
		t.Errorf("offset of chunks: %d", offset)
	}
	got := make([]byte, 16)
	if err := chunked.Read(8, 2, got); err != nil || !bytes.Equal(got, floats(8, 9)) {
		t.Errorf("rows of chunks: %v, %v", got, err)
	}
}
