package cli

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/rescue"
	"windrow/internal/shard"
	"windrow/internal/table"
	"windrow/worker"
)

// roleImporter is the process of `recover --run` that turns rows of files of
// others into shards, before the workers start.
const roleImporter = "importer"

func newImporter(a *app) *cobra.Command {
	f, path := roleFlags{}, ""
	c := &cobra.Command{
		Use:    roleImporter + " FILE...",
		Short:  "Record the rows of tasks that files of others have; for windrow itself",
		Hidden: true,
		RunE:   func(_ *cobra.Command, files []string) error { return a.importRows(f, path, files) },
	}
	f.add(c)
	c.Flags().StringVar(&path, "spec", "", "spec of the run")
	return c
}

func (a *app) importRows(f roleFlags, path string, files []string) error {
	plan, err := loadPlan(a.stops.gentle, path)
	if err != nil {
		return err
	}
	t := tasksOf(plan)
	return a.serveRuns(a.stops.gentle, roleWorker, f, func(ctx context.Context, m *member) error {
		if plan.Digest != m.run.Digest() {
			return fmt.Errorf("run %s is not of %s", m.run.ID(), path)
		}
		i := &importer{member: m, columns: plan.Planned.Columns, keys: len(t.key), worker: worker.New(worker.Config{
			ID: m.id, Shards: m.shards, Folder: m.folder, Digest: m.run.Digest(),
			Queue: workerQueue{m.run}, Ledger: m.ledger, Log: m.log,
		})}
		if err := m.ledger.CatchUp(ctx); err != nil {
			return err
		}
		r, err := newReader()
		if err != nil {
			return err
		}
		defer r.Close()
		if i.salvage, err = newSalvage(r, t); err != nil {
			return err
		}
		for _, file := range files {
			if err := i.file(ctx, file); err != nil {
				return err
			}
		}
		return nil
	})
}

// importer records the rows of files in the ledger of a run.
type importer struct {
	*member
	salvage *salvage
	worker  *worker.Worker
	columns table.Columns
	keys    int
	from    message.Imported
	pending *table.Block // rows in the order in which they were found
}

// Limits of a shard of imported rows.
const (
	maxImportRows  = 5000
	maxImportBytes = 64 << 20
)

func (i *importer) file(ctx context.Context, path string) error {
	most := min(maxImportRows, max(1, maxImportBytes/i.columns.RowBytes()))
	i.pending = table.NewBlock(i.columns, 0)
	i.from = message.Imported{File: filepath.Base(path)}
	_, err := i.salvage.file(ctx, path, func(index int64, rec rescue.Record) error {
		if !i.waits(index) {
			return nil
		}
		if i.from.SHA256 == "" { // it is there, and has rows
			var err error
			if i.from.SHA256, _, err = shard.Hash(path); err != nil {
				return err
			}
		}
		if err := i.add(index, rec); err != nil {
			return err
		}
		if i.pending.Len() < most {
			return nil
		}
		return i.flush(ctx)
	})
	if err != nil {
		return fmt.Errorf("import rows of %s: %w", path, err)
	}
	return i.flush(ctx)
}

// waits tells whether nobody has recorded the task.
func (i *importer) waits(index int64) (waits bool) {
	i.ledger.View(func(s *ledger.State) { waits = s.Status(index) == ledger.Waiting })
	return waits
}

func (i *importer) add(index int64, rec rescue.Record) error {
	key, err := rescue.KeyValues(i.columns[1:1+i.keys], rec)
	if err != nil {
		return err
	}
	row := i.pending.Append()
	row.SetTask(index)
	if err := row.SetKey(key); err != nil {
		return err
	}
	return rescue.Fill(row, i.salvage.declared.results, rec)
}

// flush announces the pending rows, in the order of their tasks.
func (i *importer) flush(ctx context.Context) error {
	n := i.pending.Len()
	if n == 0 {
		return nil
	}
	order := make([]int, n)
	for at := range order {
		order[at] = at
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(i.pending.Row(a).Task(), i.pending.Row(b).Task()) })
	sorted := table.NewBlock(i.columns, n)
	for _, at := range order {
		row := sorted.Append()
		for c := range i.columns {
			copy(row.Bytes(c), i.pending.Row(at).Bytes(c))
		}
	}
	i.pending.Truncate(0)
	return i.worker.Import(ctx, sorted, i.from)
}
