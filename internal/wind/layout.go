package wind

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// triesPerTurbine bounds the search for one more position. Where a thousandth
// of the bounding box is free, one search in 20,000 misses it.
const triesPerTurbine = 10_000

// layoutStream is the second half of the generator's seed. It keeps layouts
// apart from other uses of the same seed.
const layoutStream = 0x6c61796f7574 // "layout"

// Site is an area in which a farm may be built.
type Site struct {
	FarmID   int
	Name     string
	Boundary Polygon
}

// PlacementError says that a layout did not fit, or not in the number of tries
// that was allowed.
type PlacementError struct {
	Site     string
	Turbines int     // wanted
	Placed   int     // before the search gave up
	Spacing  float64 // m
	Area     float64 // m²
	Tries    int     // for one turbine, or for the whole layout
}

// Error says what was wanted and how far the search came.
func (e *PlacementError) Error() string {
	return fmt.Sprintf("place turbine %d of %d on site %s (%.1f km²) at %.0f m from the others: no free position in %d tries",
		e.Placed+1, e.Turbines, e.Site, e.Area/1e6, e.Spacing, e.Tries)
}

// Layout places n turbines on the site, uniformly at random but at least
// spacing metres from each other. It returns a *PlacementError if they do not
// fit, which a greedy search may report of a layout that uses more than half of
// the densest packing.
//
// The layout is a pure function of the arguments. Its random numbers are those
// of math/rand/v2's PCG seeded with seed and a constant, drawn as x, y of one
// candidate after the other in the bounding box; candidates off the site or too
// close to a turbine are dropped.
func (s Site) Layout(n int, spacing float64, seed uint64) ([]Point, error) {
	if err := s.check(n, spacing); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(seed, layoutStream))
	layout := make([]Point, 0, n)
	for len(layout) < n {
		p, ok := s.freePosition(random, layout, spacing)
		if !ok {
			return nil, &PlacementError{Site: s.Name, Turbines: n, Placed: len(layout), Spacing: spacing, Area: s.Boundary.Area(), Tries: triesPerTurbine}
		}
		layout = append(layout, p)
	}
	return layout, nil
}

// check tells why n turbines cannot be laid out with that spacing in m, however
// large the site is.
func (s Site) check(n int, spacing float64) error {
	if err := s.Boundary.Validate(); err != nil {
		return fmt.Errorf("lay out site %s: %w", s.Name, err)
	}
	if n < 1 || !(spacing >= 0) || math.IsInf(spacing, 0) {
		return fmt.Errorf("lay out site %s: %d turbines %g m apart make no layout", s.Name, n, spacing)
	}
	return nil
}

func (s Site) freePosition(random *rand.Rand, layout []Point, spacing float64) (Point, bool) {
	low, high := s.Boundary.Bounds()
	for range triesPerTurbine {
		x, y := random.Float64(), random.Float64()
		p := Point{low.X + x*(high.X-low.X), low.Y + y*(high.Y-low.Y)}
		if s.Boundary.Contains(p) && isClear(p, layout, spacing) {
			return p, true
		}
	}
	return Point{}, false
}

// isClear compares p with every turbine: for the hundred of a farm that is
// faster than keeping a grid.
func isClear(p Point, layout []Point, spacing float64) bool {
	for _, q := range layout {
		if math.Hypot(p.X-q.X, p.Y-q.Y) < spacing {
			return false
		}
	}
	return true
}
