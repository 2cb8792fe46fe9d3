package wind_test

import (
	"math"
	"strings"
	"testing"

	"windrow/internal/wind"
)

// tab is a climate of four sectors; one has no wind, and sums are rounded.
const tab = `Somewhere
55.7 12.1 70.0
4 1.0 0.0
 30.0 20.0 0.0 50.1
 4.0 250 500 0 100
 8.0 500 400 0 300
16.0 251 100 0 600
`

func TestReadTab(t *testing.T) {
	t.Parallel()
	climate, err := wind.ReadTab("w.tab", strings.NewReader(tab))
	if err != nil {
		t.Fatal(err)
	}
	resource, err := climate.Resource(wind.Sampling{Directions: 8})
	if err != nil {
		t.Fatal(err)
	}
	rose, ok := resource.(wind.Rose)
	if !ok {
		t.Fatalf("it is a %T", resource)
	}
	checkClose(t, "sum", rose.Sum(), 1, 1e-12)
	for i, want := range []float64{2, 6, 12} {
		checkClose(t, "speed", rose.Speeds[i], want, 1e-15)
	}
	// North and the exact half beyond it have half of the first sector each.
	for _, d := range []int{0, 1} {
		checkClose(t, "4 to 8 m/s from the first sector", rose.Frequency[d][1], 0.3/1.001*500/1001/2, 1e-12)
	}
	if f := rose.Frequency[4][1]; f != 0 {
		t.Errorf("a sector without wind has %g", f)
	}
}

func TestReadTabRefuses(t *testing.T) {
	t.Parallel()
	for change, want := range map[[2]string]string{
		{tab, ""}:                                "w.tab:1: ends before latitude",
		{"70.0\n", "70.0 3\n"}:                   "w.tab:2: has 4 numbers: expected 3, latitude, longitude and height",
		{"4 1.0 0.0", "4.5 1.0 0.0"}:             "w.tab:3: 4.5 sectors",
		{"4 1.0 0.0", "4 0 0"}:                   "w.tab:3: 4 sectors, speeds times 0",
		{"4 1.0 0.0", "4 1.0 15"}:                "w.tab:3: directions have an offset of 15 degrees",
		{"50.1", "5"}:                            "w.tab:4: the frequencies of the sectors in percent sum to 55",
		{"30.0 20.0", "-30.0 80.0"}:              "w.tab:4: frequency -30 of sector 1",
		{" 8.0 500", " 8.0"}:                     "w.tab:6: has 4 numbers: expected 5",
		{" 8.0 500", " 3.0 500"}:                 "w.tab:6: the class up to 3 m/s does not rise above 4 m/s",
		{"16.0 251", "16.0 25"}:                  "w.tab:7: the frequencies of sector 1 sum to 775 per mille",
		{"16.0 251 100", "16.0 351 x"}:           `w.tab:7: "x" is not a number`,
		{tab[strings.Index(tab, " 4.0 2"):], ""}: "w.tab:4: has no classes of speeds",
	} {
		_, err := wind.ReadTab("w.tab", strings.NewReader(strings.Replace(tab, change[0], change[1], 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q for %q gave %v, want %q", change[1], change[0], err, want)
		}
	}
}

// FuzzReadTab asserts that a file is refused or is a climate of one year.
func FuzzReadTab(f *testing.F) {
	f.Add(tab)
	f.Fuzz(func(t *testing.T, text string) {
		climate, err := wind.ReadTab("w.tab", strings.NewReader(text))
		if err != nil {
			return
		}
		resource, err := climate.Resource(wind.Sampling{Directions: 36})
		if err != nil {
			t.Fatal(err)
		}
		if rose, ok := resource.(wind.Rose); !ok || math.Abs(rose.Sum()-1) > 1e-9 {
			t.Errorf("%q sums to %g", text, rose.Sum())
		}
	})
}

// TestSectorsAtAnyNumberOfDirections spreads sectors over directions that are no
// multiple of them: the year stays whole.
func TestSectorsAtAnyNumberOfDirections(t *testing.T) {
	t.Parallel()
	table, err := wind.ReadTab("w.tab", strings.NewReader(tab))
	if err != nil {
		t.Fatal(err)
	}
	weibull := wind.WeibullSectors{{Scale: 9, Shape: 2, Frequency: 0.7}, {Scale: 9, Shape: 2, Frequency: 0.1}, {Scale: 9, Shape: 2, Frequency: 0.1}, {Scale: 9, Shape: 2, Frequency: 0.1}}
	for _, directions := range []int{4, 5, 6, 7, 36, 37, 360} {
		for name, climate := range map[string]wind.Climate{"table": table, "Weibull": weibull} {
			resource, err := climate.Resource(wind.Sampling{Directions: directions, Speeds: wind.Speeds(1, 60)})
			if err != nil {
				t.Fatal(err)
			}
			rose, ok := resource.(wind.Rose)
			if want := map[string]float64{"table": 1, "Weibull": math.Exp(-0.25 / 81)}[name]; !ok || math.Abs(rose.Sum()-want) > 1e-9 {
				t.Errorf("%s at %d directions sums to %g, want %g", name, directions, rose.Sum(), want)
			}
		}
	}
	for name, climate := range map[string]wind.Climate{"table": table, "Weibull": weibull} {
		_, err := climate.Resource(wind.Sampling{Directions: 3, Speeds: wind.Speeds(1, 30)})
		if err == nil || !strings.Contains(err.Error(), "3 directions: expected as many as the wind has sectors, 4, or more") {
			t.Errorf("%s at 3 directions: %v", name, err)
		}
	}
}
