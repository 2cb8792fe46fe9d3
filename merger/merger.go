// Package merger turns the shards of a run into its dataset.
//
// It follows the ledger, and copies the rows of each announced shard into the
// partial file as the run goes. A shard that is absent or damaged is rejected;
// tasks that were delivered but never recorded are asked for again. When every
// task is recorded or has failed, it verifies the file, renames it to its
// final name, and seals the ledger.
//
// It keeps no state but the partial file and its checkpoint, and folds the
// ledger from the beginning at every start, so it can be killed anywhere.
//
// The package has no API promise outside this module.
package merger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"windrow/internal/dataset"
	"windrow/internal/fault"
	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/shard"
)

// Queue is what a merger needs of the streams of its run.
type Queue interface {
	// Idle tells whether no task is waiting or being worked at, and up to
	// which sequence of the tasks stream all were delivered.
	Idle(ctx context.Context) (idle bool, delivered uint64, err error)
	// LastTask returns the last sequence of the tasks stream.
	LastTask(ctx context.Context) (uint64, error)
	// Publish appends an event to the ledger and returns its sequence.
	Publish(ctx context.Context, e message.Event) (uint64, error)
	// PublishAfter appends an event if last is the ledger's last sequence,
	// and fails with message.ErrMoved if it is not.
	PublishAfter(ctx context.Context, last uint64, e message.Event) (uint64, error)
}

// Config is what a merger is made of.
type Config struct {
	Output  string // path of the dataset; the caller holds the lock on it
	Shards  string // shards folder of the run
	Folder  string // nonce of the shards folder
	Digest  message.Digest
	Version string // of windrow
	Queue   Queue
	Ledger  *ledger.Follower // somebody else runs it

	// Confirmed tells whether the shards folder is known to be the right one,
	// so that who writes elsewhere is wrong.
	Confirmed func() bool

	ExitWhenSealed bool // also: end when more tasks failed than may, or the run is cancelled
	Log            *slog.Logger
}

// Errors that end a merger.
var (
	// ErrTooManyFailures says that more tasks have failed than the settings
	// permit: no worker fetches any more.
	ErrTooManyFailures = errors.New("more tasks failed than failures.allow or failures.abort_if permits")
	// ErrCancelled says that somebody has cancelled the run.
	ErrCancelled = errors.New("the run is cancelled")
	// ErrVerify says that the dataset differs from the rows that were copied,
	// or that a sealed dataset is gone or is not what was sealed.
	ErrVerify = errors.New("the dataset is not what it should be")
	// ErrFolder says that the shards are not where the workers wrote them.
	ErrFolder = errors.New("the shards folder is not the one that the workers write to")
)

// Merger builds the dataset of one run.
type Merger struct {
	Config
	planned *message.Planned
	form    dataset.Form
	partial *dataset.Partial
	seen    map[uint64]bool      // shards, by event sequence, whose rows are all copied
	absent  map[uint64]time.Time // shards that were not there, since when
	epoch   uint64               // of the ledger that seen and absent are about
	synced  time.Time            // when the partial was last made durable
	dirty   bool                 // rows were copied since
	rounds  int                  // in which verification found damaged rows
	merged  atomic.Int64
}

// Merged returns the bytes of the rows that the partial file holds. It may be
// called while Run is at work.
func (m *Merger) Merged() int64 { return m.merged.Load() }

func (m *Merger) noteMerged() {
	m.merged.Store(m.partial.Copied() * int64(m.planned.Columns.RowBytes()))
}

// New returns a merger that has not started.
func New(c Config) *Merger { return &Merger{Config: c} }

const (
	absentGrace  = 30 * time.Second // for a shard to appear on a network file system
	folderGrace  = 3 * time.Second  // for a worker to confirm that the folder is the right one
	syncInterval = 2 * time.Second
	tick         = 500 * time.Millisecond
	maxRounds    = 3
)

// Run merges until the run is sealed (with ExitWhenSealed) or ctx ends, which
// is no error.
func (m *Merger) Run(ctx context.Context) error {
	err := m.run(ctx)
	if ctx.Err() != nil && (err == nil || errors.Is(err, ctx.Err())) {
		return nil
	}
	return err
}

