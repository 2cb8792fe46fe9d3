package windfile_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// TestSystemsOfTheCaseStudies computes the published energies of IEA Wind
// Task 37's case studies 1 and 3 from files in the form of windIO.
func TestSystemsOfTheCaseStudies(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]float64{"case1": 366941.57116, "case3": 938573.62950} { // MWh
		var warnings []string
		files := &windfile.Files{Dir: "testdata", Warn: func(text string) { warnings = append(warnings, text) }}
		name := dir + "/system.yaml"
		if err := files.WarnOfSystem(name); err != nil {
			t.Fatal(err)
		}
		turbine, err := files.Turbine(name)
		if err != nil {
			t.Fatal(err)
		}
		climate, air, err := files.Climate(name, turbine.HubHeight)
		if err != nil {
			t.Fatal(err)
		}
		layout, err := files.Layout(name)
		if err != nil {
			t.Fatal(err)
		}
		resource, err := climate.Resource(wind.Sampling{})
		if err != nil {
			t.Fatal(err)
		}
		calculator, err := wind.NewCalculator(turbine, resource, wind.IEA37(), air)
		if err != nil {
			t.Fatal(err)
		}
		farm, err := calculator.Farm(layout)
		if err != nil {
			t.Fatal(err)
		}
		if got := farm.AEP * 1e3; math.Abs(got/want-1) > 1e-10 {
			t.Errorf("%s: %.5f MWh, published are %.5f", dir, got, want)
		}
		if dir == "case1" {
			checkCase1(t, files, air, warnings)
		}
	}
}

func checkCase1(t *testing.T, files *windfile.Files, air wind.Air, warnings []string) {
	t.Helper()
	if air.Turbulence != 0.075 {
		t.Errorf("the turbulence intensity is %g", air.Turbulence)
	}
	if want := []string{"testdata/case1/system.yaml:5: attributes is not used: the models are chosen otherwise"}; !slices.Equal(warnings, want) {
		t.Errorf("warnings %q", warnings)
	}
	site, err := files.Site("case1/system.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if area := site.Boundary.Area(); math.Abs(area/(math.Pi*1300*1300)-1) > 1e-4 {
		t.Errorf("the disc has %g m²", area)
	}
	included, err := windfile.Includes("testdata", "case1/system.yaml")
	if want := []string{"case1/site.yaml", "case1/resources/wind.yaml", "case1/farm.yaml", "case1/turbine.yaml"}; err != nil || !slices.Equal(included, want) {
		t.Errorf("includes %q, %v", included, err)
	}
}

// write makes the file of a test.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const windOf = "wind_resource:\n"

// TestFormsOfAResource reads a wind of two directions and two speeds in the
// three forms that windIO has, and each in another way of writing it.
func TestFormsOfAResource(t *testing.T) {
	t.Parallel()
	axes := "  wind_direction: [0, 180]\n  wind_speed: [8, 10]\n"
	want := wind.Rose{Directions: []float64{0, 180}, Speeds: []float64{8, 10}, Frequency: [][]float64{{0.1, 0.15}, {0.3, 0.45}}}
	for name, text := range map[string]string{
		"joint":                  axes + "  probability: {data: [[0.1, 0.15], [0.3, 0.45]], dims: [wind_direction, wind_speed]}\n",
		"turned":                 axes + "  probability: {data: [[0.1, 0.3], [0.15, 0.45]], dims: [wind_speed, wind_direction]}\n",
		"conditional":            axes + "  probability: {data: [[0.4, 0.6], [0.4, 0.6]], dims: [wind_direction, wind_speed]}\n  sector_probability: {data: [0.25, 0.75], dims: [wind_direction]}\n",
		"joint with its margins": axes + "  probability: {data: [[0.1, 0.15], [0.3, 0.45]], dims: [wind_direction, wind_speed]}\n  sector_probability: {data: [0.25, 0.75], dims: [wind_direction]}\n",
		"with 360 again":         "  wind_direction: [0, 180, 360]\n  wind_speed: [8, 10]\n  probability: {data: [[0.1, 0.15], [0.3, 0.45], [0.1, 0.15]], dims: [wind_direction, wind_speed]}\n",
	} {
		climate := climateOf(t, windOf+text)
		rose, ok := climate.(wind.Rose)
		if !ok || !slices.Equal(rose.Directions, want.Directions) || !slices.Equal(rose.Speeds, want.Speeds) {
			t.Errorf("%s: %+v", name, climate)
			continue
		}
		for d := range want.Frequency {
			for s, f := range want.Frequency[d] {
				if math.Abs(rose.Frequency[d][s]-f) > 1e-15 {
					t.Errorf("%s: frequency %g from %g at %g m/s", name, rose.Frequency[d][s], want.Directions[d], want.Speeds[s])
				}
			}
		}
	}
	sectors, ok := climateOf(t, windOf+"  wind_direction: [0, 180]\n"+
		"  weibull_a: {data: [9, 10], dims: [wind_direction]}\n  weibull_k: {data: [2, 2.2], dims: [wind_direction]}\n"+
		"  sector_probability: {data: [0.4, 0.6], dims: [wind_direction]}\n").(wind.WeibullSectors)
	if !ok || !slices.Equal(sectors, wind.WeibullSectors{{Scale: 9, Shape: 2, Frequency: 0.4}, {Scale: 10, Shape: 2.2, Frequency: 0.6}}) {
		t.Errorf("sectors %+v", sectors)
	}
	series, ok := climateOf(t, windOf+"  time: ['2023-07-25T00:00:00Z', '2023-07-25 01:00:00', '2023-07-25T02:00:00']\n"+
		"  wind_speed: [5, 6, 3]\n  wind_direction: [0, 350, 360]\n").(wind.Series)
	if !ok || !slices.Equal(series.Speeds, []float64{5, 6, 3}) || !slices.Equal(series.Directions, []float64{0, 350, 0}) {
		t.Errorf("series %+v", series)
	}
}

