package wind

import (
	"math"
	"slices"
)

// gridFlow is the wind at 3 x 3 points on each rotor, half a radius apart, in
// shear: the conventions of FLORIS. The points are in three columns from left to
// right; those above and below the hub lose the same share of their free wind,
// so a rotor has six cells: each column's middle, and its two ends.
type gridFlow struct {
	model Model
	table *ThrustTable
	air   Air
	rotor float64 // D, m
	step  float64 // m between points
	reach float64

	above, below float64 // free wind at the points above and below the hub, as a share of that at the hub
	ends         float64 // above³ + below³
	powerOfTI    float64 // I^0.1

	first   []int32
	pairs   []gridPair
	total   [][6]float64 // sum of squares of the losses in each cell: middle and end of the left column, the middle one, the right one
	stirred [][3]float64 // turbulence in each column
}

type gridPair struct {
	to     int32
	inside [6]bool // cells inside the wake, of a top hat
	whole  bool    // all of them are
	dx     float64 // m downwind
	across float64 // m, of the turbine from the middle of the wake
	gain   float64 // what of the loss, or of the added turbulence, depends on nothing but the distances
}

func newGridFlow(model Model, turbine Turbine, air Air) *gridFlow {
	f := &gridFlow{model: model, table: turbine.Thrust, air: air, rotor: turbine.RotorDiameter, step: turbine.RotorDiameter / 4, reach: wakeReach}
	f.above = shear(turbine.HubHeight+f.step, turbine.HubHeight, air.Shear)
	f.below = shear(turbine.HubHeight-f.step, turbine.HubHeight, air.Shear)
	f.ends = f.above*f.above*f.above + f.below*f.below*f.below
	f.powerOfTI = pow(air.Turbulence, 0.1)
	return f
}

func shear(height, hub, exponent float64) float64 {
	if exponent == 0 {
		return 1
	}
	return pow(height/hub, exponent)
}

const gaussBegins = 0.1 // m downwind of the rotor

func (f *gridFlow) turn(along, across []float64) {
	f.first, f.pairs = append(f.first[:0], 0), f.pairs[:0]
	for i, ai := range along {
		for j := i + 1; j < len(along); j++ {
			p := gridPair{to: int32(j), dx: along[j] - ai, across: across[j] - across[i]}
			if f.reaches(&p) {
				f.pairs = append(f.pairs, p)
			}
		}
		f.first = append(f.first, int32(len(f.pairs))) //nolint:gosec // memory ends before
	}
	n := len(along)
	f.total = slices.Grow(f.total[:0], n)[:n]
	f.stirred = slices.Grow(f.stirred[:0], n)[:n]
}

// reaches tells whether the wake can slow the turbine at all, and fills in what
// does not depend on the speed.
func (f *gridFlow) reaches(p *gridPair) bool {
	if f.model.Deficit == NearAndFar {
		if p.dx <= gaussBegins {
			return false
		}
		if f.model.Turbulence != NoAddedTurbulence && p.dx <= turbulenceReach*f.rotor && math.Abs(p.across) < turbulenceHalfWidth*f.rotor+f.step {
			p.gain = 0.5 * f.powerOfTI * pow(p.dx/f.rotor, -0.32)
		}
		return true // nobody knows yet how turbulent, so how wide, it gets
	}
	if p.dx <= f.model.RadiusOffset {
		return false
	}
	radius := f.rotor / 2
	wake := radius + f.model.Growth*p.dx
	p.whole = true
	some := false
	for c := range p.inside {
		y, z := p.across+float64(c/2-1)*f.step, float64(c%2)*f.step
		p.inside[c] = math.Sqrt(y*y+z*z) < wake
		p.whole = p.whole && p.inside[c]
		some = some || p.inside[c]
	}
	share := radius / (wake + f.model.RadiusOffset)
	p.gain = 2 * share * share
	return some
}

func (f *gridFlow) solve(free float64, speeds []float64) {
	clear(f.total)
	for i := range f.stirred {
		f.stirred[i] = [3]float64{f.air.Turbulence, f.air.Turbulence, f.air.Turbulence}
	}
	for i := range speeds {
		speeds[i] = free * f.rotorMean(&f.total[i])
		pairs := f.pairs[f.first[i]:f.first[i+1]]
		if len(pairs) == 0 {
			continue
		}
		ct := f.table.at(speeds[i], f.model.ThrustOutside)
		if f.model.Deficit == NearAndFar {
			f.spread(free, ct, f.stirred[i], pairs)
		} else {
			f.spreadTopHat(momentum(ct), pairs)
		}
	}
}

// rotorMean returns the cube root of the mean cube of the wind, as a share of
// the free wind at the hub.
func (f *gridFlow) rotorMean(squares *[6]float64) float64 {
	sum := 0.0
	for c := 0; c < len(squares); c += 2 {
		middle, end := 1.0, 1.0
		if squares[c] > 0 {
			middle -= math.Sqrt(squares[c])
		}
		if squares[c+1] > 0 {
			end -= math.Sqrt(squares[c+1])
		}
		sum += middle*middle*middle + f.ends*end*end*end
	}
	return math.Cbrt(sum / 9)
}

