package wind

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Style is a family of layouts of farms that have no site: how the turbines
// stand to each other. The four of strings and clusters are those of PLayGen,
// the layout generator of NREL's wind plant graph neural network (Harrison-Atlas,
// Glaws, King and Lantz, Artificial intelligence-aided wind plant optimization
// for nationwide evaluation of land use and economic benefits of wake steering,
// Nature Energy 9, 735-749, 2024; NREL/WPGNN).
type Style string

// The styles.
const (
	Cluster        Style = "cluster"         // grown turbine by turbine, at about the spacing from one that stands
	SingleString   Style = "single_string"   // a line with gaps that meanders a little
	MultipleString Style = "multiple_string" // such lines all over the place, in about one direction
	ParallelString Style = "parallel_string" // such lines beside each other
	GridStyle      Style = "grid"            // rows and columns of a square grid
	Rings          Style = "rings"           // circles around one turbine
)

// Styles returns all of them.
func Styles() []Style {
	return []Style{Cluster, SingleString, MultipleString, ParallelString, GridStyle, Rings}
}

// StyleSource says where the layouts of a style come from.
const StyleSource = "layouts by style: cluster, single_string, multiple_string and parallel_string as PLayGen draws them " +
	"(NREL/WPGNN; Harrison-Atlas et al., Nature Energy 9, 735-749, 2024), grid and rings with their numbers of turbines; " +
	"drawn again until all turbines keep the minimum spacing"

// MostSpacing is the widest spacing that is drawn, in rotor diameters.
const MostSpacing = 7.0

// MostDrawn returns the most turbines that a style draws.
func MostDrawn(s Style) int {
	if s == SingleString {
		return 100
	}
	return 200
}

const (
	styleAttempts = 100              // at a layout that keeps the minimum spacing
	patternStream = 0x7061747465726e // "pattern"
	styleStream   = 0x7374796c65     // "style": see layoutStream
	stringTries   = 100              // to place a string before the area grows
	stringGrowths = 200              // of the area
	clusterTries  = 1000             // to find a place beside a turbine
	leastDrawn    = 2.5              // spacing in rotor diameters
	stringSpread  = 0.5              // radians, standard deviation of the directions of strings
	mostDeviation = 1.12             // standard deviations
	nearlyNothing = 1e-9             // relative; a distance is not too short for its rounding
	mostTurbines  = 1000             // of a farm with a style
)

// StyleParameters are what a user may fix of a layout. What is zero is drawn.
type StyleParameters struct {
	Turbines int     // from 25 to 200, single_string to 100
	Spacing  float64 // between neighbours, in rotor diameters; from 2.5 to 7
}

// Drawn is a layout with a style, centred on (0, 0), and what was drawn for it.
type Drawn struct {
	Layout  []Point
	Spacing float64 // wanted between neighbours, in rotor diameters
	Angle   float64 // degrees clockwise from north, of the strings or of the grid's rows; NaN where there are none
	Strings int     // 0 where there are none
	Breaks  int     // places left empty in strings
	Noise   float64 // how much strings meander, their mean: 0 is not at all; NaN where there are none
}

// Draw returns a layout of turbines with the given rotor diameter, none closer
// to another than spacing, both in m.
//
// It is a pure function of its arguments. Its random numbers are those of
// math/rand/v2's PCG seeded with seed and a constant. An error says that
// what is wanted is impossible, or was not found in a bounded number of draws.
func (s Style) Draw(diameter, spacing float64, fixed StyleParameters, seed uint64) (Drawn, error) {
	if !slices.Contains(Styles(), s) {
		return Drawn{}, fmt.Errorf("there is no layout style %q", string(s))
	}
	if !positive(diameter) || !(spacing >= 0) || fixed.Turbines < 0 || fixed.Turbines > mostTurbines || !(fixed.Spacing >= 0) || math.IsInf(fixed.Spacing, 0) {
		return Drawn{}, fmt.Errorf("layout style %s: %d turbines of %g m, %gD apart, at least %g m, make no layout",
			s, fixed.Turbines, diameter, fixed.Spacing, spacing)
	}
	if fixed.Spacing > 0 && fixed.Spacing*diameter < spacing*(1-nearlyNothing) {
		return Drawn{}, fmt.Errorf("layout style %s: turbines %gD apart cannot be %gD apart at least", s, fixed.Spacing, spacing/diameter)
	}
	d := &draw{rand.New(rand.NewPCG(seed, styleStream))}
	for range styleAttempts {
		drawn, ok := d.layout(s, fixed)
		for i := range drawn.Layout {
			drawn.Layout[i].X *= diameter
			drawn.Layout[i].Y *= diameter
		}
		if ok && ClosestPair(drawn.Layout) >= spacing*(1-nearlyNothing) {
			return drawn, nil
		}
	}
	return Drawn{}, fmt.Errorf("layout style %s: none of %d layouts kept %gD between all turbines", s, styleAttempts, spacing/diameter)
}