func climateOf(t *testing.T, text string) wind.Climate {
	t.Helper()
	files := &windfile.Files{Dir: t.TempDir()}
	write(t, files.Dir, "wind.yaml", text)
	climate, _, err := files.Climate("wind.yaml", 100)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return climate
}

func TestResourceThatIsNotRead(t *testing.T) {
	t.Parallel()
	const joint = "  probability: {data: [[0.1, 0.15], [0.3, 0.45]], dims: [wind_direction, wind_speed]}\n"
	const axes = "  wind_direction: [0, 180]\n  wind_speed: [8, 10]\n"
	for text, want := range map[string]string{
		axes:                              "is no wind resource: expected probability; or weibull_a, weibull_k and sector_probability; or time, wind_speed and wind_direction. It has wind_direction, wind_speed",
		"  wind_speed: [8, 10]\n" + joint: "wind_direction is missing",
		axes + strings.ReplaceAll(joint, "0.45", "0.95"):                                      ":4: probability: sums to 1.5: expected 1",
		axes + strings.ReplaceAll(joint, "0.45]]", "x]]"):                                     ":4: probability: expected numbers",
		axes + strings.ReplaceAll(joint, "0.45]]", "0.4, 0.05]]"):                             ":4: probability: expected numbers, in lists of one length",
		axes + strings.ReplaceAll(joint, "0.45]]", "-0.45]]"):                                 ":4: probability: has the value -0.45",
		axes + strings.ReplaceAll(joint, "wind_speed]", "height]"):                            ":4: probability: varies with height: only wind that is the same everywhere",
		axes + "  probability: {data: [[[1]]], dims: [x, y]}\n":                               ":4: probability: data has 3 dimensions, dims names 2",
		axes + joint + "  turbulence_intensity: -5\n":                                         ":5: turbulence_intensity: is -5: expected 0 to 1",
		axes + joint + "  reference_height: 70\n":                                             ":5: reference_height: the wind is at 70 m, the hub at 100 m",
		axes + joint + "  shear: {alpha: 0.1, h_ref: 70}\n":                                   ":5: shear: the wind is at another height than the hub, which is at 100 m",
		axes + joint + "  sector_probability: {data: [0.5, 0.5], dims: [wind_direction]}\n":   "probability: sums to 1 over all directions, and to neither",
		axes + joint + "  sector_probability: {data: [0.25, 0.25], dims: [wind_direction]}\n": ":5: sector_probability: sums to 0.5 over the directions",
		"  time: [0, 1, 3]\n  wind_speed: [1, 2, 3]\n  wind_direction: [1, 2, 3]\n":           ":2: time: value 3 comes after another span",
		"  time: ['a', 'b']\n  wind_speed: [1, 2]\n  wind_direction: [1, 2]\n":                `:2: time: "a": expected a time`,
		"  time: [0, 1]\n  wind_speed: [1]\n  wind_direction: [1, 2]\n":                       ":3: wind_speed: has 1 values for [2] times",
		"  time: [0, 1]\n  wind_speed: [1, 2]\n  wind_direction: [1, 400]\n":                  ":4: wind_direction: is 400",
		"  wind_direction: &a [0, 180]\n":                                                     "anchors and aliases are not read",
		"  wind_direction: !!float 3\n":                                                       "the tag !!float is not read",
		"  wind_direction: [0, 10]\n  weibull_a: {data: [9, 10], dims: [wind_direction]}\n  weibull_k: {data: [2, 2], dims: [wind_direction]}\n  sector_probability: {data: [0.4, 0.6], dims: [wind_direction]}\n": ":2: wind_direction: 10: expected 180",
	} {
		files := &windfile.Files{Dir: t.TempDir()}
		path := write(t, files.Dir, "wind.yaml", windOf+text)
		if _, _, err := files.Climate("wind.yaml", 100); err == nil || !strings.HasPrefix(err.Error(), path+":") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngave %v\nwant %s", text, err, want)
		}
	}
}

