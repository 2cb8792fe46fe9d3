package picture

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"image/color"
	"io"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"windrow/internal/atomicfile"
)

// Picture is one or several plots on a page, and their numbers.
type Picture struct {
	Name          string         // of the files, without their ends
	Plots         [][]*plot.Plot // rows of one length; nil leaves a place empty
	Width, Height vg.Length
	Shades        float64 // above the plots, a key of shades up to this share; 0: none

	Header []string
	Rows   [][]string
}

const resolution = 200 // dots for each inch of a PNG

// Save writes NAME.png, NAME.svg and NAME.csv into dir, which must exist.
func (p *Picture) Save(dir string) error {
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(p.Width, p.Height), vgimg.UseDPI(resolution))}
	svg := vgsvg.New(p.Width, p.Height)
	p.draw(draw.New(png))
	p.draw(draw.New(svg))
	var numbers bytes.Buffer
	w := csv.NewWriter(&numbers)
	if err := w.WriteAll(append([][]string{p.Header}, p.Rows...)); err != nil {
		return fmt.Errorf("write %s.csv: %w", p.Name, err)
	}
	for ending, content := range map[string]io.WriterTo{".png": png, ".svg": svg, ".csv": &numbers} {
		err := atomicfile.Write(filepath.Join(dir, p.Name+ending), 0o644, func(w io.Writer) error {
			_, err := content.WriteTo(w)
			return err
		})
		if err != nil {
			return fmt.Errorf("write %s%s: %w", p.Name, ending, err)
		}
	}
	return nil
}

// keyHeight is that of a key of shades.
const keyHeight = 8 * vg.Millimeter

func (p *Picture) draw(page draw.Canvas) {
	if p.Shades > 0 {
		p.drawKey(page)
		page = draw.Crop(page, 0, 0, 0, -keyHeight)
	}
	tiles := draw.Tiles{Rows: len(p.Plots), Cols: len(p.Plots[0]), PadX: 3 * vg.Millimeter, PadY: 3 * vg.Millimeter, PadTop: 2 * vg.Millimeter, PadBottom: 2 * vg.Millimeter, PadLeft: 2 * vg.Millimeter, PadRight: 4 * vg.Millimeter}
	canvases := plot.Align(p.Plots, tiles, page)
	for i, row := range p.Plots {
		for j, one := range row {
			if one != nil {
				one.Draw(canvases[i][j])
			}
		}
	}
}

// drawKey draws the key of shades along the top of the page.
func (p *Picture) drawKey(page draw.Canvas) {
	text := plot.New().Legend.TextStyle
	text.Font.Size, text.YAlign = vg.Points(9), draw.YCenter
	at := vg.Point{X: page.Min.X + 6*vg.Millimeter, Y: page.Max.Y - keyHeight/2}
	for _, share := range []float64{0, 0.25, 0.5, 0.75, 1} {
		drawDot(&page, shade(share), at)
		page.FillText(text, vg.Point{X: at.X + 2*vg.Millimeter, Y: at.Y}, fmt.Sprintf("%.3g %% lost to wakes", 100*share*p.Shades))
		at.X += p.Width / 6
	}
}

// drawDot draws a turbine of a key.
func drawDot(c *draw.Canvas, fill color.Color, at vg.Point) {
	c.DrawGlyph(draw.GlyphStyle{Color: fill, Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}, at)
	c.DrawGlyph(draw.GlyphStyle{Color: color.Gray{80}, Radius: vg.Points(3.5), Shape: draw.RingGlyph{}}, at)
}
