package producer

import (
	"context"
	"fmt"

	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/simulator"
	"windrow/internal/spec"
	"windrow/internal/table"
)

// Plan is a run before it starts: what its spec comes to.
type Plan struct {
	Spec     *spec.Spec
	Digest   message.Digest
	Planned  *message.Planned
	Settings *message.Settings
	Warnings []string // what is odd about the files that the spec names
}

// Continue makes the plan that of a run which was begun with other files.
func (p *Plan) Continue(d message.Digest, planned *message.Planned) { p.Digest, p.Planned = d, planned }

// NewPlan works out the plan of a spec. It reads every file that the spec
// names, to hash it and to count the tasks. What is wrong with the spec is
// returned as spec.Problems. The reader reads the HDF5 files that the spec leads
// to.
func NewPlan(ctx context.Context, s *spec.Spec, reader *foreign.Reader) (*Plan, error) {
	model, err := simulator.Describe(ctx, s, reader)
	if err != nil {
		return nil, err
	}
	tasks, err := s.TaskCount()
	if err != nil {
		return nil, err
	}
	keys, err := s.KeyColumns()
	if err != nil {
		return nil, err
	}
	files, err := s.Files()
	if err != nil {
		return nil, err
	}
	canonical, err := s.Canonical()
	if err != nil {
		return nil, err
	}
	columns := append(table.Columns{table.TaskIndex()}, keys...)
	columns = append(columns, model.Columns...)
	columns = append(columns, s.CodeColumns()...)
	if err := columns.Validate(); err != nil {
		return nil, spec.Problems{s.Problem("columns", nil, "%v", err)}
	}
	settings := s.Settings()
	return &Plan{
		Spec:     s,
		Digest:   spec.Digest(canonical, files, model.Model),
		Settings: &settings,
		Warnings: model.Warnings,
		Planned: &message.Planned{
			Name: s.Name, Tasks: tasks, Spec: canonical, Keys: keyNames(keys),
			Columns: columns, Files: files, Model: model.Model, Source: model.Source, Inputs: model.Inputs,
		},
	}, nil
}

func keyNames(keys table.Columns) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return names
}

// ID returns the id of the run.
func (p *Plan) ID() message.RunID { return message.NewRunID(p.Planned.Name, p.Digest) }

// TaskBytes returns the mean payload size of the first tasks.
func (p *Plan) TaskBytes() (int64, error) {
	const sample = 1000
	var bytes, n int64
	for t, err := range p.Spec.TasksFrom(0) {
		if err != nil {
			return 0, err
		}
		payload, err := message.EncodeTask(p.Digest, t)
		if err != nil {
			return 0, fmt.Errorf("task %d: %w", t.Index, err)
		}
		bytes += int64(len(payload))
		if n++; n == sample {
			break
		}
	}
	return bytes / max(n, 1), nil
}

// TaskStreamBytes returns the size limit of the tasks stream: room for every
// task twice, with the broker's 110 bytes for each, and 64 MiB more.
func (p *Plan) TaskStreamBytes() (int64, error) {
	each, err := p.TaskBytes()
	return 2*p.Planned.Tasks*(each+110) + 64<<20, err
}

// BrokerBytes returns what the streams take on the disk of the broker, roughly:
// the tasks, and 16 MiB for the ledger and the broker itself.
func (p *Plan) BrokerBytes() (int64, error) {
	each, err := p.TaskBytes()
	return p.Planned.Tasks*(each+110) + 16<<20, err
}

// EventStreamBytes returns the size limit of the events stream: 256 MiB, and
// 1 KiB for each shard of up to a million. That is a shard for every task where
// tasks are long; where they are short, shards hold thousands.
func (p *Plan) EventStreamBytes() int64 {
	return 256<<20 + 1<<10*min(p.Planned.Tasks, 1_000_000)
}
