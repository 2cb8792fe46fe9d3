package simulator

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"windrow/internal/foreign"
	"windrow/internal/spec"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// farms is what a spec says of its farms, read and ready to compute: where they
// stand, of which turbines, in which wind.
type farms struct {
	config   *spec.Windfarm
	sites    []wind.Site    // that of the file, or of the tenders by farm_id; none without a boundary
	turbines []wind.Turbine // of the tenders by farm_type, else one
	perFarm  []int          // turbines that stand in a farm, the same; 0: as many as are drawn
	climate  wind.Climate
	air      wind.Air
	fixed    []wind.Point     // the layout of a file
	stored   windfile.Layouts // the layouts of an HDF5 file, by layout_id

	calculators map[int64]*wind.Calculator // by turbine type, made when needed
	smartStarts map[int64]*wind.SmartStart // the same
}

// mostMetres is further than any projection goes.
const mostMetres = 1e9

// inputError is what is wrong with a field of the windfarm.
type inputError struct {
	field string
	err   error
}

func (e *inputError) Error() string { return e.field + ": " + e.err.Error() }

func (e *inputError) Unwrap() error { return e.err }

// problemOf gives an error its place in the spec.
func problemOf(s *spec.Spec, err error) spec.Problems {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var problems spec.Problems
		for _, e := range joined.Unwrap() {
			problems = append(problems, problemOf(s, e)...)
		}
		return problems
	}
	if input, ok := errors.AsType[*inputError](err); ok {
		return spec.Problems{s.Problem("simulator.windfarm."+input.field, nil, "%v", input.err)}
	}
	return spec.Problems{s.Problem("simulator.windfarm", nil, "%v", err)}
}

// newFarms reads what the spec names. An error is an *inputError, or several.
func newFarms(config *spec.Windfarm, files *windfile.Files) (*farms, error) {
	f := &farms{
		config: config, climate: wind.TenderWind(), air: wind.StandardAir(),
		calculators: map[int64]*wind.Calculator{}, smartStarts: map[int64]*wind.SmartStart{},
	}
	if config.Site == spec.Tenders {
		f.sites = wind.Tenders()
		for _, t := range wind.TurbineTypes() {
			f.turbines, f.perFarm = append(f.turbines, t.Turbine), append(f.perFarm, t.TurbinesPerFarm)
		}
		return f, nil
	}
	f.perFarm = []int{config.Turbines}
	if config.HasSiteFile() {
		site, err := files.Site(config.Site)
		if err != nil {
			return nil, &inputError{"site", err}
		}
		f.sites = []wind.Site{site}
	}
	if err := f.readTurbine(files); err != nil {
		return nil, &inputError{"turbine", ofSite(config, config.Turbine, err)}
	}
	if err := f.readClimate(files); err != nil {
		return nil, &inputError{"resource", ofSite(config, config.Resource, err)}
	}
	if err := f.checkSampling(); err != nil {
		return nil, err
	}
	if err := f.readLayouts(files); err != nil {
		return nil, &inputError{"layout", err}
	}
	return f, nil
}

// ofSite says of an error that it is about what the file of the site lacks, if
// the spec gives nothing in its place.
func ofSite(config *spec.Windfarm, given string, err error) error {
	if given == "" && config.HasSiteFile() {
		return fmt.Errorf("is not given, and that of the site: %w", err)
	}
	return err
}

// readLayouts reads what turbines are not drawn from. Of a file with many
// layouts each is looked at when it is computed.
func (f *farms) readLayouts(files *windfile.Files) (err error) {
	switch name := f.config.Layout; {
	case f.config.HasStoredLayouts():
		if f.stored, err = files.StoredLayouts(name); err == nil {
			f.perFarm = []int{f.stored.MostTurbines()}
		}
	case f.config.HasLayoutFile():
		if f.fixed, err = files.Layout(name); err == nil {
			f.perFarm, err = []int{len(f.fixed)}, f.checkSpacing(name, f.fixed)
		}
	}
	return err
}

