// Package wind computes what a wind farm produces in a year, and lays farms
// out at random. It is the physics of the built-in windfarm simulator: pure
// functions of their arguments, without files, clocks or global state.
//
// A [Turbine], a [Resource] and a [Model] make a [Calculator]; a layout given to the
// Calculator makes a [Result]:
//
//	sites, types := wind.Tenders(), wind.TurbineTypes()
//	rose, err := wind.TenderWind().Rose(360, wind.Speeds(3, 25))
//	calculator, err := wind.NewCalculator(types[0].Turbine, rose, wind.IEA37(), wind.StandardAir())
//	layout, err := sites[4].Layout(types[0].TurbinesPerFarm, 3*types[0].RotorDiameter, seed)
//	result, err := calculator.Farm(layout)
//
// # The models
//
// [NewModel] returns a wake model by name; the constants of [Deficit] say what
// each computes and who published it. Tools differ in their conventions, which
// are fields of [Model]; a profile, as in jensen/floris, has those of a tool. The
// figures of IEA Wind Task 37, FLORIS, PyWake and foxes in the tests hold each
// of them. Common to all:
//
//   - A wind direction is where the wind comes from, in degrees clockwise from
//     north: wind from wd blows towards (-sin wd, -cos wd).
//   - Wind outside the speeds of the resource, and outside the power curve,
//     produces nothing.
//   - A year has 8760 hours. Availability, electrical losses and the like are
//     not subtracted.
//
// Wakes of the case studies of IEA Wind Task 37, called iea37, are
//
//	loss  = (1 - sqrt(1 - CT/(8 sigma²/D²))) exp(-dy²/(2 sigma²))    for dx > 0
//	sigma = k dx + D/sqrt(8)
//
// at a distance dx downwind and dy crosswind of a turbine of diameter D, all in
// m, with CT = 8/9 and k = 0.0324555. The thrust coefficient is constant, so a
// loss is a fraction of the free wind speed and the same at every speed, which
// makes this model the fastest.
//
// # Speed
//
// Geometry is computed once for each direction, not for each speed; wakes end
// where they cannot matter; the sweep down the wind visits each pair once;
// losses that need a series stop at a stated error. Tests compare each bound
// with the exact sum. Nothing is allocated but the slices of the result and,
// for the largest farm so far, the working memory.
//
// # Reproducibility
//
// The same source returns the same bits for the same arguments on every amd64
// machine, however many goroutines call it and whatever they computed before:
// each farm is summed in a fixed order by one goroutine, and exponentials are
// our own, because the standard library's depend on the CPU there. Builds with
// GOAMD64=v3 and other architectures, for which the compiler fuses
// multiplications with additions, may differ in the last place.
package wind

import "strings"

// Version names the models and their data in the digest of a run. It changes
// whenever any result does.
const Version = "wakes/3"

// ModelSource says what a model computes and where it comes from, for the
// metadata of a dataset.
func ModelSource(model string) string {
	name, _, _ := strings.Cut(model, "/")
	text := "Annual energy of wind farms with the wake model " + model + ": " + papers[name] + ". "
	if name != "none" && name != "iea37" {
		text += "Conventions and constants of the tool that the name says: PyWake 2.6.7, FLORIS 4.4.2, foxes 1.8.3. " +
			"No shear, air of 1.225 kg/m3. "
	}
	if name == "jensen" && strings.HasSuffix(model, "/floris") || name == "gauss" {
		text += "Frequencies renormalised to sum to 1"
	} else {
		text += "Frequencies not renormalised"
	}
	return text + ", 8760 h per year"
}

// TenderWindSource says where TenderWind comes from.
const TenderWindSource = "Wind: Weibull distributions of twelve sectors in the Danish North Sea, nearest sector, turbulence intensity 0.1"

// TenderSource says where the sites and turbines of the tenders come from.
const TenderSource = "Power and thrust curves: GenericWindTurbine of PyWake 2.6.7 (DTU Wind and Energy Systems, MIT licence), 10-15 MW. " +
	"Sites: public coordinates of ten Danish North Sea tenders (UTM 32N). " + TenderWindSource

// papers say what each model is.
var papers = map[string]string{
	"none": "no wakes",
	"iea37": "the Gaussian wake of the IEA Wind Task 37 case studies " +
		"(Thomas and Ning, A method for reducing multi-modality in the wind farm layout optimization problem, " +
		"Journal of Physics: Conference Series 1037, 042012, 2018; simplified from Bastankhah and Porté-Agel, " +
		"Journal of Fluid Mechanics 806, 506-541, 2016), wake growth rate 0.0324555, " +
		"root-sum-square superposition, losses relative to the free wind, rotor centre point, thrust coefficient 8/9",
	"jensen": "top-hat wakes (N. O. Jensen, A note on wind generator interaction, Risø-M-2411, 1983; " +
		"Katic, Højstrup and Jensen, A simple model for cluster efficiency, EWEC 1986)",
	"bastankhah2014": "Gaussian wakes (Bastankhah and Porté-Agel, A new analytical model for wind-turbine wakes, " +
		"Renewable Energy 70, 116-123, 2014)",
	"gauss": "Gaussian near and far wakes (Bastankhah and Porté-Agel, Journal of Fluid Mechanics 806, 506-541, 2016; " +
		"Niayifar and Porté-Agel, Energies 9, 741, 2016) with added turbulence (Crespo and Hernández, " +
		"Journal of Wind Engineering and Industrial Aerodynamics 61, 71-85, 1996)",
	"niayifar": "Gaussian wakes that grow with the turbulence (Niayifar and Porté-Agel, Energies 9, 741, 2016) " +
		"with added turbulence (Crespo and Hernández, Journal of Wind Engineering and Industrial Aerodynamics 61, 71-85, 1996)",
	"turbopark": "TurbOPark, Gaussian wakes that grow with their own turbulence, averaged over the rotor, with their mirror images " +
		"(Nygaard et al., Large-scale benchmarking of wake models for offshore wind farms, " +
		"Journal of Physics: Conference Series 2265, 022008, 2022)",
}
