package wind

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// The columns by which a file of a wind resource is known.
const (
	sectorColumns = "sector_deg,weibull_a_ms,weibull_k,frequency"
	tableColumns  = "wd,ws,freq_val"
	seriesColumns = "wind_direction_deg,wind_speed_ms"
)

const leastCovered = 0.5 // of the year: a table that says less is in some other unit

// ReadClimate reads a wind climate from CSV. The header tells which of three
// kinds it is: Weibull sectors, in shares of the year that sum to 1, from north
// clockwise; a joint table of frequencies, complete and sorted, as FLORIS has it;
// or a time series of equal spans. Errors name the line.
func ReadClimate(name string, r io.Reader) (Climate, error) {
	t, err := readColumns(name, r)
	if err != nil {
		return nil, err
	}
	switch {
	case t.values["weibull_k"] != nil:
		return t.sectors()
	case t.values["freq_val"] != nil:
		return t.rose()
	case t.values["wind_speed_ms"] != nil:
		return t.series()
	default:
		return nil, fmt.Errorf("%s:%d: expected the columns %s (Weibull sectors), %s (joint table), or %s (time series)",
			name, t.header, sectorColumns, tableColumns, seriesColumns)
	}
}

func (t columns) sectors() (Climate, error) {
	values, err := t.needPositive("sector_deg", "weibull_a_ms", "weibull_k", "frequency")
	if err != nil {
		return nil, err
	}
	var sectors WeibullSectors
	for i, line := range t.lines {
		if want := float64(i) * 360 / float64(len(t.lines)); math.Abs(values[0][i]-want) > 1e-6 {
			return nil, fmt.Errorf("%s:%d: sector_deg is %g: expected %g, as the %d sectors go round from north",
				t.name, line, values[0][i], want, len(t.lines))
		}
		s := WeibullSector{Scale: values[1][i], Shape: values[2][i], Frequency: values[3][i]}
		if s.Scale == 0 || s.Shape == 0 {
			return nil, fmt.Errorf("%s:%d: weibull_a_ms and weibull_k must be positive", t.name, line)
		}
		sectors = append(sectors, s)
	}
	if total := sum(values[3]); math.Abs(total-1) > 1e-3 {
		return nil, fmt.Errorf("%s:%d: frequency sums to %g over the sectors: expected 1", t.name, t.header, total)
	}
	return sectors, nil
}

func (t columns) rose() (Climate, error) {
	values, err := t.needPositive("wd", "ws", "freq_val")
	if err != nil {
		return nil, err
	}
	directions, speeds := distinct(values[0]), distinct(values[1])
	rose := Rose{Directions: directions, Speeds: speeds, Frequency: make([][]float64, len(directions))}
	for d := range rose.Frequency {
		rose.Frequency[d] = make([]float64, len(speeds))
	}
	bySpeed := len(t.lines) > 1 && values[1][0] == values[1][1] && len(directions) > 1 // the speed varies slowest
	for i, line := range t.lines {
		want := [2]int{i / len(speeds), i % len(speeds)}
		if bySpeed {
			want = [2]int{i % len(directions), i / len(directions)}
		}
		if want[0] >= len(directions) || want[1] >= len(speeds) || values[0][i] != directions[want[0]] || values[1][i] != speeds[want[1]] {
			return nil, fmt.Errorf("%s:%d: wd %g, ws %g is out of order, twice, or after a gap: expected every speed for every direction, sorted",
				t.name, line, values[0][i], values[1][i])
		}
		rose.Frequency[want[0]][want[1]] = values[2][i]
	}
	if len(t.lines) != len(directions)*len(speeds) {
		return nil, fmt.Errorf("%s:%d: the table ends early: it has %d rows, %d directions times %d speeds are %d",
			t.name, t.lines[len(t.lines)-1], len(t.lines), len(directions), len(speeds), len(directions)*len(speeds))
	}
	return rose, t.checkRose(rose)
}

// checkRose refuses gaps between directions or speeds, and sums that are no
// shares of a year.
func (t columns) checkRose(rose Rose) error {
	n := float64(len(rose.Directions))
	for d, degrees := range rose.Directions {
		if degrees >= 360 {
			return fmt.Errorf("%s:%d: wd is %g: expected less than 360", t.name, t.lineOf("wd", degrees), degrees)
		}
		if d > 0 && math.Abs(degrees-rose.Directions[d-1]-360/n) > 1e-3 {
			return fmt.Errorf("%s:%d: there is a gap between wd %g and %g: %g directions are %g degrees apart",
				t.name, t.lineOf("wd", degrees), rose.Directions[d-1], degrees, n, 360/n)
		}
	}
	for s := 2; s < len(rose.Speeds); s++ {
		if step := rose.Speeds[1] - rose.Speeds[0]; math.Abs(rose.Speeds[s]-rose.Speeds[s-1]-step) > 1e-3*step {
			return fmt.Errorf("%s:%d: there is a gap between ws %g and %g: the others are %g m/s apart",
				t.name, t.lineOf("ws", rose.Speeds[s]), rose.Speeds[s-1], rose.Speeds[s], step)
		}
	}
	if total := rose.Sum(); total < leastCovered || total > 1+1e-9 {
		return fmt.Errorf("%s:%d: freq_val sums to %g: expected a share of the year, from %g to 1", t.name, t.header, total, leastCovered)
	}
	return nil
}

// lineOf returns the first line that has the value in the column.
func (t columns) lineOf(column string, value float64) int {
	return t.lines[slices.Index(t.values[column], value)]
}

func distinct(values []float64) []float64 {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func (t columns) series() (Climate, error) {
	values, err := t.needPositive("wind_direction_deg", "wind_speed_ms")
	if err != nil {
		return nil, err
	}
	for i, line := range t.lines {
		if values[0][i] >= 360 {
			return nil, fmt.Errorf("%s:%d: wind_direction_deg is %g: expected less than 360", t.name, line, values[0][i])
		}
	}
	return Series{Directions: values[0], Speeds: values[1]}, nil
}

// ReadLayout reads the positions of turbines in m from CSV with the columns x
// and y, or x_m and y_m.
func ReadLayout(name string, r io.Reader) ([]Point, error) {
	t, err := readColumns(name, r)
	if err != nil {
		return nil, err
	}
	values, err := t.need("x_m", "y_m")
	if err != nil {
		if values, err = t.need("x", "y"); err != nil {
			return nil, errors.New(err.Error() + " or x_m,y_m")
		}
	}
	layout := make([]Point, len(t.lines))
	for i := range layout {
		layout[i] = Point{values[0][i], values[1][i]}
	}
	return layout, nil
}
