package spec

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
	"windrow/internal/wind"
	"windrow/internal/windfile"
)

// form declares what a spec looks like.
func (s *Spec) form() form.Shape {
	return form.Object(append(s.rowFields(), s.settingFields()...)...)
}

// Schema returns the JSON schema of a spec, for editors.
func Schema() ([]byte, error) {
	return withDefaults().form().JSONSchema("windrow run, version 1")
}

// rowForm declares the part of a spec that the digest covers.
func (s *Spec) rowForm() form.Shape { return form.Object(s.rowFields()...) }

func (s *Spec) rowFields() []form.Field {
	version := Version
	return []form.Field{
		form.Required("version", "version of the spec format: 1", form.Int(&version, Version, Version)),
		form.Optional("seed", "number that all random numbers of the run depend on", form.Int(&s.Seed, math.MinInt64, math.MaxInt64)),
		form.Required("tasks", "the tasks, one row each: a matrix, or a file and the columns that are its key", s.Tasks.form()),
		form.Required("simulator", "what computes a task: windfarm, noop, sleep or command", s.Simulator.form()),
		form.Optional("columns", "results of a command", form.List(&s.Columns, 0, columnForm)),
	}
}

func (s *Spec) settingFields() []form.Field {
	return []form.Field{
		form.Required("name", "name of the run: lower-case letters, digits, _ and -", form.Text(&s.Name, message.NamePattern, checkName)),
		form.Required("output", "where the dataset goes", s.Output.form()),
		form.Optional("retry", "further attempts at a failed task, by class of failure", form.Object(
			retryField("error", "after an error that the simulator reported", &s.Retry.Error),
			retryField("crash", "after the simulator died", &s.Retry.Crash),
			retryField("timeout", "after no answer came in time", &s.Retry.Timeout),
			retryField("invalid_output", "after an answer that breaks what the columns declare", &s.Retry.InvalidOutput),
		)),
		form.Optional("failures", "what to do about tasks that cannot succeed", form.Object(
			form.Optional("allow", "how many tasks may fail: a count, or a percentage as in 2%", allowanceForm(&s.Failures.Allow)),
			form.Optional("abort_if", "stop early when more than a percentage of the tasks done have failed, as in 10% after 200 (never if not given)",
				form.UnlessZero(&s.Failures.AbortIf, abortForm(&s.Failures.AbortIf))),
			form.Optional("rows", "failed rows in the dataset: drop them, or keep them with fill values and a status",
				form.Choice(&s.Failures.Rows, message.DropRows, message.KeepRows)),
		)),
		form.Optional("queue", "tuning of the queue", form.Object(
			form.Optional("ack_wait", "a task without a sign of life for this long is given to another worker",
				form.Duration(&s.Queue.AckWait, time.Second, time.Hour)),
			form.Optional("shard_seconds", "seconds that computing one shard should take", form.Float(&s.Queue.ShardSeconds, 0, 3600)),
		)),
	}
}

func checkName(name string) error {
	if !message.ValidName(name) {
		return errors.New("expected lower-case letters, digits, _ and -, 40 at most, starting with a letter or digit")
	}
	return nil
}

func retryField(name, doc string, budget *int) form.Field {
	return form.Optional(name, doc, form.Int(budget, 0, 100))
}

func (t *Tasks) form() form.Shape {
	return form.Object(
		form.Optional("matrix", "keys and their values; every combination is a task, the first key varies slowest",
			form.Map(&t.Matrix, 1, namePattern, checkKey, func(a *Axis) (*string, form.Shape) { return &a.Name, a.form() })),
		form.Optional("file", "task list, relative to the spec: .csv with a header, or .jsonl", form.Text(&t.File, `\.(csv|jsonl)$`, checkListName)),
		form.Optional("key", "columns of the file that identify a task", form.List(&t.Key, 1, func(k *string) form.Shape {
			return form.Text(k, namePattern, checkKey)
		})),
	).ExactlyOne("matrix", "file").Needs("file", "key").Needs("key", "file")
}

// namePattern is what table.CheckName accepts.
const namePattern = `^[A-Za-z][A-Za-z0-9_]{0,63}$`

