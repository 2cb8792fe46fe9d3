// Package spec reads and checks the file in which a user says what to
// compute: the tasks, the simulator, the columns, and the settings of a run.
//
// Everything that determines the rows goes into the canonical form, whose
// digest names the run; name, output, retry, failures and queue are settings,
// which may change when a run is resumed. The canonical form is compact JSON
// with the keys of a spec, so that what a run did can be read, compared, and
// copied into a spec again.
package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
	"windrow/internal/tasklist"
	"windrow/internal/windfile"
)

// Version is the version of the spec format.
const Version = 1

// Spec is a checked spec. Load reads it from a user's file, Decode from the
// canonical form in a run's ledger; the latter has no settings, no place and
// no task list.
type Spec struct {
	Name      string
	Seed      int64
	Tasks     Tasks
	Simulator Simulator
	Columns   []table.Column // results of a command simulator, as declared
	Output    Output
	Retry     message.Retry
	Failures  Failures
	Queue     Queue

	path     string
	document *form.Document
	list     *tasklist.List // of Tasks.File
}

// Tasks is the list of tasks: exactly one of Matrix and File.
type Tasks struct {
	Matrix []Axis   // first axis varies slowest
	File   string   // .csv or .jsonl, relative to the spec
	Key    []string // columns of File that identify a task
}

// Simulator says what computes a task: exactly one of the fields is set.
type Simulator struct {
	Windfarm *Windfarm
	Noop     *Noop
	Sleep    *Sleep
	Command  *Command
}

// Windfarm configures the built-in wind-farm model. What keys its tasks have is
// for the site and the layout to say.
type Windfarm struct {
	Site       string  // Tenders, or Open: no boundary
	Turbine    string  // of Open: built-in, or a file
	Resource   string  // of Open: a file of the wind; empty is that of the tenders
	Layout     string  // how turbines are placed
	Turbines   int     // of Open: how many each farm has; 0: as many as its layout draws
	MinSpacing float64 // rotor diameters between turbines (3D)
	Wake       string  // one of wind.ModelNames
	Directions int     // number of wind directions, evenly spaced from 0
	Speeds     Speeds
	Split      Split
}

// Where farms stand.
const (
	Tenders = "tenders" // on the ten sites of the tender campaign
	Open    = "open"    // anywhere: around (0, 0), without a boundary
)

// The layouts that are not a wind.Style or a file.
const (
	PolygonLayout = "polygon"     // random points inside the site's polygon
	SmartStart    = "smart_start" // one turbine after the other at random among the best free points of a grid: see wind.SmartStart
	StylesLayout  = "styles"      // the style that the key farm_type names
)

// HasSiteFile tells whether the farms stand within the boundary of a file.
func (w *Windfarm) HasSiteFile() bool { return windfile.IsYAML(w.Site) }

// HasStyle tells whether layouts are those of a wind.Style.
func (w *Windfarm) HasStyle() bool { return w.Site == Open && !w.HasLayoutFile() }

// HasLayoutFile tells whether the layout is that of a file.
func (w *Windfarm) HasLayoutFile() bool { return isLayoutFile(w.Layout) }

// HasStoredLayouts tells whether the layouts are those of an HDF5 file, which
// the key layout_id names.
func (w *Windfarm) HasStoredLayouts() bool { return hasExtension(w.Layout, ".h5") }

// HasTurbineFile tells whether the turbine is that of a file.
func (w *Windfarm) HasTurbineFile() bool { return isTurbineFile(w.TurbineName()) }

// TurbineName returns the name of the turbine or its file.
func (w *Windfarm) TurbineName() string { return w.orSite(w.Turbine) }

// ResourceName returns the file of the wind, or "" for that of the tenders.
func (w *Windfarm) ResourceName() string { return w.orSite(w.Resource) }

func (w *Windfarm) orSite(name string) string {
	if name == "" && w.HasSiteFile() {
		return w.Site
	}
	return name
}

// Split divides the rows among data for training, validation and test, in
// percent that sum to 100. The zero value does not divide them.
type Split struct{ Train, Validation, Test int }

// Speeds are the wind speeds First, First+1, ... Last in m/s.
type Speeds struct{ First, Last int }

// Noop configures the model that does nothing but return a number derived from
// the task's seed; it is for measuring windrow itself.
type Noop struct{}

// Sleep configures the model that waits and then does what Noop does.
type Sleep struct {
	Duration time.Duration
}

