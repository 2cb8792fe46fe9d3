package wind_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"windrow/internal/wind"
)

func newSmartStart(tb testing.TB, farmType int, model string) *wind.SmartStart {
	tb.Helper()
	rose, err := wind.TenderWind().Rose(360, wind.SmartStartSpeeds())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := wind.NewModel(model)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := wind.NewSmartStart(wind.TurbineTypes()[farmType].Turbine, rose, m, wind.StandardAir())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestSmartStartKeepsToTheSiteAndTheSpacing(t *testing.T) {
	t.Parallel()
	for _, site := range wind.Tenders() {
		for _, farmType := range []int{0, 5} {
			turbine := wind.TurbineTypes()[farmType]
			layout, err := newSmartStart(t, farmType, "turbopark/pywake").Layout(site, turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, 7)
			if err != nil {
				t.Errorf("%s, type %d: %v", site.Name, farmType, err)
				continue
			}
			if len(layout) != turbine.TurbinesPerFarm {
				t.Errorf("%s, type %d: %d turbines", site.Name, farmType, len(layout))
			}
			for i, p := range layout {
				if !site.Boundary.Contains(p) {
					t.Errorf("%s: turbine %d is off the site", site.Name, i)
				}
				for _, q := range layout[:i] {
					if d := math.Hypot(p.X-q.X, p.Y-q.Y); d < 3*turbine.RotorDiameter {
						t.Errorf("%s: two turbines are %.0f m apart", site.Name, d)
					}
				}
			}
		}
	}
}

// TestSmartStartKnowsTheEnergyOfTheNextTurbine compares the map with what a
// whole farm with one more turbine gives that turbine. The map keeps the thrust
// of a turbine that later ones stand before, so with many it is less exact.
func TestSmartStartKnowsTheEnergyOfTheNextTurbine(t *testing.T) {
	t.Parallel()
	rose, err := wind.TenderWind().Rose(360, wind.SmartStartSpeeds())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"turbopark/pywake", "jensen/pywake", "bastankhah2014/pywake"} {
		m, err := wind.NewModel(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := wind.NewCalculator(wind.TurbineTypes()[2].Turbine, rose, m, wind.StandardAir())
		if err != nil {
			t.Fatal(err)
		}
		for turbines, tolerance := range map[int]float64{1: 1e-5, 30: 5e-3} {
			s := newSmartStart(t, 2, name)
			layout, err := s.Layout(wind.Tenders()[3], turbines+1, 600, 1)
			if err != nil {
				t.Fatal(err)
			}
			farm, err := c.Farm(layout)
			if err != nil {
				t.Fatal(err)
			}
			got, want := s.EnergyAt(layout[turbines]), farm.TurbineAEP[turbines]
			if math.Abs(got-want) > tolerance*want {
				t.Errorf("%s, turbine %d: %.6f GWh by the map, %.6f by the farm", name, turbines, got, want)
			}
		}
	}
}

// TestSmartStartLosesLess compares with turbines that stand at random.
func TestSmartStartLosesLess(t *testing.T) {
	t.Parallel()
	c := tenderCalculator(t, 0, "turbopark/pywake")
	turbine, site := wind.TurbineTypes()[0], wind.Tenders()[0]
	s := newSmartStart(t, 0, "turbopark/pywake")
	smart, random := 0.0, 0.0
	for seed := range uint64(3) {
		chosen, err := s.Layout(site, turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, seed)
		if err != nil {
			t.Fatal(err)
		}
		drawn, err := site.Layout(turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, seed)
		if err != nil {
			t.Fatal(err)
		}
		smart += wakeLoss(t, c, chosen) / 3
		random += wakeLoss(t, c, drawn) / 3
	}
	if smart > 0.95*random {
		t.Errorf("wake loss %.4f, of turbines at random %.4f", smart, random)
	}
	t.Logf("wake loss %.4f, of turbines at random %.4f", smart, random)
}

func tenderCalculator(t *testing.T, farmType int, model string) *wind.Calculator {
	t.Helper()
	rose, err := wind.TenderWind().Rose(72, wind.Speeds(3, 25))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wind.NewModel(model)
	if err != nil {
		t.Fatal(err)
	}
	c, err := wind.NewCalculator(wind.TurbineTypes()[farmType].Turbine, rose, m, wind.StandardAir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func wakeLoss(t *testing.T, c *wind.Calculator, layout []wind.Point) float64 {
	t.Helper()
	r, err := c.Farm(layout)
	if err != nil {
		t.Fatal(err)
	}
	return r.WakeLoss
}

func TestSmartStartFollowsFromItsSeed(t *testing.T) {
	t.Parallel()
	site, s := wind.Tenders()[5], newSmartStart(t, 1, "jensen/pywake")
	layouts := map[uint64][]wind.Point{}
	for _, seed := range []uint64{1, 2, 1} { // the third after others, with memory that was used
		layout, err := s.Layout(site, 40, 500, seed)
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := layouts[seed]; ok && !slices.Equal(before, layout) {
			t.Error("the same seed gives another layout")
		}
		layouts[seed] = layout
	}
	if slices.Equal(layouts[1], layouts[2]) {
		t.Error("two seeds give the same layout")
	}
	first := map[wind.Point]bool{}
	north := 0
	low, high := site.Boundary.Bounds()
	for seed := range uint64(40) {
		layout, err := s.Layout(site, 1, 500, seed)
		if err != nil {
			t.Fatal(err)
		}
		first[layout[0]] = true
		if layout[0].Y > (low.Y+high.Y)/2 {
			north++
		}
	}
	if len(first) < 20 || north < 5 {
		t.Errorf("the first turbine, which nothing disturbs, stands at %d places in 40 layouts, %d times in the north", len(first), north)
	}
}

func TestSmartStartGivesUp(t *testing.T) {
	t.Parallel()
	square := wind.Polygon{{X: 0, Y: 0}, {X: 1000, Y: 0}, {X: 1000, Y: 1000}, {X: 0, Y: 1000}}
	_, err := newSmartStart(t, 0, "jensen/pywake").Layout(wind.Site{Name: "small", Boundary: square}, 20, 600, 1)
	placement, ok := errors.AsType[*wind.PlacementError](err)
	if !ok || placement.Placed < 2 || placement.Placed > 5 || placement.Tries != 20 {
		t.Errorf("error %v", err)
	}
}

func TestSmartStartNeedsWakesOnTheirOwn(t *testing.T) {
	t.Parallel()
	rose, err := wind.TenderWind().Rose(12, wind.SmartStartSpeeds())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range wind.ModelNames() {
		m, err := wind.NewModel(name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = wind.NewSmartStart(wind.TurbineTypes()[0].Turbine, rose, m, wind.StandardAir())
		want := slices.Contains([]string{"iea37/pywake", "jensen/pywake", "jensen/foxes", "bastankhah2014/pywake", "turbopark/pywake"}, name)
		if (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkFullTenders computes farms of the tender campaign as its authors
// did: -benchtime 60x does each site with each type of turbine once.
func BenchmarkFullTenders(b *testing.B) {
	sites, types := wind.Tenders(), wind.TurbineTypes()
	rose, err := wind.TenderWind().Rose(360, wind.Speeds(3, 25))
	if err != nil {
		b.Fatal(err)
	}
	m, err := wind.NewModel("turbopark/pywake")
	if err != nil {
		b.Fatal(err)
	}
	var starts []*wind.SmartStart
	var calculators []*wind.Calculator
	for t := range types {
		c, err := wind.NewCalculator(types[t].Turbine, rose, m, wind.StandardAir())
		if err != nil {
			b.Fatal(err)
		}
		starts, calculators = append(starts, newSmartStart(b, t, "turbopark/pywake")), append(calculators, c)
	}
	layout := func(b *testing.B, i int) []wind.Point {
		b.Helper()
		t := i / len(sites) % len(types)
		l, err := starts[t].Layout(sites[i%len(sites)], types[t].TurbinesPerFarm, 3*types[t].RotorDiameter, uint64(i))
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	b.Run("layout", func(b *testing.B) {
		for i := range b.N {
			layout(b, i)
		}
	})
	b.Run("aep", func(b *testing.B) {
		var layouts [][]wind.Point
		for i := range min(b.N, len(sites)*len(types)) {
			layouts = append(layouts, layout(b, i))
		}
		for i := 0; b.Loop(); i++ {
			if _, err := calculators[i/len(sites)%len(types)].Farm(layouts[i%len(layouts)]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
