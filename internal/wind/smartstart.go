package wind

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// What the tender campaign's authors chose for their layouts.
const (
	smartStartGrid  = 18  // points along each side of the box around the site
	smartStartShare = 0.3 // of the free points, the best: one of them is taken
)

const (
	smartStartAttempts = 20             // until all points are too close to a turbine
	smartStartStream   = 0x736d61727473 // "smarts": see layoutStream
	smartStartReach    = 8              // as wakeReach: beyond it a loss is below 4e-4, no matter for the order of points
)

// SmartStartDirections is the number of wind directions of the map that
// SmartStart chooses by.
const SmartStartDirections = 360

// SmartStartSpeeds are the wind speeds in m/s of that map.
func SmartStartSpeeds() []float64 { return []float64{6, 8, 10, 12, 14} }

// SmartStartSource says what is in the layouts of SmartStart.
const SmartStartSource = "layouts by smart start: on an 18 x 18 grid over the site, one turbine after the other at random among the best 30 % " +
	"of the free points by the energy from 360 directions at 6, 8, 10, 12 and 14 m/s in the wakes of those placed before, " +
	"each with the thrust that it had when it was placed"

// SmartStart places turbines one after the other where the wakes of those that
// stand already leave much energy, as the authors of the tender campaign did
// with PyWake. Like a Calculator it keeps its working memory, so it is for one
// goroutine at a time.
type SmartStart struct {
	turbine Turbine
	climate climate
	flow    *pointFlow
	free    float64 // GWh, of a turbine in free wind

	points []Point     // candidates
	alive  []int       // those that are free yet
	totals [][]float64 // for each direction and speed, of each point: what superpose adds up
	energy []float64   // GWh, of a turbine at each point
	losses []float64
}

// NewSmartStart returns a SmartStart for the turbine in the wind resource, by
// the wakes of a model whose wakes add no turbulence.
func NewSmartStart(turbine Turbine, resource Resource, model Model, air Air) (*SmartStart, error) {
	climate, invalid := resource.climate()
	if err := errors.Join(turbine.Validate(), invalid, model.Validate(), air.validate(), model.suits(turbine, air)); err != nil {
		return nil, fmt.Errorf("prepare smart start: %w", err)
	}
	if !model.needsThrust() || model.Rotor == Grid || model.Turbulence != NoAddedTurbulence {
		return nil, fmt.Errorf("smart start by wake model %q: a model is wanted in which each wake depends on its turbine alone", model.Name)
	}
	s := &SmartStart{turbine: turbine, climate: climate, flow: newPointFlow(model, turbine, air)}
	s.flow.reach = smartStartReach
	for _, from := range climate {
		for i, speed := range from.speeds {
			s.free += gigawattHours(from.frequency[i] * turbine.Curve.Power(speed))
		}
	}
	return s, nil
}

// Layout places n turbines on the site, at least spacing metres from each
// other, or returns a *PlacementError.
//
// The candidates are the points of an 18 x 18 grid over the site's bounding box
// that are on the site. Each turbine takes one at random among the best 30 %
// of those that are far enough from the others, and those as good as the last
// of them, by the energy that a turbine would produce there. Its wake is then added to the map, with the thrust that
// it has in the wakes of those before it, which stays what it is.
//
// The layout is a pure function of the arguments and of what the SmartStart was
// made with. Its random numbers are those of math/rand/v2's PCG seeded with
// seed and a constant.
func (s *SmartStart) Layout(site Site, n int, spacing float64, seed uint64) ([]Point, error) {
	if err := site.check(n, spacing); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(seed, smartStartStream))
	most := 0
	for range smartStartAttempts {
		s.begin(site)
		layout := make([]Point, 0, n)
		for len(layout) < n && len(s.alive) > 0 {
			chosen := s.choose(random)
			p := s.points[chosen]
			layout = append(layout, p)
			s.alive = slices.DeleteFunc(s.alive, func(c int) bool {
				return c == chosen || math.Hypot(s.points[c].X-p.X, s.points[c].Y-p.Y) < spacing
			})
			if len(layout) < n {
				s.addWake(chosen)
			}
		}
		if len(layout) == n {
			return layout, nil
		}
		most = max(most, len(layout))
	}
	return nil, &PlacementError{Site: site.Name, Turbines: n, Placed: most, Spacing: spacing, Area: site.Boundary.Area(), Tries: smartStartAttempts}
}

