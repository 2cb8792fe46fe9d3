package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sync/errgroup"

	"windrow/internal/chunk"
	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// ErrCorrupt is wrapped by Verify where a file is not what it was when it was
// made, or never was a dataset. The text around it names the first bad thing.
var ErrCorrupt = errors.New("dataset is corrupt")

// Report is what Verify found in a dataset.
type Report struct {
	Digest   message.Digest // of the run
	Version  string         // of the windrow that made the file
	SHA256   message.Digest // of the file
	Bytes    int64
	Tasks    int64 // of the run
	Rows     int64
	Failed   int64
	Storage  message.Storage // of the root's columns
	Level    int             // of gzip
	Contents []Content       // in the manifest's order
}

// Content is one entry of the manifest.
type Content struct {
	Name   string // path of the dataset; "." for all other bytes of the file
	SHA256 message.Digest
}

func (r *Report) sealed() message.Sealed {
	return message.Sealed{SHA256: r.SHA256, Bytes: r.Bytes, Rows: r.Rows, Failed: r.Failed}
}

func (r *Report) has(name string) bool {
	return slices.ContainsFunc(r.Contents, func(c Content) bool { return c.Name == name })
}

// appendixSums returns the digests of the datasets about failures and imports.
func (r *Report) appendixSums() []message.Digest {
	var digests []message.Digest
	for _, c := range r.Contents {
		if ofAppendix(c.Name) {
			digests = append(digests, c.SHA256)
		}
	}
	return digests
}

// Verify checks the dataset at path from its own manifest: every byte is what
// it was when the file was made, the rows are in task order, and they and the
// failures are all tasks of the run. Memory does not grow with the rows. An
// error about the file wraps ErrCorrupt.
//
// It opens the file with libhdf5, which crashes on some damaged files: call it
// in a process that may die.
func Verify(ctx context.Context, path string) (report Report, err error) {
	file, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return Report{}, err
	}
	report.Bytes = info.Size()
	group, ctx := errgroup.WithContext(ctx)
	whole := newRunningDigest(file)
	group.Go(func() error { return whole.upTo(ctx, info.Size()) })
	group.Go(func() error { return verifyContents(ctx, file, &report, nil) })
	err = group.Wait()
	report.SHA256 = whole.digest()
	return report, err
}

// verifyAround does the same for a file whose contents were read a moment ago,
// and have the digests known: it reads only those that are not among them, and
// what is around all. It leaves the file's own digest open.
func verifyAround(ctx context.Context, path string, known map[string]message.Digest) (report Report, err error) {
	file, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return Report{}, err
	}
	report.Bytes = info.Size()
	return report, verifyContents(ctx, file, &report, known)
}

// runningDigest is the SHA-256 of a file that is read from its beginning on.
type runningDigest struct {
	file io.ReaderAt
	hash hash.Hash
	done int64 // bytes
}

func newRunningDigest(file io.ReaderAt) *runningDigest {
	return &runningDigest{file: file, hash: sha256.New()}
}

// upTo reads on to an offset.
func (r *runningDigest) upTo(ctx context.Context, end int64) error {
	buf := make([]byte, min(scanBytes, max(0, end-r.done)))
	for r.done < end {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		part := buf[:min(int64(len(buf)), end-r.done)]
		if _, err := r.file.ReadAt(part, r.done); err != nil {
			return err
		}
		_, _ = r.hash.Write(part) // a hash does not fail
		r.done += int64(len(part))
	}
	return nil
}

func (r *runningDigest) digest() message.Digest { return digest(r.hash.Sum(nil)) }

// verifier checks one file through HDF5.
type verifier struct {
	h5     *h5.File
	report *Report
	places extents // of the datasets that were checked
}

