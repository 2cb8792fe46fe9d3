package tasklist

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func collect(t *testing.T, limit int, all []uint64) []uint64 {
	t.Helper()
	h := &hashes{limit: limit}
	defer h.close()
	for _, hash := range all {
		if err := h.add(hash); err != nil {
			t.Fatal(err)
		}
	}
	if (h.file != nil) != (len(all) > limit) {
		t.Errorf("limit %d of %d hashes: a file %t", limit, len(all), h.file != nil)
	}
	found, err := h.repeated()
	if err != nil {
		t.Fatal(err)
	}
	if cap(h.values) > 2*limit && limit >= 100 {
		t.Errorf("limit %d: room for %d", limit, cap(h.values))
	}
	return found
}

// However little fits into memory, a repeated hash is found, wherever it is in
// the range, and no other.
func TestRepeatedHashesAreFound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]uint64, 1000)
	for i := range all {
		all[i] = random.Uint64()
	}
	all[0], all[1] = 0, ^uint64(0)
	for _, limit := range []int{1 << 20, 1001, 1000, 999, 100, 10} {
		if got := collect(t, limit, all); len(got) > 0 {
			t.Errorf("limit %d: %x are said to be repeated", limit, got)
		}
		for _, repeated := range []uint64{all[0], all[1], all[17], all[500], all[999]} {
			if got := collect(t, limit, append(slices.Clone(all), repeated)); !slices.Equal(got, []uint64{repeated}) {
				t.Errorf("limit %d: got %x, want %x", limit, got, repeated)
			}
		}
	}
}

// A hash that is there more often than fits takes no more memory.
func TestOneHashManyTimes(t *testing.T) {
	t.Parallel()
	all := slices.Repeat([]uint64{42}, 5000)
	if got := collect(t, 100, all); !slices.Equal(got, []uint64{42}) {
		t.Errorf("got %d", got)
	}
}