// ClosestPair returns the least distance between two of the points, or infinity
// if there are no two.
func ClosestPair(points []Point) float64 {
	least := math.Inf(1)
	for i, p := range points {
		for _, q := range points[:i] {
			least = min(least, math.Hypot(p.X-q.X, p.Y-q.Y))
		}
	}
	return least
}

// draw draws layouts. All its lengths are in rotor diameters.
type draw struct{ *rand.Rand }

func (r *draw) layout(s Style, fixed StyleParameters) (Drawn, bool) {
	n := fixed.Turbines
	if n == 0 {
		n = r.turbines(s)
	}
	spacing := fixed.Spacing
	if spacing == 0 {
		spacing = r.between(leastDrawn, MostSpacing)
	}
	theta := r.between(0, 2*math.Pi)
	drawn := Drawn{Spacing: spacing, Angle: bearing(theta), Noise: math.NaN()}
	ok := true
	switch s {
	case Cluster:
		drawn.Angle = math.NaN()
		drawn.Layout, ok = r.cluster(n, spacing)
	case SingleString:
		line := r.line(n, 0.25, 0.5)
		drawn.addString(line)
		drawn.Layout = turned(line.points(r, 0.48*spacing), theta)
	case MultipleString:
		ok = r.multipleString(n, theta, &drawn)
	case ParallelString:
		r.parallelString(n, theta, &drawn)
	case GridStyle:
		drawn.Layout = turned(square(n, spacing), theta)
	case Rings:
		drawn.Angle = math.NaN()
		drawn.Layout = r.rings(n, spacing)
	}
	drawn.centre()
	return drawn, ok
}

// bearing turns radians from east, anticlockwise, into degrees from north,
// clockwise.
func bearing(theta float64) float64 { return math.Mod(450-theta*180/math.Pi, 360) }

func (d *Drawn) addString(l line) {
	if d.Strings == 0 {
		d.Noise = 0
	}
	d.Strings++
	d.Breaks += l.slots() - l.turbines
	d.Noise += (l.noise - d.Noise) / float64(d.Strings)
}

func (d *Drawn) centre() {
	mean := Point{}
	for _, p := range d.Layout {
		mean.X += p.X / float64(len(d.Layout))
		mean.Y += p.Y / float64(len(d.Layout))
	}
	for i := range d.Layout {
		d.Layout[i].X -= mean.X
		d.Layout[i].Y -= mean.Y
	}
}

func (r *draw) between(low, high float64) float64 { return low + r.Float64()*(high-low) }

func (r *draw) turbines(s Style) int {
	if s == SingleString {
		return int(math.Round(r.logNormal(50, 20, 25, float64(MostDrawn(s)))))
	}
	return int(math.Round(r.logNormal(125, 50, 25, float64(MostDrawn(s)))))
}

// logNormal draws from a log-normal distribution of that mean and standard
// deviation, cut off at low and high.
func (r *draw) logNormal(mean, deviation, low, high float64) float64 {
	variance := math.Log(deviation*deviation/(mean*mean) + 1)
	mu, sigma := math.Log(mean)-variance/2, math.Sqrt(variance)
	for {
		if v := math.Exp(mu + sigma*r.NormFloat64()); v >= low && v <= high {
			return v
		}
	}
}

// line is a string of turbines before it is placed: turbines and, after some of
// them, empty places.
type line struct {
	turbines int
	breaks   []int // lengths
	noise    float64
}

