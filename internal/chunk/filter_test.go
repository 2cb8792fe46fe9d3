package chunk

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	adler "hash/adler32"
	"io"
	"math/rand/v2"
	"strconv"
	"testing"
)

// noise returns bytes of which about half repeat what came before.
func noise(random *rand.Rand, n int) []byte {
	data := make([]byte, 0, n)
	for len(data) < n {
		if random.IntN(2) == 0 && len(data) > 100 {
			from := random.IntN(len(data) - 50)
			data = append(data, data[from:from+random.IntN(50)]...)
		} else {
			data = append(data, byte(random.Uint32()))
		}
	}
	return data[:n]
}

func TestShuffle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, element := range []int{1, 2, 3, 4, 7, 8, 16} {
		for _, n := range []int{1, 2, 7, 8, 9, 63, 64, 1001} {
			src, dst := noise(random, n*element), make([]byte, n*element)
			shuffle(dst, src, element)
			for i := range n {
				for b := range element {
					if dst[b*n+i] != src[i*element+b] {
						t.Fatalf("%d elements of %d bytes: byte %d of element %d is not in its place", n, element, b, i)
					}
				}
			}
			back := make([]byte, len(src))
			if unshuffle(back, dst, element); !bytes.Equal(back, src) {
				t.Fatalf("%d elements of %d bytes are others when they come back", n, element)
			}
		}
	}
}

// TestFletcher32 compares with what Fletcher's sums are by their definition:
// remainders of 65535, where the folded sums may be 65535 instead of 0.
func TestFletcher32(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 3, 15, 16, 17, 719, 720, 721, 722, 5000, 100_001, 1 << 20, 3<<20 + 1} {
		data := noise(random, n)
		var a, b uint64
		for i := 0; i < n; i += 2 {
			word := uint64(data[i]) << 8
			if i+1 < n {
				word |= uint64(data[i+1])
			}
			a = (a + word) % 65535
			b = (b + a) % 65535
		}
		got := fletcher32(data)
		if uint64(got&0xFFFF)%65535 != a || uint64(got>>16)%65535 != b {
			t.Errorf("%d bytes: %08x, want %04x%04x", n, got, b, a)
		}
	}
}

// TestFletcher32OfMultiples is of the sums that are multiples of 65535: libhdf5
// stores 0 only for zeros.
func TestFletcher32OfMultiples(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 16, 720, 1<<20 + 2} {
		if got := fletcher32(bytes.Repeat([]byte{0xFF}, n)); got != 0xFFFFFFFF {
			t.Errorf("%d bytes 0xFF: %08x, want ffffffff", n, got)
		}
		if got := fletcher32(make([]byte, n)); got != 0 {
			t.Errorf("%d zeros: %08x, want 0", n, got)
		}
	}
}

func TestAdler32(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(8, 9))
	for _, n := range []int{0, 1, 7, 8, 9, 5552, 100_003, 1<<20 - 1, 1<<20 + 9, 5 << 20} {
		for name, data := range map[string][]byte{"noise": noise(random, n), "largest": bytes.Repeat([]byte{0xFF}, n)} {
			if got, want := adler32(data), adler.Checksum(data); got != want {
				t.Errorf("%d bytes of %s: %08x, want %08x", n, name, got, want)
			}
		}
	}
}

// TestZlibHeader compares with that of another implementation.
func TestZlibHeader(t *testing.T) {
	t.Parallel()
	for level := 1; level <= 9; level++ {
		var want bytes.Buffer
		w, err := zlib.NewWriterLevel(&want, level)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := zlibHeader(level); !bytes.HasPrefix(want.Bytes(), got[:]) {
			t.Errorf("level %d: %x, want what %x begins with", level, got, want.Bytes())
		}
	}
}

// made returns a method that has been chosen.
func made(runs bool) *method {
	m := &method{chosen: make(chan struct{}), runs: runs}
	close(m.chosen)
	return m
}

