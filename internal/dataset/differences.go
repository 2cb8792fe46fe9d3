package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"github.com/zeebo/xxh3"

	"windrow/internal/h5"
	"windrow/internal/table"
)

// Differences is what in a dataset is not as it was when the file was made.
type Differences struct {
	Contents []string  // datasets that do not have the digest in the manifest
	Rows     []Changed // the first
	Count    int64     // of all changed rows
}

// Changed are rows that follow one another and have the same flaw.
type Changed struct {
	First, Last         int64 // rows, both included
	FirstTask, LastTask int64
	Unreadable          bool
	Columns             []string // that cannot be read there, or among which the changed one is: a row has one digest
}

// mostChanged is how many times rows are named.
const mostChanged = 5

// FindDifferences tells, of a dataset that Verify rejects, which rows are not
// what they were. It reads on where Verify stops for fear of libhdf5: call it in
// a process that may die.
func FindDifferences(ctx context.Context, path string) (found Differences, err error) {
	f, err := h5.Open(path)
	if err != nil {
		return found, corrupt(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d := &differ{verifier: verifier{h5: f, report: &Report{}}, found: &found}
	err = d.readAttributes()
	if err == nil {
		err = d.readManifest()
	}
	if err == nil {
		err = d.compare(ctx)
	}
	return found, corrupt(err)
}

// differ compares the rows of a dataset with their digests.
type differ struct {
	verifier

	found   *Differences
	rows    []*cursor // the root's columns whose bytes a row's digest is over
	digests *cursor
	status  *cursor // or nil
	scale   *cursor // of the rows
	tasks   func(row int64) int64
	failed  map[int64]byte // the status of each failed task
}

// cursor reads a dataset block by block.
type cursor struct {
	name     string
	differs  bool // from the manifest
	d        *h5.Dataset
	rowBytes int64
	chunk    int64 // rows that are read or not together
	block    []byte
	lost     []bool // rows of the block
}

func (d *differ) compare(ctx context.Context) error {
	var open []*h5.Dataset
	defer func() {
		for _, dataset := range open {
			_ = dataset.Close() // it was only read
		}
	}()
	for _, c := range d.report.Contents[:len(d.report.Contents)-1] {
		err := d.locate(c)
		if err == nil {
			err = d.checkContent(ctx, c, "")
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			d.found.Contents = append(d.found.Contents, c.Name)
		}
		if ofAppendix(c.Name) {
			continue
		}
		k, openErr := d.cursor(c.Name, err != nil)
		if openErr != nil {
			return openErr
		}
		open = append(open, k.d)
		switch c.Name {
		case manifestGroup + "/" + rowDigests:
			d.digests = k
		case table.StatusColumn:
			d.status = k
		default:
			d.rows = append(d.rows, k)
		}
	}
	if d.digests == nil { // of an older windrow
		return nil
	}
	if err := d.compareScales(ctx); err != nil {
		return err
	}
	k, err := d.cursor(table.RowDim, slices.Contains(d.found.Contents, table.RowDim))
	if err != nil {
		return err
	}
	d.scale = k
	open = append(open, k.d)
	if err := d.readFailures(ctx); err != nil {
		return err
	}
	return d.compareRows(ctx)
}

func (d *differ) cursor(name string, differs bool) (*cursor, error) {
	dataset, err := d.h5.Dataset(name)
	if err != nil {
		return nil, err
	}
	_, rowBytes, err := d.sizeOf(dataset)
	layout, layoutErr := dataset.Layout()
	if err = errors.Join(err, layoutErr); err != nil {
		return nil, errors.Join(err, dataset.Close())
	}
	return &cursor{name: name, differs: differs, d: dataset, rowBytes: int64(rowBytes), chunk: max(1, layout.ChunkRows)}, nil
}

// compareScales looks at the datasets in the root that the manifest has no entry
// for: the numbers of the rows, and of what is in a row.
func (d *differ) compareScales(ctx context.Context) error {
	names, err := d.h5.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if d.report.has(name) {
			continue
		}
		entry := int64(0)
		err := d.readInts(ctx, name, func(value int64) error {
			if value != entry {
				return errOther
			}
			entry++
			return nil
		})
		if err != nil {
			d.found.Contents = append(d.found.Contents, name)
		}
	}
	return ctx.Err()
}

// readFailures finds out the task of each row, and the status it should have.
func (d *differ) readFailures(ctx context.Context) error {
	dropped, err := d.droppedTasks(ctx)
	if err != nil {
		return err
	}
	d.tasks = func(row int64) int64 {
		before := sort.Search(len(dropped), func(k int) bool { return dropped[k]-int64(k) > row })
		return row + int64(before)
	}
	d.failed = map[int64]byte{}
	if d.status == nil || d.report.Failed == 0 {
		return nil
	}
	var tasks []int64
	if err := d.readInts(ctx, failedGroup+"/index", func(task int64) error {
		tasks = append(tasks, task)
		return nil
	}); err != nil {
		return err
	}
	return d.read(ctx, failedGroup+"/class_code", func(codes []byte) error {
		for _, code := range codes[:min(len(codes), len(tasks))] {
			d.failed[tasks[0]] = 1 + code
			tasks = tasks[1:]
		}
		return nil
	})
}

func (d *differ) compareRows(ctx context.Context) error {
	rowBytes := 0
	cursors := append(slices.Clone(d.rows), d.digests, d.scale)
	if d.status != nil {
		cursors = append(cursors, d.status)
	}
	for _, k := range cursors {
		rowBytes += int(k.rowBytes)
	}
	most := blockRows(rowBytes)
	for first := int64(0); first < d.report.Rows; first += most {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := min(most, d.report.Rows-first)
		for _, k := range cursors {
			k.read(first, n)
		}
		for i := range n {
			if unreadable, columns := d.judge(first, i); len(columns) > 0 {
				d.found.add(first+i, d.tasks(first+i), unreadable, columns)
			}
		}
	}
	return nil
}

// read reads n rows, or as many chunks of them as can be read.
func (k *cursor) read(first, n int64) {
	k.block = slices.Grow(k.block[:0], int(n*k.rowBytes))[:n*k.rowBytes]
	k.lost = append(k.lost[:0], make([]bool, n)...)
	if k.d.Read(first, n, k.block) == nil {
		return
	}
	for i := int64(0); i < n; {
		part := min(n-i, k.chunk-(first+i)%k.chunk)
		if k.d.Read(first+i, part, k.block[i*k.rowBytes:(i+part)*k.rowBytes]) != nil {
			for row := range part {
				k.lost[i+row] = true
			}
		}
		i += part
	}
}

func (k *cursor) row(i int64) []byte { return k.block[i*k.rowBytes : (i+1)*k.rowBytes] }

// judge returns the columns of a row that are not what they were, or cannot be
// read.
func (d *differ) judge(first, i int64) (unreadable bool, columns []string) {
	var h xxh3.Hasher
	for _, k := range d.rows {
		if k.lost[i] {
			columns = append(columns, k.name)
			continue
		}
		_, _ = h.Write(k.row(i)) // a hash does not fail
	}
	for _, k := range []*cursor{d.digests, d.scale, d.status} {
		if k != nil && k.lost[i] {
			columns = append(columns, k.name)
		}
	}
	if len(columns) > 0 {
		return true, columns
	}
	if binary.LittleEndian.Uint64(d.digests.row(i)) != max(h.Sum64(), 1) {
		for _, k := range append(slices.Clone(d.rows), d.digests) {
			if k.differs {
				columns = append(columns, k.name)
			}
		}
	}
	if k := d.scale; int64(binary.LittleEndian.Uint64(k.row(i))) != first+i { //nolint:gosec // same bits
		columns = append(columns, k.name)
	}
	if k := d.status; k != nil && k.row(i)[0] != d.failed[d.tasks(first+i)] {
		columns = append(columns, k.name)
	}
	return false, columns
}

// add notes a row, which may follow the one before.
func (f *Differences) add(row, task int64, unreadable bool, columns []string) {
	f.Count++
	if n := len(f.Rows); n > 0 {
		last := &f.Rows[n-1]
		if last.Last == row-1 && last.Unreadable == unreadable && slices.Equal(last.Columns, columns) {
			last.Last, last.LastTask = row, task
			return
		}
	}
	if len(f.Rows) < mostChanged {
		f.Rows = append(f.Rows, Changed{row, row, task, task, unreadable, columns})
	}
}
