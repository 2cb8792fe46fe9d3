package shard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"windrow/internal/column"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Input is a shard, and those of its tasks whose rows are to be merged.
type Input struct {
	File  *File
	Tasks message.Ranges
}

// Limits of what should be merged at once: each file has buffers, each row a
// digest in memory, and no row is durable before all are in place.
const (
	MostInputs = 64
	MostRows   = 1 << 20
	MostBytes  = 2 << 30
)

const (
	// blockBytes is about how many bytes of rows a block has: they stay in the
	// core's cache from the files to where visit brings them.
	blockBytes = 512 << 10
	// partBytes is about how many bytes of rows a goroutine merges before it
	// takes the next part: not few, as it begins by reading ahead in all files.
	partBytes = 64 << 20
	// blocks is how many blocks a goroutine has: it fills one more while it
	// would have to wait until another goroutine's are visited.
	blocks = 2
	// aheadRows is of how many rows a column of a file is read at once, of more
	// where that is less than aheadSmall. aheadBytes is what all columns of all
	// files may come to, for all goroutines: larger rows are read one by one.
	aheadRows  = 16
	aheadSmall = 8 << 10
	aheadBytes = 32 << 20
)

// Merge hands the rows of the inputs to visit, with their digests. The rows of a
// block are in ascending order of their tasks, whichever shards they are from:
// what was dealt to shards at random comes as long runs of consecutive tasks.
// Each row has the announced digest and task. No two inputs may have a task in
// common.
//
// visit is called by one goroutine at a time, in no order, and must not keep
// what it is given. The error is that of visit, or of ctx. An input that cannot
// be read to its end is left alone, and is in the map with an ErrDamaged or an
// error of the file system; some of its rows may have been visited.
func Merge(ctx context.Context, columns table.Columns, inputs []Input, visit func(rows *table.Block, digests []uint64) error) (map[*File]error, error) {
	parts := partsOf(inputs, int64(columns.RowBytes()))
	workers := min(len(parts), runtime.GOMAXPROCS(0))
	var taken atomic.Int64
	broken := &failures{files: map[*File]error{}}
	visits := &visits{visit: visit}
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			m := newMerging(columns, inputs, workers, visits, broken)
			for {
				n := taken.Add(1)
				if n > int64(len(parts)) {
					_, err := visits.all(m.full, true)
					return err
				}
				if err := m.merge(ctx, parts[n-1]); err != nil {
					return err
				}
			}
		})
	}
	err := group.Wait()
	return broken.files, err
}

// visits lets one goroutine at a time visit its rows.
type visits struct {
	mu    sync.Mutex
	visit func(*table.Block, []uint64) error
}

// all visits the blocks: now if nobody else does, or else as soon as nobody does
// if it is to wait for that.
func (v *visits) all(full []*filled, wait bool) (done bool, err error) {
	if wait {
		v.mu.Lock()
	} else if !v.mu.TryLock() {
		return false, nil
	}
	defer v.mu.Unlock()
	for _, f := range full {
		if err := v.visit(f.block, f.digests); err != nil {
			return false, err
		}
	}
	return true, nil
}

// filled is a block of rows with their digests.
type filled struct {
	block   *table.Block
	digests []uint64
}

// failures are the inputs that could not be read to their end.
type failures struct {
	mu    sync.Mutex
	files map[*File]error
}

func (f *failures) add(file *File, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files[file] == nil {
		f.files[file] = err
	}
}

func (f *failures) has(file *File) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.files[file] != nil
}

// partsOf divides the tasks of the inputs.
func partsOf(inputs []Input, rowBytes int64) (parts []message.Range) {
	rows, all := int64(0), message.Range{First: message.MaxTasks}
	for _, in := range inputs {
		if n := len(in.Tasks); n > 0 {
			rows += in.Tasks.Len()
			all.First, all.Last = min(all.First, in.Tasks[0].First), max(all.Last, in.Tasks[n-1].Last)
		}
	}
	if rows == 0 {
		return nil
	}
	tasks := (all.Last-all.First)/((rows*rowBytes+partBytes-1)/partBytes) + 1 // of a part
	for first := all.First; first <= all.Last; first += tasks {
		parts = append(parts, message.Range{First: first, Last: min(first+tasks-1, all.Last)})
	}
	return parts
}

