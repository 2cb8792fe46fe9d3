package wind_test

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"strconv"
	"testing"

	"windrow/internal/wind"
)

func newTenderRose(tb testing.TB) wind.Rose {
	tb.Helper()
	rose, err := wind.TenderWind().Rose(360, wind.Speeds(3, 25))
	if err != nil {
		tb.Fatal(err)
	}
	return rose
}

func newCalculator(tb testing.TB, turbine wind.Turbine, rose wind.Rose) *wind.Calculator {
	tb.Helper()
	calculator, err := wind.NewCalculator(turbine, rose, wind.IEA37(), wind.StandardAir())
	if err != nil {
		tb.Fatal(err)
	}
	return calculator
}

func newTenderCalculator(tb testing.TB, turbine wind.TurbineType) *wind.Calculator {
	tb.Helper()
	return newCalculator(tb, turbine.Turbine, newTenderRose(tb))
}

func newLayout(tb testing.TB, site wind.Site, turbine wind.TurbineType, seed uint64) []wind.Point {
	tb.Helper()
	layout, err := site.Layout(turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, seed)
	if err != nil {
		tb.Fatal(err)
	}
	return layout
}

func computeFarm(tb testing.TB, calculator *wind.Calculator, layout []wind.Point) wind.Result {
	tb.Helper()
	result, err := calculator.Farm(layout)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}

// readTable returns the columns of a CSV file by name.
func readTable(tb testing.TB, name string) map[string][]float64 {
	tb.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment = '#'
	lines, err := reader.ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	columns := make(map[string][]float64)
	for _, line := range lines[1:] {
		for i, field := range line {
			v, err := strconv.ParseFloat(field, 64)
			if err != nil {
				tb.Fatal(err)
			}
			columns[lines[0][i]] = append(columns[lines[0][i]], v)
		}
	}
	return columns
}

func checkClose(tb testing.TB, what string, got, want, relative float64) {
	tb.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		tb.Errorf("%s = %.15g, want %.15g within %g", what, got, want, relative)
	}
}
