package wind

// EnergyAt returns what a turbine at one of the points of the last layout would
// make, in GWh, as the map had it when the last turbine was to be placed.
func (s *SmartStart) EnergyAt(p Point) float64 {
	for c, q := range s.points {
		if p == q {
			return s.energy[c]
		}
	}
	return 0
}
