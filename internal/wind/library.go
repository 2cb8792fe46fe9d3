package wind

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// CubicCurve is a power curve that rises with the cube of the wind speed from
// cut-in to rated speed, as the turbines of IEA Wind Task 37's case studies have
// it.
type CubicCurve struct {
	Rated                  float64 // W
	CutIn, AtRated, CutOut float64 // m/s
}

// Power implements PowerCurve.
func (c CubicCurve) Power(speed float64) float64 {
	switch {
	case !(speed >= c.CutIn && speed < c.CutOut):
		return 0
	case speed < c.AtRated:
		part := (speed - c.CutIn) / (c.AtRated - c.CutIn)
		return c.Rated * part * part * part
	default:
		return c.Rated
	}
}

func caseStudyTurbine(name string, diameter, hub, rated, atSpeed float64) Turbine {
	constant, err := NewThrustTable([]float64{0, 50}, []float64{thrust, thrust})
	if err != nil {
		panic(err)
	}
	return Turbine{Name: name, RotorDiameter: diameter, HubHeight: hub, RatedPower: rated, Curve: CubicCurve{Rated: rated, CutIn: 4, AtRated: atSpeed, CutOut: 25}, Thrust: constant}
}

// tabulated are the built-in turbines in data/turbines.
var tabulated = []string{"nrel_5mw", "iea_10mw", "iea_15mw", "dtu_10mw", "v80"}

// TurbineNames returns the names that [NewTurbine] knows.
func TurbineNames() []string {
	names := slices.Concat(tabulated, []string{"iea37_3.35mw", "iea37_10mw"})
	for _, r := range readData("data/turbine_types.csv") { // without their curves: the help asks at every start
		names = append(names, tenderName(r.number("rated_mw")))
	}
	return names
}

func tenderName(megawatts float64) string { return fmt.Sprintf("tender_%gmw", megawatts) }

// NewTurbine returns a built-in turbine: those of the FLORIS library, the DTU
// 10 MW reference turbine, the Vestas V80 of Horns Rev 1, both of the IEA37 case
// studies, and the six types of the tender campaign. They stop above 25 m/s, the
// types of the campaign above 30 m/s, where their published tables end.
// Names may be in any case.
func NewTurbine(name string) (Turbine, error) {
	name = strings.ToLower(name)
	switch name {
	case "iea37_3.35mw":
		return caseStudyTurbine(name, 130, 110, 3.35e6, 9.8), nil
	case "iea37_10mw":
		return caseStudyTurbine(name, 198, 119, 10e6, 11), nil
	}
	for _, t := range TurbineTypes() {
		if name == tenderName(t.RatedPower/1e6) {
			return t.Turbine, nil
		}
	}
	if !slices.Contains(tabulated, name) {
		return Turbine{}, fmt.Errorf("there is no built-in turbine %q: expected one of %s", name, strings.Join(TurbineNames(), ", "))
	}
	text, err := data.ReadFile("data/turbines/" + name + ".csv")
	if err != nil {
		return Turbine{}, fmt.Errorf("read built-in turbine: %w", err)
	}
	return ReadTurbine(name, bytes.NewReader(text))
}

