package wind_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"windrow/internal/wind"
)

// TestLayoutOfEveryTask lays out the whole campaign: 10 sites, 6 types, 50
// seeds.
func TestLayoutOfEveryTask(t *testing.T) {
	t.Parallel()
	for _, site := range wind.Tenders() {
		for _, turbine := range wind.TurbineTypes() {
			for seed := range uint64(50) {
				layout := newLayout(t, site, turbine, seed)
				checkLayout(t, site, layout, turbine.TurbinesPerFarm, 3*turbine.RotorDiameter)
			}
		}
	}
}

func checkLayout(t *testing.T, site wind.Site, layout []wind.Point, n int, spacing float64) {
	t.Helper()
	if len(layout) != n {
		t.Fatalf("%s: %d turbines, want %d", site.Name, len(layout), n)
	}
	for i, p := range layout {
		if !site.Boundary.Contains(p) {
			t.Errorf("%s: turbine %d at %v is outside", site.Name, i, p)
		}
		for j, q := range layout[:i] {
			if distance := math.Hypot(p.X-q.X, p.Y-q.Y); distance < spacing {
				t.Errorf("%s: turbines %d and %d are %g m apart, want %g", site.Name, i, j, distance, spacing)
			}
		}
	}
}

func TestLayoutDependsOnSeedOnly(t *testing.T) {
	t.Parallel()
	site, turbine := wind.Tenders()[2], wind.TurbineTypes()[4]
	first := newLayout(t, site, turbine, 99)
	if again := newLayout(t, site, turbine, 99); !slices.Equal(again, first) {
		t.Error("the same seed made another layout")
	}
	if other := newLayout(t, site, turbine, 100); slices.Contains(other, first[0]) {
		t.Error("another seed made the same first position")
	}
}

// TestLayoutCoversSite checks that positions are uniform: the two halves of a
// site get turbines in proportion to their areas.
func TestLayoutCoversSite(t *testing.T) {
	t.Parallel()
	triangle := wind.Site{Name: "triangle", Boundary: wind.Polygon{{}, {X: 20e3}, {Y: 20e3}}}
	const farms, turbines = 100, 50
	low := 0
	for seed := range uint64(farms) {
		layout, err := triangle.Layout(turbines, 0, seed)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range layout {
			if p.Y < 10e3 {
				low++
			}
		}
	}
	// Three quarters of the area; the standard deviation is 31 of 5000.
	if math.Abs(float64(low)-0.75*farms*turbines) > 5*31 {
		t.Errorf("%d of %d turbines stand in three quarters of the site", low, farms*turbines)
	}
}

func TestLayoutThatDoesNotFit(t *testing.T) {
	t.Parallel()
	square := wind.Site{Name: "small", Boundary: wind.Polygon{{}, {X: 1000}, {X: 1000, Y: 1000}, {Y: 1000}}}
	_, err := square.Layout(10, 800, 1)
	var placement *wind.PlacementError
	if !errors.As(err, &placement) {
		t.Fatalf("got %v, want a PlacementError", err)
	}
	if placement.Placed < 1 || placement.Placed > 4 {
		t.Errorf("%d turbines fitted, want 1 to 4", placement.Placed)
	}
	want := wind.PlacementError{Site: "small", Turbines: 10, Placed: placement.Placed, Spacing: 800, Area: 1e6, Tries: 10_000}
	if *placement != want {
		t.Errorf("got %+v, want %+v", *placement, want)
	}
	if text := err.Error(); !strings.Contains(text, "of 10 on site small (1.0 km²) at 800 m") {
		t.Errorf("error reads %q", text)
	}
}

func TestLayoutRefuses(t *testing.T) {
	t.Parallel()
	square := wind.Polygon{{}, {X: 1}, {X: 1, Y: 1}, {Y: 1}}
	for _, test := range []struct {
		boundary wind.Polygon
		n        int
		spacing  float64
		want     string
	}{
		{square, 0, 1, "0 turbines"},
		{square, -1, 1, "-1 turbines"},
		{square, 1, -1, "-1 m apart"},
		{square, 1, math.NaN(), "NaN m apart"},
		{square, 1, math.Inf(1), "+Inf m apart"},
		{square[:2], 1, 1, "fewer than 3"},
		{wind.Polygon{{}, {X: 1}, {X: 2}}, 1, 1, "no area"},
		{wind.Polygon{{}, {X: 1}, {X: math.NaN(), Y: 1}}, 1, 1, "not finite"},
	} {
		_, err := wind.Site{Name: "bad", Boundary: test.boundary}.Layout(test.n, test.spacing, 1)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d turbines %g m apart on %v gave %v, want %q", test.n, test.spacing, test.boundary, err, test.want)
		}
	}
}
