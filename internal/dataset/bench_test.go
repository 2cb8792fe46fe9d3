package dataset_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"windrow/internal/dataset"
	"windrow/internal/message"
	"windrow/internal/shard"
	"windrow/internal/table"
)

// wide is a form whose rows are those of a campaign with layouts of up to 100
// turbines: 1636 bytes.
func wide(n int64) dataset.Form {
	f := form(n, message.DropRows)
	f.Planned.Columns[4].Shape[0].Size = 100
	return f
}

func wideRows(b *testing.B, f dataset.Form, first, n int64) *table.Block {
	b.Helper()
	block := table.NewBlock(f.Planned.Columns, int(n))
	for task := first; task < first+n; task++ {
		row := block.Append()
		row.SetTask(task)
		for i := range 2 * (20 + int(task%80)) {
			row.SetFloats(4, float64(i)*1.1, float64(task))
		}
		row.SetFloats(5, float64(task))
	}
	return block
}

const (
	benchShards    = 16
	benchShardRows = 4096
)

// writeShards writes shards of consecutive tasks and returns their events.
func writeShards(b *testing.B, dir string, f dataset.Form) (events []*message.Shard, size int64) {
	b.Helper()
	for i := range int64(benchShards) {
		path := filepath.Join(dir, string(rune('a'+i)))
		block := wideRows(b, f, i*benchShardRows, benchShardRows)
		want := shard.Expected{Columns: block.Columns(), Digests: block.Digests()}
		for row := range block.Len() {
			want.Tasks = append(want.Tasks, block.Row(row).Task())
		}
		if err := shard.Write(path, f.Digest, block, want.Digests); err != nil {
			b.Fatal(err)
		}
		extents, err := shard.Validate(path, f.Digest, want)
		if err != nil {
			b.Fatal(err)
		}
		e, err := shard.Announce(path, extents, want)
		if err != nil {
			b.Fatal(err)
		}
		e.Name = path
		events = append(events, e)
		size += e.Bytes
	}
	return events, size
}

// BenchmarkMerge compares every byte of the shards with what was announced, and
// copies their rows.
func BenchmarkMerge(b *testing.B) {
	dir := b.TempDir()
	f := wide(benchShards * benchShardRows)
	events, size := writeShards(b, dir, f)
	p := open(b, filepath.Join(dir, "out.h5"), f)
	b.SetBytes(size)
	for b.Loop() {
		merge(b, p, f, events)
	}
}

func merge(b *testing.B, p *dataset.Partial, f dataset.Form, events []*message.Shard) {
	b.Helper()
	var inputs []shard.Input
	for _, e := range events {
		file, err := shard.Open(e.Name, e, f.Planned.Columns)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		inputs = append(inputs, shard.Input{File: file, Tasks: e.Rows})
	}
	if broken, err := shard.Merge(b.Context(), f.Planned.Columns, inputs, p.Copy); err != nil || len(broken) > 0 {
		b.Fatal(err, broken)
	}
}

// BenchmarkCopyFiles is what BenchmarkMerge is to be compared with: the bytes
// of the shards, copied by read and write as cp does.
func BenchmarkCopyFiles(b *testing.B) {
	dir := b.TempDir()
	events, size := writeShards(b, dir, wide(benchShards*benchShardRows))
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	buf := make([]byte, 128<<10)
	b.SetBytes(size)
	for b.Loop() {
		if _, err := out.Seek(0, io.SeekStart); err != nil {
			b.Fatal(err)
		}
		for _, e := range events {
			if err := copyFile(out, e.Name, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func copyFile(out io.Writer, path string, buf []byte) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, buf)
	return errors.Join(err, in.Close())
}

// BenchmarkFinish checks all rows, writes the manifest and verifies the file.
func BenchmarkFinish(b *testing.B) {
	p, _, size := merged(b)
	b.SetBytes(size)
	for b.Loop() {
		finish(b, p)
	}
}

func BenchmarkVerify(b *testing.B) {
	p, out, size := merged(b)
	if err := errors.Join(finish(b, p).Commit(), p.Close()); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	for b.Loop() {
		if _, err := dataset.Verify(b.Context(), out); err != nil {
			b.Fatal(err)
		}
	}
}

func merged(b *testing.B) (p *dataset.Partial, out string, size int64) {
	b.Helper()
	dir := b.TempDir()
	f := wide(benchShards * benchShardRows)
	events, size := writeShards(b, dir, f)
	out = filepath.Join(dir, "out.h5")
	p = open(b, out, f)
	merge(b, p, f, events)
	return p, out, size
}