// TestWhatIsNotUsedIsAWarning is for values that change energies elsewhere.
func TestWhatIsNotUsedIsAWarning(t *testing.T) {
	t.Parallel()
	var warnings []string
	files := &windfile.Files{Dir: t.TempDir(), Warn: func(text string) { warnings = append(warnings, filepath.Base(text)) }}
	write(t, files.Dir, "wind.yaml", windOf+"  wind_direction: [0, 180]\n  wind_speed: 9.8\n  probability: {data: [0.5, 0.5], dims: [wind_direction]}\n"+
		"  turbulence_intensity: {data: [0.05, 0.06], dims: [wind_direction]}\n  z0: {data: 0.0001, dims: []}\n")
	if _, air, err := files.Climate("wind.yaml", 100); err != nil || air.Turbulence != 0.1 {
		t.Errorf("%v, %v", air, err)
	}
	write(t, files.Dir, "turbine.yaml", turbine+"TSR: 7.5\n")
	if _, err := files.Turbine("turbine.yaml"); err != nil {
		t.Error(err)
	}
	want := []string{"wind.yaml:5: turbulence_intensity varies and is not used", "wind.yaml:6: z0 is not used", "turbine.yaml:7: TSR is not used"}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings %q", warnings)
	}
}

// TestTurbulenceThatVaries is an error where it would change wakes.
func TestTurbulenceThatVaries(t *testing.T) {
	t.Parallel()
	for values, want := range map[string]string{
		"[0.05, 0.06]": "wind.yaml:5: turbulence_intensity: varies from 0.05 to 0.06, and the wake model takes one for all wind",
		"[0.05, 6]":    "wind.yaml:5: turbulence_intensity: is 6: expected 0 to 1",
		"[0.05, 0.05]": "",
	} {
		files := &windfile.Files{Dir: t.TempDir(), NeedsTurbulence: true}
		write(t, files.Dir, "wind.yaml", windOf+"  wind_direction: [0, 180]\n  wind_speed: 9.8\n  probability: {data: [0.5, 0.5], dims: [wind_direction]}\n"+
			"  turbulence_intensity: {data: "+values+", dims: [wind_direction]}\n")
		_, air, err := files.Climate("wind.yaml", 100)
		if want == "" && (err != nil || air.Turbulence != 0.05) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v, want %q", values, air, err, want)
		}
	}
}

const turbine = `name: two megawatts
hub_height: 70
rotor_diameter: 80
performance:
  power_curve: {power_wind_speeds: [3, 6, 12, 25, 26], power_values: [0, 3.0e+5, 2.0e+6, 2.0e+6, 0]}
  Ct_curve: {Ct_wind_speeds: [3, 25], Ct_values: [0.8, 0.1]}
`

