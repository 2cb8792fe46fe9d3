package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/foreign"
	"windrow/internal/picture"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/wind"
)

func newPlot(a *app) *cobra.Command {
	dir := ""
	c := &cobra.Command{
		Use:   "plot FILE",
		Short: "Draw the farms of a dataset: layouts, energy, wake losses, the wind",
		Long: `Draw the farms of a dataset of the windfarm model, as PNG and SVG, with the
numbers of each picture beside it as CSV:

  layouts               farms of each type of turbine, turbines shaded by wake loss
  farm                  the first farm, with the boundary of its site
  by_type               energy and capacity factor for each type of turbine
  loss_by_spacing       wake loss against the distance of turbines
  direction_efficiency  energy with wakes over that without, by wind direction
  wind_rose             the wind

Shades grow darker in one direction, so the pictures can be printed in black and
white. Of a large dataset 5,000 rows are drawn, evenly spaced. Files that are
there are replaced.`,
		Example: `  windrow plot tenders.h5
  windrow plot tenders.h5 -o pictures`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if dir == "" {
				dir = strings.TrimSuffix(args[0], ".h5") + "-plots"
			}
			return a.plot(c.Context(), args[0], dir)
		},
	}
	c.Flags().StringVarP(&dir, "output", "o", "", "directory (default: NAME-plots for NAME.h5)")
	return c
}

const (
	plottedRows  = 5000
	plottedBlock = 100
	sheetFarms   = 5 // of each type on the contact sheet
)

func (a *app) plot(ctx context.Context, file, dir string) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	f := farmReader{ctx: ctx, reader: r, file: file}
	config, err := f.config()
	if err != nil {
		return err
	}
	farms, err := f.farms()
	if err != nil {
		return err
	}
	if len(farms) == 0 {
		return &exitError{exitUsage, fmt.Errorf("%s has no farm to draw", file), "windrow inspect " + file}
	}
	pictures, err := drawFarms(farms, config)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make a directory for the pictures: %w", err)
	}
	for _, p := range pictures {
		if err := p.Save(dir); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s: %d pictures of %s, each as PNG, SVG and CSV\n", dir, len(pictures), plural(len(farms), "farm"))
	return nil
}

func drawFarms(farms []picture.Farm, config *spec.Windfarm) ([]*picture.Picture, error) {
	sites, types := wind.Tenders(), wind.TurbineTypes()
	free, directions, err := simulator.FreeEnergy(config)
	if err != nil {
		return nil, err
	}
	for i := range farms {
		f := &farms[i]
		total := 0.0
		for _, energy := range free[f.FarmType] {
			total += energy
		}
		for k, energy := range f.TurbineLoss { // of energies until here
			f.TurbineLoss[k] = max(0, 1-energy/total)
		}
	}
	first := farms[0]
	one, err := picture.OneFarm(first, sites[first.FarmID], types[first.FarmType].Name)
	if err != nil {
		return nil, err
	}
	pictures := []*picture.Picture{one}
	for _, draw := range []func() (*picture.Picture, error){
		func() (*picture.Picture, error) { return picture.ContactSheet(forSheet(farms), sites, types) },
		func() (*picture.Picture, error) { return picture.ByType(farms, types) },
		func() (*picture.Picture, error) { return picture.LossBySpacing(farms, types) },
		func() (*picture.Picture, error) {
			return picture.DirectionEfficiency(farms, types, free, directions)
		},
		func() (*picture.Picture, error) { return picture.WindRose(wind.TenderWind()), nil },
	} {
		p, err := draw()
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, p)
	}
	return pictures, nil
}

// forSheet returns the first farms of each type on different sites.
func forSheet(farms []picture.Farm) []picture.Farm {
	shown := map[int64]map[int64]bool{}
	var chosen []picture.Farm
	for _, f := range farms {
		sites := shown[f.FarmType]
		if sites == nil {
			sites = map[int64]bool{}
			shown[f.FarmType] = sites
		}
		if len(sites) < sheetFarms && !sites[f.FarmID] {
			sites[f.FarmID] = true
			chosen = append(chosen, f)
		}
	}
	return chosen
}

// farmReader reads farms from a file that may be anybody's.
type farmReader struct {
	ctx    context.Context //nolint:containedctx // of one command
	reader *foreign.Reader
	file   string
	sets   map[string]foreign.Dataset
}

