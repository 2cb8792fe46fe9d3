package wind

import (
	"math"
	"slices"
)

// flow computes the wind that reaches each rotor of a farm. turn does, once for
// each direction, whatever does not depend on the speed: that is half of what
// makes the models fast. Turbines are numbered down the wind, so that a single
// sweep suffices: nobody slows those before.
type flow interface {
	// turn takes the turbines' positions in m along the wind, which rise, and across it.
	turn(along, across []float64)
	// solve sets speeds to the wind in m/s that reaches the rotors in a free wind.
	solve(free float64, speeds []float64)
}

// wakeReach is how far a Gaussian wake is followed to the side, as a bound on
// r²/(2 sigma²). Beyond it a loss is below 1e-12 of the wind: the wakes of 500
// turbines together are less than 4e-10 of it. This is the other half of the
// speed: on a square of 100 turbines three in four pairs are out of reach.
const wakeReach = 28

// discReach is the same for TurbOPark, whose published figures are known to 3e-7:
// a loss beyond it is below 8e-10 of the wind, and the root of the sum of squares
// of 500 such losses below 2e-8.
const discReach = 21

// pair is a turbine in reach of another's wake.
type pair struct {
	to     int32   // the turbine, by its number down the wind
	dx     float64 // m downwind
	square float64 // m², the distance from the middle of the wake
	gain   float64 // what of the loss depends on nothing but the distances
}

// pointFlow is the wind at hubs: no shear, and a loss for each pair.
type pointFlow struct {
	model Model
	table *ThrustTable
	air   Air
	rotor float64 // D, m
	hub   float64 // m
	reach float64
	widest
	powerOfTI float64 // I^-0.0325

	first  []int32 // of each turbine's pairs
	pairs  []pair
	losses []float64 // of one turbine's pairs
	total  []float64 // of each turbine's losses: sum of squares, sum or maximum
	added  []float64 // turbulence
}

// widest bounds the width of every wake of the turbine.
type widest struct {
	start  float64 // m
	growth turbulentGrowth
}

func newPointFlow(model Model, turbine Turbine, air Air) *pointFlow {
	f := &pointFlow{model: model, table: turbine.Thrust, air: air, rotor: turbine.RotorDiameter, hub: turbine.HubHeight, reach: wakeReach}
	if model.Deficit == Turbulent {
		f.reach = discReach
	}
	f.widest.start = f.width0(turbine.Thrust.highest)
	f.widest.growth = newTurbulentGrowth(air.Turbulence, turbine.Thrust.highest, f.rotor)
	if model.Turbulence == AddedWithOverlap {
		f.powerOfTI = pow(air.Turbulence, -0.0325)
	}
	return f
}

// width0 returns sigma at the rotor, in m.
func (f *pointFlow) width0(ct float64) float64 {
	if f.model.Deficit == ConstantGaussian {
		return f.model.Start * f.rotor
	}
	q := math.Sqrt(1 - min(f.model.MaximalThrust, ct))
	return f.model.Start * f.rotor * math.Sqrt(0.5*(1+q)/q)
}

func (f *pointFlow) turn(along, across []float64) {
	f.first, f.pairs = append(f.first[:0], 0), f.pairs[:0]
	for i, ai := range along {
		for j := i + 1; j < len(along); j++ {
			p := pair{to: int32(j), dx: along[j] - ai, square: (across[j] - across[i]) * (across[j] - across[i])}
			if p.dx > leastDistance && f.reaches(&p) {
				f.pairs = append(f.pairs, p)
			}
		}
		f.first = append(f.first, int32(len(f.pairs))) //nolint:gosec // memory ends before
	}
	n := len(along)
	f.losses = slices.Grow(f.losses[:0], n)[:n]
	f.total = slices.Grow(f.total[:0], n)[:n]
	f.added = slices.Grow(f.added[:0], n)[:n]
}

// leastDistance is how far down the wind a wake begins, in m: turbines side by
// side are not each other's, whatever rounding makes of their distance.
const leastDistance = 1e-10

