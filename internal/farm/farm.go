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
	Sites      map[int64]wind.Site // by farm id; none if farms have no boundary
	Types      []Type              // by farm type
	Directions []float64           // degrees
	Rose       []Sector
}

// Type is what tells some farms from others: the turbine, or the style of the
// layout.
type Type struct {
	Name          string
	RotorDiameter float64   // m
	Free          []float64 // GWh that one turbine makes, by direction
}

// Sector is the wind from a direction.
type Sector struct {
	Degrees float64
	Shares  []float64 // of the year, by classes that begin at RoseSpeeds
}

// RoseSpeeds are the lower ends of classes of wind speeds, in m/s.
var RoseSpeeds = []float64{0, 5, 10, 15, 20}

// Farm is a row of the dataset.
type Farm struct {
	Task           int64
	FarmID         int64 // site
	FarmType       int64 // index of the type
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
