package wind

import (
	"fmt"
	"slices"
	"strings"
)

// Model is a wake model: how much a turbine slows the wind behind it, and how
// that adds up. Tools that implement the same paper differ in conventions worth
// percents of the energy; here each is a field. [NewModel] returns the named
// ones.
type Model struct {
	Name    string // as in "jensen/floris"
	Deficit Deficit

	Growth           float64 // k, m of wake width per m downwind; with turbulence: at none
	TurbulentGrowth  float64 // added to Growth for each unit of turbulence intensity
	Induction        Induction
	Superposition    Superposition
	Reference        Reference
	Rotor            Rotor
	Turbulence       AddedTurbulence
	ThrustOutside    Outside
	Renormalise      bool    // scale the frequencies to sum to 1
	Mirror           bool    // the ground reflects wakes: a second wake from below it, root of the sum of squares of both
	Start            float64 // width of a Gaussian wake at the rotor, in diameters; see Deficit
	MaximalThrust    float64 // greater thrust coefficients are this in the width at the rotor
	TurbulenceNeeded bool    // the air must have a turbulence intensity
	RadiusOffset     float64 // m; a top hat begins that far downwind, and loses as if it were that much wider
}

// Deficit is the shape of one wake: the share of the reference speed that is
// lost at a distance dx downwind and r from the middle of the wake of a turbine
// of diameter D = 2 R and thrust coefficient ct. All lengths are in m.
type Deficit int

// The shapes. a(ct) is the induction.
const (
	// NoWake loses nothing.
	NoWake Deficit = iota
	// CaseStudy is the Gaussian of IEA Wind Task 37 with its constant ct = 8/9.
	// See the package comment.
	CaseStudy
	// TopHat is 2 a (R / (R + k dx))² where r < R + k dx: N. O. Jensen, A note on
	// wind generator interaction, Risø-M-2411, 1983; Katic, Højstrup and Jensen,
	// EWEC 1986.
	TopHat
	// Gaussian is min(1, 2 a(ct D²/(8 sigma²))) exp(-r²/(2 sigma²)) with
	// sigma = k dx + eps D, eps = Start sqrt((1 + q)/(2 q)), q = sqrt(1 - ct):
	// Bastankhah and Porté-Agel, Renewable Energy 70, 116-123, 2014. With
	// TurbulentGrowth it is that of Niayifar and Porté-Agel, Energies 9, 741, 2016.
	Gaussian
	// ConstantGaussian is Gaussian with eps = Start at every thrust: Thomas and
	// Ning, J. Phys. Conf. Ser. 1037, 042012, 2018.
	ConstantGaussian
	// NearAndFar is a Gaussian with a near wake that narrows to the onset of the
	// far wake: Bastankhah and Porté-Agel, J. Fluid Mech. 806, 506-541, 2016, with
	// the growth of Niayifar and Porté-Agel.
	NearAndFar
	// Turbulent is Gaussian with sigma that grows with the turbulence of the wake,
	// which decays: Nygaard et al., J. Phys. Conf. Ser. 2265, 022008, 2022
	// (TurbOPark). Growth is its A.
	Turbulent
)

// Induction is the share by which a rotor slows the wind, as a function of ct.
type Induction int

// The inductions.
const (
	Momentum Induction = iota // (1 - sqrt(1 - ct))/2, one-dimensional momentum theory
	Madsen                    // 0.0883 ct³ + 0.0586 ct² + 0.2460 ct: Madsen et al., Wind Energy Science 5, 1-27, 2020
)

func (i Induction) of(ct float64) float64 {
	if i == Madsen {
		return ct * (0.2460 + ct*(0.0586+ct*0.0883))
	}
	return momentum(ct)
}

// Superposition is how the losses of several wakes make one.
type Superposition int

// The superpositions.
const (
	Squares Superposition = iota // root of the sum of squares
	Linear                       // sum
	Maximum                      // the greatest
)

// Reference is the speed that a loss is a share of.
type Reference int

// The references. Only shear makes the free speed differ from place to place:
// it is that at the receiver then.
const (
	FreeSpeed   Reference = iota // of the wind without turbines
	SourceSpeed                  // of the wind that reaches the turbine whose wake it is
)

// Rotor is how the wind over a rotor makes one speed.
type Rotor int

