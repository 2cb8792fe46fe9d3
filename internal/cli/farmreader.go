package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/spec"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// farmReader reads farms from a file that may be anybody's.
type farmReader struct {
	ctx    context.Context //nolint:containedctx // of one command
	reader *foreign.Reader
	file   string
	sets   map[string]foreign.Dataset // of the root
	groups []string                   // of the root
	spec   *spec.Spec
}

// open opens the dataset, if it is of the windfarm model with these columns, of
// so many dimensions.
func (f *farmReader) open(columns map[string]int) error {
	root, err := f.reader.List(f.ctx, f.file, "/")
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return &exitError{exitCorrupt, fmt.Errorf("%s: %s", f.file, damage.Reason), "windrow check " + f.file}
	}
	if err != nil {
		return err
	}
	f.groups = root.Groups
	f.sets = map[string]foreign.Dataset{}
	for _, d := range root.Datasets {
		f.sets[d.Name] = d
	}
	noFarms := &exitError{exitUsage, fmt.Errorf("%s has no farms of the windfarm model", f.file), "windrow inspect " + f.file}
	s, err := spec.Decode([]byte(textOf(valuesOf(root.Attributes), "spec")))
	if err != nil || s.Simulator.Windfarm == nil {
		return noFarms
	}
	for name, dimensions := range columns {
		if d, ok := f.sets[name]; !ok || len(d.Shape) != dimensions || d.Shape[0] != f.sets["task"].Shape[0] {
			return noFarms
		}
	}
	f.spec = s
	return nil
}

// config returns the model.
func (f *farmReader) config() *spec.Windfarm { return f.spec.Simulator.Windfarm }

// has tells whether a group is in the root, and if not, what to tell.
func (f *farmReader) has(group, what string) error {
	if slices.Contains(f.groups, group) {
		return nil
	}
	return &exitError{exitUsage, fmt.Errorf("%s does not have %s it was computed with: a run's first event had no room for it", f.file, what), ""}
}

// numbers reads n rows of a column.
func (f *farmReader) numbers(name string, first, n int64) ([]float64, error) {
	read, err := f.reader.Read(f.ctx, f.file, "/"+name, first, n)
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return nil, &exitError{exitCorrupt, fmt.Errorf("%s: %s", name, damage.Reason), "windrow check " + f.file}
	}
	if err != nil {
		return nil, err
	}
	kind := f.sets[name].Type
	numbers := make([]float64, 0, len(read.Bytes)/max(1, kind.Bytes()))
	for at := 0; at+kind.Bytes() <= len(read.Bytes) && kind.Bytes() > 0; at += kind.Bytes() {
		switch v := foreign.Element(kind, read.Bytes[at:at+kind.Bytes()]).(type) {
		case float64:
			numbers = append(numbers, v)
		case int64:
			numbers = append(numbers, float64(v))
		default:
			return nil, fmt.Errorf("column %s is not of numbers", name)
		}
	}
	if len(numbers) == 0 || int64(len(numbers))%n != 0 {
		return nil, fmt.Errorf("column %s has %d values in %d rows", name, len(numbers), n)
	}
	return numbers, nil
}

// turbine returns the turbine of a number, from its group.
func (f *farmReader) turbine(number string) (wind.Turbine, error) {
	if err := f.has("turbines", "the turbines that"); err != nil {
		return wind.Turbine{}, err
	}
	curves, about, err := f.group("/turbines/" + number)
	if err != nil {
		return wind.Turbine{}, err
	}
	t := wind.Turbine{Name: textOf(about, "name")}
	t.HubHeight, _ = about["hub_height_m"].(float64)
	t.RotorDiameter, _ = about["rotor_diameter_m"].(float64)
	t.RatedPower, _ = about["rated_power_w"].(float64)
	return t.WithTable(curves["wind_speed"].Values, curves["power"].Values, curves["thrust_coefficient"].Values)
}

