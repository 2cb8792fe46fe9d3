package test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"windrow/internal/foreign"
	"windrow/internal/rescue"
	"windrow/internal/table"
)

// mutantsVariable repeats the mutants of one seed.
const mutantsVariable = "WINDROW_MUTANTS"

// mutants is how many are tried: some, or with WINDROW_CHAOS=1, as in .ci/run,
// many, as far as the time goes.
func mutants() int {
	if os.Getenv("WINDROW_CHAOS") != "" {
		return 10_000
	}
	return 500
}

const mutantTime = 8 * time.Minute

// original is a sound file, of which mutants are made.
type original struct {
	name     string // of the file
	kind     string
	content  []byte
	own      bool // windrow's: it has a digest
	turbines int
	values   [][]byte        // of its columns
	rows     map[string]bool // that recover saves

	Data   [][2]int // offsets and lengths
	Chunks []chunk
}

type chunk struct {
	Address, Size uint64
	Rank          int
}

// mutation changes the content of a file, and tells whether it could.
type mutation struct {
	name  string
	apply func(r *rand.Rand, o *original, content []byte) ([]byte, bool)
}

// cutShort is the mutation after which nothing that is there has changed.
const cutShort = "cut short"

func always(apply func(r *rand.Rand, content []byte) []byte) func(*rand.Rand, *original, []byte) ([]byte, bool) {
	return func(r *rand.Rand, _ *original, content []byte) ([]byte, bool) { return apply(r, content), true }
}

var mutations = []mutation{
	{cutShort, always(func(r *rand.Rand, content []byte) []byte { return content[:r.IntN(len(content))] })},
	{"page of zeros", always(func(r *rand.Rand, content []byte) []byte {
		clear(page(r, content))
		return content
	})},
	{"page in the place of another", always(func(r *rand.Rand, content []byte) []byte {
		size := pageSize(r)
		copy(pageOf(r, content, size), bytes.Clone(pageOf(r, content, size)))
		return content
	})},
	{"64 bytes of junk", always(func(r *rand.Rand, content []byte) []byte {
		at := r.IntN(len(content))
		for i := range content[at:min(at+64, len(content))] {
			content[at+i] = byte(r.Uint32())
		}
		return content
	})},
	{"junk after the end", always(func(r *rand.Rand, content []byte) []byte {
		for range 1 + r.IntN(10_000) {
			content = append(content, byte(r.Uint32()))
		}
		return content
	})},
	{"nothing but junk", always(func(r *rand.Rand, content []byte) []byte {
		for i := 8 * r.IntN(2); i < len(content); i++ { // with the signature, or without
			content[i] = byte(r.Uint32())
		}
		return content
	})},
	{"bit flipped in data", func(r *rand.Rand, o *original, content []byte) ([]byte, bool) {
		place := o.Data[r.IntN(len(o.Data))]
		content[place[0]+r.IntN(place[1])] ^= 1 << r.IntN(8)
		return content, true
	}},
	{"bit flipped in metadata", func(r *rand.Rand, o *original, content []byte) ([]byte, bool) {
		content[o.metadata(r)] ^= 1 << r.IntN(8)
		return content, true
	}},
	{"byte changed in metadata", func(r *rand.Rand, o *original, content []byte) ([]byte, bool) {
		content[o.metadata(r)] = []byte{0, 1, 0x7f, 0x80, 0xff}[r.IntN(5)]
		return content, true
	}},
	{"size of a chunk: 0 to 3", ofChunk(func(r *rand.Rand, _ *original, e entry) {
		e.setSize(uint64(r.IntN(4)))
	})},
	{"size of a chunk", ofChunk(func(r *rand.Rand, _ *original, e entry) {
		e.setSize([]uint64{e.chunk.Size - 1, e.chunk.Size + 1, e.chunk.Size / 2, 1 << 20, 1<<32 - 1}[r.IntN(5)])
	})},
	{"filter mask of a chunk", ofChunk(func(r *rand.Rand, _ *original, e entry) {
		e.setMask(1 + uint32(r.IntN(7)))
	})},
	{"address of a chunk", ofChunk(func(r *rand.Rand, o *original, e entry) {
		to := uint64(r.Int64N(int64(2 * len(o.content))))
		if r.IntN(2) == 0 { // that of another one
			to = o.Chunks[r.IntN(len(o.Chunks))].Address
		}
		e.setAddress(to)
	})},
}

