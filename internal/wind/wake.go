package wind

import "math"

const (
	thrust = 8. / 9.   // CT of every turbine at every speed
	growth = 0.0324555 // k, m of wake width per m downwind
)

// reach is how far a wake is followed to the side, as a bound on (dy/sigma)².
// Beyond it a loss is below exp(-42) = 6e-19. That changes no result: even the
// losses of a thousand such wakes, as the root of their squares, are smaller
// than half the distance from 1 to the next smaller number, which is what a
// turbine's share of the wind speed, 1 - loss, is rounded to.
const reach = 84

// gaussianWake is the wake of the IEA Wind Task 37 case studies behind rotors
// of one size. See the package comment for its equations.
type gaussianWake struct {
	diameter float64 // m
	start    float64 // m, sigma at the rotor
}

func newGaussianWake(diameter float64) gaussianWake {
	return gaussianWake{diameter: diameter, start: diameter / math.Sqrt(8)}
}

// addSquares sets ahead[i] to the sum of the squares of the losses at turbine i
// in the wakes of the others, and behind[i] to the same for wind from the
// opposite direction, in which every pair keeps its distances and swaps its
// roles. The order of the turbines is the order of summation.
//
// This is where a farm spends its time: turbines² / 2 pairs for every axis,
// three in four out of each other's reach on the sites of the tenders.
func (w gaussianWake) addSquares(ahead, behind, along, across []float64) {
	clear(ahead)
	clear(behind)
	for i, ai := range along {
		for j, aj := range along[:i] {
			dx, dy := ai-aj, across[i]-across[j]
			sigma := growth*math.Abs(dx) + w.start
			if dy*dy > reach*sigma*sigma {
				continue
			}
			square := w.square(dy, sigma)
			switch {
			case dx > 0:
				ahead[i] += square
				behind[j] += square
			case dx < 0:
				ahead[j] += square
				behind[i] += square
			}
		}
	}
}

// square returns the square of the loss at the distance dy from the middle of a
// wake that has grown to sigma. It divides once because that is slow.
func (w gaussianWake) square(dy, sigma float64) float64 {
	inverse := 1 / sigma
	rotor, offset := w.diameter*inverse, dy*inverse
	middle := 1 - math.Sqrt(1-thrust/8*rotor*rotor)
	return middle * middle * exp(-offset*offset)
}
