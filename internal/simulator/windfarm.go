package simulator

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

func describeWindfarm(s *spec.Spec, files *windfile.Files) (Description, error) {
	config := s.Simulator.Windfarm
	keys, err := readFarmKeys(s)
	if err != nil {
		return Description{}, err
	}
	farms, err := newFarms(config, files)
	if err != nil {
		return Description{}, problemOf(s, err)
	}
	if farms.stored != nil && keys.lastLayout >= farms.stored.Len() {
		return Description{}, problemOf(s, &inputError{"layout", fmt.Errorf("%s has %d layouts: there is none with the layout_id %d",
			config.Layout, farms.stored.Len(), keys.lastLayout)})
	}
	largest, directions := 0, 0
	for _, t := range keys.types(farms) {
		c, err := farms.calculator(t)
		if err != nil {
			return Description{}, problemOf(s, err)
		}
		if _, err := farms.smartStart(t); err != nil {
			return Description{}, problemOf(s, &inputError{"layout", err})
		}
		largest, directions = max(largest, farms.mostTurbines(t)), len(c.Directions())
	}
	return Description{
		Model:   "windfarm 3, " + wind.Version,
		Source:  farms.source(),
		Columns: farmColumns(config, largest, directions),
		Inputs:  farms.inputs(keys.types(farms), files.Warn),
	}, nil
}

// The result columns of the windfarm model, by their positions.
const (
	layoutColumn = iota
	aepColumn
	noWakeColumn
	wakeLossColumn
	capacityFactorColumn
	turbinesColumn
	turbineAEPColumn
	directionAEPColumn
	minSpacingColumn
	firstOtherColumn // of a style, then the split
)

// The columns of a layout with a style, after firstOtherColumn.
const (
	layoutSpacingColumn = iota
	layoutAngleColumn
	layoutStringsColumn
	layoutBreaksColumn
	layoutNoiseColumn
	styleColumnCount
)

const layoutName = "layout" // of the first result column

// farmColumns returns the columns for farms of that many turbines at most, in
// wind from that many directions.
func farmColumns(config *spec.Windfarm, turbines, directions int) table.Columns {
	columns := commonColumns(config, turbines, directions)
	if config.HasStyle() {
		columns = append(columns, styleColumns()...)
	}
	if config.Split != (spec.Split{}) {
		columns = append(columns, splitColumn())
	}
	return columns
}

func commonColumns(config *spec.Windfarm, turbines, directions int) table.Columns {
	float, zero, one := table.Type{Kind: table.Float64}, 0.0, 1.0
	turbine := table.Dim{Name: "turbine", Size: turbines}
	return table.Columns{
		layoutColumn: {
			Name: layoutName, Type: float, Shape: []table.Dim{turbine, {Name: "xy", Size: 2}}, Unit: "m",
			LongName:    "turbine positions",
			Description: coordinates(config) + "; NaN from turbine n_turbines on",
		},
		aepColumn: {
			Name: "aep", Type: float, Unit: "GWh", Min: &zero, Finite: true,
			LongName:    "annual energy production",
			Description: "energy that the farm produces in a year of 8760 hours, with wake losses and without any others",
		},
		noWakeColumn: {
			Name: "aep_nowake", Type: float, Unit: "GWh", Min: &zero, Finite: true,
			LongName:    "annual energy production without wakes",
			Description: "energy that the farm would produce if no turbine stood in the wake of another",
		},
		wakeLossColumn: {
			Name: "wake_loss", Type: float, Unit: "1", Min: &zero, Max: &one, Finite: true,
			LongName:    "wake loss",
			Description: "share of aep_nowake that is lost to wakes: 1 - aep / aep_nowake",
		},
		capacityFactorColumn: {
			Name: "capacity_factor", Type: float, Unit: "1", Min: &zero, Max: &one, Finite: true,
			LongName:    "capacity factor",
			Description: "aep divided by the energy of a year at rated power",
		},
		turbinesColumn: {
			Name: "n_turbines", Type: table.Type{Kind: table.Int32}, Unit: "1", Min: &one, Max: new(float64(turbines)),
			LongName:    "number of turbines",
			Description: "turbines of the farm: the elements of layout and turbine_aep that are not NaN",
		},
		turbineAEPColumn: {
			Name: "turbine_aep", Type: float, Shape: []table.Dim{turbine}, Unit: "GWh", Min: &zero,
			LongName:    "annual energy production of each turbine",
			Description: "with wake losses, in the order of layout; sums to aep; NaN from turbine n_turbines on",
		},
		directionAEPColumn: {
			Name: "direction_aep", Type: float, Shape: []table.Dim{{Name: "direction", Size: directions}}, Unit: "GWh", Min: &zero, Finite: true,
			LongName:    "annual energy production in the wind from each direction",
			Description: "with wake losses; the directions are evenly spaced, clockwise from north; sums to aep",
		},
		minSpacingColumn: {
			Name: "min_spacing", Type: float, Unit: "m", Min: &zero,
			LongName:    "least distance between two turbines",
			Description: "of the layout; NaN if there are no two",
		},
	}
}

