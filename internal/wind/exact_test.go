package wind

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestReachChangesNothing compares farms whose wakes end at their reach with
// farms whose wakes go on for ever.
func TestReachChangesNothing(t *testing.T) {
	t.Parallel()
	turbine, err := NewTurbine("nrel_5mw")
	if err != nil {
		t.Fatal(err)
	}
	rose, err := TenderWind().Rose(36, Speeds(3, 25))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range ModelNames() {
		model, err := NewModel(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, spacing := range []float64{0.5, 2, 7, 20} { // rotor diameters
			layout := scatter(60, spacing*turbine.RotorDiameter)
			var results [2]Result
			for k, endless := range []bool{false, true} {
				c, err := NewCalculator(turbine, rose, model, StandardAir())
				if err != nil {
					t.Fatal(err)
				}
				if endless {
					c.setReach(math.Inf(1))
				}
				if results[k], err = c.Farm(layout); err != nil {
					t.Fatal(err)
				}
			}
			allowed := 1e-10
			if model.Deficit == Turbulent {
				allowed = 1e-8
			}
			if got := math.Abs(results[0].AEP/results[1].AEP - 1); !(got <= allowed) {
				t.Errorf("%s, %g D apart: the reach changes the energy by %g of it, allowed are %g", name, spacing, got, allowed)
			}
		}
	}
}

func (c *Calculator) setReach(reach float64) {
	switch f := c.flow.(type) {
	case *pointFlow:
		f.reach = reach
	case *gridFlow:
		f.reach = reach
	}
}

// scatter places turbines on a square at random, so many that each has a square
// of the given side.
func scatter(n int, side float64) []Point {
	random := rand.New(rand.NewPCG(1, 2))
	width := side * math.Sqrt(float64(n))
	layout := make([]Point, n)
	for i := range layout {
		layout[i] = Point{random.Float64() * width, random.Float64() * width}
	}
	return layout
}

func TestExp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for range 1_000_000 {
		x := (random.Float64() - 0.5) * math.Exp2(random.Float64()*11-1)
		if math.Abs(x) > 700 {
			continue
		}
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 2.3e-16*want*1.5 {
			t.Fatalf("exp(%g) = %.17g, want %.17g", x, got, want)
		}
	}
	for x, want := range map[float64]float64{0: 1, math.Inf(-1): 0, -701: 0, math.Inf(1): math.Inf(1)} {
		if got := exp(x); got != want {
			t.Errorf("exp(%g) = %g, want %g", x, got, want)
		}
	}
	if got := exp(math.NaN()); !math.IsNaN(got) {
		t.Errorf("exp(NaN) = %g", got)
	}
}

// TestDiscMean compares the series with the mean over a polar grid.
func TestDiscMean(t *testing.T) {
	t.Parallel()
	for _, radius := range []float64{0.01, 0.2, 0.7, 1.4, 2} { // sigma
		for _, offset := range []float64{0, 0.3, 1, 2.5, 6} {
			want := 0.0
			const rings, spokes = 2000, 64
			for i := range rings {
				r := radius * math.Sqrt((float64(i)+0.5)/rings) // of equal area
				for k := range spokes {
					angle := 2 * math.Pi * float64(k) / spokes
					want += math.Exp(-(r*r+offset*offset-2*r*offset*math.Cos(angle))/2) / (rings * spokes)
				}
			}
			got := discMean(offset*offset/2, radius*radius/2)
			if math.Abs(got-want) > 2e-7*math.Exp(-offset*offset/4) { // the grid's error
				t.Errorf("mean over a disc of radius %g at %g = %.12g, want %.12g", radius, offset, got, want)
			}
		}
	}
}

// TestDiscMeanStopsInTime compares the series with one that goes on.
func TestDiscMeanStopsInTime(t *testing.T) {
	t.Parallel()
	for x := 0.0; x <= discReach; x += 0.25 {
		for y := 0.01; y <= 2; y += 0.01 {
			before, now, sum, factor := 0.0, 1.0, 1.0, 1.0
			for _, l := range laguerre {
				before, now = now, (l.a-x*l.b)*now-l.c*before
				factor *= -y * l.d
				sum += factor * now
			}
			if got, want := discMean(x, y), math.Exp(-x)*sum; math.Abs(got-want) > discMeanError {
				t.Fatalf("mean for x = %g, y = %g is %.12g, the whole series gives %.12g", x, y, got, want)
			}
		}
	}
}

func TestDiscShare(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]float64{ // wake, rotor, distance, share
		{2, 1, 0, 1},
		{2, 1, 1, 1},
		{2, 1, 3, 0},
		{0.5, 1, 0, 0.25},
		{1, 1, 0, 1},
		{1, 1, 1, (2*math.Pi/3 - math.Sqrt(3)/2) / math.Pi}, // the lens of two equal circles
	} {
		if got := discShare(c[0], c[1], c[2]); math.Abs(got-c[3]) > 1e-15 {
			t.Errorf("share of a rotor of radius %g in a wake of %g at %g is %g, want %g", c[1], c[0], c[2], got, c[3])
		}
	}
}
