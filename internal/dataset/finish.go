package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

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
// task must be copied or among the failures, which may be in any order. The
// imports say which rows nobody computed.
//
// Without failures, imports and chunks the file is the partial itself. Else it is a
// second file, <out>.tmp, written from the partial; an earlier one is
// replaced. Before Finish returns, the file passes Verify. The error is a
// *DamagedError where rows differ from what was copied: they are forgotten,
// Has says so, and Finish can be called again after they were copied again.
func (p *Partial) Finish(ctx context.Context, failures []message.Failure, imports []Imported) (*Finished, error) {
	o, err := newOutcome(p.form.Planned, failures, imports)
	if err != nil {
		return nil, err
	}
	if err := p.checkComplete(o.failed); err != nil {
		return nil, err
	}
	if len(o.appendices) == 0 && !p.form.inChunks() {
		return p.finishInPlace(ctx)
	}
	path := secondPath(p.out)
	if err := p.assembleSecond(ctx, path, o); err != nil {
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

// finishInPlace makes the partial the dataset: all it lacks is the manifest,
// and the status where failed rows are kept and there are none.
//
// The rows are read once, through HDF5, and beside that all bytes of the file
// for its own digest. What Verify would do beyond that is done afterwards.
func (p *Partial) finishInPlace(ctx context.Context) (*Finished, error) {
	file, path := newRunningDigest(p.canvas.file), partialPath(p.out)
	if err := p.clearStatus(); err != nil {
		return nil, err
	}
	rows, err := p.canvas.putRowDigests(p.rowDigests(&failed{}))
	if err != nil {
		return nil, err
	}
	a := p.assembly(&failed{}, rowsInPlace{})
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return file.upTo(within, p.canvas.manifest().Offset) })
	group.Go(func() error { return p.checkRows(within, a) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	digests := append(a.sums.digests(), rows)
	if err := p.canvas.finish(digests, p.header.Metadata); err != nil {
		return nil, err
	}
	fault.Point(fault.MergerManifestWritten)
	if err := file.upTo(ctx, p.header.Bytes); err != nil {
		return nil, err
	}
	known := map[string]message.Digest{} // but for what was not read: the status, the digests of the rows
	for i, c := range p.form.Planned.Columns {
		known[c.Name] = digests[i]
	}
	report, err := verifyAround(ctx, path, known)
	if err != nil {
		return nil, fmt.Errorf("verify %s: %w", path, err)
	}
	report.SHA256 = file.digest()
	return &Finished{Sealed: report.sealed(), path: path, out: p.out}, nil
}

// clearStatus says of all rows that they did not fail, where there is a status.
func (p *Partial) clearStatus() error {
	if !p.form.keeps() {
		return nil
	}
	place := p.canvas.places[len(p.form.Planned.Columns)]
	zeros := make([]byte, min(place.Bytes, scanBytes))
	for done := int64(0); done < place.Bytes; done += int64(len(zeros)) {
		if err := p.canvas.write(zeros[:min(int64(len(zeros)), place.Bytes-done)], place.Offset+done); err != nil {
			return fmt.Errorf("write %s: %w", table.StatusColumn, err)
		}
	}
	return nil
}

// assembleSecond writes the dataset beside the partial. On an error nothing is
// left of it.
func (p *Partial) assembleSecond(ctx context.Context, path string, o *outcome) (err error) {
	rows := p.header.Tasks
	if !p.form.keeps() {
		rows -= o.count()
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("make %s: %w", path, err)
			_ = os.Remove(path) // the first error counts
		}
	}()
	if p.form.inChunks() {
		return p.assembleChunked(ctx, path, rows, o)
	}
	c, err := create(path, p.form, rows, o.appendices)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.file.Close()) }()
	metadata, err := c.metadata()
	if err != nil {
		return err
	}
	a := p.assembly(o.failed, rowsOnCanvas{c, len(p.form.Planned.Columns)})
	if err := p.checkRows(ctx, a); err != nil {
		return err
	}
	digests, err := p.putRest(c, a, o)
	if err != nil {
		return err
	}
	return c.finish(digests, metadata)
}

// assembleChunked does the same with the rows in chunks. What is around other
// rows is here the whole file, but for the failures and the digests.
func (p *Partial) assembleChunked(ctx context.Context, path string, rows int64, o *outcome) (err error) {
	file, err := createChunked(ctx, path, p.form, rows, o.appendices)
	if err != nil {
		return err
	}
	a := p.assembly(o.failed, file)
	if err := p.checkRows(ctx, a); err != nil {
		return errors.Join(err, file.close(ctx))
	}
	c, err := file.finish(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.file.Close()) }()
	digests, err := p.putRest(c, a, o)
	if err != nil {
		return err
	}
	metadata, err := c.metadata()
	if err != nil {
		return err
	}
	fault.Point(fault.MergerChunksWritten)
	return c.finish(digests, metadata)
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
		return a.add(ctx, first, block)
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

