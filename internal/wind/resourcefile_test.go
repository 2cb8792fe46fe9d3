package wind_test

import (
	"strings"
	"testing"

	"windrow/internal/wind"
)

func readResource(text string) (wind.Resource, error) {
	climate, err := wind.ReadClimate("r.csv", strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	return climate.Resource(wind.Sampling{Directions: 36, Speeds: wind.Speeds(3, 25)})
}

// TestResourcesOfOneClimate reads the same climate as sectors, as a table in
// either order and, for two winds, as a series.
func TestResourcesOfOneClimate(t *testing.T) {
	t.Parallel()
	layout := scatter(10, 3000)
	aep := func(text string) float64 {
		resource, err := readResource(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return computeFarm(t, newFarm(t, newTurbine(t, "v80"), resource, newModel(t, "jensen"), wind.StandardAir()), layout).AEP
	}
	byDirection := aep("wd,ws,freq_val\n0,8,0.25\n0,10,0.25\n180,8,0.5\n180,10,0\n")
	checkClose(t, "table sorted by speed", aep("WS,WD,freq_val\n8,0,0.25\n8,180,0.5\n10,0,0.25\n10,180,0\n"), byDirection, 1e-15)
	checkClose(t, "series with more columns, from Excel", aep("\ufefftime,temperature,wind_direction_deg,wind_speed_ms\r\na,-3,0,8\r\nb,2,180,8\r\nc,2,180,8\r\nd,3,0,10\r\n"), byDirection, 1e-15)
	checkClose(t, "series", aep("time,wind_direction_deg,wind_speed_ms\na,0,8\nb,180,8\nc,180,8\nd,0,10\n"), byDirection, 1e-15)

	rose, err := wind.WeibullSectors{{Scale: 9, Shape: 2, Frequency: 0.4}, {Scale: 10, Shape: 2.2, Frequency: 0.6}}.Rose(36, wind.Speeds(3, 25))
	if err != nil {
		t.Fatal(err)
	}
	want := computeFarm(t, newFarm(t, newTurbine(t, "v80"), rose, newModel(t, "jensen"), wind.StandardAir()), layout).AEP
	checkClose(t, "sectors", aep("# two\nsector_deg,weibull_a_ms,weibull_k,frequency\n0,9,2,0.4\n180,10,2.2,0.6\n"), want, 1e-15)
}

func TestReadClimateRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "r.csv: is empty",
		"a,b\n1,2\n":                    "r.csv:1: expected the columns sector_deg,",
		"wd,ws,WD,freq_val\n0,8,0,-1\n": `r.csv:1: has two columns called "wd"`,
		"wd,freq_val\n":                 "r.csv:1: has no rows below the header",
		"wd,freq_val\n1,0\n":            "r.csv:1: has no column ws",
		"wd,ws,freq_val\n0,8,x\n":       `r.csv:2: freq_val is "x": expected a number`,
		"wd,ws,freq_val\n0,8,NaN\n":     "r.csv:2: freq_val is",
		"wd,ws,freq_val\n0,8\n":         "r.csv:2: has 2 fields: expected 3, as the header in line 1",
		"x_m,y_m\n-1,2\n":               "r.csv:1: expected the columns sector_deg,",
		"wd;ws;freq_val\n0;8;1\n":       `r.csv:1: the header is "wd;ws;freq_val": expected commas between the columns`,
		"# c\nwd,ws,freq_val\n0,8,1\n180,8,-0.1\n":                           "r.csv:4: freq_val is -0.1: expected 0 or more",
		"wd,ws,freq_val\n0,8,0.5\n180,8,0.6\n":                               "r.csv:1: freq_val sums to 1.1",
		"wd,ws,freq_val\n0,8,0.1\n180,8,0.1\n":                               "r.csv:1: freq_val sums to 0.2",
		"wd,ws,freq_val\n180,8,0.5\n0,8,0.5\n":                               "r.csv:2: wd 180, ws 8 is out of order",
		"wd,ws,freq_val\n0,8,0.5\n0,8,0.5\n":                                 "r.csv:3: wd 0, ws 8 is out of order, twice",
		"wd,ws,freq_val\n0,8,0.5\n0,9,0.1\n180,8,0.4\n":                      "r.csv:4: the table ends early: it has 3 rows",
		"wd,ws,freq_val\n0,8,0.5\n0,9,0.1\n180,9,0.4\n":                      "r.csv:4: wd 180, ws 9 is out of order",
		"wd,ws,freq_val\n0,8,0.5\n90,8,0.2\n180,8,0.3\n":                     "r.csv:3: there is a gap between wd 0 and 90",
		"wd,ws,freq_val\n0,8,0.5\n0,9,0.2\n0,11,0.3\n":                       "r.csv:4: there is a gap between ws 9 and 11",
		"wd,ws,freq_val\n0,8,0.5\n360,8,0.5\n":                               "r.csv:3: wd is 360",
		"sector_deg,weibull_a_ms,weibull_k\n0,9,2\n":                         "r.csv:1: has no column frequency",
		"sector_deg,weibull_a_ms,weibull_k,frequency\n0,9,2,9\n":             "r.csv:1: frequency sums to 9 over the sectors",
		"sector_deg,weibull_a_ms,weibull_k,frequency\n0,9,2,.5\n90,9,2,.5\n": "r.csv:3: sector_deg is 90: expected 180",
		"sector_deg,weibull_a_ms,weibull_k,frequency\n0,9,0,1\n":             "r.csv:2: weibull_a_ms and weibull_k must be positive",
		"wind_direction_deg,wind_speed_ms\n10,8\n360,8\n":                    "r.csv:3: wind_direction_deg is 360",
		"wind_speed_ms\n8\n":                                                 "has no column wind_direction_deg",
	} {
		if _, err := readResource(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %q", text, err, want)
		}
	}
}

// FuzzReadClimate asserts that a table is refused or computes: no panic, no NaN.
func FuzzReadClimate(f *testing.F) {
	f.Add("wd,ws,freq_val\n0,8,0.25\n0,10,0.25\n180,8,0.5\n180,10,0\n")
	f.Add("time,wind_direction_deg,wind_speed_ms\na,0,8\n")
	f.Add("sector_deg,weibull_a_ms,weibull_k,frequency\n0,9,2,1\n")
	f.Fuzz(func(t *testing.T, text string) {
		resource, err := readResource(text)
		if err != nil {
			return
		}
		calculator, err := wind.NewCalculator(newTurbine(t, "v80"), resource, newModel(t, "jensen/pywake"), wind.StandardAir())
		if err != nil {
			return
		}
		if got := computeFarm(t, calculator, scatter(2, 500)); !(got.AEP >= 0 && got.AEP <= got.AEPNoWake) {
			t.Errorf("%q makes %g of %g GWh", text, got.AEP, got.AEPNoWake)
		}
	})
}
