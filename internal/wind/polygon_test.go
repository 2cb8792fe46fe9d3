package wind_test

import (
	"slices"
	"testing"

	"windrow/internal/wind"
)

// A ring with a notch from the right, at coordinates as large as UTM's.
func notched() wind.Polygon {
	p := wind.Polygon{{X: 0, Y: 0}, {X: 4, Y: 0}, {X: 4, Y: 4}, {X: 2, Y: 2}, {X: 0, Y: 4}}
	for i := range p {
		p[i].X += 700_000
		p[i].Y += 6_200_000
	}
	return p
}

func TestPolygonArea(t *testing.T) {
	t.Parallel()
	p := notched()
	if got := p.Area(); got != 12 {
		t.Errorf("area is %g, want 12", got)
	}
	slices.Reverse(p)
	if got := p.Area(); got != 12 {
		t.Errorf("area the other way round is %g, want 12", got)
	}
	if got := (wind.Polygon{}).Area(); got != 0 {
		t.Errorf("area of nothing is %g", got)
	}
}

func TestPolygonContains(t *testing.T) {
	t.Parallel()
	for q, want := range map[wind.Point]bool{
		{X: 1, Y: 1}: true, {X: 3.9, Y: 3.8}: true, {X: 0.1, Y: 3.8}: true, {X: 2, Y: 1.9}: true,
		{X: 2, Y: 2.1}: false, {X: 2, Y: 4}: false, {X: -1, Y: 2}: false, {X: 5, Y: 2}: false, {X: 1, Y: -1}: false, {X: 1, Y: 5}: false,
	} {
		if got := notched().Contains(wind.Point{X: q.X + 700_000, Y: q.Y + 6_200_000}); got != want {
			t.Errorf("contains %v: %t, want %t", q, got, want)
		}
	}
	if (wind.Polygon{}).Contains(wind.Point{}) {
		t.Error("nothing contains a point")
	}
}

// TestPolygonsShareEdgeOnce puts points on the edge between two triangles.
func TestPolygonsShareEdgeOnce(t *testing.T) {
	t.Parallel()
	west := wind.Polygon{{X: 0, Y: 0}, {X: 3, Y: 7}, {X: 0, Y: 7}}
	east := wind.Polygon{{X: 0, Y: 0}, {X: 3, Y: 0}, {X: 3, Y: 7}}
	for i := range 7 {
		q := wind.Point{X: 3 * (float64(i) / 7), Y: float64(i)}
		if west.Contains(q) == east.Contains(q) {
			t.Errorf("%v lies in %t of two halves", q, west.Contains(q))
		}
	}
}

func TestPolygonBounds(t *testing.T) {
	t.Parallel()
	low, high := notched().Bounds()
	if low != (wind.Point{X: 700_000, Y: 6_200_000}) || high != (wind.Point{X: 700_004, Y: 6_200_004}) {
		t.Errorf("bounds are %v, %v", low, high)
	}
}
