package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"windrow/internal/atomicfile"
	"windrow/internal/fault"
	"windrow/internal/h5"
	"windrow/internal/table"
)

// Partial is a dataset that is being put together. Only one process may have
// it: the caller holds a lock. It is not safe for concurrent use. It keeps 8
// bytes in memory for each task of the run.
type Partial struct {
	out    string
	form   Form
	header header
	canvas *canvas
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
	h = header{Tasks: form.Planned.Tasks, Bytes: c.size, Extents: c.places}
	if h.Metadata, err = c.metadata(); err != nil {
		return header{}, err
	}
	h.Form, err = form.identity(h5.LibVersion())
	return h, err
}

// Has tells whether the row of task index has been copied.
func (p *Partial) Has(index int64) bool { return p.rows.digests[index] != 0 }

// Copied returns the number of rows that have been copied.
func (p *Partial) Copied() int64 { return p.rows.copied }

// Copy puts those rows of the block that take accepts into place. A row is
// durable after the next Sync.
func (p *Partial) Copy(rows *table.Block, take func(index int64) bool) error {
	for from := 0; from < rows.Len(); {
		first := rows.Row(from).Task()
		n := run(rows, from, take)
		if n == 0 {
			from++
			continue
		}
		if first < 0 || first+int64(n) > p.header.Tasks {
			return fmt.Errorf("copy rows: task %d is not of this run", first)
		}
		if err := p.canvas.put(p.canvas.places, first, rows, from, n); err != nil {
			return err
		}
		for i := range n {
			p.rows.set(first+int64(i), rows.Row(from+i).Digest())
		}
		from += n
	}
	return nil
}

// run returns how many rows from row from on are of consecutive tasks, all of
// which take accepts.
func run(rows *table.Block, from int, take func(index int64) bool) int {
	n, first := 0, rows.Row(from).Task()
	for from+n < rows.Len() {
		task := rows.Row(from + n).Task()
		if task != first+int64(n) || !take(task) {
			break
		}
		n++
	}
	return n
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