// TestPipelineIsUndone inflates chunks with another implementation.
func TestPipelineIsUndone(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for level := 1; level <= 9; level++ {
		p := newPipeline(level)
		for _, n := range []int{8, 800, 80_000, 240_000} {
			for _, m := range []*method{nil, made(false), made(true)} {
				chunk := noise(random, n)
				mustBeUndone(t, p.apply(nil, chunk, 8, m, false), chunk)
			}
		}
	}
}

func mustBeUndone(t *testing.T, filtered, chunk []byte) {
	t.Helper()
	deflated, sum := filtered[:len(filtered)-4], binary.LittleEndian.Uint32(filtered[len(filtered)-4:])
	if sum != fletcher32(deflated) {
		t.Errorf("%d bytes: checksum %08x, want %08x", len(chunk), sum, fletcher32(deflated))
	}
	r, err := zlib.NewReader(bytes.NewReader(deflated))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, shuffled(chunk, 8)) {
		t.Errorf("%d bytes: inflated to something else", len(chunk))
	}
}

// TestPipelineForgets compresses chunks with a pipeline that has seen others
// and with a fresh one: which goroutine gets a chunk must not matter.
func TestPipelineForgets(t *testing.T) {
	t.Parallel()
	for level := 1; level <= 9; level++ {
		t.Run(strconv.Itoa(level), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(7, uint64(level)))
			used := newPipeline(level)
			for i := range 15 {
				chunk, m := noise(random, 8*(1+random.IntN(9_000))), made(i%2 == 1)
				if got, want := used.apply(nil, chunk, 8, m, false), newPipeline(level).apply(nil, chunk, 8, m, false); !bytes.Equal(got, want) {
					t.Fatalf("chunk %d, %d bytes: %d bytes after other chunks, %d from a fresh pipeline", i, len(chunk), len(got), len(want))
				}
			}
		})
	}
}

// TestFirstChunkChooses is of data without sequences that come again, and of
// some that is nothing else.
func TestFirstChunkChooses(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(13, 14))
	other := make([]byte, 8*16_200) // as its planes, again and again the same
	shuffle8(other, bytes.Repeat(noise(random, 405), 320), 16_200)
	for name, c := range map[string]struct {
		chunk []byte
		runs  bool
	}{
		"layouts": {layouts(random, 81), true}, "sequences": {other, false}, "padding": {make([]byte, 100_000), false},
	} {
		p, m := newPipeline(1), &method{chosen: make(chan struct{})}
		chosen := p.apply(nil, c.chunk, 8, m, true)
		mustBeUndone(t, chosen, c.chunk)
		if m.runs != c.runs {
			t.Errorf("%s: runs %v, want %v", name, m.runs, c.runs)
		}
		if next := p.apply(nil, c.chunk, 8, m, false); !bytes.Equal(next, chosen) {
			t.Errorf("%s: the same chunk after it is other bytes", name)
		}
	}
}

func BenchmarkShuffle(b *testing.B) {
	src, dst := make([]byte, 128<<10), make([]byte, 128<<10)
	for _, element := range []int{4, 8} {
		b.Run(strconv.Itoa(element), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				shuffle(dst, src, element)
			}
		})
	}
}

func BenchmarkAdler32(b *testing.B) {
	data := make([]byte, 128<<10)
	for name, sum := range map[string]func([]byte) uint32{"windrow": adler32, "hash": adler.Checksum} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				sum(data)
			}
		})
	}
}

func BenchmarkFletcher32(b *testing.B) {
	data := make([]byte, 128<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		fletcher32(data)
	}
}

func BenchmarkUnshuffle(b *testing.B) {
	src, dst := make([]byte, 128<<10), make([]byte, 128<<10)
	for _, element := range []int{4, 8} {
		b.Run(strconv.Itoa(element), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				unshuffle(dst, src, element)
			}
		})
	}
}