// checkSpacing refuses a layout of a file that breaks the minimum spacing.
func (f *farms) checkSpacing(name string, layout []wind.Point) error {
	for i, p := range layout {
		if !(math.Abs(p.X) < mostMetres && math.Abs(p.Y) < mostMetres) {
			return fmt.Errorf("%s: turbine %d (from 0) is at %g, %g: expected metres on the earth", name, i, p.X, p.Y)
		}
	}
	least := f.config.MinSpacing * f.turbines[0].RotorDiameter
	if !(wind.ClosestPair(layout) < least) {
		return nil
	}
	for i, p := range layout {
		for j, q := range layout[:i] {
			if apart := math.Hypot(p.X-q.X, p.Y-q.Y); apart < least {
				return fmt.Errorf("%s: turbines %d and %d (from 0) are %.1f m apart, min_spacing is %.1f m", name, j, i, apart, least)
			}
		}
	}
	return nil
}

func (f *farms) readTurbine(files *windfile.Files) error {
	read := wind.NewTurbine
	if f.config.HasTurbineFile() {
		read = files.Turbine
	}
	turbine, err := read(f.config.TurbineName())
	f.turbines = []wind.Turbine{turbine}
	return err
}

func (f *farms) readClimate(files *windfile.Files) (err error) {
	name := f.config.ResourceName()
	if name != "" {
		model, err := wind.NewModel(f.config.Wake)
		if err != nil {
			return err
		}
		files.NeedsTurbulence = model.TurbulenceNeeded
		if f.climate, f.air, err = files.Climate(name, f.turbines[0].HubHeight); err != nil {
			return err
		}
	}
	return nil
}

// checkSampling tells what is wrong with the directions and speeds at which the
// climate is used.
func (f *farms) checkSampling() error {
	directions, speeds := f.climate.Samples()
	return errors.Join(
		checkSampled("directions", directions, f.config.Directions > 0),
		checkSampled("speeds", speeds, f.config.Speeds != spec.Speeds{}))
}

// checkSampled tells what is wrong with an axis that a resource needs or not.
func checkSampled(axis string, needed, given bool) error {
	switch {
	case needed && !given:
		return &inputError{axis, errors.New("is missing: this resource is used at those that the spec gives")}
	case given && !needed:
		return &inputError{axis, errors.New("is given: this resource has its own, leave it out")}
	}
	return nil
}

// Sampling returns the directions and speeds at which the spec has the wind
// used.
func Sampling(config *spec.Windfarm) wind.Sampling {
	return wind.Sampling{Directions: config.Directions, Speeds: wind.Speeds(config.Speeds.First, config.Speeds.Last)}
}

// source says by which models the rows are computed.
func (f *farms) source() string {
	text := wind.ModelSource(f.config.Wake)
	if f.config.Site == spec.Tenders {
		text += ". " + wind.TenderSource
	} else {
		text += fmt.Sprintf(". Turbine: %s, %g m rotor, %g MW", f.turbines[0].Name, f.turbines[0].RotorDiameter, f.turbines[0].RatedPower/1e6)
		if f.config.ResourceName() == "" {
			text += ". " + wind.TenderWindSource
		}
	}
	switch {
	case f.config.HasLayoutFile():
		return text + "; layout of a file"
	case f.config.HasStyle():
		return text + "; " + wind.StyleSource
	case f.config.Layout == spec.SmartStart:
		return text + "; " + wind.SmartStartSource
	case f.config.Layout == spec.PolygonLayout:
		return text + "; layouts uniformly random in the site with a minimum spacing"
	default:
		return text + "; layouts by pattern: a grid or rings, as wide as the site allows, turned and shifted at random"
	}
}

// mostTurbines returns how many turbines farms with a type of turbine have at
// most.
func (f *farms) mostTurbines(farmType int64) int {
	if n := f.perFarm[farmType]; n > 0 {
		return n
	}
	return wind.MostDrawn(wind.Style(f.config.Layout))
}