// The rotors.
const (
	Centre  Rotor = iota // the wind at the hub
	Overlap              // the hub's, with the loss times the share of the rotor inside the wake
	Grid                 // cube root of the mean cube at 3 x 3 points, half a radius apart
	Disc                 // the hub's, with the mean loss over the rotor's disc
)

// AddedTurbulence is what wakes add to the turbulence of the air.
type AddedTurbulence int

// The turbulence models, both after Crespo and Hernández, J. Wind Eng. Ind.
// Aerodyn. 61, 71-85, 1996; I is the turbulence of the free air, a the induction.
const (
	NoAddedTurbulence    AddedTurbulence = iota
	AddedWithOverlap                     // 0.73 a^0.8325 I^-0.0325 (dx/D)^-0.32 times the rotor's share inside 2 sigma; a is Madsen's
	AddedWithin15Rotors                  // 0.5 a^0.8 I^0.1 (dx/D)^-0.32 times the share of points that lose 0.05 m/s, to 15 D and 2 D aside
	turbulenceReach      = 15            // D downwind, and
	turbulenceHalfWidth  = 2             // D aside
	turbulenceLeastSpeed = 0.05          // m/s
)

// Outside is the thrust coefficient at speeds outside of the turbine's table.
// Power is zero there, whatever the model.
type Outside int

// The conventions.
const (
	Clamped    Outside = iota // that at the nearer end
	NoThrust                  // 0
	SlightOnly                // 0.0001; and everywhere between that and 0.9999
)

// Air is what a model needs to know of the air beside its speed.
type Air struct {
	Turbulence float64 // intensity: standard deviation over mean speed
	Shear      float64 // exponent alpha of the speed's growth with height: (z/hub height)^alpha
	Density    float64 // kg/m³; the power is that at the speed times (Density/1.225)^(1/3)
}

// StandardAir has the turbulence that offshore studies assume and no shear.
func StandardAir() Air { return Air{Turbulence: 0.1, Density: airDensity} }

func (a Air) validate() error {
	if !(a.Turbulence >= 0 && a.Turbulence <= 1) {
		return fmt.Errorf("turbulence intensity is %g: expected 0 to 1", a.Turbulence)
	}
	if !(a.Shear >= 0 && a.Shear <= 1) {
		return fmt.Errorf("shear exponent is %g: expected 0 to 1", a.Shear)
	}
	if !(a.Density > 0.5 && a.Density < 2) {
		return fmt.Errorf("air density is %g kg/m³: expected 0.5 to 2", a.Density)
	}
	return nil
}

// named are the models that have a name, the default profile of each first.
var named = []Model{
	{Name: "none", Deficit: NoWake},
	{Name: "iea37", Deficit: CaseStudy},
	{Name: "iea37/pywake", Deficit: ConstantGaussian, Growth: growth, Start: 0.35355339059327376 /* 1/sqrt(8) */},
	{Name: "jensen/pywake", Deficit: TopHat, Growth: 0.1, Induction: Madsen, Rotor: Overlap},
	{Name: "jensen/floris", Deficit: TopHat, Growth: 0.05, Rotor: Grid, ThrustOutside: SlightOnly, Renormalise: true, RadiusOffset: 0.001},
	{Name: "jensen/foxes", Deficit: TopHat, Growth: 0.07, Reference: SourceSpeed, ThrustOutside: NoThrust},
	{Name: "bastankhah2014/pywake", Deficit: Gaussian, Growth: growth, Start: 0.2, MaximalThrust: 0.899, Induction: Madsen},
	{
		Name: "gauss/floris", Deficit: NearAndFar, Growth: 0.004, TurbulentGrowth: 0.38, Rotor: Grid,
		Turbulence: AddedWithin15Rotors, ThrustOutside: SlightOnly, Renormalise: true, TurbulenceNeeded: true,
	},
	// PyWake's NiayifarGaussianDeficit with ct2a_mom1d and the effective speed,
	// LinearSum, and CrespoHernandez as it is. Its class Niayifar_PorteAgel_2016 has
	// other constants, and a mean over the rotor.
	{
		Name: "niayifar/pywake", Deficit: Gaussian, Growth: 0.004, TurbulentGrowth: 0.38, Start: 0.2, MaximalThrust: 0.899,
		Superposition: Linear, Reference: SourceSpeed, Turbulence: AddedWithOverlap, TurbulenceNeeded: true,
	},
	{
		Name: "turbopark/pywake", Deficit: Turbulent, Growth: 0.04, Start: 0.25, MaximalThrust: 0.999,
		Rotor: Disc, Mirror: true, TurbulenceNeeded: true,
	},
}