func TestTurbinesOfWindIO(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"power": turbine,
		"Cp":    strings.Replace(turbine, "power_curve: {power_wind_speeds: [3, 6, 12, 25, 26], power_values: [0, 3.0e+5, 2.0e+6, 2.0e+6, 0]}", "Cp_curve: {Cp_wind_speeds: [3, 6, 12, 25, 26], Cp_values: [0, 0.451119, 0.375933, 0.041575, 0]}", 1),
	} {
		files := &windfile.Files{Dir: t.TempDir()}
		write(t, files.Dir, "turbine.yaml", text)
		got, err := files.Turbine("turbine.yaml")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Name != "two megawatts" || got.HubHeight != 70 || got.RotorDiameter != 80 || math.Abs(got.RatedPower/2e6-1) > 1e-4 {
			t.Errorf("%s: %+v", name, got)
		}
		if p := got.Curve.Power(7.5); math.Abs(p/725e3-1) > 1e-4 {
			t.Errorf("%s: %g W at 7.5 m/s", name, p)
		}
	}
}

func TestTurbineThatIsNotRead(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{"[0, 3.0e+5, 2.0e+6, 2.0e+6, 0]", "[0, 300, 2000, 2000, 0]"}: ":5: 2000 W from a rotor of 80 m are 0.398 W/m²: expected 20 to 2000, power in W",
		{"[3, 6, 12, 25, 26]", "[3, 4, 12, 25, 26]"}:                  "the rotor can take no more than",
		{"[3, 6, 12, 25, 26]", "[3, 2, 12, 25, 26]"}:                  ":5: power table: speed 2 does not rise",
		{"[0.8, 0.1]", "[0.8, 3]"}:                                    ":6: thrust table: thrust coefficient at 25 m/s is 3",
		{"rotor_diameter: 80\n", ""}:                                  ":1: rotor_diameter is missing",
		{"hub_height: 70", "hub_height: high"}:                        ":2: hub_height: expected a number above 0",
		{"performance:", "behaviour:"}:                                "is no turbine: performance is missing",
		{"  Ct_curve", "  Ct"}:                                        ":5: Ct_curve is missing",
		{"power_curve:", "curve:"}:                                    "expected power_curve, Cp_curve, or rated_power",
		{"name: two megawatts", "name: \"two\\0megawatts\""}:          "expected up to 200 bytes of text in one line",
		{"rotor_diameter: 80", "rotor_diameter: .inf"}:                ":3: rotor_diameter: expected a number above 0",
		{"[0.8, 0.1]", "[0.8, .nan]"}:                                 ":6: Ct_values: expected a number",
		{"[0.8, 0.1]", strings.Repeat("[", 60_000)}:                   ":6: is nested too deeply",
		{"name: two", "name: two\nname: three"}:                       "mapping key \"name\" already defined",
		{turbine, "!include turbine.yaml"}:                            "includes itself",
		{turbine, "performance: !include absent.yaml"}:                ":1: !include absent.yaml: there is no file",
		{turbine, "performance: !include t.json"}:                     ":1: !include t.json: expected .yaml or .nc",
	} {
		files := &windfile.Files{Dir: t.TempDir()}
		path := write(t, files.Dir, "turbine.yaml", strings.Replace(turbine, change[0], change[1], 1))
		if _, err := files.Turbine("turbine.yaml"); err == nil || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v\nwant %s", change[1], err, want)
		}
	}
}

func TestFarmsAndSitesThatAreNotRead(t *testing.T) {
	t.Parallel()
	layout := func(f *windfile.Files) error { _, err := f.Layout("f.yaml"); return err }
	site := func(f *windfile.Files) error { _, err := f.Site("f.yaml"); return err }
	for text, tt := range map[string]struct {
		read func(*windfile.Files) error
		want string
	}{
		"- {name: a}\n- {name: b}\n": {layout, ":1: holds 2 wind farms"},
		"name: a\n":                  {layout, "is no wind farm: layouts is missing"},
		"layouts: []\n":              {layout, "layouts is empty"},
		"layouts: {coordinates: {x: [1, 2], y: [1]}}\n":                                          {layout, "2 x and 1 y make no positions"},
		"layouts: {coordinates: {x: [1], y: [1]}, turbine_types: [0, 1]}\n":                      {layout, "a farm of several types is not computed"},
		"boundaries: {polygons: [{x: [0, 1, 1], y: [0, 0, 1]}, {x: [5, 6, 6], y: [0, 0, 1]}]}\n": {site, "the site has 2 polygons"},
		"boundaries: {polygons: [{x: [0, 1, 2], y: [0, 0, 0]}]}\n":                               {site, "polygon has no area"},
		"boundaries: {}\n":                    {site, "expected polygons or a circle"},
		"boundaries: {circle: {radius: 5}}\n": {site, "center is missing"},
		"boundaries: {polygons: [{x: [0, 9, 9], y: [0, 0, 9]}]}\nexclusions: {circle: {radius: 1}}\n": {site, "exclusions are not kept clear"},
	} {
		files := &windfile.Files{Dir: t.TempDir()}
		write(t, files.Dir, "f.yaml", text)
		if err := tt.read(files); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q gave %v\nwant %s", text, err, tt.want)
		}
	}
}