func (r *draw) line(turbines int, leastNoise, mostNoise float64) line {
	l := line{turbines: turbines}
	if root := int(math.Sqrt(float64(turbines))); turbines >= 5 {
		for range r.IntN(root) {
			l.breaks = append(l.breaks, 1+r.IntN(root-1))
		}
	}
	l.noise = r.between(leastNoise, mostNoise)
	return l
}

// slots returns the number of places, empty ones included.
func (l line) slots() int {
	n := l.turbines
	for _, length := range l.breaks {
		n += length
	}
	return n
}

// points places the turbines along the x axis, from minus to plus reach times
// the number of places.
func (l line) points(r *draw, reach float64) []Point {
	reach *= float64(l.slots())
	taken := make([]bool, l.turbines)
	for i := range taken {
		taken[i] = true
	}
	for _, length := range l.breaks {
		taken = slices.Insert(taken, r.IntN(len(taken)), make([]bool, length)...)
	}
	meander := r.meander(len(taken), l.noise)
	points := make([]Point, 0, l.turbines)
	for i, ok := range taken {
		if ok {
			points = append(points, Point{reach * (2*share(i, len(taken)) - 1), reach * meander[i]})
		}
	}
	return points
}

// share returns how far along a row of n the i-th stands, from 0 to 1.
func share(i, n int) float64 {
	if n == 1 {
		return 0.5
	}
	return float64(i) / float64(n-1)
}

// meander returns a random walk of n steps, every tenth place of one ten times
// as long, tied to 0 at both ends.
func (r *draw) meander(n int, noise float64) []float64 {
	walk, at := make([]float64, n), 0.0
	for i := range 10 * n {
		at += 0.01 * noise * float64(r.IntN(3)-1)
		if i%10 == 0 {
			walk[i/10] = at
		}
	}
	first, last := walk[0], walk[n-1]
	for i := range walk {
		walk[i] -= first + share(i, n)*(last-first)
	}
	return walk
}

// distribute divides n turbines among strings at random, at least two for each
// and three quarters of all at most. The number of strings is normally distributed
// around mean, but two at least where there are enough turbines for two.
func (r *draw) distribute(n int, mean float64) []int {
	strings := min(max(2, int(mean+r.NormFloat64())), n/2)
	if strings < 2 {
		return []int{n}
	}
	sizes := slices.Repeat([]int{2}, strings)
	for left := n - 2*strings; left > 0; {
		if i := r.IntN(strings); sizes[i] < 3*n/4 {
			sizes[i]++
			left--
		}
	}
	return sizes
}

func (r *draw) multipleString(n int, theta float64, drawn *Drawn) bool {
	sizes := r.distribute(n, math.Sqrt(float64(n)))
	slices.SortFunc(sizes, func(a, b int) int { return b - a }) // the long ones while there is room
	width := Point{r.between(drawn.Spacing, 8), r.between(drawn.Spacing, 8)}
	scale := 0.8 * math.Sqrt(float64(n)*float64(len(sizes)))
	least := math.Inf(1) // distance in a string
	for _, size := range sizes {
		l := r.line(size, 0.25, 0.75)
		drawn.addString(l)
		const reach = 0.46
		points := turned(l.points(r, reach*drawn.Spacing), theta+stringSpread*r.deviation())
		least = min(least, ClosestPair(points))
		half := reach * drawn.Spacing * float64(l.slots())
		placed, ok := r.place(points, drawn.Layout, least, func(growths int) Point {
			x, y := scale*(width.X+float64(growths))-half, scale*(width.Y+float64(growths))-half
			return Point{r.between(-x, x), r.between(-y, y)}
		})
		if !ok {
			return false
		}
		drawn.Layout = append(drawn.Layout, placed...)
	}
	return true
}

// deviation draws from a standard normal distribution that is cut off at both
// sides.
func (r *draw) deviation() float64 {
	for {
		if v := r.NormFloat64(); math.Abs(v) <= mostDeviation {
			return v
		}
	}
}

// place moves the points to where they keep a distance from others, by centres
// that are drawn from an area that grows.
func (r *draw) place(points, others []Point, least float64, centre func(growths int) Point) ([]Point, bool) {
	for growths := range stringGrowths {
		for range stringTries {
			placed := moved(points, centre(growths))
			if !slices.ContainsFunc(placed, func(p Point) bool { return !isClear(p, others, least) }) {
				return placed, true
			}
		}
	}
	return nil, false
}

