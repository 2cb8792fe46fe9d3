package message_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"windrow/internal/message"
)

// TestRangesProperties compares a set of ranges with a set of indexes.
func TestRangesProperties(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		indexes := make([]int64, random.IntN(40))
		for k := range indexes {
			indexes[k] = random.Int64N(50)
		}
		given := slices.Clone(indexes)
		rs := message.RangesOf(indexes)
		if !slices.Equal(given, indexes) {
			t.Fatal("RangesOf changed its argument")
		}
		slices.Sort(indexes)
		checkRanges(t, rs, slices.Compact(indexes))
		if len(rs) > 0 {
			checkSplit(t, rs, 1+random.IntN(len(rs)+1))
		}
	}
}

// checkRanges makes sure that rs holds the indexes, which are sorted.
func checkRanges(t *testing.T, rs message.Ranges, indexes []int64) {
	t.Helper()
	if err := rs.Validate(50); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(rs.All()); !slices.Equal(got, indexes) {
		t.Fatalf("ranges %v hold %v, want %v", rs, got, indexes)
	}
	if rs.Len() != int64(len(indexes)) {
		t.Fatalf("Len of %v is %d", rs, rs.Len())
	}
	for i := int64(-1); i <= 50; i++ {
		if rs.Contains(i) != slices.Contains(indexes, i) {
			t.Fatalf("%v contains %d: %v", rs, i, rs.Contains(i))
		}
	}
	text, err := json.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	var back message.Ranges
	if err := json.Unmarshal(text, &back); err != nil || !slices.Equal(back, rs) {
		t.Fatalf("%s is read as %v: %v", text, back, err)
	}
}

func checkSplit(t *testing.T, rs message.Ranges, most int) {
	t.Helper()
	pieces := rs.Split(most)
	for k, piece := range pieces {
		if len(piece) > most || k+1 < len(pieces) && len(piece) < most {
			t.Fatalf("piece %d of %v has %d ranges, want %d", k, rs, len(piece), most)
		}
	}
	if !slices.Equal(slices.Concat(pieces...), rs) {
		t.Fatalf("the pieces of %v are %v", rs, pieces)
	}
}

func TestRangesValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]message.Ranges{
		"negative":        {{First: -1, Last: 3}},
		"beyond the end":  {{First: 3, Last: 10}},
		"backward":        {{First: 4, Last: 3}},
		"overlapping":     {{First: 0, Last: 3}, {First: 3, Last: 4}},
		"touching":        {{First: 0, Last: 3}, {First: 4, Last: 5}},
		"descending":      {{First: 5, Last: 6}, {First: 0, Last: 1}},
		"largest numbers": {{First: 0, Last: 1<<63 - 1}, {First: -1 << 63, Last: 4}},
	}
	for name, rs := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefused(t, rs.Validate(10), "range [", "expected ascending, separate ranges within 0 to 9")
		})
	}
}

func TestRangesString(t *testing.T) {
	t.Parallel()
	tests := map[string]message.Ranges{
		"":                             nil,
		"7":                            message.RangesOf([]int64{7}),
		"0-4, 7":                       message.RangesOf([]int64{7, 0, 1, 2, 3, 4}),
		"0, 2, 4":                      message.RangesOf([]int64{4, 2, 0}),
		"0, 2, 4, 6, 8, 10, 12, 14-15": message.RangesOf([]int64{0, 2, 4, 6, 8, 10, 12, 14, 15}),
		"0, 2, 4, 6, 8, 10, 12, 14, ... (10 in all)": message.RangesOf([]int64{0, 2, 4, 6, 8, 10, 12, 14, 16, 18}),
	}
	for want, rs := range tests {
		if got := rs.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRangeJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`null`, `[]`, `[1]`, `[1,2,3]`, `"1-2"`, `{"First":1}`, `[1.5,2]`, `[1,9223372036854775808]`} {
		var r message.Range
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s is read as %v", text, r)
		}
	}
}
