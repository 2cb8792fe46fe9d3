package rescue

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// private are attributes that say how a file is put together.
var private = []string{
	"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties",
	"source", "windrow_format", "windrow_shard", "run_digest",
}

// meaning are attributes without which numbers say something else: what CF and
// netCDF define, and windrow's own.
var meaning = []string{"units", "unit", "_FillValue", "missing_value", "scale_factor", "add_offset"}

// attributes are those that a dataset, or the root, has in all files so far.
type attributes struct {
	kept []h5.Attribute
	lost []string        // names of those that not all files have, or that windrow cannot write
	from map[string]from // those of meaning, by name
}

// from is an attribute, and the file that has it.
type from struct {
	h5.Attribute

	path string
}

// add goes on with the attributes of the next file. It returns two files that
// contradict each other in the meaning of numbers, if there are.
func (as *attributes) add(path string, next []h5.Attribute) (a, b from, contradict bool) {
	first := as.from == nil
	if first {
		as.from = map[string]from{}
	}
	for _, x := range next {
		if slices.Contains(private, x.Name) {
			continue
		}
		if slices.Contains(meaning, x.Name) {
			if before, ok := as.from[x.Name]; ok && !contradict && !reflect.DeepEqual(before.Attribute, x) {
				a, b, contradict = before, from{x, path}, true
			}
			as.from[x.Name] = from{x, path}
		}
		switch {
		case !writable(x):
			as.lose(x.Name)
		case first:
			as.kept = append(as.kept, x)
		case !slices.ContainsFunc(as.kept, func(y h5.Attribute) bool { return reflect.DeepEqual(x, y) }):
			as.lose(x.Name)
		}
	}
	as.kept = slices.DeleteFunc(as.kept, func(x h5.Attribute) bool {
		everywhere := slices.ContainsFunc(next, func(y h5.Attribute) bool { return reflect.DeepEqual(x, y) })
		if !everywhere {
			as.lose(x.Name)
		}
		return !everywhere
	})
	return a, b, contradict
}

func (as *attributes) lose(name string) {
	if !slices.Contains(as.lost, name) {
		as.lost = append(as.lost, name)
	}
}

// writable tells whether windrow can write an attribute: a text, or numbers in a
// row.
func writable(a h5.Attribute) bool {
	switch {
	case len(a.Shape) > 1:
		return false
	case isText(a.Type) || a.Type.Kind == h5.VarText:
		return len(a.Shape) == 0 && (a.Bytes != nil || len(a.Texts) == 1)
	}
	return a.Type.Kind != 0 && len(a.Bytes) > 0
}

type attributed interface {
	SetString(name, value string) error
	SetNumber(name string, t h5.Type, value []byte) error
	SetNumbers(name string, t h5.Type, n int, values []byte) error
}

// copyTo writes the attributes that all files have.
func (as *attributes) copyTo(to attributed) error {
	for _, a := range as.kept {
		if err := copyAttribute(to, a); err != nil {
			return err
		}
	}
	return nil
}

func copyAttribute(to attributed, a h5.Attribute) error {
	switch {
	case len(a.Texts) == 1:
		return setText(to, a.Name, a.Texts[0])
	case isText(a.Type):
		return setText(to, a.Name, bytes.TrimRight(a.Bytes, "\x00"))
	case len(a.Shape) == 1:
		return to.SetNumbers(a.Name, a.Type, int(a.Shape[0]), a.Bytes)
	}
	return to.SetNumber(a.Name, a.Type, a.Bytes)
}

func setText(to attributed, name string, text []byte) error {
	return to.SetString(name, strings.ToValidUTF8(strings.ReplaceAll(string(text), "\x00", ""), "?"))
}

// showAttribute returns the value of an attribute for people.
func showAttribute(a h5.Attribute) string {
	switch {
	case len(a.Texts) > 0:
		return string(a.Texts[0])
	case isText(a.Type):
		return string(bytes.TrimRight(a.Bytes, "\x00"))
	}
	return showNumbers(a)
}

func showNumbers(a h5.Attribute) string {
	if a.Type.Kind == 0 || a.Type.Bytes() == 0 {
		return "of a type of its own"
	}
	var shown []string
	for element := range slices.Chunk(a.Bytes, a.Type.Bytes()) {
		shown = append(shown, showElement(foreign.Element(a.Type, element)))
	}
	return fmt.Sprintf("%s (%s)", strings.Join(shown, " "), a.Type)
}
