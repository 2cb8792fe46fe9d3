package simulator

import (
	"context"
	"fmt"
	"math"
	"slices"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
)

// The keys of the windfarm model's tasks. The layout of a farm is drawn with
// the seed of the task, which these and the spec's seed determine.
const (
	farmIDKey   = "farm_id"   // tender site
	farmTypeKey = "farm_type" // turbine type
	seedKey     = "seed"      // tells the layouts of one site and type apart
)

// farmKey is a key that the tasks must have, and its least and greatest value.
type farmKey struct {
	name      string
	low, high int64
}

func farmKeys() []farmKey {
	return []farmKey{
		{farmIDKey, 0, int64(len(wind.Tenders()) - 1)},
		{farmTypeKey, 0, int64(len(wind.TurbineTypes()) - 1)},
		{seedKey, math.MinInt64, math.MaxInt64},
	}
}

func (k farmKey) accepts(v table.Value) bool {
	i, ok := v.Any().(int64)
	return ok && i >= k.low && i <= k.high
}

func (k farmKey) isBounded() bool { return k.low > math.MinInt64 }

func (k farmKey) String() string {
	if k.isBounded() {
		return fmt.Sprintf("an integer from %d to %d", k.low, k.high)
	}
	return "an integer"
}

func describeWindfarm(s *spec.Spec) (Description, error) {
	types, err := farmTypes(s)
	if err != nil {
		return Description{}, err
	}
	config := s.Simulator.Windfarm
	w, largest := newWindfarm(config), 0
	for _, t := range types {
		if _, err := w.calculator(t); err != nil {
			return Description{}, spec.Problems{s.Problem("simulator.windfarm", nil, "%v", err)}
		}
		if _, err := w.smartStart(t); err != nil {
			return Description{}, spec.Problems{s.Problem("simulator.windfarm.layout", config.Layout, "%v", err)}
		}
		largest = max(largest, w.types[t].TurbinesPerFarm)
	}
	return Description{
		Model:   "windfarm 2, " + wind.Version,
		Source:  w.source(),
		Columns: farmColumns(largest, config.Directions),
	}, nil
}

// farmTypes returns the turbine types in the tasks of s, or what makes the
// tasks unfit for the model.
func farmTypes(s *spec.Spec) ([]int64, error) {
	if s.Tasks.File != "" {
		return farmTypesOfList(s)
	}
	var problems spec.Problems
	for _, key := range farmKeys() {
		axis := findAxis(s, key.name)
		if axis == nil {
			problems = append(problems, s.Problem("tasks.matrix", nil, "has no key %s: the windfarm model needs %s", key.name, key))
		} else if v, found := key.findUnfit(axis); found {
			problems = append(problems, s.Problem("tasks.matrix."+key.name, v, "expected %s", key))
		}
	}
	if problems != nil {
		return nil, problems.Err()
	}
	var types []int64
	axis := findAxis(s, farmTypeKey)
	for i := range axis.Len() {
		types = append(types, integer(axis.At(i)))
	}
	return types, nil
}

func findAxis(s *spec.Spec, name string) *spec.Axis {
	for i := range s.Tasks.Matrix {
		if axis := &s.Tasks.Matrix[i]; axis.Name == name {
			return axis
		}
	}
	return nil
}

// findUnfit returns the first value of an axis that k does not accept.
func (k farmKey) findUnfit(axis *spec.Axis) (table.Value, bool) {
	n := axis.Len()
	if !k.isBounded() {
		n = 1 // an axis has one type
	}
	for i := range n {
		if v := axis.At(i); !k.accepts(v) {
			return v, true
		}
	}
	return table.Value{}, false
}

func farmTypesOfList(s *spec.Spec) ([]int64, error) {
	keys := farmKeys()
	var problems spec.Problems
	for _, key := range keys {
		if !slices.Contains(s.Tasks.Key, key.name) {
			problems = append(problems, s.Problem("tasks.key", nil, "lacks %s: the windfarm model needs %s", key.name, key))
		}
	}
	if problems != nil {
		return nil, problems.Err()
	}
	var types []int64
	for task, err := range s.TasksFrom(0) {
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if v := keyValue(task, s.Tasks.Key, key.name); !key.accepts(v) {
				return nil, spec.Problems{s.Problem("tasks.file", v, "%s of task %d: expected %s", key.name, task.Index, key)}
			}
		}
		if t := integer(keyValue(task, s.Tasks.Key, farmTypeKey)); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types, nil
}

// keyValue returns the value of the key called name, or none.
func keyValue(task message.Task, names []string, name string) table.Value {
	if i := slices.Index(names, name); i >= 0 && i < len(task.Key) {
		return task.Key[i]
	}
	return table.Value{}
}

func integer(v table.Value) int64 {
	i, _ := v.Any().(int64)
	return i
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
)

const layoutName = "layout" // of the first result column

