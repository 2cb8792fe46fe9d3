package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/rescue"
	"windrow/internal/shard"
	"windrow/internal/version"
)

type mergeOptions struct {
	output       string
	require      []string
	maxFailures  int
	key          []string
	sort         string
	strings      string
	storage      string
	common       bool
	removeInputs bool
}

func newMerge(a *app) *cobra.Command {
	o := mergeOptions{}
	c := &cobra.Command{
		Use:   "merge FILE... -o OUT.h5",
		Short: "Merge HDF5 files of any program into one, without the corrupt ones",
		Long: `Merge HDF5 files of any program into one: the rows of every dataset in their
roots, one file after another. Each file is checked first, as "windrow check"
does. One that is corrupt, or fails while it is copied, leaves no rows behind.

All files need the same datasets. Text of any length becomes text of the longest
length; numbers of different sizes become numbers that hold them all. Numbers
with a point may differ in the size of a row's dimensions, as farms of 66 to 100
turbines: NaN stands for the rest. Units must not differ. What is not in the
output, because it has no rows or lies in a group, is named; --common leaves out
more, though nothing that --require or --key names.

--remove-inputs keeps the files if they have a dataset that the output has not, or
a row with the key of another and other values.

OUT.h5 appears when it is complete and was read back; until then it is
OUT.h5.merge-N.tmp, which can be removed if the merge was killed. Exit code 3 if
rows were lost with corrupt files, or files that were not read, that
--max-failures allows; 5, and no output, if there are more of them, no valid
file, or datasets that do not fit together.`,
		Example: `  windrow merge worker_*.h5 -o campaign.h5
  windrow merge worker_*.h5 -o campaign.h5 --max-failures 2
  windrow merge worker_*.h5 -o campaign.h5 --key farm_id,farm_type,seed --sort key
  windrow merge worker_*.h5 -o campaign.h5 --storage gzip`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return usageError(c, err)
			}
			return halted(a.merge(c.Context(), o, args), "nothing was merged")
		},
	}
	c.Flags().StringVarP(&o.output, "output", "o", "", "the merged file, which must not exist")
	c.Flags().StringSliceVar(&o.require, "require", foreign.Required, "datasets that each file must have, of equal length")
	c.Flags().IntVar(&o.maxFailures, "max-failures", 0, "how many files may be corrupt")
	c.Flags().StringSliceVar(&o.key, "key", nil, "datasets whose values together identify a row; of rows with the same the first is taken")
	c.Flags().StringVar(&o.sort, "sort", "", `order of the rows: "key", or nothing for that of the files`)
	c.Flags().StringVar(&o.strings, "strings", "fixed", `text of any length becomes "fixed", or stays "vlen"`)
	c.Flags().StringVar(&o.storage, "storage", string(message.Contiguous), `how columns lie in the file: "contiguous", or in "chunked" or "gzip" pieces, to which rows can be appended`)
	c.Flags().BoolVar(&o.common, "common", false, "leave out the datasets that not all files have, with the same type")
	c.Flags().BoolVar(&o.removeInputs, "remove-inputs", false, "remove the files whose rows are in the output, once it is verified")
	return c
}

func (o *mergeOptions) check(files []string) error {
	switch {
	case len(files) == 0:
		return errors.New("an argument is missing: windrow merge FILE... -o OUT.h5")
	case o.output == "":
		return errors.New("--output (-o) is missing: where the merged file goes")
	case o.maxFailures < 0:
		return fmt.Errorf("--max-failures %d: 0 or more are allowed", o.maxFailures)
	case o.sort != "" && o.sort != "key":
		return fmt.Errorf("--sort %s: only key is allowed", o.sort)
	case o.sort == "key" && len(o.key) == 0:
		return errors.New("--sort key: --key says by which datasets")
	case o.strings != "fixed" && o.strings != "vlen":
		return fmt.Errorf("--strings %s: fixed and vlen are allowed", o.strings)
	}
	if !slices.Contains([]message.Storage{message.Contiguous, message.Chunked, message.Gzip}, message.Storage(o.storage)) {
		return fmt.Errorf("--storage %s: contiguous, chunked and gzip are allowed", o.storage)
	}
	if _, err := os.Lstat(o.output); err == nil {
		return fmt.Errorf("%s exists: move it away, or choose another --output", o.output)
	}
	dir := filepath.Dir(o.output)
	if err := unix.Access(dir, unix.W_OK); err != nil { // said before the files are read
		return fmt.Errorf("--output %s: nothing can be written in %s: %w", o.output, dir, err)
	}
	return nil
}

