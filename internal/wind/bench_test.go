package wind_test

import (
	"fmt"
	"testing"

	"windrow/internal/wind"
)

// BenchmarkFarm measures one farm of each turbine type over 360 directions and
// 23 speeds.
func BenchmarkFarm(b *testing.B) {
	for _, turbine := range wind.TurbineTypes() {
		b.Run(fmt.Sprintf("turbines=%d", turbine.TurbinesPerFarm), func(b *testing.B) {
			calculator := newTenderCalculator(b, turbine)
			layout := newLayout(b, wind.Tenders()[4], turbine, 1)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := calculator.Farm(layout); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLayout(b *testing.B) {
	turbine := wind.TurbineTypes()[0]
	for _, site := range wind.Tenders() {
		b.Run(site.Name, func(b *testing.B) {
			seed := uint64(0)
			for b.Loop() {
				seed++
				newLayout(b, site, turbine, seed)
			}
		})
	}
}

// BenchmarkModel measures one farm of 100 turbines on a square grid, 7 D apart,
// over 72 directions and 23 speeds on one thread: what docs/BENCHMARKS.md
// compares with other tools.
func BenchmarkModel(b *testing.B) {
	turbine, rose := newTurbine(b, "nrel_5mw"), benchmarkRose(b)
	layout := gridLayout(10, 7*turbine.RotorDiameter)
	for _, name := range wind.ModelNames() {
		b.Run(name, func(b *testing.B) {
			calculator := newFarm(b, turbine, rose, newModel(b, name), wind.StandardAir())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := calculator.Farm(layout); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func gridLayout(side int, spacing float64) []wind.Point {
	var layout []wind.Point
	for i := range side * side {
		layout = append(layout, wind.Point{X: float64(i%side) * spacing, Y: float64(i/side) * spacing})
	}
	return layout
}
