package picture_test

import (
	"encoding/csv"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"windrow/internal/farm"
	"windrow/internal/picture"
	"windrow/internal/wind"
)

// farms are rows of turbines on two sites, of two types.
func farms() []farm.Farm {
	var list []farm.Farm
	sites := wind.Tenders()
	for task, kind := range []int64{0, 0, 5, 5, 5} {
		low, high := sites[task%2].Boundary.Bounds()
		f := farm.Farm{
			Task: int64(task), FarmID: int64(task % 2), FarmType: kind, AEP: 5000 + float64(task), CapacityFactor: 0.6,
			WakeLoss: 0.02 + 0.01*float64(task), DirectionAEP: []float64{10, 20, 30, 40},
		}
		for i := range 4 {
			f.Layout = append(f.Layout, wind.Point{X: (low.X+high.X)/2 + 1000*float64(i*(task+1)), Y: (low.Y + high.Y) / 2})
			f.TurbineLoss = append(f.TurbineLoss, 0.04*float64(i))
		}
		list = append(list, f)
	}
	return list
}

// sites and types are those of the farms.
func sites() map[int64]wind.Site {
	return map[int64]wind.Site{0: wind.Tenders()[0], 1: wind.Tenders()[1]}
}

func types() []farm.Type {
	var list []farm.Type
	for _, t := range wind.TurbineTypes() {
		list = append(list, farm.Type{Name: t.Name, RotorDiameter: t.RotorDiameter, Free: []float64{5, 5, 10, 10}})
	}
	list[5].Free = []float64{5, 10, 10, 20}
	return list
}

// save writes a picture and returns its numbers.
func save(t *testing.T, p *picture.Picture, err error) [][]string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := p.Save(dir); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, p.Name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	image, err := png.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := int(math.Round(p.Width.Points() / 72 * 200)); math.Abs(float64(image.Bounds().Dx()-want)) > 1 {
		t.Errorf("%s is %v, want %d wide", p.Name, image.Bounds(), want)
	}
	colors := map[[4]uint32]bool{}
	for y := range image.Bounds().Dy() {
		for x := range image.Bounds().Dx() {
			r, g, b, a := image.At(x, y).RGBA()
			colors[[4]uint32{r, g, b, a}] = true
		}
	}
	if len(colors) < 10 {
		t.Errorf("%s has %d colours: there is nothing on it", p.Name, len(colors))
	}
	drawing, err := os.Open(filepath.Join(dir, p.Name+".svg"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = drawing.Close() }()
	for decoder := xml.NewDecoder(drawing); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s.svg: %v", p.Name, err)
		}
	}
	numbers, err := os.Open(filepath.Join(dir, p.Name+".csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = numbers.Close() }()
	rows, err := csv.NewReader(numbers).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

func value(t *testing.T, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestOneFarm(t *testing.T) {
	t.Parallel()
	f := farms()[2]
	p, err := picture.OneFarm(f, wind.Tenders()[0], "generic 15 MW")
	rows := save(t, p, err)
	if len(rows) != 4 || math.Abs(value(t, rows[3][1])-f.Layout[3].X) > 0.1 || rows[3][3] != "0.12" {
		t.Errorf("numbers %v", rows)
	}
}

func TestContactSheet(t *testing.T) {
	t.Parallel()
	p, err := picture.ContactSheet(farms(), sites(), types())
	if rows := save(t, p, err); len(rows) != 5*4 {
		t.Errorf("%d turbines", len(rows))
	}
	if len(p.Plots) != 2 || len(p.Plots[0]) != 3 || p.Plots[0][2] != nil || p.Plots[1][2] == nil {
		t.Errorf("a row for each type is wanted, as long as the longest")
	}
	if p.Shades != 0.15 {
		t.Errorf("shades up to %g: 12 %% is the greatest loss, and steps are 5 %%", p.Shades)
	}
	if _, err := picture.ContactSheet(nil, sites(), types()); err == nil {
		t.Error("a sheet without farms")
	}
}

func TestByType(t *testing.T) {
	t.Parallel()
	p, err := picture.ByType(farms(), types())
	rows := save(t, p, err)
	if len(rows) != 5 || rows[4][1] != "5" || rows[4][2] != "5004" || rows[4][3] != "0.6" {
		t.Errorf("numbers %v", rows)
	}
}

func TestLossBySpacing(t *testing.T) {
	t.Parallel()
	p, err := picture.LossBySpacing(farms(), types())
	rows := save(t, p, err)
	diameter := wind.TurbineTypes()[5].RotorDiameter
	if len(rows) != 5 || math.Abs(value(t, rows[4][2])-5000/diameter) > 1e-6 || rows[4][3] != "0.06" {
		t.Errorf("numbers %v; D is %g", rows, diameter)
	}
}

func TestDirectionEfficiency(t *testing.T) {
	t.Parallel()
	p, err := picture.DirectionEfficiency(farms(), types(), []float64{0, 90, 180, 270})
	rows := save(t, p, err)
	want := []string{"0.5", "1", "0.75", "1", "0.5", "0.5", "0.75", "0.5"} // energy over 4 turbines times free
	if len(rows) != len(want) {
		t.Fatalf("numbers %v", rows)
	}
	for i, row := range rows {
		if row[2] != want[i] {
			t.Errorf("row %v, want %s", row, want[i])
		}
	}
}

func TestWindRose(t *testing.T) {
	t.Parallel()
	p, err := picture.WindRose([]farm.Sector{{Degrees: 0, Shares: []float64{0.1, 0.2, 0, 0, 0}}, {Degrees: 180, Shares: []float64{0.1, 0.1, 0.3, 0.1, 0.1}}})
	rows := save(t, p, err)
	if len(rows) != 2 || rows[1][0] != "180" || rows[1][1] != "0.7" || rows[1][4] != "0.3" {
		t.Errorf("numbers %v", rows)
	}
	if _, err := picture.WindRose(nil); err == nil {
		t.Error("a rose without sectors")
	}
}

// TestFarmsWithoutASite draws a farm that has no boundary.
func TestFarmsWithoutASite(t *testing.T) {
	t.Parallel()
	p, err := picture.OneFarm(farms()[2], wind.Site{}, "grid")
	if rows := save(t, p, err); len(rows) != 4 {
		t.Errorf("numbers %v", rows)
	}
	p, err = picture.ContactSheet(farms(), nil, types())
	if rows := save(t, p, err); len(rows) != 5*4 {
		t.Errorf("%d turbines", len(rows))
	}
}

func TestSpacingOfOneTurbineIsNone(t *testing.T) {
	t.Parallel()
	if s := (farm.Farm{Layout: []wind.Point{{X: 1, Y: 2}}}).Spacing(); !math.IsNaN(s) {
		t.Errorf("spacing %g", s)
	}
}
