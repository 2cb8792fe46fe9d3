package tasklist_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"windrow/internal/message"
	"windrow/internal/tasklist"
)

func write(tb testing.TB, name, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func open(tb testing.TB, path string, key ...string) *tasklist.List {
	tb.Helper()
	l, err := tasklist.Open(path, key)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// show returns the tasks as text: their keys and parameters.
func show(t *testing.T, l *tasklist.List, first int64) string {
	t.Helper()
	var b strings.Builder
	for task, err := range l.Tasks(first) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %q %s\n", task.Index, task.Key, task.Params)
	}
	return b.String()
}

func TestFieldsAreNumbersOrText(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.csv": "\xEF\xBB\xBFz,seed,a,x\n" +
			"1,1,-2.50,x\n" +
			"+1,2,007,\"a \"\"b\"\"\nc\"\n\n" +
			"1e3,3,,\n",
		"a.jsonl": "\xEF\xBB\xBF" + `{"z": 1, "seed": 1, "a": -2.50, "x": "x"}` + "\n" +
			`{"x": "a \"b\"\nc", "seed": 2, "z": "+1", "a": "007"}` + "\r\n\n" +
			`{"seed": 3, "z": 1e3, "a": null, "x": null}`,
	} {
		want := `0 ["1"] {"a":-2.50,"x":"x","z":1}` + "\n" +
			`1 ["2"] {"a":"007","x":"a \"b\"\nc","z":"+1"}` + "\n" +
			`2 ["3"] {"a":null,"x":null,"z":1e3}` + "\n"
		l := open(t, write(t, name, content), "seed")
		if got := show(t, l, 0); got != want || l.Count() != 3 {
			t.Errorf("%s: %d tasks:\n%s\nwant 3:\n%s", name, l.Count(), got, want)
		}
	}
}

func TestKeysKeepTheirOrderAndType(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.csv":   "i,f,s\n1,0.5,007\n-2,1.0,x y\n",
		"a.jsonl": `{"i": 1, "f": 0.5, "s": "007"}` + "\n" + `{"f": 1.0, "s": "x y", "i": -2}`,
	} {
		l := open(t, write(t, name, content), "s", "i", "f")
		want := `0 ["007" "1" "0.5"] ` + "\n" + `1 ["x y" "-2" "1.0"] ` + "\n"
		if got := show(t, l, 0); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		var types []string
		for _, c := range l.KeyColumns() {
			types = append(types, c.Name+" "+c.Type.String())
		}
		if got := fmt.Sprint(types); got != "[s string(3) i i32 f f64]" {
			t.Errorf("%s: columns %s", name, got)
		}
	}
}

// Parameters reach a worker through JSON, and are compared byte for byte with
// those of the plan.
func TestParamsSurviveTheWire(t *testing.T) {
	t.Parallel()
	l := open(t, write(t, "a.jsonl", `{"k": 1, "x": [1,  {"b": "<&>\u2028é\ud800"}], "a":1.50}`), "k")
	digest := message.Digest(strings.Repeat("0", 64))
	for task, err := range l.Tasks(0) {
		if err != nil {
			t.Fatal(err)
		}
		payload, err := message.EncodeTask(digest, task)
		if err != nil {
			t.Fatal(err)
		}
		got, err := message.DecodeTask(digest, payload)
		if err != nil || !got.SameWork(task) {
			t.Errorf("sent %s, received %s, %v", task.Params, got.Params, err)
		}
	}
}

func TestOverlongRecords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 2*tasklist.MaxRecordBytes)
	for name, content := range map[string]string{
		"a.csv":   "k,x\n1,2\n2,\"" + long + "\n",
		"a.jsonl": `{"k": 1}` + "\n" + `{"k": 2}` + "\n" + `{"k": "` + long + `"}`,
	} {
		path := write(t, name, content)
		_, err := tasklist.Open(path, []string{"k"})
		if err == nil || !strings.HasPrefix(err.Error(), path+":3: ") || !strings.Contains(err.Error(), "longer than 262144 bytes") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	_, err := tasklist.Open(write(t, "a.csv", "k\n1\n"+strings.Repeat("x\n", 1000)), []string{"k"})
	if err == nil || strings.Count(err.Error(), "\n") != 19 {
		t.Errorf("got %v: want 20 lines", err)
	}
}

// Of 200,000 tasks only the hashes of the keys are held while a list is
// checked, and nothing while it is read.
func TestLongListsTakeLittleMemory(t *testing.T) { //nolint:paralleltest // other tests would be measured too
	const n = 200_000
	var b strings.Builder
	b.WriteString("site,seed,density,comment\n")
	for i := range n {
		fmt.Fprintf(&b, "site-%d,%d,1.225,a comment that takes some room in every line\n", i%10, i)
	}
	path := write(t, "long.csv", b.String())
	b.Reset()

	before := heap()
	l := open(t, path, "site", "seed")
	checkGrowth(t, "checking", before, 8*n*4) // a slice that grows holds up to twice its length, twice
	before = heap()
	count, most := int64(0), uint64(0)
	for _, err := range l.Tasks(0) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count%50_000 == 0 {
			most = max(most, heap())
		}
	}
	if count != n {
		t.Errorf("%d tasks: want %d", count, n)
	}
	if most > before+1<<20 {
		t.Errorf("reading holds %d bytes", most-before)
	}
}

func checkGrowth(t *testing.T, what string, before, limit uint64) {
	t.Helper()
	if after := heap(); after > before+limit {
		t.Errorf("%s holds %d bytes: want %d at most", what, after-before, limit)
	}
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func FuzzOpen(f *testing.F) {
	f.Add("k,x\n1,2\n\"a\",\n", true)
	f.Add("{\"k\": 1, \"x\": [1, {}]}\n\n{\"k\": 2.5}", false)
	f.Fuzz(func(t *testing.T, content string, csv bool) {
		name := "a.jsonl"
		if csv {
			name = "a.csv"
		}
		l, err := tasklist.Open(write(t, name, content), []string{"k"})
		if err != nil {
			return
		}
		digest, count := message.Digest(strings.Repeat("0", 64)), int64(0)
		for task, err := range l.Tasks(0) {
			if err != nil {
				t.Fatal(err)
			}
			count++
			payload, err := message.EncodeTask(digest, task)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := message.DecodeTask(digest, payload); err != nil || !got.SameWork(task) {
				t.Errorf("sent %v %s, received %v %s, %v", task.Key, task.Params, got.Key, got.Params, err)
			}
		}
		if count != l.Count() {
			t.Errorf("%d tasks, but the count is %d", count, l.Count())
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	var text strings.Builder
	text.WriteString("site,seed,density\n")
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&text, "%d,%d,1.225\n", i%10, i)
	}
	path := write(b, "tasks.csv", text.String())
	for b.Loop() {
		open(b, path, "site", "seed")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/task")
}
