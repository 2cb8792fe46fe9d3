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

// Version names the model and its data in the digest of a run. It changes
// whenever any result does.
const Version = "iea37-gaussian/2"

// Source says in one paragraph what was computed and where it comes from, for
// the metadata of a dataset.
const Source = "Annual energy of wind farms with the Gaussian wake of the IEA Wind Task 37 case studies " +
	"(Thomas and Ning, A method for reducing multi-modality in the wind farm layout optimization problem, " +
	"Journal of Physics: Conference Series 1037, 042012, 2018; simplified from Bastankhah and Porté-Agel, " +
	"Journal of Fluid Mechanics 806, 506-541, 2016): constant thrust coefficient 8/9, wake growth rate 0.0324555, " +
	"root-sum-square superposition, losses relative to the free wind, rotor centre point, " +
	"frequencies not renormalised, 8760 h per year. " +
	"Power curves: GenericWindTurbine of PyWake 2.6.7 (DTU Wind and Energy Systems, MIT licence), 10-15 MW. " +
	"Sites: public coordinates of ten Danish North Sea tenders (UTM 32N). " +
	"Wind: Weibull distributions of twelve sectors, nearest sector. " +
	"Layouts: uniformly random in the site with a minimum spacing."