// reaches tells whether the wake can slow the turbine at all, and sets the gain.
func (f *pointFlow) reaches(p *pair) bool {
	radius := f.rotor / 2
	switch f.model.Deficit {
	case TopHat:
		wake := f.model.Growth*p.dx + radius
		if p.square >= (wake+radius)*(wake+radius) {
			return false
		}
		share := 0.0
		if distance := math.Sqrt(p.square); f.model.Rotor == Overlap {
			share = discShare(wake, radius, distance)
		} else if distance < wake {
			share = 1
		}
		wake += f.model.RadiusOffset
		p.gain = 2 * (radius / wake) * (radius / wake) * share
		return share > 0 && p.dx > f.model.RadiusOffset
	case Turbulent:
		// The growth falls with the distance from the rotor and with a falling ct.
		sigma := f.widest.start + f.model.Growth*f.air.Turbulence*f.rotor*f.widest.growth.to(p.dx)
		return p.square <= 2*f.reach*sigma*sigma
	case Gaussian, ConstantGaussian:
		if f.model.TurbulentGrowth > 0 {
			p.gain = 0.73 * f.powerOfTI * pow(p.dx/f.rotor, -0.32)
			return true // nobody knows yet how turbulent it gets
		}
		sigma := f.model.Growth*p.dx + f.widest.start
		return p.square <= 2*f.reach*sigma*sigma
	default:
		return false
	}
}

func (f *pointFlow) solve(free float64, speeds []float64) {
	clear(f.total)
	clear(f.added)
	for i := range speeds {
		speeds[i] = free * max(0, 1-f.loss(i))
		pairs := f.pairs[f.first[i]:f.first[i+1]]
		if len(pairs) == 0 {
			continue
		}
		losses := f.losses[:len(pairs)]
		f.lose(f.table.at(speeds[i], f.model.ThrustOutside), i, pairs, losses)
		if f.model.Reference == SourceSpeed {
			for k := range losses {
				losses[k] *= speeds[i] / free
			}
		}
		f.superpose(pairs, losses)
	}
}

// loss returns what all wakes take from turbine i.
func (f *pointFlow) loss(i int) float64 {
	if f.model.Superposition == Squares {
		return math.Sqrt(f.total[i])
	}
	return f.total[i]
}

func (f *pointFlow) superpose(pairs []pair, losses []float64) {
	switch f.model.Superposition {
	case Linear:
		for k := range pairs {
			f.total[pairs[k].to] += losses[k]
		}
	case Maximum:
		for k := range pairs {
			f.total[pairs[k].to] = max(f.total[pairs[k].to], losses[k])
		}
	default:
		for k := range pairs {
			f.total[pairs[k].to] += losses[k] * losses[k]
		}
	}
}

// lose sets the loss at each of the turbines in reach of turbine i, as a share
// of the reference speed.
func (f *pointFlow) lose(ct float64, i int, pairs []pair, losses []float64) {
	switch f.model.Deficit {
	case TopHat:
		a := f.model.Induction.of(ct)
		for k := range pairs {
			losses[k] = a * pairs[k].gain
		}
	case Turbulent:
		f.loseTurbulent(ct, pairs, losses)
	default:
		f.loseGaussian(ct, i, pairs, losses)
	}
}

func (f *pointFlow) loseGaussian(ct float64, i int, pairs []pair, losses []float64) {
	start, k := f.width0(ct), f.model.Growth
	if f.model.TurbulentGrowth > 0 {
		k += f.model.TurbulentGrowth * math.Sqrt(f.air.Turbulence*f.air.Turbulence+f.added[i]*f.added[i])
	}
	blocked := ct * f.rotor * f.rotor / 8
	for n := range pairs {
		p := &pairs[n]
		sigma := k*p.dx + start
		inverse := 1 / (sigma * sigma)
		losses[n] = 0
		if x := 0.5 * p.square * inverse; x <= f.reach {
			losses[n] = min(1, 2*f.model.Induction.of(blocked*inverse)) * exp(-x)
		}
		if f.model.Turbulence == AddedWithOverlap {
			f.addTurbulence(ct, p, 2*sigma)
		}
	}
}

// addTurbulence makes the turbulence that p adds in a wake of the given radius
// known to the turbine, if it is the greatest.
func (f *pointFlow) addTurbulence(ct float64, p *pair, radius float64) {
	if share := discShare(radius, f.rotor/2, math.Sqrt(p.square)); share > 0 {
		a := max(Madsen.of(ct), 1e-10)
		f.added[p.to] = max(f.added[p.to], p.gain*pow(a, 0.8325)*share)
	}
}

func (f *pointFlow) loseTurbulent(ct float64, pairs []pair, losses []float64) {
	start, width := f.width0(ct), newTurbulentGrowth(f.air.Turbulence, ct, f.rotor)
	growth := f.model.Growth * f.air.Turbulence * f.rotor
	blocked, radius, mirrored := ct*f.rotor*f.rotor/8, f.rotor*f.rotor/8, 4*f.hub*f.hub
	for n := range pairs {
		p := &pairs[n]
		sigma := start + growth*width.to(p.dx)
		inverse := 1 / (sigma * sigma)
		x := 0.5 * p.square * inverse
		if x > f.reach {
			losses[n] = 0
			continue
		}
		middle := min(1, 2*f.model.Induction.of(blocked*inverse))
		share := f.rotorShare(x, radius*inverse)
		if below := x + 0.5*mirrored*inverse; f.model.Mirror && below <= f.reach {
			reflected := f.rotorShare(below, radius*inverse)
			share = math.Sqrt(share*share + reflected*reflected)
		}
		losses[n] = middle * share
	}
}

