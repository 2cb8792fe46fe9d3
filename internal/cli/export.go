package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"windrow/internal/atomicfile"
	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

type exportOptions struct {
	groups, windio string
	task           int64
}

func newExport(a *app) *cobra.Command {
	o := exportOptions{}
	c := &cobra.Command{
		Use:   "export FILE (--groups OUT.h5 | --windio DIR [--task N])",
		Short: "Write the farms of a dataset in the forms of other tools",
		Long: `Write the farms of a dataset of the windfarm model in the forms of other tools.

--groups OUT.h5 writes a group for each farm, as the authors of the tender
campaign have it: farm3_t1_s7 for farm_id 3, farm_type 1, seed 7 (with other
keys task0, task1, ...), with the datasets layout, of shape (2, turbines), and
aep, and every other single value of the row as an attribute.

--windio DIR writes one farm as a wind energy system of windIO: site, farm,
turbine, wind, and turbine_data.yaml with the mean power of each turbine in W.
"windrow aep --system" computes it again.

Farms of failed tasks are left out. What exists is not replaced.`,
		Example: `  windrow export tenders.h5 --groups tenders-groups.h5
  windrow export tenders.h5 --windio farm-7 --task 7`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (o.groups == "") == (o.windio == "") {
				return usageError(c, errors.New("expected one of --groups and --windio"))
			}
			if c.Flags().Changed("task") && o.windio == "" {
				return usageError(c, errors.New("--task is for --windio"))
			}
			return a.export(c.Context(), o, args[0])
		},
	}
	c.Flags().StringVar(&o.groups, "groups", "", "file to write, with a group for each farm")
	c.Flags().StringVar(&o.windio, "windio", "", "directory to make, with a wind energy system")
	c.Flags().Int64Var(&o.task, "task", 0, "task of the farm for --windio")
	return c
}

func (a *app) export(ctx context.Context, o exportOptions, file string) (err error) {
	out := o.groups + o.windio
	if _, err := os.Lstat(out); err == nil {
		return &exitError{exitUsage, fmt.Errorf("%s exists: move it away, or choose another name", out), ""}
	}
	if dir := filepath.Dir(filepath.Clean(out)); unix.Access(dir, unix.W_OK) != nil { // said before the farms are read
		return &exitError{exitUsage, fmt.Errorf("%s: nothing can be written in %s", out, dir), ""}
	}
	reader, err := newReader()
	if err != nil {
		return err
	}
	defer reader.Close()
	f := &farmReader{ctx: ctx, reader: reader, file: file}
	columns := map[string]int{"task": 1, "layout": 3, "aep": 1, "n_turbines": 1}
	if o.windio != "" {
		columns["turbine_aep"] = 2
	}
	if err := f.open(columns); err != nil {
		return err
	}
	if o.windio != "" {
		return a.exportWindIO(f, o)
	}
	return a.exportGroups(f, o.groups)
}

// exportGroups writes a file with a group for each farm.
func (a *app) exportGroups(f *farmReader, path string) (err error) {
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := h5.Create(temporary, h5.V108)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary) // the first error counts
		}
	}()
	farms, err := f.writeGroups(out)
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if err := errors.Join(atomicfile.Sync(temporary), atomicfile.Commit(temporary, path)); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: %s, a group for each\n", path, plural(farms, "farm"))
	return nil
}

const exportedBlock = 256 // rows

func (f *farmReader) writeGroups(out *h5.File) (farms int, err error) {
	attributes := f.singleColumns()
	rows := f.sets[table.TaskColumn].Shape[0]
	for first := int64(0); first < rows; first += exportedBlock {
		n := min(exportedBlock, rows-first)
		var values [3][]float64
		for i, name := range []string{"layout", "aep", "n_turbines"} {
			if values[i], err = f.numbers(name, first, n); err != nil {
				return farms, err
			}
		}
		singles := map[string]foreign.Rows{}
		for _, name := range attributes {
			if singles[name], err = f.reader.Read(f.ctx, f.file, "/"+name, first, n); err != nil {
				return farms, fmt.Errorf("%s: %w", name, err)
			}
		}
		width := len(values[0]) / int(n)
		for i := range int(n) {
			if math.IsNaN(values[1][i]) {
				continue // a failed task
			}
			turbines := int(values[2][i])
			if turbines < 1 || 2*turbines > width {
				return farms, fmt.Errorf("row %d: %d turbines, with room for %d", first+int64(i), turbines, width/2)
			}
			group := exportedGroup{out: out, keys: f.spec.KeyNames(), layout: values[0][i*width : i*width+2*turbines], aep: values[1][i], row: i, singles: singles}
			if err := group.write(attributes); err != nil {
				return farms, fmt.Errorf("row %d: %w", first+int64(i), err)
			}
			farms++
		}
	}
	return farms, nil
}