// merging is what one goroutine merges with.
type merging struct {
	streams []*stream
	most    int64     // rows of a block
	next    *filled   // where the next rows go to
	full    []*filled // what waits to be visited
	spare   []*filled

	visits *visits
	broken *failures
}

// newMerging returns what one of so many workers merges with.
func newMerging(columns table.Columns, inputs []Input, workers int, v *visits, broken *failures) *merging {
	m := &merging{most: int64(max(1, blockBytes/columns.RowBytes())), visits: v, broken: broken}
	share := aheadBytes / (len(inputs) * workers)
	for _, in := range inputs {
		m.streams = append(m.streams, newStream(in, share))
	}
	for range blocks {
		f := &filled{table.NewBlock(columns, int(m.most)), make([]uint64, m.most)}
		f.block.Grow(int(m.most))
		m.spare = append(m.spare, f)
	}
	m.next = m.another()
	return m
}

// another takes a block to be filled from those that are spare.
func (m *merging) another() *filled {
	last := len(m.spare) - 1
	f := m.spare[last]
	m.spare = m.spare[:last]
	f.block.Truncate(int(m.most))
	f.digests = f.digests[:m.most]
	return f
}

// merge merges the tasks of a part.
func (m *merging) merge(ctx context.Context, part message.Range) error {
	var left []*stream
	for _, s := range m.streams {
		if s.begin(part); !m.broken.has(s.input.File) && s.next() {
			left = append(left, s)
		}
	}
	rows := int64(0)
	for len(left) > 0 {
		s, until := lowest(left)
		n := min(s.run.n, until-s.run.first, m.most-rows)
		err := s.take(m.next.block, m.next.digests, rows, n)
		if err != nil {
			m.broken.add(s.input.File, err)
		} else {
			rows += n
		}
		if err != nil || s.run.n == 0 && !s.next() {
			left = slices.DeleteFunc(left, func(other *stream) bool { return other == s })
		}
		if rows == 0 || rows < m.most && len(left) > 0 {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := m.visit(rows); err != nil {
			return err
		}
		rows = 0
	}
	return nil
}

// visit has so many rows of the block visited, now or with a later one: while
// others visit theirs, there is another block to fill.
func (m *merging) visit(rows int64) error {
	m.next.block.Truncate(int(rows))
	m.next.digests = m.next.digests[:rows]
	m.full = append(m.full, m.next)
	done, err := m.visits.all(m.full, len(m.spare) == 0)
	if err != nil {
		return err
	}
	if done {
		m.spare, m.full = append(m.spare, m.full...), m.full[:0]
	}
	m.next = m.another()
	return nil
}

// lowest returns the stream with the lowest task, and the lowest task of the
// others, which is higher.
func lowest(streams []*stream) (s *stream, until int64) {
	s, until = streams[0], message.MaxTasks
	for _, other := range streams[1:] {
		switch {
		case other.run.first < s.run.first:
			s, until = other, s.run.first
		case other.run.first == s.run.first:
			panic(fmt.Sprintf("shard: task %d is of two inputs", s.run.first)) // as Merge forbids
		default:
			until = min(until, other.run.first)
		}
	}
	return s, until
}

// stream is the rows of an input that are in a part.
type stream struct {
	input   Input
	tasks   cursor
	run     run // what comes before tasks
	columns []*reading
}

// newStream returns a stream with about so many bytes of buffers.
func newStream(in Input, bytes int) *stream {
	s := &stream{input: in}
	rowBytes := 0
	for _, width := range in.File.widths {
		rowBytes += int(width)
	}
	rows := min(aheadRows, bytes/rowBytes)
	small := min(aheadSmall, bytes/len(in.File.extents))
	for c, extent := range in.File.extents {
		s.columns = append(s.columns, &reading{
			file: in.File.file, extent: extent, next: -1,
			ahead: bufio.NewReaderSize(nil, max(rows*int(in.File.widths[c]), small)),
		})
	}
	return s
}

func (s *stream) begin(part message.Range) {
	s.tasks = newCursor(s.input, part)
}

// next goes to the next run, if there is one.
func (s *stream) next() (ok bool) {
	if s.run, ok = s.tasks.next(); !ok {
		return false
	}
	for c, r := range s.columns {
		r.seek(s.run.row * s.input.File.widths[c])
	}
	return true
}

// take puts the next n rows of the run into the block, as rows at, at+1, ...
func (s *stream) take(block *table.Block, digests []uint64, at, n int64) error {
	f := s.input.File
	for c, r := range s.columns {
		if err := r.fill(block.Column(c)[at*f.widths[c] : (at+n)*f.widths[c]]); err != nil {
			return err
		}
	}
	for i := range n {
		var err error
		if digests[at+i], err = f.checkRow(s.run.row+i, s.run.first+i, block.Row(int(at+i))); err != nil {
			return err
		}
	}
	s.run = run{s.run.first + n, s.run.n - n, s.run.row + n}
	return nil
}

// reading reads a column of a file.
type reading struct {
	file   io.ReaderAt
	extent column.Extent
	ahead  *bufio.Reader
	next   int64 // byte of the column
}

// seek goes to a byte of the column.
func (r *reading) seek(at int64) {
	if skip := at - r.next; r.next >= 0 && 0 <= skip && skip <= int64(r.ahead.Buffered()) {
		_, _ = r.ahead.Discard(int(skip)) // it is there
	} else {
		r.ahead.Reset(io.NewSectionReader(r.file, r.extent.Offset+at, r.extent.Bytes-at))
	}
	r.next = at
}

// fill fills p with the next bytes.
func (r *reading) fill(p []byte) error {
	n, err := io.ReadFull(r.ahead, p)
	r.next += int64(n)
	if err == nil { // for each row
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShorter
	}
	return err
}

// run is n consecutive tasks from first on, which are the rows from row on.
type run struct{ first, n, row int64 }

// cursor goes through the tasks of a shard that are wanted and in a part.
type cursor struct {
	has, want message.Ranges
	part      message.Range
	row       int64 // of the first task of has
}

func newCursor(in Input, part message.Range) cursor {
	has, want := firstOf(in.File.tasks, part), firstOf(in.Tasks, part)
	c := cursor{has: in.File.tasks[has:], want: in.Tasks[want:], part: part}
	if has < len(in.File.starts) {
		c.row = in.File.starts[has]
	}
	return c
}

// firstOf returns the number of the first range that is not before the part.
func firstOf(tasks message.Ranges, part message.Range) int {
	return sort.Search(len(tasks), func(i int) bool { return tasks[i].Last >= part.First })
}

// drop goes past the first range of has.
func (c *cursor) drop() {
	c.row += c.has[0].Last - c.has[0].First + 1
	c.has = c.has[1:]
}

func (c *cursor) next() (run, bool) {
	for len(c.has) > 0 && len(c.want) > 0 && min(c.has[0].First, c.want[0].First) <= c.part.Last {
		has, want := c.has[0], c.want[0]
		first, last := max(has.First, want.First, c.part.First), min(has.Last, want.Last, c.part.Last)
		row := c.row + first - has.First
		if want.Last <= has.Last {
			c.want = c.want[1:]
		}
		if has.Last <= want.Last {
			c.drop()
		}
		if first <= last {
			return run{first, last - first + 1, row}, true
		}
	}
	return run{}, false
}