// Command configures a simulator that is a program of the user's.
type Command struct {
	Args    []string      // program and arguments; never through a shell
	Timeout time.Duration // for each task

	Exec bool // a process of its own for each task, which talks in files

	// Where these are zero, the canonical form does not have them.
	StartTimeout time.Duration // more time for the first task of a process
	MaxRSS       int64         // bytes of memory; 0: no limit
	Threads      int           // of numeric libraries; 0 is 1
	RecycleAfter int           // tasks of a process; 0: no limit
	Environment  []string      // NAME=value, or NAME with the value that the worker has
}

// Output says where the dataset goes.
type Output struct {
	File    string // relative to the working directory
	Storage message.Storage
	Level   int // of gzip; 0: defaultLevel
}

// defaultLevel is the level of gzip. Higher ones take longer and save little:
// rows are mostly numbers whose last digits are noise.
const defaultLevel = 1

// Failures says how many tasks may fail, when to give up early, and what becomes
// of their rows.
type Failures struct {
	Allow   message.Allowance
	AbortIf message.AbortIf // the zero value: never
	Rows    message.RowsPolicy
}

// Queue tunes the queue.
type Queue struct {
	AckWait      time.Duration // a task not acknowledged for this long is delivered again
	ShardSeconds float64       // time that computing one shard should take
}

// withDefaults returns what a spec says by leaving everything out.
func withDefaults() *Spec {
	return &Spec{
		Output:   Output{Storage: message.Contiguous},
		Retry:    message.Retry{Error: 1, Crash: 2},
		Failures: Failures{Rows: message.DropRows},
		Queue:    Queue{AckWait: 30 * time.Second, ShardSeconds: 5},
	}
}

// defaultTimeout is the time that a command has for each task.
const defaultTimeout = time.Hour

// maxBytes is the size of the largest spec. Longer lists of tasks belong into
// a file of their own.
const maxBytes = 1 << 20

// Load reads and checks a spec and, where it names one, its whole task list.
// An error is of type Problems and has everything that is wrong.
func Load(path string) (*Spec, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, Problems{{File: path, Message: err.Error()}}
	}
	return parse(path, data)
}

func parse(path string, data []byte) (*Spec, error) {
	document, err := form.ParseYAML(path, data)
	if err != nil {
		return nil, err
	}
	s := withDefaults()
	s.path, s.document = path, document
	problems := document.Read(s.form())
	problems = append(problems, s.check()...)
	problems = append(problems, s.openTaskList()...)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, bare(err)
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil, errors.New("is a directory: expected a spec in YAML")
	case err != nil:
		return nil, bare(err)
	case len(data) > maxBytes:
		return nil, fmt.Errorf("is longer than %d bytes: long lists of tasks go into a file, see tasks.file", maxBytes)
	}
	return data, nil
}

// bare returns err without the path, which stands before it anyway.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// Path returns the path that the spec was loaded from.
func (s *Spec) Path() string { return s.path }

// Dir returns the directory of the spec, which the files it names are relative
// to and in which its command runs.
func (s *Spec) Dir() string { return filepath.Dir(s.path) }

// Settings returns what may change between two starts of a run.
func (s *Spec) Settings() message.Settings {
	level := s.Output.Level
	if s.Output.Storage == message.Gzip && level == 0 {
		level = defaultLevel
	}
	return message.Settings{
		Output:       filepath.Base(s.Output.File),
		Storage:      s.Output.Storage,
		Level:        level,
		Allow:        s.Failures.Allow,
		AbortIf:      s.Failures.AbortIf,
		Rows:         s.Failures.Rows,
		Retry:        s.Retry,
		AckWait:      message.Duration(s.Queue.AckWait),
		ShardSeconds: s.Queue.ShardSeconds,
	}
}

// Problem and Problems are what Load finds wrong.
type (
	// Problem is one thing that is wrong, with its place.
	Problem = form.Problem //nolint:errname // as there
	// Problems is everything that is wrong, in the order of the lines.
	Problems = form.Problems //nolint:errname // as there
)

// Problem returns a problem with the field that has the given path, as in
// "tasks.matrix.seed" or "columns[2].name", for checks made elsewhere. The
// message says what is allowed. A nil value is not shown.
func (s *Spec) Problem(field string, value any, format string, args ...any) Problem {
	if s.document == nil {
		p := Problem{File: "spec of the run", Field: field, Message: fmt.Sprintf(format, args...)}
		if value != nil {
			p.Value = form.Show(value)
		}
		return p
	}
	return s.document.Problem(field, value, format, args...)
}

var noLimit = math.Inf(1)
