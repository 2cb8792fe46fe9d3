package wind_test

import (
	"fmt"
	"log"

	"windrow/internal/wind"
)

func Example() {
	site, turbine := wind.Tenders()[0], wind.TurbineTypes()[5]
	rose, err := wind.TenderWind().Rose(360, wind.Speeds(3, 25))
	if err != nil {
		log.Fatal(err)
	}
	calculator, err := wind.NewCalculator(turbine.Turbine, rose, wind.IEA37(), wind.StandardAir())
	if err != nil {
		log.Fatal(err)
	}
	layout, err := site.Layout(turbine.TurbinesPerFarm, 3*turbine.RotorDiameter, 1)
	if err != nil {
		log.Fatal(err)
	}
	farm, err := calculator.Farm(layout)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d turbines of %g MW on %.0f km²\n", len(layout), turbine.RatedPower/1e6, site.Boundary.Area()/1e6)
	fmt.Printf("%.1f GWh per year, %.1f %% lost in wakes, capacity factor %.3f\n", farm.AEP, 100*farm.WakeLoss, farm.CapacityFactor)
	// Output:
	// 66 turbines of 15 MW on 353 km²
	// 5334.6 GWh per year, 3.6 % lost in wakes, capacity factor 0.615
}
