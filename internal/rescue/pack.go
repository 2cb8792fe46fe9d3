package rescue

import (
	"context"
	"errors"

	"windrow/internal/chunk"
	"windrow/internal/h5"
)

// pack writes the rows of a merged file to another one, in chunks. Rows come in
// the order of the files, and may have been put in that of a key: only when all
// have their place can chunks be filled from the first to the last.
func (m *merge) pack(ctx context.Context, from, to string) (err error) {
	in, err := h5.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := h5.Create(to, h5.V108)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := m.copyAttributes(out); err != nil {
		return err
	}
	p := &packing{merge: m, in: in, out: out, writer: chunk.NewWriter(m.options.Level)}
	err = p.create()
	for i, c := range p.columns {
		if err == nil {
			err = p.fill(ctx, c, i)
		}
	}
	return errors.Join(err, p.close(ctx))
}

// packing is a file in chunks on its way.
type packing struct {
	*merge

	in, out *h5.File
	writer  *chunk.Writer
	columns []Column      // that are in chunks, as the writer counts them
	open    []*h5.Dataset // of these, until all chunks are written
}

func (p *packing) close(ctx context.Context) error {
	err := p.writer.Close(ctx)
	for _, d := range p.open {
		err = errors.Join(err, d.Close())
	}
	return err
}

// create makes all datasets. Only then may chunks be written, which happens
// beside this goroutine: where they lie would depend on chance.
func (p *packing) create() error {
	for _, c := range p.schema.columns {
		t, dims, rowBytes := p.stored(c), append([]int64{p.report.Rows}, c.Shape...), int(c.rowBytes())
		if t.Kind == h5.VarText {
			if err := p.texts(c, dims); err != nil {
				return err
			}
			continue
		}
		n := chunk.Rows(p.report.Rows, rowBytes)
		d, err := p.out.CreateChunked(c.Name, t, dims, n, p.options.Level)
		if err != nil {
			return err
		}
		p.open, p.columns = append(p.open, d), append(p.columns, c)
		if err := p.schema.of[c.Name].copyTo(d); err != nil {
			return err
		}
		p.writer.Add(d, n, rowBytes, t.Bytes())
	}
	return nil
}

// fill copies the rows of a column, which the writer knows by its number.
func (p *packing) fill(ctx context.Context, c Column, number int) (err error) {
	in, err := p.in.Dataset(c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for first, n := range blocks(p.report.Rows, c.rowBytes()) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rows := make([]byte, n*c.rowBytes())
		if err := in.ReadAny(first, n, rows); err != nil {
			return err
		}
		if err := p.writer.Write(ctx, number, rows); err != nil {
			return err
		}
	}
	return nil
}

// texts copies text of any length, which stays in one piece: what a chunk of it
// would hold is only where the texts are.
func (p *packing) texts(c Column, dims []int64) (err error) {
	in, err := p.in.Dataset(c.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := p.out.Create(c.Name, p.stored(c), dims)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := p.schema.of[c.Name].copyTo(out); err != nil {
		return err
	}
	for first, n := range blocks(p.report.Rows, c.rowBytes()) {
		texts, err := in.ReadText(first, n)
		if err != nil {
			return err
		}
		if err := out.WriteText(first, n, texts); err != nil {
			return err
		}
	}
	return nil
}
