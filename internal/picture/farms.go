// Package picture draws what is in a dataset of wind farms, as PNG and SVG, and
// puts the numbers of each picture beside it as CSV. Colours grow darker in
// one direction only, and lines differ in their dashes, so that a picture says
// the same in black and white.
package picture

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"windrow/internal/farm"
	"windrow/internal/wind"
)

var errNoFarm = errors.New("no farm to draw")

// shade returns a colour for a share from 0, light, to 1, dark.
func shade(share float64) color.Color {
	light, dark := [3]float64{255, 224, 130}, [3]float64{38, 20, 88}
	share = max(0, min(1, share))
	var c [3]uint8
	for i := range c {
		c[i] = uint8(math.Round(light[i] + share*(dark[i]-light[i])))
	}
	return color.RGBA{c[0], c[1], c[2], 255}
}

// dots draws turbines, each shaded by its loss on a scale up to most.
type dots struct {
	farm   farm.Farm
	most   float64
	radius vg.Length
}

// Plot implements plot.Plotter.
func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	toX, toY := p.Transforms(&c)
	for i, at := range d.farm.Layout {
		point := vg.Point{X: toX(at.X / 1e3), Y: toY(at.Y / 1e3)}
		c.DrawGlyph(draw.GlyphStyle{Color: shade(d.farm.TurbineLoss[i] / d.most), Radius: d.radius, Shape: draw.CircleGlyph{}}, point)
		c.DrawGlyph(draw.GlyphStyle{Color: color.Gray{80}, Radius: d.radius, Shape: draw.RingGlyph{}}, point)
	}
}

// DataRange implements plot.DataRanger, in km.
func (d dots) DataRange() (xmin, xmax, ymin, ymax float64) {
	xmin, ymin, xmax, ymax = math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for _, p := range d.farm.Layout {
		xmin, xmax = min(xmin, p.X/1e3), max(xmax, p.X/1e3)
		ymin, ymax = min(ymin, p.Y/1e3), max(ymax, p.Y/1e3)
	}
	return xmin, xmax, ymin, ymax
}

// greatestLoss returns the scale of the shades, in steps of 5 %.
func greatestLoss(farms []farm.Farm) float64 {
	most := 0.05
	for _, f := range farms {
		for _, loss := range f.TurbineLoss {
			most = max(most, math.Ceil(loss*20)/20)
		}
	}
	return most
}

// square makes both axes of a map as long, so that a circle is round.
func square(p *plot.Plot) {
	half := 0.53 * max(p.X.Max-p.X.Min, p.Y.Max-p.Y.Min)
	x, y := (p.X.Min+p.X.Max)/2, (p.Y.Min+p.Y.Max)/2
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x-half, x+half, y-half, y+half
}

// boundaryLine returns the outline of a site, in km.
func boundaryLine(boundary wind.Polygon) (*plotter.Line, error) {
	var points plotter.XYs
	for i := range len(boundary) + 1 {
		p := boundary[i%len(boundary)]
		points = append(points, plotter.XY{X: p.X / 1e3, Y: p.Y / 1e3})
	}
	line, err := plotter.NewLine(points)
	if err == nil {
		line.Color = color.Gray{110}
	}
	return line, err
}

// newMap draws a farm within its boundary, if there is one.
func newMap(f farm.Farm, site wind.Site, most float64, radius vg.Length) (*plot.Plot, error) {
	p := plot.New()
	if site.Boundary != nil {
		outline, err := boundaryLine(site.Boundary)
		if err != nil {
			return nil, fmt.Errorf("draw site %s: %w", site.Name, err)
		}
		p.Add(outline)
	}
	p.Add(dots{f, most, radius})
	square(p)
	return p, nil
}

// OneFarm draws a farm of the named type, within the boundary of its site.
func OneFarm(f farm.Farm, site wind.Site, typeName string) (*Picture, error) {
	most := greatestLoss([]farm.Farm{f})
	p, err := newMap(f, site, most, vg.Points(3.5))
	if err != nil {
		return nil, err
	}
	where := ""
	if site.Name != "" {
		where = " on " + site.Name
	}
	p.Title.Text = fmt.Sprintf("Task %d: %d turbines (%s)%s, wake loss %.1f %%", f.Task, len(f.Layout), typeName, where, 100*f.WakeLoss)
	p.X.Label.Text, p.Y.Label.Text = "east (km)", "north (km)"
	addShades(p, most)
	pic := &Picture{Name: "farm", Plots: [][]*plot.Plot{{p}}, Width: 16 * vg.Centimeter, Height: 16 * vg.Centimeter}
	pic.Header = []string{"turbine", "x_m", "y_m", "wake_loss"}
	for i, at := range f.Layout {
		pic.Rows = append(pic.Rows, []string{strconv.Itoa(i), number(at.X), number(at.Y), number(f.TurbineLoss[i])})
	}
	return pic, nil
}

// addShades adds the key of the shades.
func addShades(p *plot.Plot, most float64) {
	p.Legend.Top, p.Legend.Left = true, false
	for _, share := range []float64{0, 0.5, 1} {
		p.Legend.Add(fmt.Sprintf("%.1f %% lost", 100*share*most), swatch{shade(share)})
	}
}

// swatch is a dot in a legend.
type swatch struct{ color color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	drawDot(c, s.color, c.Center())
}

// ContactSheet draws the farms, a row for each type.
func ContactSheet(farms []farm.Farm, sites map[int64]wind.Site, types []farm.Type) (*Picture, error) {
	most := greatestLoss(farms)
	var plots [][]*plot.Plot
	pic := &Picture{Name: "layouts", Header: []string{"task", "farm_id", "farm_type", "turbine", "x_m", "y_m", "wake_loss"}}
	byType := map[int64][]farm.Farm{}
	for _, f := range farms {
		byType[f.FarmType] = append(byType[f.FarmType], f)
	}
	columns := 0
	for t := range types {
		row, shown := []*plot.Plot(nil), byType[int64(t)]
		for _, f := range shown {
			p, err := newMap(f, sites[f.FarmID], most, vg.Points(1.4))
			if err != nil {
				return nil, err
			}
			p.HideAxes()
			p.Title.Text = fmt.Sprintf("task %d, %s", f.Task, types[t].Name)
			if name := sites[f.FarmID].Name; name != "" {
				p.Title.Text = name + ", " + types[t].Name
			}
			p.Title.TextStyle.Font.Size = vg.Points(7)
			row = append(row, p)
			for i, at := range f.Layout {
				pic.Rows = append(pic.Rows, []string{
					strconv.FormatInt(f.Task, 10), strconv.FormatInt(f.FarmID, 10), strconv.FormatInt(f.FarmType, 10),
					strconv.Itoa(i), number(at.X), number(at.Y), number(f.TurbineLoss[i]),
				})
			}
		}
		if len(row) > 0 {
			plots = append(plots, row)
			columns = max(columns, len(row))
		}
	}
	if columns == 0 {
		return nil, errNoFarm
	}
	for i := range plots {
		for len(plots[i]) < columns {
			plots[i] = append(plots[i], nil)
		}
	}
	pic.Plots, pic.Shades = plots, most
	pic.Width, pic.Height = vg.Length(columns)*5*vg.Centimeter, vg.Length(len(plots))*5*vg.Centimeter
	return pic, nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 8, 64) }
