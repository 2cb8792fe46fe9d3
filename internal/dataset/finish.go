package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"windrow/internal/atomicfile"
	"windrow/internal/fault"
	"windrow/internal/message"
	"windrow/internal/table"
)

// DamagedError says that rows of the partial are not those that were copied.
type DamagedError struct {
	Rows message.Ranges // their tasks
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("rows %s of the partial file are damaged", e.Rows)
}

// Finished is a complete and verified dataset that waits for its name.
type Finished struct {
	Sealed message.Sealed // what the ledger will say of it

	path, out string
}

// Commit renames the file to its final name, replacing what is there, and
// makes the name durable.
func (f *Finished) Commit() error {
	return atomicfile.Commit(f.path, f.out)
}

// Finish checks every row through a fresh open with HDF5 and returns the
// complete and durable file, which is not yet under its final name. Every
// task must be copied or among the failures, which may be in any order.
//
// Without failures the file is the partial itself. With failures it is a
// second file, <out>.tmp, written from the partial; an earlier one is
// replaced. Before Finish returns, the file passes Verify. The error is a
// *DamagedError where rows differ from what was copied: they are forgotten,
// Has says so, and Finish can be called again after they were copied again.
func (p *Partial) Finish(ctx context.Context, failures []message.Failure) (*Finished, error) {
	failed, err := newFailed(p.form.Planned, failures)
	if err != nil {
		return nil, err
	}
	if err := p.checkComplete(failed); err != nil {
		return nil, err
	}
	path := partialPath(p.out)
	if failed.count() == 0 {
		err = p.assemble(ctx, &assembly{canvas: p.canvas, form: p.form, failed: failed, inPlace: true})
	} else {
		path = secondPath(p.out)
		err = p.assembleSecond(ctx, path, failed)
	}
	if err != nil {
		return nil, err
	}
	fault.Point(fault.MergerManifestWritten)
	report, err := Verify(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", path, err)
	}
	return &Finished{Sealed: report.sealed(), path: path, out: p.out}, nil
}

func (p *Partial) checkComplete(failed *failed) error {
	for i, digest := range p.rows.digests {
		if digest == 0 && !failed.has(int64(i)) {
			return fmt.Errorf("finish: task %d is neither copied nor failed", i)
		}
	}
	return nil
}

func (p *Partial) assembleSecond(ctx context.Context, path string, failed *failed) (err error) {
	rows := p.header.Tasks
	if !p.form.keeps() {
		rows -= failed.count()
	}
	c, err := create(path, p.form, rows, failed.rows)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, c.file.Close()) }()
	return p.assemble(ctx, &assembly{canvas: c, form: p.form, failed: failed})
}

// assemble brings all content of the file into place, row by checked row, and
// then its manifest.
func (p *Partial) assemble(ctx context.Context, a *assembly) error {
	metadata, err := a.canvas.metadata()
	if err != nil {
		return fmt.Errorf("read %s: %w", a.canvas.file.Name(), err)
	}
	if a.inPlace {
		metadata = p.header.Metadata
	}
	a.sums = newSums(len(p.form.columns()))
	if err := p.checkRows(ctx, a); err != nil {
		return err
	}
	digests := a.sums.digests()
	if a.failed.count() > 0 {
		if err := a.putFailed(); err != nil {
			return err
		}
		digests = append(digests, a.failed.sums()...)
	}
	return a.canvas.finish(digests, metadata)
}

// checkRows reads the partial's rows through a fresh open and adds them to a
// until one differs from what was copied.
func (p *Partial) checkRows(ctx context.Context, a *assembly) error {
	var damaged []int64
	err := scan(ctx, partialPath(p.out), p.form.Planned.Columns, p.header.Tasks, func(first int64, block *table.Block) error {
		for i := range block.Len() {
			if task := first + int64(i); !a.failed.has(task) && !p.intact(task, block.Row(i)) {
				damaged = append(damaged, task)
			}
		}
		if len(damaged) > 0 {
			return nil
		}
		return a.add(first, block)
	})
	for _, task := range damaged {
		p.rows.set(task, 0)
	}
	if err == nil && len(damaged) > 0 {
		err = &DamagedError{message.RangesOf(damaged)}
	}
	return err
}

func (p *Partial) intact(task int64, row table.Row) bool {
	return row.Task() == task && row.Digest() == p.rows.digests[task] && row.Check() == nil
}

