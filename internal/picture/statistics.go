package picture

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"windrow/internal/farm"
)

// Series tells types apart without colour, by shape and dashes.
var (
	shapes = []draw.GlyphDrawer{draw.CircleGlyph{}, draw.TriangleGlyph{}, draw.SquareGlyph{}, draw.RingGlyph{}, draw.CrossGlyph{}, draw.PlusGlyph{}}
	dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 2, 2, 2}, {10, 4}, {1, 3}}
)

func seriesColor(i, n int) color.Color { return shade(0.25 + 0.75*float64(i)/float64(max(1, n-1))) }

// ByType draws the energy and the capacity factor of the farms of each type of
// turbine: median, quartiles, and the farms beyond.
func ByType(farms []farm.Farm, types []farm.Type) (*Picture, error) {
	energy, factor := plot.New(), plot.New()
	energy.Y.Label.Text, factor.Y.Label.Text = "AEP (GWh)", "capacity factor"
	pic := &Picture{Name: "by_type", Plots: [][]*plot.Plot{{energy, factor}}, Width: 24 * vg.Centimeter, Height: 11 * vg.Centimeter}
	pic.Header = []string{"task", "farm_type", "aep_gwh", "capacity_factor"}
	var names []string
	for t := range types {
		var aep, cf plotter.Values
		for _, f := range farms {
			if f.FarmType != int64(t) {
				continue
			}
			aep, cf = append(aep, f.AEP), append(cf, f.CapacityFactor)
			pic.Rows = append(pic.Rows, []string{strconv.FormatInt(f.Task, 10), strconv.Itoa(t), number(f.AEP), number(f.CapacityFactor)})
		}
		if len(aep) == 0 {
			continue
		}
		for _, one := range []struct {
			p      *plot.Plot
			values plotter.Values
		}{{energy, aep}, {factor, cf}} {
			box, err := plotter.NewBoxPlot(vg.Points(22), float64(len(names)), one.values)
			if err != nil {
				return nil, fmt.Errorf("draw type %d: %w", t, err)
			}
			box.FillColor = shade(0.15)
			one.p.Add(box)
		}
		names = append(names, types[t].Name)
	}
	if len(names) == 0 {
		return nil, errNoFarm
	}
	energy.NominalX(names...)
	factor.NominalX(names...)
	return pic, nil
}

// LossBySpacing draws the wake loss of farms against the median distance of a
// turbine to the next one.
func LossBySpacing(farms []farm.Farm, types []farm.Type) (*Picture, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "median distance to the nearest turbine (rotor diameters)", "wake loss (%)"
	pic := &Picture{Name: "loss_by_spacing", Plots: [][]*plot.Plot{{p}}, Width: 17 * vg.Centimeter, Height: 12 * vg.Centimeter}
	pic.Header = []string{"task", "farm_type", "nearest_diameters", "wake_loss"}
	for t := range types {
		var points plotter.XYs
		for _, f := range farms {
			spacing := f.Spacing() / types[t].RotorDiameter
			if f.FarmType != int64(t) || math.IsNaN(spacing) {
				continue
			}
			points = append(points, plotter.XY{X: spacing, Y: 100 * f.WakeLoss})
			pic.Rows = append(pic.Rows, []string{strconv.FormatInt(f.Task, 10), strconv.Itoa(t), number(spacing), number(f.WakeLoss)})
		}
		if len(points) == 0 {
			continue
		}
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return nil, fmt.Errorf("draw type %d: %w", t, err)
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: seriesColor(t, len(types)), Radius: vg.Points(2), Shape: shapes[t%len(shapes)]}
		p.Add(scatter)
		p.Legend.Add(types[t].Name, scatter)
	}
	p.Legend.Top = true
	return pic, nil
}

// DirectionEfficiency draws what share of the free energy in the wind from each
// direction the farms of each type make, on average.
func DirectionEfficiency(farms []farm.Farm, types []farm.Type, directions []float64) (*Picture, error) {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "wind direction (degrees, clockwise from north)", "energy with wakes / without (%)"
	longest := 0
	for _, t := range types {
		longest = max(longest, len(t.Name))
	}
	p.X.Min, p.X.Max = 0, 390+6*float64(longest) // with room for the legend
	p.X.Tick.Marker = plot.ConstantTicks{{Value: 0, Label: "0 N"}, {Value: 45}, {Value: 90, Label: "90 E"}, {Value: 135}, {Value: 180, Label: "180 S"}, {Value: 225}, {Value: 270, Label: "270 W"}, {Value: 315}, {Value: 360, Label: "360 N"}}
	pic := &Picture{Name: "direction_efficiency", Plots: [][]*plot.Plot{{p}}, Width: 22 * vg.Centimeter, Height: 12 * vg.Centimeter}
	pic.Header = []string{"farm_type", "direction_deg", "efficiency"}
	for t := range types {
		made, possible := make([]float64, len(directions)), make([]float64, len(directions))
		for _, f := range farms {
			if f.FarmType != int64(t) {
				continue
			}
			for d, energy := range f.DirectionAEP {
				made[d] += energy
				possible[d] += float64(len(f.Layout)) * types[t].Free[d]
			}
		}
		var points plotter.XYs
		for d, degrees := range directions {
			if possible[d] > 0 {
				points = append(points, plotter.XY{X: degrees, Y: 100 * made[d] / possible[d]})
				pic.Rows = append(pic.Rows, []string{strconv.Itoa(t), number(degrees), number(made[d] / possible[d])})
			}
		}
		if len(points) == 0 {
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, fmt.Errorf("draw type %d: %w", t, err)
		}
		line.Color, line.Dashes, line.Width = seriesColor(t, len(types)), dashes[t%len(dashes)], vg.Points(1.2)
		p.Add(line)
		p.Legend.Add(types[t].Name, line)
	}
	p.Legend.Top = true
	return pic, nil
}