// merging is one `windrow merge` at work.
type merging struct {
	*app
	options mergeOptions
	reader  *foreign.Reader
	sources []*rescue.Source // in the order of the arguments
	corrupt int
	unread  int   // that may be sound
	lost    int64 // rows that these files said to have
}

func (a *app) merge(ctx context.Context, o mergeOptions, files []string) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	m := &merging{app: a, options: o, reader: r}
	if err := m.open(ctx, files); err != nil {
		return err
	}
	for {
		if err := m.enough(); err != nil {
			return err
		}
		report, err := rescue.Merge(ctx, r, m.sources, m.rescueOptions())
		if failed, ok := errors.AsType[*rescue.SourceError](err); ok {
			m.drop(failed)
			continue
		}
		if err != nil {
			return mergeError(err)
		}
		return m.finish(report)
	}
}

// open checks all files before anything is copied.
func (m *merging) open(ctx context.Context, files []string) error {
	seen := map[fileID]string{}
	for _, file := range files {
		if id, ok := idOf(file); ok {
			switch before, twice := seen[id]; {
			case twice && before == file:
				return &exitError{exitUsage, fmt.Errorf("%s is given twice", file), ""}
			case twice:
				return &exitError{exitUsage, fmt.Errorf("%s and %s are one file", before, file), ""}
			}
			seen[id] = file
		}
		s, rows, err := rescue.Open(ctx, m.reader, file, m.options.require)
		if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
			m.say(file, m.orGrouped(ctx, file, damage), rows)
			continue
		}
		if err != nil {
			return err
		}
		if s.Blank > 0 {
			fmt.Fprintf(m.stdout, "%s: %s\n", file, blankRows(s.Blank))
		}
		m.sources = append(m.sources, s)
	}
	return nil
}

// orGrouped returns what is wrong with a file: that it has groups where merge reads
// datasets is no damage.
func (m *merging) orGrouped(ctx context.Context, file string, damage *foreign.DamagedError) error {
	if damage.Digest || damage.Died || damage.Unread || !rescue.Grouped(ctx, m.reader, file, m.options.require) {
		return damage
	}
	return &foreign.DamagedError{Unread: true, Reason: "its root has groups and none of the required datasets; windrow recover reads a group for each task"}
}

// fileID is what a file is, whatever its name.
type fileID struct{ device, inode uint64 }

// idOf returns what a file is, if there is one.
func idOf(path string) (fileID, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, false
	}
	return fileID{stat.Dev, stat.Ino}, true
}

// say tells that a file is corrupt, and how many rows it takes with it.
func (m *merging) say(file string, damage error, rows int64) {
	m.lost += rows
	what := "its rows are lost"
	if rows > 0 {
		what = plural(int(rows), "row") + " lost"
	}
	verdict := "corrupt: " + damage.Error()
	d, ok := errors.AsType[*foreign.DamagedError](damage)
	if ok {
		verdict = d.Verdict()
	}
	if ok && d.Unread {
		m.unread++
	} else {
		m.corrupt++
	}
	fmt.Fprintf(m.stdout, "%s: %s; %s\n", file, verdict, what)
}

// drop goes on without a file that failed while it was copied.
func (m *merging) drop(failed *rescue.SourceError) {
	m.say(failed.Source.Path, failed.Err, failed.Source.Rows)
	var rest []*rescue.Source
	for _, s := range m.sources {
		if s != failed.Source {
			rest = append(rest, s)
		}
	}
	m.sources = rest
}

// enough returns an error if too many files are corrupt.
func (m *merging) enough() error {
	switch {
	case len(m.sources) == 0:
		return &exitError{exitCorrupt, errors.New("no valid file: nothing was merged"), ""}
	case m.corrupt+m.unread > m.options.maxFailures:
		return &exitError{
			exitCorrupt, fmt.Errorf("%s, %d allowed (--max-failures): nothing was merged", m.failures(), m.options.maxFailures),
			fmt.Sprintf("the same with --max-failures %d", m.corrupt+m.unread),
		}
	}
	return nil
}

