package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"windrow/internal/table"
)

// Input is numbers that a run computes with, as the curves of a turbine: a
// group of its dataset.
type Input struct {
	Path       string      `json:"path"` // of the group, as in "wind" or "turbines/0"
	Attributes []Attribute `json:"attributes,omitempty"`
	Variables  []Numbers   `json:"variables"`
}

// Attribute is an attribute of a group: text, or a number.
type Attribute struct {
	Name   string   `json:"name"`
	Text   string   `json:"text,omitempty"`
	Number *float64 `json:"number,omitempty"` // not text, if not nil
}

// Numbers is a variable of an Input: numbers over dimensions, each of which is a
// variable before it that has only itself as its dimension.
type Numbers struct {
	Name     string    `json:"name"`
	Unit     string    `json:"unit,omitempty"`
	LongName string    `json:"long_name,omitempty"`
	Dims     []string  `json:"dims"`
	Values   []float64 `json:"values"` // in row-major order
}

// IsDimension tells whether the numbers are the values of a dimension.
func (n Numbers) IsDimension() bool { return len(n.Dims) == 1 && n.Dims[0] == n.Name }

// MaxInputBytes bounds what all inputs of a run take as JSON, so that they fit
// into its first event: a year of hours does, if its figures are short.
const MaxInputBytes = MaxEventBytes * 3 / 4

const maxInputs = 64

var inputPattern = regexp.MustCompile(`^[a-z]{1,20}(/[0-9]{1,3})?$`)

func (p *Planned) validateInputs() error {
	if len(p.Inputs) > maxInputs {
		return fmt.Errorf("%d inputs: %d at most", len(p.Inputs), maxInputs)
	}
	for i, in := range p.Inputs {
		if !inputPattern.MatchString(in.Path) || slices.ContainsFunc(p.Inputs[:i], func(other Input) bool { return other.Path == in.Path }) {
			return fmt.Errorf("input %q: expected a group of its own, as turbines/0", Cut(in.Path, maxQuoted))
		}
		if err := in.validate(); err != nil {
			return fmt.Errorf("input %s: %w", in.Path, err)
		}
	}
	text, err := json.Marshal(p.Inputs)
	if err != nil {
		return err
	}
	if len(text) > MaxInputBytes {
		return fmt.Errorf("inputs take %d bytes: %d at most", len(text), MaxInputBytes)
	}
	return nil
}

// Size returns the bytes of the input as JSON.
func (in Input) Size() int {
	text, _ := json.Marshal(in) // what is not JSON is refused elsewhere
	return len(text)
}

func (in Input) validate() error {
	if len(in.Variables) == 0 {
		return errors.New("it has no numbers")
	}
	for _, a := range in.Attributes {
		if err := table.CheckName(a.Name); err != nil {
			return err
		}
		if !isLine(a.Text) {
			return fmt.Errorf("attribute %s is not one line of text", a.Name)
		}
		if a.Number != nil && !isFinite(*a.Number) {
			return fmt.Errorf("attribute %s is %g", a.Name, *a.Number)
		}
	}
	dims := map[string]int{}
	for i, n := range in.Variables {
		if slices.ContainsFunc(in.Variables[:i], func(other Numbers) bool { return other.Name == n.Name }) {
			return fmt.Errorf("two variables are called %s", n.Name)
		}
		if err := n.validate(dims); err != nil {
			return err
		}
		if n.IsDimension() {
			dims[n.Name] = len(n.Values)
		}
	}
	return nil
}

// validate tells whether the numbers are as many as their dimensions want.
func (n Numbers) validate(dims map[string]int) error {
	if err := table.CheckName(n.Name); err != nil {
		return err
	}
	if slices.ContainsFunc(n.Values, func(v float64) bool { return !isFinite(v) }) {
		return fmt.Errorf("%s has a value that is not finite", n.Name)
	}
	size := 1
	if n.IsDimension() {
		size = len(n.Values)
	} else {
		for _, d := range n.Dims {
			size *= dims[d]
		}
	}
	if size == 0 || size != len(n.Values) || len(n.Dims) == 0 {
		return fmt.Errorf("%s has %d values over %v", n.Name, len(n.Values), n.Dims)
	}
	return nil
}

// isLine tells whether text can be an attribute and shown as it is.
func isLine(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
