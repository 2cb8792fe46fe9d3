package tasklist

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// However little fits into memory, each repeated hash is found, and no other.
func TestRepeatedHashesAreFoundInParts(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]uint64, 1000)
	for i := range all {
		all[i] = random.Uint64()
	}
	all[0], all[1] = 0, ^uint64(0)
	want := []uint64{all[0], all[1], all[17], all[500]}
	all = append(all, want...)
	slices.Sort(want)

	for _, limit := range []int{1 << 20, 1004, 1003, 100, 10} {
		var got []uint64
		parts := 0
		for h := newHashes(limit); ; {
			for _, hash := range all {
				h.add(hash)
			}
			got = append(got, h.repeated()...)
			if cap(h.values) > 2*limit && limit < 1000 {
				t.Errorf("limit %d: room for %d", limit, cap(h.values))
			}
			if parts++; !h.nextPart() {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: got %x, want %x", limit, got, want)
		}
		if (parts == 1) != (limit >= 1004) {
			t.Errorf("limit %d: %d parts", limit, parts)
		}
	}
}

// A hash that is there more often than fits does not make the part vanish.
func TestOneHashManyTimes(t *testing.T) {
	t.Parallel()
	h := newHashes(4)
	for range 100 {
		h.add(42)
	}
	for !slices.Equal(h.repeated(), []uint64{42}) {
		if !h.nextPart() {
			t.Fatal("not found")
		}
		h.add(42)
		h.add(42)
	}
}