// site returns the site of a farm id, from its group.
func (f *farmReader) site(farmID int64) (wind.Site, error) {
	if err := f.has("sites", "the boundary that"); err != nil {
		return wind.Site{}, err
	}
	group, about, err := f.group(fmt.Sprintf("/sites/%d", farmID))
	if err != nil {
		return wind.Site{}, err
	}
	site := wind.Site{Name: textOf(about, "name")}
	x, y := group["x"].Values, group["y"].Values
	for i := range min(len(x), len(y)) {
		site.Boundary = append(site.Boundary, wind.Point{X: x[i], Y: y[i]})
	}
	return site, site.Boundary.Validate()
}

// climate returns the wind, from its group.
func (f *farmReader) climate() (wind.Climate, wind.Air, error) {
	air := wind.StandardAir()
	if err := f.has("wind", "the wind that"); err != nil {
		return nil, air, err
	}
	group, about, err := f.group("/wind")
	if err != nil {
		return nil, air, err
	}
	if turbulence, ok := about["turbulence_intensity"].(float64); ok {
		air.Turbulence = turbulence
	}
	directions, speeds := group["wind_direction"].Values, group["wind_speed"].Values
	if scales := group["weibull_a"].Values; scales != nil {
		shapes, shares := group["weibull_k"].Values, group["sector_probability"].Values
		if len(shapes) != len(scales) || len(shares) != len(scales) {
			return nil, air, errors.New("the group wind has sectors of unequal numbers")
		}
		sectors := make(wind.WeibullSectors, len(scales))
		for i := range sectors {
			sectors[i] = wind.WeibullSector{Scale: scales[i], Shape: shapes[i], Frequency: shares[i]}
		}
		return sectors, air, nil
	}
	if shares := group["probability"].Values; shares != nil {
		rose := wind.Rose{Directions: directions, Speeds: speeds}
		for row := range slices.Chunk(shares, max(1, len(speeds))) {
			rose.Frequency = append(rose.Frequency, row)
		}
		if err := rose.Validate(); err != nil {
			return nil, air, fmt.Errorf("the group wind: %w", err)
		}
		if f.config().Directions > 0 {
			return wind.SectorTable{Rose: rose}, air, nil
		}
		return rose, air, nil
	}
	return wind.Series{Directions: directions, Speeds: speeds}, air, nil
}

// group returns the numbers in a group, and its attributes.
func (f *farmReader) group(path string) (map[string]windfile.Variable, map[string]any, error) {
	g, err := f.reader.List(f.ctx, f.file, path)
	if err != nil {
		return nil, nil, fmt.Errorf("it does not say what it was computed with: %w", err)
	}
	variables := map[string]windfile.Variable{}
	for _, d := range g.Datasets {
		if len(d.Shape) == 0 || d.Type.Kind != h5.Float64 {
			continue
		}
		rows, err := f.reader.Read(f.ctx, f.file, path+"/"+d.Name, 0, d.Shape[0])
		if err != nil {
			return nil, nil, err
		}
		v := windfile.Variable{Values: make([]float64, len(rows.Bytes)/8)}
		if _, err := binary.Decode(rows.Bytes, binary.LittleEndian, v.Values); err != nil {
			return nil, nil, fmt.Errorf("read %s/%s: %w", path, d.Name, err)
		}
		for _, n := range d.Shape {
			v.Shape = append(v.Shape, int(n))
		}
		variables[d.Name] = v
	}
	nameDimensions(variables)
	return variables, valuesOf(g.Attributes), nil
}

// nameDimensions gives variables of wind their dimensions: those that windIO
// has.
func nameDimensions(variables map[string]windfile.Variable) {
	_, series := variables["time"]
	for name, v := range variables {
		switch {
		case series:
			v.Dims = []string{"time"}
		case name == "wind_speed":
			v.Dims = []string{name}
		case len(v.Shape) == 2:
			v.Dims = []string{"wind_direction", "wind_speed"}
		default:
			v.Dims = []string{"wind_direction"}
		}
		variables[name] = v
	}
}