// verifyContents fills the report with everything but the file's own digest.
// Contents that are known are not read.
func verifyContents(ctx context.Context, file *os.File, report *Report, known map[string]message.Digest) (err error) {
	f, err := h5.Open(file.Name())
	if err != nil {
		return corrupt(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	v := &verifier{h5: f, report: report}
	if err := v.readAttributes(); err != nil {
		return corrupt(err)
	}
	if err := v.readManifest(); err != nil {
		return corrupt(err)
	}
	contents := report.Contents[:len(report.Contents)-1]
	for _, c := range contents {
		if err := v.locate(c); err != nil {
			return corrupt(err)
		}
	}
	// The bytes around the contents say where those are, and libhdf5 crashes
	// where they are wrong. Chunks are among them.
	if err := v.checkRest(file); err != nil {
		return corrupt(err)
	}
	for _, c := range contents {
		if err := v.checkContent(ctx, c, known[c.Name]); err != nil {
			return corrupt(err)
		}
	}
	return corrupt(v.checkOrder(ctx))
}

// ErrForeign says that there is nothing to verify a file by.
var ErrForeign = errors.New("an HDF5 file, but not a dataset of windrow")

// corrupt marks an error as being about the file, unless it was interrupted, or
// the disk did not give the bytes, which says nothing about them.
func corrupt(err error) error {
	if err == nil || errors.Is(err, ErrForeign) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, syscall.EIO) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func (v *verifier) readAttributes() error {
	format, err := v.h5.Int("windrow_format")
	if errors.Is(err, h5.ErrNotFound) {
		return ErrForeign
	}
	if err != nil {
		return err
	}
	if format != FormatVersion {
		return fmt.Errorf("format %d; this windrow reads format %d", format, FormatVersion)
	}
	run, err := v.h5.String("run_digest")
	if err != nil {
		return err
	}
	v.report.Digest = message.Digest(run)
	if v.report.Version, err = v.h5.String("windrow_version"); err != nil {
		return err
	}
	if v.report.Tasks, err = v.h5.Int("task_count"); err != nil {
		return err
	}
	if v.report.Tasks < 1 || v.report.Tasks > message.MaxTasks {
		return fmt.Errorf("%d tasks: 1 to %d are possible", v.report.Tasks, message.MaxTasks)
	}
	return v.report.Digest.Validate()
}

// maxEntries bounds the manifest: the columns of the root, of the failures and
// of the imports, the digests of the rows, and the rest.
const maxEntries = 2*table.MaxColumns + 16

func (v *verifier) readManifest() (err error) {
	set, err := column.Open(v.h5, manifestGroup, manifestColumns())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if set.Rows() < 2 || set.Rows() > maxEntries {
		return fmt.Errorf("manifest of %d entries: 2 to %d are possible", set.Rows(), maxEntries)
	}
	block := table.NewBlock(manifestColumns(), 0)
	block.Grow(int(set.Rows()))
	if err := set.Read(0, block); err != nil {
		return err
	}
	for i := range block.Len() {
		name, _ := block.Row(i).Get(0, 0).(string)
		sum, _ := block.Row(i).Get(1, 0).(string)
		v.report.Contents = append(v.report.Contents, Content{name, message.Digest(sum)})
	}
	if last := v.report.Contents[block.Len()-1].Name; last != restName {
		return fmt.Errorf("last entry of the manifest is %q, not %q", last, restName)
	}
	places, err := set.Extents()
	if err == nil {
		v.places = append(v.places, places[1])
	}
	return err
}

// locate finds out where the content of an entry lies, and of the columns how
// many rows there are.
func (v *verifier) locate(c Content) (err error) {
	d, err := v.h5.Dataset(c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	rows, rowBytes, err := v.sizeOf(d)
	if err != nil {
		return fmt.Errorf("dataset %s: %w", c.Name, err)
	}
	layout, err := d.Layout()
	if err != nil {
		return err
	}
	switch c.Name {
	case table.TaskColumn:
		v.report.Rows, v.report.Storage, v.report.Level = rows, storageOf(layout), layout.Level
	case failedGroup + "/index":
		v.report.Failed = rows
	}
	if layout.ChunkRows > 0 || rows == 0 { // chunks lie anywhere: they are of the bytes around the contents
		return nil
	}
	offset, err := d.Offset()
	v.places = append(v.places, column.Extent{Offset: offset, Bytes: rows * int64(rowBytes)})
	return err
}

func storageOf(layout h5.Layout) message.Storage {
	switch {
	case layout.Level > 0:
		return message.Gzip
	case layout.ChunkRows > 0:
		return message.Chunked
	}
	return message.Contiguous
}

// checkContent reads a dataset, if its digest is not known, and compares it with
// its entry.
func (v *verifier) checkContent(ctx context.Context, c Content, sum message.Digest) error {
	if sum == "" {
		h := sha256.New()
		err := v.read(ctx, c.Name, func(data []byte) error {
			_, _ = h.Write(data) // a hash does not fail
			return nil
		})
		if err != nil {
			return err
		}
		sum = digest(h.Sum(nil))
	}
	if sum != c.SHA256 {
		return fmt.Errorf("dataset %s: its content has the SHA-256 %s, the manifest says %q", c.Name, sum, c.SHA256)
	}
	return nil
}

// read hands the content of a dataset to visit, block by block. libhdf5 has one
// lock and so inflates on one core; what a chunk.Writer has deflated is inflated
// outside of it.
func (v *verifier) read(ctx context.Context, name string, visit func(data []byte) error) (err error) {
	d, err := v.h5.Dataset(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	rows, rowBytes, err := v.sizeOf(d)
	if err != nil {
		return fmt.Errorf("dataset %s: %w", name, err)
	}
	layout, err := d.Layout()
	if err != nil {
		return err
	}
	shape := chunk.Shape{Rows: rows, ChunkRows: layout.ChunkRows, RowBytes: rowBytes, ElementBytes: d.ElementBytes()}
	if layout.Level > 0 && !layout.Other && shape.Readable() {
		if err := chunk.Read(ctx, d, shape, visit); err != nil {
			return fmt.Errorf("dataset %s: %w", name, err)
		}
		return nil
	}
	return readBlocks(ctx, d, rows, rowBytes, visit)
}

// readBlocks hands the rows of a dataset to visit, as libhdf5 reads them.
func readBlocks(ctx context.Context, d *h5.Dataset, rows int64, rowBytes int, visit func(data []byte) error) error {
	most := min(blockRows(rowBytes), max(rows, 1))
	buf := make([]byte, most*int64(rowBytes))
	for first := int64(0); first < rows; first += most {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n := min(most, rows-first)
		data := buf[:n*int64(rowBytes)]
		if err := d.Read(first, n, data); err != nil {
			return err
		}
		if err := visit(data); err != nil {
			return err
		}
	}
	return nil
}

// sizeOf returns the number of rows of a dataset and their size, within the
// limits of a run.
func (v *verifier) sizeOf(d *h5.Dataset) (rows int64, rowBytes int, err error) {
	dims, err := d.Dims()
	if err != nil {
		return 0, 0, err
	}
	if len(dims) == 0 || dims[0] > v.report.Tasks {
		return 0, 0, fmt.Errorf("shape %v in a run of %d tasks", dims, v.report.Tasks)
	}
	size := int64(d.ElementBytes())
	if size < 1 || size > table.MaxRowBytes {
		return 0, 0, fmt.Errorf("elements of %d bytes", size)
	}
	for _, n := range dims[1:] {
		if n < 1 || n > table.MaxRowBytes || size*n > table.MaxRowBytes {
			return 0, 0, fmt.Errorf("shape %v: a row has %d bytes at most", dims, table.MaxRowBytes)
		}
		size *= n
	}
	return dims[0], int(size), nil
}

// checkRest compares all bytes that are no entry's content with the last entry.
func (v *verifier) checkRest(file io.ReaderAt) error {
	sum, err := v.places.digestOutside(file, v.report.Bytes)
	if err != nil {
		return err
	}
	if want := v.report.Contents[len(v.report.Contents)-1].SHA256; sum != want {
		return fmt.Errorf("the bytes around the datasets have the SHA-256 %s, the manifest says %q: attributes, scales or chunks were changed, or the file was rewritten", sum, want)
	}
	return nil
}

// checkOrder makes sure that rows and failures are the tasks 0, 1, ..., in
// order and each once. Kept rows of failed tasks count as rows alone.
func (v *verifier) checkOrder(ctx context.Context) error {
	dropped, err := v.droppedTasks(ctx)
	if err != nil {
		return err
	}
	next := int64(0)
	skip := func() {
		for len(dropped) > 0 && dropped[0] == next {
			dropped = dropped[1:]
			next++
		}
	}
	row := int64(0)
	err = v.readInts(ctx, table.TaskColumn, func(task int64) error {
		skip()
		if task != next {
			return fmt.Errorf("dataset %s: row %d is task %d, not %d", table.TaskColumn, row, task, next)
		}
		next, row = next+1, row+1
		return nil
	})
	if err != nil {
		return err
	}
	if skip(); next != v.report.Tasks || len(dropped) > 0 {
		return fmt.Errorf("rows and failures are %d tasks of %d", next, v.report.Tasks)
	}
	return nil
}

// droppedTasks returns the tasks that have no row because they failed.
func (v *verifier) droppedTasks(ctx context.Context) ([]int64, error) {
	if v.report.Failed == 0 || v.report.has(table.StatusColumn) {
		return nil, nil
	}
	var tasks []int64
	err := v.readInts(ctx, failedGroup+"/index", func(task int64) error {
		tasks = append(tasks, task)
		return nil
	})
	return tasks, err
}

func (v *verifier) readInts(ctx context.Context, name string, visit func(int64) error) error {
	return v.read(ctx, name, func(data []byte) error {
		if len(data)%8 != 0 {
			return fmt.Errorf("dataset %s is not of type i64", name)
		}
		for ; len(data) > 0; data = data[8:] {
			if err := visit(int64(binary.LittleEndian.Uint64(data))); err != nil { //nolint:gosec // same bits
				return err
			}
		}
		return nil
	})
}
