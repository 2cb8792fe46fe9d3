package wind_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"windrow/internal/wind"
)

// evenRose blows from every 10 degrees alike, so that turning a farm by 10
// degrees only renames the directions.
func evenRose() wind.Rose {
	rose := wind.Rose{Speeds: []float64{5, 8, 11, 14}}
	for d := range 36 {
		rose.Directions = append(rose.Directions, 10*float64(d))
		rose.Frequency = append(rose.Frequency, []float64{0.2 / 36, 0.3 / 36, 0.3 / 36, 0.2 / 36})
	}
	return rose
}

func scatter(n int, width float64) []wind.Point {
	random := rand.New(rand.NewPCG(5, 6))
	layout := make([]wind.Point, n)
	for i := range layout {
		layout[i] = wind.Point{X: random.Float64() * width, Y: random.Float64() * width}
	}
	return layout
}

func eachModel(t *testing.T, test func(t *testing.T, calculator *wind.Calculator)) {
	t.Helper()
	for _, name := range wind.ModelNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newFarm(t, newTurbine(t, "iea_10mw"), evenRose(), newModel(t, name), wind.StandardAir()))
		})
	}
}

func TestEnergyDoesNotDependOnCoordinates(t *testing.T) {
	t.Parallel()
	eachModel(t, func(t *testing.T, calculator *wind.Calculator) {
		t.Helper()
		layout := scatter(40, 9000)
		want := computeFarm(t, calculator, layout).AEP
		moved, permuted := make([]wind.Point, len(layout)), make([]wind.Point, len(layout))
		for i, p := range layout {
			moved[i] = wind.Point{X: p.X + 4096, Y: p.Y - 8192}
			permuted[len(layout)-1-i] = p
		}
		checkClose(t, "energy of the farm elsewhere", computeFarm(t, calculator, moved).AEP, want, 1e-12)
		checkClose(t, "energy in another order", computeFarm(t, calculator, permuted).AEP, want, 1e-12)
		checkClose(t, "energy of the farm turned", computeFarm(t, calculator, turnClockwise(layout, 10)).AEP, want, 1e-12)
	})
}

func TestWakesOnlyTake(t *testing.T) {
	t.Parallel()
	eachModel(t, func(t *testing.T, calculator *wind.Calculator) {
		t.Helper()
		one := computeFarm(t, calculator, scatter(1, 100))
		if one.AEP != one.AEPNoWake || one.WakeLoss != 0 {
			t.Errorf("one turbine makes %g GWh of %g", one.AEP, one.AEPNoWake)
		}
		for name, layout := range map[string][]wind.Point{
			"500 turbines":        scatter(500, 40_000),
			"coincident turbines": {{X: 5, Y: 5}, {X: 5, Y: 5}, {X: 5, Y: 5}},
			"touching turbines":   scatter(20, 200),
			"1000 km apart":       scatter(5, 5e6),
			"a millimetre apart":  {{}, {X: 1e-3}, {X: 2e-3, Y: 1e-9}},
		} {
			got := computeFarm(t, calculator, layout)
			if !(got.AEP >= 0 && got.AEP <= got.AEPNoWake*(1+1e-12)) {
				t.Errorf("%s make %g GWh, without wakes %g", name, got.AEP, got.AEPNoWake)
			}
			checkClose(t, name+": without wakes", got.AEPNoWake, float64(len(layout))*one.AEP, 1e-12)
			checkClose(t, name+": sum over turbines", sumOf(got.TurbineAEP), got.AEP, 1e-12)
			checkClose(t, name+": sum over directions", sumOf(got.DirectionAEP), got.AEP, 1e-12)
		}
		if _, err := calculator.Farm(nil); err == nil || !strings.Contains(err.Error(), "no turbines") {
			t.Errorf("a farm without turbines gave %v", err)
		}
		if _, err := calculator.Farm(make([]wind.Point, 5001)); err == nil || !strings.Contains(err.Error(), "5000 at most") {
			t.Errorf("a farm of 5001 turbines gave %v", err)
		}
	})
}

// TestFarmAllocatesTheResult holds the models to two allocations, once the
// working memory has grown. It is not parallel, because others' would count.
func TestFarmAllocatesTheResult(t *testing.T) {
	for _, name := range wind.ModelNames() {
		calculator := newFarm(t, newTurbine(t, "iea_10mw"), evenRose(), newModel(t, name), wind.StandardAir())
		layout := scatter(30, 6000)
		if got := testing.AllocsPerRun(3, func() { computeFarm(t, calculator, layout) }); got > 2 {
			t.Errorf("%s: a farm takes %g allocations, want those of the two slices of the result", name, got)
		}
	}
}