// WindRose draws how often the wind blows from each sector, and how fast.
func WindRose(sectors []farm.Sector) (*Picture, error) {
	if len(sectors) == 0 {
		return nil, errNoFarm
	}
	p := plot.New()
	p.Title.Text = "Wind at hub height: share of the year, by direction and speed"
	p.HideAxes()
	p.Add(roseBars{sectors})
	pic := &Picture{Name: "wind_rose", Plots: [][]*plot.Plot{{p}}, Width: 16 * vg.Centimeter, Height: 16 * vg.Centimeter}
	pic.Header = []string{"direction_deg", "frequency"}
	for i, s := range farm.RoseSpeeds {
		label := fmt.Sprintf("above %g m/s", s)
		if i+1 < len(farm.RoseSpeeds) {
			label = fmt.Sprintf("%g to %g m/s", s, farm.RoseSpeeds[i+1])
		}
		p.Legend.Add(label, swatch{shade(float64(i) / float64(len(farm.RoseSpeeds)-1))})
		pic.Header = append(pic.Header, fmt.Sprintf("from_%g_ms", s))
	}
	p.Legend.Top, p.Legend.Left = true, true
	for _, s := range sectors {
		row := []string{number(s.Degrees), number(total(s))}
		for _, share := range s.Shares {
			row = append(row, number(share))
		}
		pic.Rows = append(pic.Rows, row)
	}
	return pic, nil
}

// total is the share of the year with wind from the sector.
func total(s farm.Sector) float64 {
	sum := 0.0
	for _, share := range s.Shares {
		sum += share
	}
	return sum
}

// roseBars are the sectors of a rose, stacked by classes of speed.
type roseBars struct{ sectors []farm.Sector }

func (r roseBars) most() float64 {
	most := 0.0
	for _, s := range r.sectors {
		most = max(most, total(s))
	}
	return math.Ceil(most*20) / 20
}

// DataRange implements plot.DataRanger.
func (r roseBars) DataRange() (xmin, xmax, ymin, ymax float64) {
	m := 1.15 * r.most()
	return -m, m, -m, m
}

// Plot implements plot.Plotter. North is up, and the wind comes from where the
// bars point.
func (r roseBars) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	at := func(degrees, radius float64) vg.Point {
		sin, cos := math.Sincos(degrees * math.Pi / 180)
		return vg.Point{X: toX(radius * sin), Y: toY(radius * cos)}
	}
	ring := draw.LineStyle{Color: color.Gray{170}, Width: vg.Points(0.5)}
	text := p.Legend.TextStyle
	for share := 0.05; share < r.most()+0.001; share += 0.05 {
		var circle []vg.Point
		for d := range 361 {
			circle = append(circle, at(float64(d), share))
		}
		c.StrokeLines(ring, circle)
		c.FillText(text, at(15, share), fmt.Sprintf("%.0f %%", 100*share))
	}
	half := 0.4 * 360 / float64(len(r.sectors))
	for _, s := range r.sectors {
		inner := 0.0
		for class, share := range s.Shares {
			outer := inner + share
			var bar []vg.Point
			for step := -10; step <= 10; step++ {
				bar = append(bar, at(s.Degrees+half*float64(step)/10, outer))
			}
			for step := 10; step >= -10; step-- {
				bar = append(bar, at(s.Degrees+half*float64(step)/10, inner))
			}
			c.FillPolygon(shade(float64(class)/float64(len(farm.RoseSpeeds)-1)), bar)
			c.StrokeLines(draw.LineStyle{Color: color.Gray{60}, Width: vg.Points(0.4)}, append(bar, bar[0]))
			inner = outer
		}
	}
	for i, name := range []string{"N", "E", "S", "W"} {
		c.FillText(text, at(90*float64(i), 1.07*r.most()), name)
	}
}
