package foreign_test

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// file makes a file of three rows: a column of integers, a column of numbers,
// and a matrix of numbers.
func file(t *testing.T, numbers, matrix []float64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker.h5")
	f, err := h5.Create(path, h5.V108)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, kind h5.Type, dims []int64, content []byte) {
		t.Helper()
		d, err := f.Create(name, kind, dims)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Write(0, dims[0], content); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write("seed", h5.Type{Kind: h5.Int32}, []int64{3}, make([]byte, 12))
	write("aep", h5.Type{Kind: h5.Float64}, []int64{int64(len(numbers))}, bytesOf(numbers))
	write("layout", h5.Type{Kind: h5.Float64}, []int64{3, int64(len(matrix)) / 3}, bytesOf(matrix))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func bytesOf(numbers []float64) []byte {
	var b []byte
	for _, x := range numbers {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func TestCheck(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	whole := []float64{1, 2, 3, 4, 5, 6}
	for name, c := range map[string]struct {
		numbers, matrix []float64
		required        []string
		want            string // error, or empty
	}{
		"sound":              {[]float64{1, 2, 3}, whole, []string{"seed", "aep", "layout"}, ""},
		"all that is there":  {[]float64{1, 2, 3}, whole, nil, ""},
		"padded":             {[]float64{1, 2, 3}, []float64{1, 2, 3, nan, nan, nan}, nil, ""},
		"not a number":       {[]float64{1, nan, 3}, whole, nil, "dataset aep: row 1 is NaN"},
		"infinite":           {[]float64{1, 2, -inf}, whole, nil, "dataset aep: row 2 is infinite"},
		"infinite in matrix": {[]float64{1, 2, 3}, []float64{1, 2, 3, 4, 5, inf}, nil, "dataset layout: row 2 is infinite"},
		"short":              {[]float64{1, 2}, whole, []string{"seed", "aep"}, "datasets have unequal lengths: seed 3, aep 2"},
		"missing":            {[]float64{1, 2, 3}, whole, []string{"farm_id"}, "dataset farm_id is missing"},
		"not asked for":      {[]float64{1, nan, 3}, whole, []string{"seed"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := foreign.Check(file(t, c.numbers, c.matrix), c.required)
			rows := found.Rows
			switch {
			case c.want == "" && (err != nil || rows != 3):
				t.Errorf("%d rows, %v", rows, err)
			case c.want != "" && (err == nil || err.Error() != c.want):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