// failures says how many of the files leave no rows.
func (m *merging) failures() string {
	return withoutRows(len(m.sources)+m.corrupt+m.unread, m.corrupt, m.unread)
}

func (m *merging) rescueOptions() rescue.Options {
	storage, level := message.Storage(m.options.storage), 0
	if storage == message.Gzip {
		level = message.MinLevel // higher ones take longer and save little
	}
	return rescue.Options{
		Storage: storage, Level: level,
		Output: m.options.output, Key: m.options.key, Sort: m.options.sort == "key",
		Varying: m.options.strings == "vlen", Common: m.options.common, Require: m.options.require,
		Source: fmt.Sprintf("merged by windrow %s from %s", version.Windrow, plural(len(m.sources), "file")),
	}
}

// mergeError gives the errors of a merge that are the input's their exit code.
func mergeError(err error) error {
	conflict, differ := errors.AsType[*rescue.ConflictError](err)
	_, key := errors.AsType[*rescue.KeyError](err)
	switch {
	case differ && conflict.Needed:
		return &exitError{exitCorrupt, fmt.Errorf("%w; --common does not leave out what --require or --key names", err), ""}
	case differ:
		return &exitError{exitCorrupt, fmt.Errorf("%w; --common leaves out what differs", err), ""}
	case key, errors.Is(err, rescue.ErrVerify):
		return &exitError{exitCorrupt, err, ""}
	}
	return err
}

// finish reports a merge, and removes its inputs if it may.
func (m *merging) finish(r rescue.Report) error {
	m.reportChanges(r)
	sum, bytes, err := shard.Hash(m.options.output)
	if err != nil {
		return err
	}
	fmt.Fprintf(m.stdout, "%s: %s of %s, %s, sha256 %s\n", m.options.output, plural(int(r.Rows), "row"),
		plural(len(m.sources), "file"), size(bytes), sum)
	if m.options.removeInputs {
		if err := m.remove(r); err != nil {
			return err
		}
	}
	if m.corrupt+m.unread > 0 {
		return &exitError{exitAllowed, fmt.Errorf("%s: their rows are not in %s", m.failures(), m.options.output), ""}
	}
	return nil
}

// reportChanges says what in the output is not as it was in the files.
func (m *merging) reportChanges(r rescue.Report) {
	for _, c := range r.Padded {
		fmt.Fprintf(m.stdout, "padded with NaN: %s\n", c)
	}
	for _, c := range r.Converted {
		fmt.Fprintf(m.stdout, "converted: %s\n", c)
	}
	if len(r.Left) > 0 {
		fmt.Fprintf(m.stdout, "left out: %s\n", someOf(r.Left))
	}
	if len(r.Attributes) > 0 {
		fmt.Fprintf(m.stdout, "attributes left out: %s\n", someOf(r.Attributes))
	}
	if r.Duplicates > 0 {
		fmt.Fprintf(m.stdout, "%s left out, the first: %s\n", plural(int(r.Duplicates), "duplicate"), r.Duplicate)
	}
	if r.Conflicts > 0 {
		fmt.Fprintf(m.stdout, "%s with other values, the first: %s\n", plural(int(r.Conflicts), "duplicate"), r.Conflict)
	}
}

// someOf names the first few of many.
func someOf(names []string) string {
	const most = 20
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %s more", strings.Join(names[:most], ", "), humanize.Comma(int64(len(names)-most)))
}

// remove removes the inputs, unless they have what the output has not.
func (m *merging) remove(r rescue.Report) error {
	if len(r.Left) > 0 || r.Conflicts > 0 {
		fmt.Fprintf(m.stdout, "the inputs are kept: they have what %s has not\n", m.options.output)
		return nil
	}
	for _, s := range m.sources {
		if err := os.Remove(s.Path); err != nil {
			return fmt.Errorf("%s is complete, but an input stays: %w", m.options.output, err)
		}
	}
	return nil
}
