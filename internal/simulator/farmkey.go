package simulator

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"windrow/internal/message"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
)

// The keys of the windfarm model's tasks. The layout of a farm is drawn with
// the seed of the task, which all keys and the spec's seed determine.
const (
	farmIDKey   = "farm_id"   // tender site
	farmTypeKey = "farm_type" // on the tender sites the type of turbine, else the style of the layout
	seedKey     = "seed"      // tells the layouts of one site and type apart
	spacingKey  = "spacing"   // of a layout with a style, in rotor diameters
	layoutIDKey = "layout_id" // of a file with many layouts, from 0
)

const mostSpacing = 50 // rotor diameters

// farmKey is a key that the tasks have, and its values.
type farmKey struct {
	name     string
	optional bool
	any      bool // all values of the type will do
	want     string
	accepts  func(table.Value) bool
}

func farmKeys(config *spec.Windfarm) []farmKey {
	if config.Site == spec.Tenders {
		return []farmKey{
			integerKey(farmIDKey, len(wind.Tenders())),
			integerKey(farmTypeKey, len(wind.TurbineTypes())),
			{name: seedKey, any: true, want: "an integer", accepts: func(v table.Value) bool { _, ok := v.Any().(int64); return ok }},
		}
	}
	var keys []farmKey
	if config.HasStoredLayouts() {
		keys = append(keys, integerKey(layoutIDKey, math.MaxInt32))
	}
	if config.Layout == spec.StylesLayout {
		keys = append(keys, styleKey())
	}
	if config.HasStyle() {
		keys = append(keys, farmKey{
			name: spacingKey, optional: true, want: fmt.Sprintf("a number above 0 and up to %d, in rotor diameters, not below min_spacing", mostSpacing),
			accepts: func(v table.Value) bool { d := floatOf(v); return d > 0 && d >= config.MinSpacing && d <= mostSpacing },
		})
	}
	return keys
}

func integerKey(name string, n int) farmKey {
	return farmKey{name: name, want: fmt.Sprintf("an integer from 0 to %d", n-1), accepts: func(v table.Value) bool {
		i, ok := v.Any().(int64)
		return ok && i >= 0 && i < int64(n)
	}}
}

func styleKey() farmKey {
	var names []string
	for _, s := range wind.Styles() {
		names = append(names, string(s))
	}
	return farmKey{name: farmTypeKey, want: "a layout style: " + strings.Join(names, ", "), accepts: func(v table.Value) bool {
		name, ok := v.Any().(string)
		return ok && slices.Contains(names, name)
	}}
}

func floatOf(v table.Value) float64 {
	switch v := v.Any().(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	}
	return math.NaN()
}

// keyOfTask is what the key of a task says of its farm.
type keyOfTask struct {
	farmID, farmType int64
	style            wind.Style // "" if the spec says it
	spacing          float64    // rotor diameters; 0 if it is drawn
	layoutID         int64
}

// farmKeyOf reads the key of a task.
func farmKeyOf(config *spec.Windfarm, job Job) (keyOfTask, error) {
	var k keyOfTask
	for _, key := range farmKeys(config) {
		v, found := keyValue(job.Task, job.Keys, key.name)
		if !found && key.optional {
			continue
		}
		if !found || !key.accepts(v) {
			return k, fmt.Errorf("%s is %q: expected %s", key.name, v.String(), key.want)
		}
		switch key.name {
		case farmIDKey:
			k.farmID = integer(v)
		case farmTypeKey:
			if name, ok := v.Any().(string); ok {
				k.style = wind.Style(name)
			} else {
				k.farmType = integer(v)
			}
		case spacingKey:
			k.spacing = floatOf(v)
		case layoutIDKey:
			k.layoutID = integer(v)
		}
	}
	return k, nil
}

// farmKeySet is what the tasks of a spec have in their keys.
type farmKeySet struct {
	farmTypes  []int64
	lastLayout int64 // the highest layout_id
}

// types returns the types of turbine that tasks have.
func (k farmKeySet) types(f *farms) []int64 {
	if f.config.Site == spec.Tenders {
		return k.farmTypes
	}
	return []int64{0}
}

