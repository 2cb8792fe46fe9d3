package wind

import (
	"errors"
	"fmt"
	"math"
)

// Rose is a wind climate: how often the wind blows from each of some directions
// at each of some speeds.
type Rose struct {
	Directions []float64   // degrees in [0, 360), rising; where the wind comes from, clockwise from north
	Speeds     []float64   // m/s, rising
	Frequency  [][]float64 // share of the year, by direction and speed
}

// Validate reports what is wrong with the axes or the frequencies. These may
// sum to less than 1, which leaves the rest of the year without production, but
// not to more.
func (r Rose) Validate() error {
	if len(r.Directions) == 0 || len(r.Speeds) == 0 {
		return errors.New("rose has no directions or no speeds")
	}
	if err := checkAxis("rose: direction", r.Directions); err != nil {
		return err
	}
	if last := r.Directions[len(r.Directions)-1]; last >= 360 {
		return fmt.Errorf("rose: direction %g is not below 360", last)
	}
	if err := checkAxis("rose: speed", r.Speeds); err != nil {
		return err
	}
	return r.checkFrequency()
}

func (r Rose) checkFrequency() error {
	if len(r.Frequency) != len(r.Directions) {
		return fmt.Errorf("rose has %d directions and frequencies for %d", len(r.Directions), len(r.Frequency))
	}
	for d, row := range r.Frequency {
		if len(row) != len(r.Speeds) {
			return fmt.Errorf("rose has %d speeds and, from %g degrees, %d frequencies", len(r.Speeds), r.Directions[d], len(row))
		}
		for i, f := range row {
			if !(f >= 0) {
				return fmt.Errorf("rose: frequency from %g degrees at %g m/s is %g", r.Directions[d], r.Speeds[i], f)
			}
		}
	}
	if total := r.Sum(); total > 1+1e-9 {
		return fmt.Errorf("rose: frequencies sum to %g", total)
	}
	return nil
}

// Sum returns the share of the year that the rose covers.
func (r Rose) Sum() float64 {
	total := 0.0
	for _, row := range r.Frequency {
		total += sum(row)
	}
	return total
}

// WeibullSectors is a wind climate as a Weibull distribution of the wind speed
// in each of equally wide sectors, the first one centred on north, the others
// clockwise.
type WeibullSectors []WeibullSector

// WeibullSector is the wind from one sector.
type WeibullSector struct {
	Scale     float64 // m/s, called A
	Shape     float64 // called k
	Frequency float64 // share of the year
}

// Rose returns the climate at the given number of directions, equally spaced
// from north, and at the given speeds, each standing for the 1 m/s around it.
//
// A direction takes the distribution of the nearest sector, the lower one where
// it lies exactly between two, and its share of that sector's frequency: all
// directions of a sector have the same. Nothing is scaled to sum to 1: what lies outside the speeds stays out.
func (w WeibullSectors) Rose(directions int, speeds []float64) (Rose, error) {
	if directions < 1 || len(w) == 0 {
		return Rose{}, fmt.Errorf("make rose of %d directions from %d sectors: there must be at least one", directions, len(w))
	}
	shares, err := sharesOf(directions, len(w))
	if err != nil {
		return Rose{}, err
	}
	rose := Rose{Speeds: speeds}
	for d := range directions {
		at := nearestSector(d, directions, len(w))
		sector, row := w[at], make([]float64, len(speeds))
		for i, speed := range speeds {
			row[i] = sector.Frequency * shares[at] * (sector.below(speed+0.5) - sector.below(speed-0.5))
		}
		rose.Directions = append(rose.Directions, float64(d)*360/float64(directions))
		rose.Frequency = append(rose.Frequency, row)
	}
	if err := rose.Validate(); err != nil {
		return Rose{}, fmt.Errorf("make rose from %d sectors: %w", len(w), err)
	}
	return rose, nil
}

// sharesOf returns the share of its sector that each direction of a sector has.
func sharesOf(directions, sectors int) ([]float64, error) {
	if directions < sectors {
		return nil, fmt.Errorf("%d directions: expected as many as the wind has sectors, %d, or more", directions, sectors)
	}
	counts, shares := make([]int, sectors), make([]float64, sectors)
	for d := range directions {
		counts[nearestSector(d, directions, sectors)]++
	}
	for i, n := range counts {
		shares[i] = 1 / float64(n)
	}
	return shares, nil
}

// nearestSector counts in whole numbers, so that a half is exactly a half: it
// returns d*sectors/directions rounded to nearest, halves down.
func nearestSector(d, directions, sectors int) int {
	return (2*d*sectors + directions - 1) / (2 * directions) % sectors
}

// below returns the probability of a wind speed below the given one.
func (s WeibullSector) below(speed float64) float64 {
	if speed <= 0 {
		return 0
	}
	return 1 - exp(-pow(speed/s.Scale, s.Shape))
}

// Speeds returns the whole wind speeds from first to last, in m/s.
func Speeds(first, last int) []float64 {
	var speeds []float64
	for speed := first; speed <= last; speed++ {
		speeds = append(speeds, float64(speed))
	}
	return speeds
}

// checkAxis refuses values that are negative, not finite or not above the one
// before.
func checkAxis(what string, values []float64) error {
	for i, v := range values {
		if !(v >= 0) || math.IsInf(v, 0) {
			return &PointError{Axis, i, fmt.Errorf("%s %g is negative or not finite", what, v)}
		}
		if i > 0 && v-values[i-1] < smallestStep {
			return &PointError{Axis, i, fmt.Errorf("%s %g does not rise above %g", what, v, values[i-1])}
		}
	}
	return nil
}