// TestSeriesIsARose gives the hours of a rose one by one, in disorder.
func TestSeriesIsARose(t *testing.T) {
	t.Parallel()
	rose := evenRose()
	var series wind.Series
	for _, speed := range []int{2, 0, 1, 1, 3, 0, 2, 2, 1, 3} { // in proportion to the frequencies
		for d := range rose.Directions {
			series.Directions = append(series.Directions, rose.Directions[(d*7+11)%36])
			series.Speeds = append(series.Speeds, rose.Speeds[speed])
		}
	}
	turbine, model, layout := newTurbine(t, "iea_15mw"), newModel(t, "gauss"), scatter(20, 6000)
	want := computeFarm(t, newFarm(t, turbine, rose, model, wind.StandardAir()), layout)
	got := computeFarm(t, newFarm(t, turbine, series, model, wind.StandardAir()), layout)
	checkClose(t, "energy", got.AEP, want.AEP, 1e-12)
}

func TestCalculatorRefusesWhatDoesNotGoTogether(t *testing.T) {
	t.Parallel()
	good := wind.StandardAir()
	for _, test := range []struct {
		turbine wind.Turbine
		model   string
		air     wind.Air
		want    string
	}{
		{iea37Turbine(), "jensen", good, "needs thrust coefficients"},
		{newTurbine(t, "v80"), "gauss", wind.Air{Density: 1.225}, "needs a turbulence intensity"},
		{newTurbine(t, "v80"), "jensen/pywake", wind.Air{Shear: 0.1, Density: 1.225}, "would do nothing"},
		{newTurbine(t, "v80"), "jensen/floris", wind.Air{Shear: -1, Density: 1.225}, "shear exponent is -1"},
		{newTurbine(t, "v80"), "jensen/floris", wind.Air{Turbulence: math.NaN(), Density: 1.225}, "turbulence intensity is NaN"},
		{newTurbine(t, "v80"), "jensen/floris", wind.Air{}, "air density is 0"},
	} {
		_, err := wind.NewCalculator(test.turbine, evenRose(), newModel(t, test.model), test.air)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s with %q in %v gave %v, want %q", test.model, test.turbine.Name, test.air, err, test.want)
		}
	}
	if _, err := wind.NewModel("jensen/openfast"); err == nil || !strings.Contains(err.Error(), "jensen/floris") {
		t.Errorf("an unknown profile gave %v", err)
	}
}

func TestModelRefusesWhatItIsNot(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*wind.Model){
		"gauss":          func(m *wind.Model) { m.Rotor = wind.Centre },
		"jensen/floris":  func(m *wind.Model) { m.Superposition = wind.Linear },
		"jensen/pywake":  func(m *wind.Model) { m.Growth = 0 },
		"bastankhah2014": func(m *wind.Model) { m.Rotor = wind.Overlap },
		"niayifar":       func(m *wind.Model) { m.Turbulence = wind.AddedWithin15Rotors },
		"iea37/pywake":   func(m *wind.Model) { m.Mirror = true },
		"iea37":          func(m *wind.Model) { m.Superposition = wind.Linear },
		"none":           func(m *wind.Model) { m.Growth = 0.1 },
		"jensen/foxes":   func(m *wind.Model) { m.Rotor = wind.Disc },
		"turbopark":      func(m *wind.Model) { m.Turbulence = wind.AddedWithOverlap },
		"gauss/floris":   func(m *wind.Model) { m.Turbulence = wind.AddedWithOverlap },
		"jensen":         func(m *wind.Model) { m.Growth = math.Inf(1) },
		// Its wakes do not grow with the turbulence, so more of it would do nothing.
		"bastankhah2014/pywake": func(m *wind.Model) { m.Turbulence = wind.AddedWithOverlap },
	} {
		model := newModel(t, name)
		change(&model)
		if model.Validate() == nil {
			t.Errorf("%s takes an option that it does not implement", name)
		}
	}
}