// begin sets up the map of a site without turbines.
func (s *SmartStart) begin(site Site) {
	s.points, s.alive = s.points[:0], s.alive[:0]
	low, high := site.Boundary.Bounds()
	for j := range smartStartGrid {
		for i := range smartStartGrid {
			x, y := float64(i)/(smartStartGrid-1), float64(j)/(smartStartGrid-1)
			p := Point{low.X + x*(high.X-low.X), low.Y + y*(high.Y-low.Y)}
			if site.Boundary.Contains(p) {
				s.alive = append(s.alive, len(s.points))
				s.points = append(s.points, p)
			}
		}
	}
	n := len(s.points)
	s.energy = slices.Grow(s.energy[:0], n)[:n]
	for c := range s.energy {
		s.energy[c] = s.free
	}
	s.losses = slices.Grow(s.losses[:0], n)[:n]
	cases := 0
	for _, from := range s.climate {
		for range from.speeds {
			if cases == len(s.totals) {
				s.totals = append(s.totals, nil)
			}
			s.totals[cases] = slices.Grow(s.totals[cases][:0], n)[:n]
			clear(s.totals[cases])
			cases++
		}
	}
}

// choose takes one of the best free points.
func (s *SmartStart) choose(random *rand.Rand) int {
	slices.SortStableFunc(s.alive, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.energy[b], s.energy[a]), cmp.Compare(a, b))
	})
	best := int(math.Ceil(smartStartShare * float64(len(s.alive))))
	for best < len(s.alive) && s.energy[s.alive[best]] == s.energy[s.alive[best-1]] {
		best++ // no point is better for its number: the first turbine may take any
	}
	return s.alive[random.IntN(best)]
}

// addWake takes from the energy of the free points what a turbine at one of the
// points takes.
func (s *SmartStart) addWake(chosen int) {
	at, next := s.points[chosen], 0
	for d := range s.climate {
		from := &s.climate[d]
		a := newAxis(from.degrees)
		pairs := s.flow.pairs[:0]
		for _, c := range s.alive {
			x, y := s.points[c].X-at.X, s.points[c].Y-at.Y
			across := x*a.cos - y*a.sin
			p := pair{to: int32(c), dx: -x*a.sin - y*a.cos, square: across * across} //nolint:gosec // 324 at most
			if p.dx > leastDistance && s.flow.reaches(&p) {
				pairs = append(pairs, p)
			}
		}
		s.flow.pairs = pairs
		for i, speed := range from.speeds {
			s.flow.total = s.totals[next]
			next++
			if len(pairs) > 0 && from.frequency[i] > 0 {
				s.addLosses(chosen, pairs, speed, from.frequency[i])
			}
		}
	}
}

// addLosses adds the losses in a free wind of the given speed.
func (s *SmartStart) addLosses(chosen int, pairs []pair, free, frequency float64) {
	losses := s.losses[:len(pairs)]
	speed := free * max(0, 1-s.flow.loss(chosen))
	s.flow.lose(s.flow.table.at(speed, s.flow.model.ThrustOutside), 0, pairs, losses)
	if s.flow.model.Reference == SourceSpeed {
		for k := range losses {
			losses[k] *= speed / free
		}
	}
	for k := range pairs {
		s.energy[pairs[k].to] -= s.energyAt(int(pairs[k].to), free, frequency)
	}
	s.flow.superpose(pairs, losses)
	for k := range pairs {
		s.energy[pairs[k].to] += s.energyAt(int(pairs[k].to), free, frequency)
	}
}

// energyAt returns what a turbine at point c makes of one wind, in GWh.
func (s *SmartStart) energyAt(c int, free, frequency float64) float64 {
	return gigawattHours(frequency * s.turbine.Curve.Power(free*max(0, 1-s.flow.loss(c))))
}
