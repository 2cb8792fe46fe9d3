package wind_test

import (
	"testing"

	"windrow/internal/wind"
)

func TestTenders(t *testing.T) {
	t.Parallel()
	sites := wind.Tenders()
	if len(sites) != 10 {
		t.Fatalf("%d sites, want 10", len(sites))
	}
	for i, site := range sites {
		if site.FarmID != i || site.Name == "" {
			t.Errorf("site %d is %d %q", i, site.FarmID, site.Name)
		}
		if err := site.Boundary.Validate(); err != nil {
			t.Errorf("site %s: %v", site.Name, err)
		}
		if area := site.Boundary.Area() / 1e6; area < 150 || area > 600 {
			t.Errorf("site %s has %g km²", site.Name, area)
		}
	}
}

func TestTurbineTypes(t *testing.T) {
	t.Parallel()
	types := wind.TurbineTypes()
	turbines := []int{100, 90, 83, 76, 71, 66}
	if len(types) != len(turbines) {
		t.Fatalf("%d types, want %d", len(types), len(turbines))
	}
	for i, turbine := range types {
		if turbine.FarmType != i || turbine.RatedPower != float64(10+i)*1e6 || turbine.TurbinesPerFarm != turbines[i] {
			t.Errorf("type %d is %+v", i, turbine)
		}
		if err := turbine.Validate(); err != nil {
			t.Errorf("type %d: %v", i, err)
		}
	}
}

// TestEnergyWithoutWakes holds the wind climate, the power curves and the hours
// of the year to what PyWake 2.6.7 computes from them.
func TestEnergyWithoutWakes(t *testing.T) {
	t.Parallel()
	for farmType, want := range map[int]float64{0: 5571.898960727671, 2: 5555.666084845921, 5: 5532.494492717005} {
		turbine := wind.TurbineTypes()[farmType]
		layout := newLayout(t, wind.Tenders()[farmType], turbine, 1)
		got := computeFarm(t, newTenderCalculator(t, turbine), layout)
		checkClose(t, "energy without wakes", got.AEPNoWake, want, 1e-9)
	}
}

// TestVersion fails when a result changes, which asks for a new Version.
func TestVersion(t *testing.T) {
	t.Parallel()
	turbine := wind.TurbineTypes()[0]
	layout := newLayout(t, wind.Tenders()[4], turbine, 1)
	got := computeFarm(t, newTenderCalculator(t, turbine), layout)
	const version = "wakes/3"
	if wind.Version != version {
		t.Errorf("version is %s; these numbers are those of %s", wind.Version, version)
	}
	checkClose(t, "x of the last turbine", layout[99].X, 711434.292010763, 1e-12)
	checkClose(t, "y of the last turbine", layout[99].Y, 6310930.41409652, 1e-12)
	checkClose(t, "energy", got.AEP, 5316.40971840774, 1e-12)
}