func pageSize(r *rand.Rand) int { return []int{512, 4096}[r.IntN(2)] }

func page(r *rand.Rand, content []byte) []byte { return pageOf(r, content, pageSize(r)) }

func pageOf(r *rand.Rand, content []byte, size int) []byte {
	at := r.IntN((len(content)+size-1)/size) * size
	return content[at:min(at+size, len(content))]
}

// metadata returns an offset outside the data.
func (o *original) metadata(r *rand.Rand) int {
	for {
		at := r.IntN(len(o.content))
		if !slices.ContainsFunc(o.Data, func(d [2]int) bool { return at >= d[0] && at < d[0]+d[1] }) {
			return at
		}
	}
}

// entry is what an index says of a chunk. Early indexes have size, filter mask
// and first element before the address; others have size and mask after it, and
// a checksum over all.
type entry struct {
	chunk   chunk
	content []byte
	at      int // of the address
	early   bool
}

func (e entry) setAddress(to uint64) { binary.LittleEndian.PutUint64(e.content[e.at:], to) }

func (e entry) setSize(to uint64) {
	if e.early {
		binary.LittleEndian.PutUint32(e.content[e.at-8*(e.chunk.Rank+1)-8:], uint32(to))
	} else {
		binary.LittleEndian.PutUint16(e.content[e.at+8:], uint16(to))
	}
}

func (e entry) setMask(to uint32) {
	if e.early {
		binary.LittleEndian.PutUint32(e.content[e.at-8*(e.chunk.Rank+1)-4:], to)
	} else {
		binary.LittleEndian.PutUint32(e.content[e.at+8+2:], to)
	}
}

func ofChunk(change func(r *rand.Rand, o *original, e entry)) func(*rand.Rand, *original, []byte) ([]byte, bool) {
	return func(r *rand.Rand, o *original, content []byte) ([]byte, bool) {
		if len(o.Chunks) == 0 {
			return nil, false
		}
		c := o.Chunks[r.IntN(len(o.Chunks))]
		at := bytes.Index(content, binary.LittleEndian.AppendUint64(nil, c.Address))
		if at < 0 {
			return nil, false
		}
		key := at - 8*(c.Rank+1) - 8
		early := key > 0 && uint64(binary.LittleEndian.Uint32(content[key:])) == c.Size
		if at+14 > len(content) {
			return nil, false
		}
		change(r, o, entry{c, content, at, early})
		return content, true
	}
}

// TestMutants damages sound files, one change each, and has windrow read them as
// check, merge and recover do. Repeat a failing one with the seed that its name
// is.
//
//nolint:tparallel // the subtest is the whole test
func TestMutants(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if only := os.Getenv(mutantsVariable); only != "" {
		var err error
		if seed, err = strconv.ParseUint(only, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	originals := makeOriginals(t)
	t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
		b := &breeder{t: t, seed: seed, originals: originals, dir: t.TempDir(), begun: time.Now(), verdicts: tally{}, files: tally{}}
		var herds sync.WaitGroup
		for herd := range runtime.GOMAXPROCS(0) {
			herds.Go(func() { b.herd(herd, runtime.GOMAXPROCS(0)) })
		}
		herds.Wait()
		t.Logf("%d mutants in %s, %s=%d\n%s\n%s", mutants(), time.Since(b.begun).Round(time.Second), mutantsVariable, seed, b.verdicts, b.files)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		if memory.Sys > 1<<30 {
			t.Errorf("this process, which never opened a mutant, has %d MiB", memory.Sys>>20)
		}
	})
	if t.Failed() {
		t.Errorf("repeat it with %s=%d go test -tags faults ./test -run TestMutants", mutantsVariable, seed)
	}
}

var (
	mutantKey     = []string{"farm_id", "farm_type", "seed"}
	mutantColumns = []string{"layout", "aep"}
)

