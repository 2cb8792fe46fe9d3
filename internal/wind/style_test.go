package wind_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"windrow/internal/wind"
)

const rotor = 130 // m

func drawLayout(tb testing.TB, style wind.Style, fixed wind.StyleParameters, spacing float64, seed uint64) wind.Drawn {
	tb.Helper()
	d, err := style.Draw(rotor, spacing, fixed, seed)
	if err != nil {
		tb.Fatalf("%s, %+v, seed %d: %v", style, fixed, seed, err)
	}
	return d
}

// TestStylesAreThoseOfPLayGen compares the distributions of what makes a layout
// with those of PLayGen's layouts: the middle half within 5 %, the ends within
// 10 %.
func TestStylesAreThoseOfPLayGen(t *testing.T) {
	t.Parallel()
	reference := readPLayGen(t)
	const draws = 6000
	for _, style := range []wind.Style{wind.Cluster, wind.SingleString, wind.MultipleString, wind.ParallelString} {
		t.Run(string(style), func(t *testing.T) {
			t.Parallel()
			values := map[string][]float64{}
			for seed := range uint64(draws) {
				layout := drawLayout(t, style, wind.StyleParameters{}, 0, seed).Layout
				for name, v := range describe(layout) {
					values[name] = append(values[name], v)
				}
			}
			for name, want := range reference.styles[style] {
				slices.Sort(values[name])
				for i, percent := range reference.percentiles {
					tolerance := 0.05
					switch percent {
					case 0, 100:
						continue // of 600 layouts; ours are more
					case 5, 95:
						tolerance = 0.1
					}
					got := values[name][int(percent/100*(draws-1))]
					checkClose(t, fmt.Sprintf("p%g of %s", percent, name), got, want[i], tolerance)
				}
			}
		})
	}
}

type playgen struct {
	percentiles []float64
	styles      map[wind.Style]map[string][]float64
}