func coordinates(config *spec.Windfarm) string {
	switch {
	case config.Site == spec.Tenders:
		return "easting and northing of each turbine in UTM zone 32N"
	case config.HasStyle():
		return "each turbine east and north of the middle of the farm"
	default:
		return "x and y of each turbine, as the files have them"
	}
}

// styleColumns returns the columns of what was drawn for a layout with a style.
func styleColumns() table.Columns {
	float, zero := table.Type{Kind: table.Float64}, 0.0
	return table.Columns{
		layoutSpacingColumn: {
			Name: "layout_spacing", Type: float, Unit: "1", Min: &zero, Finite: true,
			LongName:    "spacing of the layout",
			Description: "wanted between neighbours, in rotor diameters",
		},
		layoutAngleColumn: {
			Name: "layout_angle", Type: float, Unit: "degree", Min: &zero, Max: new(360.0),
			LongName:    "direction of the layout",
			Description: "clockwise from north, along strings or the rows of a grid; NaN where there are none",
		},
		layoutStringsColumn: {
			Name: "layout_strings", Type: table.Type{Kind: table.Int32}, Unit: "1", Min: &zero,
			LongName:    "number of strings",
			Description: "0 where turbines do not stand in strings",
		},
		layoutBreaksColumn: {
			Name: "layout_breaks", Type: table.Type{Kind: table.Int32}, Unit: "1", Min: &zero,
			LongName:    "number of empty places in strings",
			Description: "0 where turbines do not stand in strings",
		},
		layoutNoiseColumn: {
			Name: "layout_noise", Type: float, Unit: "1", Min: &zero,
			LongName:    "how much strings meander",
			Description: "0 is not at all; the mean of the strings; NaN where turbines do not stand in strings",
		},
	}
}

// splitNames are the values of the column split, by their numbers.
var splitNames = []string{"train", "validation", "test"}

func splitColumn() table.Column {
	zero := 0.0
	return table.Column{
		Name: "split", Type: table.Type{Kind: table.Int8}, Unit: "1", Min: &zero, Max: new(float64(len(splitNames) - 1)),
		LongName:    "part of the data",
		Description: "drawn from the layout and the seed of the spec: equal layouts are in one part",
		Flags:       splitNames,
	}
}

// windfarm is the built-in model of wind farms.
type windfarm struct {
	*farms
	seed int64 // of the spec
}

func newWindfarm(s *spec.Spec, files *windfile.Files) (*windfarm, error) {
	f, err := newFarms(s.Simulator.Windfarm, files)
	if err != nil {
		return nil, err
	}
	return &windfarm{f, s.Seed}, nil
}

