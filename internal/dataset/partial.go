package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"windrow/internal/atomicfile"
	"windrow/internal/fault"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Partial is a dataset that is being put together. Only one process may have
// it: the caller holds a lock. It keeps 8 bytes in memory for each task of the
// run. Forget, Has and Copied may be called by several goroutines at once, and
// beside Copy, the other methods only while nothing else is.
type Partial struct {
	out    string
	form   Form
	header header
	canvas *canvas

	noting sync.Mutex // in the checkpoint
	rows   *checkpoint
}

func partialPath(out string) string    { return out + ".partial" }
func checkpointPath(out string) string { return out + ".rows" }
func secondPath(out string) string     { return out + ".tmp" }

// OpenPartial resumes the partial of the dataset at out if there is one of
// this form, undamaged outside the rows; else it makes a new one. All of the
// disk space is allocated at once: a *NoSpaceError comes now, not later.
func OpenPartial(out string, form Form) (*Partial, error) {
	if err := form.validate(); err != nil {
		return nil, err
	}
	p, err := resume(out, form)
	if err != nil || p != nil {
		return p, err
	}
	if err := makePartial(out, form); err != nil {
		return nil, err
	}
	p, err = resume(out, form)
	if p == nil && err == nil {
		err = fmt.Errorf("%s is not what was just written: %w", partialPath(out), ErrCorrupt)
	}
	return p, err
}

// resume opens the partial of this form, or returns nil if there is none.
func resume(out string, form Form) (*Partial, error) {
	rows, h, err := openMatching(out, form)
	if rows == nil || err != nil {
		return nil, err
	}
	p := &Partial{out: out, form: form, header: h, rows: rows}
	if p.canvas, err = openCanvas(partialPath(out), h); err == nil {
		err = p.canvas.checkMetadata(h.Metadata)
	}
	if err == nil {
		err = rows.load(h.Tasks)
	}
	if err == nil {
		return p, nil
	}
	err = errors.Join(err, p.Close())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		return nil, nil
	}
	return nil, fmt.Errorf("resume: %w", err)
}

// openMatching opens the checkpoint at out if it is of this form, else it
// returns nil.
func openMatching(out string, form Form) (*checkpoint, header, error) {
	identity, err := form.identity(h5.LibVersion())
	if err != nil {
		return nil, header{}, err
	}
	rows, h, err := openCheckpoint(checkpointPath(out))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotCheckpoint) {
		return nil, header{}, nil
	}
	if err != nil {
		return nil, header{}, err
	}
	if h.Form != identity {
		return nil, header{}, rows.close()
	}
	return rows, h, nil
}

func openCanvas(path string, h header) (*canvas, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	c := &canvas{file: file, size: h.Bytes, places: h.Extents}
	info, err := file.Stat()
	if err == nil && info.Size() != h.Bytes {
		err = fmt.Errorf("%s has %d bytes, not %d: %w", path, info.Size(), h.Bytes, ErrCorrupt)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return c, nil
}

// makePartial makes the partial, and then the checkpoint that says so. The old
// checkpoint goes first: its rows are not in the new partial.
func makePartial(out string, form Form) error {
	if err := os.Remove(checkpointPath(out)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove old checkpoint: %w", err)
	}
	if err := atomicfile.SyncDir(filepath.Dir(out)); err != nil {
		return fmt.Errorf("remove old checkpoint: %w", err)
	}
	h, err := makeCanvas(partialPath(out), form)
	if err != nil {
		return fmt.Errorf("make %s: %w", partialPath(out), err)
	}
	fault.Point(fault.MergerPartialCreated)
	if err := atomicfile.Write(checkpointPath(out), 0o644, h.write); err != nil {
		return fmt.Errorf("make %s: %w", checkpointPath(out), noSpace(err, checkpointPath(out), h.Tasks*digestBytes))
	}
	fault.Point(fault.MergerRowsCreated)
	return nil
}

// makeCanvas makes the file of a partial, durable, and returns what its
// checkpoint must say.
func makeCanvas(path string, form Form) (h header, err error) {
	c, err := create(path, form, form.Planned.Tasks, nil)
	if err != nil {
		return header{}, err
	}
	defer func() { err = errors.Join(err, c.file.Close()) }()
	if err := c.file.Sync(); err != nil {
		return header{}, err
	}
	if err := atomicfile.SyncDir(filepath.Dir(path)); err != nil {
		return header{}, err
	}
	h = header{Run: form.Digest, Tasks: form.Planned.Tasks, Bytes: c.size, Extents: c.places}
	if h.Metadata, err = c.metadata(); err != nil {
		return header{}, err
	}
	h.Form, err = form.identity(h5.LibVersion())
	return h, err
}

// Has tells whether the rows of all these tasks have been copied.
func (p *Partial) Has(tasks message.Ranges) bool {
	p.noting.Lock()
	defer p.noting.Unlock()
	for task := range tasks.All() {
		if p.rows.digests[task] == 0 {
			return false
		}
	}
	return true
}

// Copied returns the number of rows that have been copied.
func (p *Partial) Copied() int64 {
	p.noting.Lock()
	defer p.noting.Unlock()
	return p.rows.copied
}

// Copy puts the rows of the block, which have these digests, into place: fastest
// if their tasks ascend. A row is durable after the next Sync. One goroutine at a
// time may call it: a window of the file must not change while it is read and
// written again, and two writers of one file only wait for each other in the
// kernel, at the expense of both cores.
func (p *Partial) Copy(rows *table.Block, digests []uint64) error {
	pieces := piecesOf(rows)
	for _, piece := range pieces {
		if piece.first < 0 || piece.end() > p.header.Tasks {
			return fmt.Errorf("copy rows: task %d is not of this run", piece.first)
		}
	}
	if err := p.write(rows, pieces); err != nil {
		return err
	}
	p.noting.Lock()
	defer p.noting.Unlock()
	for _, piece := range pieces {
		p.rows.set(piece.first, digests[piece.from:piece.from+piece.n]...)
	}
	return nil
}

// Forget notes that the rows of these tasks are not those that they should be.
func (p *Partial) Forget(tasks message.Ranges) {
	p.noting.Lock()
	defer p.noting.Unlock()
	for task := range tasks.All() {
		p.rows.set(task, 0)
	}
}

// write brings the pieces to their places.
func (p *Partial) write(rows *table.Block, pieces []piece) error {
	for c, column := range rows.Columns() {
		if err := p.canvas.scatter(c, rows, pieces); err != nil {
			return fmt.Errorf("write %d rows of %s: %w", rows.Len(), column.Name, err)
		}
	}
	return nil
}

// Sync makes the copied rows durable: first the rows, then their digests in
// the checkpoint. After a crash, a row is in the checkpoint only if it is
// whole on the disk.
func (p *Partial) Sync() error {
	if err := p.canvas.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", partialPath(p.out), noSpace(err, partialPath(p.out), p.canvas.size))
	}
	fault.Point(fault.MergerPartialSynced)
	if err := p.rows.save(); err != nil {
		return err
	}
	fault.Point(fault.MergerRowsWritten)
	return nil
}

// Close releases the partial without making anything durable.
func (p *Partial) Close() error {
	var err error
	if p.canvas != nil {
		err = p.canvas.file.Close()
	}
	return errors.Join(err, p.rows.close())
}
