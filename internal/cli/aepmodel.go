package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/wind"
)

// newModel returns the named model with what the flags change of it, and these
// changes as they were given. Whether the model is computed so, it says itself.
func (o *aepOptions) newModel(c *cobra.Command) (wind.Model, []string, error) {
	name := o.model
	if o.profile != "" {
		name += "/" + o.profile
	}
	model, err := wind.NewModel(name)
	if err != nil {
		return wind.Model{}, nil, err
	}
	var changes []string
	parameters := o.parameters(&model)
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if !c.Flags().Changed(name) {
			continue
		}
		if err := parameters[name](); err != nil {
			return wind.Model{}, nil, err
		}
		changes = append(changes, "--"+name+"="+c.Flags().Lookup(name).Value.String())
	}
	return model, changes, nil
}

// parameters are the flags that change the model, by their names.
func (o *aepOptions) parameters(m *wind.Model) map[string]func() error {
	return map[string]func() error{
		"growth":      func() error { m.Growth = o.growth; return nil },
		"renormalise": func() error { m.Renormalise = o.renormalise; return nil },
		"superposition": func() error {
			return choose(&m.Superposition, "superposition", o.superposition, map[string]wind.Superposition{
				"squares": wind.Squares, "linear": wind.Linear, "maximum": wind.Maximum,
			})
		},
		"reference": func() error {
			return choose(&m.Reference, "reference", o.reference, map[string]wind.Reference{
				"free": wind.FreeSpeed, "source": wind.SourceSpeed,
			})
		},
		"rotor": func() error {
			return choose(&m.Rotor, "rotor", o.rotor, map[string]wind.Rotor{
				"centre": wind.Centre, "overlap": wind.Overlap, "grid": wind.Grid, "disc": wind.Disc,
			})
		},
		"added-turbulence": func() error {
			return choose(&m.Turbulence, "added-turbulence", o.addedTurbulence, map[string]wind.AddedTurbulence{
				"none": wind.NoAddedTurbulence, "overlap": wind.AddedWithOverlap, "points": wind.AddedWithin15Rotors,
			})
		},
		"induction": func() error {
			return choose(&m.Induction, "induction", o.induction, map[string]wind.Induction{
				"momentum": wind.Momentum, "madsen": wind.Madsen,
			})
		},
	}
}

func choose[T any](to *T, flag, value string, allowed map[string]T) error {
	choice, ok := allowed[value]
	if !ok {
		return fmt.Errorf("--%s %s: %s are allowed", flag, value, strings.Join(slices.Sorted(maps.Keys(allowed)), ", "))
	}
	*to = choice
	return nil
}
