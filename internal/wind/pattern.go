package wind

import (
	"math"
	"math/rand/v2"
)

const (
	pitchStep   = 0.99           // how the points of a pattern come closer, from one try to the next
	pitchTries  = 1000           // 1/23,000 of the site
	mostAcross  = 300            // points from the middle to the edge of a pattern
	goldenAngle = 2.399963229728 // radians, by which each ring is turned against the one within
)

// Grid places n turbines on the site on a square grid that is turned and shifted
// at random, at least spacing metres from each other, or returns a
// *PlacementError.
//
// The grid is as wide as it can be: it narrows in steps of 1 % until n of its
// points are on the site. Where that are more, some are left out at random. The layout
// is a pure function of the arguments, as that of [Site.Layout].
func (s Site) Grid(n int, spacing float64, seed uint64) ([]Point, error) {
	return s.fit(n, spacing, seed, func(random *rand.Rand, reach float64) func(pitch float64) []Point {
		theta, shift := random.Float64()*math.Pi/2, Point{random.Float64(), random.Float64()}
		return func(pitch float64) []Point {
			var points []Point
			last := int(math.Ceil(reach/pitch)) + 1
			for j := -last; j <= last; j++ {
				for i := -last; i <= last; i++ {
					points = append(points, Point{(float64(i) + shift.X) * pitch, (float64(j) + shift.Y) * pitch})
				}
			}
			return turned(points, theta)
		}
	})
}

// Rings places n turbines on the site on circles around a point at random, as
// far from each other as the circles, otherwise as [Site.Grid].
func (s Site) Rings(n int, spacing float64, seed uint64) ([]Point, error) {
	return s.fit(n, spacing, seed, func(random *rand.Rand, reach float64) func(pitch float64) []Point {
		start := random.Float64() * 2 * math.Pi
		centre := Point{(random.Float64() - 0.5) * reach / 2, (random.Float64() - 0.5) * reach / 2}
		return func(pitch float64) []Point {
			points := []Point{centre}
			for ring := 1; float64(ring-2)*pitch <= 2*reach; ring++ {
				for _, p := range circle(ring, onRing(ring), pitch, start+float64(ring)*goldenAngle) {
					points = append(points, Point{centre.X + p.X, centre.Y + p.Y})
				}
			}
			return points
		}
	})
}

// fit narrows a pattern until n of its points are on the site. A pattern is
// drawn once, around (0, 0), to cover all that is within reach.
func (s Site) fit(n int, spacing float64, seed uint64, draw func(random *rand.Rand, reach float64) func(pitch float64) []Point) ([]Point, error) {
	if err := s.check(n, spacing); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(seed, patternStream))
	low, high := s.Boundary.Bounds()
	middle := Point{(low.X + high.X) / 2, (low.Y + high.Y) / 2}
	reach := math.Hypot(high.X-low.X, high.Y-low.Y) / 2
	pattern := draw(random, reach)
	most, tries := 0, 0
	for pitch := high.X - low.X + high.Y - low.Y; pitch >= spacing && tries < pitchTries && reach/pitch < mostAcross; pitch *= pitchStep {
		tries++
		var layout []Point
		for _, p := range pattern(pitch) {
			if p = (Point{middle.X + p.X, middle.Y + p.Y}); s.Boundary.Contains(p) {
				layout = append(layout, p)
			}
		}
		if len(layout) >= n {
			random.Shuffle(len(layout), func(i, j int) { layout[i], layout[j] = layout[j], layout[i] })
			return layout[:n], nil
		}
		most = max(most, len(layout))
	}
	return nil, &PlacementError{Site: s.Name, Turbines: n, Placed: most, Spacing: spacing, Area: s.Boundary.Area(), Tries: tries}
}