// checkKey tells whether name can be a key's: it becomes a dataset beside
// those that every file has.
func checkKey(name string) error {
	if err := table.CheckName(name); err != nil {
		return err
	}
	switch name {
	case table.TaskColumn, table.RowDim, table.StatusColumn, "manifest", "failed", "imported":
		return fmt.Errorf("the name %q is reserved: every dataset has its own", name)
	}
	return nil
}

func checkDimension(name string) error {
	if name == table.RowDim {
		return fmt.Errorf("the name %q is reserved: it is the first dimension of every column", name)
	}
	return table.CheckName(name)
}

func checkListName(name string) error {
	if !strings.HasSuffix(name, ".csv") && !strings.HasSuffix(name, ".jsonl") {
		return errors.New("expected a file whose name ends in .csv or .jsonl")
	}
	return nil
}

func (s *Simulator) form() form.Shape {
	windfarm, sleep := orNew(s.Windfarm), orNew(s.Sleep)
	command := s.Command
	if command == nil {
		command = &Command{Timeout: defaultTimeout}
	}
	fields := []form.Field{
		form.Optional("windfarm", "energy yield of wind farms with wakes", form.On(&s.Windfarm, windfarm, windfarm.form())),
		form.Optional("noop", "does nothing, to measure windrow itself", form.On(&s.Noop, orNew(s.Noop), form.Object())),
		form.Optional("sleep", "waits, then does what noop does", form.On(&s.Sleep, sleep, form.Object(
			form.Required("duration", "time to wait, as in 10ms", form.Duration(&sleep.Duration, 0, time.Hour)),
		))),
		form.Optional("command", "program and arguments, run in the directory of the spec, never through a shell",
			form.On(&s.Command, command, form.List(&command.Args, 1, argumentForm))),
		form.Optional("timeout", "time that the command has for each task (1h if not given)",
			form.On(&s.Command, command, form.Duration(&command.Timeout, time.Millisecond, maxTimeout))),
	}
	shape := form.Object(append(fields, s.limitFields(command)...)...).ExactlyOne("windfarm", "noop", "sleep", "command")
	for _, name := range []string{"timeout", "mode", "start_timeout", "max_rss", "threads", "recycle_after", "environment"} {
		shape = shape.Needs(name, "command")
	}
	return shape
}