// TestNetCDF is about what a file says; internal/foreign opens real ones.
func TestNetCDF(t *testing.T) {
	t.Parallel()
	files := &windfile.Files{Dir: t.TempDir()}
	write(t, files.Dir, "wind.yaml", "wind_resource: !include rose.nc\n")
	if _, _, err := files.Climate("wind.yaml", 100); err == nil || !strings.Contains(err.Error(), "netCDF is not read here") {
		t.Errorf("without a reader: %v", err)
	}
	variables := map[string]windfile.Variable{
		"wind_direction": {Dims: []string{"wind_direction"}, Shape: []int{2}, Values: []float64{0, 180}},
		"wind_speed":     {Values: []float64{9.8}},
		"probability":    {Dims: []string{"wind_direction"}, Shape: []int{2}, Values: []float64{0.25, 0.75}},
	}
	files.NetCDF = func(path string) (map[string]windfile.Variable, error) {
		if path != filepath.Join(files.Dir, "rose.nc") {
			return nil, errors.New("another file")
		}
		return variables, nil
	}
	climate, _, err := files.Climate("wind.yaml", 100)
	if rose, ok := climate.(wind.Rose); err != nil || !ok || rose.Frequency[1][0] != 0.75 {
		t.Errorf("%+v, %v", climate, err)
	}
	if included, err := windfile.Includes(files.Dir, "wind.yaml"); err != nil || !slices.Equal(included, []string{"rose.nc"}) {
		t.Errorf("includes %q, %v", included, err)
	}
	variables["shear"] = windfile.Variable{Values: []float64{0.1}}
	if _, _, err := files.Climate("wind.yaml", 100); err == nil || !strings.Contains(err.Error(), "rose.nc: shear: the wind is at another height") {
		t.Errorf("with shear: %v", err)
	}
	delete(variables, "shear")
	variables["probability"] = windfile.Variable{Dims: []string{"x", "wind_direction"}, Shape: []int{1, 2}, Values: []float64{0.25, 0.75}}
	if _, _, err := files.Climate("wind.yaml", 100); err == nil || !strings.Contains(err.Error(), "rose.nc: probability: varies with x") {
		t.Errorf("gridded: %v", err)
	}
}

