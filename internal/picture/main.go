package picture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"windrow/internal/farm"
	"windrow/internal/wind"
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
	sites, types := wind.Tenders(), wind.TurbineTypes()
	var pictures []*Picture
	for _, draw := range []func() (*Picture, error){
		func() (*Picture, error) {
			first := d.Farms[0]
			return OneFarm(first, sites[first.FarmID], types[first.FarmType].Name)
		},
		func() (*Picture, error) { return ContactSheet(forSheet(d.Farms), sites, types) },
		func() (*Picture, error) { return ByType(d.Farms, types) },
		func() (*Picture, error) { return LossBySpacing(d.Farms, types) },
		func() (*Picture, error) { return DirectionEfficiency(d.Farms, types, d.Free, d.Directions) },
		func() (*Picture, error) { return WindRose(wind.TenderWind()), nil },
	} {
		p, err := draw()
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, p)
	}
	return pictures, nil
}

const sheetFarms = 5 // of each type on the contact sheet

// forSheet returns the first farms of each type on different sites.
func forSheet(farms []farm.Farm) []farm.Farm {
	shown := map[int64]map[int64]bool{}
	var chosen []farm.Farm
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
