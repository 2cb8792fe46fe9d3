package wind

import (
	"errors"
	"math"
)

// Point is a position on the ground in metres: X east, Y north.
type Point struct{ X, Y float64 }

func (p Point) finite() bool {
	return !math.IsNaN(p.X-p.X) && !math.IsNaN(p.Y-p.Y) // Inf - Inf is NaN too
}

// Polygon is the boundary of an area: its vertices in order, either way round,
// without repeating the first one. It must not cross itself.
type Polygon []Point

// Validate reports why the polygon bounds no area, or nil.
func (p Polygon) Validate() error {
	if len(p) < 3 {
		return errors.New("polygon has fewer than 3 vertices")
	}
	for _, v := range p {
		if !v.finite() {
			return errors.New("polygon has a vertex that is not finite")
		}
	}
	if p.Area() == 0 {
		return errors.New("polygon has no area")
	}
	return nil
}

// Area returns the enclosed area in m².
func (p Polygon) Area() float64 {
	if len(p) == 0 {
		return 0
	}
	// Relative to a vertex: products of whole UTM coordinates would cost the
	// last six digits.
	origin, previous, twice := p[0], p[len(p)-1], 0.0
	for _, v := range p {
		twice += (previous.X-origin.X)*(v.Y-origin.Y) - (v.X-origin.X)*(previous.Y-origin.Y)
		previous = v
	}
	return math.Abs(twice) / 2
}

// Bounds returns the corners of the smallest upright rectangle around the
// polygon, which must have a vertex.
func (p Polygon) Bounds() (low, high Point) {
	low, high = p[0], p[0]
	for _, v := range p[1:] {
		low = Point{min(low.X, v.X), min(low.Y, v.Y)}
		high = Point{max(high.X, v.X), max(high.Y, v.Y)}
	}
	return low, high
}

// Contains reports whether q lies inside. A point exactly on an edge belongs to
// one side or the other, always the same: polygons that share the edge contain
// it once.
func (p Polygon) Contains(q Point) bool {
	if len(p) == 0 {
		return false
	}
	inside, a := false, p[len(p)-1]
	for _, b := range p {
		// Count the edges that a ray from q towards east crosses.
		if (a.Y > q.Y) != (b.Y > q.Y) && q.X < crossing(a, b, q.Y) {
			inside = !inside
		}
		a = b
	}
	return inside
}

// crossing returns where the line through a and b has the given y. It orders
// the two, so that an edge gives the same bits walked either way.
func crossing(a, b Point, y float64) float64 {
	if a.Y > b.Y {
		a, b = b, a
	}
	return a.X + (y-a.Y)/(b.Y-a.Y)*(b.X-a.X)
}
