package wind

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Resource is a wind climate: a [Rose] or a [Series].
type Resource interface {
	climate() (climate, error)
}

// climate is the wind by direction, in rising order.
type climate []windFrom

// windFrom is the wind from one direction.
type windFrom struct {
	degrees   float64
	speeds    []float64 // m/s
	frequency []float64 // share of the year
}

func (c climate) renormalised() climate {
	total := 0.0
	for _, d := range c {
		total += sum(d.frequency)
	}
	scaled := slices.Clone(c)
	for i, d := range c {
		scaled[i].frequency = make([]float64, len(d.frequency))
		for k, f := range d.frequency {
			scaled[i].frequency[k] = f / total
		}
	}
	return scaled
}

func (r Rose) climate() (climate, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	var c climate
	for d, degrees := range r.Directions {
		c = append(c, windFrom{degrees, r.Speeds, r.Frequency[d]})
	}
	return c, nil
}

// Series is a wind climate as it was measured: a direction and a speed for each
// of equal spans of time, which together stand for the year.
type Series struct {
	Directions []float64 // degrees in [0, 360); where the wind comes from, clockwise from north
	Speeds     []float64 // m/s
}

func (s Series) climate() (climate, error) {
	if len(s.Speeds) == 0 {
		return nil, errors.New("time series is empty")
	}
	if len(s.Directions) != len(s.Speeds) {
		return nil, fmt.Errorf("time series has %d directions and %d speeds", len(s.Directions), len(s.Speeds))
	}
	order := make([]int, len(s.Speeds))
	for i := range order {
		order[i] = i
		if !(s.Directions[i] >= 0 && s.Directions[i] < 360) {
			return nil, fmt.Errorf("time series: direction %g is not in [0, 360)", s.Directions[i])
		}
		if !(s.Speeds[i] >= 0) || math.IsInf(s.Speeds[i], 0) {
			return nil, fmt.Errorf("time series: speed %g is negative or not finite", s.Speeds[i])
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(s.Directions[i], s.Directions[j]), cmp.Compare(s.Speeds[i], s.Speeds[j]))
	})
	var c climate
	share := 1 / float64(len(order))
	for _, i := range order {
		if len(c) == 0 || c[len(c)-1].degrees != s.Directions[i] {
			c = append(c, windFrom{degrees: s.Directions[i]})
		}
		d := &c[len(c)-1]
		if n := len(d.speeds); n > 0 && d.speeds[n-1] == s.Speeds[i] {
			d.frequency[n-1] += share
		} else {
			d.speeds, d.frequency = append(d.speeds, s.Speeds[i]), append(d.frequency, share)
		}
	}
	return c, nil
}
