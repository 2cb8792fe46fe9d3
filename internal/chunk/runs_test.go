package chunk

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"testing"

	klauspost "github.com/klauspost/compress/flate"
)

// layouts returns n rows of what a farm's layout is in a dataset: coordinates of
// 20 to 100 turbines of 100, the rest NaN.
func layouts(random *rand.Rand, n int) []byte {
	var data []byte
	for range n {
		turbines := 2 * (20 + random.IntN(81))
		for i := range 200 {
			v := math.NaN()
			if i < turbines {
				v = random.Float64() * 5000
			}
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		}
	}
	return data
}

// shuffled returns the data as pipelines deflate it.
func shuffled(data []byte, element int) []byte {
	dst := make([]byte, len(data))
	shuffle(dst, data, element)
	return dst
}

func mustInflate(t *testing.T, deflated []byte, want []byte) {
	t.Helper()
	rest := bytes.NewReader(deflated)
	got, err := io.ReadAll(flate.NewReader(rest))
	if err != nil {
		t.Fatalf("%d bytes in %d: %v", len(want), len(deflated), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes in %d are others", len(want), len(deflated))
	}
	if rest.Len() > 0 {
		t.Fatalf("%d bytes after the end", rest.Len())
	}
}

// TestRunsAreInflated inflates with another implementation.
func TestRunsAreInflated(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 12))
	random8 := make([]byte, 1<<18)
	for i := range random8 {
		random8[i] = byte(random.Uint32())
	}
	var doubling []byte // one symbol half of all, the next a quarter: the deepest tree
	for i := range 17 {
		doubling = append(doubling, bytes.Repeat([]byte{byte(i), byte(i + 100)}, 1<<i)...)
	}
	var lengths []byte
	for i := range 1200 {
		lengths = append(append(lengths, byte(random.Uint32())), bytes.Repeat([]byte{byte(i)}, i)...)
	}
	data := map[string][]byte{
		"a byte": {7}, "zeros": make([]byte, 1<<17), "random": random8, "noise": noise(random, 100_003),
		"doubling": doubling, "lengths": lengths, "layouts": shuffled(layouts(random, 81), 8),
		"256 in turn": bytes.Repeat(random8[:256], 300), "numbers": shuffled(layouts(random, 1)[:160], 8),
	}
	var r runs
	for name, d := range data {
		for _, planes := range []int{1, 2, 7, 8, 200} {
			before := []byte("before")
			deflated, prefixed := bytes.CutPrefix(r.deflate(before, d, planes), before)
			if !prefixed {
				t.Fatal("what was before is not there any more")
			}
			mustInflate(t, deflated, d)
			if most := len(d) + len(d)/100 + 20; len(deflated) > most {
				t.Errorf("%s in %d planes: %d bytes are %d deflated", name, planes, len(d), len(deflated))
			}
		}
	}
}

func FuzzRuns(f *testing.F) {
	f.Add([]byte("aaaaaaaaaaaaaaaabcdefffffffffffffffff"), 1, uint16(100))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 8, uint16(2000))
	f.Fuzz(func(t *testing.T, seed []byte, planes int, times uint16) {
		if len(seed) == 0 || planes < 1 || planes > 1<<12 {
			t.Skip()
		}
		data := bytes.Repeat(seed, 1+int(times)%(1+1<<20/(1+len(seed))))
		var r runs
		mustInflate(t, r.deflate(nil, data, planes), data)
	})
}

func BenchmarkDeflate(b *testing.B) {
	data := shuffled(layouts(rand.New(rand.NewPCG(1, 2)), 81), 8)
	b.Run("runs", func(b *testing.B) {
		var r runs
		var out []byte
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			out = r.deflate(out[:0], data, 8)
		}
		b.ReportMetric(100*float64(len(out))/float64(len(data)), "%")
	})
	b.Run("klauspost", func(b *testing.B) {
		p := newPipeline(1)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			p.out.bytes = p.out.bytes[:0]
			p.deflate.Reset(&p.out)
			_, _ = p.deflate.Write(data)
			_ = p.deflate.Close()
		}
		b.ReportMetric(100*float64(len(p.out.bytes))/float64(len(data)), "%")
	})
}

func BenchmarkInflate(b *testing.B) {
	data := shuffled(layouts(rand.New(rand.NewPCG(1, 2)), 81), 8)
	var r runs
	p := newPipeline(1)
	p.deflate.Reset(&p.out)
	_, _ = p.deflate.Write(data)
	_ = p.deflate.Close()
	for name, d := range map[string][]byte{"runs": r.deflate(nil, data, 8), "klauspost": p.out.bytes} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			in := klauspost.NewReader(nil)
			for b.Loop() {
				_ = in.(klauspost.Resetter).Reset(bytes.NewReader(d), nil)
				_, _ = io.Copy(io.Discard, in)
			}
		})
	}
}
