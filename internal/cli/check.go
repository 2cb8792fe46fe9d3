package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/rescue"
	"windrow/internal/supervisor"
	"windrow/producer"
)

type checkOptions struct {
	require []string
	key     []string
	spec    string
	json    bool
}

func newCheck(a *app) *cobra.Command {
	o := checkOptions{}
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say which of any HDF5 files are corrupt, and why",
		Long: `Say which of any HDF5 files are corrupt, and why: not there, empty, not HDF5,
stopped before it was closed, a dataset that is missing, that cannot be read
to its end or is of another length than the others, a number that is NaN or
infinite; a dataset that lies where it cannot, as on top of another. NaN in a row
of several numbers is padding, and allowed. Text of variable length is not read,
nor what --require does not name. A link to a dataset of the same file counts as
the dataset. Other files are not opened: neither by links, nor for a dataset
whose values are in files of their own or in other datasets (virtual).

A sound file can have rows that were never computed, where a worker makes the
place of all rows first. Those with nothing but zeros, or the fill values of the
datasets, beside their key are counted in its line; the file is valid. Single
whole numbers and texts are taken for the key here.

A file may have a group for each task instead, as "windrow recover" reads them:
each must have what is required, the key in its attributes or its name. They
count as rows; groups of no task are named, and passed over.

--key also finds rows that have the key of an earlier row, in the same file or
in one before it.

--spec also finds rows that are not what the spec's columns declare: a dataset
that is missing, another shape, a number below its min or above its max, text in
a key of numbers.

The files need not be windrow's. Those that are have a digest and are held to
it: a shard to the one in its name, a dataset to its manifest.

Files are read in child processes with limits, because the HDF5 library crashes
on some damaged ones: up to four at once, with --key one after the other. One
that another process has open for writing is not read, nor to its end one that
takes longer or more memory than the limits. Exit code 5 if a file is corrupt,
or was not read.`,
		Example: `  windrow check worker_*.h5
  windrow check worker_*.h5 --require farm_id,seed,aep
  windrow check worker_*.h5 --key farm_id,farm_type,seed
  windrow check worker_*.h5 --spec campaign.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError(c, errors.New("an argument is missing: "+c.UseLine()))
			}
			if o.spec != "" && c.Flags().Changed("require") {
				return usageError(c, errors.New("--require and --spec exclude each other"))
			}
			return halted(a.check(c.Context(), o, args), "not all files were checked")
		},
	}
	c.Flags().StringSliceVar(&o.require, "require", foreign.Required, "datasets that each file must have, of equal length")
	c.Flags().StringSliceVar(&o.key, "key", nil, "datasets whose values together identify a row: no two rows may have the same")
	c.Flags().StringVar(&o.spec, "spec", "", "spec whose keys and columns each file must have, with values in their ranges")
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each file")
	return c
}

// verdict is what was found about one file.
type verdict struct {
	File   string `json:"file"`
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"` // why it is corrupt, or was not read
	Unread bool   `json:"unread,omitempty"` // it may be sound
	Rows   int64  `json:"rows"`
	Blank  int64  `json:"blank,omitempty"` // rows with nothing beside their key

	Links  []h5.Link `json:"links,omitempty"`       // to nothing in the file
	Beside []string  `json:"passed_over,omitempty"` // groups of no task
}

func (v verdict) String() string {
	if v.Valid {
		says := []string{fmt.Sprintf("%s: valid, %s", v.File, plural(int(v.Rows), "row"))}
		if v.Blank > 0 {
			says = append(says, blankRows(v.Blank))
		}
		for _, l := range v.Links {
			says = append(says, fmt.Sprintf("%s is %s", l.Name, l))
		}
		if len(v.Beside) > 0 {
			says = append(says, passedOver(v.Beside))
		}
		return strings.Join(says, "; ")
	}
	damage := foreign.DamagedError{Reason: v.Reason, Unread: v.Unread}
	return v.File + ": " + damage.Verdict()
}

// passedOver names groups of no task.
func passedOver(groups []string) string {
	if len(groups) == 1 {
		return "group " + groups[0] + " is of no task"
	}
	return "groups of no task: " + someOf(groups)
}

// blankRows says that rows have no results. A sound campaign may have a few.
func blankRows(n int64) string {
	has := "have"
	if n == 1 {
		has = "has"
	}
	return fmt.Sprintf("%s %s nothing but zeros or fill values beside the key", plural(int(n), "row"), has)
}