// ReadTurbine reads a turbine from CSV. The sizes are in comments above the
// table; the power may be in W or kW as the column says, and the thrust
// coefficient may be missing:
//
//	# rotor_diameter_m: 80
//	# hub_height_m: 70
//	# rated_power_kw: 2000
//	wind_speed_ms,power_kw,thrust_coefficient
//	4,66.6,0.818
func ReadTurbine(name string, r io.Reader) (Turbine, error) {
	text, err := readText(r)
	if err != nil {
		return Turbine{}, fmt.Errorf("%s: %w", name, err)
	}
	turbine := Turbine{Name: name}
	sizes := map[string]*float64{
		"rotor_diameter_m": &turbine.RotorDiameter, "hub_height_m": &turbine.HubHeight, "rated_power_kw": &turbine.RatedPower,
	}
	line := 0
	for l := range strings.Lines(string(text)) {
		line++
		comment, ok := strings.CutPrefix(strings.TrimSpace(l), "#")
		if !ok {
			continue
		}
		key, value, _ := strings.Cut(comment, ":")
		if size := sizes[strings.TrimSpace(key)]; size != nil {
			if *size, err = strconv.ParseFloat(strings.TrimSpace(value), 64); err != nil || !positive(*size) {
				return Turbine{}, fmt.Errorf("%s:%d: %s: expected a number above 0", name, line, strings.TrimSpace(comment))
			}
		}
	}
	turbine.RatedPower *= 1e3
	for _, key := range []string{"rotor_diameter_m", "hub_height_m", "rated_power_kw"} {
		if size := sizes[key]; !positive(*size) {
			return Turbine{}, fmt.Errorf("%s: lacks a line \"# %s: NUMBER\" above the table", name, key)
		}
	}
	return turbine.withCurves(name, bytes.NewReader(text))
}

// withCurves returns the turbine with the curves of a table.
func (t Turbine) withCurves(name string, r io.Reader) (Turbine, error) {
	table, err := readColumns(name, r)
	if err != nil {
		return Turbine{}, err
	}
	watts := table.values["power_w"]
	for _, kilowatts := range table.values["power_kw"] {
		watts = append(watts, kilowatts*1e3)
	}
	if len(watts) != len(table.lines) {
		return Turbine{}, fmt.Errorf("%s:%d: expected a column power_kw or power_w, and not both", name, table.header)
	}
	speeds, err := table.need("wind_speed_ms")
	if err != nil {
		return Turbine{}, err
	}
	turbine, err := t.WithTable(speeds[0], watts, table.values["thrust_coefficient"])
	if point := (*PointError)(nil); errors.As(err, &point) {
		return Turbine{}, fmt.Errorf("%s:%d: %w", name, table.lines[point.Index], err)
	}
	if err != nil {
		return Turbine{}, fmt.Errorf("%s:%d: %w", name, table.header, err)
	}
	return turbine, nil
}

// Warning returns what is odd about a turbine that somebody gives but not
// impossible, or nothing: a power curve that ends before the turbine stops makes
// no difference here, as there is no power beyond the table, but other tools go on
// with the last value. Of the built-in turbines it is known where they stop.
func (t Turbine) Warning() string {
	if table, ok := t.Curve.(*PowerTable); ok {
		if last := table.knots[len(table.knots)-1]; last.value > 0 {
			return fmt.Sprintf("turbine %s: the power curve ends at %g m/s with %g kW, not zero; beyond it the power is taken as zero", t.Name, last.speed, last.value/1e3)
		}
	}
	return ""
}

// readText leaves out the byte order mark with which Excel begins.
func readText(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(r)
	return bytes.TrimPrefix(text, []byte("\ufeff")), err
}

// columns is a table of numbers as it was read.
type columns struct {
	name   string
	header int // line number
	lines  []int
	values map[string][]float64
}

// readColumns reads CSV with # comments and a header in any case. Every field is a number,
// but those of a column called time, which is left out.
func readColumns(name string, r io.Reader) (columns, error) {
	text, err := readText(r)
	if err != nil {
		return columns{}, fmt.Errorf("%s: %w", name, err)
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment, reader.TrimLeadingSpace = '#', true
	header, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		return columns{}, fmt.Errorf("%s: is empty", name)
	case err != nil:
		return columns{}, locateCSV(name, err)
	}
	for i := range header {
		header[i] = strings.ToLower(strings.TrimSpace(header[i]))
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		line, _ := reader.FieldPos(0)
		return columns{}, fmt.Errorf("%s:%d: the header is %q: expected commas between the columns", name, line, header[0])
	}
	t := columns{name: name, values: make(map[string][]float64)}
	t.header, _ = reader.FieldPos(0)
	for i, column := range header {
		if slices.Contains(header[:i], column) {
			return columns{}, fmt.Errorf("%s:%d: has two columns called %q", name, t.header, column)
		}
	}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, csv.ErrFieldCount) {
			line, _ := reader.FieldPos(0)
			return columns{}, fmt.Errorf("%s:%d: has %d fields: expected %d, as the header in line %d", name, line, len(fields), len(header), t.header)
		}
		if err != nil {
			return columns{}, locateCSV(name, err)
		}
		line, _ := reader.FieldPos(0)
		t.lines = append(t.lines, line)
		for i, field := range fields {
			if header[i] == "time" { // of a series; its spans are equal
				continue
			}
			v, err := strconv.ParseFloat(strings.TrimSpace(field), 64)
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				return columns{}, fmt.Errorf("%s:%d: %s is %q: expected a number", name, line, header[i], field)
			}
			t.values[header[i]] = append(t.values[header[i]], v)
		}
	}
	if len(t.lines) == 0 {
		return columns{}, fmt.Errorf("%s:%d: has no rows below the header", name, t.header)
	}
	return t, nil
}

