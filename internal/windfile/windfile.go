// Package windfile reads turbines, wind resources, layouts and sites from the
// files in which people keep them: CSV, YAML of FLORIS, windIO's YAML with the
// files that it includes, and WAsP's .tab.
//
// What a file says that has no effect here is a warning. Wind that varies over
// the site, or is at another height than the hub, is an error; so is turbulence
// that varies, where wakes depend on it.
package windfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"windrow/internal/wind"
)

// Files reads files. The zero value does, but those that include netCDF.
type Files struct {
	Dir    string       // where relative names start
	NetCDF NetCDF       // reads the included ones; nil: they are refused
	Stored Stored       // opens layouts in HDF5; nil: they are refused
	Warn   func(string) // is told what is odd about a file, if not nil

	// NeedsTurbulence says that wakes depend on the turbulence of the air. They are
	// computed with one for all wind: where a file has several it is an error then,
	// as any other would make other wakes in silence. Else it is a warning.
	NeedsTurbulence bool

	parsed map[string]*document // the YAML that was read, by its path: one file may be asked for several parts
}

// NetCDF returns the variables in the root of a netCDF 4 file.
type NetCDF func(path string) (map[string]Variable, error)

// Stored opens the layouts of an HDF5 file.
type Stored func(path string) (Layouts, error)

// Layouts are many layouts in one file.
type Layouts interface {
	Len() int64                                                // how many
	MostTurbines() int                                         // that one may have
	Layout(ctx context.Context, i int64) ([]wind.Point, error) // 0 is the first
}

// Variable is numbers over named dimensions, in row-major order. A single number
// has no dimension.
type Variable struct {
	Dims   []string
	Shape  []int
	Values []float64
}

func (f *Files) warn(format string, args ...any) {
	if f.Warn != nil {
		f.Warn(fmt.Sprintf(format, args...))
	}
}

func (f *Files) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.Dir, name)
}

// IsYAML tells whether a file of that name is YAML.
func IsYAML(name string) bool { return extension(name) == ".yaml" || extension(name) == ".yml" }

func extension(name string) string { return strings.ToLower(filepath.Ext(name)) }

// Turbine reads a turbine: CSV as [wind.ReadTurbine] has it, or YAML of FLORIS or
// of windIO, whose file may also be that of a farm or of a whole system.
func (f *Files) Turbine(name string) (turbine wind.Turbine, err error) {
	path := f.path(name)
	switch {
	case extension(name) == ".csv":
		turbine, err = read(path, wind.ReadTurbine)
	case IsYAML(name):
		turbine, err = f.yamlTurbine(name)
	default:
		return wind.Turbine{}, fmt.Errorf("%s: expected a turbine in .csv or .yaml", name)
	}
	if err != nil {
		return wind.Turbine{}, err
	}
	if err := checkName(path, turbine.Name); err != nil {
		return wind.Turbine{}, err
	}
	if warning := turbine.Warning(); warning != "" {
		f.warn("%s", warning)
	}
	return turbine, nil
}

func (f *Files) yamlTurbine(name string) (wind.Turbine, error) {
	d, err := f.parse(name)
	if err != nil {
		return wind.Turbine{}, err
	}
	root := d.root
	if root.get("power_thrust_table") != nil {
		return readFLORIS(f.path(name), bytes.NewReader(d.text))
	}
	at := root.descend("wind_farm", "turbines")
	at.used = true
	turbine, err := at.turbine()
	if err == nil {
		f.warnOfUnused(at)
	}
	return turbine, err
}

// Climate reads a wind climate, and the air as far as the file knows it: CSV as
// [wind.ReadClimate] has it, .tab of WAsP, or YAML of windIO, whose file may also be
// that of a site or of a whole system. The climate is that at the given hub height in m.
func (f *Files) Climate(name string, hub float64) (wind.Climate, wind.Air, error) {
	path, air := f.path(name), wind.StandardAir()
	switch {
	case extension(name) == ".csv":
		climate, err := read(path, wind.ReadClimate)
		return climate, air, err
	case extension(name) == ".tab":
		climate, err := read(path, wind.ReadTab)
		return climate, air, err
	case !IsYAML(name):
		return nil, air, fmt.Errorf("%s: expected a wind resource in .csv, .tab or .yaml", name)
	}
	d, err := f.parse(name)
	if err != nil {
		return nil, air, err
	}
	at := d.root.descend("site", "energy_resource", "wind_resource")
	climate, turbulence, err := f.resource(at, hub)
	if !math.IsNaN(turbulence) {
		air.Turbulence = turbulence
	}
	return climate, air, err
}

