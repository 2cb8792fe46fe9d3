package wind_test

import (
	"errors"
	"os"
	"slices"
	"testing"

	"windrow/internal/wind"
)

type placement func(site wind.Site, n int, spacing float64, seed uint64) ([]wind.Point, error)

func patterns() map[string]placement {
	return map[string]placement{"grid": wind.Site.Grid, "rings": wind.Site.Rings}
}

func TestPatternsOnEverySite(t *testing.T) {
	t.Parallel()
	for name, place := range patterns() {
		for _, site := range wind.Tenders() {
			for _, turbine := range wind.TurbineTypes() {
				layout, err := place(site, turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, 11)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				checkLayout(t, site, layout, turbine.TurbinesPerFarm, 3*turbine.RotorDiameter*(1-1e-9))
			}
		}
	}
}

// TestPatternsFillTheSite compares the least distance with that of a pattern of
// as many squares as there are turbines: on a square site it is not much less.
func TestPatternsFillTheSite(t *testing.T) {
	t.Parallel()
	square := wind.Site{Name: "square", Boundary: wind.Polygon{{}, {X: 10e3}, {X: 10e3, Y: 10e3}, {Y: 10e3}}}
	for name, place := range patterns() {
		for seed := range uint64(50) {
			layout, err := place(square, 100, 0, seed)
			if err != nil {
				t.Fatal(err)
			}
			if d := wind.ClosestPair(layout); d < 850 || d > 1150 {
				t.Errorf("%s, seed %d: 100 turbines on 100 km² are %.0f m apart", name, seed, d)
			}
			again, err := place(square, 100, 0, seed)
			if err != nil || !slices.Equal(again, layout) {
				t.Errorf("%s: the same seed made another layout: %v", name, err)
			}
		}
	}
}

func TestPatternThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for name, place := range patterns() {
		site := wind.Tenders()[0]
		_, err := place(site, 100, 10e3, 1)
		failure, ok := errors.AsType[*wind.PlacementError](err)
		if !ok || failure.Turbines != 100 || failure.Placed >= 100 || failure.Site != site.Name {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestPatternOnASliver ends, however thin a site is. Until rings are as many as
// are tried takes a quarter of a minute.
func TestPatternOnASliver(t *testing.T) {
	t.Parallel()
	sliver := wind.Site{Name: "sliver", Boundary: wind.Polygon{{}, {X: 10e3, Y: 10e3}, {X: 10e3, Y: 10e3 + 1e-3}}}
	for name, place := range patterns() {
		if name == "rings" && os.Getenv("WINDROW_CHAOS") == "" {
			continue
		}
		if _, err := place(sliver, 100, 0, 1); err == nil {
			t.Errorf("%s: 100 turbines stand on %g m²", name, sliver.Boundary.Area())
		}
	}
}
