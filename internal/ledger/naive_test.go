package ledger_test

import (
	"slices"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// naive computes the state after a history from the definitions in the package
// comment, by looking at the whole history again for every question. It shares
// nothing with the incremental fold. Time is the sequence of an event: the
// state "at t" is the one after the event with sequence t.
type naive struct {
	history []ledger.Entry // sequence k at position k-1
	planned int            // when the run was planned; after the end if never
	tasks   int64

	sealedMemo []int8           // by time: 0 unknown, 1 no, 2 yes
	failedMemo map[[2]int64]int // by index and time: what failure returns
}

func newNaive(history []ledger.Entry) *naive {
	m := &naive{
		history:    history,
		planned:    len(history) + 1,
		sealedMemo: make([]int8, len(history)+1),
		failedMemo: map[[2]int64]int{},
	}
	for k, e := range slices.Backward(history) {
		if planned, ok := e.Event.(*message.Planned); ok {
			m.planned, m.tasks = k+1, planned.Tasks
		}
	}
	return m
}

// open tells whether the event at t can count: the run is planned and, but for
// reopened, not sealed.
func (m *naive) open(t int) bool {
	if t <= m.planned || !m.within(m.history[t-1].Event) {
		return false
	}
	_, reopened := m.history[t-1].Event.(*message.Reopened)
	return reopened || !m.sealed(t-1)
}

func (m *naive) within(e message.Event) bool {
	rows := rowsOf(e)
	return len(rows) == 0 || rows[len(rows)-1].Last < m.tasks
}

// rowsOf returns the indexes that an event names.
func rowsOf(e message.Event) message.Ranges {
	switch e := e.(type) {
	case *message.Shard:
		return e.Rows
	case *message.Missing:
		return e.Rows
	case *message.Reopened:
		return e.Rows
	case *message.Failed:
		var indexes []int64
		for _, f := range e.Failures {
			indexes = append(indexes, f.Index)
		}
		return message.RangesOf(indexes)
	}
	return nil
}

func (m *naive) sealed(t int) bool {
	if t == 0 {
		return false
	}
	if m.sealedMemo[t] == 0 {
		m.sealedMemo[t] = 1
		if m.computeSealed(t) {
			m.sealedMemo[t] = 2
		}
	}
	return m.sealedMemo[t] == 2
}

func (m *naive) computeSealed(t int) bool {
	switch m.history[t-1].Event.(type) {
	case *message.Sealed:
		return t > m.planned
	case *message.Reopened:
		return m.sealed(t-1) && !m.affects(t)
	}
	return m.sealed(t - 1)
}

// affects tells whether the reopened at t names an index that is failed.
func (m *naive) affects(t int) bool {
	return m.open(t) && slices.ContainsFunc(slices.Collect(rowsOf(m.history[t-1].Event).All()), func(i int64) bool {
		return m.failure(i, t-1) != 0
	})
}

// rejectedAt returns when the shard at s was rejected, by time t, or 0.
func (m *naive) rejectedAt(s, t int) int {
	for k := s + 1; k <= t; k++ {
		if r, ok := m.history[k-1].Event.(*message.Rejected); ok && r.Event == uint64(s) && m.open(k) {
			return k
		}
	}
	return 0
}

// owner returns when the shard that owns index i at t was announced, or 0.
func (m *naive) owner(i int64, t int) int {
	for s := 1; s <= t; s++ {
		sh, ok := m.history[s-1].Event.(*message.Shard)
		if ok && sh.Rows.Contains(i) && m.open(s) && m.rejectedAt(s, t) == 0 {
			return s
		}
	}
	return 0
}

// lastVoid returns when, by t, an owner of index i was last rejected.
func (m *naive) lastVoid(i int64, t int) int {
	for k := t; k > 0; k-- {
		r, ok := m.history[k-1].Event.(*message.Rejected)
		if ok && m.open(k) && r.Event != 0 && m.owner(i, k-1) == int(r.Event) {
			return k
		}
	}
	return 0
}

// lastReopened returns when, by t, a reopened last affected index i.
func (m *naive) lastReopened(i int64, t int) (at int, after uint64) {
	for k := t; k > 0; k-- {
		r, ok := m.history[k-1].Event.(*message.Reopened)
		if ok && r.Rows.Contains(i) && m.open(k) && m.failure(i, k-1) != 0 {
			return k, r.After
		}
	}
	return 0, 0
}

// failure returns when the failure of index i that counts at t came, or 0.
func (m *naive) failure(i int64, t int) int {
	key := [2]int64{i, int64(t)}
	if at, ok := m.failedMemo[key]; ok {
		return at
	}
	m.failedMemo[key] = m.computeFailure(i, t)
	return m.failedMemo[key]
}

func (m *naive) computeFailure(i int64, t int) int {
	if m.owner(i, t) != 0 {
		return 0
	}
	reopened, after := m.lastReopened(i, t)
	for k := max(m.lastVoid(i, t), reopened) + 1; k <= t; k++ {
		f, ok := m.history[k-1].Event.(*message.Failed)
		if !ok || !m.open(k) {
			continue
		}
		for _, failure := range f.Failures {
			if failure.Index == i && failure.Copy > after {
				return k
			}
		}
	}
	return 0
}

// request returns the highest After that asks for index i at t, and when it
// was first asked with it.
func (m *naive) request(i int64, t int) (after, cause uint64) {
	for k := 1; k <= t; k++ {
		var asks bool
		var a uint64
		switch e := m.history[k-1].Event.(type) {
		case *message.Missing:
			asks, a = m.open(k) && e.Rows.Contains(i) && m.owner(i, k-1) == 0 && m.failure(i, k-1) == 0, e.After
		case *message.Reopened:
			asks, a = m.open(k) && e.Rows.Contains(i) && m.failure(i, k-1) != 0, e.After
		}
		if asks && (cause == 0 || a > after) {
			after, cause = a, uint64(k)
		}
	}
	return after, cause
}

// snapshot is all that a State says.
type snapshot struct {
	Tasks, Recorded, Failed, Missing int64
	Settings                         *message.Settings
	Sealed                           uint64
	Indexes                          []indexSnapshot
	Shards                           []shardSnapshot
	Duplicates                       int64
	Unrecorded                       string
	Requests                         []ledger.Request
}

type indexSnapshot struct {
	Status  ledger.Status
	Owner   uint64
	Failure uint64
}

type shardSnapshot struct {
	Seq      uint64
	Rejected bool
	Owned    string
}

func (m *naive) snapshot() snapshot {
	now := len(m.history)
	snap := snapshot{Tasks: m.tasks}
	var waiting []int64
	for i := range snap.Tasks {
		at := indexSnapshot{Owner: uint64(m.owner(i, now)), Failure: uint64(m.failure(i, now))}
		switch {
		case at.Owner != 0:
			at.Status = ledger.Recorded
			snap.Recorded++
		case at.Failure != 0:
			at.Status = ledger.Failed
			snap.Failed++
		default:
			waiting = append(waiting, i)
			if after, cause := m.request(i, now); cause != 0 {
				snap.Requests = append(snap.Requests, ledger.Request{Index: i, After: after, Cause: cause})
			}
		}
		snap.Indexes = append(snap.Indexes, at)
	}
	snap.Missing = int64(len(waiting))
	snap.Unrecorded = message.RangesOf(waiting).String()
	for t := 1; t <= now; t++ {
		m.addEvent(&snap, t)
	}
	return snap
}

func (m *naive) addEvent(snap *snapshot, t int) {
	if !m.open(t) {
		return
	}
	now := len(m.history)
	switch e := m.history[t-1].Event.(type) {
	case *message.Settings:
		snap.Settings = e
	case *message.Sealed:
		if m.sealed(now) {
			snap.Sealed = uint64(t)
		}
	case *message.Shard:
		var owned []int64
		for i := range e.Rows.All() {
			if m.owner(i, now) == t {
				owned = append(owned, i)
			}
			if m.owner(i, t-1) != 0 {
				snap.Duplicates++
			}
		}
		snap.Shards = append(snap.Shards, shardSnapshot{uint64(t), m.rejectedAt(t, now) != 0, message.RangesOf(owned).String()})
	}
}

// snapshotOf asks s for everything.
func snapshotOf(s *ledger.State) snapshot {
	snap := snapshot{
		Tasks: s.Tasks(), Recorded: s.Recorded(), Failed: s.Failed(), Missing: s.Missing(),
		Settings: s.Settings(), Duplicates: s.Counters().DuplicateRows, Unrecorded: s.Unrecorded().String(),
		Requests: slices.Collect(s.Requests()),
	}
	_, snap.Sealed = s.Sealed()
	for i := range s.Tasks() {
		at := indexSnapshot{Status: s.Status(i)}
		if owner := s.Owner(i); owner != nil {
			at.Owner = owner.Seq
		}
		if failure := s.Failure(i); failure != nil {
			at.Failure = failure.Seq
		}
		snap.Indexes = append(snap.Indexes, at)
	}
	for _, sh := range s.Shards() {
		owned := s.OwnedBy(sh)
		if owned.Len() != sh.Owned {
			panic("Owned is not the number of rows in OwnedBy")
		}
		snap.Shards = append(snap.Shards, shardSnapshot{sh.Seq, sh.Rejected != "", owned.String()})
	}
	return snap
}
