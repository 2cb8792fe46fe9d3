package wind_test

import (
	"math"
	"strings"
	"testing"

	"windrow/internal/wind"
)

func TestWeibullRoseSums(t *testing.T) {
	t.Parallel()
	sectors := wind.TenderWind()
	total := 0.0
	for _, s := range sectors {
		total += s.Frequency
	}
	checkClose(t, "sum of the sectors", total, 1, 1e-9)

	all, err := sectors.Rose(360, wind.Speeds(0, 80))
	if err != nil {
		t.Fatal(err)
	}
	checkClose(t, "sum over all speeds", all.Sum(), 1, 1e-9)

	// What is left out lies below 2.5 and above 25.5 m/s, by the same CDF.
	want := 0.0
	for _, s := range sectors {
		want += s.Frequency * (math.Exp(-math.Pow(2.5/s.Scale, s.Shape)) - math.Exp(-math.Pow(25.5/s.Scale, s.Shape)))
	}
	checkClose(t, "sum over 3..25 m/s", newTenderRose(t).Sum(), want, 1e-12)
}

func TestWeibullRoseTakesNearestSector(t *testing.T) {
	t.Parallel()
	// Sectors that differ in frequency only: a row's sum tells its sector.
	sectors := make(wind.WeibullSectors, 12)
	for i := range sectors {
		sectors[i] = wind.WeibullSector{Scale: 10, Shape: 2, Frequency: float64(i+1) / 78}
	}
	rose, err := sectors.Rose(720, wind.Speeds(0, 80))
	if err != nil {
		t.Fatal(err)
	}
	for direction, sector := range map[float64]int{
		0: 0, 14.5: 0, 15: 0, 15.5: 1, 30: 1, 45: 1, 45.5: 2, 165: 5, 165.5: 6, 315: 10, 344.5: 11, 345: 11, 345.5: 0, 359.5: 0,
	} {
		row := rose.Frequency[int(2*direction)]
		checkClose(t, "frequency at a direction", sumOf(row), sectors[sector].Frequency/60, 1e-9)
	}
}

func TestWeibullRoseOfTwoDirections(t *testing.T) {
	t.Parallel()
	rose, err := wind.WeibullSectors{{Scale: 10, Shape: 2, Frequency: 1}}.Rose(2, []float64{10})
	if err != nil {
		t.Fatal(err)
	}
	want := (math.Exp(-0.95*0.95) - math.Exp(-1.05*1.05)) / 2
	checkClose(t, "frequency from 180 degrees", rose.Frequency[1][0], want, 1e-12)
	if rose.Directions[1] != 180 {
		t.Errorf("directions are %v", rose.Directions)
	}
}

func TestRoseRefuses(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for _, test := range []struct {
		rose wind.Rose
		want string
	}{
		{wind.Rose{}, "no directions or no speeds"},
		{wind.Rose{Directions: []float64{0}}, "no directions or no speeds"},
		{wind.Rose{Directions: []float64{90, 0}, Speeds: []float64{8}}, "direction 0 does not rise above 90"},
		{wind.Rose{Directions: []float64{0, 360}, Speeds: []float64{8}}, "direction 360 is not below 360"},
		{wind.Rose{Directions: []float64{-10}, Speeds: []float64{8}}, "direction -10 is negative"},
		{wind.Rose{Directions: []float64{0}, Speeds: []float64{8, 8}}, "speed 8 does not rise above 8"},
		{wind.Rose{Directions: []float64{0}, Speeds: []float64{8}}, "1 directions and frequencies for 0"},
		{wind.Rose{Directions: []float64{0}, Speeds: []float64{8}, Frequency: [][]float64{{1, 2}}}, "1 speeds and, from 0 degrees, 2 frequencies"},
		{wind.Rose{Directions: []float64{0}, Speeds: []float64{8}, Frequency: [][]float64{{-1}}}, "from 0 degrees at 8 m/s is -1"},
		{wind.Rose{Directions: []float64{0}, Speeds: []float64{8}, Frequency: [][]float64{{nan}}}, "from 0 degrees at 8 m/s is NaN"},
		{wind.Rose{Directions: []float64{0, 1}, Speeds: []float64{8}, Frequency: [][]float64{{.6}, {.5}}}, "sum to 1.1"},
	} {
		if err := test.rose.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v gave %v, want %q", test.rose, err, test.want)
		}
	}
}

func TestWeibullRoseRefuses(t *testing.T) {
	t.Parallel()
	good := wind.WeibullSector{Scale: 10, Shape: 2, Frequency: 1}
	for _, test := range []struct {
		sectors    wind.WeibullSectors
		directions int
		speeds     []float64
		want       string
	}{
		{nil, 360, wind.Speeds(3, 25), "0 sectors"},
		{wind.WeibullSectors{good}, 0, wind.Speeds(3, 25), "0 directions"},
		{wind.WeibullSectors{good}, 360, nil, "no speeds"},
		{wind.WeibullSectors{{Scale: math.NaN(), Shape: 2, Frequency: 1}}, 4, wind.Speeds(3, 25), "is NaN"},
		{wind.WeibullSectors{{Scale: 10, Shape: 2, Frequency: -1}}, 4, wind.Speeds(3, 25), "is -"},
		{wind.WeibullSectors{{Scale: 10, Shape: 2, Frequency: 2}}, 4, wind.Speeds(3, 25), "sum to"},
	} {
		if _, err := test.sectors.Rose(test.directions, test.speeds); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v at %d directions gave %v, want %q", test.sectors, test.directions, err, test.want)
		}
	}
}
