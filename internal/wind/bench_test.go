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
