package wind_test

import (
	"math"
	"strings"
	"testing"

	"windrow/internal/wind"
)

func TestBuiltInTurbines(t *testing.T) {
	t.Parallel()
	for _, name := range wind.TurbineNames() {
		turbine := newTurbine(t, name)
		if err := turbine.Validate(); err != nil {
			t.Error(err)
		}
		if turbine.Thrust == nil {
			t.Errorf("%s has no thrust curve", name)
		}
		stops := 25.2
		if strings.HasPrefix(name, "tender_") {
			stops = 30.1
		}
		if at, above := turbine.Curve.Power(24.9), turbine.Curve.Power(stops); at < 0.95*turbine.RatedPower || above != 0 {
			t.Errorf("%s makes %g W at 24.9 m/s and %g W at %g m/s", name, at, above, stops)
		}
	}
	if turbine := newTurbine(t, "nrel_5MW"); turbine.Name != "nrel_5mw" {
		t.Errorf("nrel_5MW is %q", turbine.Name)
	}
	if _, err := wind.NewTurbine("v90"); err == nil || !strings.Contains(err.Error(), "expected one of nrel_5mw") {
		t.Errorf("an unknown turbine gave %v", err)
	}
}

const sizes = "# rotor_diameter_m: 80\n# hub_height_m: 70\n# rated_power_kw: 2000\n"

func TestReadTurbine(t *testing.T) {
	t.Parallel()
	turbine, err := wind.ReadTurbine("t.csv", strings.NewReader("\ufeff"+sizes+"wind_speed_ms,power_w\n3,0\n13,2000000\n25,2000000\n25.1,0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := turbine.Curve.Power(8); math.Abs(got-1e6) > 1e-6 || turbine.RotorDiameter != 80 || turbine.Thrust != nil || turbine.Warning() != "" {
		t.Errorf("power at 8 m/s is %g W, diameter %g m, thrust %v, warning %q", got, turbine.RotorDiameter, turbine.Thrust, turbine.Warning())
	}
	for text, want := range map[string]string{
		"wind_speed_ms,power_kw\n3,0\n":                                         "lacks a line \"# rotor_diameter_m: NUMBER\"",
		"# rotor_diameter_m: wide\n":                                            "t.csv:1: rotor_diameter_m: wide: expected a number above 0",
		"# rotor_diameter_m: -80\n":                                             "t.csv:1: rotor_diameter_m: -80: expected a number above 0",
		sizes + "wind_speed_ms,power\n3,0\n4,1\n":                               "t.csv:4: expected a column power_kw or power_w",
		sizes + "wind_speed_ms,power_kw\n3,0\n3,1\n":                            "t.csv:6: power table: speed 3 does not rise above 3",
		sizes + "wind_speed_ms,power_kw\n3,0\n\n8,NaN\n":                        "t.csv:7: power_kw is \"NaN\"",
		sizes + "speed,power_kw\n3,0\n4,1\n":                                    "t.csv:4: has no column wind_speed_ms",
		sizes + "wind_speed_ms,power_kw\n3,0\n8,2000000\n":                      "t.csv:6: power at 8 m/s is 2e+09 W, the rotor can take no more",
		sizes + "wind_speed_ms,power_kw\n3,0\n8,-1\n":                           "t.csv:6: power table: power at 8 m/s is -1000 W",
		sizes + "wind_speed_ms,power_kw,thrust_coefficient\n3,0,0.8\n9,500,7\n": "t.csv:6: thrust table: thrust coefficient at 9 m/s is 7",
	} {
		if _, err := wind.ReadTurbine("t.csv", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %q", text, err, want)
		}
	}
}

func TestGenericTurbine(t *testing.T) {
	t.Parallel()
	turbine, err := wind.NewGenericTurbine(10e6, 195)
	if err != nil {
		t.Fatal(err)
	}
	checkClose(t, "power at 8 m/s", turbine.Curve.Power(8), 0.45*1.225/2*math.Pi*97.5*97.5*512, 1e-12)
	checkClose(t, "power at 14 m/s", turbine.Curve.Power(14), 10e6, 1e-12)
	if got := turbine.Curve.Power(26); got != 0 {
		t.Errorf("power at 26 m/s is %g W", got)
	}
	for _, sizes := range [][2]float64{{0, 100}, {1e6, 0}, {math.NaN(), 100}, {1e6, math.Inf(1)}, {100e6, 50}} {
		if _, err := wind.NewGenericTurbine(sizes[0], sizes[1]); err == nil {
			t.Errorf("a turbine of %g W and %g m is taken", sizes[0], sizes[1])
		}
	}
}
