package windfile

import (
	"errors"
	"math"
	"slices"

	"windrow/internal/wind"
)

// What the power of a rotor's area is for any turbine, in W/m²: outside, the
// power is in some other unit. windIO does not say which its curves are in.
const leastSpecificPower, mostSpecificPower = 20, 2000

// turbine reads a windIO turbine.
func (n *node) turbine() (wind.Turbine, error) {
	performance := n.get("performance")
	if performance == nil {
		return wind.Turbine{}, n.errorf("is no turbine: performance is missing")
	}
	name, err := n.text("name")
	if err != nil {
		return wind.Turbine{}, err
	}
	t := wind.Turbine{Name: name}
	if t.RotorDiameter, err = n.number("rotor_diameter"); err != nil {
		return t, err
	}
	if t.HubHeight, err = n.number("hub_height"); err != nil {
		return t, err
	}
	switch {
	case performance.get("power_curve") != nil:
		err = performance.powerCurve(&t)
	case performance.get("Cp_curve") != nil:
		err = performance.powerOfCp(&t)
	default:
		err = performance.cubicCurve(&t)
	}
	if err != nil {
		return t, err
	}
	area := math.Pi / 4 * t.RotorDiameter * t.RotorDiameter
	if specific := t.RatedPower / area; specific < leastSpecificPower || specific > mostSpecificPower {
		return t, performance.errorf("%g W from a rotor of %g m are %.3g W/m²: expected %d to %d, power in W", t.RatedPower, t.RotorDiameter,
			specific, leastSpecificPower, mostSpecificPower)
	}
	if t.Thrust, err = performance.thrust(); err != nil {
		return t, err
	}
	if err := t.Validate(); err != nil {
		return t, n.errorf("%v", err)
	}
	return t, nil
}

// curve reads a curve NAME_values over NAME_wind_speeds.
func (n *node) curve(key, name string) (speeds, values []float64, at func(error) error, err error) {
	c := n.get(key)
	if c == nil {
		return nil, nil, nil, n.errorf("%s is missing", key)
	}
	speeds, speedsAt, err := c.numbers(name + "_wind_speeds")
	if err != nil {
		return nil, nil, nil, err
	}
	values, valuesAt, err := c.numbers(name + "_values")
	if err != nil {
		return nil, nil, nil, err
	}
	locate := func(err error) error {
		point := (*wind.PointError)(nil)
		if !errors.As(err, &point) {
			return c.errorf("%v", err)
		}
		if point.Of == wind.Axis {
			return speedsAt[point.Index].errorf("%v", err)
		}
		return valuesAt[point.Index].errorf("%v", err)
	}
	return speeds, values, locate, nil
}

func (n *node) powerCurve(t *wind.Turbine) error {
	speeds, watts, at, err := n.curve("power_curve", "power")
	if err != nil {
		return err
	}
	return n.setPower(t, speeds, watts, at)
}

// powerOfCp turns power coefficients into power, in standard air.
func (n *node) powerOfCp(t *wind.Turbine) error {
	speeds, watts, at, err := n.curve("Cp_curve", "Cp")
	if err != nil {
		return err
	}
	efficiency := 1.0
	if n.get("generator_efficiency") != nil {
		if efficiency, err = n.number("generator_efficiency"); err != nil {
			return err
		}
	}
	area := math.Pi / 4 * t.RotorDiameter * t.RotorDiameter
	for i, speed := range speeds[:min(len(speeds), len(watts))] {
		watts[i] *= efficiency * wind.StandardAir().Density / 2 * area * speed * speed * speed
	}
	return n.setPower(t, speeds, watts, at)
}

func (n *node) setPower(t *wind.Turbine, speeds, watts []float64, at func(error) error) error {
	curve, err := wind.NewPowerTable(speeds, watts)
	if err != nil {
		return at(err)
	}
	t.Curve, t.RatedPower = curve, slices.Max(watts)
	return nil
}

// cubicCurve reads the curve of which only the ends are given.
func (n *node) cubicCurve(t *wind.Turbine) error {
	var c wind.CubicCurve
	for _, field := range []struct {
		key   string
		value *float64
	}{{"rated_power", &c.Rated}, {"rated_wind_speed", &c.AtRated}, {"cutin_wind_speed", &c.CutIn}, {"cutout_wind_speed", &c.CutOut}} {
		var err error
		if *field.value, err = n.number(field.key); err != nil {
			if n.get(field.key) != nil {
				return err
			}
			return n.errorf("expected power_curve, Cp_curve, or rated_power with rated_, cutin_ and cutout_wind_speed (%s)", field.key)
		}
	}
	if !(c.CutIn < c.AtRated && c.AtRated < c.CutOut) {
		return n.errorf("cutin_wind_speed %g, rated_wind_speed %g and cutout_wind_speed %g do not rise", c.CutIn, c.AtRated, c.CutOut)
	}
	t.Curve, t.RatedPower = c, c.Rated
	return nil
}