// target takes the rows of a file on its way from checked rows to a dataset.
type target interface {
	// put adds n rows of the block, from row from on, as the rows at, at+1, ...
	// to the columns that the block has.
	put(ctx context.Context, at int64, block *table.Block, from, n int) error
	// putStatus adds the column that the block has not.
	putStatus(ctx context.Context, at int64, status []byte) error
}

// rowsOnCanvas puts rows on a canvas, whose column number status is the status.
type rowsOnCanvas struct {
	*canvas

	status int
}

func (t rowsOnCanvas) put(_ context.Context, at int64, block *table.Block, from, n int) error {
	return t.canvas.put(t.places, at, block, from, n)
}

func (t rowsOnCanvas) putStatus(_ context.Context, at int64, status []byte) error {
	if err := t.write(status, t.places[t.status].Offset+at); err != nil {
		return fmt.Errorf("write %d rows at %d of %s: %w", len(status), at, table.StatusColumn, err)
	}
	return nil
}

// rowsInPlace is a file that has its rows already.
type rowsInPlace struct{}

func (rowsInPlace) put(context.Context, int64, *table.Block, int, int) error { return nil }

func (rowsInPlace) putStatus(context.Context, int64, []byte) error { return nil }

// assembly is a file on its way from checked rows to a whole dataset.
type assembly struct {
	form   Form
	failed *failed
	target target
	sums   sums // of the root's columns
	rows   int64
}

func (p *Partial) assembly(failed *failed, t target) *assembly {
	return &assembly{form: p.form, failed: failed, target: t, sums: newSums(len(p.form.columns()))}
}

// add adds the rows of the tasks first, first+1, ...
func (a *assembly) add(ctx context.Context, first int64, block *table.Block) error {
	if a.form.keeps() {
		if err := a.failed.fill(first, block); err != nil {
			return err
		}
		if err := a.addStatus(ctx, first, block.Len()); err != nil {
			return err
		}
		return a.append(ctx, block, 0, block.Len())
	}
	for from := 0; from < block.Len(); {
		n := 0
		for from+n < block.Len() && !a.failed.has(first+int64(from+n)) {
			n++
		}
		if err := a.append(ctx, block, from, n); err != nil {
			return err
		}
		from += n + 1 // a failed row ended the run
	}
	return nil
}

// append adds n rows of the block, from row from on, to the columns that they
// have; the status, if any, is another one.
func (a *assembly) append(ctx context.Context, block *table.Block, from, n int) error {
	a.sums.add(block, from, n)
	if err := a.target.put(ctx, a.rows, block, from, n); err != nil {
		return err
	}
	a.rows += int64(n)
	return nil
}

// addStatus adds the status of n tasks, which comes after the other columns.
func (a *assembly) addStatus(ctx context.Context, first int64, n int) error {
	status := a.failed.status(first, n)
	_, _ = a.sums[len(a.form.Planned.Columns)].Write(status) // a hash does not fail
	return a.target.putStatus(ctx, first, status)
}

// putRest writes the appendices and the digests of the rows, and returns the
// digests of all contents.
func (p *Partial) putRest(c *canvas, a *assembly, o *outcome) ([]message.Digest, error) {
	if err := o.put(c, c.places[len(a.sums):]); err != nil {
		return nil, err
	}
	rows, err := c.putRowDigests(p.rowDigests(o.failed))
	return append(append(a.sums.digests(), o.sums()...), rows), err
}

// rowDigests yields the digests of the dataset's rows, in their order, which
// are those of the copied ones.
func (p *Partial) rowDigests(failed *failed) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		kept := table.NewBlock(p.form.Planned.Columns, 1)
		kept.Append()
		for i, digest := range p.rows.digests {
			if task := int64(i); failed.has(task) {
				if !p.form.keeps() {
					continue
				}
				_ = failed.fillRow(task, kept.Row(0)) // fill has done it without an error
				digest = kept.Row(0).Digest()
			}
			if !yield(digest) {
				return
			}
		}
	}
}

// Committed returns what to seal if the dataset at out is there already: it
// verifies, it is of this form, its failures and imports are these, and its rows are those
// of a complete checkpoint. That is what a merger leaves that was killed
// between Commit and the seal. The answer is nil if any of this is not so.
func Committed(ctx context.Context, out string, form Form, failures []message.Failure, imports []Imported) (*message.Sealed, error) {
	o, err := newOutcome(form.Planned, failures, imports)
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
	if err == nil && report.is(form, o) {
		err = sameRows(ctx, out, form, o.failed, rows.digests, report.Rows)
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
// failures and imports, whatever its rows.
func (r *Report) is(form Form, o *outcome) bool {
	var names []string
	for _, c := range r.Contents {
		names = append(names, c.Name)
	}
	want := append(contentNames(form.groups(r.Rows, o.appendices)), restName)
	return r.Digest == form.Digest && r.Storage == form.Storage && r.Level == form.Level && r.Version == form.Version && r.Tasks == form.Planned.Tasks &&
		slices.Equal(names, want) && slices.Equal(r.appendixSums(), o.sums())
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
