package windfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"windrow/internal/wind"
)

// florisTurbine is what matters here of a turbine of the FLORIS library.
type florisTurbine struct {
	Type     string        `yaml:"turbine_type"`
	Hub      florisNumbers `yaml:"hub_height"`     // m
	Diameter florisNumbers `yaml:"rotor_diameter"` // m
	Table    struct {
		Density florisNumbers `yaml:"ref_air_density"` // kg/m³
		Speeds  florisNumbers `yaml:"wind_speed"`      // m/s
		Powers  florisNumbers `yaml:"power"`           // kW
		Thrusts florisNumbers `yaml:"thrust_coefficient"`
		Old     florisNumbers `yaml:"thrust"` // of FLORIS 3, where power is its coefficient
	} `yaml:"power_thrust_table"`
}

// florisNumbers is a number or a list of them, with their lines.
type florisNumbers struct {
	values []float64
	lines  []int
}

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (n *florisNumbers) UnmarshalYAML(node ast.Node) error {
	items := []ast.Node{node}
	if list, ok := node.(*ast.SequenceNode); ok {
		items = list.Values
	}
	for _, item := range items {
		value := math.NaN() // of null, which no table may hold
		if _, none := item.(*ast.NullNode); !none {
			if err := yaml.NodeToValue(item, &value); err != nil {
				return err
			}
		}
		n.values = append(n.values, value)
		n.lines = append(n.lines, item.GetToken().Position.Line)
	}
	return nil
}

// size returns the number of a key, which must be above 0.
func (n *florisNumbers) size(name, key string) (float64, error) {
	switch {
	case len(n.values) == 0:
		return 0, fmt.Errorf("%s: %s is missing", name, key)
	case len(n.values) > 1 || !(n.values[0] > 0) || math.IsInf(n.values[0], 0):
		return 0, fmt.Errorf("%s:%d: %s: expected a number above 0", name, n.lines[0], key)
	}
	return n.values[0], nil
}

func readFLORIS(name string, r io.Reader) (wind.Turbine, error) {
	f := florisTurbine{Type: name}
	if err := yaml.NewDecoder(r).Decode(&f); err != nil {
		return wind.Turbine{}, locateYAML(name, err)
	}
	if len(f.Table.Powers.values) == 0 {
		return wind.Turbine{}, fmt.Errorf("%s: has no power_thrust_table.power: only files of FLORIS 4 are read", name)
	}
	if old := f.Table.Old.lines; len(old) > 0 {
		return wind.Turbine{}, fmt.Errorf("%s:%d: power_thrust_table.thrust is of FLORIS 3: only files of FLORIS 4 are read", name, old[0])
	}
	diameter, err := f.Diameter.size(name, "rotor_diameter")
	if err != nil {
		return wind.Turbine{}, err
	}
	hub, err := f.Hub.size(name, "hub_height")
	if err != nil {
		return wind.Turbine{}, err
	}
	for i, density := range f.Table.Density.values {
		if density != wind.StandardAir().Density {
			return wind.Turbine{}, fmt.Errorf("%s:%d: ref_air_density is %g: only curves at %g kg/m³ are read",
				name, f.Table.Density.lines[i], density, wind.StandardAir().Density)
		}
	}
	watts := make([]float64, len(f.Table.Powers.values))
	for i, kilowatts := range f.Table.Powers.values {
		watts[i] = kilowatts * 1e3
	}
	sizes := wind.Turbine{Name: f.Type, RotorDiameter: diameter, HubHeight: hub, RatedPower: slices.Max(watts)}
	turbine, err := sizes.WithTable(f.Table.Speeds.values, watts, f.Table.Thrusts.values)
	if err == nil {
		err = turbine.Validate()
	}
	if err != nil {
		return wind.Turbine{}, f.locate(name, err)
	}
	return turbine, nil
}

// locate names the line of the point that is wrong.
func (f *florisTurbine) locate(name string, err error) error {
	var point *wind.PointError
	if !errors.As(err, &point) {
		return fmt.Errorf("%s:%d: %w", name, f.Table.Powers.lines[0], err)
	}
	lines := map[wind.Quantity][]int{wind.Axis: f.Table.Speeds.lines, wind.Power: f.Table.Powers.lines, wind.Thrust: f.Table.Thrusts.lines}[point.Of]
	return fmt.Errorf("%s:%d: %w", name, lines[point.Index], err)
}

// locateYAML names the line that is not YAML, or holds what nobody expects there.
func locateYAML(name string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: is empty", name)
	}
	var bad yaml.Error
	if !errors.As(err, &bad) || bad.GetToken() == nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if wrong := (*yaml.TypeError)(nil); errors.As(err, &wrong) {
		what := "a number"
		if wrong.DstType != nil && wrong.DstType.Kind() == reflect.String {
			what = "text"
		}
		return fmt.Errorf("%s:%d: %q: expected %s", name, bad.GetToken().Position.Line, bad.GetToken().Value, what)
	}
	return fmt.Errorf("%s:%d: %s", name, bad.GetToken().Position.Line, bad.GetMessage())
}
