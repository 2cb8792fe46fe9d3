package simulator

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"

	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// FarmCheck computes rows of the windfarm model again from what a dataset
// stores of them.
type FarmCheck struct {
	model   *farms
	columns table.Columns
}

// The columns of a FarmCheck, by their positions.
const (
	checkedLayout = iota
	checkedAEP
	checkedFactor
	checkedTurbines
	checkedType // if there is one
)

// ErrNoFarms says that rows are not of the windfarm model.
var ErrNoFarms = errors.New("rows are not those of the windfarm model, and cannot be computed again")

// ErrNoInputs says that the files of a turbine or of the wind are not here.
var ErrNoInputs = errors.New("rows cannot be computed again here")

// NewFarmCheck returns a check for rows of the spec with room for that many
// turbines. On the tender sites their key farm_type is of the given type. Files
// of a turbine or of the wind must be in the first of the directories that has
// them, as the spec names them.
func NewFarmCheck(s *spec.Spec, dirs []string, turbines int, farmType table.Type) (*FarmCheck, error) {
	config := s.Simulator.Windfarm
	if config == nil {
		return nil, ErrNoFarms
	}
	computed := *config
	computed.Layout = "" // it is in the row
	model, err := farmsFrom(&computed, dirs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoInputs, err)
	}
	all := commonColumns(config, turbines, max(1, config.Directions))
	c := &FarmCheck{model, table.Columns{
		checkedLayout:   all[layoutColumn],
		checkedAEP:      all[aepColumn],
		checkedFactor:   all[capacityFactorColumn],
		checkedTurbines: all[turbinesColumn],
	}}
	if config.Site == spec.Tenders {
		c.columns = append(c.columns, table.Column{Name: farmTypeKey, Type: farmType})
	}
	return c, nil
}

func farmsFrom(config *spec.Windfarm, dirs []string) (model *farms, err error) {
	for _, dir := range dirs {
		model, err = newFarms(config, &windfile.Files{Dir: dir})
		if !errors.Is(err, fs.ErrNotExist) {
			return model, err
		}
	}
	return nil, fmt.Errorf("%w; it was looked for in %s", err, strings.Join(dirs, " and "))
}

// Columns returns what Check needs of a row.
func (c *FarmCheck) Columns() table.Columns { return c.columns }

// Check computes the energy of a row from its layout and compares it and the
// capacity factor with what is stored, bit for bit. It says that there is
// nothing to check in the row of a failed task, which has no energy.
func (c *FarmCheck) Check(row table.Row) (checked bool, err error) {
	energy, factor := number(row, checkedAEP, 0), number(row, checkedFactor, 0)
	if math.IsNaN(energy) {
		return false, nil
	}
	farmType := int64(0)
	if len(c.columns) > checkedType {
		farmType, _ = row.Get(checkedType, 0).(int64)
	}
	turbines, _ := row.Get(checkedTurbines, 0).(int64)
	if farmType < 0 || farmType >= int64(len(c.model.turbines)) || turbines < 1 || turbines > int64(c.columns[checkedLayout].Elements()/2) {
		return false, fmt.Errorf("farm of type %d with %d turbines", farmType, turbines)
	}
	layout := make([]wind.Point, turbines)
	for i := range layout {
		layout[i] = wind.Point{X: number(row, checkedLayout, 2*i), Y: number(row, checkedLayout, 2*i+1)}
	}
	calculator, err := c.model.calculator(farmType)
	if err != nil {
		return false, err
	}
	result, err := calculator.Farm(layout)
	switch {
	case err != nil:
		return false, err
	case math.Float64bits(result.AEP) != math.Float64bits(energy):
		return false, fmt.Errorf("aep is %.17g GWh, computed again from the layout it is %.17g", energy, result.AEP)
	case math.Float64bits(result.CapacityFactor) != math.Float64bits(factor):
		return false, fmt.Errorf("capacity_factor is %.17g, computed again from the layout it is %.17g", factor, result.CapacityFactor)
	}
	return true, nil
}

func number(row table.Row, column, i int) float64 {
	f, _ := row.Get(column, i).(float64)
	return f
}

// FreeEnergy returns what a turbine with no other in its wind produces in a year
// in the wind from each direction, in GWh, and the directions in degrees.
func FreeEnergy(wake string, turbine wind.Turbine, resource wind.Resource, air wind.Air) (energy, directions []float64, err error) {
	model, err := wind.NewModel(wake)
	if err != nil {
		return nil, nil, err
	}
	c, err := wind.NewCalculator(turbine, resource, model, air)
	if err != nil {
		return nil, nil, err
	}
	one, err := c.Farm([]wind.Point{{}})
	if err != nil {
		return nil, nil, err
	}
	return one.DirectionAEP, c.Directions(), nil
}