// config returns the model of the dataset, if it is the windfarm model.
func (f *farmReader) config() (*spec.Windfarm, error) {
	root, err := f.reader.List(f.ctx, f.file, "/")
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		return nil, &exitError{exitCorrupt, fmt.Errorf("%s: %s", f.file, damage.Reason), "windrow check " + f.file}
	}
	if err != nil {
		return nil, err
	}
	f.sets = map[string]foreign.Dataset{}
	for _, d := range root.Datasets {
		f.sets[d.Name] = d
	}
	noFarms := &exitError{exitUsage, fmt.Errorf("%s has no farms of the windfarm model", f.file), "windrow inspect " + f.file}
	s, err := spec.Decode([]byte(textOf(valuesOf(root.Attributes), "spec")))
	if err != nil || s.Simulator.Windfarm == nil {
		return nil, noFarms
	}
	for name, dimensions := range farmColumns {
		if d, ok := f.sets[name]; !ok || len(d.Shape) != dimensions || d.Shape[0] != f.sets["task"].Shape[0] {
			return nil, noFarms
		}
	}
	return s.Simulator.Windfarm, nil
}

// farms reads the rows to draw, in blocks that are evenly spaced if these are
// not all. TurbineLoss has the energy of each turbine yet.
func (f *farmReader) farms() ([]picture.Farm, error) {
	rows := f.sets["task"].Shape[0]
	blocks := (min(rows, plottedRows) + plottedBlock - 1) / plottedBlock
	var farms []picture.Farm
	for b := range blocks {
		first, next := b*rows/blocks, (b+1)*rows/blocks
		block, err := f.block(first, min(next-first, plottedBlock))
		if err != nil {
			return nil, fmt.Errorf("rows from %d of %s: %w", first, f.file, err)
		}
		farms = append(farms, block...)
	}
	return farms, nil
}

// farmColumns are the columns that are read, and their dimensions.
var farmColumns = map[string]int{
	"task": 1, "farm_id": 1, "farm_type": 1, "layout": 3, "aep": 1, "capacity_factor": 1, "wake_loss": 1, "n_turbines": 1,
	"turbine_aep": 2, "direction_aep": 2,
}

// block reads n rows.
func (f *farmReader) block(first, n int64) ([]picture.Farm, error) {
	values := map[string][]float64{}
	for name := range farmColumns {
		numbers, err := f.numbers(name, first, n)
		if err != nil {
			return nil, err
		}
		values[name] = numbers
	}
	var farms []picture.Farm
	for i := range int(n) {
		row := map[string][]float64{}
		for name, all := range values {
			width := len(all) / int(n)
			row[name] = all[i*width : (i+1)*width]
		}
		if math.IsNaN(row["aep"][0]) { // a failed task
			continue
		}
		farm, err := farmOf(row)
		if err != nil {
			return nil, err
		}
		farms = append(farms, farm)
	}
	return farms, nil
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

func farmOf(row map[string][]float64) (picture.Farm, error) {
	n := int(row["n_turbines"][0])
	if n < 1 || n > len(row["turbine_aep"]) || 2*n > len(row["layout"]) {
		return picture.Farm{}, fmt.Errorf("a farm of %d turbines, with room for %d", n, len(row["turbine_aep"]))
	}
	farm := picture.Farm{
		Task: int64(row["task"][0]), FarmID: int64(row["farm_id"][0]), FarmType: int64(row["farm_type"][0]),
		TurbineLoss: row["turbine_aep"][:n], AEP: row["aep"][0], CapacityFactor: row["capacity_factor"][0],
		WakeLoss: row["wake_loss"][0], DirectionAEP: row["direction_aep"],
	}
	if farm.FarmID < 0 || farm.FarmID >= int64(len(wind.Tenders())) || farm.FarmType < 0 || farm.FarmType >= int64(len(wind.TurbineTypes())) {
		return picture.Farm{}, fmt.Errorf("no site or turbine has farm_id %d, farm_type %d", farm.FarmID, farm.FarmType)
	}
	for i := range n {
		farm.Layout = append(farm.Layout, wind.Point{X: row["layout"][2*i], Y: row["layout"][2*i+1]})
	}
	return farm, nil
}
