// Command merge measures the merger's work on files alone, without a broker:
// shards into a partial, and that into a dataset.
//
//	merge make DIR ORDER [SHARDS ROWS]   writes shards; ORDER is blocks or random
//	merge run DIR OUT.h5 STORAGE         merges them and keeps the dataset
//
// The rows are those of a campaign: layouts of 20 to 100 turbines, NaN beyond,
// and five numbers and texts, 1648 bytes. Blocks of 256 rows are dealt to the
// shards in turn, or single rows at random. The second prints the seconds until
// the rows were in place, until they were durable, until the dataset was
// verified and had its name, and what a verification alone takes; and the most
// memory that the process had until then, in MiB.
package main

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"windrow/internal/dataset"
	"windrow/internal/fault"
	"windrow/internal/message"
	"windrow/internal/shard"
	"windrow/internal/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "merge:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 3 && args[0] == "make":
		return makeShards(args[1], args[2], 32, 30_720)
	case len(args) == 5 && args[0] == "make":
		shards, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		rows, err := strconv.Atoi(args[4])
		if err != nil {
			return err
		}
		return makeShards(args[1], args[2], shards, rows)
	case len(args) == 4 && args[0] == "run":
		return merge(ctx, args[1], args[2], message.Storage(args[3]))
	}
	return errors.New("usage: merge make DIR ORDER [SHARDS ROWS] | merge run DIR OUT.h5 STORAGE")
}

var (
	digest  = message.Digest(strings.Repeat("ab", 32))
	columns = table.Columns{
		table.TaskIndex(),
		{Name: "farm_id", Type: table.Type{Kind: table.Int64}},
		{Name: "farm_type", Type: table.Type{Kind: table.String, Length: 16}},
		{Name: "seed", Type: table.Type{Kind: table.Int64}},
		{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 100}, {Name: "xy", Size: 2}}, Unit: "m"},
		{Name: "aep", Type: table.Type{Kind: table.Float64}, Unit: "GWh"},
	}
)

// makeShards writes shards of rows rows each, and what their worker would have
// announced.
func makeShards(dir, order string, shards, rows int) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	tasks := deal(order, shards, rows)
	if tasks == nil {
		return fmt.Errorf("order %s: blocks or random", order)
	}
	var events []*message.Shard
	for k := range shards {
		path := filepath.Join(dir, fmt.Sprintf("worker_%03d.h5", k))
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		event, err := makeShard(path, tasks[k])
		if err != nil {
			return err
		}
		events = append(events, event)
	}
	return writeEvents(filepath.Join(dir, eventsName), events)
}

// eventsName is a file of gob: JSON of a million ranges takes longer to read than
// to merge them.
const eventsName = "events.gob"

func writeEvents(path string, events []*message.Shard) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return gob.NewEncoder(file).Encode(events)
}

func readEvents(path string) (events []*message.Shard, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return events, gob.NewDecoder(file).Decode(&events)
}

// makeShard writes a shard as a worker does, and returns what it announces.
func makeShard(path string, tasks []int64) (*message.Shard, error) {
	rows := block(tasks)
	want := shard.Expected{Columns: columns, Tasks: tasks, Digests: rows.Digests()}
	if err := shard.Write(path, digest, rows, want.Digests); err != nil {
		return nil, err
	}
	extents, err := shard.Validate(path, digest, want)
	if err != nil {
		return nil, err
	}
	e, err := shard.Announce(path, extents, want)
	if err == nil {
		e.Name = filepath.Base(path)
	}
	return e, err
}

// deal returns the tasks of each shard, ascending.
func deal(order string, shards, rows int) [][]int64 {
	const together = 256
	tasks := make([][]int64, shards)
	all := make([]int64, shards*rows)
	for i := range all {
		all[i] = int64(i)
	}
	switch order {
	case "blocks":
		for i, task := range all {
			k := i / together % shards
			tasks[k] = append(tasks[k], task)
		}
	case "random":
		random := rand.New(rand.NewPCG(7, 7))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for k := range shards {
			tasks[k] = all[k*rows : (k+1)*rows]
			slices.Sort(tasks[k])
		}
	default:
		return nil
	}
	return tasks
}

