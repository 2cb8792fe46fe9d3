package wind

import (
	"bytes"
	"embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

//go:embed data/*.csv data/turbines/*.csv
var data embed.FS

// TurbineType is a turbine of the tender campaign.
type TurbineType struct {
	Turbine
	FarmType        int
	TurbinesPerFarm int
}

// Tenders returns the ten sites of the tender campaign; the index is the farm
// id. Their coordinates are UTM zone 32N.
func Tenders() []Site { return slices.Clone(tenderSites()) }

// TurbineTypes returns the six turbine types of the tender campaign, 10 to
// 15 MW; the index is the farm type.
func TurbineTypes() []TurbineType { return slices.Clone(tenderTypes()) }

// TenderWind returns the wind climate of all sites of the tender campaign: 12
// sectors.
func TenderWind() WeibullSectors { return slices.Clone(tenderWind()) }

var tenderSites = sync.OnceValue(func() []Site {
	var sites []Site
	for _, r := range readData("data/sites.csv") {
		id := int(r.number("farm_id"))
		if id == len(sites) {
			sites = append(sites, Site{FarmID: id, Name: r["site"]})
		}
		site := &sites[id]
		site.Boundary = append(site.Boundary, Point{r.number("x_m"), r.number("y_m")})
	}
	return sites
})

var tenderTypes = sync.OnceValue(func() []TurbineType {
	var types []TurbineType
	for _, r := range readData("data/turbine_types.csv") {
		id := int(r.number("farm_type"))
		types = append(types, TurbineType{
			Turbine: Turbine{
				Name:          "generic " + r["rated_mw"] + " MW",
				RotorDiameter: r.number("rotor_diameter_m"),
				HubHeight:     r.number("hub_height_m"),
				RatedPower:    r.number("rated_mw") * 1e6,
				Curve:         tenderCurve(id),
				Thrust:        tenderThrust(id),
			},
			FarmType:        id,
			TurbinesPerFarm: int(r.number("turbines_per_farm")),
		})
	}
	return types
})

func tenderCurve(farmType int) *PowerTable {
	var speeds, watts []float64
	for _, r := range readData("data/power_kw.csv") {
		speeds = append(speeds, r.number("wind_speed_ms"))
		watts = append(watts, r.number(fmt.Sprintf("farm_type_%d", farmType))*1e3)
	}
	table, err := NewPowerTable(speeds, watts)
	if err != nil {
		panic(err)
	}
	return table
}

func tenderThrust(farmType int) *ThrustTable {
	var speeds, coefficients []float64
	for _, r := range readData("data/thrust.csv") {
		speeds = append(speeds, r.number("wind_speed_ms"))
		coefficients = append(coefficients, r.number(fmt.Sprintf("farm_type_%d", farmType)))
	}
	table, err := NewThrustTable(speeds, coefficients)
	if err != nil {
		panic(err)
	}
	return table
}

var tenderWind = sync.OnceValue(func() WeibullSectors {
	var sectors WeibullSectors
	for _, r := range readData("data/weibull.csv") {
		sectors = append(sectors, WeibullSector{
			Scale:     r.number("weibull_a_ms"),
			Shape:     r.number("weibull_k"),
			Frequency: r.number("frequency"),
		})
	}
	return sectors
})

// record is a line of an embedded table, by column name.
type record map[string]string

// number panics where there is none: the tables are part of the program.
func (r record) number(column string) float64 {
	v, err := strconv.ParseFloat(r[column], 64)
	if err != nil {
		panic(fmt.Sprintf("read column %s: %v", column, err))
	}
	return v
}

func readData(name string) []record {
	text, err := data.ReadFile(name)
	if err != nil {
		panic(err)
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment = '#'
	lines, err := reader.ReadAll()
	if err != nil {
		panic(fmt.Sprintf("read %s: %v", name, err))
	}
	records := make([]record, 0, len(lines)-1)
	for _, line := range lines[1:] {
		r := make(record, len(line))
		for i, field := range line {
			r[lines[0][i]] = field
		}
		records = append(records, r)
	}
	return records
}
