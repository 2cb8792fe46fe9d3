package wind_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"windrow/internal/wind"
)

// TestFarmAgreesWithEquations compares with the equations as they are printed:
// every pair in every direction, no reach and no opposites.
func TestFarmAgreesWithEquations(t *testing.T) {
	t.Parallel()
	turbine, rose := wind.TurbineTypes()[0], newTenderRose(t)
	layout := newLayout(t, wind.Tenders()[9], turbine, 7)
	got := computeFarm(t, newTenderCalculator(t, turbine), layout)
	want := make([]float64, len(layout))
	for d, degrees := range rose.Directions {
		for i := range layout {
			share := 1 - printedLoss(turbine.RotorDiameter, layout, i, degrees)
			for s, speed := range rose.Speeds {
				want[i] += turbine.Curve.Power(speed*share) * rose.Frequency[d][s] * 8760 / 1e9
			}
		}
	}
	total := 0.0
	for i := range want {
		checkClose(t, "energy of a turbine", got.TurbineAEP[i], want[i], 1e-12)
		total += want[i]
	}
	checkClose(t, "energy", got.AEP, total, 1e-12)
	checkClose(t, "wake loss", got.WakeLoss, 1-total/got.AEPNoWake, 1e-11)
}

// printedLoss is the loss at turbine i in wind from the given direction.
func printedLoss(diameter float64, layout []wind.Point, i int, degrees float64) float64 {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	squares := 0.0
	for j := range layout {
		x, y := layout[i].X-layout[j].X, layout[i].Y-layout[j].Y
		dx, dy := -x*sin-y*cos, x*cos-y*sin
		if j == i || dx <= 0 {
			continue
		}
		sigma := 0.0324555*dx + diameter/math.Sqrt(8)
		loss := (1 - math.Sqrt(1-8./9/(8*sigma*sigma/(diameter*diameter)))) * math.Exp(-0.5*(dy/sigma)*(dy/sigma))
		squares += loss * loss
	}
	return math.Sqrt(squares)
}

func TestWindComesFromDirection(t *testing.T) {
	t.Parallel()
	north, east := wind.Point{Y: 700}, wind.Point{X: 700}
	south, west := wind.Point{Y: -700}, wind.Point{X: -700}
	for _, test := range []struct {
		from           float64
		upwind, inWake wind.Point
	}{
		{0, north, south},
		{90, east, west},
		{180, south, north},
		{270, west, east},
	} {
		rose := wind.Rose{Directions: []float64{test.from}, Speeds: []float64{9}, Frequency: [][]float64{{1}}}
		got := computeFarm(t, newCalculator(t, iea37Turbine(), rose), []wind.Point{test.inWake, test.upwind})
		free := iea37Curve{}.Power(9) * 8760 / 1e9
		checkClose(t, "energy upwind", got.TurbineAEP[1], free, 1e-15)
		if got.TurbineAEP[0] > 0.8*free {
			t.Errorf("from %g: turbine in the wake makes %g GWh of %g", test.from, got.TurbineAEP[0], free)
		}
	}
}

func TestSingleTurbineLosesNothing(t *testing.T) {
	t.Parallel()
	got := computeFarm(t, newTenderCalculator(t, wind.TurbineTypes()[5]), []wind.Point{{X: 7e5, Y: 6.2e6}})
	if got.AEP != got.AEPNoWake || got.WakeLoss != 0 {
		t.Errorf("AEP %g of %g, wake loss %g; want equal energies and no loss", got.AEP, got.AEPNoWake, got.WakeLoss)
	}
	checkClose(t, "capacity factor", got.CapacityFactor, got.AEP/(15e6*8760/1e9), 1e-12)
}

func TestResultAddsUp(t *testing.T) {
	t.Parallel()
	turbine := wind.TurbineTypes()[2]
	got := computeFarm(t, newTenderCalculator(t, turbine), newLayout(t, wind.Tenders()[0], turbine, 3))
	checkClose(t, "sum over turbines", sumOf(got.TurbineAEP), got.AEP, 1e-12)
	checkClose(t, "sum over directions", sumOf(got.DirectionAEP), got.AEP, 1e-12)
	if got.WakeLoss < 0.01 || got.WakeLoss > 0.2 || got.CapacityFactor < 0.4 || got.CapacityFactor > 0.65 {
		t.Errorf("wake loss %g, capacity factor %g are not those of an offshore farm", got.WakeLoss, got.CapacityFactor)
	}
}

