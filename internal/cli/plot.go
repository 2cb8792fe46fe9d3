package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/farm"
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

They are drawn by windrow-plot, which is beside windrow. Shades grow darker in one
direction, so the pictures can be printed in black and white. Of a large dataset 5,000 rows are drawn, evenly spaced. Files that are
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
)

func (a *app) plot(ctx context.Context, file, dir string) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	f := &farmReader{ctx: ctx, reader: r, file: file}
	config, err := f.open(farmColumns)
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
	drawing, err := drawingOf(farms, config)
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

// drawingOf adds what the farms would make without wakes.
func drawingOf(farms []farm.Farm, config *spec.Windfarm) (*farm.Drawing, error) {
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
	return &farm.Drawing{Farms: farms, Free: free, Directions: directions}, nil
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
	"task": 1, "farm_id": 1, "farm_type": 1, "layout": 3, "aep": 1, "capacity_factor": 1, "wake_loss": 1, "n_turbines": 1,
	"turbine_aep": 2, "direction_aep": 2,
}

// block reads n rows.
func (f *farmReader) block(first, n int64) ([]farm.Farm, error) {
	values := map[string][]float64{}
	for name := range farmColumns {
		numbers, err := f.numbers(name, first, n)
		if err != nil {
			return nil, err
		}
		values[name] = numbers
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
	if f.FarmID < 0 || f.FarmID >= int64(len(wind.Tenders())) || f.FarmType < 0 || f.FarmType >= int64(len(wind.TurbineTypes())) {
		return farm.Farm{}, fmt.Errorf("no site or turbine has farm_id %d, farm_type %d", f.FarmID, f.FarmType)
	}
	for i := range n {
		f.Layout = append(f.Layout, wind.Point{X: row["layout"][2*i], Y: row["layout"][2*i+1]})
	}
	return f, nil
}