// makeOriginals makes the files of others, datasets of windrow's in each storage,
// and a shard.
func makeOriginals(t *testing.T) []*original {
	t.Helper()
	dir := t.TempDir()
	var own []string
	for _, storage := range []string{"contiguous", "chunked", "gzip"} {
		c := newCampaign(t, specOf(map[string]string{
			"tasks": "{matrix: {farm_id: 0..9, farm_type: [grid, staggered], seed: 1..4}}", "simulator": "{command: [sh, model.sh]}",
			"columns": "[{name: layout, type: f64, shape: {turbine: 3, xy: 2}}, {name: aep, type: f64}]", "output": "{file: " + storage + ".h5, storage: " + storage + "}",
		}))
		model := `while read -r task; do id=${task#*\"id\":}; id=${id%%,*}; echo "{\"id\":$id,\"result\":{\"layout\":[[1,2],[3,4],[5,6]],\"aep\":$((n += 1))}}"; done` + "\n"
		if err := os.WriteFile(c.path("model.sh"), []byte(model), 0o600); err != nil {
			t.Fatal(err)
		}
		c.run(t, 0, "run", "spec.yaml", "--keep-shards", "--workers", "1")
		own = append(own, c.path(storage+".h5"))
		if storage == "contiguous" {
			shards, err := filepath.Glob(c.path(".windrow", "shards", "*", "*.h5"))
			if err != nil || len(shards) == 0 {
				t.Fatalf("shards: %v, %v", shards, err)
			}
			own = append(own, shards[0])
		}
	}
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", append([]string{"testdata/python/mutants.py", dir}, own...)...).Output()
	if err != nil {
		t.Fatalf("make the files: %v", err)
	}
	var files map[string]*original
	if err := json.Unmarshal(out, &files); err != nil {
		t.Fatal(err)
	}
	reader := mutantReader(t, foreign.DefaultLimits)
	defer reader.Close()
	var originals []*original
	for _, path := range slices.Sorted(maps.Keys(files)) {
		o := files[path]
		o.name, o.own, o.turbines = filepath.Base(path), slices.Contains(own, path), 12
		o.kind = strings.TrimSuffix(o.name, ".h5")
		switch {
		case o.own && strings.Contains(o.kind, "-"):
			o.kind = "windrow's shard"
		case o.own:
			o.kind = "windrow's " + o.kind
		}
		if o.own {
			o.turbines = 3
		}
		if o.content, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		v := judge(t.Context(), reader, path, o.turbines)
		if v.what != "accepted" || len(v.values) < 5 {
			t.Fatalf("%s: %s: %v, %d columns", path, v.what, v.err, len(v.values))
		}
		o.values, o.rows = v.values, v.rows
		originals = append(originals, o)
	}
	return originals
}

// brief ends what a mutant does to libhdf5 soon. A sound file has more time: the
// machine may be busy.
var brief = foreign.Limits{Clock: 2 * time.Second, Memory: foreign.DefaultLimits.Memory}

func mutantReader(t *testing.T, limits foreign.Limits) *foreign.Reader {
	t.Helper()
	reader, err := foreign.NewReader(limits, readerCommand)
	if err != nil {
		t.Fatal(err)
	}
	return reader
}

// breeder makes mutants and has them judged.
type breeder struct {
	t         *testing.T
	seed      uint64
	originals []*original
	dir       string
	begun     time.Time

	mu       sync.Mutex
	verdicts tally // by kind of mutant
	files    tally // by kind of file
}

// herd tries every n-th mutant, with one reader.
func (b *breeder) herd(first, n int) {
	reader := mutantReader(b.t, brief)
	defer reader.Close()
	for i := first; i < mutants() && time.Since(b.begun) < mutantTime; i += n {
		b.try(reader, i)
	}
}

