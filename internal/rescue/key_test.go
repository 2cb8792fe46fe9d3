package rescue_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"windrow/internal/rescue"
	"windrow/internal/table"
)

func key(values ...table.Value) rescue.Key { return rescue.KeyOf(values) }

func TestKeysCompareByValue(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(key(table.IntValue(3), table.StringValue("V80")), key(table.FloatValue(3), table.StringValue("V80"))) {
		t.Error("3 and 3.0 are two keys")
	}
	if bytes.Equal(key(table.StringValue("a"), table.StringValue("bc")), key(table.StringValue("ab"), table.StringValue("c"))) {
		t.Error("two keys are one")
	}
	ascending := []rescue.Key{
		key(table.FloatValue(math.Inf(-1))), key(table.IntValue(math.MinInt64)), key(table.IntValue(-5)), key(table.FloatValue(-4.5)),
		key(table.IntValue(0)), key(table.FloatValue(0.5)), key(table.IntValue(1)), key(table.IntValue(1 << 60)),
		key(table.IntValue(1<<60 + 1)), key(table.IntValue(math.MaxInt64)), key(table.StringValue("")), key(table.StringValue("V8")),
		key(table.StringValue("V80")), key(table.StringValue("V9")),
	}
	if !slices.IsSortedFunc(ascending, func(a, b rescue.Key) int { return bytes.Compare(a, b) }) {
		t.Error("keys are not in the order of their values")
	}
	for i := range ascending[1:] {
		if bytes.Equal(ascending[i], ascending[i+1]) {
			t.Errorf("keys %d and %d are one", i, i+1)
		}
	}
}

func TestTextsThatAreNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]any{
		"3": int64(3), "-3": int64(-3), "1.5": 1.5, "3e2": 300.0, "0": int64(0), "9223372036854775808": 0x1p63,
		"": nil, "03": nil, "+3": nil, " 3": nil, "3 ": nil, ".5": nil, "0x10": nil, "NaN": nil, "inf": nil, "1e999": nil, "V80": nil,
	} {
		if number, ok := rescue.NumberOf(text); ok != (want != nil) || ok && number != want {
			t.Errorf("%q is %v, %v; want %v", text, number, ok, want)
		}
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	seen := rescue.NewSeen()
	if _, _, twice := seen.Add(key(table.IntValue(1)), 4, 10); twice {
		t.Error("a first key was there before")
	}
	if source, row, twice := seen.Add(key(table.FloatValue(1)), 5, 11); !twice || source != 4 || row != 10 {
		t.Errorf("the key was in file %d, row %d, %v", source, row, twice)
	}
}