// ModelNames returns the names that [NewModel] knows.
func ModelNames() []string {
	var names []string
	for _, m := range named {
		names = append(names, m.Name)
	}
	return names
}

// NewModel returns a model by its name with or without the profile, the tool
// whose conventions it has: "jensen/floris". Without, the profile is the first
// that ModelNames lists. Its figures are those of the tool's defaults: PyWake
// 2.6.7 (DTU), FLORIS 4.4.2 (NREL), foxes 1.8.3 (Fraunhofer IWES).
func NewModel(name string) (Model, error) {
	for _, m := range named {
		if base, _, _ := strings.Cut(m.Name, "/"); name == m.Name || name == base {
			return m, nil
		}
	}
	return Model{}, fmt.Errorf("there is no wake model %q: expected one of %s", name, strings.Join(ModelNames(), ", "))
}

// IEA37 returns the model of the IEA Wind Task 37 case studies.
func IEA37() Model { return named[1] }

// fixed returns what is left of a model without parameters.
func (m Model) fixed() Model {
	return Model{Name: m.Name, Deficit: m.Deficit, Renormalise: m.Renormalise}
}

// needsThrust tells whether the turbine must have a thrust curve.
func (m Model) needsThrust() bool { return m.Deficit != NoWake && m.Deficit != CaseStudy }

// Validate reports combinations that are not implemented, which would silently
// be something else.
func (m Model) Validate() error {
	grid := m.Rotor == Grid
	switch {
	case m.Deficit < NoWake || m.Deficit > Turbulent:
		return fmt.Errorf("wake model %q: unknown deficit %d", m.Name, m.Deficit)
	case m.Deficit == NoWake && m != m.fixed():
		return fmt.Errorf("wake model %q: nothing but the renormalisation can be changed", m.Name)
	case m.Deficit == CaseStudy && m != m.fixed():
		return fmt.Errorf("wake model %q: nothing but the renormalisation can be changed; iea37/pywake is the same with parameters", m.Name)
	case m.needsThrust() && !positive(m.Growth):
		return fmt.Errorf("wake model %q: growth is %g: expected a positive number", m.Name, m.Growth)
	case m.Rotor == Overlap && m.Deficit != TopHat:
		return fmt.Errorf("wake model %q: only the top hat of jensen has the overlap of its disc with the rotor's", m.Name)
	case m.Rotor == Disc && m.Deficit != Turbulent, m.Mirror && m.Deficit != Turbulent:
		return fmt.Errorf("wake model %q: only turbopark has the mean over the disc and the mirror", m.Name)
	case grid && !slices.Contains([]Deficit{TopHat, NearAndFar}, m.Deficit):
		return fmt.Errorf("wake model %q: only jensen and gauss have the grid of points on the rotor", m.Name)
	case grid && (m.Superposition != Squares || m.Reference != FreeSpeed || m.Induction != Momentum):
		return fmt.Errorf("wake model %q: the grid of points on the rotor goes only with squares, the free speed and the induction of momentum theory", m.Name)
	case m.Deficit == NearAndFar && !grid:
		return fmt.Errorf("wake model %q: gauss is computed only with the grid of points on the rotor", m.Name)
	case m.Turbulence == AddedWithin15Rotors && m.Deficit != NearAndFar:
		return fmt.Errorf("wake model %q: only gauss has the turbulence that is added by points", m.Name)
	case m.Turbulence == AddedWithOverlap && (m.Deficit != Gaussian || m.TurbulentGrowth == 0):
		return fmt.Errorf("wake model %q: only niayifar has the turbulence that is added by overlap", m.Name)
	}
	return nil
}

// suits reports what the model needs of the turbine and the air and does not find.
func (m Model) suits(turbine Turbine, air Air) error {
	switch {
	case m.needsThrust() && turbine.Thrust == nil:
		return fmt.Errorf("wake model %q needs thrust coefficients, and turbine %q has none", m.Name, turbine.Name)
	case m.TurbulenceNeeded && air.Turbulence == 0:
		return fmt.Errorf("wake model %q needs a turbulence intensity above 0", m.Name)
	case m.Rotor != Grid && air.Shear != 0:
		return fmt.Errorf("wake model %q sees the wind at the hub, so a shear exponent of %g would do nothing", m.Name, air.Shear)
	}
	return nil
}