// TestFileOfAllPartsIsReadOnce takes each part from one file, which is gone after
// the first: a file that is changed meanwhile is not mixed of two.
func TestFileOfAllPartsIsReadOnce(t *testing.T) {
	t.Parallel()
	files := &windfile.Files{Dir: t.TempDir()}
	path := write(t, files.Dir, "system.yaml", "site:\n  name: here\n  boundaries: {polygons: [{x: [0, 9, 9], y: [0, 0, 9]}]}\n  energy_resource:\n    wind_resource: {wind_direction: [0, 180], wind_speed: 9.8, probability: {data: [0.5, 0.5], dims: [wind_direction]}}\n"+
		"wind_farm:\n  layouts: {coordinates: {x: [1], y: [1]}}\n  turbines:\n    "+strings.ReplaceAll(strings.TrimSpace(turbine), "\n", "\n    ")+"\n")
	if _, err := files.Turbine("system.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, errSite := files.Site("system.yaml")
	_, _, errClimate := files.Climate("system.yaml", 70)
	_, errLayout := files.Layout("system.yaml")
	if err := errors.Join(errSite, errClimate, errLayout); err != nil {
		t.Error(err)
	}
}

// TestErrorsSayWhere reads files that are bad in all other ways: each error begins
// with the file, and with the line if the fault has one.
func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	type reading = func(*windfile.Files, string) error
	turbineOf := func(f *windfile.Files, name string) error { _, err := f.Turbine(name); return err }
	climateOf := func(f *windfile.Files, name string) error { _, _, err := f.Climate(name, 100); return err }
	layoutOf := func(f *windfile.Files, name string) error { _, err := f.Layout(name); return err }
	siteOf := func(f *windfile.Files, name string) error { _, err := f.Site(name); return err }
	const (
		floris = "turbine_type: x\nhub_height: 90\nrotor_diameter: 126\npower_thrust_table:\n  wind_speed: [0, 3, 12, 25]\n  power: [0, 100, 5000, 5000]\n  thrust_coefficient: [0, 0.9, 0.8, 0.1]\n"
		table  = "# rotor_diameter_m: 80\n# hub_height_m: 70\n# rated_power_kw: 2000\nwind_speed_ms,power_kw,thrust_coefficient\n3,0,0.8\n12,2000,0.5\n"
		axes   = windOf + "  wind_direction: [0, 180]\n  wind_speed: [8, 10]\n"
		joint  = "  probability: {data: [[0.1, 0.15], [0.3, 0.45]], dims: [wind_direction, wind_speed]}\n"
	)
	in := strings.Replace
	for _, c := range []struct {
		name, text string
		read       reading
		want       string // after the path
	}{
		{"absent.yaml", "", turbineOf, ": no such file or directory"},
		{"absent.csv", "", layoutOf, ": no such file or directory"},
		{"folder.yaml", "", siteOf, ": is a directory"},
		{"folder.csv", "", climateOf, ": is a directory"},
		{"f.yaml", "\n", turbineOf, ": is empty"},
		{"f.yaml", "a: 1\n---\nb: 2\n", turbineOf, ": holds 2 documents: expected one"},
		{"f.yaml", "5\n", turbineOf, ":1: is neither a map of keys and values nor a list of such"},
		{"f.yaml", "a: 1\nb: \xff\n", turbineOf, ":2: is not text in UTF-8"},
		{"f.csv", "x,y\n1,\xff\n", layoutOf, ":2: is not text in UTF-8"},
		{"f.yaml", "a: 1\nb: !include f.yaml\n", turbineOf, ":2: !include f.yaml: the file includes itself"},
		{"f.yaml", "a:\n\tb: 1\n", turbineOf, ":2: found character"},

		{"f.yaml", in(floris, "90", "-90", 1), turbineOf, ":2: hub_height: expected a number above 0"},
		{"f.yaml", in(floris, "126", "", 1), turbineOf, ": rotor_diameter is missing"},
		{"f.yaml", in(floris, "rotor_diameter: 126\n", "", 1), turbineOf, ": rotor_diameter is missing"},
		{"f.yaml", in(floris, "126", "wide", 1), turbineOf, `:3: "wide": expected a number`},
		{"f.yaml", in(floris, "e: x", "e: [1]", 1), turbineOf, `:1: "[": expected text`},
		{"f.yaml", in(floris, "5000, 5000", "5000", 1), turbineOf, ":6: power table has 4 speeds and 3 powers"},
		{"f.yaml", in(floris, "[0, 100, 5000, 5000]", "[0, 0, 0, 0]", 1), turbineOf, ":6: turbine \"x\": rotor diameter"},
		{"f.yaml", in(turbine, "two megawatts", "[1]", 1), turbineOf, ":1: name: expected text"},
		{"f.yaml", in(turbine, "  power_curve", "  rated_power: -5\n  x", 1), turbineOf, ":5: rated_power: expected a number above 0"},
		{"f.csv", in(table, "70", "-70", 1), turbineOf, ":2: hub_height_m: -70: expected a number above 0"},
		{"f.csv", in(table, "12,2000,0.5\n", "", 1), turbineOf, ":4: power table has fewer than 2 points"},
		{"f.csv", in(table, "12,2000", "12", 1), turbineOf, ":6: has 2 fields: expected 3, as the header in line 4"},

		{"f.yaml", in(axes, "[0, 180]", "[180, 0]", 1) + joint, climateOf, ":2: wind_direction: 0 does not rise above 180"},
		{"f.yaml", in(axes, "[0, 180]", "\n  - 0\n  - 400", 1) + joint, climateOf, ":4: wind_direction: is 400: expected 0 to 360"},
		{"f.yaml", in(axes, "[0, 180]", "{data: [0, 180], dims: 5}", 1) + joint, climateOf, ":2: wind_direction: dims: expected a list of names"},
		{"f.yaml", axes + "  probability:\n    data:\n    - [0.1, 0.2]\n    - [0.3, -0.4]\n    dims: [wind_direction, wind_speed]\n", climateOf, ":7: probability: has the value -0.4"},
		{"f.yaml", axes + joint + "  turbulence_intensity:\n    data:\n    - 0.1\n    - 10\n    dims: [wind_direction]\n", climateOf, ":8: turbulence_intensity: is 10: expected 0 to 1"},
		{"f.yaml", windOf + "  time:\n  - 2023-07-25T00:00:00Z\n  - noon\n  wind_speed: [1, 2]\n  wind_direction: [1, 2]\n", climateOf, `:4: time: "noon": expected a time`},
		{"f.yaml", windOf + "  time:\n  - 0\n  - 1\n  - 5\n  wind_speed: [1, 2, 3]\n  wind_direction: [1, 2, 3]\n", climateOf, ":5: time: value 3 comes after another span"},
		{"f.yaml", "wind_resource: [1, 2]\n", climateOf, ":1: is no wind resource: expected a map of variables"},
		{"f.tab", "Somewhere\n55.7 12.1 110.0\n", climateOf, ":2: ends before the number of sectors"},
		{"f.csv", "wd,ws,freq_val\n", climateOf, ":1: has no rows below the header"},

		{"f.yaml", "boundaries:\n  polygons: {x: [0, 9, 9], y: [0, 0, 9]}\n", siteOf, ":2: polygons: expected a list of one polygon"},
		{"f.yaml", "boundaries:\n  circle: {radius: 5, center: {x: a, y: 1}}\n", siteOf, ":2: x: expected a number"},
		{"f.yaml", "layouts:\n- coordinates:\n    x: [1]\n    y: [a]\n", layoutOf, ":4: y: expected a number"},
	} {
		files := &windfile.Files{Dir: t.TempDir()}
		if err := errors.Join(os.Mkdir(filepath.Join(files.Dir, "folder.yaml"), 0o700), os.Mkdir(filepath.Join(files.Dir, "folder.csv"), 0o700)); err != nil {
			t.Fatal(err)
		}
		if c.text != "" {
			write(t, files.Dir, c.name, c.text)
		}
		if err := c.read(files, c.name); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(files.Dir, c.name)+c.want) {
			t.Errorf("%q gave %v\nwant %s", c.text, err, c.want)
		}
	}
}