func (r *draw) parallelString(n int, theta float64, drawn *Drawn) {
	sizes := r.distribute(n, math.Sqrt(float64(n))/2)
	lines, longest := make([]line, len(sizes)), 0
	for i, size := range sizes {
		lines[i] = r.line(size, 0.25, 0.75)
		longest = max(longest, lines[i].slots())
	}
	half := 0.48 * drawn.Spacing * float64(longest)
	apart, below := r.between(1, 3.5), 0.0 // where the next string may begin
	for i, l := range lines {
		drawn.addString(l)
		points := l.points(r, 0.48*drawn.Spacing)
		free := half - 0.24*drawn.Spacing*float64(l.slots())
		along, low, high := r.between(-free, free), math.Inf(1), math.Inf(-1)
		for _, p := range points {
			low, high = min(low, p.Y), max(high, p.Y)
		}
		if i > 0 {
			below -= high + drawn.Spacing*(apart+math.Abs(r.NormFloat64()/2))
		}
		drawn.Layout = append(drawn.Layout, moved(points, Point{along, below})...)
		below += low
	}
	drawn.Layout = turned(drawn.Layout, theta)
}

// cluster grows more than n turbines from (0, 0), each at about the spacing from
// one of the others, and leaves some out, so that there are gaps. Two of three
// begin at (0, 0), and go to others when that is crowded.
func (r *draw) cluster(n int, spacing float64) ([]Point, bool) {
	root := math.Sqrt(float64(n))
	all := n + int(math.Abs(root+root*r.NormFloat64()))
	low, high := 0.95*spacing, 1.05*spacing
	points := append(make([]Point, 0, all), Point{})
	for i := 1; i < all; i++ {
		from := Point{}
		if i%3 == 1 {
			from = points[r.IntN(i)]
		}
		for try := 0; len(points) == i; try++ {
			if try == clusterTries {
				return nil, false
			}
			if try > 10 {
				from = points[r.IntN(i)]
			}
			sin, cos := math.Sincos(r.between(0, 2*math.Pi))
			distance := r.between(low, high)
			if p := (Point{from.X + distance*cos, from.Y + distance*sin}); isClear(p, points, low) {
				points = append(points, p)
			}
		}
	}
	r.Shuffle(all, func(i, j int) { points[i], points[j] = points[j], points[i] })
	return points[:n], true
}

// square returns n points of a square grid, row by row.
func square(n int, spacing float64) []Point {
	side := int(math.Ceil(math.Sqrt(float64(n))))
	points := make([]Point, n)
	for i := range points {
		points[i] = Point{spacing * float64(i%side), spacing * float64(i/side)}
	}
	return points
}

// rings returns n points: one, and circles around it, each turned at random.
// What does not fill the last circle is spread over it.
func (r *draw) rings(n int, spacing float64) []Point {
	points := append(make([]Point, 0, n), Point{})
	for ring := 1; len(points) < n; ring++ {
		points = append(points, circle(ring, min(onRing(ring), n-len(points)), spacing, r.between(0, 2*math.Pi))...)
	}
	return points
}

// onRing returns how many points fit on a ring, with chords as long as the rings
// are apart.
func onRing(ring int) int { return int(math.Pi/math.Asin(0.5/float64(ring)) + nearlyNothing) }

// circle returns n points on a ring around (0, 0), the first at the angle start.
func circle(ring, n int, spacing, start float64) []Point {
	points, radius := make([]Point, n), spacing*float64(ring)
	for i := range points {
		sin, cos := math.Sincos(start + 2*math.Pi*float64(i)/float64(n))
		points[i] = Point{radius * cos, radius * sin}
	}
	return points
}

// turned returns the points turned around (0, 0), anticlockwise.
func turned(points []Point, theta float64) []Point {
	sin, cos := math.Sincos(theta)
	result := make([]Point, len(points))
	for i, p := range points {
		result[i] = Point{cos*p.X - sin*p.Y, sin*p.X + cos*p.Y}
	}
	return result
}

func moved(points []Point, by Point) []Point {
	result := make([]Point, len(points))
	for i, p := range points {
		result[i] = Point{p.X + by.X, p.Y + by.Y}
	}
	return result
}
