package spec_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/spec"
)

func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		example: `{"version":1,"seed":42,"tasks":{"matrix":{"farm_id":"0..9","farm_type":"0..5","seed":"1..50"}},` +
			`"simulator":{"windfarm":{"site":"tenders","layout":"polygon","min_spacing":"3D","wake":"jensen/pywake","directions":360,"speeds":"3..25"}}}`,
		"testdata/everything.yaml": `{"version":1,"seed":-7,"tasks":{"file":"tasks.csv","key":["site","seed"]},` +
			`"simulator":{"command":["./sim.sh","sim.sh","--fast","tasks.csv","no-such-file","."],"timeout":"1h30m",` +
			`"start_timeout":"5m","max_rss":"2GiB","threads":4,"recycle_after":500,"environment":["MODEL_DATA=/data","LICENSE"]},` +
			`"columns":[{"name":"aep","type":"f64","unit":"GW h","description":"yield","min":0,"max":10000,"finite":true},` +
			`{"name":"label","type":"string(8)","finite":false},{"name":"layout","type":"f32","shape":{"turbine":100,"xy":2},"padded":["turbine"],"finite":false}]}`,
	} {
		if got := canonical(t, load(t, path)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
}

// A run goes by its digest: if this test fails without the example having
// changed, every run that users have begun is refused by the new windrow.
func TestDigestOfTheExample(t *testing.T) {
	t.Parallel()
	s := load(t, example)
	const want = "644bf73dd0214e61a8341d646dcf6ba4dccb7b6bf257e235fdb53249a8904cc1"
	if got := spec.Digest([]byte(canonical(t, s)), nil, "windfarm 1"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDigestDependsOnEverything(t *testing.T) {
	t.Parallel()
	file := func(path, digest string) []message.File {
		return []message.File{{Path: path, Digest: message.Digest(digest)}}
	}
	digests := []message.Digest{
		spec.Digest([]byte(`{"seed":1}`), nil, "noop 1"),
		spec.Digest([]byte(`{"seed":2}`), nil, "noop 1"),
		spec.Digest([]byte(`{"seed":1}`), nil, "noop 2"),
		spec.Digest([]byte(`{"seed":1}`), file("a", "1"), "noop 1"),
		spec.Digest([]byte(`{"seed":1}`), file("a", "2"), "noop 1"),
		spec.Digest([]byte(`{"seed":1}`), file("b", "1"), "noop 1"),
	}
	slices.Sort(digests)
	if n := len(slices.Compact(digests)); n != 6 {
		t.Errorf("6 runs have %d digests", n)
	}
}

// The canonical form goes through the ledger as a part of another JSON value,
// which encoding/json writes in its own way.
func TestDecodeReadsWhatCanonicalWrites(t *testing.T) {
	t.Parallel()
	specs := map[string]*spec.Spec{
		"example":    load(t, example),
		"everything": load(t, "testdata/everything.yaml"),
		"values":     noop(t, `{a: [1.0, 0.1, -0.0, 1e300, -2.5], b: ["a<b>&c", 'it''s "it"', "1", "null"], c: [3, 1, 2], d: 7, e: -3..3}`),
	}
	for name, s := range specs {
		want := canonical(t, s)
		sent, err := json.Marshal(message.Planned{Spec: json.RawMessage(want)})
		if err != nil {
			t.Fatal(err)
		}
		var received message.Planned
		if err := json.Unmarshal(sent, &received); err != nil {
			t.Fatal(err)
		}
		decoded, err := spec.Decode(received.Spec)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := canonical(t, decoded); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if diff := cmp.Diff(s.Simulator, decoded.Simulator); diff != "" {
			t.Errorf("%s: simulator (-want +got):\n%s", name, diff)
		}
	}
}

func TestEqualListsHaveOneCanonicalForm(t *testing.T) {
	t.Parallel()
	want := canonical(t, noop(t, "{a: 1..3, b: 7}"))
	for _, matrix := range []string{"{a: [1, 2, 3], b: [7]}", `{a: "1..3", b: 7..7}`} {
		if got := canonical(t, noop(t, matrix)); got != want {
			t.Errorf("%s: got %s, want %s", matrix, got, want)
		}
	}
}

func TestCanonicalDoesNotExpandRanges(t *testing.T) {
	t.Parallel()
	s := noop(t, "{a: 0..9999999}")
	if got := canonical(t, s); len(got) > 100 {
		t.Errorf("got %d bytes", len(got))
	}
	if n, err := s.TaskCount(); n != 1e7 || err != nil {
		t.Errorf("got %d tasks, %v", n, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good := canonical(t, noop(t, "{a: 1..3}"))
	for change, want := range map[[2]string]string{
		{"", ""}:                               "",
		{`1..3`, `3..1`}:                       `spec of the run: tasks.matrix.a: "3..1": runs backwards: expected the smaller number first, as in 1..3`,
		{`"1..3"`, `[1,2,3]`}:                  "decode spec: it is not in the canonical form of this version of windrow",
		{`"seed":0,`, ``}:                      "decode spec: it is not in the canonical form of this version of windrow",
		{`"seed":0`, `"sed":0`}:                "spec of the run: sed: unknown key: did you mean seed?",
		{`"seed":0`, `"name":"x"`}:             "spec of the run: name: unknown key: expected version, seed, tasks, simulator or columns",
		{`}}}`, `}}`}:                          "spec of the run: bad JSON: EOF",
		{`{}`, `{}{}`}:                         "spec of the run: bad JSON: invalid character '{' after object key:value pair",
		{`"1..3"`, strings.Repeat("[", 99)}:    "spec of the run: bad JSON: nested too deeply",
		{`"1..3"`, strings.Repeat(" ", 1<<18)}: "decode spec: 262216 bytes: 262144 at most",
	} {
		_, err := spec.Decode([]byte(strings.Replace(good, change[0], change[1], 1)))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40q: got  %s\nwant %s", change, got, want)
		}
	}
}

func TestDecodedSpecHasNoTaskList(t *testing.T) {
	t.Parallel()
	s, err := spec.Decode([]byte(canonical(t, load(t, "testdata/everything.yaml"))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.TaskCount(); err == nil {
		t.Error("counted tasks of a list that is not there")
	}
	for _, err := range s.TasksFrom(0) {
		if err == nil {
			t.Error("yielded a task of a list that is not there")
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	before := noop(t, "{a: 1..3, b: [x, y], c: 1}")
	path := write(t, t.TempDir(), "x.yaml", "version: 1\nname: other\nseed: 1\ntasks: {matrix: {b: [x, z], a: 1..4}}\nsimulator: {sleep: {duration: 1s}}\noutput: {file: y.h5}\n")
	got := spec.Differences([]byte(canonical(t, before)), []byte(canonical(t, load(t, path))),
		[]message.File{{Path: "same", Digest: "1"}, {Path: "changed", Digest: "2"}, {Path: "gone", Digest: "3"}},
		[]message.File{{Path: "same", Digest: "1"}, {Path: "changed", Digest: "4"}, {Path: "new", Digest: "5"}})
	want := []string{
		`seed: was 0, is 1`,
		`tasks.matrix.a: was "1..3", is "1..4"`,
		`tasks.matrix.b: was ["x", "y"], is ["x", "z"]`,
		`tasks.matrix.c: was "1..1", is not there`,
		`order of the keys in tasks.matrix: was a, b, c, is b, a`,
		`simulator.sleep.duration: was not there, is "1s"`,
		`file changed: was sha256 2, is sha256 4`,
		`file gone: was sha256 3, is not named`,
		`file new: was not named, is sha256 5`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// No text makes Load panic; what it takes, it can write and read again.
func FuzzLoad(f *testing.F) {
	for _, path := range []string{example, "testdata/everything.yaml", "testdata/bad/axes.yaml", "testdata/bad/columns.yaml", "testdata/bad/many-at-once.yaml"} {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := spec.Load(write(t, t.TempDir(), "x.yaml", string(data)))
		if err != nil {
			return
		}
		c := canonical(t, s)
		if _, err := spec.Decode([]byte(c)); err != nil {
			t.Errorf("decode %s: %v", c, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, path := range []string{example, "testdata/everything.yaml"} {
		s, err := spec.Load(path)
		if err != nil {
			f.Fatal(err)
		}
		c, err := s.Canonical()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := spec.Decode(data); err == nil && canonical(t, s) != string(data) {
			t.Errorf("decoded, but not the canonical form: %s", data)
		}
	})
}
