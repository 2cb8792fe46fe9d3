package wind

import (
	"cmp"
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
	climate climate
	model   Model
	air     Air
	free    []float64 // GWh by direction, of a turbine in free wind
	boost   float64   // of the speed in the power curve, for the density of the air

	flow   flow      // of models whose thrust is not constant
	order  []int     // of the turbines down the wind
	sorted []float64 // m, positions in that order, along and then across the wind
	speeds []float64 // m/s, the wind at the rotors in that order

	wake gaussianWake // of the case studies, whose losses are the same at every speed
	axes []axis

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

// NewCalculator returns a Calculator for the turbine in the wind resource and
// the air, or the reason why one of them is not possible or does not go with the
// model. It keeps the slices of the resource, which must not change any more.
func NewCalculator(turbine Turbine, resource Resource, model Model, air Air) (*Calculator, error) {
	climate, invalid := resource.climate()
	if err := errors.Join(turbine.Validate(), invalid, model.Validate(), air.validate(), model.suits(turbine, air)); err != nil {
		return nil, fmt.Errorf("prepare wind farm model: %w", err)
	}
	if model.Renormalise {
		climate = climate.renormalised()
	}
	c := &Calculator{turbine: turbine, climate: climate, model: model, air: air, boost: 1, free: make([]float64, len(climate))}
	if air.Density != airDensity {
		c.boost = math.Cbrt(air.Density / airDensity)
	}
	switch {
	case model.Deficit == CaseStudy:
		c.wake, c.axes = newGaussianWake(turbine.RotorDiameter), pairOpposites(climate)
	case model.Rotor == Grid:
		c.flow = newGridFlow(model, turbine, air)
	case model.needsThrust():
		c.flow = newPointFlow(model, turbine, air)
	default:
		c.flow = noFlow{}
	}
	c.measureFree()
	if sum(c.free) == 0 {
		return nil, fmt.Errorf("prepare wind farm model: turbine %q produces nothing at the speeds of the resource", turbine.Name)
	}
	return c, nil
}

// measureFree computes what a single turbine produces.
func (c *Calculator) measureFree() {
	if c.flow == nil {
		for d := range c.free {
			c.free[d] = c.energy(d, 1)
		}
		return
	}
	c.resize(1)
	c.line(axis{cos: 1}, []Point{{}})
	for d := range c.free {
		c.sweep(d, func(_ int, energy float64) { c.free[d] += energy })
	}
}

func pairOpposites(c climate) []axis {
	var directions []float64
	for _, d := range c {
		directions = append(directions, d.degrees)
	}
	var axes []axis
	paired := make([]bool, len(directions))
	for i, degrees := range directions {
		if paired[i] {
			continue
		}
		a := newAxis(degrees)
		a.from = i
		if j, found := slices.BinarySearch(directions, degrees+180); found {
			a.opposite, paired[j] = j, true
		}
		axes = append(axes, a)
	}
	return axes
}

func newAxis(degrees float64) axis {
	a := axis{opposite: none}
	a.sin, a.cos = math.Sincos(degrees * math.Pi / 180)
	return a
}

// Farm returns the production of turbines at the positions of the layout, which
// must be finite. It allocates nothing but the two slices of the result and,
// for the largest layout so far, its working memory.
func (c *Calculator) Farm(layout []Point) (Result, error) {
	if err := checkLayout(layout); err != nil {
		return Result{}, err
	}
	c.resize(len(layout))
	r := Result{TurbineAEP: make([]float64, len(layout)), DirectionAEP: make([]float64, len(c.free))}
	if c.flow == nil {
		c.addCaseStudy(&r, layout)
	} else {
		c.addFlow(&r, layout)
	}
	turbines := float64(len(layout))
	r.AEP = sum(r.DirectionAEP)
	r.AEPNoWake = turbines * sum(c.free)
	r.WakeLoss = max(0, 1-r.AEP/r.AEPNoWake) // rounding may leave -1e-16
	r.CapacityFactor = r.AEP / (turbines * gigawattHours(c.turbine.RatedPower))
	return r, nil
}

// maxTurbines bounds the working memory, which holds every pair in each other's
// wake, to some 600 MB.
const maxTurbines = 5000

func checkLayout(layout []Point) error {
	if len(layout) == 0 {
		return errors.New("compute farm: layout has no turbines")
	}
	if len(layout) > maxTurbines {
		return fmt.Errorf("compute farm: layout has %d turbines: %d at most", len(layout), maxTurbines)
	}
	for i, p := range layout {
		if !p.finite() {
			return fmt.Errorf("compute farm: turbine %d stands at (%g, %g)", i, p.X, p.Y)
		}
	}
	return nil
}

// Directions returns those of the resource, in the order of DirectionAEP.
func (c *Calculator) Directions() []float64 {
	directions := make([]float64, len(c.climate))
	for d := range directions {
		directions[d] = c.climate[d].degrees
	}
	return directions
}

// Speeds returns the wind in m/s that the turbines see when it blows from the
// given direction at the given speed: what to compare with another tool when
// the energies differ.
func (c *Calculator) Speeds(layout []Point, degrees, speed float64) ([]float64, error) {
	if err := checkLayout(layout); err != nil {
		return nil, err
	}
	c.resize(len(layout))
	speeds := make([]float64, len(layout))
	if c.flow == nil {
		c.turnInto(newAxis(degrees), layout)
		c.wake.addSquares(c.ahead, c.behind, c.along, c.across)
		for i, square := range c.ahead {
			speeds[i] = speed * max(0, 1-math.Sqrt(square))
		}
		return speeds, nil
	}
	c.line(newAxis(degrees), layout)
	c.flow.solve(speed, c.speeds)
	for k, i := range c.order {
		speeds[i] = c.speeds[k]
	}
	return speeds, nil
}

// addCaseStudy computes the model whose losses are shares of the free wind, the
// same at every speed.
func (c *Calculator) addCaseStudy(r *Result, layout []Point) {
	for _, a := range c.axes {
		c.turnInto(a, layout)
		c.wake.addSquares(c.ahead, c.behind, c.along, c.across)
		c.addEnergy(r, a.from, c.ahead)
		if a.opposite != none {
			c.addEnergy(r, a.opposite, c.behind)
		}
	}
}

// addFlow computes every other model, speed by speed.
func (c *Calculator) addFlow(r *Result, layout []Point) {
	for d := range c.climate {
		c.line(newAxis(c.climate[d].degrees), layout)
		c.sweep(d, func(i int, energy float64) {
			r.TurbineAEP[i] += energy
			r.DirectionAEP[d] += energy
		})
	}
}

// line brings the turbines in order down the wind; of two side by side, which
// do not touch each other, the first of the layout is first.
func (c *Calculator) line(a axis, layout []Point) {
	c.turnInto(a, layout)
	for i := range c.order {
		c.order[i] = i
	}
	slices.SortStableFunc(c.order, func(i, j int) int { return cmp.Compare(c.along[i], c.along[j]) })
	n := len(layout)
	for k, i := range c.order {
		c.sorted[k], c.sorted[n+k] = c.along[i], c.across[i]
	}
	c.flow.turn(c.sorted[:n], c.sorted[n:])
}

// sweep hands out what each turbine makes of the wind from direction d, in GWh,
// speed by speed.
func (c *Calculator) sweep(d int, add func(turbine int, energy float64)) {
	for s, speed := range c.climate[d].speeds {
		frequency := c.climate[d].frequency[s]
		if frequency == 0 {
			continue
		}
		c.flow.solve(speed, c.speeds)
		for k, i := range c.order {
			add(i, gigawattHours(frequency*c.turbine.Curve.Power(c.speeds[k]*c.boost)))
		}
	}
}

// noFlow has no wakes.
type noFlow struct{}

func (noFlow) turn(_, _ []float64) {}

func (noFlow) solve(free float64, speeds []float64) {
	for i := range speeds {
		speeds[i] = free
	}
}

func (c *Calculator) resize(n int) {
	for _, s := range []*[]float64{&c.along, &c.across, &c.ahead, &c.behind, &c.speeds} {
		*s = slices.Grow((*s)[:0], n)[:n]
	}
	c.sorted = slices.Grow(c.sorted[:0], 2*n)[:2*n]
	c.order = slices.Grow(c.order[:0], n)[:n]
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
	for i, frequency := range c.climate[d].frequency {
		power += frequency * c.turbine.Curve.Power(c.climate[d].speeds[i]*share*c.boost)
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