func (m *Merger) run(ctx context.Context) error {
	for {
		done, err := m.awaitWork(ctx)
		if err != nil || done {
			return err
		}
		err = m.build(ctx)
		if errors.Is(err, message.ErrUnreachable) || errors.Is(err, errChanged) {
			m.Log.WarnContext(ctx, "merging interrupted", "reason", err)
		} else if err != nil {
			return err
		}
	}
}

// errChanged says that the partial is not what the run needs any more.
var errChanged = errors.New("the run has begun anew, or its settings have changed")

// formOf returns what the ledger says of the dataset.
func (m *Merger) formOf(s *ledger.State) dataset.Form {
	var changes []message.Accepted
	for _, a := range s.Accepted() {
		changes = append(changes, a.Accepted)
	}
	return dataset.Form{
		Changes: changes,

		Digest: m.Digest, Planned: s.Planned(), Rows: s.Settings().Rows,
		Storage: s.Settings().Storage, Level: s.Settings().Level, Version: m.Version, Begun: s.Begun(),
	}
}

// isOf tells whether the partial is still of the form that the run needs.
func (m *Merger) isOf(s *ledger.State) bool {
	now := s.Settings()
	return s.Begun().Equal(m.form.Begun) && len(s.Accepted()) == len(m.form.Changes) && now.Rows == m.form.Rows && now.Storage == m.form.Storage && now.Level == m.form.Level
}

// awaitWork waits until the run is planned and not sealed. It returns true if
// the run is sealed and that ends the merger.
func (m *Merger) awaitWork(ctx context.Context) (done bool, err error) {
	var sealed *message.Sealed
	err = m.Ledger.Wait(ctx, func(s *ledger.State) bool {
		m.planned = s.Planned()
		if m.planned == nil || s.Settings() == nil {
			return false
		}
		m.form = m.formOf(s)
		sealed, _ = s.Sealed()
		return sealed == nil || m.ExitWhenSealed
	})
	return sealed != nil, err
}

// build merges until the run is sealed. Whatever ends it, it can be called
// again.
func (m *Merger) build(ctx context.Context) error {
	if sealed, err := m.sealCommitted(ctx); err != nil || sealed {
		return err
	}
	partial, err := dataset.OpenPartial(m.Output, m.form)
	if err != nil {
		return err
	}
	m.partial = partial
	defer func() { _ = m.partial.Close() }() // what matters was synced
	m.noteMerged()
	m.seen, m.absent, m.rounds = map[uint64]bool{}, map[uint64]time.Time{}, 0
	m.Log.InfoContext(ctx, "partial file open", "rows", partial.Copied(), "tasks", m.planned.Tasks)

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		changed := m.Ledger.Changed()
		sealed, err := m.step(ctx)
		if err != nil || sealed {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-ticker.C:
		}
	}
}

// step does what the ledger gives cause for.
func (m *Merger) step(ctx context.Context) (sealed bool, err error) {
	copied, err := m.copyShards(ctx)
	if err != nil || !copied {
		return false, err
	}
	if err := m.sync(false); err != nil {
		return false, err
	}
	var missing, failed int64
	var o outcome
	settled, changed, cancelled, overrun := false, false, false, false
	m.Ledger.View(func(s *ledger.State) {
		if s.Planned() == nil || s.Settings() == nil {
			return // the ledger was dropped and is being read again
		}
		var seq uint64
		_, seq = s.Sealed()
		sealed = seq != 0
		missing, failed, overrun = s.Missing(), s.Failed(), s.Overrun()
		o, cancelled = outcomeOf(s), s.Cancelled()
		// A shard may have come while the others were copied, or the ledger dropped.
		settled, changed = m.hasSeen(s) && m.Ledger.Epoch() == m.epoch, !m.isOf(s)
	})
	switch {
	case changed:
		return false, errChanged
	case sealed || !settled:
		return sealed, nil
	case cancelled:
		if m.ExitWhenSealed {
			return false, ErrCancelled
		}
		return false, nil
	case overrun:
		if m.ExitWhenSealed {
			return false, fmt.Errorf("%d of %d tasks: %w", failed, m.planned.Tasks, ErrTooManyFailures)
		}
		return false, nil
	case missing > 0:
		return false, m.audit(ctx)
	}
	return m.finish(ctx, o)
}

