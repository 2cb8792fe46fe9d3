package wind_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"windrow/internal/wind"
)

// The figures in testdata/*.json were computed or asserted by others; each file
// names its source and licence.

func readReference[T any](tb testing.TB, name string) T {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func points(positions [][2]float64) []wind.Point {
	var layout []wind.Point
	for _, p := range positions {
		layout = append(layout, wind.Point{X: p[0], Y: p[1]})
	}
	return layout
}

func newTurbine(tb testing.TB, name string) wind.Turbine {
	tb.Helper()
	turbine, err := wind.NewTurbine(strings.ToLower(name))
	if err != nil {
		tb.Fatal(err)
	}
	return turbine
}

func newModel(tb testing.TB, name string) wind.Model {
	tb.Helper()
	model, err := wind.NewModel(name)
	if err != nil {
		tb.Fatal(err)
	}
	return model
}

func newFarm(tb testing.TB, turbine wind.Turbine, resource wind.Resource, model wind.Model, air wind.Air) *wind.Calculator {
	tb.Helper()
	calculator, err := wind.NewCalculator(turbine, resource, model, air)
	if err != nil {
		tb.Fatal(err)
	}
	return calculator
}

// benchmarkRose is the climate of the FLORIS cases: 72 directions, 23 speeds.
func benchmarkRose(tb testing.TB) wind.Rose {
	tb.Helper()
	table := readTable(tb, "testdata/hr1_72x23.csv")
	var rose wind.Rose
	for i, f := range table["freq_val"] {
		d, s := i/23, i%23
		if s == 0 {
			rose.Directions, rose.Frequency = append(rose.Directions, table["wd"][i]), append(rose.Frequency, nil)
		}
		if d == 0 {
			rose.Speeds = append(rose.Speeds, table["ws"][i])
		}
		rose.Frequency[d] = append(rose.Frequency[d], f)
	}
	return rose
}

func hornsRevRose(tb testing.TB) wind.Rose {
	tb.Helper()
	table := readTable(tb, "testdata/hr1_sectors.csv")
	var sectors wind.WeibullSectors
	for i, f := range table["freq_normalised"] {
		sectors = append(sectors, wind.WeibullSector{Scale: table["weibull_A_ms"][i], Shape: table["weibull_k"][i], Frequency: f})
	}
	rose, err := sectors.Rose(360, wind.Speeds(3, 25))
	if err != nil {
		tb.Fatal(err)
	}
	return rose
}

type farmFigures struct {
	Name       string
	Layout     [][2]float64
	AEP        float64
	NoWake     float64 `json:"aep_nowake"`
	Turbines   []float64
	Directions []float64
}

func checkFarm(tb testing.TB, got wind.Result, want farmFigures, relative float64) {
	tb.Helper()
	checkClose(tb, want.Name+": energy", got.AEP, want.AEP, relative)
	checkClose(tb, want.Name+": energy without wakes", got.AEPNoWake, want.NoWake, relative)
	for i := range want.Turbines {
		checkClose(tb, want.Name+": energy of a turbine", got.TurbineAEP[i], want.Turbines[i], relative)
	}
	for i := range want.Directions {
		checkClose(tb, want.Name+": energy from a direction", got.DirectionAEP[i], want.Directions[i], relative)
	}
}

type florisFigures struct {
	Cases []struct {
		farmFigures
		Model, Turbine    string
		TI, Shear, Growth float64
		Points            int
		WD, WS            []float64
		PowerW            [][]float64 `json:"power_w"`
	}
	Regression struct {
		Speeds   []float64
		Baseline map[string][][][4]float64 // speed of the rotor, thrust coefficient, power, induction
	}
}

func TestFLORIS(t *testing.T) {
	t.Parallel()
	rose := benchmarkRose(t)
	for _, c := range readReference[florisFigures](t, "floris.json").Cases {
		model := newModel(t, c.Model+"/floris")
		if c.Model == "jensen" {
			model.Growth = c.Growth
		}
		if c.Points == 1 {
			model.Rotor = wind.Centre
		}
		turbine := newTurbine(t, c.Turbine)
		calculator := newFarm(t, turbine, rose, model, wind.Air{Turbulence: c.TI, Shear: c.Shear, Density: 1.225})
		layout := points(c.Layout)
		if c.PowerW == nil {
			checkFarm(t, computeFarm(t, calculator, layout), c.farmFigures, 1e-9)
			continue
		}
		for k := range c.WD {
			speeds, err := calculator.Speeds(layout, c.WD[k], c.WS[k])
			if err != nil {
				t.Fatal(err)
			}
			for i, speed := range speeds {
				checkClose(t, c.Name+": power", turbine.Curve.Power(speed), c.PowerW[k][i], 1e-9)
			}
		}
	}
}

// TestFLORISRegression holds the model to every digit of the regression tests
// of FLORIS.
func TestFLORISRegression(t *testing.T) {
	t.Parallel()
	figures := readReference[florisFigures](t, "floris.json").Regression
	row := []wind.Point{{}, {X: 5 * 126}, {X: 10 * 126}}
	turbine := newTurbine(t, "nrel_5mw")
	for name, baseline := range figures.Baseline {
		calculator := newFarm(t, turbine, benchmarkRose(t), newModel(t, name+"/floris"), wind.Air{Turbulence: 0.1, Shear: 0.12, Density: 1.225})
		for k, free := range figures.Speeds {
			speeds, err := calculator.Speeds(row, 270, free)
			if err != nil {
				t.Fatal(err)
			}
			for i, speed := range speeds {
				checkClose(t, name+": speed", speed, baseline[k][i][0], 1e-8)
				checkClose(t, name+": power", turbine.Curve.Power(speed), baseline[k][i][2], 1e-9)
			}
		}
	}
}

// TestPyWake computes Horns Rev 1 with the options of PyWake that each name says.
func TestPyWake(t *testing.T) {
	t.Parallel()
	figures := readReference[struct {
		Layout   [][2]float64
		HornsRev []farmFigures `json:"horns_rev"`
	}](t, "pywake.json")
	models := map[string]func(*wind.Model){
		"NOJ k=.1 madsen sqsum overlap":              nil,
		"NOJ k=.1 mom1d sqsum overlap":               func(m *wind.Model) { m.Induction = wind.Momentum },
		"NOJ k=.05 mom1d sqsum nooverlap":            func(m *wind.Model) { m.Induction, m.Growth, m.Rotor = wind.Momentum, 0.05, wind.Centre },
		"NOJ k=.05 mom1d linear overlap":             func(m *wind.Model) { m.Induction, m.Growth, m.Superposition = wind.Momentum, 0.05, wind.Linear },
		"IEA37 simple gaussian sqsum":                func(m *wind.Model) { *m = newModel(t, "iea37/pywake") },
		"1wt nowake":                                 func(m *wind.Model) { *m = newModel(t, "none") },
		"9wt NOJ k=.1 madsen":                        nil,
		"16wt NOJ k=.1 madsen":                       nil,
		"BastankhahGaussian k=.0324555 madsen sqsum": func(m *wind.Model) { *m = newModel(t, "bastankhah2014") },
		"BastankhahGaussian k=.0324555 mom1d sqsum": func(m *wind.Model) {
			*m = newModel(t, "bastankhah2014")
			m.Induction = wind.Momentum
		},
	}
	for _, want := range figures.HornsRev {
		change, ok := models[want.Name]
		if !ok {
			t.Fatalf("no model for %q", want.Name)
		}
		model := newModel(t, "jensen/pywake")
		if change != nil {
			change(&model)
		}
		calculator := newFarm(t, newTurbine(t, "v80"), hornsRevRose(t), model, wind.StandardAir())
		checkFarm(t, computeFarm(t, calculator, corner(points(figures.Layout), len(want.Turbines))), want, 1e-9)
	}
}

// corner returns the n turbines of PyWake's smaller examples: as many rows as
// turbines in each, of columns of eight.
func corner(layout []wind.Point, n int) []wind.Point {
	side := map[int]int{1: 1, 9: 3, 16: 4}[n]
	if side == 0 {
		return layout
	}
	var part []wind.Point
	for i, p := range layout {
		if i/8 < side && i%8 < side {
			part = append(part, p)
		}
	}
	return part
}

// TestAgreesWithArrays compares what no tool's figures cover with the equations
// evaluated by another program, in numpy, on Horns Rev 1.
func TestAgreesWithArrays(t *testing.T) {
	t.Parallel()
	layout := points(readReference[struct{ Layout [][2]float64 }](t, "pywake.json").Layout)
	maximum := newModel(t, "jensen/pywake")
	maximum.Induction, maximum.Growth, maximum.Superposition = wind.Momentum, 0.05, wind.Maximum
	for _, want := range []struct {
		model    wind.Model
		aep      float64
		turbines map[int]float64
	}{
		{newModel(t, "niayifar"), 690.1787931354825, map[int]float64{0: 8.979919708170712, 27: 8.489469825226829, 45: 8.500844017556885, 79: 8.951779783538747}},
		{maximum, 680.8341087290169, map[int]float64{0: 8.973152670305184, 27: 8.27329474356452, 45: 8.309634626167204, 79: 8.948633752347842}},
	} {
		got := computeFarm(t, newFarm(t, newTurbine(t, "v80"), hornsRevRose(t), want.model, wind.StandardAir()), layout)
		checkClose(t, want.model.Name+": energy", got.AEP, want.aep, 1e-9)
		for i, energy := range want.turbines {
			checkClose(t, want.model.Name+": energy of a turbine", got.TurbineAEP[i], energy, 1e-9)
		}
	}
}

// TestParametersAgreeWithArrays compares models whose parameters are no profile's
// with the same program, for NREL's turbine on the case study's farm.
func TestParametersAgreeWithArrays(t *testing.T) {
	t.Parallel()
	positions := readTable(t, "testdata/iea37/ex16.csv")
	var layout []wind.Point
	for i, x := range positions["x_m"] {
		layout = append(layout, wind.Point{X: x, Y: positions["y_m"][i]})
	}
	rose := iea37Rose(readTable(t, "testdata/iea37/rose.csv"))
	for _, want := range []struct {
		model     string
		change    func(*wind.Model)
		shear     float64
		aep       float64
		tolerance float64
	}{
		{"gauss", func(m *wind.Model) { m.Turbulence = wind.NoAddedTurbulence }, 0.12, 394.11742629605493, 1e-9},
		{"jensen/floris", func(m *wind.Model) { m.Rotor = wind.Centre }, 0, 387.4150751044797, 1e-9},
		{"jensen/pywake", func(m *wind.Model) {
			m.Superposition, m.Reference, m.Rotor = wind.Linear, wind.SourceSpeed, wind.Centre
		}, 0, 398.0047547058018, 1e-9},
		{"jensen/pywake", func(m *wind.Model) {
			m.Superposition, m.Reference, m.Induction = wind.Maximum, wind.SourceSpeed, wind.Momentum
		}, 0, 410.9890080230586, 1e-9},
		{"bastankhah2014", func(m *wind.Model) { m.Superposition, m.Reference = wind.Linear, wind.SourceSpeed }, 0, 383.8084679891924, 1e-9},
		{"bastankhah2014", func(m *wind.Model) { m.Superposition, m.Growth = wind.Maximum, 0.05 }, 0, 406.829887153774, 1e-9},
		{"niayifar", func(m *wind.Model) {
			m.Superposition, m.Reference, m.Turbulence = wind.Squares, wind.FreeSpeed, wind.NoAddedTurbulence
		}, 0, 398.0408002646872, 1e-9},
		{"turbopark", func(m *wind.Model) { m.Superposition, m.Reference = wind.Linear, wind.SourceSpeed }, 0, 369.93110277018303, 1e-8},
		{"turbopark", func(m *wind.Model) { m.Rotor = wind.Centre }, 0, 362.4580458706351, 1e-9},
	} {
		model := newModel(t, want.model)
		want.change(&model)
		air := wind.StandardAir()
		air.Shear = want.shear
		got := computeFarm(t, newFarm(t, newTurbine(t, "nrel_5mw"), rose, model, air), layout)
		checkClose(t, fmt.Sprintf("energy with %+v", model), got.AEP, want.aep, want.tolerance)
	}
}

// TestPyWakeCaseStudy computes the case study's farm of 16 turbines with other
// models, as PyWake's own tests do.
func TestPyWakeCaseStudy(t *testing.T) {
	t.Parallel()
	figures := readReference[struct {
		Ex16 []struct {
			Name       string
			Total      float64   // MWh
			Directions []float64 // MWh
		}
	}](t, "pywake.json").Ex16
	positions := readTable(t, "testdata/iea37/ex16.csv")
	var layout []wind.Point
	for i, x := range positions["x_m"] {
		layout = append(layout, wind.Point{X: x, Y: positions["y_m"][i]})
	}
	rose := iea37Rose(readTable(t, "testdata/iea37/rose.csv"))
	for _, want := range figures {
		model := newModel(t, "jensen/pywake")
		if strings.HasPrefix(want.Name, "Bastankhah") {
			model = newModel(t, "bastankhah2014/pywake")
		}
		if strings.Contains(want.Name, "mom1d") {
			model.Induction = wind.Momentum
		}
		got := computeFarm(t, newFarm(t, newTurbine(t, "iea37_3.35mw"), rose, model, wind.StandardAir()), layout)
		checkClose(t, want.Name, got.AEP*1e3, want.Total, 1e-9)
		for d := range want.Directions {
			checkClose(t, want.Name+" from a direction", got.DirectionAEP[d]*1e3, want.Directions[d], 1e-8) // five decimals are published
		}
	}
}

func TestTurbOPark(t *testing.T) {
	t.Parallel()
	type farm struct {
		farmFigures
		FarmType int `json:"farm_type"`
	}
	for _, want := range readReference[struct{ Farms []farm }](t, "turbopark.json").Farms {
		turbine := wind.TurbineTypes()[want.FarmType].Turbine
		calculator := newFarm(t, turbine, newTenderRose(t), newModel(t, "turbopark"), wind.StandardAir())
		checkFarm(t, computeFarm(t, calculator, points(want.Layout)), want.farmFigures, 1e-6)
	}
}

func TestFoxes(t *testing.T) {
	t.Parallel()
	table := readTable(t, "testdata/foxes_turbine.csv")
	watts := make([]float64, len(table["P"]))
	for i, p := range table["P"] {
		watts[i] = p * 1e3
	}
	power, err := wind.NewPowerTable(table["ws"], watts)
	if err != nil {
		t.Fatal(err)
	}
	thrust, err := wind.NewThrustTable(table["ws"], table["ct"])
	if err != nil {
		t.Fatal(err)
	}
	turbine := wind.Turbine{Name: "NREL-5MW-D126-H90", RotorDiameter: 126, HubHeight: 90, RatedPower: 5e6, Curve: power, Thrust: thrust}
	rows := readReference[struct {
		Rows []struct {
			Name    string
			Ambient float64
			WS      []float64
		}
	}](t, "foxes.json").Rows
	for _, want := range rows {
		model := newModel(t, "jensen/foxes")
		if strings.Contains(want.Name, "linear") {
			model.Superposition = wind.Linear
		}
		row := make([]wind.Point, len(want.WS))
		for i := range row {
			row[i].X = 497 * float64(i)
		}
		speeds, err := newFarm(t, turbine, benchmarkRose(t), model, wind.StandardAir()).Speeds(row, 270, want.Ambient)
		if err != nil {
			t.Fatal(err)
		}
		for i, speed := range speeds {
			if !(speed-want.WS[i] < 1e-7 && want.WS[i]-speed < 1e-7) {
				t.Errorf("%s at %g m/s: turbine %d sees %.9f m/s, want %.9f", want.Name, want.Ambient, i, speed, want.WS[i])
			}
		}
	}
}
