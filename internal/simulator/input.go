package simulator

import (
	"fmt"

	"windrow/internal/message"
	"windrow/internal/wind"
)

// The groups of the dataset in which the inputs are.
const (
	sitesGroup    = "sites"
	turbinesGroup = "turbines"
	windGroup     = "wind"
)

// inputs returns what the rows are computed with, for the groups of the
// dataset: the sites, the turbines of the given types, and the wind. The names of
// the wind's variables are those of windIO. What a run's first event has no room
// for is left out, with a warning.
func (f *farms) inputs(types []int64, warn func(string)) []message.Input {
	var inputs []message.Input
	size := 2 // of the brackets
	add := func(in message.Input) {
		n := in.Size() + 1 // and a comma
		if size+n > message.MaxInputBytes {
			warn(fmt.Sprintf("the group %s is too long for the dataset: plot and export --windio will not have it", in.Path))
			return
		}
		inputs, size = append(inputs, in), size+n
	}
	for i, site := range f.sites {
		add(siteInput(i, site))
	}
	for _, t := range types {
		add(turbineInput(t, f.turbines[t]))
	}
	resource := windInput(f.climate)
	resource.Attributes = []message.Attribute{{Name: "turbulence_intensity", Number: &f.air.Turbulence}}
	add(resource)
	return inputs
}

func siteInput(farmID int, site wind.Site) message.Input {
	var number, x, y []float64
	for i, vertex := range site.Boundary {
		number, x, y = append(number, float64(i)), append(x, vertex.X), append(y, vertex.Y)
	}
	along := []string{"vertex"}
	return message.Input{
		Path:       fmt.Sprintf("%s/%d", sitesGroup, farmID),
		Attributes: []message.Attribute{{Name: "name", Text: site.Name}},
		Variables: []message.Numbers{
			dimension("vertex", "1", "number of the vertex, in order around the site", number),
			{Name: "x", Unit: "m", LongName: "boundary, as the coordinates of layout", Dims: along, Values: x},
			{Name: "y", Unit: "m", LongName: "boundary, as the coordinates of layout", Dims: along, Values: y},
		},
	}
}

func turbineInput(farmType int64, t wind.Turbine) message.Input {
	speeds, watts, thrusts := t.Curves()
	in := message.Input{
		Path: fmt.Sprintf("%s/%d", turbinesGroup, farmType),
		Attributes: []message.Attribute{
			{Name: "name", Text: t.Name},
			{Name: "rotor_diameter_m", Number: &t.RotorDiameter},
			{Name: "hub_height_m", Number: &t.HubHeight},
			{Name: "rated_power_w", Number: &t.RatedPower},
		},
		Variables: []message.Numbers{
			dimension("wind_speed", "m s-1", "wind speed at the hub", speeds),
			{Name: "power", Unit: "W", LongName: "electrical power, straight between the speeds, zero outside", Dims: []string{"wind_speed"}, Values: watts},
		},
	}
	if thrusts != nil {
		in.Variables = append(in.Variables, message.Numbers{
			Name: "thrust_coefficient", Unit: "1", LongName: "thrust coefficient", Dims: []string{"wind_speed"}, Values: thrusts,
		})
	}
	return in
}

func dimension(name, unit, longName string, values []float64) message.Numbers {
	return message.Numbers{Name: name, Unit: unit, LongName: longName, Dims: []string{name}, Values: values}
}

func windInput(climate wind.Climate) message.Input {
	in := message.Input{Path: windGroup}
	directions := func(values []float64) message.Numbers {
		return dimension("wind_direction", "degree", "where the wind comes from, clockwise from north", values)
	}
	switch c := climate.(type) {
	case wind.WeibullSectors:
		var centres, scales, shapes, shares []float64
		for i, s := range c {
			centres = append(centres, float64(i)*360/float64(len(c)))
			scales, shapes, shares = append(scales, s.Scale), append(shapes, s.Shape), append(shares, s.Frequency)
		}
		along := []string{"wind_direction"}
		in.Variables = []message.Numbers{
			directions(centres),
			{Name: "weibull_a", Unit: "m s-1", LongName: "scale of the Weibull distribution of the speed", Dims: along, Values: scales},
			{Name: "weibull_k", Unit: "1", LongName: "shape of the Weibull distribution of the speed", Dims: along, Values: shapes},
			{Name: "sector_probability", Unit: "1", LongName: "share of the year", Dims: along, Values: shares},
		}
	case wind.SectorTable:
		return windInput(c.Rose)
	case wind.Rose:
		var shares []float64
		for _, row := range c.Frequency {
			shares = append(shares, row...)
		}
		in.Variables = []message.Numbers{
			directions(c.Directions),
			dimension("wind_speed", "m s-1", "wind speed at the hub", c.Speeds),
			{Name: "probability", Unit: "1", LongName: "share of the year", Dims: []string{"wind_direction", "wind_speed"}, Values: shares},
		}
	case wind.Series:
		spans := make([]float64, len(c.Speeds))
		for i := range spans {
			spans[i] = float64(i)
		}
		along := []string{"time"}
		in.Variables = []message.Numbers{
			dimension("time", "1", "number of the span, all equal", spans),
			{Name: "wind_direction", Unit: "degree", LongName: "where the wind comes from, clockwise from north", Dims: along, Values: c.Directions},
			{Name: "wind_speed", Unit: "m s-1", LongName: "wind speed at the hub", Dims: along, Values: c.Speeds},
		}
	}
	return in
}