// readFarmKeys looks at all keys of the tasks of s, or says what makes the
// tasks unfit for the model.
func readFarmKeys(s *spec.Spec) (farmKeySet, error) {
	config := s.Simulator.Windfarm
	var problems spec.Problems
	for _, group := range []string{sitesGroup, turbinesGroup, windGroup} {
		if slices.Contains(s.Tasks.Key, group) {
			problems = append(problems, s.Problem("tasks.key", group, "is the name of a group of the dataset: another name is needed"))
		}
		if findAxis(s, group) != nil {
			problems = append(problems, s.Problem("tasks.matrix."+group, nil, "is the name of a group of the dataset: another name is needed"))
		}
	}
	if problems != nil {
		return farmKeySet{}, problems.Err()
	}
	if !config.HasStyle() && slices.Contains(s.Tasks.Key, spacingKey) {
		problems = append(problems, s.Problem("tasks.key", spacingKey, "is for layouts with a style: others have min_spacing"))
	}
	if config.HasStyle() && findAxis(s, spacingKey) == nil && !slices.Contains(s.Tasks.Key, spacingKey) && config.MinSpacing >= wind.MostSpacing {
		problems = append(problems, s.Problem("simulator.windfarm.min_spacing", nil, "spacings are drawn up to %gD: give a key spacing, or less than that", wind.MostSpacing))
	}
	if problems != nil {
		return farmKeySet{}, problems.Err()
	}
	if s.Tasks.File != "" {
		return readListKeys(s, farmKeys(config))
	}
	for _, key := range farmKeys(config) {
		axis := findAxis(s, key.name)
		if axis == nil && !key.optional {
			problems = append(problems, s.Problem("tasks.matrix", nil, "has no key %s: the windfarm model needs %s", key.name, key.want))
		} else if axis != nil {
			if v, found := key.findUnfit(axis); found {
				problems = append(problems, s.Problem("tasks.matrix."+key.name, v, "expected %s", key.want))
			}
		}
	}
	if axis := findAxis(s, spacingKey); axis != nil && !config.HasStyle() {
		problems = append(problems, s.Problem("tasks.matrix."+spacingKey, nil, "is for layouts with a style: others have min_spacing"))
	}
	if problems != nil {
		return farmKeySet{}, problems.Err()
	}
	var set farmKeySet
	if axis := findAxis(s, farmTypeKey); axis != nil && config.Site == spec.Tenders {
		for i := range axis.Len() {
			set.farmTypes = append(set.farmTypes, integer(axis.At(i)))
		}
	}
	if axis := findAxis(s, layoutIDKey); axis != nil && config.HasStoredLayouts() {
		for i := range axis.Len() {
			set.lastLayout = max(set.lastLayout, integer(axis.At(i)))
		}
	}
	return set, nil
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
	if k.any {
		n = 1 // an axis has one type
	}
	for i := range n {
		if v := axis.At(i); !k.accepts(v) {
			return v, true
		}
	}
	return table.Value{}, false
}

func readListKeys(s *spec.Spec, keys []farmKey) (farmKeySet, error) {
	var problems spec.Problems
	for _, key := range keys {
		if !key.optional && !slices.Contains(s.Tasks.Key, key.name) {
			problems = append(problems, s.Problem("tasks.key", nil, "lacks %s: the windfarm model needs %s", key.name, key.want))
		}
	}
	if problems != nil {
		return farmKeySet{}, problems.Err()
	}
	var set farmKeySet
	for task, err := range s.TasksFrom(0) {
		if err != nil {
			return farmKeySet{}, err
		}
		for _, key := range keys {
			if v, found := keyValue(task, s.Tasks.Key, key.name); found && !key.accepts(v) {
				return farmKeySet{}, spec.Problems{s.Problem("tasks.file", v, "%s of task %d: expected %s", key.name, task.Index, key.want)}
			}
		}
		if v, found := keyValue(task, s.Tasks.Key, farmTypeKey); found && !slices.Contains(set.farmTypes, integer(v)) {
			set.farmTypes = append(set.farmTypes, integer(v))
		}
		if v, found := keyValue(task, s.Tasks.Key, layoutIDKey); found {
			set.lastLayout = max(set.lastLayout, integer(v))
		}
	}
	return set, nil
}

// keyValue returns the value of the key called name, if there is one.
func keyValue(task message.Task, names []string, name string) (table.Value, bool) {
	if i := slices.Index(names, name); i >= 0 && i < len(task.Key) {
		return task.Key[i], true
	}
	return table.Value{}, false
}

func integer(v table.Value) int64 {
	i, _ := v.Any().(int64)
	return i
}
