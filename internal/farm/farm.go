// Package farm is what there is to draw of a dataset of wind farms: it goes
// from windrow, which reads the dataset, to windrow-plot, which draws it.
//
// They are two programs because the one that draws brings fonts, and parses
// them when it starts: 4 MB in each worker, which is this program, too.
package farm

import (
	"math"
	"slices"

	"windrow/internal/wind"
)

// Program is the name of the program that draws.
const Program = "windrow-plot"

// Drawing is what windrow-plot reads, as JSON.
type Drawing struct {
	Farms      []Farm
	Free       map[int64][]float64 // GWh that one turbine makes, by farm type and direction
	Directions []float64           // degrees
}

// Farm is a row of the dataset.
type Farm struct {
	Task           int64
	FarmID         int64 // tender site
	FarmType       int64 // type of turbine
	Layout         []wind.Point
	TurbineLoss    []float64 // share of its free energy that each turbine loses to wakes
	AEP            float64   // GWh
	CapacityFactor float64
	WakeLoss       float64
	DirectionAEP   []float64 // GWh
}

// Spacing returns the median distance of a turbine to its nearest neighbour, in
// m; NaN for one turbine.
func (f Farm) Spacing() float64 {
	if len(f.Layout) < 2 {
		return math.NaN()
	}
	var nearest []float64
	for i, p := range f.Layout {
		least := math.Inf(1)
		for j, q := range f.Layout {
			if i != j {
				least = min(least, math.Hypot(p.X-q.X, p.Y-q.Y))
			}
		}
		nearest = append(nearest, least)
	}
	slices.Sort(nearest)
	return nearest[len(nearest)/2]
}
