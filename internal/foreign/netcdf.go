package foreign

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/dustin/go-humanize"

	"windrow/internal/h5"
)

// Variable is the numbers of a netCDF variable over its dimensions, in row-major
// order. A single number has no dimension.
type Variable struct {
	Dims   []string
	Shape  []int
	Values []float64
}

// maxNumbers bounds the variables of a file together.
const maxNumbers = 1 << 22

// The attributes in which netCDF 4 notes the dimensions of variables, by number.
const (
	dimensionsAttribute = "_Netcdf4Coordinates" // of a variable, all of them
	dimensionAttribute  = "_Netcdf4Dimid"       // of a variable, the first of them; of a dimension, itself
)

// Variables returns the variables of numbers in the root of a netCDF 4 file,
// with NaN for values that are missing.
func (r *Reader) Variables(ctx context.Context, path string) (map[string]Variable, error) {
	group, err := r.List(ctx, path, "/")
	if err != nil {
		return nil, err
	}
	dimensions := map[int64]string{}
	for _, d := range group.Datasets {
		if id := integers(d.Attributes, dimensionAttribute); len(id) == 1 && hasAttribute(d.Attributes, "CLASS") {
			dimensions[id[0]] = d.Name
		}
	}
	variables, total := map[string]Variable{}, int64(0)
	for _, d := range group.Datasets {
		if !isNumber(d.Type) || isOnlyDimension(d) {
			continue
		}
		for _, packing := range []string{"scale_factor", "add_offset"} {
			if hasAttribute(d.Attributes, packing) {
				return nil, damaged("variable %s is packed (%s): it is to be stored as it is", d.Name, packing)
			}
		}
		v, size := Variable{}, int64(1)
		for _, n := range d.Shape {
			if n < 1 || n > maxNumbers/size {
				return nil, damaged("variable %s has the shape %v: expected 1 to %s numbers", d.Name, d.Shape, humanize.Comma(maxNumbers))
			}
			size *= n
			v.Shape = append(v.Shape, int(n))
		}
		if total += size; total > maxNumbers {
			return nil, damaged("its variables have more than %s numbers", humanize.Comma(maxNumbers))
		}
		v.Dims = dimensionNames(d, dimensions)
		missing := append(numbersOf(d.Attributes, "_FillValue"), numbersOf(d.Attributes, "missing_value")...)
		rows := int64(1)
		if len(d.Shape) > 0 {
			rows = d.Shape[0]
		}
		read, err := r.Read(ctx, path, d.Name, 0, rows)
		if err != nil {
			return nil, err
		}
		step := read.Type.Bytes()
		for i := 0; i+step <= len(read.Bytes); i += step {
			value := floatOf(Element(read.Type, read.Bytes[i:i+step]))
			if slices.Contains(missing, value) {
				value = math.NaN()
			}
			v.Values = append(v.Values, value)
		}
		if int64(len(v.Values)) != size {
			return nil, damaged("variable %s has %d numbers: expected %d", d.Name, len(v.Values), size)
		}
		variables[d.Name] = v
	}
	return variables, nil
}

// dimensionNames returns the names of a variable's dimensions.
func dimensionNames(d Dataset, names map[int64]string) []string {
	ids := integers(d.Attributes, dimensionsAttribute)
	if len(ids) != len(d.Shape) && len(d.Shape) == 1 {
		ids = integers(d.Attributes, dimensionAttribute)
	}
	dims := make([]string, len(d.Shape))
	for i := range dims {
		switch {
		case i >= len(ids):
			dims[i] = fmt.Sprintf("dimension %d of unknown name", i+1)
		case names[ids[i]] == "":
			dims[i] = fmt.Sprintf("dimension number %d", ids[i])
		default:
			dims[i] = names[ids[i]]
		}
	}
	if len(dims) == 0 {
		return nil
	}
	return dims
}

func isNumber(t h5.Type) bool {
	switch t.Kind {
	case h5.Float64, h5.Float32, h5.Int64, h5.Int32, h5.Int16, h5.Int8, h5.Uint64, h5.Uint32, h5.Uint16, h5.Uint8:
		return true
	case h5.Bool, h5.String, h5.Text, h5.VarText:
	}
	return false
}

func floatOf(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	}
	return 0
}

func hasAttribute(attributes []h5.Attribute, name string) bool {
	for _, a := range attributes {
		if a.Name == name {
			return true
		}
	}
	return false
}

// isOnlyDimension tells whether a dataset stands for a dimension without values.
func isOnlyDimension(d Dataset) bool {
	for _, a := range d.Attributes {
		if a.Name == "NAME" {
			text := a.Bytes
			if len(a.Texts) == 1 {
				text = a.Texts[0]
			}
			return bytes.HasPrefix(text, []byte("This is a netCDF dimension but not a netCDF variable"))
		}
	}
	return false
}

// integers returns the values of an attribute of whole numbers.
func integers(attributes []h5.Attribute, name string) []int64 {
	var values []int64
	for _, v := range numbersOf(attributes, name) {
		values = append(values, int64(v))
	}
	return values
}

// numbersOf returns the values of an attribute of numbers.
func numbersOf(attributes []h5.Attribute, name string) []float64 {
	var values []float64
	for _, a := range attributes {
		if a.Name != name || !isNumber(a.Type) {
			continue
		}
		step := a.Type.Bytes()
		for i := 0; i+step <= len(a.Bytes); i += step {
			values = append(values, floatOf(Element(a.Type, a.Bytes[i:i+step])))
		}
	}
	return values
}
