package windfile

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"windrow/internal/wind"
)

const (
	sumTolerance   = 0.01 // of frequencies that sum to 1: they are rounded
	degreeOff      = 1e-3
	heightOff      = 0.5 // m, between the hub and the height of the wind
	directionDim   = "wind_direction"
	speedDim       = "wind_speed"
	timeDim        = "time"
	probabilityKey = "probability"
	sectorKey      = "sector_probability"
	turbulenceKey  = "turbulence_intensity"
)

// resource is the variables of a wind resource.
type resource struct {
	at        *node
	variables map[string]Variable
	lines     map[string]int
	places    map[string][]*node // of the values, where they are in YAML
	texts     []string           // times that are text
	used      map[string]bool
}

// resource reads the wind resource of windIO at the height of the hub, and its
// turbulence intensity, or NaN.
func (f *Files) resource(at *node, hub float64) (wind.Climate, float64, error) {
	r := &resource{at: at, variables: map[string]Variable{}, lines: map[string]int{}, places: map[string][]*node{}, used: map[string]bool{}}
	if at.kind == netCDF {
		path, _ := at.scalar.(string)
		if f.NetCDF == nil {
			return nil, 0, at.errorf("%s: netCDF is not read here", path)
		}
		variables, err := f.NetCDF(path)
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", path, err)
		}
		r.variables = variables
		r.at = &node{file: path}
	} else if err := r.fromYAML(); err != nil {
		return nil, 0, err
	}
	if err := r.checkHeight(hub); err != nil {
		return nil, 0, err
	}
	climate, err := r.climate()
	if err != nil {
		return nil, 0, err
	}
	turbulence, err := f.turbulence(r)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(r.variables)) {
		if !r.used[name] {
			f.warn("%s is not used", r.place(name))
		}
	}
	return climate, turbulence, nil
}

// turbulence returns the turbulence intensity, or NaN if the resource has none, or
// several that are not needed.
func (f *Files) turbulence(r *resource) (float64, error) {
	values := r.variables[turbulenceKey].Values
	if len(values) == 0 {
		return math.NaN(), nil
	}
	r.used[turbulenceKey] = true
	for i, v := range values {
		if !(v >= 0 && v <= 1) {
			return 0, r.errorAt(turbulenceKey, i, "is %g: expected 0 to 1", v)
		}
	}
	least, most := slices.Min(values), slices.Max(values)
	switch {
	case least == most:
		return least, nil
	case f.NeedsTurbulence:
		return 0, r.errorf(turbulenceKey, "varies from %g to %g, and the wake model takes one for all wind: "+
			"write the one that stands for all, or choose a wake model that needs none", least, most)
	}
	f.warn("%s varies and is not used", r.place(turbulenceKey))
	return math.NaN(), nil
}

// place names a variable with its line.
func (r *resource) place(name string) string {
	if line := r.lines[name]; line > 0 {
		return fmt.Sprintf("%s:%d: %s", r.at.file, line, name)
	}
	return fmt.Sprintf("%s: %s", r.at.file, name)
}

func (r *resource) errorf(name, format string, args ...any) error {
	return fmt.Errorf("%s: %s", r.place(name), fmt.Sprintf(format, args...))
}

// errorAt returns an error about one of the values of a variable.
func (r *resource) errorAt(name string, i int, format string, args ...any) error {
	if places := r.places[name]; i < len(places) {
		return places[i].errorf("%s: %s", name, fmt.Sprintf(format, args...))
	}
	return r.errorf(name, format, args...)
}

func (r *resource) fromYAML() error {
	if r.at.kind != mapping {
		return r.at.errorf("is no wind resource: expected a map of variables")
	}
	if r.at.get(probabilityKey) == nil && r.at.get("weibull_a") == nil && r.at.get(timeDim) == nil {
		var have []string
		for _, e := range r.at.entries {
			have = append(have, e.key)
		}
		return r.noResource(have)
	}
	for _, e := range r.at.entries {
		r.lines[e.key] = e.line
		e.value.use()
		if e.key == "shear" {
			r.variables[e.key] = Variable{}
			continue
		}
		if e.key == timeDim && e.value.kind == list && len(e.value.list) > 0 && isText(e.value.list[0]) {
			for _, item := range e.value.list {
				text, _ := item.scalar.(string)
				r.texts = append(r.texts, text)
				r.places[timeDim] = append(r.places[timeDim], item)
			}
			r.variables[timeDim] = Variable{Dims: []string{timeDim}, Shape: []int{len(r.texts)}}
			continue
		}
		v, err := r.variable(e)
		if err != nil {
			return err
		}
		r.variables[e.key] = v
	}
	return nil
}