// locateCSV names the line that is not CSV.
func locateCSV(name string, err error) error {
	var bad *csv.ParseError
	if !errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s:%d: %w", name, bad.Line, bad.Err)
}

// need returns columns by their names.
func (t columns) need(names ...string) ([][]float64, error) {
	var found [][]float64
	for _, name := range names {
		values, ok := t.values[name]
		if !ok {
			return nil, fmt.Errorf("%s:%d: has no column %s: expected %s", t.name, t.header, name, strings.Join(names, ","))
		}
		found = append(found, values)
	}
	return found, nil
}

// needPositive returns columns by their names, none of which may go below zero.
func (t columns) needPositive(names ...string) ([][]float64, error) {
	found, err := t.need(names...)
	if err != nil {
		return nil, err
	}
	for row, line := range t.lines {
		for i, values := range found {
			if values[row] < 0 {
				return nil, fmt.Errorf("%s:%d: %s is %g: expected 0 or more", t.name, line, names[i], values[row])
			}
		}
	}
	return found, nil
}

// NewGenericTurbine returns a turbine of which only the rated power in W and the
// diameter in m are known. Up to its rated speed it takes 45 % of the power of the
// wind at a thrust coefficient of 8/9, the optimum of one-dimensional momentum
// theory; above, it pitches to the rated power, with the thrust that the theory
// has for what is left. It starts at 3 m/s and stops above 25 m/s. The lower end
// of its rotor is 25 m above the ground.
func NewGenericTurbine(rated, diameter float64) (Turbine, error) {
	const (
		taken        = 0.45
		cutIn        = 3
		cutOut       = 25
		stepsPerUnit = 10 // per m/s
	)
	t := Turbine{Name: fmt.Sprintf("generic %g MW", rated/1e6), RotorDiameter: diameter, HubHeight: diameter/2 + 25, RatedPower: rated}
	var speeds, powers, thrusts []float64
	for i := cutIn * stepsPerUnit; i <= cutOut*stepsPerUnit; i++ {
		speed := float64(i) / stepsPerUnit
		inWind := t.powerOfWind(speed)
		power := min(rated, taken*inWind)
		speeds, powers = append(speeds, speed), append(powers, power)
		thrusts = append(thrusts, thrustFor(power/inWind/taken*betzLimit))
	}
	speeds, powers, thrusts = append(speeds, cutOut+1e-3), append(powers, 0), append(thrusts, 0)
	power, err := NewPowerTable(speeds, powers)
	if err != nil {
		return Turbine{}, err
	}
	t.Curve = power
	if t.Thrust, err = NewThrustTable(speeds, thrusts); err != nil {
		return Turbine{}, err
	}
	return t, t.Validate()
}

// thrustFor returns the thrust coefficient 4 a (1 - a) for the induction a up to
// 1/3 with the power coefficient 4 a (1 - a)², found by bisection.
func thrustFor(coefficient float64) float64 {
	low, high := 0.0, 1./3
	for range 60 {
		if a := (low + high) / 2; 4*a*(1-a)*(1-a) < coefficient {
			low = a
		} else {
			high = a
		}
	}
	return 4 * high * (1 - high)
}
