package chunk

import (
	"context"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"windrow/internal/h5"
)

// Shape is how rows lie in the chunks of a dataset.
type Shape struct {
	Rows         int64 // of the dataset
	ChunkRows    int64
	RowBytes     int
	ElementBytes int
}

// Readable tells whether chunks of a shape are of the size that a Writer makes,
// so that a few of them fit in memory.
func (s Shape) Readable() bool {
	return s.ChunkRows > 0 && (s.ChunkRows == 1 || s.ChunkRows <= int64(mostBytes/s.RowBytes))
}

// Read hands the rows of a dataset that a Writer with a level has written to
// visit, in order, some whole rows at a time. The filters are undone on all
// cores; visit is called by one goroutine and must not keep the rows. The error
// is of a chunk that is not what a Writer makes, or of visit.
func Read(ctx context.Context, d *h5.Dataset, s Shape, visit func(rows []byte) error) error {
	r := newReader(d, s)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.fetch(ctx) })
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error { return r.undo(ctx) })
	}
	group.Go(func() error { return r.visit(ctx, visit) })
	return group.Wait()
}

// reader is one Read at work. Chunks go from spare to fetched and ordered, and
// from there back to spare.
type reader struct {
	dataset *h5.Dataset
	shape   Shape
	spare   chan *piece
	fetched chan *piece // to be undone, by anybody
	ordered chan *piece // to be visited, by one goroutine
}

// piece is one chunk on its way.
type piece struct {
	first    int64
	buffer   []byte // room for any chunk as it may be in the file
	filtered []byte // the part of it that is filled
	rows     []byte
	ready    chan struct{} // has an element when rows is complete
}

func newReader(d *h5.Dataset, s Shape) *reader {
	bytes := int(s.ChunkRows) * s.RowBytes
	n := max(2, min(roomBytes/bytes, 8*runtime.GOMAXPROCS(0)))
	r := &reader{d, s, make(chan *piece, n), make(chan *piece, n), make(chan *piece, n)}
	for range n {
		r.spare <- &piece{buffer: make([]byte, mostFiltered(bytes)), rows: make([]byte, bytes), ready: make(chan struct{}, 1)}
	}
	return r
}

// mostFiltered bounds the size of a chunk of n bytes after the filters: deflate
// stores what it cannot compress, in blocks with a few bytes more each.
func mostFiltered(n int) int { return n + n/64 + 256 }

// fetch reads the chunks as they are in the file.
func (r *reader) fetch(ctx context.Context) error {
	defer close(r.fetched)
	defer close(r.ordered)
	for first := int64(0); first < r.shape.Rows; first += r.shape.ChunkRows {
		p, err := next(ctx, r.spare)
		if err != nil {
			return err
		}
		p.first = first
		if p.filtered, err = r.dataset.ReadChunk(first, p.buffer); err != nil {
			return err
		}
		r.ordered <- p
		r.fetched <- p
	}
	return nil
}

// undo undoes the filters of chunks until there are no more.
func (r *reader) undo(ctx context.Context) error {
	var filters inverse
	for {
		p, err := next(ctx, r.fetched)
		if p == nil {
			return err
		}
		if err := filters.apply(p.rows, p.filtered, r.shape.ElementBytes); err != nil {
			return fmt.Errorf("the chunk of row %d: %w", p.first, err)
		}
		p.ready <- struct{}{}
	}
}

func (r *reader) visit(ctx context.Context, visit func(rows []byte) error) error {
	for {
		p, err := next(ctx, r.ordered)
		if p == nil {
			return err
		}
		if _, err := next(ctx, p.ready); err != nil {
			return err
		}
		rows := min(r.shape.ChunkRows, r.shape.Rows-p.first)
		if err := visit(p.rows[:int(rows)*r.shape.RowBytes]); err != nil {
			return err
		}
		r.spare <- p
	}
}

// next receives from a channel, or returns the error of a context that is done.
// What a closed channel gives is nothing.
func next[T any](ctx context.Context, from <-chan T) (T, error) {
	select {
	case v := <-from:
		return v, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
