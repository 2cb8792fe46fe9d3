package wind_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"windrow/internal/wind"
)

func TestPowerTable(t *testing.T) {
	t.Parallel()
	table, err := wind.NewPowerTable([]float64{3, 4, 10, 10.5, 25}, []float64{0, 100, 700, 1000, 1000})
	if err != nil {
		t.Fatal(err)
	}
	for speed, want := range map[float64]float64{
		-1: 0, 0: 0, 2.999: 0, 3: 0, 3.25: 25, 4: 100, 7: 400, 10: 700, 10.25: 850, 10.5: 1000, 20: 1000, 25: 1000,
		25.0001: 0, math.Inf(1): 0, math.Inf(-1): 0, math.NaN(): 0,
	} {
		if got := table.Power(speed); math.Abs(got-want) > 1e-10 {
			t.Errorf("power at %g m/s is %g W, want %g", speed, got, want)
		}
	}
}

func TestPowerTableRefuses(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		speeds, powers []float64
		want           string
	}{
		{nil, nil, "fewer than 2 points"},
		{[]float64{5}, []float64{1}, "fewer than 2 points"},
		{[]float64{3, 4}, []float64{1}, "2 speeds and 1 powers"},
		{[]float64{3, 5, 4}, []float64{1, 2, 3}, "speed 4 does not rise above 5"},
		{[]float64{3, 4, 4}, []float64{1, 2, 3}, "speed 4 does not rise above 4"},
		{[]float64{4, 4 + 1e-9}, []float64{1, 2}, "does not rise"},
		{[]float64{0, 5e-324}, []float64{1, 2}, "does not rise"},
		{[]float64{-1, 4}, []float64{1, 2}, "speed -1 is negative"},
		{[]float64{nan, 4}, []float64{1, 2}, "speed NaN is"},
		{[]float64{3, inf}, []float64{1, 2}, "speed +Inf is"},
		{[]float64{3, 4}, []float64{1, -2}, "power at 4 m/s is -2"},
		{[]float64{3, 4}, []float64{nan, 2}, "power at 3 m/s is NaN"},
		{[]float64{3, 4}, []float64{1, inf}, "power at 4 m/s is +Inf"},
		{[]float64{3, 4}, []float64{1, 1e300}, "power at 4 m/s is 1e+300"},
	} {
		_, err := wind.NewPowerTable(test.speeds, test.powers)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewPowerTable(%v, %v) gave %v, want %q", test.speeds, test.powers, err, test.want)
		}
	}
}

// TestPowerTableAgreesWithSearch compares lookups in tables with unequal steps
// with a search from the start.
func TestPowerTableAgreesWithSearch(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		speeds, powers := randomTable(random)
		table, err := wind.NewPowerTable(speeds, powers)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			speed := random.Float64()*(speeds[len(speeds)-1]+2) - 1
			if got, want := table.Power(speed), searchPower(speeds, powers, speed); math.Abs(got-want) > 1e-6 {
				t.Fatalf("power at %g m/s is %g W, want %g; speeds %v, powers %v", speed, got, want, speeds, powers)
			}
		}
		for i, speed := range speeds {
			if got := table.Power(speed); math.Abs(got-powers[i]) > 1e-6 {
				t.Fatalf("power at point %d, %g m/s, is %g W, want %g", i, speed, got, powers[i])
			}
		}
	}
}

func randomTable(random *rand.Rand) (speeds, powers []float64) {
	speed := random.Float64()
	for range 2 + random.IntN(60) {
		speed += 1e-3 + math.Pow(random.Float64(), 6)*5
		speeds, powers = append(speeds, speed), append(powers, random.Float64()*1000)
	}
	return speeds, powers
}

func searchPower(speeds, powers []float64, speed float64) float64 {
	for i := 1; i < len(speeds); i++ {
		if speeds[i-1] <= speed && speed <= speeds[i] {
			part := (speed - speeds[i-1]) / (speeds[i] - speeds[i-1])
			return powers[i-1] + part*(powers[i]-powers[i-1])
		}
	}
	return 0
}

// FuzzPowerTable asserts that a table is refused or behaves: no panic, and no
// power outside the range of those given.
func FuzzPowerTable(f *testing.F) {
	f.Add(packFloats(3, 0, 10, 5, 25, 5), 7.5)
	f.Add(packFloats(0, 1, 5e-324, 1), 0.0)
	f.Add(packFloats(0, 1e12, 1e-6, 0, 1e308, 4), 1e307)
	f.Add(packFloats(4, 1, 3, 1), 3.5)
	f.Fuzz(func(t *testing.T, points []byte, speed float64) {
		var speeds, powers []float64
		for ; len(points) >= 16; points = points[16:] {
			speeds = append(speeds, math.Float64frombits(binary.LittleEndian.Uint64(points)))
			powers = append(powers, math.Float64frombits(binary.LittleEndian.Uint64(points[8:])))
		}
		table, err := wind.NewPowerTable(speeds, powers)
		if err != nil {
			return
		}
		highest := slices.Max(powers)
		for _, u := range append(speeds, speed) {
			if got := table.Power(u); !(got >= -1e-6*highest && got <= highest*(1+1e-6)) {
				t.Errorf("power at %g m/s is %g W, table holds %v W at %v", u, got, powers, speeds)
			}
		}
	})
}

func packFloats(values ...float64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

type curveFunc func(float64) float64

func (f curveFunc) Power(speed float64) float64 { return f(speed) }

func TestTurbineValidate(t *testing.T) {
	t.Parallel()
	if err := iea37Turbine().Validate(); err != nil {
		t.Fatalf("the case studies' turbine: %v", err)
	}
	scaled := func(factor float64) wind.PowerCurve {
		return curveFunc(func(speed float64) float64 { return factor * iea37Curve{}.Power(speed) })
	}
	for _, test := range []struct {
		name   string
		change func(*wind.Turbine)
		want   string
	}{
		{"no rotor", func(t *wind.Turbine) { t.RotorDiameter = 0 }, "must be positive"},
		{"rotor is NaN", func(t *wind.Turbine) { t.RotorDiameter = math.NaN() }, "must be positive"},
		{"tower is infinite", func(t *wind.Turbine) { t.HubHeight = math.Inf(1) }, "must be positive"},
		{"negative rating", func(t *wind.Turbine) { t.RatedPower = -1 }, "must be positive"},
		{"no curve", func(t *wind.Turbine) { t.Curve = nil }, "no power curve"},
		{"kW given as W", func(t *wind.Turbine) { t.Curve = scaled(1e-3) }, "reaches 3350 W"},
		{"W given as kW", func(t *wind.Turbine) { t.Curve = scaled(1e3) }, "can take no more"},
		{"rotor too small", func(t *wind.Turbine) { t.RotorDiameter = 100 }, "can take no more"},
		{"negative power", func(t *wind.Turbine) { t.Curve = scaled(-1) }, "power at 4.1 m/s is -17"},
		{"power is NaN", func(t *wind.Turbine) { t.Curve = scaled(math.NaN()) }, "is NaN W"},
	} {
		turbine := iea37Turbine()
		test.change(&turbine)
		if err := turbine.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}