func readPLayGen(t *testing.T) playgen {
	t.Helper()
	text, err := os.ReadFile("testdata/playgen.json")
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	p := playgen{styles: map[wind.Style]map[string][]float64{}}
	for name, field := range fields {
		switch style := wind.Style(name); {
		case name == "percentiles":
			err = json.Unmarshal(field, &p.percentiles)
		case slices.Contains(wind.Styles(), style):
			values := map[string][]float64{}
			err = json.Unmarshal(field, &values)
			p.styles[style] = values
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(p.styles) != 4 {
		t.Fatalf("there are figures of %d styles", len(p.styles))
	}
	return p
}

// describe returns the measures of the reference: lengths in rotor diameters,
// and the ratio of the singular values of the centred positions.
func describe(layout []wind.Point) map[string]float64 {
	n := float64(len(layout))
	nearest := make([]float64, len(layout))
	xx, xy, yy, radius := 0.0, 0.0, 0.0, 0.0
	for i, p := range layout {
		nearest[i] = math.Inf(1)
		for j, q := range layout {
			if i != j {
				nearest[i] = min(nearest[i], math.Hypot(p.X-q.X, p.Y-q.Y)/rotor)
			}
		}
		xx, xy, yy = xx+p.X*p.X, xy+p.X*p.Y, yy+p.Y*p.Y
		radius = max(radius, math.Hypot(p.X, p.Y)/rotor)
	}
	slices.Sort(nearest)
	middle := (nearest[(len(nearest)-1)/2] + nearest[len(nearest)/2]) / 2
	half, root := (xx+yy)/2, math.Sqrt((xx-yy)*(xx-yy)/4+xy*xy)
	return map[string]float64{
		"n_turbines": n, "min_nn_D": nearest[0], "median_nn_D": middle, "max_radius_D": radius,
		"aspect_sv_ratio": math.Sqrt(max(0, half-root) / (half + root)),
	}
}

// TestEveryNumberOfTurbinesHasALayout is for what PLayGen itself cannot do:
// farms of few turbines.
func TestEveryNumberOfTurbinesHasALayout(t *testing.T) {
	t.Parallel()
	for _, style := range wind.Styles() {
		for n := 1; n <= 60; n++ {
			for seed := range uint64(10) {
				drawn := drawLayout(t, style, wind.StyleParameters{Turbines: n, Spacing: 5}, 4*rotor, seed)
				if len(drawn.Layout) != n {
					t.Fatalf("%s: %d turbines, want %d", style, len(drawn.Layout), n)
				}
				if d := wind.ClosestPair(drawn.Layout); d < 4*rotor {
					t.Errorf("%s of %d: two turbines are %g m apart", style, n, d)
				}
			}
		}
	}
}

func TestStyleKeepsTheMinimumSpacing(t *testing.T) {
	t.Parallel()
	for _, style := range wind.Styles() {
		for seed := range uint64(200) {
			drawn := drawLayout(t, style, wind.StyleParameters{}, 3*rotor, seed)
			if d := wind.ClosestPair(drawn.Layout); d < 3*rotor*(1-1e-9) {
				t.Errorf("%s, seed %d: two turbines are %g m apart", style, seed, d)
			}
		}
	}
}

func TestWhatAStyleSaysOfItsLayout(t *testing.T) {
	t.Parallel()
	drawn := drawLayout(t, wind.SingleString, wind.StyleParameters{Turbines: 40, Spacing: 4}, 0, 5)
	first, last := drawn.Layout[0], drawn.Layout[39]
	if got := math.Mod(math.Atan2(last.X-first.X, last.Y-first.Y)*180/math.Pi+360, 360); math.Abs(got-drawn.Angle) > 3 {
		t.Errorf("the string runs towards %.1f degrees, and says %.1f", got, drawn.Angle)
	}
	if reach := math.Hypot(last.X-first.X, last.Y-first.Y) / rotor; math.Abs(reach-0.96*4*float64(40+drawn.Breaks)) > 1 {
		t.Errorf("the string with %d empty places is %.1fD long", drawn.Breaks, reach)
	}
	if drawn.Strings != 1 || drawn.Spacing != 4 || drawn.Noise < 0.25 || drawn.Noise > 0.5 {
		t.Errorf("it says %+v", drawn)
	}
	if drawn := drawLayout(t, wind.Cluster, wind.StyleParameters{}, 0, 5); drawn.Strings != 0 || !math.IsNaN(drawn.Angle) || !math.IsNaN(drawn.Noise) {
		t.Errorf("a cluster says %d strings, angle %g, noise %g", drawn.Strings, drawn.Angle, drawn.Noise)
	}
}

func TestGridAndRings(t *testing.T) {
	t.Parallel()
	for _, style := range []wind.Style{wind.GridStyle, wind.Rings} {
		drawn := drawLayout(t, style, wind.StyleParameters{Turbines: 37, Spacing: 6}, 6*rotor, 3)
		checkClose(t, string(style)+": least distance", wind.ClosestPair(drawn.Layout), 6*rotor, 1e-9)
	}
	// One turbine and circles of 6, 12 and 18: a disc of three spacings.
	if radius := describe(drawLayout(t, wind.Rings, wind.StyleParameters{Turbines: 37, Spacing: 6}, 0, 3).Layout)["max_radius_D"]; math.Abs(radius-18) > 1e-9 {
		t.Errorf("37 turbines in rings reach %g D", radius)
	}
}

func TestStyleDependsOnSeedOnly(t *testing.T) {
	t.Parallel()
	for _, style := range wind.Styles() {
		first := drawLayout(t, style, wind.StyleParameters{}, 0, 7).Layout
		if !slices.Equal(drawLayout(t, style, wind.StyleParameters{}, 0, 7).Layout, first) {
			t.Errorf("%s: the same seed made another layout", style)
		}
		if slices.Equal(drawLayout(t, style, wind.StyleParameters{}, 0, 8).Layout, first) {
			t.Errorf("%s: another seed made the same layout", style)
		}
	}
}

func TestStyleThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, draw := range map[string]func() error{
		"layout style cluster: turbines 3D apart cannot be 4D apart at least": func() error {
			_, err := wind.Cluster.Draw(rotor, 4*rotor, wind.StyleParameters{Spacing: 3}, 1)
			return err
		},
		"layout style single_string: none of 100 layouts kept 8D between all turbines": func() error {
			_, err := wind.SingleString.Draw(rotor, 8*rotor, wind.StyleParameters{}, 1)
			return err
		},
		`there is no layout style "spiral"`: func() error {
			_, err := wind.Style("spiral").Draw(rotor, 0, wind.StyleParameters{}, 1)
			return err
		},
		"layout style grid: 1001 turbines of 130 m, 0D apart, at least 0 m, make no layout": func() error {
			_, err := wind.GridStyle.Draw(rotor, 0, wind.StyleParameters{Turbines: 1001}, 1)
			return err
		},
	} {
		if err := draw(); err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, errors.New(want))
		}
	}
}