// TestLargeFileIsRefused, and not read up to where it fits.
func TestLargeFileIsRefused(t *testing.T) {
	t.Parallel()
	files := &windfile.Files{Dir: t.TempDir()}
	path := write(t, files.Dir, "f.csv", "x,y\n1,2\n")
	if err := os.Truncate(path, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Layout("f.csv"); err == nil || !strings.HasSuffix(err.Error(), "f.csv: is larger than 64 MiB") {
		t.Error(err)
	}
}

// FuzzWindIO asserts that a file is refused or gives what can be computed.
func FuzzWindIO(f *testing.F) {
	f.Add(turbine)
	f.Add(windOf + "  wind_direction: [0, 180]\n  wind_speed: 9.8\n  probability: {data: [0.5, 0.5], dims: [wind_direction]}\n")
	f.Add("boundaries: {polygons: [{x: [0, 9, 9], y: [0, 0, 9]}]}\nlayouts: {coordinates: {x: [1], y: [1]}}\n")
	f.Add(windOf + "  time: [0, 1]\n  wind_speed: [1, 2]\n  wind_direction: [1, 2]\n")
	f.Fuzz(func(t *testing.T, text string) {
		files := &windfile.Files{Dir: t.TempDir()}
		write(t, files.Dir, "f.yaml", text)
		if turbine, err := files.Turbine("f.yaml"); err == nil && turbine.Validate() != nil {
			t.Errorf("%q is a turbine that %v", text, turbine.Validate())
		}
		if site, err := files.Site("f.yaml"); err == nil && site.Boundary.Validate() != nil {
			t.Errorf("%q is a site that %v", text, site.Boundary.Validate())
		}
		if layout, err := files.Layout("f.yaml"); err == nil && len(layout) == 0 {
			t.Errorf("%q is a layout without turbines", text)
		}
		climate, _, err := files.Climate("f.yaml", 100)
		if err != nil {
			return
		}
		if rose, ok := climate.(wind.Rose); ok && rose.Validate() != nil {
			t.Errorf("%q is a rose that %v", text, rose.Validate())
		}
	})
}
