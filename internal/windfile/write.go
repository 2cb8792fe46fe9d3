package windfile

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"

	"github.com/goccy/go-yaml"

	"windrow/internal/atomicfile"
	"windrow/internal/wind"
)

// System is a wind energy system: a farm on a site, in the wind there, and what
// its turbines make.
type System struct {
	Name       string
	Boundary   wind.Polygon // nil: a circle around the farm
	Layout     []wind.Point
	Turbine    wind.Turbine
	Wind       []NamedVariable // of windIO's wind resource; dimensions before what is over them
	Turbulence float64         // intensity
	TurbineAEP []float64       // GWh
}

// NamedVariable is a variable with its name.
type NamedVariable struct {
	Name string
	Variable
}

// SystemFile is the file of a system that includes the others.
const SystemFile = "wind_energy_system.yaml"

// hoursPerYear is as in the energies of package wind.
const hoursPerYear = 8760

// Write writes the system as YAML of windIO into a directory: SystemFile, the
// files that it includes, and turbine_data.yaml with the mean power of each
// turbine in W.
func (s *System) Write(dir string) error {
	for _, f := range []struct {
		name    string
		content yaml.MapSlice
	}{
		{"turbine.yaml", s.turbine()},
		{"energy_resource.yaml", s.resource()},
		{"turbine_data.yaml", s.turbineData()},
	} {
		text, err := yaml.Marshal(f.content)
		if err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if err := writeFile(filepath.Join(dir, f.name), text); err != nil {
			return err
		}
	}
	// The library cannot write !include.
	for _, f := range []struct {
		name, includes string
		content        yaml.MapSlice
	}{
		{"site.yaml", "energy_resource: !include energy_resource.yaml\n", yaml.MapSlice{{Key: "name", Value: s.Name}, {Key: "boundaries", Value: s.boundaries()}}},
		{"wind_farm.yaml", "turbines: !include turbine.yaml\n", yaml.MapSlice{{Key: "name", Value: s.Name}, {Key: "layouts", Value: []yaml.MapSlice{{{Key: "coordinates", Value: positions(s.Layout)}}}}}},
		{SystemFile, "site: !include site.yaml\nwind_farm: !include wind_farm.yaml\n", yaml.MapSlice{{Key: "name", Value: s.Name}}},
	} {
		text, err := yaml.Marshal(f.content)
		if err != nil {
			return fmt.Errorf("write %s: %w", f.name, err)
		}
		if err := writeFile(filepath.Join(dir, f.name), append(text, f.includes...)); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, text []byte) error {
	return atomicfile.Write(path, 0o644, func(w io.Writer) error { _, err := w.Write(text); return err })
}

// numbers are written in one line, and without exponents, which YAML 1.1 takes
// as text.
type numbers []float64

// MarshalYAML implements [yaml.BytesMarshaler].
func (n numbers) MarshalYAML() ([]byte, error) {
	text := []byte("[")
	for i, v := range n {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = strconv.AppendFloat(text, v, 'f', -1, 64)
	}
	return append(text, ']'), nil
}

func positions(points []wind.Point) yaml.MapSlice {
	var x, y numbers
	for _, p := range points {
		x, y = append(x, p.X), append(y, p.Y)
	}
	return yaml.MapSlice{{Key: "x", Value: x}, {Key: "y", Value: y}}
}

func (s *System) boundaries() yaml.MapSlice {
	if s.Boundary != nil {
		return yaml.MapSlice{{Key: "polygons", Value: []yaml.MapSlice{positions(s.Boundary)}}}
	}
	radius := s.Turbine.RotorDiameter / 2
	for _, p := range s.Layout {
		radius = max(radius, math.Hypot(p.X, p.Y)+s.Turbine.RotorDiameter/2)
	}
	return yaml.MapSlice{{Key: "circle", Value: yaml.MapSlice{
		{Key: "center", Value: yaml.MapSlice{{Key: "x", Value: 0.0}, {Key: "y", Value: 0.0}}},
		{Key: "radius", Value: radius},
	}}}
}

func (s *System) turbine() yaml.MapSlice {
	t := s.Turbine
	speeds, power, thrust := t.Curves()
	performance := yaml.MapSlice{{Key: "power_curve", Value: yaml.MapSlice{{Key: "power_wind_speeds", Value: numbers(speeds)}, {Key: "power_values", Value: numbers(power)}}}}
	if thrust != nil {
		performance = append(performance, yaml.MapItem{
			Key: "Ct_curve", Value: yaml.MapSlice{{Key: "Ct_wind_speeds", Value: numbers(speeds)}, {Key: "Ct_values", Value: numbers(thrust)}},
		})
	}
	return yaml.MapSlice{
		{Key: "name", Value: t.Name},
		{Key: "performance", Value: performance},
		{Key: "hub_height", Value: t.HubHeight},
		{Key: "rotor_diameter", Value: t.RotorDiameter},
	}
}

func (s *System) resource() yaml.MapSlice {
	var resource yaml.MapSlice
	for _, v := range s.Wind {
		if len(v.Dims) == 1 && v.Dims[0] == v.Name {
			resource = append(resource, yaml.MapItem{Key: v.Name, Value: numbers(v.Values)})
			continue
		}
		resource = append(resource, yaml.MapItem{Key: v.Name, Value: yaml.MapSlice{{Key: "data", Value: nested(v.Values, v.Shape)}, {Key: "dims", Value: v.Dims}}})
	}
	resource = append(resource, yaml.MapItem{
		Key: "turbulence_intensity", Value: yaml.MapSlice{{Key: "data", Value: s.Turbulence}, {Key: "dims", Value: []string{}}},
	})
	return yaml.MapSlice{{Key: "name", Value: s.Name}, {Key: "wind_resource", Value: resource}}
}

// nested turns row-major numbers into lists of lists.
func nested(values []float64, shape []int) any {
	if len(shape) < 2 || shape[0] == 0 {
		return numbers(values)
	}
	var rows []any
	each := len(values) / shape[0]
	for i := range shape[0] {
		rows = append(rows, nested(values[i*each:(i+1)*each], shape[1:]))
	}
	return rows
}

func (s *System) turbineData() yaml.MapSlice {
	turbines, power := make(numbers, len(s.TurbineAEP)), make(numbers, len(s.TurbineAEP))
	for i, energy := range s.TurbineAEP {
		turbines[i], power[i] = float64(i), energy*1e9/hoursPerYear
	}
	return yaml.MapSlice{
		{Key: "time", Value: 0},
		{Key: "turbine", Value: turbines},
		{Key: "power", Value: yaml.MapSlice{{Key: "data", Value: power}, {Key: "dims", Value: []string{"turbine"}}}},
	}
}
