package simulator

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windrow/internal/message"
	"windrow/internal/table"
)

// paddedLayout has three turbines at most.
var paddedLayout = table.Column{
	Name: "layout", Type: f64, Shape: []table.Dim{turbine, xy}, Padded: []string{"turbine"}, Min: new(0.0), Finite: true,
}

// answerWith puts a result with one column into a row that held another task.
func answerWith(t *testing.T, column table.Column, value, scratch string) (table.Row, error) {
	t.Helper()
	row := oneColumn(column)
	for i := range column.Elements() {
		if err := row.Set(0, i, int64(7)); err != nil {
			t.Fatal(err)
		}
	}
	err := setResult(row, 0, row.Columns(), map[string]json.RawMessage{column.Name: json.RawMessage(value)}, scratch)
	if err == nil {
		err = checkRow(row)
	}
	return row, err
}

// shown has - for fill values.
func shown(row table.Row) string {
	var words []string
	for i := range row.Columns()[0].Elements() {
		v := row.Get(0, i)
		if f, isFloat := v.(float64); isFloat && math.IsNaN(f) || v == int64(math.MinInt32) {
			v = "-"
		}
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, " ")
}

func TestPaddedArraysMayBeShorter(t *testing.T) {
	t.Parallel()
	powers := table.Column{Name: "power", Type: f64, Shape: []table.Dim{turbine}, Padded: []string{"turbine"}, Finite: true}
	ids := table.Column{Name: "ids", Type: table.Type{Kind: table.Int32}, Shape: []table.Dim{turbine}, Padded: []string{"turbine"}, Min: new(1.0)}
	inner := table.Column{Name: "c", Type: f64, Shape: []table.Dim{xy, turbine}, Padded: []string{"turbine"}}
	for _, tt := range []struct {
		column      table.Column
		value, want string
	}{
		{powers, `[1, 2]`, "1 2 -"},
		{powers, `[]`, "- - -"},
		{powers, `[1, 2, 3]`, "1 2 3"},
		{ids, `[4]`, "4 - -"},
		{paddedLayout, `[[1, 2]]`, "1 2 - - - -"},
		{paddedLayout, ` [ ]`, "- - - - - -"},
		{paddedLayout, `[[1, 2], [3, 4], [5, 6]]`, "1 2 3 4 5 6"},
		{paddedLayout, `[1, 2, 3, 4, 5, 6]`, "1 2 3 4 5 6"},
		{inner, `[[1], [2, 3]]`, "1 - - 2 3 -"},
		{inner, `[[], [NaN, 3]]`, "- - - - 3 -"},
	} {
		row, err := answerWith(t, tt.column, string(standardJSON([]byte(tt.value))), "")
		if got := shown(row); err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v; want %s", tt.value, got, err, tt.want)
		}
	}
}

func TestPaddedArraysAreJudgedByWhatTheyGive(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`[[1, 2], [3, null]]`:               "element 3: NaN is not finite",
		`[[1, 2], [-3, 4]]`:                 "element 2: -3 is below the minimum 0",
		`[[1, 2], [3]]`:                     `there are 1 of 2 elements along "xy"`,
		`[[1, 2], [3, 4], [5, 6], [7, 8]]`:  `more than 3 elements along "turbine"`,
		`[1, 2, 3, 4]`:                      "there are 4 of 6 elements",
		`[[1, 2], [3, 4], [5, 6, 7]]`:       `more than 2 elements along "xy"`,
		`{"$npy": "` + "missing.npy" + `"}`: "no such file",
	} {
		_, err := answerWith(t, paddedLayout, value, t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), string(message.ClassInvalidOutput)) {
			t.Errorf("%s: got %v; want %s", value, err, want)
		}
	}
}

func TestPaddedArraysInFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shape, fortran string
		values         []float64
		want, failure  string
	}{
		{"(2, 2)", "False", []float64{1, 2, 3, 4}, "1 2 3 4 - -", ""},
		{"(2, 2)", "True", []float64{1, 3, 2, 4}, "1 2 3 4 - -", ""},
		{"(0, 2)", "False", nil, "- - - - - -", ""},
		{"(6,)", "False", []float64{1, 2, 3, 4, 5, 6}, "1 2 3 4 5 6", ""},
		{"(2, 2)", "False", []float64{1, 2, 3, math.NaN()}, "", "element 3: NaN is not finite"},
		{"(2, 2)", "False", []float64{1, 2, -3, 4}, "", "element 2: -3 is below the minimum 0"},
		{"(4,)", "False", []float64{1, 2, 3, 4}, "", "has the shape [4]; expected [3 2], or fewer along turbine"},
		{"(3, 1)", "False", []float64{1, 2, 3}, "", "has the shape [3 1]; expected [3 2], or fewer along turbine"},
		{"(4, 2)", "False", make([]float64, 8), "", "has the shape [4 2]"},
		{"(2, 2)", "False", []float64{1, 2, 3}, "", "has 24 bytes of data; expected 32"},
	} {
		dir := t.TempDir()
		saveNPY(t, filepath.Join(dir, "v.npy"), tt.shape, tt.fortran, tt.values)
		row, err := answerWith(t, paddedLayout, `{"$npy": "v.npy"}`, dir)
		switch {
		case tt.failure != "" && (err == nil || !strings.Contains(err.Error(), tt.failure)):
			t.Errorf("%s: got %v; want %s", tt.shape, err, tt.failure)
		case tt.failure == "" && (err != nil || shown(row) != tt.want):
			t.Errorf("%s: got %s, %v; want %s", tt.shape, shown(row), err, tt.want)
		}
	}
}

func saveNPY(t *testing.T, path, shape, fortran string, values []float64) {
	t.Helper()
	header := fmt.Sprintf("{'descr': '<f8', 'fortran_order': %s, 'shape': %s, }\n", fortran, shape)
	var b bytes.Buffer
	b.WriteString("\x93NUMPY\x01\x00")
	for _, part := range []any{uint16(len(header)), []byte(header), values} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
