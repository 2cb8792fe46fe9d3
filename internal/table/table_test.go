package table_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/table"
)

func typeOf(t *testing.T, text string) table.Type {
	t.Helper()
	typ, err := table.ParseType(text)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func TestTypesHaveATextForm(t *testing.T) {
	t.Parallel()
	for text, bytes := range map[string]int{
		"f64": 8, "f32": 4, "i64": 8, "i32": 4, "i8": 1, "bool": 1, "string(1)": 1, "string(4096)": 4096,
	} {
		typ := typeOf(t, text)
		if typ.String() != text || typ.Bytes() != bytes || typ.IsFloat() != (text[0] == 'f') {
			t.Errorf("%s: got %s of %d bytes", text, typ, typ.Bytes())
		}
	}
	for _, text := range []string{"", "f16", "string", "string()", "string(0)", "string(4097)", "string(8", "string(8)x", "F64"} {
		if typ, err := table.ParseType(text); err == nil {
			t.Errorf("%q: got %s", text, typ)
		}
	}
}

func TestColumnsAsJSON(t *testing.T) {
	t.Parallel()
	least := -1.5
	columns := table.Columns{
		table.TaskIndex(),
		{Name: "xy", Type: table.Type{Kind: table.Float32}, Shape: []table.Dim{{Name: "turbine", Size: 3}}, Min: &least, Finite: true},
		{Name: "s", Type: table.Type{Kind: table.String, Length: 7}, Flags: []string{"a", "b"}},
	}
	data, err := json.Marshal(columns)
	if err != nil {
		t.Fatal(err)
	}
	var got table.Columns
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(columns, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := json.Marshal(table.Column{Name: "x"}); err == nil {
		t.Error("a column without type was written")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	f64 := table.Type{Kind: table.Float64}
	column := func(name string, dims ...table.Dim) table.Column {
		return table.Column{Name: name, Type: f64, Shape: dims}
	}
	dim := func(name string, size int) table.Dim { return table.Dim{Name: name, Size: size} }
	for want, columns := range map[string]table.Columns{
		"": {column("a"), column("b", dim("x", 2), dim("y", 3)), column("c", dim("x", 2))},

		"0 columns: 1 to 1024 are allowed":    {},
		"1025 columns: 1 to 1024 are allowed": make(table.Columns, 1025),

		`column "a" has no type`:                 {{Name: "a"}},
		`column "a" is declared twice`:           {column("a"), column("a")},
		`name "": 1 to 64 characters`:            {column("")},
		`column "a" has 8 dimensions: 7 at most`: {column("a", make([]table.Dim, 8)...)},

		`name "1a": a letter, then letters, digits and underscores`:                            {column("1a")},
		`name "` + strings.Repeat("a", 65) + `": 1 to 64 characters`:                           {column(strings.Repeat("a", 65))},
		`column "a": "row" is the name of the first dimension of every column`:                 {column("a", dim("row", 2))},
		`column "a": dimension "x" has size 0: 1 to 67108864 are allowed`:                      {column("a", dim("x", 0))},
		`column "a" has more than 67108864 elements in a row`:                                  {column("a", dim("x", 1<<20), dim("y", 1<<20))},
		`dimension "x" has size 3 in column "b" and 2 elsewhere`:                               {column("a", dim("x", 2)), column("b", dim("x", 3))},
		`"x" is the name of a column and of a dimension`:                                       {column("a", dim("x", 2)), column("x")},
		`column "a" is padded along "y", which is no dimension of it`:                          {{Name: "a", Type: f64, Shape: []table.Dim{dim("x", 2)}, Padded: []string{"x", "y"}}},
		`column "a" is padded along "x" twice`:                                                 {{Name: "a", Type: f64, Shape: []table.Dim{dim("x", 2)}, Padded: []string{"x", "x"}}},
		"a row has 67108872 bytes: 67108864 at most":                                           {column("a", dim("x", 1<<23)), column("b")},
		"column \"a\" has no type\nname \"-\": a letter, then letters, digits and underscores": {{Name: "a"}, column("-")},
	} {
		got := ""
		if err := columns.Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestValuesAsJSON(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]table.Value{
		"1": table.IntValue(1), "-9223372036854775808": table.IntValue(math.MinInt64),
		"1.0": table.FloatValue(1), "0.0": table.FloatValue(math.Copysign(0, -1)), "1e+300": table.FloatValue(1e300), "0.1": table.FloatValue(0.1),
		`"1"`: table.StringValue("1"), `"a\"b"`: table.StringValue(`a"b`), `""`: table.StringValue(""),
	} {
		data, err := json.Marshal(v)
		if err != nil || string(data) != want {
			t.Errorf("got %s, %v: want %s", data, err, want)
		}
		var back table.Value
		if err := json.Unmarshal(data, &back); err != nil || back != v {
			t.Errorf("%s: got %v back, %v", data, back, err)
		}
	}
	for _, v := range []table.Value{{}, table.FloatValue(math.NaN()), table.FloatValue(math.Inf(-1))} {
		if data, err := json.Marshal(v); err == nil {
			t.Errorf("%v was written as %s", v, data)
		}
	}
	for _, text := range []string{"null", "true", "[1]", "{}", "9223372036854775808", "1e999"} {
		var v table.Value
		if err := json.Unmarshal([]byte(text), &v); err == nil {
			t.Errorf("%s was read as %v", text, v)
		}
	}
}

// What was read once is written in a form that stays.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"1", "-0", "1.0", "-0.0", "1e300", "5e-324", `"a"`, `"\u2028\ud800"`, "12345678901234567890"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var v, back table.Value
		if json.Unmarshal(data, &v) != nil {
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%s was read as %v: %v", data, v, err)
		}
		if err := json.Unmarshal(again, &back); err != nil || back != v {
			t.Errorf("%s was read as %v, written as %s, read as %v, %v", data, v, again, back, err)
		}
	})
}