func (a *app) check(ctx context.Context, o checkOptions, files []string) error {
	e := examiner{options: o, files: files, seen: rescue.NewSeen()}
	if o.spec != "" {
		var err error
		if e.plan, err = loadPlan(ctx, o.spec); err != nil {
			return err
		}
		e.options.require = slices.Concat(e.plan.Planned.Keys, declarationOf(e.plan).names)
	}
	valid, unread, rows := 0, 0, int64(0)
	err := e.examineAll(ctx, func(v verdict) error {
		switch {
		case v.Valid:
			valid++
			rows += v.Rows
		case v.Unread:
			unread++
		}
		if !o.json {
			fmt.Fprintln(a.stdout, v)
			return nil
		}
		return json.NewEncoder(a.stdout).Encode(v)
	})
	if err != nil {
		return err
	}
	corrupt := len(files) - valid - unread
	also := ""
	if unread > 0 {
		also = fmt.Sprintf(", %d not read", unread)
	}
	if corrupt+unread > 0 {
		err = &exitError{exitCorrupt, errors.New(withoutRows(len(files), corrupt, unread)), ""}
	}
	if o.json {
		return err
	}
	if err != nil { // now: the summary is the last line, also where both go to one place
		fmt.Fprintf(a.stderr, "%s%s\n", supervisor.Prefix, err)
		err = &exitError{exitCorrupt, errTold, ""}
	}
	fmt.Fprintf(a.stdout, "%d valid, %d corrupt%s, %s\n", valid, corrupt, also, plural(int(rows), "row"))
	return err
}

// withoutRows says how many of some files are corrupt or were not read.
func withoutRows(files, corrupt, unread int) string {
	switch all := plural(files, "file"); {
	case unread == 0:
		return fmt.Sprintf("%s of %s corrupt", humanize.Comma(int64(corrupt)), all)
	case corrupt == 0:
		return fmt.Sprintf("%s of %s not read", humanize.Comma(int64(unread)), all)
	default:
		return fmt.Sprintf("%s of %s corrupt, %s not read", humanize.Comma(int64(corrupt)), all, humanize.Comma(int64(unread)))
	}
}

// errTold is an error of which the user was told already.
var errTold = errors.New("")

// examiner examines files, and knows the keys of those before.
type examiner struct {
	reader  *foreign.Reader // of what among returns
	options checkOptions
	files   []string
	seen    *rescue.Seen

	plan     *producer.Plan // of the spec, or nil
	declared declaration
}

// mostExaminers is how many files are examined at once: each may take as much
// memory as a reader's limits allow.
const mostExaminers = 4

