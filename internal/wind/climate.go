package wind

// Climate is the wind as a file has it, before it is known at which directions
// and speeds it is used.
type Climate interface {
	// Samples tells what of a Sampling is used. What is not, the climate has
	// itself.
	Samples() (directions, speeds bool)

	// Resource returns the climate at the directions and speeds.
	Resource(sampling Sampling) (Resource, error)
}

// Sampling says at which directions and speeds a climate is used.
type Sampling struct {
	Directions int       // evenly spaced from north
	Speeds     []float64 // m/s, each standing for the 1 m/s around it
}

// Samples implements Climate.
func (w WeibullSectors) Samples() (directions, speeds bool) { return true, true }

// Resource implements Climate.
func (w WeibullSectors) Resource(s Sampling) (Resource, error) { return w.Rose(s.Directions, s.Speeds) }

// SectorTable is how often the wind blows from each of equally wide sectors at
// each of some speeds, the first sector centred on north, the others clockwise: a
// Rose whose directions are too few to be those of wakes.
type SectorTable struct{ Rose }

// Samples implements Climate.
func (t SectorTable) Samples() (directions, speeds bool) { return true, false }

// Resource implements Climate. A direction has its share of the nearest sector,
// as those of [WeibullSectors.Rose].
func (t SectorTable) Resource(s Sampling) (Resource, error) {
	sectors := len(t.Directions)
	shares, err := sharesOf(s.Directions, sectors)
	if err != nil {
		return nil, err
	}
	rose := Rose{Speeds: t.Speeds}
	for d := range s.Directions {
		row := make([]float64, len(t.Speeds))
		sector := nearestSector(d, s.Directions, sectors)
		for i, f := range t.Frequency[sector] {
			row[i] = shares[sector] * f
		}
		rose.Directions = append(rose.Directions, float64(d)*360/float64(s.Directions))
		rose.Frequency = append(rose.Frequency, row)
	}
	return rose, nil
}

// Samples implements Climate.
func (r Rose) Samples() (directions, speeds bool) { return false, false }

// Resource implements Climate.
func (r Rose) Resource(Sampling) (Resource, error) { return r, nil }

// Samples implements Climate.
func (s Series) Samples() (directions, speeds bool) { return false, false }

// Resource implements Climate.
func (s Series) Resource(Sampling) (Resource, error) { return s, nil }