// hasSeen tells whether the rows of all shards in the ledger are copied.
func (m *Merger) hasSeen(s *ledger.State) bool {
	for _, sh := range s.Shards() {
		if sh.Rejected == "" && !m.seen[sh.Seq] {
			return false
		}
	}
	return true
}

// copyShards copies the rows of all shards that were announced. It returns
// false if one is absent and may still appear.
func (m *Merger) copyShards(ctx context.Context) (all bool, err error) {
	if epoch := m.Ledger.Epoch(); epoch != m.epoch {
		m.epoch = epoch
		clear(m.seen)
		clear(m.absent)
	}
	var todo []*ledger.Shard
	m.Ledger.View(func(s *ledger.State) {
		for _, sh := range s.Shards() {
			if sh.Rejected == "" && !m.seen[sh.Seq] {
				todo = append(todo, sh)
			}
		}
	})
	all = true
	for some := range batches(todo) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		copied, err := m.copySome(ctx, some)
		if err != nil {
			return false, err
		}
		all = all && copied
		if err := m.sync(false); err != nil {
			return false, err
		}
	}
	return all, nil
}

// batches yields the shards, as many at once as should be merged.
func batches(shards []*ledger.Shard) iter.Seq[[]*ledger.Shard] {
	return func(yield func([]*ledger.Shard) bool) {
		for len(shards) > 0 {
			n, rows, bytes := 1, shards[0].Rows.Len(), shards[0].Bytes
			for n < min(len(shards), shard.MostInputs) {
				rows += shards[n].Rows.Len()
				bytes += shards[n].Bytes
				if rows > shard.MostRows || bytes > shard.MostBytes {
					break
				}
				n++
			}
			if !yield(shards[:n]) {
				return
			}
			shards = shards[n:]
		}
	}
}

// copySome copies shards, merging their rows. It returns false if one could
// not be copied, and is rejected or may still appear.
func (m *Merger) copySome(ctx context.Context, shards []*ledger.Shard) (all bool, err error) {
	inputs := make([]shard.Input, len(shards))
	m.Ledger.View(func(s *ledger.State) { // at one moment, so that no row is of two
		for i, sh := range shards {
			inputs[i].Tasks = s.OwnedBy(sh)
		}
	})
	errs := m.openAll(ctx, shards, inputs)
	defer func() {
		for _, in := range inputs {
			if in.File != nil {
				err = errors.Join(err, in.File.Close())
			}
		}
	}()
	opened := slices.DeleteFunc(slices.Clone(inputs), func(in shard.Input) bool { return in.File == nil })
	broken, err := shard.Merge(ctx, m.planned.Columns, opened, m.partial.Copy)
	m.dirty = m.dirty || len(opened) > 0
	for i, sh := range shards {
		if reason := broken[inputs[i].File]; reason != nil {
			errs[i] = fmt.Errorf("copy shard %s: %w", sh.Name, reason)
			m.partial.Forget(inputs[i].Tasks) // whoever owns them next gives them again
		}
	}
	m.noteMerged()
	if err != nil {
		return false, fmt.Errorf("copy %d shards: %w", len(opened), err)
	}
	for i, sh := range shards {
		if errs[i] == nil {
			m.copied(ctx, sh, inputs[i])
		}
	}
	// Rejections come last: what is seen then may own more rows than were copied.
	all = true
	for i, sh := range shards {
		if errs[i] == nil {
			continue
		}
		all = false
		if err := m.refuse(ctx, sh, errs[i]); err != nil {
			return false, err
		}
	}
	return all, nil
}

// openAll opens those shards that own rows which the partial does not have, on
// all cores. It returns what was wrong with each.
func (m *Merger) openAll(ctx context.Context, shards []*ledger.Shard, inputs []shard.Input) []error {
	errs := make([]error, len(shards))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, sh := range shards {
		if m.partial.Has(inputs[i].Tasks) {
			continue
		}
		group.Go(func() error {
			inputs[i].File, errs[i] = m.open(ctx, sh)
			return nil
		})
	}
	_ = group.Wait() // no function returns an error
	return errs
}

