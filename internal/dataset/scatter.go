package dataset

import (
	"slices"

	"windrow/internal/table"
)

// piece is n rows of a block, from row from on, of the consecutive tasks first,
// first+1, ...
type piece struct {
	from, n int
	first   int64
}

// end returns the task after the last.
func (p piece) end() int64 { return p.first + int64(p.n) }

// piecesOf returns the rows of the block.
func piecesOf(rows *table.Block) []piece {
	var pieces []piece
	for i := range rows.Len() {
		task := rows.Row(i).Task()
		if k := len(pieces) - 1; k >= 0 && pieces[k].end() == task {
			pieces[k].n++
		} else {
			pieces = append(pieces, piece{i, 1, task})
		}
	}
	return pieces
}

const (
	// gapBytes is how far apart pieces may be to be written at once: as far as
	// copying what is between them costs no more than one more system call.
	gapBytes    = 2 << 10
	windowBytes = 1 << 20
)

// scatter writes the pieces of a column to their places. Tasks in no order make
// a piece of each row, so small ones that are close together are put into a
// window of the file, which is read and written again.
func (c *canvas) scatter(column int, rows *table.Block, pieces []piece) error {
	width := int64(rows.Columns()[column].RowBytes())
	start := c.places[column].Offset
	var window []byte
	for len(pieces) > 0 {
		n := closeTogether(pieces, width)
		first, last := pieces[0], pieces[n-1]
		offset, bytes := start+first.first*width, rowsOf(rows, column, first.from, first.n)
		if n > 1 {
			size := int((last.end() - first.first) * width)
			window = slices.Grow(window[:0], size)[:size]
			if err := c.fillWindow(window, offset, width, column, rows, pieces[:n]); err != nil {
				return err
			}
			bytes = window
		}
		if err := c.write(bytes, offset); err != nil {
			return err
		}
		pieces = pieces[n:]
	}
	return nil
}

// closeTogether returns how many of the pieces belong into one window.
func closeTogether(pieces []piece, width int64) int {
	n := 1
	for n < len(pieces) {
		before, next := pieces[n-1], pieces[n]
		gap := (next.first - before.end()) * width
		span := (next.end() - pieces[0].first) * width
		if gap < 0 || gap > gapBytes || span > windowBytes {
			break
		}
		n++
	}
	return n
}

// fillWindow fills the window with what is at the offset, and the pieces above.
func (c *canvas) fillWindow(window []byte, offset, width int64, column int, rows *table.Block, pieces []piece) error {
	if _, err := c.file.ReadAt(window, offset); err != nil {
		return err
	}
	for _, at := range pieces {
		copy(window[(at.first-pieces[0].first)*width:], rowsOf(rows, column, at.from, at.n))
	}
	return nil
}
