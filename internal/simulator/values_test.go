package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"windrow/internal/message"
	"windrow/internal/table"
)

var (
	f64     = table.Type{Kind: table.Float64}
	turbine = table.Dim{Name: "turbine", Size: 3}
	xy      = table.Dim{Name: "xy", Size: 2}
)

func TestSetColumn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		column table.Column
		value  string
		want   []any
	}{
		{"number", table.Column{Type: f64}, `1.5`, []any{1.5}},
		{"integer as float", table.Column{Type: f64}, ` 3 `, []any{3.0}},
		{"infinity", table.Column{Type: f64}, `-1e999`, []any{math.Inf(-1)}},
		{"large integer", table.Column{Type: table.Type{Kind: table.Int64}}, `9007199254740993`, []any{int64(9007199254740993)}},
		{"whole float", table.Column{Type: table.Type{Kind: table.Int32}}, `3.0`, []any{int64(3)}},
		{"bool", table.Column{Type: table.Type{Kind: table.Bool}}, `true`, []any{int64(1)}},
		{"string", table.Column{Type: table.Type{Kind: table.String, Length: 8}}, `"a\"b]"`, []any{`a"b]`}},
		{"one dimension", table.Column{Type: f64, Shape: []table.Dim{turbine}}, `[1,2, 3]`, []any{1.0, 2.0, 3.0}},
		{"nested", table.Column{Type: f64, Shape: []table.Dim{xy, turbine}}, `[[1,2,3],[4,5,6]]`, []any{1.0, 2.0, 3.0, 4.0, 5.0, 6.0}},
		{"flat", table.Column{Type: f64, Shape: []table.Dim{xy, turbine}}, `[1,2,3,4,5,6]`, []any{1.0, 2.0, 3.0, 4.0, 5.0, 6.0}},
		{"strings", table.Column{Type: table.Type{Kind: table.String, Length: 2}, Shape: []table.Dim{xy}}, `["a,", "]b"]`, []any{"a,", "]b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			row := oneColumn(tt.column)
			if err := setColumn(row, 0, json.RawMessage(tt.value)); err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				if got := row.Get(0, i); got != want {
					t.Errorf("element %d is %v, want %v", i, got, want)
				}
			}
		})
	}
}

func TestSetColumnReadsNullAsNaN(t *testing.T) {
	t.Parallel()
	row := oneColumn(table.Column{Type: f64})
	row.SetFloats(0, 1)
	if err := setColumn(row, 0, json.RawMessage(`null`)); err != nil {
		t.Fatal(err)
	}
	if f, _ := row.Get(0, 0).(float64); !math.IsNaN(f) {
		t.Errorf("got %v", f)
	}
}

func TestSetColumnRefuses(t *testing.T) {
	t.Parallel()
	array := table.Column{Type: f64, Shape: []table.Dim{xy, turbine}}
	for _, tt := range []struct {
		name   string
		column table.Column
		value  string
		want   string
	}{
		{"array for a value", table.Column{Type: f64}, `[1]`, "element 0: an array stands where one value is expected"},
		{"object", table.Column{Type: f64}, `{"a": 1}`, "an object stands where"},
		{"value for an array", array, `1`, `1 is not an array of 2 along "xy"`},
		{"too few rows", array, `[[1,2,3]]`, `there are 1 of 2 elements along "xy"`},
		{"too many rows", array, `[[1,2,3],[4,5,6],[7,8,9]]`, `more than 2 elements along "xy"`},
		{"too few in a row", array, `[[1,2],[3,4,5]]`, `element 2: there are 2 of 3 elements along "turbine"`},
		{"too many in a row", array, `[[1,2,3,4]]`, `more than 3 elements along "turbine"`},
		{"too deep", array, `[[[1],2,3]]`, "an array stands where one value is expected"},
		{"ragged", array, `[[1,2,3],4]`, `element 3: 4 is not an array of 3 along "turbine"`},
		{"too few flat", array, `[1,2,3,4,5]`, "there are 5 of 6 elements"},
		{"too many flat", array, `[1,2,3,4,5,6,7]`, "more than 6 elements"},
		{"empty", array, `[]`, "there are 0 of 6 elements"},
		{"string for a number", table.Column{Type: f64}, `"1"`, `"1" is not a number`},
		{"number for a string", table.Column{Type: table.Type{Kind: table.String, Length: 8}}, `1`, "1 is not a string"},
		{"long string", table.Column{Type: table.Type{Kind: table.String, Length: 2}}, `"abc"`, "does not fit string(2)"},
		{"fraction", table.Column{Type: table.Type{Kind: table.Int32}}, `1.5`, "not a whole number"},
		{"integer out of range", table.Column{Type: table.Type{Kind: table.Int8}}, `128`, "128 does not fit i8"},
		{"integer far out of range", table.Column{Type: table.Type{Kind: table.Int64}}, `9223372036854775808`, "not a whole number that fits i64"},
		{"null for an integer", table.Column{Type: table.Type{Kind: table.Int32}}, `null`, "null is not a whole number"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := setColumn(oneColumn(tt.column), 0, json.RawMessage(tt.value))
			failure, ok := errors.AsType[*Error](err)
			if !ok || failure.Class != message.ClassInvalidOutput || !strings.Contains(failure.Message, tt.want) {
				t.Errorf("got %v\nwant ...%s...", err, tt.want)
			}
		})
	}
}

func oneColumn(c table.Column) table.Row {
	c.Name = cmp.Or(c.Name, "c")
	return table.NewBlock(table.Columns{c}, 1).Append()
}

// FuzzSetColumn finds JSON that is misread: what is accepted must be what
// encoding/json reads.
func FuzzSetColumn(f *testing.F) {
	for _, seed := range []string{`[1,2]`, `[[1,2]]`, `[[1],[2]]`, `[null, 1e999]`, `["a", "]"]`, `{"a": [1]}`, `[ -0.5E+3 ,1 ]`, `[{},{}]`} {
		f.Add(seed)
	}
	column := table.Column{Type: f64, Shape: []table.Dim{xy, {Name: "one", Size: 1}}}
	f.Fuzz(func(t *testing.T, value string) {
		if !json.Valid([]byte(value)) {
			t.Skip()
		}
		row := oneColumn(column)
		if setColumn(row, 0, json.RawMessage(value)) != nil {
			return
		}
		var nested [][]*float64
		var flat []*float64
		err := json.Unmarshal([]byte(value), &flat)
		if json.Unmarshal([]byte(value), &nested) == nil {
			for _, inner := range nested {
				flat = append(flat, inner...)
			}
			flat = flat[len(flat)-2:]
		} else if err != nil {
			if strings.ContainsAny(value, "eE") || len(value) > 300 {
				return // out of a float64's range, which json refuses
			}
			t.Fatalf("accepted %q, which json refuses: %v", value, err)
		}
		for i, want := range flat {
			got, _ := row.Get(0, i).(float64)
			if want == nil && !math.IsNaN(got) || want != nil && got != *want {
				t.Errorf("element %d of %q is %v", i, value, got)
			}
		}
	})
}
