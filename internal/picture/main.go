package picture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"windrow/internal/farm"
)

// Main draws the farm.Drawing that stdin has into the directory that args
// name, which is made, and returns the exit code.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	n, err := drawAll(args, stdin)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // nobody is left to tell
		return 1
	}
	if _, err := fmt.Fprintf(stdout, "%s: %d pictures", args[0], n); err != nil {
		return 1
	}
	return 0
}

func drawAll(args []string, stdin io.Reader) (n int, err error) {
	if len(args) != 1 {
		return 0, errors.New("this is a part of windrow: use windrow plot")
	}
	var d farm.Drawing
	if err := json.NewDecoder(stdin).Decode(&d); err != nil {
		return 0, fmt.Errorf("read what to draw: %w", err)
	}
	pictures, err := picturesOf(d)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(args[0], 0o750); err != nil {
		return 0, fmt.Errorf("make a directory for the pictures: %w", err)
	}
	for _, p := range pictures {
		if err := p.Save(args[0]); err != nil {
			return 0, err
		}
	}
	return len(pictures), nil
}

func picturesOf(d farm.Drawing) ([]*Picture, error) {
	if len(d.Farms) == 0 {
		return nil, errNoFarm
	}
	if err := check(d); err != nil {
		return nil, err
	}
	var pictures []*Picture
	for _, draw := range []func() (*Picture, error){
		func() (*Picture, error) {
			first := d.Farms[0]
			return OneFarm(first, d.Sites[first.FarmID], d.Types[first.FarmType].Name)
		},
		func() (*Picture, error) { return ContactSheet(forSheet(d), d.Sites, d.Types) },
		func() (*Picture, error) { return ByType(d.Farms, d.Types) },
		func() (*Picture, error) { return LossBySpacing(d.Farms, d.Types) },
		func() (*Picture, error) { return DirectionEfficiency(d.Farms, d.Types, d.Directions) },
		func() (*Picture, error) { return WindRose(d.Rose) },
	} {
		p, err := draw()
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, p)
	}
	return pictures, nil
}

// check refuses farms of types that are not described.
func check(d farm.Drawing) error {
	for _, f := range d.Farms {
		if f.FarmType < 0 || f.FarmType >= int64(len(d.Types)) {
			return fmt.Errorf("task %d is of type %d of %d", f.Task, f.FarmType, len(d.Types))
		}
		if len(f.DirectionAEP) != len(d.Directions) || len(d.Types[f.FarmType].Free) != len(d.Directions) || len(f.TurbineLoss) != len(f.Layout) {
			return fmt.Errorf("task %d does not have a value for each of its turbines and of %d directions", f.Task, len(d.Directions))
		}
	}
	return nil
}

const sheetFarms = 5 // of each type on the contact sheet

// forSheet returns farms of each type: the first ones on different sites, or,
// where there are none, some that are evenly spaced among all.
func forSheet(d farm.Drawing) []farm.Farm {
	var chosen []farm.Farm
	for t := range d.Types {
		var all []farm.Farm
		sites := map[int64]bool{}
		for _, f := range d.Farms {
			if f.FarmType != int64(t) || len(d.Sites) > 0 && sites[f.FarmID] {
				continue
			}
			sites[f.FarmID] = true
			all = append(all, f)
		}
		n := min(sheetFarms, len(all))
		for i := range n {
			at := i
			if len(d.Sites) == 0 {
				at = i * len(all) / n
			}
			chosen = append(chosen, all[at])
		}
	}
	return chosen
}