// singleColumns returns the columns with one value in a row, but the energy.
func (f *farmReader) singleColumns() []string {
	var names []string
	for name, d := range f.sets {
		if len(d.Shape) == 1 && d.Shape[0] == f.sets[table.TaskColumn].Shape[0] && name != "aep" && name != table.RowDim && d.Type.Kind != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// exportedGroup is one farm on its way.
type exportedGroup struct {
	out     *h5.File
	keys    []string
	layout  []float64 // x, y of each turbine
	aep     float64
	row     int // of singles
	singles map[string]foreign.Rows
}

// value returns a single value of the row, and its bytes.
func (g exportedGroup) value(name string) (any, []byte) {
	rows := g.singles[name]
	if rows.Type.Kind == h5.VarText {
		return rows.Texts[g.row], rows.Texts[g.row]
	}
	size := rows.Type.Bytes()
	raw := rows.Bytes[g.row*size : (g.row+1)*size]
	return foreign.Element(rows.Type, raw), raw
}

// name returns that of the group: as the campaign has it if its keys are those
// of the campaign, which no two tasks have in common.
func (g exportedGroup) name() string {
	if slices.Equal(slices.Sorted(slices.Values(g.keys)), []string{"farm_id", "farm_type", "seed"}) {
		var key [3]any
		whole := true
		for i, name := range []string{"farm_id", "farm_type", "seed"} {
			key[i], _ = g.value(name)
			_, ok := key[i].(int64)
			whole = whole && ok
		}
		if whole {
			return fmt.Sprintf("farm%d_t%d_s%d", key[:]...)
		}
	}
	task, _ := g.value(table.TaskColumn)
	return fmt.Sprintf("task%d", task)
}

func (g exportedGroup) write(attributes []string) (err error) {
	name := g.name()
	if err := g.out.Group(name); err != nil {
		return err
	}
	for _, attribute := range attributes {
		switch value, raw := g.value(attribute); value := value.(type) {
		case []byte:
			err = g.out.SetStringOf(name, attribute, strings.ToValidUTF8(string(value), "?"))
		default:
			err = g.out.SetNumberOf(name, attribute, g.singles[attribute].Type, raw)
		}
		if err != nil {
			return err
		}
	}
	float64s, n := h5.Type{Kind: h5.Float64}, len(g.layout)/2
	turned := make([]float64, 2*n) // x of all turbines, then y
	for i := range n {
		turned[i], turned[n+i] = g.layout[2*i], g.layout[2*i+1]
	}
	layout, err := g.out.Create(name+"/layout", float64s, []int64{2, int64(n)})
	if err != nil {
		return err
	}
	err = errors.Join(layout.Write(0, 2, littleEndian(turned...)), layout.SetString("units", "m"), layout.Close())
	return errors.Join(err, g.out.WriteScalar(name+"/aep", float64s, littleEndian(g.aep)), g.out.SetStringOf(name+"/aep", "units", "GWh"))
}

func littleEndian(values ...float64) []byte {
	bytes, _ := binary.Append(nil, binary.LittleEndian, values) // numbers have a size
	return bytes
}

// exportWindIO writes the farm of a task as a wind energy system.
func (a *app) exportWindIO(f *farmReader, o exportOptions) error {
	row, err := f.rowOf(o.task)
	if err != nil {
		return err
	}
	s, err := f.system(row)
	if err != nil {
		return fmt.Errorf("task %d of %s: %w", o.task, f.file, err)
	}
	s.Name = fmt.Sprintf("task %d of %s", o.task, filepath.Base(f.file))
	parent := filepath.Dir(filepath.Clean(o.windio))
	temporary, err := os.MkdirTemp(parent, "."+filepath.Base(o.windio)+"-*.tmp")
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("make a directory for the system: %w", err), ""}
	}
	err = errors.Join(s.Write(temporary), os.Chmod(temporary, 0o755)) //nolint:gosec // to be passed on, as the files in it
	if err == nil {
		err = atomicfile.Commit(temporary, filepath.Clean(o.windio))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", o.windio, err), os.RemoveAll(temporary))
	}
	fmt.Fprintf(a.stdout, "%s: a farm of %s, as windIO has it\nnext: windrow aep --system %s --model %s%s\n", o.windio,
		plural(len(s.Layout), "turbine"), filepath.Join(o.windio, windfile.SystemFile), f.config().Wake, sampledAt(f.config(), s))
	return nil
}