// examineAll hands the verdicts about all files to show, in their order. They are
// examined on several cores, by a child process each; one after the other if a
// key may have been in a file before.
func (e *examiner) examineAll(ctx context.Context, show func(verdict) error) error {
	workers := min(len(e.files), runtime.GOMAXPROCS(0), mostExaminers)
	if len(e.options.key) > 0 {
		workers = 1
	}
	verdicts := make([]chan verdict, len(e.files))
	for i := range verdicts {
		verdicts[i] = make(chan verdict, 1)
	}
	group, ctx := errgroup.WithContext(ctx)
	var taken atomic.Int64
	for range workers {
		group.Go(func() error {
			own, err := e.among(workers)
			if err != nil {
				return err
			}
			defer own.reader.Close()
			for {
				i := int(taken.Add(1)) - 1
				if i >= len(e.files) {
					return nil
				}
				v, err := own.examine(ctx, i)
				if err != nil {
					return err
				}
				verdicts[i] <- v
			}
		})
	}
	group.Go(func() error {
		for _, ready := range verdicts {
			var v verdict
			select {
			case v = <-ready: // also where examining has ended with an error
			default:
				select {
				case v = <-ready:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			if err := show(v); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// among returns an examiner for one goroutine of so many.
func (e *examiner) among(workers int) (*examiner, error) {
	own := *e
	if e.plan != nil {
		own.declared = declarationOf(e.plan) // which has a scratch
	}
	limits := foreign.DefaultLimits
	limits.Shares = workers
	var err error
	own.reader, err = foreign.NewReader(limits, readerCommand)
	return &own, err
}

// examine returns the verdict about file i. An error is about this machine.
func (e *examiner) examine(ctx context.Context, i int) (v verdict, err error) {
	v.File = e.files[i]
	if len(e.options.key) == 0 {
		var found foreign.Checked
		found, err = e.reader.Examine(ctx, v.File, e.options.require)
		v.Rows, v.Blank, v.Links = found.Rows, found.Blank, found.Links
	} else {
		err = e.checkKeys(ctx, i, &v)
	}
	if err == nil && e.plan != nil {
		err = e.checkDeclared(ctx, v.File)
	}
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok && !damage.Digest && !damage.Died && !damage.Unread &&
		rescue.Grouped(ctx, e.reader, v.File, e.options.require) {
		err = e.checkGroups(ctx, i, &v)
	}
	damage, corrupt := errors.AsType[*foreign.DamagedError](err)
	noKey, hasNone := errors.AsType[*rescue.KeyError](err)
	switch {
	case corrupt:
		v.Reason, v.Unread = damage.Reason, damage.Unread
	case hasNone:
		v.Reason = noKey.Reason
	default:
		v.Valid = err == nil
		return v, err
	}
	return v, nil
}

// checkKeys examines a file, and looks for keys that were there before.
func (e *examiner) checkKeys(ctx context.Context, i int, v *verdict) error {
	s, rows, err := rescue.Open(ctx, e.reader, e.files[i], e.options.require)
	v.Rows = rows
	if err != nil {
		return err
	}
	v.Blank, v.Links = s.Blank, s.Links
	again := repeats{examiner: e, file: i}
	err = s.Keys(ctx, e.reader, e.options.key, again.note)
	if err != nil {
		return err
	}
	return again.err()
}

// repeats are the rows of a file whose key was there before.
type repeats struct {
	*examiner

	file  int
	n     int
	first string
}

func (r *repeats) note(row int64, k rescue.Key, show func() string) {
	before, beforeRow, twice := r.seen.Add(k, r.file, row)
	if !twice {
		return
	}
	if r.n++; r.n == 1 {
		r.first = fmt.Sprintf("row %d has the key of row %d", row, beforeRow)
		if before != r.file {
			r.first += " of " + r.files[before]
		}
		r.first += ": " + show()
	}
}

func (r *repeats) err() error {
	if r.n == 0 {
		return nil
	}
	return &foreign.DamagedError{Reason: fmt.Sprintf("%s with a key that was there before; %s", plural(r.n, "row"), r.first)}
}

// checkDeclared holds the rows of a file to the columns of the spec.
func (e *examiner) checkDeclared(ctx context.Context, path string) error {
	strange := misfits{declared: e.declared}
	find, err := rescue.Records(ctx, e.reader, path, e.plan.Planned.Keys, e.declared.names, strange.note)
	if err != nil {
		return err
	}
	if find.Damage != "" {
		return &foreign.DamagedError{Reason: find.Damage, Unread: find.Unread}
	}
	return strange.err()
}

// misfits are the rows of a file that are not what a spec declares.
type misfits struct {
	declared declaration
	n        int
	first    string
}

func (m *misfits) note(rec rescue.Record) error {
	err := m.declared.fits(rec)
	if err == nil {
		err = m.declared.keyFits(rec)
	}
	if err != nil {
		if m.n++; m.n == 1 {
			m.first = rec.Place + ": " + err.Error()
		}
	}
	return nil
}

func (m *misfits) err() error {
	if m.n == 0 {
		return nil
	}
	return &foreign.DamagedError{Reason: fmt.Sprintf("%s not as the spec declares, the first: %s", plural(m.n, "row"), m.first)}
}

// checkGroups examines a file with a group for each task, in the order of whose
// names they are its rows.
func (e *examiner) checkGroups(ctx context.Context, i int, v *verdict) error {
	key, results := e.ofGroups()
	again, strange, row := repeats{examiner: e, file: i}, misfits{declared: e.declared}, int64(0)
	find, err := rescue.Records(ctx, e.reader, v.File, key, results, func(rec rescue.Record) error {
		if len(e.options.key) > 0 {
			again.note(row, rec.Key, rec.Show)
		}
		row++
		return strange.note(rec)
	})
	v.Rows, v.Blank, v.Beside = find.Rows, find.Blank, find.Beside
	if err != nil {
		return err
	}
	if find.Damage != "" {
		return &foreign.DamagedError{Reason: find.Damage, Unread: find.Unread}
	}
	if err := again.err(); err != nil {
		return err
	}
	return strange.err()
}

// ofGroups returns the key and the results that the group of a task must have.
func (e *examiner) ofGroups() (key, results []string) {
	key = e.options.key
	switch {
	case e.plan != nil:
		key = e.plan.Planned.Keys
	case len(key) == 0 && slices.Equal(e.options.require, foreign.Required):
		key = foreign.Key
	}
	for _, name := range e.options.require {
		if !slices.Contains(key, name) {
			results = append(results, name)
		}
	}
	return key, results
}

// newReader returns what reads files of others: see newForeign.
func newReader() (*foreign.Reader, error) {
	return foreign.NewReader(foreign.DefaultLimits, readerCommand)
}

const readerCommand = "read-foreign"

// newForeign returns the command of the process that reads files of others for
// this one, and may die of them.
func newForeign(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    readerCommand,
		Short:  "Answer questions about HDF5 files on standard input; for windrow itself",
		Hidden: true,
		Args:   exactly(0),
		RunE:   func(c *cobra.Command, _ []string) error { return foreign.Serve(c.Context(), os.Stdin, a.stdout) },
	}
}