func isText(n *node) bool { _, ok := n.scalar.(string); return ok }

// variable reads a number, a list of them along a dimension of the same name,
// or a map of data and dims.
func (r *resource) variable(e entry) (Variable, error) {
	data, v := e.value, Variable{}
	switch data.kind {
	case mapping:
		if data = e.value.get("data"); data == nil {
			return v, e.value.errorf("%s: data is missing", e.key)
		}
		if dims := e.value.get("dims"); dims != nil {
			if dims.kind != list {
				return v, dims.errorf("%s: dims: expected a list of names", e.key)
			}
			for _, d := range dims.list {
				name, ok := d.scalar.(string)
				if !ok {
					return v, dims.errorf("%s: dims: expected names", e.key)
				}
				v.Dims = append(v.Dims, name)
			}
		}
	case list:
		v.Dims = []string{e.key}
	case scalar, netCDF:
	}
	if err := r.flatten(data, e.key, 0, &v); err != nil {
		return v, err
	}
	if e.key != timeDim && v.Dims != nil && len(v.Dims) != len(v.Shape) {
		return v, e.value.errorf("%s: data has %d dimensions, dims names %d", e.key, len(v.Shape), len(v.Dims))
	}
	return v, nil
}

// flatten appends the numbers of nested lists, all of one shape.
func (r *resource) flatten(n *node, key string, depth int, v *Variable) error {
	if n.kind != list {
		number, ok := n.scalar.(float64)
		if n.kind != scalar || !ok || depth != len(v.Shape) {
			return n.errorf("%s: expected numbers, in lists of one length", key)
		}
		v.Values = append(v.Values, number)
		r.places[key] = append(r.places[key], n)
		return nil
	}
	if depth == len(v.Shape) && len(v.Values) == 0 {
		v.Shape = append(v.Shape, len(n.list))
	}
	if depth >= len(v.Shape) || v.Shape[depth] != len(n.list) {
		return n.errorf("%s: expected numbers, in lists of one length", key)
	}
	for _, item := range n.list {
		if err := r.flatten(item, key, depth+1, v); err != nil {
			return err
		}
	}
	return nil
}

// checkHeight refuses wind at another height than the hub's.
func (r *resource) checkHeight(hub float64) error {
	if _, ok := r.variables["shear"]; ok {
		shear := r.at.get("shear")
		if shear == nil { // of netCDF
			shear = &node{}
		}
		if at := shear.get("h_ref"); at != nil {
			if height, ok := at.scalar.(float64); ok && math.Abs(height-hub) <= heightOff {
				return nil // it is what it is at the hub
			}
		}
		return r.errorf("shear", "the wind is at another height than the hub, which is at %g m, and is not moved there", hub)
	}
	if v, ok := r.variables["reference_height"]; ok && len(v.Values) == 1 {
		r.used["reference_height"] = true
		if math.Abs(v.Values[0]-hub) > heightOff {
			return r.errorf("reference_height", "the wind is at %g m, the hub at %g m: it is not moved there", v.Values[0], hub)
		}
	}
	return nil
}

// climate takes the first of the three forms that is there.
func (r *resource) climate() (wind.Climate, error) {
	_, series := r.variables[timeDim]
	switch {
	case series:
		return r.series()
	case r.variables["weibull_a"].Values != nil:
		return r.sectors()
	case r.variables[probabilityKey].Values != nil:
		return r.rose()
	}
	return nil, r.noResource(slices.Collect(maps.Keys(r.variables)))
}

func (r *resource) noResource(have []string) error {
	return r.at.errorf("is no wind resource: expected probability; or weibull_a, weibull_k and sector_probability; "+
		"or time, wind_speed and wind_direction. It has %s", strings.Join(slices.Sorted(slices.Values(have)), ", "))
}

// need returns a variable over exactly the dimensions, in this order.
func (r *resource) need(name string, dims ...string) (Variable, error) {
	v, ok := r.variables[name]
	if !ok || v.Values == nil {
		return v, r.at.errorf("%s is missing", name)
	}
	r.used[name] = true
	for _, d := range v.Dims {
		if !slices.Contains(dims, d) {
			return v, r.errorf(name, "varies with %s: only wind that is the same everywhere, at the hub, is read", d)
		}
	}
	if len(v.Dims) != len(dims) {
		return v, r.errorf(name, "has the dimensions %v: expected %v", v.Dims, dims)
	}
	for i, x := range v.Values {
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
			return v, r.errorAt(name, i, "has the value %g: expected 0 or more", x)
		}
	}
	return v, nil
}