// try makes the mutant with a number, and has it judged.
func (b *breeder) try(reader *foreign.Reader, number int) {
	r := rand.New(rand.NewPCG(b.seed, uint64(number)))
	o := b.originals[r.IntN(len(b.originals))]
	var m mutation
	var content []byte
	for done := false; !done; {
		m = mutations[r.IntN(len(mutations))]
		content, done = m.apply(r, o, bytes.Clone(o.content))
		done = done && !bytes.Equal(content, o.content)
	}
	path := filepath.Join(b.dir, strconv.Itoa(number), o.name)
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
		b.t.Error(err)
		return
	}
	begun := time.Now()
	v := judge(b.t.Context(), reader, path, o.turbines)
	said := fmt.Sprintf("mutant %d, %s of %s", number, m.name, o.name)
	switch {
	case time.Since(begun) > time.Minute:
		b.t.Errorf("%s: judged in %s", said, time.Since(begun))
	case v.err != nil:
		b.t.Errorf("%s: %v", said, v.err)
	case v.what == "accepted" && !slices.EqualFunc(v.values, o.values, bytes.Equal):
		v.what = "other values"
		if o.own {
			b.t.Errorf("%s is accepted with other values", said)
		}
	case v.what == "accepted":
		v.what = "same values"
		if o.own {
			b.t.Errorf("%s is accepted, and not what was sealed", said)
		}
	}
	b.note(m.name, o.kind, v.what)
	if slices.ContainsFunc(slices.Collect(maps.Keys(v.rows)), func(row string) bool { return !o.rows[row] }) {
		b.note(m.name, o.kind, "other rows saved")
		if o.own || m.name == cutShort {
			b.t.Errorf("of %s, recover saves other rows", said)
		}
	}
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		b.t.Error(err)
	}
}

// judgement is what windrow makes of a file.
type judgement struct {
	what   string
	values [][]byte        // of all columns, as a merge reads them
	rows   map[string]bool // that recover saves
	err    error
}

func mutantResults(turbines int) table.Columns {
	return table.Columns{
		{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: turbines}, {Name: "xy", Size: 2}}},
		{Name: "aep", Type: table.Type{Kind: table.Float64}},
	}
}

// judge has a file checked, read as by a merge if it is sound, and its rows saved.
func judge(ctx context.Context, reader *foreign.Reader, path string, turbines int) (j judgement) {
	source, _, err := rescue.Open(ctx, reader, path, append(slices.Clone(mutantKey), mutantColumns...))
	damage, damaged := errors.AsType[*foreign.DamagedError](err)
	switch {
	case damaged && strings.HasPrefix(damage.Reason, "libhdf5 crashed on it"):
		j.what = "refused: a child died"
	case damaged && strings.HasPrefix(damage.Reason, "reading it"):
		j.what = "refused: beyond limits"
	case damaged:
		j.what = "refused"
	case err != nil:
		j.err = err
		return j
	default:
		j.what = "accepted"
		for _, c := range source.Columns {
			rows, err := reader.Read(ctx, path, c.Name, 0, source.Rows)
			if err != nil {
				j.err = fmt.Errorf("accepted, and cannot be read: %w", err)
				return j
			}
			j.values = append(j.values, append([]byte(c.Name+fmt.Sprint(c.Type, c.Shape)), rows.Bytes...))
		}
	}
	j.rows = map[string]bool{}
	row := table.NewBlock(mutantResults(turbines), 1).Append()
	_, err = rescue.Records(ctx, reader, path, mutantKey, mutantColumns, func(rec rescue.Record) error {
		if rescue.Fill(row, []int{0, 1}, rec) == nil { // else it is not what the columns declare
			j.rows[fmt.Sprint(rec.Show(), row.Digest())] = true
		}
		return nil
	})
	j.err = err
	return j
}

func (b *breeder) note(kind, file, verdict string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verdicts.add(kind, verdict)
	b.files.add(file, verdict)
}

// tally counts verdicts by what they are about.
type tally map[string]map[string]int

func (c tally) add(about, verdict string) {
	if c[about] == nil {
		c[about] = map[string]int{}
	}
	c[about][verdict]++
}

// String is a table in Markdown.
func (c tally) String() string {
	columns := map[string]bool{}
	for _, counts := range c {
		for verdict := range counts {
			columns[verdict] = true
		}
	}
	verdicts := slices.Sorted(maps.Keys(columns))
	text := fmt.Appendf(nil, "| %-28s | %s |\n", "", strings.Join(verdicts, " | "))
	for _, about := range slices.Sorted(maps.Keys(c)) {
		text = fmt.Appendf(text, "| %-28s |", about)
		for _, verdict := range verdicts {
			text = fmt.Appendf(text, " %*d |", len(verdict), c[about][verdict])
		}
		text = append(text, '\n')
	}
	return string(text)
}