func orNew[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

func argumentForm(arg *string) form.Shape {
	return form.Text(arg, "", func(s string) error {
		if s == "" || strings.ContainsRune(s, 0) {
			return errors.New("expected text that is not empty")
		}
		return nil
	})
}

func (w *Windfarm) form() form.Shape {
	return form.Object(
		form.Required("site", "where the farms stand: tenders, on the ten sites of the tender campaign; open, anywhere, without a boundary; "+
			"or a file with a boundary, and perhaps a turbine and the wind (.yaml of windIO)", form.Text(&w.Site, "", checkSite)),
		form.Optional("turbine", "not on the tenders: a built-in turbine as windrow aep --help lists them, or a file (.csv, .yaml of FLORIS or windIO); "+
			"that of the site's file if not given", form.UnlessZero(&w.Turbine, form.Text(&w.Turbine, "", checkTurbine))),
		form.Optional("resource", "not on the tenders: a file with the wind (.csv, .tab of WAsP, .yaml of windIO); that of the site's file if not given, "+
			"with site open that of the tenders", form.UnlessZero(&w.Resource, form.Text(&w.Resource, "", checkResource))),
		form.Required("layout", layoutDoc, form.Text(&w.Layout, "", checkLayout)),
		form.Optional("turbines", "not on the tenders: how many turbines each farm has; with site open as many as its layout draws if not given",
			form.UnlessZero(&w.Turbines, form.Int(&w.Turbines, 1, maxTurbines))),
		form.Required("min_spacing", "least distance between turbines in rotor diameters, as in 3D", diametersForm(&w.MinSpacing)),
		form.Required("wake", "wake model, and the tool whose conventions it has, as in jensen/pywake", form.Choice(&w.Wake, wind.ModelNames()...)),
		form.Optional("directions", "number of wind directions, evenly spaced from north; a resource that is a table has its own",
			form.UnlessZero(&w.Directions, form.Int(&w.Directions, 1, 3600))),
		form.Optional("speeds", "wind speeds in m/s, in steps of 1, as in 3..25; a resource that is a table has its own",
			form.UnlessZero(&w.Speeds, w.Speeds.form())),
		form.Optional("split", "column that divides the farms by their layouts: percent for training, validation and test, as in 80/10/10",
			form.UnlessZero(&w.Split, w.Split.form())),
	)
}

// maxTurbines is the most that a farm of the windfarm model has.
const maxTurbines = 1000

const layoutDoc = "how turbines are placed. On a site: polygon, at random inside its polygon; smart_start, one after the other at random " +
	"among the best points that are free; grid; rings. With site open: cluster, single_string, multiple_string, parallel_string, grid, rings; " +
	"or styles, the one of these that the key farm_type names. Not on the tenders: a file with positions (.csv, .yaml of windIO), or one with many layouts (.h5), of which the key layout_id names one"

// layoutsOf returns the names of the layouts on a site.
func layoutsOf(site string) []string {
	if site != Open {
		return []string{PolygonLayout, SmartStart, string(wind.GridStyle), string(wind.Rings)}
	}
	names := []string{StylesLayout}
	for _, style := range wind.Styles() {
		names = append(names, string(style))
	}
	return names
}

func hasExtension(name string, extensions ...string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

func isLayoutFile(name string) bool  { return hasExtension(name, ".csv", ".yaml", ".yml", ".h5") }
func isTurbineFile(name string) bool { return hasExtension(name, ".csv", ".yaml", ".yml") }

func checkSite(name string) error {
	if name != Tenders && name != Open && !windfile.IsYAML(name) {
		return fmt.Errorf("expected %s, %s, or a file (.yaml)", Tenders, Open)
	}
	return nil
}

func checkTurbine(name string) error {
	if !isTurbineFile(name) && !slices.Contains(wind.TurbineNames(), strings.ToLower(name)) {
		return fmt.Errorf("expected a file (.csv, .yaml), or one of %s", strings.Join(wind.TurbineNames(), ", "))
	}
	return nil
}

func checkResource(name string) error {
	if !hasExtension(name, ".csv", ".tab", ".yaml", ".yml") {
		return errors.New("expected a file (.csv, .tab, .yaml)")
	}
	return nil
}

func checkLayout(name string) error {
	all := append(layoutsOf(Tenders), layoutsOf(Open)...)
	if !isLayoutFile(name) && !slices.Contains(all, name) {
		return fmt.Errorf("expected a file (.csv, .yaml, .h5), or one of %s", strings.Join(slices.Compact(slices.Sorted(slices.Values(all))), ", "))
	}
	return nil
}

// checkWindfarm finds what does not go with the site.
func (s *Spec) checkWindfarm() Problems {
	w := s.Simulator.Windfarm
	if w == nil || w.Site == "" || w.Layout == "" {
		return nil // has its own problem
	}
	var problems Problems
	report := func(field string, value any, format string, args ...any) {
		problems = append(problems, s.Problem("simulator.windfarm."+field, value, format, args...))
	}
	if allowed := layoutsOf(w.Site); !slices.Contains(allowed, w.Layout) && (w.Site == Tenders || !w.HasLayoutFile()) {
		report("layout", w.Layout, "site %s has the layouts %s", w.Site, strings.Join(allowed, ", "))
	}
	if w.Site == Tenders {
		for _, field := range [][2]string{{"turbine", w.Turbine}, {"resource", w.Resource}} {
			if field[1] != "" {
				report(field[0], field[1], "is for other sites: the tenders have their own")
			}
		}
		if w.Turbines > 0 {
			report("turbines", w.Turbines, "is for other sites: on the tenders it is that of the type of turbine")
		}
	}
	if w.Site == Open && w.Turbine == "" {
		report("turbine", nil, "is missing: site open has none of its own")
	}
	if w.HasSiteFile() && !w.HasLayoutFile() && w.Turbines == 0 {
		report("turbines", nil, "is missing: how many are to stand on the site")
	}
	if w.HasLayoutFile() && w.Turbines > 0 {
		report("turbines", w.Turbines, "is for layouts that are drawn: the file has its own number")
	}
	if w.ResourceName() == "" {
		if w.Directions == 0 {
			report("directions", nil, "is missing: number of wind directions, evenly spaced from north")
		}
		if w.Speeds == (Speeds{}) {
			report("speeds", nil, "is missing: wind speeds in m/s, in steps of 1, as in 3..25")
		}
	}
	return problems
}

func (s *Split) form() form.Shape {
	return form.Scalar(`^[0-9]+/[0-9]+/[0-9]+$`, func(text string) error {
		var parts []int
		for part := range strings.SplitSeq(text, "/") {
			n, err := strconv.ParseUint(part, 10, 7)
			if err != nil || form.NumberKind(part) == form.NotANumber {
				parts = nil
				break
			}
			parts = append(parts, int(n))
		}
		if len(parts) != 3 || parts[0]+parts[1]+parts[2] != 100 {
			return errors.New("expected percentages of training, validation and test that sum to 100, as in 80/10/10")
		}
		*s = Split{parts[0], parts[1], parts[2]}
		return nil
	}, func() any { return fmt.Sprintf("%d/%d/%d", s.Train, s.Validation, s.Test) })
}

func diametersForm(d *float64) form.Shape {
	return form.Scalar(`^[0-9.]+D$`, func(s string) error {
		number, diameters := strings.CutSuffix(s, "D")
		v, err := strconv.ParseFloat(number, 64)
		if !diameters || form.NumberKind(number) == form.NotANumber || err != nil || v < 0 || v > 20 {
			return errors.New("expected 0D to 20D, rotor diameters as in 3D")
		}
		*d = v
		return nil
	}, func() any { return strconv.FormatFloat(*d, 'f', -1, 64) + "D" })
}

func (s *Speeds) form() form.Shape {
	return form.Scalar(`^[0-9]+\.\.[0-9]+$`, func(text string) error {
		first, last, err := parseRange(text)
		if err != nil || first < 1 || last > 50 {
			return errors.New("expected whole speeds from 1 to 50 m/s, as in 3..25")
		}
		s.First, s.Last = int(first), int(last)
		return nil
	}, func() any { return fmt.Sprintf("%d..%d", s.First, s.Last) })
}

// columnForm declares one column. Its shape is a map from the names of the
// dimensions to their sizes, because, as in a matrix, their order counts.
func columnForm(c *table.Column) form.Shape {
	return form.Object(
		form.Required("name", "name of the dataset and of the result", form.Text(&c.Name, namePattern, checkKey)),
		form.Required("type", "f64, f32, i64, i32, i8, bool or string(n)", typeForm(&c.Type)),
		form.Optional("shape", "dimensions after the row and their sizes, as in {turbine: 100, xy: 2}; one number if not given",
			form.Map(&c.Shape, 1, namePattern, checkDimension, func(d *table.Dim) (*string, form.Shape) {
				return &d.Name, form.Int(&d.Size, 1, table.MaxRowBytes)
			})),
		form.Optional("padded", "dimensions along which a row may have fewer elements, as in [turbine]; fill values stand for the others",
			form.List(&c.Padded, 1, func(name *string) form.Shape { return form.Text(name, namePattern, checkDimension) })),
		form.Optional("unit", "unit in UDUNITS notation, as in m s-1", form.Text(&c.Unit, "", nil)),
		form.Optional("description", "what a reader of the dataset must know", form.Text(&c.Description, "", nil)),
		form.Optional("min", "smallest value allowed", limitForm(&c.Min)),
		form.Optional("max", "largest value allowed", limitForm(&c.Max)),
		form.Optional("finite", "refuse NaN and infinities", form.Bool(&c.Finite)),
	)
}

func typeForm(t *table.Type) form.Shape {
	return form.Scalar(`^(f64|f32|i64|i32|i8|bool|string\([0-9]+\))$`,
		func(s string) error {
			if t.UnmarshalText([]byte(s)) != nil {
				return fmt.Errorf("expected f64, f32, i64, i32, i8, bool, or string(n) with 1 to %d for n", table.MaxStringBytes)
			}
			return nil
		},
		func() any { return t.String() })
}

func limitForm(limit **float64) form.Shape {
	value := orNew(*limit)
	return form.On(limit, value, form.Float(value, -noLimit, noLimit))
}

var outputPattern = regexp.MustCompile(`^(.*/)?[A-Za-z0-9_][A-Za-z0-9_.+-]{0,195}\.h5$`)

func (o *Output) form() form.Shape {
	return form.Object(
		form.Required("file", "the dataset, relative to the working directory; ends in .h5", form.Text(&o.File, outputPattern.String(), checkOutputName)),
		form.Optional("storage", "how the columns are stored: contiguous, each in one piece; chunked, so that rows can be appended; gzip, in compressed chunks",
			form.Choice(&o.Storage, message.Contiguous, message.Chunked, message.Gzip)),
		form.Optional("level", "of gzip, from 1, the fastest, to 9, the smallest (1 if not given)",
			form.UnlessZero(&o.Level, form.Int(&o.Level, message.MinLevel, message.MaxLevel))),
	).Needs("level", "storage")
}

func (s *Spec) checkLevel() Problems {
	if s.Output.Level > 0 && s.Output.Storage != message.Gzip {
		return Problems{s.Problem("output.level", s.Output.Level, "is for storage: gzip")}
	}
	return nil
}

func checkOutputName(name string) error {
	if !outputPattern.MatchString(name) {
		return errors.New("expected a path whose last part is letters, digits, _ . + - and ends in .h5")
	}
	return nil
}

func allowanceForm(a *message.Allowance) form.Shape {
	return form.Scalar(`^[0-9]+(\.[0-9]+)?%?$`, func(s string) error {
		var v message.Allowance
		number, _ := strings.CutSuffix(s, "%")
		err := v.UnmarshalText([]byte(s))
		if err != nil || v.Count < 0 || v.Percent < 0 || v.Percent > 100 || form.NumberKind(number) == form.NotANumber {
			return errors.New("expected a count as in 12, or a percentage from 0% to 100%")
		}
		*a = v
		return nil
	}, func() any { return a.String() }).OrNumber()
}

func abortForm(a *message.AbortIf) form.Shape {
	return form.Scalar(`^[0-9]+(\.[0-9]+)?% after [0-9]+$`, func(s string) error {
		var v message.AbortIf
		if err := v.UnmarshalText([]byte(s)); err != nil || v.Percent > 100 || v.After < 1 {
			return errors.New("expected a percentage and a number of tasks, as in 10% after 200")
		}
		*a = v
		return nil
	}, func() any { return a.String() })
}

// check finds what is wrong between fields.
func (s *Spec) check() Problems {
	return slices.Concat(s.checkMatrix(), s.checkWindfarm(), s.checkRecycling(), s.checkLevel(), s.checkColumnsBelong(), s.checkColumns())
}

func (s *Spec) checkColumnsBelong() Problems {
	builtIn := s.Simulator.Windfarm != nil || s.Simulator.Noop != nil || s.Simulator.Sleep != nil
	switch {
	case builtIn && len(s.Columns) > 0:
		return Problems{s.Problem("columns", nil, "only a command declares columns: a built-in model has its own")}
	case !builtIn && len(s.Columns) == 0 && s.Simulator.Command != nil:
		return Problems{s.Problem("columns", nil, "is missing: a command declares the columns that it computes")}
	}
	return nil
}

func (s *Spec) checkColumns() Problems {
	var problems Problems
	taken := map[string]bool{}
	for _, key := range s.KeyNames() {
		taken[key], taken[key+table.CodeSuffix] = true, true
	}
	for i, c := range s.Columns {
		if taken[c.Name] {
			problems = append(problems, s.Problem(fmt.Sprintf("columns[%d].name", i), c.Name, "is the name of a key or of another column"))
		}
		taken[c.Name] = true
		problems = append(problems, s.checkLimits(fmt.Sprintf("columns[%d]", i), c)...)
	}
	unread := func(c table.Column) bool { return c.Type.Kind == 0 || table.CheckName(c.Name) != nil } // has its own problem
	if len(problems) > 0 || len(s.Columns) == 0 || slices.ContainsFunc(s.Columns, unread) {
		return problems
	}
	for _, err := range parts(table.Columns(s.Columns).Validate()) {
		problems = append(problems, s.Problem("columns", nil, "%v", err))
	}
	return problems
}

func (s *Spec) checkLimits(field string, c table.Column) Problems {
	switch limited := c.Min != nil || c.Max != nil || c.Finite; {
	case limited && c.Type.Kind == table.String:
		return Problems{s.Problem(field+".type", c.Type.String(), "min, max and finite are for numbers")}
	case c.Min != nil && c.Max != nil && *c.Min > *c.Max:
		return Problems{s.Problem(field+".min", *c.Min, "is more than max, which is %v", *c.Max)}
	}
	return nil
}

// parts returns the errors that err joins.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}
