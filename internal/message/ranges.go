package message

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
)

// Range is the task indexes First to Last, both included. In JSON it is the
// array [First, Last].
type Range struct{ First, Last int64 }

// MarshalJSON implements json.Marshaler.
func (r Range) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{r.First, r.Last}) }

// UnmarshalJSON implements json.Unmarshaler.
func (r *Range) UnmarshalJSON(data []byte) error {
	var pair []int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("range %s: expected [first, last]", data)
	}
	r.First, r.Last = pair[0], pair[1]
	return nil
}

// MaxRanges is how many ranges fit one event, whatever their numbers.
const MaxRanges = 10_000

// Ranges is a set of task indexes: ascending, not overlapping, not touching.
type Ranges []Range

// RangesOf returns the set of the indexes, which may be in any order.
func RangesOf(indexes []int64) Ranges {
	sorted := slices.Clone(indexes)
	slices.Sort(sorted)
	var rs Ranges
	for _, i := range sorted {
		switch n := len(rs); {
		case n > 0 && i <= rs[n-1].Last+1:
			rs[n-1].Last = max(i, rs[n-1].Last)
		default:
			rs = append(rs, Range{i, i})
		}
	}
	return rs
}

// Len returns the number of indexes.
func (rs Ranges) Len() int64 {
	var n int64
	for _, r := range rs {
		n += r.Last - r.First + 1
	}
	return n
}

// Contains tells whether index is in the set.
func (rs Ranges) Contains(index int64) bool {
	i, _ := slices.BinarySearchFunc(rs, index, func(r Range, index int64) int {
		switch {
		case r.Last < index:
			return -1
		case r.First > index:
			return 1
		}
		return 0
	})
	return i < len(rs) && rs[i].First <= index && index <= rs[i].Last
}

// All yields the indexes in ascending order.
func (rs Ranges) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for _, r := range rs {
			for i := r.First; i <= r.Last; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// Validate tells whether rs is a set as described, within [0, n).
func (rs Ranges) Validate(n int64) error {
	previous := int64(-2)
	for _, r := range rs {
		if r.First <= previous+1 || r.Last < r.First || r.Last >= n {
			return fmt.Errorf("range [%d, %d]: expected ascending, separate ranges within 0 to %d", r.First, r.Last, n-1)
		}
		previous = r.Last
	}
	return nil
}

// Split returns rs in pieces of maxRanges ranges at most. Pieces of MaxRanges
// fit one event.
func (rs Ranges) Split(maxRanges int) []Ranges { return slices.Collect(slices.Chunk(rs, maxRanges)) }

// String returns the set as it is shown to people, as in "0-4, 7".
func (rs Ranges) String() string {
	var b []byte
	for i, r := range rs {
		if i > 0 {
			b = append(b, ", "...)
		}
		if i == 8 {
			return fmt.Sprintf("%s... (%d in all)", b, rs.Len())
		}
		b = fmt.Append(b, r.First)
		if r.Last > r.First {
			b = fmt.Appendf(b, "-%d", r.Last)
		}
	}
	return string(b)
}
