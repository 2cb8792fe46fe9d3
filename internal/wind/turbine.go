package wind

import (
	"errors"
	"fmt"
	"math"
)

const (
	airDensity = 1.225     // kg/m³, of standard air at sea level
	betzLimit  = 16. / 27. // the share of the wind's power that a rotor can take

	highestPower = 1e12 // W, bounds the figures that a table may hold
	smallestStep = 1e-6 // m/s or degrees, between neighbours on an axis
)

// PowerCurve gives the electrical power of a turbine in W at a wind speed in
// m/s. It must be safe for concurrent use.
type PowerCurve interface {
	Power(speed float64) float64
}

// Turbine is a type of wind turbine.
type Turbine struct {
	Name          string
	RotorDiameter float64 // m
	HubHeight     float64 // m
	RatedPower    float64 // W
	Curve         PowerCurve
}

// Validate reports what no turbine can be: sizes that are not positive, a power
// that is negative or beyond the Betz limit (16/27 of the power of the wind),
// and a curve whose maximum is not the rated power within 1 %. The last two are
// how kW given as W, and W as kW, come to light. The curve is checked every
// 0.1 m/s up to 50 m/s.
func (t Turbine) Validate() error {
	if !positive(t.RotorDiameter) || !positive(t.HubHeight) || !positive(t.RatedPower) {
		return fmt.Errorf("turbine %q: rotor diameter, hub height and rated power must be positive", t.Name)
	}
	if t.Curve == nil {
		return fmt.Errorf("turbine %q: has no power curve", t.Name)
	}
	highest := 0.0
	for i := range 501 {
		speed := float64(i) / 10
		power := t.Curve.Power(speed)
		if err := t.checkPower(speed, power); err != nil {
			return fmt.Errorf("turbine %q: %w", t.Name, err)
		}
		highest = max(highest, power)
	}
	if math.Abs(highest/t.RatedPower-1) > 0.01 {
		return fmt.Errorf("turbine %q: power curve reaches %g W but the rated power is %g W", t.Name, highest, t.RatedPower)
	}
	return nil
}

func (t Turbine) checkPower(speed, power float64) error {
	radius := t.RotorDiameter / 2
	inWind := airDensity / 2 * math.Pi * radius * radius * speed * speed * speed
	if !(power >= 0) {
		return fmt.Errorf("power at %g m/s is %g W", speed, power)
	}
	if power > betzLimit*inWind {
		return fmt.Errorf("power at %g m/s is %g W, the rotor can take no more than %g W from the wind", speed, power, betzLimit*inWind)
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

// PowerTable is a power curve given at points, straight between them and zero
// outside. Make one with [NewPowerTable].
type PowerTable struct {
	knots  []knot
	bucket []int32 // index of the last knot at or below the lower end of each bucket
	low    float64 // m/s, speed of the first knot
	high   float64 // m/s, speed of the last knot
	scale  float64 // buckets per m/s
}

type knot struct {
	speed float64 // m/s
	power float64 // W
	slope float64 // W per m/s up to the next knot
}

// NewPowerTable returns the curve through the given speeds in m/s, which must
// rise, and the powers in W at them, which must not be negative.
func NewPowerTable(speeds, powers []float64) (*PowerTable, error) {
	if len(speeds) != len(powers) {
		return nil, fmt.Errorf("power table has %d speeds and %d powers", len(speeds), len(powers))
	}
	if len(speeds) < 2 {
		return nil, errors.New("power table has fewer than 2 points")
	}
	if err := checkAxis("power table: speed", speeds); err != nil {
		return nil, err
	}
	knots := make([]knot, len(speeds))
	for i := range knots {
		if !(powers[i] >= 0 && powers[i] <= highestPower) {
			return nil, fmt.Errorf("power table: power at %g m/s is %g W", speeds[i], powers[i])
		}
		knots[i] = knot{speed: speeds[i], power: powers[i]}
		if i > 0 {
			knots[i-1].slope = (powers[i] - powers[i-1]) / (speeds[i] - speeds[i-1])
		}
	}
	t := &PowerTable{knots: knots, low: speeds[0], high: speeds[len(speeds)-1]}
	t.fillBuckets()
	return t, nil
}

// fillBuckets cuts the range of speeds into as many equal buckets as there are
// intervals, so that a lookup starts at the right knot or, in a table with
// unequal steps, below it.
func (t *PowerTable) fillBuckets() {
	n := len(t.knots) - 1
	t.scale = float64(n) / (t.high - t.low)
	t.bucket = make([]int32, n+1)
	at := int32(0)
	for b := range t.bucket {
		for int(at) < n && (t.knots[at+1].speed-t.low)*t.scale <= float64(b) {
			at++
		}
		t.bucket[b] = at
	}
}

// Power returns the power in W at a speed in m/s.
func (t *PowerTable) Power(speed float64) float64 {
	if !(speed >= t.low && speed <= t.high) {
		return 0
	}
	at := int(t.bucket[int((speed-t.low)*t.scale)])
	for at+1 < len(t.knots) && t.knots[at+1].speed <= speed {
		at++
	}
	k := &t.knots[at]
	return k.power + (speed-k.speed)*k.slope
}