// axis returns the values of a coordinate; a single number is one value.
func (r *resource) axis(name string) ([]float64, error) {
	v, ok := r.variables[name]
	if !ok || len(v.Values) == 0 || len(v.Shape) > 1 {
		return nil, r.at.errorf("%s is missing, or is no list of numbers", name)
	}
	r.used[name] = true
	return v.Values, nil
}

// directions returns the directions below 360, and whether the last one is 360,
// the first one again.
func (r *resource) directions() (directions []float64, again bool, err error) {
	directions, err = r.axis(directionDim)
	if err != nil {
		return nil, false, err
	}
	for i, d := range directions {
		switch {
		case !(d >= 0 && d <= 360):
			return nil, false, r.errorAt(directionDim, i, "is %g: expected 0 to 360", d)
		case i > 0 && !(d > directions[i-1]):
			return nil, false, r.errorAt(directionDim, i, "%g does not rise above %g", d, directions[i-1])
		}
	}
	if last := len(directions) - 1; last > 0 && directions[0] == 0 && directions[last] == 360 {
		return directions[:last], true, nil
	}
	return directions, false, nil
}

// sectors is the Weibull form.
func (r *resource) sectors() (wind.Climate, error) {
	directions, again, err := r.directions()
	if err != nil {
		return nil, err
	}
	n := len(directions)
	var values [3][]float64
	for i, name := range []string{"weibull_a", "weibull_k", sectorKey} {
		v, err := r.need(name, directionDim)
		if err != nil {
			return nil, err
		}
		if values[i] = v.Values; again && len(v.Values) == n+1 {
			values[i] = v.Values[:n]
		}
		if len(values[i]) != n {
			return nil, r.errorf(name, "has %d values for %d directions", len(values[i]), n)
		}
	}
	delete(r.variables, speedDim) // an axis of other variables
	total := 0.0
	for _, f := range values[2] {
		total += f
	}
	if math.Abs(total-1) > sumTolerance {
		return nil, r.errorf(sectorKey, "sums to %g over the directions: expected 1", total)
	}
	sectors := make(wind.WeibullSectors, n)
	for i, d := range directions {
		if want := float64(i) * 360 / float64(n); math.Abs(d-want) > degreeOff {
			return nil, r.errorAt(directionDim, i, "%g: expected %g, as the %d sectors go round from north", d, want, n)
		}
		if sectors[i] = (wind.WeibullSector{Scale: values[0][i], Shape: values[1][i], Frequency: values[2][i] / total}); !(sectors[i].Scale > 0 && sectors[i].Shape > 0) {
			return nil, r.errorAt("weibull_a", i, "weibull_a and weibull_k must be above 0")
		}
	}
	return sectors, nil
}

// rose is the form of probabilities, which are joint ones, or, beside
// sector_probability, conditional ones of the speeds in each direction.
func (r *resource) rose() (wind.Climate, error) {
	directions, again, err := r.directions()
	if err != nil {
		return nil, err
	}
	speeds, err := r.axis(speedDim)
	if err != nil {
		return nil, err
	}
	table, err := r.table(len(directions), again, len(speeds))
	if err != nil {
		return nil, err
	}
	if err := r.makeJoint(table, len(directions)); err != nil {
		return nil, err
	}
	rose := wind.Rose{Directions: directions, Speeds: speeds, Frequency: table}
	if err := rose.Validate(); err != nil {
		return nil, r.errorf(probabilityKey, "%v", err)
	}
	return rose, nil
}

// table returns the probabilities by direction and speed.
func (r *resource) table(directions int, again bool, speeds int) ([][]float64, error) {
	v := r.variables[probabilityKey]
	if len(v.Dims) == 1 && v.Dims[0] == directionDim && speeds == 1 {
		v.Dims, v.Shape = []string{directionDim, speedDim}, append(slices.Clone(v.Shape), 1)
		r.variables[probabilityKey] = v
	}
	dims := []string{directionDim, speedDim}
	turned := len(v.Dims) == 2 && v.Dims[0] == speedDim
	if turned {
		dims = []string{speedDim, directionDim}
	}
	v, err := r.need(probabilityKey, dims...)
	if err != nil {
		return nil, err
	}
	rows, columns := v.Shape[0], v.Shape[1]
	at := func(d, s int) float64 { return v.Values[d*columns+s] }
	if turned {
		rows, columns = columns, rows
		at = func(d, s int) float64 { return v.Values[s*rows+d] }
	}
	if columns != speeds || rows != directions && (!again || rows != directions+1) {
		return nil, r.errorf(probabilityKey, "has %v values for %d directions and %d speeds", v.Shape, directions, speeds)
	}
	table := make([][]float64, directions)
	for d := range table {
		for s := range speeds {
			table[d] = append(table[d], at(d, s))
		}
	}
	return table, nil
}