// TestEveryParameterMatters changes one parameter of a model at a time, which
// must change the energy: none that is taken may do nothing.
func TestEveryParameterMatters(t *testing.T) {
	t.Parallel()
	rose := evenRose()
	for _, frequencies := range rose.Frequency {
		for i := range frequencies {
			frequencies[i] *= 0.9
		}
	}
	turbine, layout := newTurbine(t, "iea_10mw"), scatter(40, 9000)
	energy := func(model wind.Model) float64 {
		return computeFarm(t, newFarm(t, turbine, rose, model, wind.StandardAir()), layout).AEP
	}
	changes := map[string]func(*wind.Model){
		"growth":                  func(m *wind.Model) { m.Growth *= 1.5 },
		"squares":                 func(m *wind.Model) { m.Superposition = wind.Squares },
		"linear":                  func(m *wind.Model) { m.Superposition = wind.Linear },
		"maximum":                 func(m *wind.Model) { m.Superposition = wind.Maximum },
		"momentum":                func(m *wind.Model) { m.Induction = wind.Momentum },
		"madsen":                  func(m *wind.Model) { m.Induction = wind.Madsen },
		"free":                    func(m *wind.Model) { m.Reference = wind.FreeSpeed },
		"source":                  func(m *wind.Model) { m.Reference = wind.SourceSpeed },
		"centre":                  func(m *wind.Model) { m.Rotor = wind.Centre },
		"overlap":                 func(m *wind.Model) { m.Rotor = wind.Overlap },
		"grid":                    func(m *wind.Model) { m.Rotor = wind.Grid },
		"disc":                    func(m *wind.Model) { m.Rotor = wind.Disc },
		"no added turbulence":     func(m *wind.Model) { m.Turbulence = wind.NoAddedTurbulence },
		"turbulence with overlap": func(m *wind.Model) { m.Turbulence = wind.AddedWithOverlap },
		"turbulence at points":    func(m *wind.Model) { m.Turbulence = wind.AddedWithin15Rotors },
		"renormalise":             func(m *wind.Model) { m.Renormalise = true },
		"do not renormalise":      func(m *wind.Model) { m.Renormalise = false },
		"mirror":                  func(m *wind.Model) { m.Mirror = !m.Mirror },
	}
	for _, name := range wind.ModelNames() {
		published := newModel(t, name)
		for parameter, change := range changes {
			model := published
			change(&model)
			if model == published || model.Validate() != nil {
				continue
			}
			if got, want := energy(model), energy(published); math.Abs(got/want-1) < 1e-6 {
				t.Errorf("%s with %s makes %.9g GWh, without %.9g", name, parameter, got, want)
			}
		}
	}
	centre := newModel(t, "turbopark")
	centre.Rotor = wind.Centre
	direct := centre
	direct.Mirror = false
	if energy(centre) >= energy(direct) {
		t.Error("the mirror takes no energy from rotors that are a point")
	}
}

// TestAddedTurbulenceWidensWakes puts three turbines in a row: the wakes of the
// second, which stands in stirred air, mix faster.
func TestAddedTurbulenceWidensWakes(t *testing.T) {
	t.Parallel()
	turbine := newTurbine(t, "iea_10mw")
	for _, name := range []string{"gauss", "niayifar"} {
		stirred := newModel(t, name)
		still := stirred
		still.Turbulence = wind.NoAddedTurbulence
		last := func(model wind.Model, spacing float64) float64 {
			calculator := newFarm(t, turbine, evenRose(), model, wind.StandardAir())
			row := []wind.Point{{}, {Y: -spacing * turbine.RotorDiameter}, {Y: -2 * spacing * turbine.RotorDiameter}}
			speeds, err := calculator.Speeds(row, 0, 9)
			if err != nil {
				t.Fatal(err)
			}
			return speeds[2]
		}
		if with, without := last(stirred, 5), last(still, 5); !(with > without) {
			t.Errorf("%s: the third turbine sees %g m/s, without added turbulence %g", name, with, without)
		}
	}
	beyond := func(model wind.Model) float64 {
		layout := []wind.Point{{}, {Y: -16 * turbine.RotorDiameter}, {Y: -32 * turbine.RotorDiameter}}
		return computeFarm(t, newFarm(t, turbine, evenRose(), model, wind.StandardAir()), layout).AEP
	}
	stirred := newModel(t, "gauss")
	still := stirred
	still.Turbulence = wind.NoAddedTurbulence
	if with, without := beyond(stirred), beyond(still); with != without {
		t.Errorf("turbulence that ends after 15 diameters makes %g GWh of %g at 16", with, without)
	}
}

// TestSameBits holds every amd64 machine to the same bits. A change here changes
// the rows of datasets: raise Version with it.
func TestSameBits(t *testing.T) {
	t.Parallel()
	if runtime.GOARCH != "amd64" {
		t.Skip("compilers for other architectures fuse multiplications with additions")
	}
	rose := newTenderRose(t)
	turbine := wind.TurbineTypes()[3]
	layout := newLayout(t, wind.Tenders()[1], turbine, 9)[:40]
	for _, name := range wind.ModelNames() {
		result := computeFarm(t, newFarm(t, turbine.Turbine, rose, newModel(t, name), wind.StandardAir()), layout)
		hash := sha256.New()
		for _, values := range [][]float64{{result.AEP, result.AEPNoWake, result.WakeLoss}, result.TurbineAEP, result.DirectionAEP} {
			if err := binary.Write(hash, binary.LittleEndian, values); err != nil {
				t.Fatal(err)
			}
		}
		if got := hex.EncodeToString(hash.Sum(nil))[:16]; got != digests[name] {
			t.Errorf("%q: %q,", name, got)
		}
	}
}

var digests = map[string]string{
	"none":                  "0b067c1b31861c62",
	"iea37":                 "6c9d0b9e7e6ac7de",
	"iea37/pywake":          "9e69c7c52be4cc6b",
	"jensen/pywake":         "a00a95e08cba8516",
	"jensen/floris":         "2b6300a6ca7535b8",
	"jensen/foxes":          "c85cb23867ec3b48",
	"bastankhah2014/pywake": "c80fbddc40d8bf88",
	"gauss/floris":          "2e5222c415378f4e",
	"niayifar/pywake":       "9841a0576f027000",
	"turbopark/pywake":      "0f7c9c6b0959d12f",
}