// rotorShare returns what a rotor sees of a Gaussian that is 1 in the middle, at
// r²/(2 sigma²) = x from there: the value at the hub, or the mean over the disc,
// for which R²/(2 sigma²) = y.
func (f *pointFlow) rotorShare(x, y float64) float64 {
	if f.model.Rotor == Centre {
		return exp(-x)
	}
	return discMean(x, y)
}

// turbulentGrowth is the width of TurbOPark's wake over that at the rotor, in
// units of A I D: the integral of the turbulence, which decays with the distance.
// F(z) = sqrt(z² + 1) - ln((sqrt(z² + 1) + 1)/z) between alpha and
// alpha + beta dx/D, divided by beta; alpha = 1.5 I, beta = 0.8 I/sqrt(ct).
type turbulentGrowth struct{ alpha, slope, atRotor, inverse float64 }

func newTurbulentGrowth(turbulence, ct, diameter float64) turbulentGrowth {
	alpha, beta := 1.5*turbulence, 0.8*turbulence/math.Sqrt(max(ct, 1e-20))
	return turbulentGrowth{alpha, beta / diameter, decayed(alpha), 1 / beta}
}

func (g turbulentGrowth) to(dx float64) float64 {
	return g.inverse * (decayed(g.alpha+g.slope*dx) - g.atRotor)
}

func decayed(z float64) float64 {
	root := math.Sqrt(z*z + 1)
	return root - math.Log((root+1)/z)
}

// momentum returns the induction of one-dimensional momentum theory.
func momentum(ct float64) float64 { return 0.5 * (1 - math.Sqrt(1-min(1, ct))) }

// discShare returns the share of a rotor inside a wake, both discs with the
// given radii and the distance of their middles.
func discShare(wake, rotor, distance float64) float64 {
	large, small := max(wake, rotor), min(wake, rotor)
	switch {
	case distance >= large+small:
		return 0
	case distance <= large-small:
		return min(1, wake/rotor*wake/rotor)
	}
	cosLarge := (large*large + distance*distance - small*small) / (2 * large * distance)
	cosSmall := (small*small + distance*distance - large*large) / (2 * small * distance)
	alpha, beta := math.Acos(max(-1, min(1, cosLarge))), math.Acos(max(-1, min(1, cosSmall)))
	return (alpha*large*large + beta*small*small - large*distance*math.Sin(alpha)) / (math.Pi * rotor * rotor)
}

// discMeanError bounds what the series of discMean leaves out.
const discMeanError = 1e-9

// discMean returns the mean of exp(-r²/(2 sigma²)) over a disc of radius R whose
// middle is at r = c, for x = c²/(2 sigma²) and y = R²/(2 sigma²). The closed
// form, 1/y times a non-central chi-squared distribution, has the series
//
//	exp(-x) sum (-y)^n/(n+1)! L_n(x)
//
// in Laguerre polynomials. As |L_n(x)| <= exp(x/2), y alone says where to stop:
// where y^n/(n+1)!, which falls faster than a geometric series, is below the
// error allowed. No wake is narrower than a quarter of a rotor, so y <= 2.
func discMean(x, y float64) float64 {
	before, now := 0.0, 1.0 // L_n-1 and L_n
	sum, factor := 1.0, 1.0 // factor is (-y)^n/(n+1)!
	for n := range laguerre {
		l := &laguerre[n]
		before, now = now, (l.a-x*l.b)*now-l.c*before
		factor *= -y * l.d
		sum += factor * now
		if math.Abs(factor) < discMeanError {
			break
		}
	}
	return exp(-x) * sum
}

// laguerre holds, for n = 0, 1 ..., what takes L_n to
// L_n+1 = (a - b x) L_n - c L_n-1, and 1/(n+2)! to the next by d.
var laguerre = func() (steps [64]struct{ a, b, c, d float64 }) {
	for i := range steps {
		n := float64(i)
		steps[i].a, steps[i].b, steps[i].c, steps[i].d = (2*n+1)/(n+1), 1/(n+1), n/(n+1), 1/(n+2)
	}
	return steps
}()