// open opens a shard, of which it says where it was written and what it was
// announced to be.
func (m *Merger) open(ctx context.Context, sh *ledger.Shard) (*shard.File, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	fault.Point(fault.MergerShardFound)
	if sh.Folder != m.Folder {
		return nil, fmt.Errorf("worker %s wrote shard %s to another folder than %s: %w", sh.Worker, sh.Name, m.Shards, ErrFolder)
	}
	file, err := shard.Open(filepath.Join(m.Shards, sh.Name), sh.Shard, m.planned.Columns)
	if err != nil {
		return nil, fmt.Errorf("copy shard %s: %w", sh.Name, err)
	}
	return file, nil
}

// copied notes that the rows which the shard owns are in the partial.
func (m *Merger) copied(ctx context.Context, sh *ledger.Shard, in shard.Input) {
	m.seen[sh.Seq] = true
	if in.File == nil { // they were before
		return
	}
	fault.Point(fault.MergerShardCopied)
	m.Log.InfoContext(ctx, "shard copied", "shard", sh.Name, "rows", in.Tasks.Len())
}

// refuse decides what becomes of a shard that could not be copied.
func (m *Merger) refuse(ctx context.Context, sh *ledger.Shard, err error) error {
	switch {
	case errors.Is(err, ErrFolder):
		return m.rejectElsewhere(ctx, sh, err)
	case errors.Is(err, shard.ErrAbsent):
		return m.rejectAbsent(ctx, sh, err)
	case errors.Is(err, shard.ErrDamaged):
		return m.reject(ctx, sh, err)
	}
	return err
}

// rejectElsewhere rejects a shard in another folder, if this one is right. A
// merger in the wrong folder would void all work: it ends.
func (m *Merger) rejectElsewhere(ctx context.Context, sh *ledger.Shard, reason error) error {
	right := m.Confirmed()
	m.Ledger.View(func(s *ledger.State) {
		for _, other := range s.Shards() {
			right = right || other.Rejected == "" && other.Folder == m.Folder
		}
	})
	if right {
		return m.reject(ctx, sh, reason)
	}
	if m.waited(sh, folderGrace) {
		return reason
	}
	return nil
}

// waited tells whether a shard that could not be read has been waited for.
func (m *Merger) waited(sh *ledger.Shard, grace time.Duration) bool {
	since, ok := m.absent[sh.Seq]
	if !ok {
		m.absent[sh.Seq] = time.Now()
		return false
	}
	return time.Since(since) >= grace
}

// rejectAbsent rejects a shard that has not appeared for a while. Where the
// folder itself is gone, recomputing would only fill another one.
func (m *Merger) rejectAbsent(ctx context.Context, sh *ledger.Shard, reason error) error {
	if nonce, err := shard.ReadFolder(m.Shards); err != nil || nonce != m.Folder {
		return fmt.Errorf("%s has lost its nonce file: %w", m.Shards, ErrFolder)
	}
	if !m.waited(sh, absentGrace) {
		return nil
	}
	return m.reject(ctx, sh, reason)
}

// reject voids a shard. Its rows fall to the next shard that names them, or
// become missing.
func (m *Merger) reject(ctx context.Context, sh *ledger.Shard, reason error) error {
	m.Log.WarnContext(ctx, "shard rejected", "shard", sh.Name, "worker", sh.Worker, "reason", reason)
	e := &message.Rejected{Event: sh.Seq, Flaw: shard.FlawOf(reason), Reason: message.FirstLine(reason.Error(), 500)}
	seq, err := m.Queue.Publish(ctx, e)
	if err != nil {
		return fmt.Errorf("reject shard %s: %w", sh.Name, err)
	}
	fault.Point(fault.MergerRejected)
	clear(m.seen)
	return m.Ledger.Wait(ctx, func(s *ledger.State) bool { return s.Last() >= seq || m.Ledger.Epoch() != m.epoch })
}

// sync makes copied rows durable from time to time, or now.
func (m *Merger) sync(now bool) error {
	if !m.dirty || !now && time.Since(m.synced) < syncInterval {
		return nil
	}
	if err := m.partial.Sync(); err != nil {
		return fmt.Errorf("write %s.partial: %w", m.Output, err)
	}
	m.dirty, m.synced = false, time.Now()
	return nil
}