// smartStart returns that of a turbine type, or nil if layouts are made
// otherwise.
func (f *farms) smartStart(farmType int64) (*wind.SmartStart, error) {
	if s := f.smartStarts[farmType]; s != nil || f.config.Layout != spec.SmartStart {
		return s, nil
	}
	resource, err := f.climate.Resource(wind.Sampling{Directions: wind.SmartStartDirections, Speeds: wind.SmartStartSpeeds()})
	if err != nil {
		return nil, err
	}
	model, err := wind.NewModel(f.config.Wake)
	if err != nil {
		return nil, err
	}
	s, err := wind.NewSmartStart(f.turbines[farmType], resource, model, f.air)
	if err != nil {
		return nil, err
	}
	f.smartStarts[farmType] = s
	return s, nil
}

// layout places the turbines of a farm.
func (f *farms) layout(ctx context.Context, key keyOfTask, seed uint64) (wind.Drawn, error) {
	turbine := f.turbines[key.farmType]
	spacing := f.config.MinSpacing * turbine.RotorDiameter
	switch {
	case f.fixed != nil:
		return wind.Drawn{Layout: f.fixed}, nil
	case f.stored != nil:
		layout, err := f.stored.Layout(ctx, key.layoutID)
		if err == nil {
			err = f.checkSpacing(fmt.Sprintf("layout %d of %s", key.layoutID, f.config.Layout), layout)
		}
		return wind.Drawn{Layout: layout}, err
	case len(f.sites) == 0:
		style := key.style
		if style == "" {
			style = wind.Style(f.config.Layout)
		}
		return style.Draw(turbine.RotorDiameter, spacing, wind.StyleParameters{Turbines: f.config.Turbines, Spacing: key.spacing}, seed)
	}
	layout, err := f.place(f.sites[key.farmID], key.farmType, spacing, seed)
	return wind.Drawn{Layout: layout}, err
}

// place places turbines on a site.
func (f *farms) place(site wind.Site, farmType int64, spacing float64, seed uint64) ([]wind.Point, error) {
	n := f.perFarm[farmType]
	switch f.config.Layout {
	case spec.SmartStart:
		s, err := f.smartStart(farmType)
		if err != nil {
			return nil, err
		}
		return s.Layout(site, n, spacing, seed)
	case string(wind.GridStyle):
		return site.Grid(n, spacing, seed)
	case string(wind.Rings):
		return site.Rings(n, spacing, seed)
	}
	return site.Layout(n, spacing, seed)
}

// calculator returns the calculator of a turbine type, which must exist.
func (f *farms) calculator(farmType int64) (*wind.Calculator, error) {
	if c, ok := f.calculators[farmType]; ok {
		return c, nil
	}
	resource, err := f.climate.Resource(Sampling(f.config))
	if err != nil {
		return nil, err
	}
	model, err := wind.NewModel(f.config.Wake)
	if err != nil {
		return nil, err
	}
	c, err := wind.NewCalculator(f.turbines[farmType], resource, model, f.air)
	if err != nil {
		return nil, err
	}
	f.calculators[farmType] = c
	return c, nil
}

// newFiles returns what reads the files of a wind farm.
func newFiles(ctx context.Context, dir string, reader *foreign.Reader) *windfile.Files {
	f := &windfile.Files{Dir: dir, NetCDF: NetCDF(ctx, reader)}
	if reader != nil {
		f.Stored = func(path string) (windfile.Layouts, error) { return openLayouts(ctx, reader, path) }
	}
	return f
}

// NetCDF returns what reads the netCDF files that a windIO file includes, in a
// process that may die of them.
func NetCDF(ctx context.Context, reader *foreign.Reader) windfile.NetCDF {
	if reader == nil {
		return nil
	}
	return func(path string) (map[string]windfile.Variable, error) {
		read, err := reader.Variables(ctx, path)
		if err != nil {
			return nil, err
		}
		variables := make(map[string]windfile.Variable, len(read))
		for name, v := range read {
			variables[name] = windfile.Variable{Dims: slices.Clone(v.Dims), Shape: v.Shape, Values: v.Values}
		}
		return variables, nil
	}
}