func sumOf(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

func TestTurningFarmAndWindTogetherChangesNothing(t *testing.T) {
	t.Parallel()
	const degrees = 37
	turbine, rose := wind.TurbineTypes()[1], newTenderRose(t)
	layout := newLayout(t, wind.Tenders()[5], turbine, 11)
	want := computeFarm(t, newCalculator(t, turbine.Turbine, rose), layout)

	turned := rose
	turned.Frequency = slices.Concat(rose.Frequency[360-degrees:], rose.Frequency[:360-degrees])
	got := computeFarm(t, newCalculator(t, turbine.Turbine, turned), turnClockwise(layout, degrees))
	checkClose(t, "energy", got.AEP, want.AEP, 1e-9)
	for i := range layout {
		checkClose(t, "energy of a turbine", got.TurbineAEP[i], want.TurbineAEP[i], 1e-9)
	}
}

func turnClockwise(layout []wind.Point, degrees float64) []wind.Point {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	turned := make([]wind.Point, len(layout))
	for i, p := range layout {
		turned[i] = wind.Point{X: p.X*cos + p.Y*sin, Y: -p.X*sin + p.Y*cos}
	}
	return turned
}

func TestMovingFarmChangesNothing(t *testing.T) {
	t.Parallel()
	turbine := wind.TurbineTypes()[3]
	calculator := newTenderCalculator(t, turbine)
	layout := newLayout(t, wind.Tenders()[6], turbine, 13)
	want := computeFarm(t, calculator, layout)
	for i := range layout {
		layout[i].X -= 740_000
		layout[i].Y -= 6_270_000
	}
	checkClose(t, "energy", computeFarm(t, calculator, layout).AEP, want.AEP, 1e-11)
}

func TestSpacingLowersWakeLoss(t *testing.T) {
	t.Parallel()
	turbine := wind.TurbineTypes()[0]
	calculator := newTenderCalculator(t, turbine)
	previous := 1.0
	for _, diameters := range []float64{1, 3, 5, 8, 12, 20, 50} {
		loss := computeFarm(t, calculator, squareGrid(6, diameters*turbine.RotorDiameter)).WakeLoss
		if loss >= previous || loss <= 0 {
			t.Errorf("wake loss at %g diameters is %g, and %g when closer", diameters, loss, previous)
		}
		previous = loss
	}
}

func squareGrid(side int, spacing float64) []wind.Point {
	var layout []wind.Point
	for i := range side * side {
		layout = append(layout, wind.Point{X: float64(i%side) * spacing, Y: float64(i/side) * spacing})
	}
	return layout
}

// TestUnpairedDirections checks a rose in which no direction has its opposite
// against the same wind among opposites that never blow.
func TestUnpairedDirections(t *testing.T) {
	t.Parallel()
	layout := squareGrid(5, 600)
	half := wind.Rose{Directions: []float64{10, 200, 300}, Speeds: []float64{8}, Frequency: [][]float64{{.2}, {.3}, {.5}}}
	full := wind.Rose{
		Directions: []float64{10, 20, 120, 190, 200, 300},
		Speeds:     []float64{8},
		Frequency:  [][]float64{{.2}, {0}, {0}, {0}, {.3}, {.5}},
	}
	got := computeFarm(t, newCalculator(t, iea37Turbine(), half), layout)
	want := computeFarm(t, newCalculator(t, iea37Turbine(), full), layout)
	checkClose(t, "energy", got.AEP, want.AEP, 1e-12)
	checkClose(t, "energy from 200 degrees", got.DirectionAEP[1], want.DirectionAEP[4], 1e-12)
}

func TestSameBitsInAnyOrderAndGoroutine(t *testing.T) {
	t.Parallel()
	turbine := wind.TurbineTypes()[5]
	calculator := newTenderCalculator(t, turbine)
	want := make([]wind.Result, 8)
	for seed := range want {
		want[seed] = computeFarm(t, calculator, newLayout(t, wind.Tenders()[8], turbine, uint64(seed)))
	}
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			calculator := newTenderCalculator(t, turbine)
			for seed, want := range slices.Backward(want) {
				layout, err := wind.Tenders()[8].Layout(turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, uint64(seed))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := calculator.Farm(layout); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("seed %d: got %v, %v; want the bits of the first time", seed, got, err)
				}
			}
		})
	}
	group.Wait()
}

func TestFarmSizesMayAlternate(t *testing.T) {
	t.Parallel()
	calculator := newCalculator(t, iea37Turbine(), wind.Rose{Directions: []float64{0}, Speeds: []float64{9}, Frequency: [][]float64{{1}}})
	want := computeFarm(t, calculator, squareGrid(3, 700))
	computeFarm(t, calculator, squareGrid(6, 400))
	if got := computeFarm(t, calculator, squareGrid(3, 700)); !reflect.DeepEqual(got, want) {
		t.Errorf("after a larger farm: %v, want %v", got, want)
	}
}

func TestFarmRefuses(t *testing.T) {
	t.Parallel()
	calculator := newTenderCalculator(t, wind.TurbineTypes()[0])
	for name, layout := range map[string][]wind.Point{
		"layout has no turbines":         nil,
		"turbine 1 stands at (NaN, 0)":   {{}, {X: math.NaN()}},
		"turbine 0 stands at (0, +Inf)":  {{Y: math.Inf(1)}},
		"turbine 2 stands at (-Inf, -0)": {{}, {X: 1}, {X: math.Inf(-1), Y: math.Copysign(0, -1)}},
	} {
		if _, err := calculator.Farm(layout); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Farm(%v) gave %v, want %s", layout, err, name)
		}
	}
}

func TestCalculatorRefuses(t *testing.T) {
	t.Parallel()
	calm := wind.Rose{Directions: []float64{0}, Speeds: []float64{3}, Frequency: [][]float64{{1}}}
	if _, err := wind.NewCalculator(iea37Turbine(), calm, wind.IEA37(), wind.StandardAir()); err == nil || !strings.Contains(err.Error(), "produces nothing") {
		t.Errorf("wind below cut-in gave %v", err)
	}
	_, err := wind.NewCalculator(wind.Turbine{Name: "paper"}, wind.Rose{}, wind.IEA37(), wind.StandardAir())
	if err == nil || !strings.Contains(err.Error(), "paper") || !strings.Contains(err.Error(), "rose") {
		t.Errorf("wrong turbine and wrong rose gave %v, want both named", err)
	}
}

func TestFarmAllocatesOnlyItsResult(t *testing.T) {
	turbine := wind.TurbineTypes()[5]
	calculator := newTenderCalculator(t, turbine)
	layout := newLayout(t, wind.Tenders()[0], turbine, 1)
	if got := testing.AllocsPerRun(3, func() { computeFarm(t, calculator, layout) }); got > 2 {
		t.Errorf("a farm allocates %g times, want 2", got)
	}
}
