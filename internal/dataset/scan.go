package dataset

import (
	"context"
	"errors"
	"fmt"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/table"
)

// scanBytes is about how many bytes are read at a time.
const scanBytes = 4 << 20

// blockRows returns how many rows of rowBytes bytes to read at a time.
func blockRows(rowBytes int) int64 { return int64(max(1, scanBytes/rowBytes)) }

// scan opens the file afresh and hands the columns of its root, block by block
// in order, to visit, which must not keep the block. There must be rows rows.
func scan(ctx context.Context, path string, columns table.Columns, rows int64, visit func(first int64, block *table.Block) error) (err error) {
	f, err := h5.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	set, err := column.Open(f, "", columns)
	if err != nil {
		return corrupt(err)
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if set.Rows() != rows {
		return fmt.Errorf("%d rows instead of %d: %w", set.Rows(), rows, ErrCorrupt)
	}
	most := min(blockRows(columns.RowBytes()), max(rows, 1))
	block := table.NewBlock(columns, int(most))
	block.Grow(int(most))
	for first := int64(0); first < rows; first += most {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		block.Truncate(int(min(most, rows-first)))
		if err := set.Read(first, block); err != nil {
			return fmt.Errorf("read rows from %d on: %w", first, err)
		}
		if err := visit(first, block); err != nil {
			return err
		}
	}
	return nil
}
