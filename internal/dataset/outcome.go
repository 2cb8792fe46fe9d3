package dataset

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"windrow/internal/message"
	"windrow/internal/table"
)

// Imported are the rows of tasks that nobody computed, and the file of another
// program that they are from.
type Imported struct {
	message.Imported

	Rows message.Ranges `json:"tasks"`
}

// outcome is what became of the tasks of a run whose rows were not computed.
type outcome struct {
	*failed

	appendices []appendix
}

// appendix is a group of the file whose content is small, and known before the
// rows are read.
type appendix struct {
	path, dim string
	rows      *table.Block
}

func newOutcome(planned *message.Planned, failures []message.Failure, imports []Imported) (*outcome, error) {
	failed, err := newFailed(planned, failures)
	if err != nil {
		return nil, err
	}
	o := &outcome{failed: failed}
	if failed.rows != nil {
		o.appendices = append(o.appendices, appendix{failedGroup, "failure", failed.rows})
	}
	if len(imports) == 0 {
		return o, nil
	}
	files, tasks, err := blocksOf(imports, planned.Tasks)
	o.appendices = append(o.appendices, appendix{importedGroup, "file", files}, appendix{importedTasks, "range", tasks})
	return o, err
}

// sums returns the digests of the columns of all appendices.
func (o *outcome) sums() []message.Digest {
	var digests []message.Digest
	for _, a := range o.appendices {
		s := newSums(len(a.rows.Columns()))
		s.add(a.rows, 0, a.rows.Len())
		digests = append(digests, s.digests()...)
	}
	return digests
}

// put writes the appendices to their places.
func (o *outcome) put(c *canvas, places extents) error {
	for _, a := range o.appendices {
		if err := c.put(places, 0, a.rows, 0, a.rows.Len()); err != nil {
			return err
		}
		places = places[len(a.rows.Columns()):]
	}
	return nil
}

// ofAppendix tells whether a content is a column of an appendix.
func ofAppendix(name string) bool {
	group, _, inGroup := strings.Cut(name, "/")
	return inGroup && group != manifestGroup
}

// Where the file says which rows were imported.
const (
	importedGroup = "imported"
	importedTasks = importedGroup + "/tasks"
)

func importedColumns(longest int) (files, tasks table.Columns) {
	files = table.Columns{
		{Name: "name", Type: table.Type{Kind: table.String, Length: longest}, LongName: "name of the file", Description: "without its directory"},
		{Name: "sha256", Type: table.Type{Kind: table.String, Length: 64}, LongName: "SHA-256 of the file"},
		{Name: "rows", Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "number of rows that were taken from the file"},
	}
	tasks = table.Columns{
		{Name: "first", Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "first task"},
		{Name: "last", Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "last task", Description: "all tasks from the first to the last are from the same file"},
		{Name: "source", Type: table.Type{Kind: table.Int32}, Unit: "1", LongName: "position of the file in the group imported"},
	}
	return files, tasks
}

// blocksOf returns the files that rows were imported from, in the order of the
// first task of each, and the tasks in their order. That is the same in whatever
// parts, and in whatever order, the rows were imported.
func blocksOf(imports []Imported, n int64) (files, tasks *table.Block, err error) {
	all, ranges := joined(imports)
	longest := 1
	for _, f := range all {
		longest = max(longest, len(ascii(f.File)))
	}
	fileColumns, taskColumns := importedColumns(longest)
	files, tasks = table.NewBlock(fileColumns, len(all)), table.NewBlock(taskColumns, len(ranges))
	for _, f := range all {
		if err := set(files.Append(), ascii(f.File), string(f.SHA256), f.Rows.Len()); err != nil {
			return nil, nil, fmt.Errorf("rows imported from %s: %w", f.File, err)
		}
	}
	next := int64(0)
	for _, r := range ranges {
		if r.first < next || r.last >= n {
			return nil, nil, fmt.Errorf("tasks %d to %d of %d are imported twice, or are not of this run", r.first, r.last, n)
		}
		next = r.last + 1
		if err := set(tasks.Append(), r.first, r.last, int64(r.source)); err != nil {
			return nil, nil, err
		}
	}
	return files, tasks, nil
}

func set(row table.Row, values ...any) error {
	for c, value := range values {
		if err := row.Set(c, 0, value); err != nil {
			return err
		}
	}
	return nil
}

// ascii returns a file's name as text that every reader of HDF5 knows.
func ascii(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
}

type importedRange struct {
	first, last int64
	source      int
}

// joined returns each file once, with all tasks from it, and the tasks of all in
// their order.
func joined(imports []Imported) (files []Imported, ranges []importedRange) {
	tasks := map[message.Imported][]int64{}
	for _, i := range imports {
		tasks[i.Imported] = slices.AppendSeq(tasks[i.Imported], i.Rows.All())
	}
	for file, all := range tasks {
		slices.Sort(all)
		files = append(files, Imported{file, message.RangesOf(all)})
	}
	slices.SortFunc(files, func(a, b Imported) int { return cmp.Compare(a.Rows[0].First, b.Rows[0].First) })
	for source, f := range files {
		for _, r := range f.Rows {
			ranges = append(ranges, importedRange{r.First, r.Last, source})
		}
	}
	slices.SortFunc(ranges, func(a, b importedRange) int { return cmp.Compare(a.first, b.first) })
	return files, ranges
}