func (n *node) thrust() (*wind.ThrustTable, error) {
	speeds, coefficients, at, err := n.curve("Ct_curve", "Ct")
	if err != nil {
		return nil, err
	}
	table, err := wind.NewThrustTable(speeds, coefficients)
	if err != nil {
		return nil, at(err)
	}
	return table, nil
}

// layout reads the positions of a windIO farm with one type of turbine.
func (f *Files) layout(farm *node) ([]wind.Point, error) {
	if farm.kind == list {
		return nil, farm.errorf("holds %d wind farms: expected one", len(farm.list))
	}
	layouts := farm.get("layouts")
	if layouts == nil {
		return nil, farm.errorf("is no wind farm: layouts is missing")
	}
	if layouts.kind == list {
		if len(layouts.list) == 0 {
			return nil, layouts.errorf("layouts is empty")
		}
		if n := len(layouts.list); n > 1 {
			f.warn("%s:%d: the first of %d layouts is read", layouts.file, layouts.line, n)
		}
		layouts = layouts.list[0]
		layouts.used = true
	}
	if types := layouts.get("turbine_types"); types != nil && !types.isConstant() {
		return nil, types.errorf("turbine_types: a farm of several types is not computed")
	}
	if names := layouts.get("turbine_identifiers"); names != nil {
		names.use()
	}
	points, err := layouts.points("coordinates")
	f.warnOfUnused(layouts)
	return points, err
}

func (n *node) isConstant() bool {
	return !slices.ContainsFunc(n.list, func(item *node) bool { return item.scalar != n.list[0].scalar })
}

// points reads x and y of a key, or the node's own if the key is "".
func (n *node) points(key string) ([]wind.Point, error) {
	at := n
	if key != "" {
		if at = n.get(key); at == nil {
			return nil, n.errorf("%s is missing", key)
		}
	}
	for _, unused := range []string{"z", "crs"} { // of the ground, and on the earth
		if v := at.get(unused); v != nil {
			v.use()
		}
	}
	x, _, err := at.numbers("x")
	if err != nil {
		return nil, err
	}
	y, _, err := at.numbers("y")
	if err != nil {
		return nil, err
	}
	if len(x) != len(y) || len(x) == 0 {
		return nil, at.errorf("%d x and %d y make no positions", len(x), len(y))
	}
	points := make([]wind.Point, len(x))
	for i := range points {
		points[i] = wind.Point{X: x[i], Y: y[i]}
	}
	return points, nil
}

// circleVertices is how many vertices stand for a circle.
const circleVertices = 360

// site reads the boundary of a windIO site.
func (f *Files) site(n *node) (wind.Site, error) {
	var site wind.Site
	boundaries := n.get("boundaries")
	if boundaries == nil {
		return site, n.errorf("is no site: boundaries is missing")
	}
	var err error
	if site.Name, err = n.text("name"); err != nil {
		return site, err
	}
	if exclusions := n.get("exclusions"); exclusions != nil {
		return site, exclusions.errorf("exclusions are not kept clear of turbines: cut them out of the polygon")
	}
	switch polygons := boundaries.get("polygons"); {
	case polygons != nil && polygons.kind != list:
		return site, polygons.errorf("polygons: expected a list of one polygon, as in [{x: [...], y: [...]}]")
	case polygons != nil && len(polygons.list) != 1:
		return site, polygons.errorf("the site has %d polygons: expected one", len(polygons.list))
	case polygons != nil:
		var points []wind.Point
		points, err = polygons.list[0].points("")
		if last := len(points) - 1; last > 0 && points[0] == points[last] {
			points = points[:last]
		}
		site.Boundary = points
	default:
		site.Boundary, err = boundaries.circle()
	}
	if err != nil {
		return site, err
	}
	if err := site.Boundary.Validate(); err != nil {
		return site, boundaries.errorf("%v", err)
	}
	return site, nil
}

func (n *node) circle() (wind.Polygon, error) {
	circle := n.get("circle")
	if circle == nil {
		return nil, n.errorf("boundaries: expected polygons or a circle")
	}
	radius, err := circle.number("radius")
	if err != nil {
		return nil, err
	}
	centre := circle.get("center")
	if centre == nil {
		return nil, circle.errorf("center is missing")
	}
	var xy [2]float64
	for i, key := range []string{"x", "y"} {
		at := centre.get(key)
		if at == nil {
			return nil, centre.errorf("%s is missing", key)
		}
		v, ok := at.scalar.(float64)
		if !ok {
			return nil, at.errorf("%s: expected a number", key)
		}
		xy[i] = v
	}
	polygon := make(wind.Polygon, circleVertices)
	for i := range polygon {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / circleVertices)
		polygon[i] = wind.Point{X: xy[0] + radius*cos, Y: xy[1] + radius*sin}
	}
	return polygon, nil
}