func (f *gridFlow) spreadTopHat(a float64, pairs []gridPair) {
	for k := range pairs {
		p := &pairs[k]
		square, total := a*p.gain*a*p.gain, &f.total[p.to]
		for c := range total {
			if p.whole || p.inside[c] {
				total[c] += square
			}
		}
	}
}

// gaussWake is the wake of one turbine in one wind, behind one column of its
// points.
type gaussWake struct {
	thrust           float64 // ct D²/8
	onset            float64 // m, where the far wake begins
	growth           float64 // of the far wake
	atOnset, atRotor float64 // m, sigma
}

// The constants of Bastankhah and Porté-Agel (2016) and of FLORIS.
const (
	onsetAlpha, onsetBeta = 0.58, 0.077
	rotorWidth            = 0.501
)

func (f *gridFlow) newGaussWake(ct, turbulence float64) gaussWake {
	root := math.Sqrt(1 - ct)
	atRotor := ct / (2 * (1 - root)) // the wind at the rotor, as a share of the free wind
	return gaussWake{
		thrust:  ct * f.rotor * f.rotor / 8,
		onset:   f.rotor * (1 + root) / (math.Sqrt2 * (4*onsetAlpha*turbulence + 2*onsetBeta*(1-root))),
		growth:  f.model.TurbulentGrowth*turbulence + f.model.Growth,
		atOnset: f.rotor / 2 * math.Sqrt(atRotor/(1+root)),
		atRotor: rotorWidth * f.rotor * math.Sqrt(ct/2),
	}
}

func (w *gaussWake) sigma(dx float64) float64 {
	if dx >= w.onset {
		return w.growth*(dx-w.onset) + w.atOnset
	}
	part := dx / w.onset
	return (1-part)*w.atRotor + part*w.atOnset
}

// spread adds the losses and the turbulence that a turbine makes, whose points
// are in air of the given turbulence.
func (f *gridFlow) spread(free, ct float64, turbulence [3]float64, pairs []gridPair) {
	var wakes [3]gaussWake
	wakes[0] = f.newGaussWake(ct, turbulence[0])
	same := turbulence[1] == turbulence[0] && turbulence[2] == turbulence[0]
	if !same {
		wakes[1], wakes[2] = f.newGaussWake(ct, turbulence[1]), f.newGaussWake(ct, turbulence[2])
	}
	stirring := pow(momentum(ct), 0.8)
	for k := range pairs {
		p := &pairs[k]
		var losses [6]float64
		if same {
			if !f.lose(&wakes[0], p, &losses) {
				continue
			}
		} else {
			for c := range wakes {
				f.loseColumn(&wakes[c], p, c, &losses)
			}
		}
		total := &f.total[p.to]
		for c, loss := range losses {
			total[c] += loss * loss
		}
		if p.gain > 0 {
			f.stir(p, stirring*p.gain*f.slowedShare(free, &losses))
		}
	}
}

// lose sets the losses in the cells of a turbine behind a wake that is the same
// for all its columns, or says that it is out of reach.
func (f *gridFlow) lose(w *gaussWake, p *gridPair, losses *[6]float64) bool {
	sigma := w.sigma(p.dx)
	inverse := 1 / (sigma * sigma)
	half := 0.5 * inverse
	if nearest := math.Abs(p.across) - f.step; nearest > 0 && nearest*nearest*half > f.reach {
		return false
	}
	middle := 1 - math.Sqrt(min(1, max(0, 1-w.thrust*inverse)))
	end := exp(-f.step * f.step * half)
	for c := range 3 {
		y := p.across + float64(c-1)*f.step
		losses[2*c] = middle * exp(-y*y*half)
		losses[2*c+1] = losses[2*c] * end
	}
	return true
}

func (f *gridFlow) loseColumn(w *gaussWake, p *gridPair, c int, losses *[6]float64) {
	sigma := w.sigma(p.dx)
	inverse := 1 / (sigma * sigma)
	y := p.across + float64(c-1)*f.step
	losses[2*c] = (1 - math.Sqrt(min(1, max(0, 1-w.thrust*inverse)))) * exp(-0.5*y*y*inverse)
	losses[2*c+1] = losses[2*c] * exp(-0.5*f.step*f.step*inverse)
}

// slowedShare returns the share of the nine points that lose a perceptible speed.
func (f *gridFlow) slowedShare(free float64, losses *[6]float64) float64 {
	slowed := 0
	for c := 0; c < len(losses); c += 2 {
		for _, loss := range [3]float64{losses[c], losses[c+1] * f.above, losses[c+1] * f.below} {
			if loss*free > turbulenceLeastSpeed {
				slowed++
			}
		}
	}
	return float64(slowed) / 9
}

// stir sets the turbulence at the turbine where the added one makes it greater.
func (f *gridFlow) stir(p *gridPair, added float64) {
	if added == 0 {
		return
	}
	total := math.Sqrt(added*added + f.air.Turbulence*f.air.Turbulence)
	for c := range 3 {
		if math.Abs(p.across+float64(c-1)*f.step) < turbulenceHalfWidth*f.rotor {
			f.stirred[p.to][c] = max(f.stirred[p.to][c], total)
		}
	}
}
