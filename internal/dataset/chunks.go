package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"os"

	"windrow/internal/chunk"
	"windrow/internal/column"
	"windrow/internal/h5"
	"windrow/internal/table"
)

// chunks are the datasets of a file that are in chunks: the scale of the rows,
// and then the root's columns. They stay open until all rows have come.
type chunks struct {
	level    int
	writer   *chunk.Writer
	datasets []*h5.Dataset
}

// create makes the next of them.
func (c *chunks) create(f *h5.File, path string, col table.Column, rows int64) (*h5.Dataset, error) {
	n := chunk.Rows(rows, col.RowBytes())
	d, err := column.CreateChunked(f, path, col, rows, n, c.level)
	if err != nil {
		return nil, err
	}
	c.writer.Add(d, n, col.RowBytes(), col.Type.Bytes())
	c.datasets = append(c.datasets, d)
	return d, nil
}

// close writes what has come.
func (c *chunks) close(ctx context.Context) error {
	err := c.writer.Close(ctx)
	for _, d := range c.datasets {
		err = errors.Join(err, d.Close())
	}
	return err
}

// chunked is a file in chunks on its way. Unlike a canvas it is open in HDF5,
// so it is worthless if the process is killed, and rows must come in order.
type chunked struct {
	builder *builder
	groups  []group
	path    string
	form    Form
}

// createChunked makes the file at path, replacing an old one, with all of its
// HDF5 structure. The caller must call close or finish.
func createChunked(ctx context.Context, path string, form Form, rows int64, appendices []appendix) (*chunked, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	file, err := h5.Create(path, h5.V108)
	if err != nil {
		return nil, noSpace(err, path, Size(form))
	}
	c := &chunked{
		builder: &builder{file: file, chunks: &chunks{level: form.Level, writer: chunk.NewWriter(form.Level)}},
		groups:  form.groups(rows, appendices), path: path, form: form,
	}
	if err = c.builder.structure(form, c.groups); err == nil {
		err = c.count(ctx, rows)
	}
	if err != nil {
		return nil, errors.Join(noSpace(err, path, Size(form)), c.close(ctx))
	}
	return c, nil
}

// count writes the scale of the rows: 0, 1, ...
func (c *chunked) count(ctx context.Context, rows int64) error {
	const most = 1 << 16
	buf := make([]byte, 0, most*8)
	for first := int64(0); first < rows; first += most {
		buf = buf[:0]
		for i := first; i < min(first+most, rows); i++ {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(i))
		}
		if err := c.builder.chunks.writer.Write(ctx, 0, buf); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunked) put(ctx context.Context, _ int64, block *table.Block, from, n int) error {
	for i := range block.Columns() {
		if err := c.builder.chunks.writer.Write(ctx, 1+i, rowsOf(block, i, from, n)); err != nil {
			return noSpace(err, c.path, Size(c.form))
		}
	}
	return nil
}

func (c *chunked) putStatus(ctx context.Context, _ int64, status []byte) error {
	return noSpace(c.builder.chunks.writer.Write(ctx, 1+len(c.form.Planned.Columns), status), c.path, Size(c.form))
}

// finish writes what is left of the rows and opens the file for the content
// that is not in chunks.
func (c *chunked) finish(ctx context.Context) (*canvas, error) {
	if err := c.close(ctx); err != nil {
		return nil, noSpace(err, c.path, Size(c.form))
	}
	return c.builder.open(c.path, c.groups)
}

// close ends HDF5's work on the file.
func (c *chunked) close(ctx context.Context) error {
	return errors.Join(c.builder.chunks.close(ctx), c.builder.close())
}
