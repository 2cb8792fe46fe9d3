package wind_test

import (
	"fmt"
	"testing"

	"windrow/internal/wind"
)

// iea37Curve is the power curve of the case studies' 3.35 MW turbine.
type iea37Curve struct{}

func (iea37Curve) Power(speed float64) float64 {
	const cutIn, rated, cutOut, ratedPower = 4, 9.8, 25, 3.35e6
	switch {
	case speed < cutIn || speed >= cutOut:
		return 0
	case speed < rated:
		part := (speed - cutIn) / (rated - cutIn)
		return ratedPower * part * part * part
	default:
		return ratedPower
	}
}

func iea37Turbine() wind.Turbine {
	return wind.Turbine{Name: "IEA37 3.35 MW", RotorDiameter: 130, HubHeight: 110, RatedPower: 3.35e6, Curve: iea37Curve{}}
}

func iea37Rose(table map[string][]float64) wind.Rose {
	rose := wind.Rose{Directions: table["direction_deg"], Speeds: []float64{9.8}}
	for _, frequency := range table["frequency"] {
		rose.Frequency = append(rose.Frequency, []float64{frequency})
	}
	return rose
}

// TestPublishedEnergy holds the model to every digit that IEA Wind Task 37
// published for the example farms of its first case study.
func TestPublishedEnergy(t *testing.T) {
	t.Parallel()
	table := readTable(t, "testdata/iea37/rose.csv")
	calculator := newCalculator(t, iea37Turbine(), iea37Rose(table))
	for _, farm := range []struct {
		name   string
		format string
		total  string // MWh
	}{
		{"ex16", "%.5f", "366941.57116"},
		{"ex36", "%.5f", "737883.09851"},
		{"ex64", "%.4f", "1294974.2977"},
	} {
		positions := readTable(t, "testdata/iea37/"+farm.name+".csv")
		layout := make([]wind.Point, len(positions["x_m"]))
		for i := range layout {
			layout[i] = wind.Point{X: positions["x_m"][i], Y: positions["y_m"][i]}
		}
		result := computeFarm(t, calculator, layout)
		if got := fmt.Sprintf(farm.format, result.AEP*1e3); got != farm.total {
			t.Errorf("%s produces %s MWh, published are %s", farm.name, got, farm.total)
		}
		for i, published := range table[farm.name+"_mwh"] {
			got, want := fmt.Sprintf("%.5f", result.DirectionAEP[i]*1e3), fmt.Sprintf("%.5f", published)
			if got != want {
				t.Errorf("%s produces %s MWh from %g degrees, published are %s", farm.name, got, table["direction_deg"][i], want)
			}
		}
	}
}