func block(tasks []int64) *table.Block {
	types := []string{"grid", "staggered", "random", "optimized", "boundary"}
	block := table.NewBlock(columns, len(tasks))
	layout := make([]float64, 200)
	for _, task := range tasks {
		random := rand.New(rand.NewPCG(1, uint64(task)))
		row := block.Append()
		row.SetTask(task)
		n := 2 * (20 + random.IntN(81))
		for i := range n {
			layout[i] = random.Float64() * 5000
		}
		row.SetFloats(4, layout[:n]...)
		row.SetFloats(5, random.Float64()*1000)
		for c, value := range []any{nil, task + 10_000, types[task%5], task * 2_654_435_761 % (1 << 31)} {
			if value == nil {
				continue
			}
			if err := row.Set(c, 0, value); err != nil {
				panic(err) // every value fits its column
			}
		}
	}
	return block
}

// merge does what the merger does with all shards at hand.
func merge(ctx context.Context, dir, out string, storage message.Storage) error {
	events, err := readEvents(filepath.Join(dir, eventsName))
	if err != nil {
		return err
	}
	form := formOf(events, storage)
	begun := time.Now()
	partial, err := dataset.OpenPartial(out, form)
	if err != nil {
		return err
	}
	defer func() { _ = partial.Close() }() // what matters was synced
	opened := time.Now()
	if err := copyAll(ctx, partial, dir, events); err != nil {
		return err
	}
	copied := time.Since(opened)
	if !fault.Enabled { // else this is about the page cache, and ends at a crash point
		if err := partial.Sync(); err != nil {
			return err
		}
	}
	synced := time.Since(begun)
	finished, err := partial.Finish(ctx, nil, nil)
	if err != nil {
		return err
	}
	if err := finished.Commit(); err != nil {
		return err
	}
	whole := time.Since(begun)
	memory := peak()
	verified, err := verify(ctx, out)
	if err != nil {
		return err
	}
	fmt.Printf("%.3f %.3f %.3f %.3f %d\n", copied.Seconds(), synced.Seconds(), whole.Seconds(), verified.Seconds(), memory)
	return dataset.Remove(out)
}

func formOf(events []*message.Shard, storage message.Storage) dataset.Form {
	var tasks int64
	for _, e := range events {
		tasks += e.Rows.Len()
	}
	form := dataset.Form{
		Digest: digest, Version: "bench", Rows: message.DropRows, Storage: storage,
		Planned: &message.Planned{
			Name: "bench", Tasks: tasks, Spec: json.RawMessage("{}"), Keys: []string{"farm_id", "farm_type", "seed"},
			Columns: columns, Model: "bench 1", Source: "made up",
		},
	}
	if storage == message.Gzip {
		form.Level = 1 // what the spec's default is
	}
	return form
}

// copyAll copies shards as the merger does, which also bounds their rows and
// bytes: within these bounds here.
func copyAll(ctx context.Context, partial *dataset.Partial, dir string, events []*message.Shard) error {
	for some := range slices.Chunk(events, shard.MostInputs) {
		if err := copySome(ctx, partial, dir, some); err != nil {
			return err
		}
	}
	return nil
}

func copySome(ctx context.Context, partial *dataset.Partial, dir string, events []*message.Shard) (err error) {
	inputs := make([]shard.Input, len(events))
	defer func() {
		for _, in := range inputs {
			if in.File != nil {
				err = errors.Join(err, in.File.Close())
			}
		}
	}()
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range events {
		group.Go(func() error {
			file, err := shard.Open(filepath.Join(dir, e.Name), e, columns)
			inputs[i] = shard.Input{File: file, Tasks: e.Rows}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	broken, err := shard.Merge(ctx, columns, inputs, partial.Copy)
	if len(broken) > 0 {
		err = errors.Join(err, fmt.Errorf("%d shards are broken", len(broken)))
	}
	return err
}

func verify(ctx context.Context, path string) (time.Duration, error) {
	begun := time.Now()
	_, err := dataset.Verify(ctx, path)
	return time.Since(begun), err
}

// peak returns the most memory that this process had, in MiB.
func peak() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(text)[0]) // as the kernel writes it
			return kib / 1024
		}
	}
	return 0
}
