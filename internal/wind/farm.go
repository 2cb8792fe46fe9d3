package wind

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

const hoursPerYear = 8760

// Result is what a farm produces in a year.
type Result struct {
	AEP            float64   // GWh, annual energy production
	AEPNoWake      float64   // GWh, if no turbine stood in the wake of another
	WakeLoss       float64   // 1 - AEP/AEPNoWake
	CapacityFactor float64   // AEP over that of running at rated power all year
	TurbineAEP     []float64 // GWh, in the order of the layout; sums to AEP
	DirectionAEP   []float64 // GWh, in the order of the rose; sums to AEP
}

// Calculator computes farms of one type of turbine in one wind climate. It
// keeps its working memory from farm to farm, so a Calculator must not be used
// by two goroutines at once; make one for each.
type Calculator struct {
	turbine Turbine
	rose    Rose
	wake    gaussianWake
	free    []float64 // GWh by direction, of a turbine in free wind
	axes    []axis

	along  []float64 // m, each turbine's position down the wind
	across []float64 // m, and across it
	ahead  []float64 // sum of the squares of the losses that act on each turbine
	behind []float64 // the same in wind from the opposite direction
}

// axis is a direction of the rose together with the opposite one, which has the
// same pairs of turbines in each other's wake: looking at both at once takes
// half the time.
type axis struct {
	sin, cos float64
	from     int // index in the rose
	opposite int // index in the rose, or none
}

const none = -1

// NewCalculator returns a Calculator for the turbine and the climate, or the
// reason why one of them is not possible. It keeps the slices of the rose, which
// must not change any more.
func NewCalculator(turbine Turbine, rose Rose) (*Calculator, error) {
	if err := errors.Join(turbine.Validate(), rose.Validate()); err != nil {
		return nil, fmt.Errorf("prepare wind farm model: %w", err)
	}
	c := &Calculator{
		turbine: turbine,
		rose:    rose,
		wake:    newGaussianWake(turbine.RotorDiameter),
		free:    make([]float64, len(rose.Directions)),
		axes:    pairOpposites(rose.Directions),
	}
	for d := range c.free {
		c.free[d] = c.energy(d, 1)
	}
	if sum(c.free) == 0 {
		return nil, fmt.Errorf("prepare wind farm model: turbine %q produces nothing at the speeds of the rose", turbine.Name)
	}
	return c, nil
}

func pairOpposites(directions []float64) []axis {
	var axes []axis
	paired := make([]bool, len(directions))
	for i, degrees := range directions {
		if paired[i] {
			continue
		}
		a := axis{from: i, opposite: none}
		a.sin, a.cos = math.Sincos(degrees * math.Pi / 180)
		if j, found := slices.BinarySearch(directions, degrees+180); found {
			a.opposite, paired[j] = j, true
		}
		axes = append(axes, a)
	}
	return axes
}

// Farm returns the production of turbines at the positions of the layout, which
// must be finite. It allocates nothing but the two slices of the result and,
// for the largest layout so far, its working memory.
func (c *Calculator) Farm(layout []Point) (Result, error) {
	if len(layout) == 0 {
		return Result{}, errors.New("compute farm: layout has no turbines")
	}
	for i, p := range layout {
		if !p.finite() {
			return Result{}, fmt.Errorf("compute farm: turbine %d stands at (%g, %g)", i, p.X, p.Y)
		}
	}
	c.resize(len(layout))
	r := Result{TurbineAEP: make([]float64, len(layout)), DirectionAEP: make([]float64, len(c.free))}
	for _, a := range c.axes {
		c.turnInto(a, layout)
		c.wake.addSquares(c.ahead, c.behind, c.along, c.across)
		c.addEnergy(&r, a.from, c.ahead)
		if a.opposite != none {
			c.addEnergy(&r, a.opposite, c.behind)
		}
	}
	turbines := float64(len(layout))
	r.AEP = sum(r.DirectionAEP)
	r.AEPNoWake = turbines * sum(c.free)
	r.WakeLoss = max(0, 1-r.AEP/r.AEPNoWake) // rounding may leave -1e-16
	r.CapacityFactor = r.AEP / (turbines * gigawattHours(c.turbine.RatedPower))
	return r, nil
}

func (c *Calculator) resize(n int) {
	for _, s := range []*[]float64{&c.along, &c.across, &c.ahead, &c.behind} {
		*s = slices.Grow((*s)[:0], n)[:n]
	}
}

// turnInto looks at the layout along the wind: the downwind unit vector is
// (-sin, -cos), the crosswind one (cos, -sin). Distances count from the first
// turbine, so that large coordinates cost no digits.
func (c *Calculator) turnInto(a axis, layout []Point) {
	origin := layout[0]
	for i, p := range layout {
		x, y := p.X-origin.X, p.Y-origin.Y
		c.along[i] = -x*a.sin - y*a.cos
		c.across[i] = x*a.cos - y*a.sin
	}
}

// addEnergy adds what each turbine makes of the wind from direction d under the
// given squares of losses.
func (c *Calculator) addEnergy(r *Result, d int, squares []float64) {
	for i, square := range squares {
		energy := c.free[d]
		if square > 0 {
			energy = c.energy(d, max(0, 1-math.Sqrt(square)))
		}
		r.TurbineAEP[i] += energy
		r.DirectionAEP[d] += energy
	}
}

// energy returns what a turbine that sees the given share of the free wind speed
// makes of the wind from direction d, in GWh.
func (c *Calculator) energy(d int, share float64) float64 {
	power := 0.0
	for i, frequency := range c.rose.Frequency[d] {
		power += frequency * c.turbine.Curve.Power(c.rose.Speeds[i]*share)
	}
	return gigawattHours(power)
}

func gigawattHours(watts float64) float64 { return watts * hoursPerYear / 1e9 }

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}