// farmColumns returns the columns for farms of that many turbines at most, in
// wind from that many directions.
func farmColumns(turbines, directions int) table.Columns {
	float, zero, one := table.Type{Kind: table.Float64}, 0.0, 1.0
	turbine := table.Dim{Name: "turbine", Size: turbines}
	return table.Columns{
		layoutColumn: {
			Name: layoutName, Type: float, Shape: []table.Dim{turbine, {Name: "xy", Size: 2}}, Unit: "m",
			LongName:    "turbine positions",
			Description: "easting and northing of each turbine in UTM zone 32N; NaN from turbine n_turbines on",
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
	}
}

// windfarm is the built-in model of wind farms on the tender sites.
type windfarm struct {
	config      *spec.Windfarm
	sites       []wind.Site
	types       []wind.TurbineType
	calculators map[int64]*wind.Calculator // by turbine type, made when needed
	smartStarts map[int64]*wind.SmartStart // the same
}

func newWindfarm(config *spec.Windfarm) *windfarm {
	return &windfarm{config, wind.Tenders(), wind.TurbineTypes(), map[int64]*wind.Calculator{}, map[int64]*wind.SmartStart{}}
}

// source says by which models the rows are computed.
func (w *windfarm) source() string {
	if w.config.Layout == spec.SmartStart {
		return wind.Source(w.config.Wake) + "; " + wind.SmartStartSource
	}
	return wind.Source(w.config.Wake)
}

// smartStart returns that of a turbine type, or nil if layouts are made
// otherwise.
func (w *windfarm) smartStart(farmType int64) (*wind.SmartStart, error) {
	if s := w.smartStarts[farmType]; s != nil || w.config.Layout != spec.SmartStart {
		return s, nil
	}
	rose, err := wind.TenderWind().Rose(wind.SmartStartDirections, wind.SmartStartSpeeds())
	if err != nil {
		return nil, err
	}
	model, err := wind.NewModel(w.config.Wake)
	if err != nil {
		return nil, err
	}
	s, err := wind.NewSmartStart(w.types[farmType].Turbine, rose, model, wind.StandardAir())
	if err != nil {
		return nil, err
	}
	w.smartStarts[farmType] = s
	return s, nil
}

// layout places the turbines of a farm.
func (w *windfarm) layout(site wind.Site, farmType int64, seed uint64) ([]wind.Point, error) {
	turbine := w.types[farmType]
	spacing := w.config.MinSpacing * turbine.RotorDiameter
	s, err := w.smartStart(farmType)
	if err != nil {
		return nil, err
	}
	if s != nil {
		return s.Layout(site, turbine.TurbinesPerFarm, spacing, seed)
	}
	return site.Layout(turbine.TurbinesPerFarm, spacing, seed)
}

// calculator returns the calculator of a turbine type, which must exist.
func (w *windfarm) calculator(farmType int64) (*wind.Calculator, error) {
	if c, ok := w.calculators[farmType]; ok {
		return c, nil
	}
	rose, err := wind.TenderWind().Rose(w.config.Directions, wind.Speeds(w.config.Speeds.First, w.config.Speeds.Last))
	if err != nil {
		return nil, err
	}
	model, err := wind.NewModel(w.config.Wake)
	if err != nil {
		return nil, err
	}
	c, err := wind.NewCalculator(w.types[farmType].Turbine, rose, model, wind.StandardAir())
	if err != nil {
		return nil, err
	}
	w.calculators[farmType] = c
	return c, nil
}

// simulate is a model.
func (w *windfarm) simulate(_ context.Context, job Job, row table.Row, first int) error {
	for _, key := range farmKeys() {
		if v := keyValue(job.Task, job.Keys, key.name); !key.accepts(v) {
			return failed(fmt.Errorf("%s is %q: expected %s", key.name, v.String(), key))
		}
	}
	farmType := integer(keyValue(job.Task, job.Keys, farmTypeKey))
	calculator, err := w.calculator(farmType)
	if err != nil {
		return err
	}
	layout, err := w.layout(w.sites[integer(keyValue(job.Task, job.Keys, farmIDKey))], farmType, job.Seed)
	if err != nil {
		return failed(err)
	}
	result, err := calculator.Farm(layout)
	if err != nil {
		return failed(err)
	}
	return setFarm(row, first, layout, result)
}

// failed is the failure of a task that the model cannot compute.
func failed(err error) error {
	return &Error{Class: message.ClassError, Message: message.FirstLine(err.Error(), maxMessage)}
}

func setFarm(row table.Row, first int, layout []wind.Point, result wind.Result) error {
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
	return row.Set(first+turbinesColumn, 0, int64(len(layout)))
}

// setPadded sets a column to values and the rest of it to NaN.
func setPadded(row table.Row, c int, values []float64) {
	for len(values) < row.Columns()[c].Elements() {
		values = append(values, math.NaN())
	}
	row.SetFloats(c, values...)
}