// sampledAt returns the flags with which the system's wind is used as it was in
// the campaign.
func sampledAt(config *spec.Windfarm, s *windfile.System) string {
	if config.Directions == 0 || !slices.ContainsFunc(s.Wind, func(v windfile.NamedVariable) bool { return v.Name == "weibull_a" }) {
		return ""
	}
	return fmt.Sprintf(" --directions %d --speeds %d..%d", config.Directions, config.Speeds.First, config.Speeds.Last)
}

// rowOf returns the row of a task.
func (f *farmReader) rowOf(task int64) (int64, error) {
	rows := f.sets[table.TaskColumn].Shape[0]
	for first := int64(0); first < rows; first += plottedRows {
		tasks, err := f.numbers(table.TaskColumn, first, min(plottedRows, rows-first))
		if err != nil {
			return 0, err
		}
		if i := slices.Index(tasks, float64(task)); i >= 0 {
			return first + int64(i), nil
		}
	}
	return 0, &exitError{exitUsage, fmt.Errorf("%s has no row of task %d", f.file, task), ""}
}

// system returns the farm of a row with its turbine, site and wind, which are
// in groups of the file.
func (f *farmReader) system(row int64) (*windfile.System, error) {
	values := map[string][]float64{}
	columns := []string{"layout", "turbine_aep", "n_turbines"}
	if f.config().Site == spec.Tenders {
		columns = append(columns, "farm_id", "farm_type")
	} else {
		values["farm_id"], values["farm_type"] = []float64{0}, []float64{0} // one site and one turbine, whatever the keys are
	}
	for _, name := range columns {
		numbers, err := f.numbers(name, row, 1)
		if err != nil {
			return nil, err
		}
		values[name] = numbers
	}
	n := int(values["n_turbines"][0])
	if n < 1 || n > len(values["turbine_aep"]) || 2*n > len(values["layout"]) {
		return nil, errors.New("its task failed, or it has no turbines")
	}
	turbine, err := f.turbine(strconv.FormatInt(int64(values["farm_type"][0]), 10))
	if err != nil {
		return nil, err
	}
	s := &windfile.System{Turbine: turbine, TurbineAEP: values["turbine_aep"][:n]}
	for i := range n {
		s.Layout = append(s.Layout, wind.Point{X: values["layout"][2*i], Y: values["layout"][2*i+1]})
	}
	if f.config().Site != spec.Open {
		site, err := f.site(int64(values["farm_id"][0]))
		if err != nil {
			return nil, err
		}
		s.Boundary = site.Boundary
	}
	if s.Wind, s.Turbulence, err = f.windOf(); err != nil {
		return nil, err
	}
	return s, nil
}

// windOf returns the wind in the variables of windIO, and its turbulence. Sectors
// that were spread over more directions are written as they were used.
func (f *farmReader) windOf() ([]windfile.NamedVariable, float64, error) {
	climate, air, err := f.climate()
	if err != nil {
		return nil, 0, err
	}
	resource, _, err := f.group("/wind")
	if err != nil {
		return nil, 0, err
	}
	if sectors, ok := climate.(wind.SectorTable); ok {
		used, err := sectors.Resource(simulator.Sampling(f.config()))
		rose, ok := used.(wind.Rose)
		if err != nil || !ok {
			return nil, 0, err
		}
		resource["wind_direction"] = windfile.Variable{Dims: []string{"wind_direction"}, Shape: []int{len(rose.Directions)}, Values: rose.Directions}
		resource["probability"] = windfile.Variable{
			Dims: []string{"wind_direction", "wind_speed"}, Shape: []int{len(rose.Directions), len(rose.Speeds)}, Values: slices.Concat(rose.Frequency...),
		}
	}
	var variables []windfile.NamedVariable
	for _, name := range []string{"time", "wind_direction", "wind_speed", "probability", "weibull_a", "weibull_k", "sector_probability"} {
		if v, ok := resource[name]; ok {
			variables = append(variables, windfile.NamedVariable{Name: name, Variable: v})
		}
	}
	return variables, air.Turbulence, nil
}