// assembly is a file on its way from checked rows to a whole dataset.
type assembly struct {
	canvas  *canvas
	form    Form
	failed  *failed
	inPlace bool // the rows are in the file already
	sums    sums // of the root's columns
	rows    int64
}

// add adds the rows of the tasks first, first+1, ...
func (a *assembly) add(first int64, block *table.Block) error {
	if a.form.keeps() {
		if err := a.failed.fill(first, block); err != nil {
			return err
		}
		if err := a.putStatus(first, block.Len()); err != nil {
			return err
		}
		return a.append(block, 0, block.Len())
	}
	for from := 0; from < block.Len(); {
		n := 0
		for from+n < block.Len() && !a.failed.has(first+int64(from+n)) {
			n++
		}
		if err := a.append(block, from, n); err != nil {
			return err
		}
		from += n + 1 // a failed row ended the run
	}
	return nil
}

// append adds n rows of the block, from row from on, to the columns that they
// have; the status, if any, is another one.
func (a *assembly) append(block *table.Block, from, n int) error {
	a.sums.add(block, from, n)
	if !a.inPlace {
		if err := a.canvas.put(a.canvas.places, a.rows, block, from, n); err != nil {
			return err
		}
	}
	a.rows += int64(n)
	return nil
}

// putStatus writes the status of n tasks, which comes after the other columns.
func (a *assembly) putStatus(first int64, n int) error {
	column := len(a.form.Planned.Columns)
	status := a.failed.status(first, n)
	_, _ = a.sums[column].Write(status) // a hash does not fail
	if err := a.canvas.write(status, a.canvas.places[column].Offset+first); err != nil {
		return fmt.Errorf("write %d rows at %d of %s: %w", n, first, table.StatusColumn, err)
	}
	return nil
}

func (a *assembly) putFailed() error {
	places := a.canvas.places[len(a.sums):]
	return a.canvas.put(places, 0, a.failed.rows, 0, a.failed.rows.Len())
}

// Committed returns what to seal if the dataset at out is there already: it
// verifies, it is of this form, its failures are these, and its rows are those
// of a complete checkpoint. That is what a merger leaves that was killed
// between Commit and the seal. The answer is nil if any of this is not so.
func Committed(ctx context.Context, out string, form Form, failures []message.Failure) (*message.Sealed, error) {
	failed, err := newFailed(form.Planned, failures)
	if err != nil {
		return nil, err
	}
	rows, h, err := openMatching(out, form)
	if rows == nil || err != nil {
		return nil, err
	}
	defer func() { _ = rows.close() }() // it was only read
	if err := rows.load(h.Tasks); err != nil {
		return nil, err
	}
	report, err := Verify(ctx, out)
	if err == nil && report.is(form, failed) {
		err = sameRows(ctx, out, form, failed, rows.digests, report.Rows)
	} else if err == nil {
		err = errOther
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOther) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", out, err)
	}
	sealed := report.sealed()
	return &sealed, nil
}

// errOther says that a dataset is not the one that is to be sealed.
var errOther = errors.New("another dataset")

// is tells whether the report is about a dataset of the form with these
// failures, whatever its rows.
func (r *Report) is(form Form, failed *failed) bool {
	var names []string
	for _, c := range r.Contents {
		names = append(names, c.Name)
	}
	want := append(contentNames(form.groups(r.Rows, failed.rows)), restName)
	return r.Digest == form.Digest && r.Version == form.Version && r.Tasks == form.Planned.Tasks &&
		slices.Equal(names, want) && slices.Equal(r.failedSums(), failed.sums())
}

// sameRows returns nil if the rows of the dataset at out are those of a
// complete checkpoint, but for the failures, else errOther.
func sameRows(ctx context.Context, out string, form Form, failed *failed, digests []uint64, rows int64) error {
	same := int64(0)
	err := scan(ctx, out, form.Planned.Columns, rows, func(_ int64, block *table.Block) error {
		for i := range block.Len() {
			row := block.Row(i)
			if failed.has(row.Task()) {
				continue
			}
			if digests[row.Task()] != row.Digest() { // Verify has checked the tasks
				return errOther
			}
			same++
		}
		return nil
	})
	if err == nil && same != form.Planned.Tasks-failed.count() {
		err = errOther
	}
	return err
}
