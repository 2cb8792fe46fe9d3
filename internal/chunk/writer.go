// Package chunk writes rows into the chunks of HDF5 datasets, compressed on
// all cores.
//
// libhdf5 has one lock and so compresses on one core. Here its filters run
// outside of it, and the library is handed chunks as they are to be in the
// file. They are what h5py's compression="gzip", shuffle=True, fletcher32=True
// makes: every HDF5 library reads them.
//
// Chunks are written in the order in which their last rows came. Equal rows
// that come in equal order give equal bytes, whatever the number of cores.
package chunk

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"windrow/internal/h5"
)

const (
	// mostBytes is how large a chunk is at most, unless one row is larger. A
	// reader of one row has a whole chunk to inflate, and every column of a
	// Writer keeps one in memory.
	mostBytes = 128 << 10
	// roomBytes is how much may be waiting to be filtered and written.
	roomBytes = 8 << 20
	// leastWeight is how much room a chunk takes at least, so that neither
	// channel of a Writer is ever full.
	leastWeight = 4 << 10
)

// Rows returns how many rows of rowBytes bytes a chunk has, in a dataset of
// rows rows. Chunks are of nearly equal size, so that the last one, which is
// stored whole, has little in it that is no row.
func Rows(rows int64, rowBytes int) int64 {
	most := int64(max(1, mostBytes/rowBytes))
	chunks := max(1, (rows+most-1)/most)
	return max(1, (rows+chunks-1)/chunks)
}

// Writer writes datasets chunk by chunk, from their first row to their last.
// It is used by one goroutine, which must call Close.
type Writer struct {
	level   int
	columns []*column
	room    *semaphore.Weighted
	raw     chan *job // to be filtered, by anybody
	ordered chan *job // to be written, by one goroutine
	ending  sync.WaitGroup
	spare   sync.Pool // of *job

	failing sync.Mutex
	err     error // what a chunk could not be written for
}

// column is a dataset that is being written.
type column struct {
	dataset *h5.Dataset
	element int     // bytes of an element
	rows    int64   // of a chunk
	bytes   int     // of a chunk
	first   int64   // row that the next chunk begins with
	next    []byte  // the beginning of that chunk
	method  *method // of its stretch, at level 1, or nil
}

// job is one chunk on its way.
type job struct {
	column   *column
	first    int64
	method   *method
	chooses  bool // the method
	raw      []byte
	filtered []byte
	ready    chan struct{} // has an element when filtered is complete
}

// NewWriter returns a writer of chunks with the deflate level, or of chunks as
// they are (0).
func NewWriter(level int) *Writer {
	w := &Writer{
		level: level, room: semaphore.NewWeighted(roomBytes),
		raw: make(chan *job, roomBytes/leastWeight), ordered: make(chan *job, roomBytes/leastWeight),
		spare: sync.Pool{New: func() any { return &job{ready: make(chan struct{}, 1)} }},
	}
	for range runtime.GOMAXPROCS(0) {
		w.ending.Go(w.filter)
	}
	w.ending.Go(w.write)
	return w
}

// Add adds a dataset with rows of rowBytes bytes, made of elements of
// elementBytes bytes, in chunks of chunkRows rows. It returns the number that
// Write knows it by. The dataset must stay open until Close.
func (w *Writer) Add(d *h5.Dataset, chunkRows int64, rowBytes, elementBytes int) int {
	w.columns = append(w.columns, &column{
		dataset: d, element: elementBytes, rows: chunkRows, bytes: int(chunkRows) * rowBytes,
	})
	return len(w.columns) - 1
}

// Write appends rows to a dataset. An error may be that of an earlier call;
// the file is worthless then.
func (w *Writer) Write(ctx context.Context, number int, rows []byte) error {
	c := w.columns[number]
	for len(rows) > 0 {
		n := min(len(rows), c.bytes-len(c.next))
		c.next = append(slices.Grow(c.next, c.bytes-len(c.next)), rows[:n]...)
		rows = rows[n:]
		if len(c.next) < c.bytes {
			return nil
		}
		if err := w.submit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// submit sends the next chunk of a dataset on its way.
func (w *Writer) submit(ctx context.Context, c *column) error {
	if err := w.failed(); err != nil {
		return err
	}
	if err := w.room.Acquire(ctx, c.weight()); err != nil {
		return err
	}
	j, ok := w.spare.Get().(*job)
	if !ok {
		panic("chunk: the pool holds jobs only")
	}
	j.column, j.first = c, c.first
	if j.chooses = w.level == 1 && c.first/c.rows%stretch == 0; j.chooses {
		c.method = &method{chosen: make(chan struct{})}
	}
	j.method = c.method
	j.raw, c.next = c.next, j.raw[:0]
	c.first += c.rows
	w.ordered <- j
	w.raw <- j
	return nil
}

// weight is how much room a chunk takes.
func (c *column) weight() int64 { return int64(min(max(c.bytes, leastWeight), roomBytes)) }

func (w *Writer) filter() {
	p := newPipeline(w.level)
	for j := range w.raw {
		if w.level == 0 {
			j.raw, j.filtered = j.filtered, j.raw
		} else {
			j.filtered = p.apply(j.filtered[:0], j.raw, j.column.element, j.method, j.chooses)
		}
		j.ready <- struct{}{}
	}
}

func (w *Writer) write() {
	for j := range w.ordered {
		<-j.ready
		if w.failed() == nil {
			if err := j.column.dataset.WriteChunk(j.first, j.filtered); err != nil {
				w.fail(err)
			}
		}
		w.room.Release(j.column.weight())
		w.spare.Put(j)
	}
}

func (w *Writer) failed() error {
	w.failing.Lock()
	defer w.failing.Unlock()
	return w.err
}

func (w *Writer) fail(err error) {
	w.failing.Lock()
	defer w.failing.Unlock()
	w.err = err
}

// Close writes what is left, the last chunk of each dataset filled up with
// zeros, and waits until everything is written. It must be called once, also
// after an error.
func (w *Writer) Close(ctx context.Context) error {
	err := w.flush(ctx)
	close(w.raw)
	close(w.ordered)
	w.ending.Wait()
	if failed := w.failed(); failed != nil {
		return failed
	}
	return err
}

func (w *Writer) flush(ctx context.Context) error {
	for _, c := range w.columns {
		if len(c.next) == 0 {
			continue
		}
		c.next = append(c.next, make([]byte, c.bytes-len(c.next))...)
		if err := w.submit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}
