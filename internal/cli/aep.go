package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/simulator"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// aepOptions are the flags of "windrow aep".
type aepOptions struct {
	layout, turbine, resource, system string
	per, speeds                       string
	directions                        int
	air                               wind.Air
	json                              bool

	model, profile                                              string
	growth                                                      float64
	superposition, reference, rotor, addedTurbulence, induction string
	renormalise                                                 bool
}

func newAEP(a *app) *cobra.Command {
	o := &aepOptions{air: wind.StandardAir()}
	c := &cobra.Command{
		Use:   "aep (--system FILE | --layout FILE --turbine TURBINE --resource FILE) --model MODEL",
		Short: "Compute the annual energy of one wind farm, to compare with another tool",
		Long: `Compute the annual energy of one wind farm with the model of the built-in
windfarm simulator, to compare it with another tool.

A layout is CSV with the columns x,y or x_m,y_m, in m. A turbine is the name of one built in,
generic:MW:METRES with a rated power and a rotor diameter, a CSV file
(wind_speed_ms, power_kw or power_w, thrust_coefficient, with the sizes in
comments), or a YAML file of FLORIS. A resource is a file of WAsP (.tab), or a
CSV file whose header says what it is:

  sector_deg,weibull_a_ms,weibull_k,frequency   Weibull sectors
  wd,ws,freq_val                                joint table, as FLORIS has it
  wind_direction_deg,wind_speed_ms              time series

Each may also be YAML of windIO, with what it includes: the file of that part, or
of a wind energy system. --system takes all three from one; what there is no
option for has the values of the file.

Models, each with the profile of the tool whose conventions it has, the first of
a name being its default. The air is the flags' in every profile (FLORIS itself
has --shear 0.12 --turbulence 0.06):
  ` + wrapNames(wind.ModelNames()) + `

Flags change single conventions of a profile, where the model is computed with
another. A deficit is a share of the free speed, or of that at its source. The
rotor sees the wind at its centre, with the loss times its overlap with a top hat
(jensen), at a grid of 3 x 3 points (jensen, gauss), or with the mean loss over its
disc (turbopark). Turbulence of Crespo and Hernández is added by the overlap
(niayifar) or the share of points in the wake (gauss).

Turbines built in, which stop above 25 m/s, the tender types above 30:
  ` + wrapNames(wind.TurbineNames()),
		Example: `  windrow aep --layout farm.csv --turbine v80 --resource sectors.csv --model jensen --profile pywake
  windrow aep --layout farm.csv --turbine nrel_5mw --resource rose.csv --model jensen --rotor centre --reference source --renormalise
  windrow aep --layout farm.csv --turbine generic:10:195 --resource rose.csv --model gauss --per direction --json
  windrow aep --system wind_energy_system.yaml --model bastankhah2014`,
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.aep(c, o); err != nil {
				return usageError(c, err)
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&o.system, "system", "", "wind energy system with layout, turbine and resource (YAML of windIO)")
	f.StringVar(&o.layout, "layout", "", "positions of the turbines (CSV, YAML of windIO)")
	f.StringVar(&o.turbine, "turbine", "", "name, generic:MW:METRES, or file (CSV, YAML of FLORIS or windIO)")
	f.StringVar(&o.resource, "resource", "", "wind resource (CSV, .tab, YAML of windIO)")
	f.StringVar(&o.model, "model", "", "wake model")
	f.StringVar(&o.profile, "profile", "", "tool whose conventions to follow (default: the first of the model)")
	f.StringVar(&o.per, "per", "", "also show the energy of each: direction or turbine")
	f.BoolVar(&o.json, "json", false, "print JSON")
	f.Float64Var(&o.air.Turbulence, "turbulence", o.air.Turbulence, "turbulence intensity of the free wind")
	f.Float64Var(&o.air.Shear, "shear", o.air.Shear, "exponent of the growth of the wind with height")
	f.Float64Var(&o.air.Density, "density", o.air.Density, "density of the air in kg/m³")
	f.IntVar(&o.directions, "directions", 360, "number of directions at which sectors are used")
	f.StringVar(&o.speeds, "speeds", "3..25", "whole speeds in m/s at which sectors are used")
	f.Float64Var(&o.growth, "growth", 0, "instead of the profile's: k of the wake's width (A of turbopark)")
	f.StringVar(&o.superposition, "superposition", "", "instead of the profile's: squares, linear or maximum")
	f.StringVar(&o.reference, "reference", "", "instead of the profile's deficit reference: free or source")
	f.StringVar(&o.rotor, "rotor", "", "instead of the profile's rotor average: centre, overlap, grid or disc")
	f.StringVar(&o.addedTurbulence, "added-turbulence", "", "instead of the profile's: none, overlap or points")
	f.StringVar(&o.induction, "induction", "", "instead of the profile's: momentum or madsen")
	f.BoolVar(&o.renormalise, "renormalise", false, "instead of the profile's: scale the frequencies to sum to 1, or not (=false)")
	return c
}

// wrapNames puts names into lines below each other.
func wrapNames(names []string) string {
	var lines []string
	for row := range slices.Chunk(names, 4) {
		lines = append(lines, strings.Join(row, ", "))
	}
	return strings.Join(lines, ",\n  ")
}

// energy is what the command prints.
type energy struct {
	Model          string            `json:"model"`
	Changes        []string          `json:"changes,omitempty"` // flags, of the model
	Turbine        string            `json:"turbine"`
	Turbines       int               `json:"turbines"`
	AEP            float64           `json:"aep_gwh"`
	AEPNoWake      float64           `json:"aep_nowake_gwh"`
	WakeLoss       float64           `json:"wake_loss"`
	CapacityFactor float64           `json:"capacity_factor"`
	PerTurbine     []turbineEnergy   `json:"per_turbine,omitempty"`
	PerDirection   []directionEnergy `json:"per_direction,omitempty"`
}

type turbineEnergy struct {
	X   float64 `json:"x_m"`
	Y   float64 `json:"y_m"`
	AEP float64 `json:"aep_gwh"`
}

type directionEnergy struct {
	Degrees float64 `json:"direction_deg"`
	AEP     float64 `json:"aep_gwh"`
}

// Between them are the capacity factors of real farms. Others happen, but more
// often a unit or a file is wrong.
const leastFactor, greatestFactor = 0.05, 0.75

func (a *app) aep(c *cobra.Command, o *aepOptions) error {
	if o.per != "" && o.per != "direction" && o.per != "turbine" {
		return fmt.Errorf("--per %s: direction or turbine are allowed", o.per)
	}
	o.layout, o.turbine, o.resource = cmp.Or(o.layout, o.system), cmp.Or(o.turbine, o.system), cmp.Or(o.resource, o.system)
	for _, flag := range [][2]string{{"layout", o.layout}, {"turbine", o.turbine}, {"resource", o.resource}, {"model", o.model}} {
		if flag[1] == "" {
			return fmt.Errorf("--%s is missing", flag[0])
		}
	}
	reader, err := newReader()
	if err != nil {
		return err
	}
	defer reader.Close()
	files := &windfile.Files{
		NetCDF: simulator.NetCDF(c.Context(), reader),
		Warn:   func(text string) { fmt.Fprintf(a.stderr, "windrow: warning: %s\n", text) },
	}
	if o.system != "" {
		if err := files.WarnOfSystem(o.system); err != nil {
			return err
		}
	}
	layout, err := files.Layout(o.layout)
	if err != nil {
		return err
	}
	turbine, err := openTurbine(files, o.turbine)
	if err != nil {
		return err
	}
	model, changes, err := o.newModel(c)
	if err != nil {
		return err
	}
	files.NeedsTurbulence = model.TurbulenceNeeded && !c.Flags().Changed("turbulence")
	resource, err := o.openResource(c, files, turbine.HubHeight)
	if err != nil {
		return err
	}
	calculator, err := wind.NewCalculator(turbine, resource, model, o.air)
	if err != nil {
		return err
	}
	result, err := calculator.Farm(layout)
	if err != nil {
		return err
	}
	a.warnFactor(result.CapacityFactor)
	e := energy{
		Model: model.Name, Changes: changes, Turbine: turbine.Name, Turbines: len(layout),
		AEP: result.AEP, AEPNoWake: result.AEPNoWake, WakeLoss: result.WakeLoss, CapacityFactor: result.CapacityFactor,
	}
	switch o.per {
	case "turbine":
		for i, p := range layout {
			e.PerTurbine = append(e.PerTurbine, turbineEnergy{p.X, p.Y, result.TurbineAEP[i]})
		}
	case "direction":
		for d, degrees := range calculator.Directions() {
			e.PerDirection = append(e.PerDirection, directionEnergy{degrees, result.DirectionAEP[d]})
		}
	}
	if o.json {
		return json.NewEncoder(a.stdout).Encode(e)
	}
	a.showEnergy(&e)
	return nil
}

func (a *app) warnFactor(factor float64) {
	if factor < leastFactor || factor > greatestFactor {
		fmt.Fprintf(a.stderr, "windrow: warning: a capacity factor of %.3g is unusual (%g to %g): check the units of the turbine and the resource\n",
			factor, leastFactor, greatestFactor)
	}
}

func (a *app) showEnergy(e *energy) {
	fmt.Fprintf(a.stdout, "model            %s\n", strings.Join(append([]string{e.Model}, e.Changes...), " "))
	fmt.Fprintf(a.stdout, "farm             %s of %s\n", plural(e.Turbines, "turbine"), e.Turbine)
	fmt.Fprintf(a.stdout, "aep              %.6f GWh\n", e.AEP)
	fmt.Fprintf(a.stdout, "aep_nowake       %.6f GWh\n", e.AEPNoWake)
	fmt.Fprintf(a.stdout, "wake_loss        %.6f\n", e.WakeLoss)
	fmt.Fprintf(a.stdout, "capacity_factor  %.6f\n", e.CapacityFactor)
	if e.PerTurbine != nil {
		fmt.Fprintln(a.stdout, "\nx_m,y_m,aep_gwh")
	}
	for _, t := range e.PerTurbine {
		fmt.Fprintf(a.stdout, "%g,%g,%.6f\n", t.X, t.Y, t.AEP)
	}
	if e.PerDirection != nil {
		fmt.Fprintln(a.stdout, "\ndirection_deg,aep_gwh")
	}
	for _, d := range e.PerDirection {
		fmt.Fprintf(a.stdout, "%g,%.6f\n", d.Degrees, d.AEP)
	}
}

// openResource also takes the turbulence of the air from the file, if it has
// any and no flag says otherwise.
func (o *aepOptions) openResource(c *cobra.Command, files *windfile.Files, hub float64) (wind.Resource, error) {
	first, last, ok := strings.Cut(o.speeds, "..")
	low, lowErr := strconv.Atoi(first)
	high, highErr := strconv.Atoi(last)
	if !ok || lowErr != nil || highErr != nil || low < 1 || high < low || high > 50 {
		return nil, fmt.Errorf("--speeds %s: expected whole speeds from 1 to 50 m/s, as in 3..25", o.speeds)
	}
	if o.directions < 1 || o.directions > 3600 {
		return nil, fmt.Errorf("--directions %d: 1 to 3600 are allowed", o.directions)
	}
	climate, air, err := files.Climate(o.resource, hub)
	if err != nil {
		return nil, err
	}
	if !c.Flags().Changed("turbulence") {
		o.air.Turbulence = air.Turbulence
	}
	return climate.Resource(wind.Sampling{Directions: o.directions, Speeds: wind.Speeds(low, high)})
}

// openTurbine takes what --turbine says.
func openTurbine(files *windfile.Files, name string) (wind.Turbine, error) {
	if sizes, ok := strings.CutPrefix(name, "generic:"); ok {
		megawatts, metres, _ := strings.Cut(sizes, ":")
		rated, ratedErr := strconv.ParseFloat(megawatts, 64)
		diameter, diameterErr := strconv.ParseFloat(metres, 64)
		if ratedErr != nil || diameterErr != nil {
			return wind.Turbine{}, fmt.Errorf("--turbine %s: expected generic:MW:METRES, as in generic:10:195", name)
		}
		return wind.NewGenericTurbine(rated*1e6, diameter)
	}
	if filepath.Ext(name) == ".csv" || windfile.IsYAML(name) {
		return files.Turbine(name)
	}
	return wind.NewTurbine(name)
}