// simulate is a model.
func (w *windfarm) simulate(ctx context.Context, job Job, row table.Row, first int) error {
	key, err := farmKeyOf(w.config, job)
	if err != nil {
		return failed(err)
	}
	calculator, err := w.calculator(key.farmType)
	if err != nil {
		return err
	}
	layout, err := w.layout(ctx, key, job.Seed)
	if machine, ok := errors.AsType[machineError](err); ok {
		return machine.error
	}
	if err != nil {
		return failed(err)
	}
	result, err := calculator.Farm(layout.Layout)
	if err != nil {
		return failed(err)
	}
	return w.set(row, first, layout, result)
}

// machineError is an error that no task is to blame for: an interruption, or a
// process that cannot be started.
type machineError struct{ error }

// failed is the failure of a task that the model cannot compute.
func failed(err error) error {
	return &Error{Class: message.ClassError, Message: message.FirstLine(err.Error(), maxMessage)}
}

// set fills the columns of a row.
func (w *windfarm) set(row table.Row, first int, drawn wind.Drawn, result wind.Result) error {
	layout := drawn.Layout
	if room := row.Columns()[first+turbineAEPColumn].Elements(); len(layout) > room {
		return failed(fmt.Errorf("the farm has %d turbines: the columns of the run have room for %d", len(layout), room))
	}
	var positions []float64
	for _, p := range layout {
		positions = append(positions, p.X, p.Y)
	}
	setPadded(row, first+layoutColumn, positions)
	setPadded(row, first+turbineAEPColumn, result.TurbineAEP)
	row.SetFloats(first+directionAEPColumn, result.DirectionAEP...)
	row.SetFloats(first+aepColumn, result.AEP)
	row.SetFloats(first+noWakeColumn, result.AEPNoWake)
	row.SetFloats(first+wakeLossColumn, result.WakeLoss)
	row.SetFloats(first+capacityFactorColumn, result.CapacityFactor)
	spacing := math.NaN()
	if len(layout) > 1 {
		spacing = wind.ClosestPair(layout)
	}
	row.SetFloats(first+minSpacingColumn, spacing)
	if err := row.Set(first+turbinesColumn, 0, int64(len(layout))); err != nil {
		return err
	}
	next := first + firstOtherColumn
	if w.config.HasStyle() {
		if err := setStyle(row, next, drawn); err != nil {
			return err
		}
		next += styleColumnCount
	}
	if w.config.Split != (spec.Split{}) {
		return row.Set(next, 0, splitOf(w.config.Split, layout, w.seed))
	}
	return nil
}

func setStyle(row table.Row, first int, drawn wind.Drawn) error {
	row.SetFloats(first+layoutSpacingColumn, drawn.Spacing)
	row.SetFloats(first+layoutAngleColumn, drawn.Angle)
	row.SetFloats(first+layoutNoiseColumn, drawn.Noise)
	return errors.Join(
		row.Set(first+layoutStringsColumn, 0, int64(drawn.Strings)),
		row.Set(first+layoutBreaksColumn, 0, int64(drawn.Breaks)))
}

// splitOf draws the part of the data that a layout belongs to.
func splitOf(split spec.Split, layout []wind.Point, seed int64) int64 {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, layout)                     // a hash takes all
	digest := h.Sum(binary.LittleEndian.AppendUint64(nil, uint64(seed))) //nolint:gosec // its bits
	sum := sha256.Sum256(digest)
	percent := int(binary.BigEndian.Uint64(sum[:]) % 100)
	switch {
	case percent < split.Train:
		return 0
	case percent < split.Train+split.Validation:
		return 1
	default:
		return 2
	}
}

// setPadded sets a column to values and the rest of it to NaN.
func setPadded(row table.Row, c int, values []float64) {
	for len(values) < row.Columns()[c].Elements() {
		values = append(values, math.NaN())
	}
	row.SetFloats(c, values...)
}