// makeJoint makes the table sum to 1. What the figures are is seen from their
// sums, as windIO does not say it.
func (r *resource) makeJoint(table [][]float64, directions int) error {
	sums, total := make([]float64, directions), 0.0
	for d, row := range table {
		for _, f := range row {
			sums[d] += f
		}
		total += sums[d]
	}
	if _, ok := r.variables[sectorKey]; !ok {
		if math.Abs(total-1) > sumTolerance {
			return r.errorf(probabilityKey, "sums to %g: expected 1, or sector_probability beside it", total)
		}
		scaleTo(table, func(int) float64 { return 1 / max(1, total) })
		return nil
	}
	sectors, err := r.need(sectorKey, directionDim)
	if err != nil {
		return err
	}
	if len(sectors.Values) < directions {
		return r.errorf(sectorKey, "has %d values for %d directions", len(sectors.Values), directions)
	}
	shares, share := sectors.Values[:directions], 0.0
	conditional, joint := true, true
	for d := range shares {
		share += shares[d]
		conditional = conditional && math.Abs(sums[d]-1) <= sumTolerance
		joint = joint && math.Abs(sums[d]-shares[d]) <= sumTolerance*max(shares[d], 1/float64(directions))
	}
	switch {
	case math.Abs(share-1) > sumTolerance:
		return r.errorf(sectorKey, "sums to %g over the directions: expected 1", share)
	case conditional && directions > 1:
		scaleTo(table, func(d int) float64 { return shares[d] / max(1, share) / max(1, sums[d]) })
	case joint:
		scaleTo(table, func(int) float64 { return 1 / max(1, total) })
	default:
		return r.errorf(probabilityKey, "sums to %g over all directions, and to neither 1 nor sector_probability in each: it is neither joint nor conditional", total)
	}
	return nil
}

// scaleTo multiplies the rows. What sums to a little less than 1 is left so:
// it is what was left out.
func scaleTo(table [][]float64, factor func(d int) float64) {
	for d, row := range table {
		for i := range row {
			row[i] *= factor(d)
		}
	}
}

// series is the form of times, which must be equal spans apart.
func (r *resource) series() (wind.Climate, error) {
	r.used[timeDim] = true
	n := r.variables[timeDim].Shape
	var columns [2][]float64
	for i, name := range []string{directionDim, speedDim} {
		v, ok := r.variables[name]
		if ok && len(v.Dims) == 1 && v.Dims[0] == name { // a bare list
			v.Dims = []string{timeDim}
			r.variables[name] = v
		}
		v, err := r.need(name, timeDim)
		if err != nil {
			return nil, err
		}
		if len(n) != 1 || len(v.Values) != n[0] {
			return nil, r.errorf(name, "has %d values for %v times", len(v.Values), n)
		}
		columns[i] = slices.Clone(v.Values)
	}
	if err := r.checkTimes(); err != nil {
		return nil, err
	}
	for i, d := range columns[0] {
		if d == 360 {
			columns[0][i] = 0
		} else if d > 360 {
			return nil, r.errorAt(directionDim, i, "is %g: expected 0 to 360", d)
		}
	}
	return wind.Series{Directions: columns[0], Speeds: columns[1]}, nil
}

func (r *resource) checkTimes() error {
	times := slices.Clone(r.variables[timeDim].Values)
	for i, text := range r.texts {
		t, err := time.Parse(time.RFC3339, text)
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"} { // without a zone
			if err != nil {
				t, err = time.Parse(layout, text)
			}
		}
		if err != nil {
			return r.errorAt(timeDim, i, "%q: expected a time as in 2023-07-25T00:00:00Z", text)
		}
		times = append(times, float64(t.Unix()))
	}
	for i := 2; i < len(times); i++ {
		if step := times[1] - times[0]; math.Abs(times[i]-times[i-1]-step) > sumTolerance*math.Abs(step) {
			return r.errorAt(timeDim, i, "value %d comes after another span than the second: expected equal spans", i+1)
		}
	}
	return nil
}