// Layout reads the positions of turbines: CSV as [wind.ReadLayout] has it, or YAML
// of windIO, whose file may be that of a farm or of a whole system.
func (f *Files) Layout(name string) ([]wind.Point, error) {
	switch {
	case extension(name) == ".csv":
		return read(f.path(name), wind.ReadLayout)
	case !IsYAML(name):
		return nil, fmt.Errorf("%s: expected a layout in .csv or .yaml", name)
	}
	d, err := f.parse(name)
	if err != nil {
		return nil, err
	}
	farm := d.root.descend("wind_farm")
	return f.layout(farm)
}

// StoredLayouts opens a file with many layouts: the dataset layout of an HDF5
// file, of shape (layouts, turbines, 2), NaN from where a farm has no more
// turbines.
func (f *Files) StoredLayouts(name string) (Layouts, error) {
	if f.Stored == nil {
		return nil, fmt.Errorf("%s: HDF5 is not read here", name)
	}
	return f.Stored(f.path(name))
}

// Site reads the boundary of a site from YAML of windIO, of a site or of a whole
// system.
func (f *Files) Site(name string) (wind.Site, error) {
	d, err := f.parse(name)
	if err != nil {
		return wind.Site{}, err
	}
	if d.root.get("site") != nil {
		f.warnOfSystem(d.root)
	}
	site, err := f.site(d.root.descend("site"))
	if err == nil {
		err = checkName(f.path(name), site.Name)
	}
	return site, err
}

// WarnOfSystem warns of what a file of a whole system has beside its site and
// its farm.
func (f *Files) WarnOfSystem(name string) error {
	d, err := f.parse(name)
	if err != nil {
		return err
	}
	f.warnOfSystem(d.root)
	return nil
}

func (f *Files) warnOfSystem(root *node) {
	for _, e := range root.entries {
		if e.key != "site" && e.key != "wind_farm" && e.key != "name" {
			f.warn("%s:%d: %s is not used: the models are chosen otherwise", e.value.file, e.line, e.key)
		}
	}
}

// Includes returns the files that a file of windIO includes, and those that they
// do, as paths that begin like the name. Other files include none.
func Includes(dir, name string) ([]string, error) {
	if !IsYAML(name) {
		return nil, nil
	}
	f := &Files{Dir: dir}
	d, err := f.parse(name)
	if err != nil {
		return nil, err
	}
	var included []string
	for _, path := range d.root.includes() {
		if !filepath.IsAbs(name) {
			if path, err = filepath.Rel(dir, path); err != nil {
				return nil, err
			}
		}
		included = append(included, path)
	}
	return included, nil
}

// checkName refuses names that no attribute can hold, or no line show.
func checkName(path, name string) error {
	const most = 200
	if len(name) > most || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%s: the name %.60q: expected up to %d bytes of text in one line", path, name, most)
	}
	return nil
}

func read[T any](path string, from func(string, io.Reader) (T, error)) (T, error) {
	text, err := readFile(path)
	if err != nil {
		var none T
		return none, err
	}
	return from(path, bytes.NewReader(text))
}

// readFile reads a file of text whole. Half of a large one would be other wind.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, bare(path, err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	switch err := errors.Join(err, file.Close()); {
	case err != nil:
		return nil, bare(path, err)
	case len(text) > maxFileBytes:
		return nil, fmt.Errorf("%s: is larger than %s", path, humanize.IBytes(maxFileBytes))
	}
	if utf8.Valid(text) {
		return text, nil
	}
	line := 1
	for l := range bytes.Lines(text) {
		if !utf8.Valid(l) {
			break
		}
		line++
	}
	return nil, fmt.Errorf("%s:%d: is not text in UTF-8", path, line)
}

// bare says what is wrong with a file as everything else here does, and not which
// call found it.
func bare(path string, err error) error {
	if call, ok := errors.AsType[*fs.PathError](err); ok {
		err = call.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// maxFileBytes is the size of the largest file that is read whole.
const maxFileBytes = 64 << 20
