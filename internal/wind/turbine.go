package wind

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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
	Thrust        *ThrustTable // nil will do for models without or with a constant thrust
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
	inWind := t.powerOfWind(speed)
	if !(power >= 0) {
		return fmt.Errorf("power at %g m/s is %g W", speed, power)
	}
	if power > betzLimit*inWind {
		return fmt.Errorf("power at %g m/s is %g W, the rotor can take no more than %g W from the wind", speed, power, betzLimit*inWind)
	}
	return nil
}

// powerOfWind returns the power in W of the wind that would pass the rotor's disc.
func (t Turbine) powerOfWind(speed float64) float64 {
	radius := t.RotorDiameter / 2
	return airDensity / 2 * math.Pi * radius * radius * speed * speed * speed
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

// WithTable returns the turbine with the curves through the given speeds in m/s,
// the powers in W and, unless there are none, the thrust coefficients at them. What
// is wrong with a point of the table is a [PointError].
func (t Turbine) WithTable(speeds, watts, thrusts []float64) (Turbine, error) {
	power, err := NewPowerTable(speeds, watts)
	if err != nil {
		return Turbine{}, err
	}
	for i, w := range watts {
		if err := t.checkPower(speeds[i], w); err != nil {
			return Turbine{}, &PointError{Power, i, err}
		}
	}
	t.Curve = power
	if len(thrusts) > 0 {
		if t.Thrust, err = NewThrustTable(speeds, thrusts); err != nil {
			return Turbine{}, err
		}
	}
	return t, nil
}

// Curves returns the speeds in m/s at which the curves of the turbine bend, and
// the power in W and the thrust coefficient at each: what a reader needs to draw
// them, with straight lines. A curve that is no table is taken at every 0.1 m/s.
// The thrust is nil if it is not known.
func (t Turbine) Curves() (speeds, watts, thrusts []float64) {
	table, ok := t.Curve.(*PowerTable)
	if ok {
		speeds = table.speeds()
	} else {
		for i := range 501 {
			speeds = append(speeds, float64(i)/10)
		}
	}
	if t.Thrust != nil {
		for _, speed := range t.Thrust.speeds() {
			if speed <= speeds[len(speeds)-1] {
				speeds = append(speeds, speed)
				slices.Sort(speeds)
			}
		}
		speeds = slices.Compact(speeds)
	}
	for _, speed := range speeds {
		watts = append(watts, t.Curve.Power(speed))
		if t.Thrust != nil {
			thrusts = append(thrusts, t.Thrust.at(speed, Clamped))
		}
	}
	return speeds, watts, thrusts
}

// PointError is what is wrong with a point of a table.
type PointError struct {
	Of    Quantity
	Index int
	Err   error
}

func (e *PointError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *PointError) Unwrap() error { return e.Err }

// Quantity is what a table has points of.
type Quantity int

// The quantities.
const (
	Axis   Quantity = iota // at which the others are given
	Power                  // of a turbine
	Thrust                 // of a turbine
)

// PowerTable is a power curve given at points, straight between them and zero
// outside. Make one with [NewPowerTable].
type PowerTable struct{ lookup }

// NewPowerTable returns the curve through the given speeds in m/s, which must
// rise, and the powers in W at them, which must not be negative.
func NewPowerTable(speeds, powers []float64) (*PowerTable, error) {
	l, err := newLookup(Power, "power", "W", highestPower, speeds, powers)
	return &PowerTable{l}, err
}

// Power returns the power in W at a speed in m/s.
func (t *PowerTable) Power(speed float64) float64 {
	if !t.covers(speed) {
		return 0
	}
	return t.between(speed)
}

// ThrustTable is a curve of thrust coefficients given at points, and straight
// between them. What it is outside is a convention of the model.
type ThrustTable struct {
	lookup
	highest float64
}

const (
	highestThrust = 2 // tables of real turbines exceed 1 at low speeds, which models clip
	slightThrust  = 0.0001
	nearlyAll     = 0.9999
)

// NewThrustTable returns the curve through the given speeds in m/s, which must
// rise, and the thrust coefficients at them, from 0 to 2.
func NewThrustTable(speeds, coefficients []float64) (*ThrustTable, error) {
	l, err := newLookup(Thrust, "thrust coefficient", "", highestThrust, speeds, coefficients)
	if err != nil {
		return nil, err
	}
	return &ThrustTable{l, slices.Max(coefficients)}, nil
}

func (t *ThrustTable) at(speed float64, outside Outside) float64 {
	if t.covers(speed) {
		if ct := t.between(speed); outside != SlightOnly {
			return ct
		} else {
			return min(nearlyAll, max(slightThrust, ct))
		}
	}
	switch outside {
	case NoThrust:
		return 0
	case SlightOnly:
		return slightThrust
	default:
		return t.between(min(t.high, max(t.low, speed)))
	}
}

// lookup is a curve given at points and straight between them.
type lookup struct {
	knots  []knot
	bucket []int32 // index of the last knot at or below the lower end of each bucket
	low    float64 // m/s, speed of the first knot
	high   float64 // m/s, speed of the last knot
	scale  float64 // buckets per m/s
}

type knot struct {
	speed float64 // m/s
	value float64
	slope float64 // per m/s up to the next knot
}

func newLookup(of Quantity, what, unit string, highest float64, speeds, values []float64) (lookup, error) {
	name, _, _ := strings.Cut(what, " ")
	if len(speeds) != len(values) {
		return lookup{}, fmt.Errorf("%s table has %d speeds and %d %ss", name, len(speeds), len(values), what)
	}
	if len(speeds) < 2 {
		return lookup{}, errors.New(name + " table has fewer than 2 points")
	}
	if err := checkAxis(name+" table: speed", speeds); err != nil {
		return lookup{}, err
	}
	knots := make([]knot, len(speeds))
	for i := range knots {
		if !(values[i] >= 0 && values[i] <= highest) {
			err := fmt.Errorf("%s table: %s at %g m/s is %s", name, what, speeds[i], strings.TrimSpace(fmt.Sprintf("%g %s", values[i], unit)))
			return lookup{}, &PointError{of, i, err}
		}
		knots[i] = knot{speed: speeds[i], value: values[i]}
		if i > 0 {
			knots[i-1].slope = (values[i] - values[i-1]) / (speeds[i] - speeds[i-1])
		}
	}
	l := lookup{knots: knots, low: speeds[0], high: speeds[len(speeds)-1]}
	l.fillBuckets()
	return l, nil
}

// fillBuckets cuts the range of speeds into as many equal buckets as there are
// intervals, so that a lookup starts at the right knot or, in a table with
// unequal steps, below it.
func (l *lookup) fillBuckets() {
	n := len(l.knots) - 1
	l.scale = float64(n) / (l.high - l.low)
	l.bucket = make([]int32, n+1)
	at := int32(0)
	for b := range l.bucket {
		for int(at) < n && (l.knots[at+1].speed-l.low)*l.scale <= float64(b) {
			at++
		}
		l.bucket[b] = at
	}
}

func (l *lookup) speeds() []float64 {
	var speeds []float64
	for _, k := range l.knots {
		speeds = append(speeds, k.speed)
	}
	return speeds
}

func (l *lookup) covers(speed float64) bool { return speed >= l.low && speed <= l.high }

// between returns the value at a speed that the table covers.
func (l *lookup) between(speed float64) float64 {
	at := int(l.bucket[int((speed-l.low)*l.scale)])
	for at+1 < len(l.knots) && l.knots[at+1].speed <= speed {
		at++
	}
	k := &l.knots[at]
	return k.value + (speed-k.speed)*k.slope
}
