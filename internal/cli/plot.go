package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/farm"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
)

func newPlot(a *app) *cobra.Command {
	dir := ""
	c := &cobra.Command{
		Use:   "plot FILE",
		Short: "Draw the farms of a dataset: layouts, energy, wake losses, the wind",
		Long: `Draw the farms of a dataset of the windfarm model, as PNG and SVG, with the
numbers of each picture beside it as CSV:

  layouts               farms of each type, turbines shaded by wake loss
  farm                  the first farm, with the boundary of its site
  by_type               energy and capacity factor for each type
  loss_by_spacing       wake loss against the distance of turbines
  direction_efficiency  energy with wakes over that without, by wind direction
  wind_rose             the wind

A type is one of turbines or, in farms without a site, a style of layouts. The
pictures are drawn by windrow-plot, which is beside windrow. Shades grow darker
in one direction, so they can be printed in black and white. Of a large dataset
5,000 rows are drawn, evenly spaced. Files that are there are
replaced.`,
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
)

func (a *app) plot(ctx context.Context, file, dir string) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	f := &farmReader{ctx: ctx, reader: r, file: file}
	if err := f.open(farmColumns); err != nil {
		return err
	}
	farms, err := f.farms()
	if err != nil {
		return err
	}
	if len(farms) == 0 {
		return &exitError{exitUsage, fmt.Errorf("%s has no farm to draw", file), "windrow inspect " + file}
	}
	drawing, err := f.drawingOf(farms)
	if err != nil {
		return err
	}
	said, err := draw(ctx, drawing, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s of %s, each as PNG, SVG and CSV\n", said, plural(len(farms), "farm"))
	return nil
}

// draw has windrow-plot draw, and returns what it says.
func draw(ctx context.Context, drawing *farm.Drawing, dir string) (said string, err error) {
	program, err := programBeside(farm.Program)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(drawing)
	if err != nil {
		return "", fmt.Errorf("hand the farms to %s: %w", program, err)
	}
	child := exec.CommandContext(ctx, program, dir)
	var stdout, stderr bytes.Buffer
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(text), &stdout, &stderr
	if err := child.Run(); err != nil {
		return "", fmt.Errorf("draw with %s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// programBeside finds another program of windrow's: beside this one, or in
// PATH.
func programBeside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("%s is neither beside %s nor in PATH", name, self), "go build -o " + beside + " ./internal/picture/" + name}
	}
	return found, nil
}

// drawingOf adds what the farms would make without wakes, and what they were
// computed with.
func (f *farmReader) drawingOf(farms []farm.Farm) (*farm.Drawing, error) {
	d := &farm.Drawing{Farms: farms, Sites: map[int64]wind.Site{}}
	climate, air, err := f.climate()
	if err != nil {
		return nil, err
	}
	resource, err := climate.Resource(simulator.Sampling(f.config()))
	if err != nil {
		return nil, err
	}
	if d.Types, d.Directions, err = f.types(resource, air); err != nil {
		return nil, err
	}
	if d.Rose, err = roseOf(climate); err != nil {
		return nil, err
	}
	if f.config().Site != spec.Open {
		for i := range farms {
			id := farms[i].FarmID
			if _, ok := d.Sites[id]; ok {
				continue
			}
			if d.Sites[id], err = f.site(id); err != nil {
				return nil, err
			}
		}
	}
	for i := range farms {
		one := &farms[i]
		if one.FarmType < 0 || one.FarmType >= int64(len(d.Types)) {
			return nil, fmt.Errorf("task %d is of type %d of %d", one.Task, one.FarmType, len(d.Types))
		}
		total := 0.0
		for _, energy := range d.Types[one.FarmType].Free {
			total += energy
		}
		for k, energy := range one.TurbineLoss { // of energies until here
			one.TurbineLoss[k] = max(0, 1-energy/total)
		}
	}
	return d, nil
}

// types returns the types of farms: of turbines, or, where farm_type is text,
// the styles of layouts.
func (f *farmReader) types(resource wind.Resource, air wind.Air) (types []farm.Type, directions []float64, err error) {
	turbines := []string{"0"}
	if slices.Contains(f.groups, "turbines") {
		group, err := f.reader.List(f.ctx, f.file, "/turbines")
		if err != nil {
			return nil, nil, err
		}
		turbines = group.Groups
	}
	for _, name := range turbines {
		turbine, err := f.turbine(name)
		if err != nil {
			return nil, nil, err
		}
		t := farm.Type{Name: turbine.Name, RotorDiameter: turbine.RotorDiameter}
		if t.Free, directions, err = simulator.FreeEnergy(f.config().Wake, turbine, resource, air); err != nil {
			return nil, nil, err
		}
		number, err := strconv.Atoi(name)
		if err != nil || number < 0 || number > len(wind.TurbineTypes()) {
			return nil, nil, fmt.Errorf("turbine %q is not the number of a type", name)
		}
		for len(types) <= number {
			types = append(types, farm.Type{RotorDiameter: 1})
		}
		types[number] = t
	}
	for i := range types { // those that no farm has
		if types[i].Free == nil {
			types[i].Free = make([]float64, len(directions))
		}
	}
	if f.config().Layout != spec.StylesLayout || len(types) != 1 {
		return types, directions, nil
	}
	code := f.sets[farmTypeCode]
	one := types[0]
	types = nil
	for style := range strings.FieldsSeq(textOf(valuesOf(code.Attributes), "flag_meanings")) {
		types = append(types, farm.Type{Name: style, RotorDiameter: one.RotorDiameter, Free: one.Free})
	}
	return types, directions, nil
}

// roseOf returns the climate in classes of speed.
func roseOf(climate wind.Climate) ([]farm.Sector, error) {
	const sectors = 12
	resource, err := climate.Resource(wind.Sampling{Directions: 360, Speeds: wind.Speeds(1, 50)})
	if err != nil {
		return nil, err
	}
	rose := make([]farm.Sector, sectors)
	for i := range rose {
		rose[i] = farm.Sector{Degrees: float64(i) * 360 / sectors, Shares: make([]float64, len(farm.RoseSpeeds))}
	}
	add := func(degrees, speed, share float64) {
		class := 0
		for class+1 < len(farm.RoseSpeeds) && speed >= farm.RoseSpeeds[class+1] {
			class++
		}
		rose[int(math.Round(degrees*sectors/360))%sectors].Shares[class] += share
	}
	switch r := resource.(type) {
	case wind.Rose:
		for d, row := range r.Frequency {
			for s, share := range row {
				add(r.Directions[d], r.Speeds[s], share)
			}
		}
	case wind.Series:
		for i, speed := range r.Speeds {
			add(r.Directions[i], speed, 1/float64(len(r.Speeds)))
		}
	}
	return rose, nil
}

// farms reads the rows to draw, in blocks that are evenly spaced if these are
// not all. TurbineLoss has the energy of each turbine yet.
func (f *farmReader) farms() ([]farm.Farm, error) {
	rows := f.sets["task"].Shape[0]
	blocks := (min(rows, plottedRows) + plottedBlock - 1) / plottedBlock
	var farms []farm.Farm
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
	"task": 1, "layout": 3, "aep": 1, "capacity_factor": 1, "wake_loss": 1, "n_turbines": 1,
	"turbine_aep": 2, "direction_aep": 2,
}

// farmTypeCode is the column that numbers the values of a farm_type that is text.
const farmTypeCode = "farm_type" + table.CodeSuffix

// block reads n rows.
func (f *farmReader) block(first, n int64) ([]farm.Farm, error) {
	values := map[string][]float64{"farm_id": make([]float64, n), "farm_type": make([]float64, n)}
	columns := slices.Collect(maps.Keys(farmColumns))
	if f.config().Site == spec.Tenders { // elsewhere there is one site and one turbine, whatever the keys are
		columns = append(columns, "farm_id", "farm_type")
	}
	for _, name := range columns {
		numbers, err := f.numbers(name, first, n)
		if err != nil {
			return nil, err
		}
		values[name] = numbers
	}
	if f.config().Layout == spec.StylesLayout {
		var err error
		if values["farm_type"], err = f.numbers(farmTypeCode, first, n); err != nil {
			return nil, err
		}
	}
	var farms []farm.Farm
	for i := range int(n) {
		row := map[string][]float64{}
		for name, all := range values {
			width := len(all) / int(n)
			row[name] = all[i*width : (i+1)*width]
		}
		if math.IsNaN(row["aep"][0]) { // a failed task
			continue
		}
		one, err := farmOf(row)
		if err != nil {
			return nil, err
		}
		farms = append(farms, one)
	}
	return farms, nil
}

func farmOf(row map[string][]float64) (farm.Farm, error) {
	n := int(row["n_turbines"][0])
	if n < 1 || n > len(row["turbine_aep"]) || 2*n > len(row["layout"]) {
		return farm.Farm{}, fmt.Errorf("a farm of %d turbines, with room for %d", n, len(row["turbine_aep"]))
	}
	f := farm.Farm{
		Task: int64(row["task"][0]), FarmID: int64(row["farm_id"][0]), FarmType: int64(row["farm_type"][0]),
		TurbineLoss: row["turbine_aep"][:n], AEP: row["aep"][0], CapacityFactor: row["capacity_factor"][0],
		WakeLoss: row["wake_loss"][0], DirectionAEP: row["direction_aep"],
	}
	for i := range n {
		f.Layout = append(f.Layout, wind.Point{X: row["layout"][2*i], Y: row["layout"][2*i+1]})
	}
	return f, nil
}
