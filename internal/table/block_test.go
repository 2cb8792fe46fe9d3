package table_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"windrow/internal/table"
)

// one returns a cleared row with the task's column and a column called x.
func one(t *testing.T, text string, dims ...table.Dim) table.Row {
	t.Helper()
	columns := table.Columns{table.TaskIndex(), {Name: "x", Type: typeOf(t, text), Shape: dims}}
	return table.NewBlock(columns, 1).Append()
}

func TestSetAndGet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ  string
		set  any
		want any
	}{
		{"f64", 1.5, 1.5},
		{"f64", int64(3), 3.0},
		{"f64", math.Inf(-1), math.Inf(-1)},
		{"f64", math.MaxFloat64, math.MaxFloat64},
		{"f32", 1.5, 1.5},
		{"f32", 0.1, float64(float32(0.1))},
		{"f32", math.Inf(1), math.Inf(1)},
		{"f32", int64(-2), -2.0},
		{"i64", int64(math.MinInt64), int64(math.MinInt64)},
		{"i64", int64(math.MaxInt64), int64(math.MaxInt64)},
		{"i64", 2.0, int64(2)},
		{"i32", int64(math.MinInt32), int64(math.MinInt32)},
		{"i32", float64(math.MaxInt32), int64(math.MaxInt32)},
		{"i8", int64(-128), int64(-128)},
		{"i8", int64(127), int64(127)},
		{"bool", true, int64(1)},
		{"bool", false, int64(0)},
		{"bool", int64(1), int64(1)},
		{"bool", 0.0, int64(0)},
		{"string(3)", "abc", "abc"},
		{"string(3)", "", ""},
		{"string(3)", "a ", "a "},
		{"string(3)", "\t~\n", "\t~\n"},
	} {
		row := one(t, c.typ)
		if err := row.Set(1, 0, c.set); err != nil {
			t.Errorf("%s from %v: %v", c.typ, c.set, err)
		}
		if got := row.Get(1, 0); got != c.want {
			t.Errorf("%s from %v: got %v, want %v", c.typ, c.set, got, c.want)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		typ        string
		set        any
		outOfRange bool
	}{
		{"f64", "1", false},
		{"f64", nil, false},
		{"f64", true, false},
		{"f64", []any{}, false},
		{"f64", map[string]any{}, false},
		{"f32", 1e39, true},
		{"f32", -1e39, true},
		{"f32", "x", false},
		{"i64", 9223372036854775808.0, true},
		{"i64", -9.3e18, true},
		{"i64", 0.5, true},
		{"i64", math.NaN(), true},
		{"i64", math.Inf(1), true},
		{"i64", "1", false},
		{"i64", true, false},
		{"i64", nil, false},
		{"i32", int64(math.MaxInt32 + 1), true},
		{"i32", int64(math.MinInt32 - 1), true},
		{"i32", 1e10, true},
		{"i8", int64(128), true},
		{"i8", int64(-129), true},
		{"bool", int64(2), true},
		{"bool", int64(-1), true},
		{"bool", "true", false},
		{"string(3)", "abcd", true},
		{"string(3)", "é", false},
		{"string(3)", "a\x00", false},
		{"string(3)", int64(1), false},
	} {
		row := one(t, c.typ)
		before := slices.Clone(row.Bytes(1))
		err := row.Set(1, 0, c.set)
		if err == nil || errors.Is(err, table.ErrOutOfRange) != c.outOfRange {
			t.Errorf("%s from %v: got error %v, want out of range: %t", c.typ, c.set, err, c.outOfRange)
		}
		if !bytes.Equal(before, row.Bytes(1)) {
			t.Errorf("%s from %v: refused, but the row has changed", c.typ, c.set)
		}
	}
}

