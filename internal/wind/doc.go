// Package wind computes what a wind farm produces in a year, and lays farms
// out at random. It is the physics of the built-in windfarm simulator: pure
// functions of their arguments, without files, clocks or global state.
//
// A [Turbine] and a [Rose] make a [Calculator]; a layout given to the
// Calculator makes a [Result]:
//
//	sites, types := wind.Tenders(), wind.TurbineTypes()
//	rose, err := wind.TenderWind().Rose(360, wind.Speeds(3, 25))
//	calculator, err := wind.NewCalculator(types[0].Turbine, rose)
//	layout, err := sites[4].Layout(types[0].TurbinesPerFarm, 3*types[0].RotorDiameter, seed)
//	result, err := calculator.Farm(layout)
//
// # The model
//
// Wakes are those of the case studies of IEA Wind Task 37: a turbine of
// diameter D slows the wind at a distance dx downwind and dy crosswind by
//
//	loss  = (1 - sqrt(1 - CT/(8 sigma²/D²))) exp(-dy²/(2 sigma²))    for dx > 0
//	sigma = k dx + D/sqrt(8)
//
// with CT = 8/9 and k = 0.0324555. Losses from several turbines add as the root
// of the sum of their squares, and a turbine in wind U runs at U (1 - loss).
// Tools differ in their conventions; these are ours:
//
//   - A wind direction is where the wind comes from, in degrees clockwise from
//     north: wind from wd blows towards (-sin wd, -cos wd).
//   - The thrust coefficient is constant, so a loss is a fraction of the free
//     wind speed and the same at every speed.
//   - The rotor sees the wind at its centre. There is no shear, no turbulence
//     and no ground: hub height does not enter.
//   - Frequencies are used as they are, not scaled to sum to 1. Wind outside
//     the speeds of the rose produces nothing.
//   - A year has 8760 hours. Availability, electrical losses and the like are
//     not subtracted.
//
// # Reproducibility
//
// The same executable returns the same bits for the same arguments, however
// many goroutines call it and whatever they computed before: each farm is
// summed in a fixed order by one goroutine. Bits may differ in the last place
// between CPU architectures, where compilers fuse multiplications with
// additions; on amd64 the exponential of the standard library does so where the
// CPU can, which is every one since 2013.
package wind

// Version names the model and its data in the digest of a run. It changes
// whenever any result does.
const Version = "iea37-gaussian/1"

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
