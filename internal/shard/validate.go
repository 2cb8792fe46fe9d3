package shard

import (
	"errors"
	"fmt"

	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/internal/table"
)

// Expected is what a worker knows of the rows it produced.
type Expected struct {
	Columns table.Columns
	Tasks   []int64  // index of each row's task, ascending
	Digests []uint64 // table.Row.Digest of each row
}

// Validate opens the shard at path afresh and reads all of its rows. It returns
// where the columns lie in the file, in their order, if it is of the run with
// digest d, has the wanted columns, types and shapes, the wanted tasks in order,
// no value that breaks what its column declares, and rows with the wanted
// digests. The error names the row or dataset and what is wrong with it.
//
// It opens bytes that nobody has hashed, so it is for files that this process
// has written.
func Validate(path string, d message.Digest, want Expected) (extents []column.Extent, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("validate shard: %w", err)
		}
	}()
	f, err := h5.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := checkOrigin(f, d); err != nil {
		return nil, err
	}
	set, err := column.Open(f, "", want.Columns)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if err := want.check(set); err != nil {
		return nil, err
	}
	return set.Extents()
}

// checkBytes is about how many bytes of a shard are checked at a time.
const checkBytes = 4 << 20

func (want Expected) check(set *column.Set) error {
	if set.Rows() != int64(len(want.Tasks)) || len(want.Tasks) != len(want.Digests) {
		return fmt.Errorf("%d rows: expected %d with %d digests", set.Rows(), len(want.Tasks), len(want.Digests))
	}
	most := min(max(1, checkBytes/want.Columns.RowBytes()), len(want.Tasks))
	block := table.NewBlock(want.Columns, most)
	block.Grow(most)
	for first := 0; first < len(want.Tasks); first += most {
		block.Truncate(min(most, len(want.Tasks)-first))
		if err := set.Read(int64(first), block); err != nil {
			return err
		}
		for i := range block.Len() {
			if err := want.checkRow(first+i, block.Row(i)); err != nil {
				return fmt.Errorf("row %d: %w", first+i, err)
			}
		}
	}
	return nil
}

func (want Expected) checkRow(i int, row table.Row) error {
	if row.Task() != want.Tasks[i] {
		return fmt.Errorf("dataset %s: task %d, expected %d", table.TaskColumn, row.Task(), want.Tasks[i])
	}
	if err := row.Check(); err != nil {
		return err
	}
	if got := row.Digest(); got != want.Digests[i] {
		return fmt.Errorf("digest %016x, but %016x when it was produced", got, want.Digests[i])
	}
	return nil
}