func TestShorterTextReplacesLonger(t *testing.T) {
	t.Parallel()
	row := one(t, "string(4)")
	for _, s := range []string{"long", "a"} {
		if err := row.Set(1, 0, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := row.Bytes(1); !bytes.Equal(got, []byte("a\x00\x00\x00")) {
		t.Errorf("got %q", got)
	}
}

// Rows with equal values have equal bytes, whichever NaN the computation made.
func TestThereIsOneNaN(t *testing.T) {
	t.Parallel()
	odd := math.Float64frombits(0xFFF8_0000_0000_1234)
	for _, typ := range []string{"f64", "f32"} {
		cleared, set, many := one(t, typ), one(t, typ), one(t, typ)
		if err := set.Set(1, 0, odd); err != nil {
			t.Fatal(err)
		}
		many.SetFloats(1, odd)
		if !bytes.Equal(set.Bytes(1), cleared.Bytes(1)) || !bytes.Equal(many.Bytes(1), cleared.Bytes(1)) {
			t.Errorf("%s: got %x and %x, want %x", typ, set.Bytes(1), many.Bytes(1), cleared.Bytes(1))
		}
		if v, ok := cleared.Get(1, 0).(float64); !ok || !math.IsNaN(v) {
			t.Errorf("%s: a cleared row holds %v", typ, v)
		}
	}
}

func TestElementsStandInRowOrder(t *testing.T) {
	t.Parallel()
	row := one(t, "i32", table.Dim{Name: "turbine", Size: 2}, table.Dim{Name: "xy", Size: 2})
	for i := range 4 {
		if err := row.Set(1, i, int64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := row.Bytes(1); !bytes.Equal(got, []byte{1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0}) {
		t.Errorf("got %v", got)
	}
}

func TestSetFloatsKeepsTheRest(t *testing.T) {
	t.Parallel()
	row := one(t, "f64", table.Dim{Name: "turbine", Size: 3})
	row.SetFloats(1, 1, 2)
	if a, b := row.Get(1, 0), row.Get(1, 1); a != 1.0 || b != 2.0 {
		t.Errorf("got %v, %v", a, b)
	}
	if c, ok := row.Get(1, 2).(float64); !ok || !math.IsNaN(c) {
		t.Errorf("the element that was not set is %v", c)
	}
}

func TestRowsAreApart(t *testing.T) {
	t.Parallel()
	columns := table.Columns{table.TaskIndex(), {Name: "s", Type: typeOf(t, "string(3)")}}
	b := table.NewBlock(columns, 0)
	for i, s := range []string{"abc", "d", "efg"} {
		row := b.Append()
		row.SetTask(int64(i) * 10)
		if err := row.Set(1, 0, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Column(1); string(got) != "abcd\x00\x00efg" {
		t.Errorf("got %q", got)
	}
	b.Truncate(2)
	if b.Len() != 2 || b.Row(1).Task() != 10 || len(b.Column(0)) != 16 {
		t.Errorf("after truncation: %d rows, task %d", b.Len(), b.Row(1).Task())
	}
	b.Grow(1) // takes the room that the third row had
	if got := b.Row(2); got.Task() != 0 || got.Get(1, 0) != "" {
		t.Errorf("a new row holds task %d, %q", got.Task(), got.Get(1, 0))
	}
}

func TestDigestDependsOnEveryByte(t *testing.T) {
	t.Parallel()
	columns := table.Columns{table.TaskIndex(), {Name: "s", Type: typeOf(t, "string(5)")}, {Name: "b", Type: typeOf(t, "i8")}}
	row := table.NewBlock(columns, 1).Append()
	digests := []uint64{row.Digest()}
	for c := range columns {
		for i := range row.Bytes(c) {
			row.Bytes(c)[i] ^= 1
			digests = append(digests, row.Digest())
			row.Bytes(c)[i] ^= 1
		}
	}
	if row.Digest() != digests[0] {
		t.Error("the same bytes have another digest")
	}
	slices.Sort(digests)
	if n := len(slices.Compact(digests)); n != 1+8+5+1 || digests[0] == 0 {
		t.Errorf("15 rows have %d digests, the smallest is %d", n, digests[0])
	}
}

func TestDigestIsThatOfTheRowWhereverItIs(t *testing.T) {
	t.Parallel()
	columns := table.Columns{table.TaskIndex(), {Name: "x", Type: typeOf(t, "f64")}}
	alone, third := table.NewBlock(columns, 1).Append(), table.Row{}
	b := table.NewBlock(columns, 3)
	for range 3 {
		third = b.Append()
	}
	for _, row := range []table.Row{alone, third} {
		row.SetTask(7)
		row.SetFloats(1, 2.5)
	}
	if alone.Digest() != third.Digest() {
		t.Error("two digests of equal rows")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	low, high := -1.0, 1.0
	for _, c := range []struct {
		column table.Column
		value  float64
		want   string
	}{
		{table.Column{Finite: true}, math.NaN(), `column "x", element 1: NaN is not finite`},
		{table.Column{Finite: true}, math.Inf(-1), `column "x", element 1: -Inf is not finite`},
		{table.Column{Min: &low}, -1.5, `column "x", element 1: -1.5 is below the minimum -1`},
		{table.Column{Max: &high}, 1.5, `column "x", element 1: 1.5 is above the maximum 1`},
		{table.Column{Max: &high}, math.Inf(1), `column "x", element 1: +Inf is above the maximum 1`},
		{table.Column{Min: &low, Max: &high}, math.NaN(), ""},
		{table.Column{Min: &low, Max: &high, Finite: true}, 1.0, ""},
		{table.Column{}, math.Inf(1), ""},
	} {
		c.column.Name, c.column.Type, c.column.Shape = "x", typeOf(t, "f64"), []table.Dim{{Name: "d", Size: 2}}
		row := table.NewBlock(table.Columns{table.TaskIndex(), c.column}, 1).Append()
		row.SetFloats(1, 0, c.value)
		checkBreach(t, row, c.want)
	}
}

func TestCheckJudgesIntegers(t *testing.T) {
	t.Parallel()
	low := 5.0
	columns := table.Columns{table.TaskIndex(), {Name: "n", Type: typeOf(t, "i8"), Min: &low, Finite: true}}
	row := table.NewBlock(columns, 1).Append()
	checkBreach(t, row, `column "n", element 0: 0 is below the minimum 5`)
	if err := row.Set(1, 0, int64(5)); err != nil {
		t.Fatal(err)
	}
	checkBreach(t, row, "")
}

func TestFillValuesPassInPaddedColumns(t *testing.T) {
	t.Parallel()
	for text, fill := range map[string]any{
		"f64": nil, "f32": nil, "string(3)": "",
		"i64": int64(math.MinInt64), "i32": int64(math.MinInt32), "i8": int64(math.MinInt8), "bool": int64(math.MinInt8),
	} {
		column := table.Column{Name: "x", Type: typeOf(t, text), Shape: []table.Dim{{Name: "n", Size: 2}}, Padded: []string{"n"}}
		if column.Type.Kind != table.String {
			column.Min, column.Finite = new(1.0), true
		}
		row := table.NewBlock(table.Columns{table.TaskIndex(), column}, 1).Append()
		row.FillColumn(1)
		checkBreach(t, row, "")
		got := row.Get(1, 1)
		if f, isFloat := got.(float64); fill == nil && (!isFloat || !math.IsNaN(f)) || fill != nil && got != fill {
			t.Errorf("the fill value of %s is %v", text, got)
		}
		if text == "f64" || text == "i8" {
			if err := row.Set(1, 1, int64(0)); err != nil {
				t.Fatal(err)
			}
			checkBreach(t, row, `column "x", element 1: 0 is below the minimum 1`)
		}
	}
}

func TestFillValueThatIsGivenIsJudged(t *testing.T) {
	t.Parallel()
	column := table.Column{Name: "x", Type: typeOf(t, "f64"), Shape: []table.Dim{{Name: "n", Size: 2}}, Padded: []string{"n"}, Finite: true}
	row := table.NewBlock(table.Columns{table.TaskIndex(), column}, 1).Append()
	if err := row.CheckElement(1, 0); err == nil || err.Error() != `column "x", element 0: NaN is not finite` {
		t.Errorf("got %v", err)
	}
}

func checkBreach(t *testing.T, row table.Row, want string) {
	t.Helper()
	err := row.Check()
	got := ""
	if breach, ok := errors.AsType[*table.ContractError](err); ok {
		got = breach.Error()
	} else if err != nil {
		t.Errorf("got %v, not a ContractError", err)
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSetKey(t *testing.T) {
	t.Parallel()
	code, ok := table.CodeColumn("site", []string{"north", "se"})
	if !ok {
		t.Fatal("no room for two codes")
	}
	columns := table.Columns{table.TaskIndex(), {Name: "site", Type: typeOf(t, "string(5)")}, {Name: "seed", Type: typeOf(t, "i32")}, code}
	row := table.NewBlock(columns, 1).Append()
	if err := row.SetKey([]table.Value{table.StringValue("se"), table.IntValue(3)}); err != nil {
		t.Fatal(err)
	}
	if got := []any{row.Get(1, 0), row.Get(2, 0), row.Get(3, 0)}; !slices.Equal(got, []any{"se", int64(3), int64(1)}) {
		t.Errorf("got %v", got)
	}
	for want, key := range map[string][]table.Value{
		`column "site_code" has no code for "east"`:  {table.StringValue("east"), table.IntValue(3)},
		`column "seed": "x" is not a whole number`:   {table.StringValue("se"), table.StringValue("x")},
		`column "site": a string of 6 bytes`:         {table.StringValue("centre"), table.IntValue(3)},
		`a key of 4 values: the rows have 4 columns`: make([]table.Value, 4),
	} {
		if err := row.SetKey(key); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestKeySpan(t *testing.T) {
	t.Parallel()
	for want, values := range map[string][]table.Value{
		"i32":       {table.IntValue(math.MinInt32), table.IntValue(math.MaxInt32)},
		"i64":       {table.IntValue(5), table.IntValue(math.MaxInt32 + 1)},
		"f64":       {table.FloatValue(1), table.FloatValue(2)},
		"string(3)": {table.StringValue("a"), table.StringValue("abc"), table.StringValue("b")},
	} {
		var span table.KeySpan
		for _, v := range values {
			if err := span.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		if got := span.Column("k").Type.String(); got != want {
			t.Errorf("%v: got %s, want %s", values, got, want)
		}
	}
	for _, v := range []table.Value{
		{},
		table.FloatValue(math.NaN()), table.StringValue(""), table.StringValue("ü"), table.StringValue("a\nb"),
		table.StringValue(strings.Repeat("a", table.MaxStringBytes+1)),
	} {
		var span table.KeySpan
		if err := span.Add(v); err == nil {
			t.Errorf("%q was taken", v)
		}
	}
}
