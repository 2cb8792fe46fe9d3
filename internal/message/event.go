package message

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"windrow/internal/table"
)

// Kind is the kind of an event; it is the last token of the event's subject.
type Kind string

// The kinds of events, with the role that may publish them.
const (
	KindPlanned  Kind = "planned"  // producer
	KindSettings Kind = "settings" // producer
	KindAccepted Kind = "accepted" // producer or operator
	KindShard    Kind = "shard"    // worker
	KindFailed   Kind = "failed"   // worker
	KindRejected Kind = "rejected" // merger
	KindMissing  Kind = "missing"  // merger
	KindSealed   Kind = "sealed"   // merger
	KindReopened Kind = "reopened" // operator

	KindPaused    Kind = "paused"    // operator
	KindResumed   Kind = "resumed"   // operator
	KindCancelled Kind = "cancelled" // operator
)

// Event is one entry of the ledger: *Planned, *Settings, *Shard, *Failed,
// *Accepted, *Rejected, *Missing, *Reopened, *Paused, *Resumed, *Cancelled or *Sealed.
type Event interface {
	Kind() Kind
	validate() error
}

// Planned opens the ledger. It says what the run is, in all that the digest
// covers: enough to compute any task and to build the dataset without the
// spec.
type Planned struct {
	Name    string          `json:"name"`
	Tasks   int64           `json:"tasks"`   // n: number of tasks
	Spec    json.RawMessage `json:"spec"`    // canonical spec: the parts that the digest covers
	Keys    []string        `json:"keys"`    // names of the key columns, in order
	Columns table.Columns   `json:"columns"` // task, keys, results
	Files   []File          `json:"files,omitempty"`
	Model   string          `json:"model"`  // simulator and version, as in "windfarm 1"
	Source  string          `json:"source"` // how the rows were computed, for the dataset's `source` attribute
	Inputs  []Input         `json:"inputs,omitempty"`
}

// File is a file that the spec names.
type File struct {
	Path   string `json:"path"` // as the spec writes it
	Digest Digest `json:"sha256"`
}

// Accepted says that a file of the run was changed, and that rows computed with
// it as it was and as it is may stand in one dataset. The run's digest stays.
type Accepted struct {
	Path string `json:"path"` // as the spec writes it
	From Digest `json:"from"`
	To   Digest `json:"to"`
}

// Settings may change between starts of a run without changing its rows.
type Settings struct {
	Output       string     `json:"output"`            // base name of the dataset
	Storage      Storage    `json:"storage"`           // output.storage
	Level        int        `json:"level,omitempty"`   // output.level: of gzip, 1 (fast) to 9 (small), else 0
	Allow        Allowance  `json:"allow"`             // failures.allow
	AbortIf      AbortIf    `json:"abort_if,omitzero"` // failures.abort_if
	Rows         RowsPolicy `json:"rows"`              // failures.rows
	Retry        Retry      `json:"retry"`
	AckWait      Duration   `json:"ack_wait"`
	ShardSeconds float64    `json:"shard_seconds"`
}

// Storage says how the columns of a dataset lie in its file.
type Storage string

// The storages: each column in one piece, in chunks to which rows can be
// appended, or in such chunks compressed.
const (
	Contiguous Storage = "contiguous"
	Chunked    Storage = "chunked"
	Gzip       Storage = "gzip"
)

// Levels of Gzip.
const (
	MinLevel = 1
	MaxLevel = 9
)

// Validate tells whether there is such a storage with such a level.
func (s Storage) Validate(level int) error {
	switch {
	case s == Contiguous && level == 0, s == Chunked && level == 0, s == Gzip && level >= MinLevel && level <= MaxLevel:
		return nil
	case s == Contiguous, s == Chunked:
		return fmt.Errorf("level %d of storage %s: only gzip has levels", level, s)
	case s == Gzip:
		return fmt.Errorf("level %d of storage gzip: %d to %d", level, MinLevel, MaxLevel)
	}
	return fmt.Errorf("storage %q: contiguous, chunked or gzip", Cut(string(s), maxQuoted))
}

// RowsPolicy says what becomes of failed rows in the dataset.
type RowsPolicy string

// The policies: leave failed rows out, or keep them with fill values and a
// status.
const (
	DropRows RowsPolicy = "drop"
	KeepRows RowsPolicy = "keep"
)

// Retry is the number of further attempts, in place, for each class.
type Retry struct {
	Error         int `json:"error"`
	Crash         int `json:"crash"`
	Timeout       int `json:"timeout"`
	InvalidOutput int `json:"invalid_output"`
}

// Budget returns the further attempts that class has.
func (r Retry) Budget(class Class) int {
	switch class {
	case ClassError:
		return r.Error
	case ClassCrash:
		return r.Crash
	case ClassTimeout:
		return r.Timeout
	case ClassInvalidOutput:
		return r.InvalidOutput
	case ClassLost:
		return 0
	}
	return 0
}

// Allowance is how many tasks may fail: a count, or a percentage of the tasks.
// Its text form is "12" or "0.5%".
type Allowance struct {
	Count   int64
	Percent float64 // counts if not 0
}

// Of returns the number of failures allowed among n tasks.
func (a Allowance) Of(n int64) int64 {
	if a.Percent != 0 {
		// 0.57 has no exact binary form, and 0.57 % of 10,000 are 57, not 56.
		return int64(float64(n)*a.Percent/100 + 1e-9)
	}
	return a.Count
}

// Class is the class of a failure.
type Class string

// The classes of failures.
const (
	ClassError         Class = "error"          // the simulator reported an error
	ClassCrash         Class = "crash"          // the simulator's process died, or the model panicked
	ClassTimeout       Class = "timeout"        // no answer within the time allowed
	ClassInvalidOutput Class = "invalid_output" // the answer breaks what the columns declare
	ClassLost          Class = "lost"           // delivered 20 times, never recorded: it takes its workers down
)

// Classes lists the classes; the dataset's class codes are positions in it.
var Classes = []Class{ClassError, ClassCrash, ClassTimeout, ClassInvalidOutput, ClassLost}

// Shard announces a validated shard. The first shard, not rejected, that names
// an index owns it.
type Shard struct {
	Name    string  `json:"name"` // <first index>-<sha256>.h5
	SHA256  Digest  `json:"sha256"`
	Bytes   int64   `json:"bytes"`
	Rows    Ranges  `json:"rows"`
	Offsets []int64 `json:"offsets"` // bytes of the file before each column
	Around  Digest  `json:"around"`  // SHA-256 of all bytes of the file but the columns
	Worker  string  `json:"worker"`
	Seconds float64 `json:"seconds"` // spent computing the rows
	Folder  string  `json:"folder"`  // nonce of the shards folder

	Imported *Imported `json:"imported,omitempty"` // where the rows are from, if nobody computed them
	Retried  []Retried `json:"retried,omitempty"`  // rows that took several attempts; of very many the first
}

// MaxRetried is how many rows a shard tells the attempts of.
const MaxRetried = 1000

// Retried is a row that took more than one attempt.
type Retried struct {
	Index    int64 `json:"index"`
	Attempts int   `json:"attempts"`
}

// Imported is the file of another program from which rows were taken.
type Imported struct {
	File   string `json:"file"` // its name, without the directory
	SHA256 Digest `json:"sha256"`
}

const maxFileName = 255

func (i *Imported) validate() error {
	if i.File == "" || len(i.File) > maxFileName || strings.ContainsAny(i.File, "/\x00") {
		return fmt.Errorf("imported from %q: not the name of a file", Cut(i.File, maxQuoted))
	}
	return i.SHA256.Validate()
}

// ShardName returns the name of the shard that starts with task first.
func ShardName(first int64, sha256 Digest) string { return fmt.Sprintf("%d-%s.h5", first, sha256) }

// Failed records tasks that cannot succeed.
type Failed struct {
	Failures []Failure `json:"failures"`
	Worker   string    `json:"worker"`
}

// Failure is the record of one failed task.
type Failure struct {
	Index    int64         `json:"index"`
	Key      []table.Value `json:"key"`
	Copy     uint64        `json:"copy"` // sequence in the tasks stream of what was delivered
	Class    Class         `json:"class"`
	Message  string        `json:"message"`
	Attempts int           `json:"attempts"`
	Seconds  float64       `json:"seconds"`
	Log      []string      `json:"log,omitempty"` // last lines of what the task printed in its last attempt
}

// Rejected voids the shard announced by the event with sequence Event.
type Rejected struct {
	Event  uint64 `json:"event"`
	Flaw   Flaw   `json:"flaw"`
	Reason string `json:"reason"`
}

// Flaw is what a shard is rejected for.
type Flaw string

// The flaws.
const (
	FlawAbsent  Flaw = "absent"  // there is no such file
	FlawSize    Flaw = "size"    // it has another size than was announced, or than its rows can need
	FlawDigest  Flaw = "digest"  // a row of it, or what is around them, does not have the digest that was announced
	FlawContent Flaw = "content" // its columns are not those of the run, or rows not of the tasks that were announced
)

// Flaws lists the flaws.
var Flaws = []Flaw{FlawAbsent, FlawSize, FlawDigest, FlawContent}

// Missing asks for copies of tasks that are neither recorded nor failed,
// though every sequence of the tasks stream up to After was delivered.
type Missing struct {
	Rows  Ranges `json:"rows"`
	After uint64 `json:"after"`
}

// Reopened asks for copies of failed tasks; failures of copies up to After no
// longer count.
type Reopened struct {
	Rows  Ranges `json:"rows"`
	After uint64 `json:"after"`
}

// Paused asks workers to finish what they hold and to fetch no more.
type Paused struct{}

// Resumed ends a pause, or takes a cancellation back.
type Resumed struct{}

// Cancelled ends the run without a dataset. What is recorded stays.
type Cancelled struct{}

// Sealed closes the ledger: the dataset is complete and verified.
type Sealed struct {
	SHA256 Digest `json:"sha256"` // of the dataset file
	Bytes  int64  `json:"bytes"`
	Rows   int64  `json:"rows"`
	Failed int64  `json:"failed"`
}

// Kind implements Event.
func (*Planned) Kind() Kind { return KindPlanned }

// Kind implements Event.
func (*Settings) Kind() Kind { return KindSettings }

// Kind implements Event.
func (*Shard) Kind() Kind { return KindShard }

// Kind implements Event.
func (*Failed) Kind() Kind { return KindFailed }

// Kind implements Event.
func (*Rejected) Kind() Kind { return KindRejected }

// Kind implements Event.
func (*Missing) Kind() Kind { return KindMissing }

// Kind implements Event.
func (*Reopened) Kind() Kind { return KindReopened }

// Kind implements Event.
func (*Sealed) Kind() Kind { return KindSealed }

// Kind implements Event.
func (*Accepted) Kind() Kind { return KindAccepted }

// Kind implements Event.
func (*Paused) Kind() Kind { return KindPaused }

// Kind implements Event.
func (*Resumed) Kind() Kind { return KindResumed }

// Kind implements Event.
func (*Cancelled) Kind() Kind { return KindCancelled }

type envelope struct {
	Version int             `json:"v"`
	Digest  Digest          `json:"digest"`
	Kind    Kind            `json:"kind"`
	Event   json.RawMessage `json:"event"`
}

// ErrEventTooLarge is returned by EncodeEvent for more than MaxEventBytes.
var ErrEventTooLarge = errors.New("event is too large")

// EncodeEvent returns the payload of e in the run with digest d. It refuses
// what DecodeEvent would refuse.
func EncodeEvent(d Digest, e Event) ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind(), err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind(), err)
	}
	payload, err := json.Marshal(envelope{Version, d, e.Kind(), body})
	if err != nil {
		return nil, fmt.Errorf("encode %s event: %w", e.Kind(), err)
	}
	if len(payload) > MaxEventBytes {
		return nil, fmt.Errorf("encode %s event: %d bytes, %d at most: %w", e.Kind(), len(payload), MaxEventBytes, ErrEventTooLarge)
	}
	return payload, nil
}

// DecodeEvent reads the payload of an event that was published as kind in the
// run with digest d. An event whose payload says another kind is refused: the
// subject is what the broker's permissions were checked against.
func DecodeEvent(d Digest, kind Kind, payload []byte) (Event, error) {
	e, err := decodeEvent(d, kind, payload)
	if err != nil {
		return nil, fmt.Errorf("decode %s event: %w", kind, err)
	}
	return e, nil
}

func decodeEvent(d Digest, kind Kind, payload []byte) (Event, error) {
	if len(payload) > MaxEventBytes {
		return nil, ErrEventTooLarge
	}
	var env envelope
	if err := unmarshal(payload, &env); err != nil {
		return nil, err
	}
	if err := checkEnvelope(env.Version, env.Digest, d); err != nil {
		return nil, err
	}
	e := newEvent(kind)
	if e == nil {
		return nil, fmt.Errorf("kind %q is unknown", Cut(string(kind), maxQuoted))
	}
	if env.Kind != kind {
		return nil, fmt.Errorf("published as %q, but the payload says %q", kind, Cut(string(env.Kind), maxQuoted))
	}
	if len(env.Event) == 0 {
		return nil, errors.New("the payload has no event")
	}
	if err := unmarshal(env.Event, e); err != nil {
		return nil, err
	}
	return e, e.validate()
}

func newEvent(kind Kind) Event {
	switch kind {
	case KindPlanned:
		return &Planned{}
	case KindSettings:
		return &Settings{}
	case KindShard:
		return &Shard{}
	case KindFailed:
		return &Failed{}
	case KindRejected:
		return &Rejected{}
	case KindMissing:
		return &Missing{}
	case KindReopened:
		return &Reopened{}
	case KindAccepted:
		return &Accepted{}
	case KindPaused:
		return &Paused{}
	case KindResumed:
		return &Resumed{}
	case KindCancelled:
		return &Cancelled{}
	case KindSealed:
		return &Sealed{}
	}
	return nil
}

func (p *Planned) validate() error {
	if !ValidName(p.Name) {
		return fmt.Errorf("name %q does not match %s", Cut(p.Name, maxQuoted), NamePattern)
	}
	if p.Tasks < 1 || p.Tasks > MaxTasks {
		return fmt.Errorf("%d tasks: 1 to %d are allowed", p.Tasks, MaxTasks)
	}
	if err := p.Columns.Validate(); err != nil {
		return err
	}
	if err := p.validateKeys(); err != nil {
		return err
	}
	for _, f := range p.Files {
		if err := f.Digest.Validate(); err != nil {
			return fmt.Errorf("file %q: %w", Cut(f.Path, maxQuoted), err)
		}
	}
	if !isLine(p.Source) {
		return errors.New("source is not one line of text")
	}
	return p.validateInputs()
}

// validateKeys tells whether the columns are task, the keys, and results.
func (p *Planned) validateKeys() error {
	if len(p.Keys) == 0 || len(p.Columns) <= len(p.Keys) {
		return errors.New("columns do not start with task and the key columns")
	}
	first := p.Columns[0]
	if first.Name != table.TaskColumn || first.Type.Kind != table.Int64 || len(first.Shape) != 0 {
		return fmt.Errorf("the first column is not %s, one i64 in each row", table.TaskColumn)
	}
	keys := p.Columns[1 : 1+len(p.Keys)]
	for i, name := range p.Keys {
		if keys[i].Name != name {
			return fmt.Errorf("column %d is %q: expected the key column %q", i+1, keys[i].Name, Cut(name, maxQuoted))
		}
		if len(keys[i].Shape) != 0 {
			return fmt.Errorf("key column %q has dimensions: a key is one value", name)
		}
	}
	if n := keys.RowBytes(); n > MaxKeyBytes {
		return fmt.Errorf("a key has %d bytes: %d at most", n, MaxKeyBytes)
	}
	return nil
}

var outputPattern = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$`)

func (s *Settings) validate() error {
	if !outputPattern.MatchString(s.Output) || path.Base(s.Output) != s.Output {
		return fmt.Errorf("output %q is not a plain file name", Cut(s.Output, maxQuoted))
	}
	if err := s.Storage.Validate(s.Level); err != nil {
		return err
	}
	if s.Rows != DropRows && s.Rows != KeepRows {
		return fmt.Errorf("rows %q: drop or keep", Cut(string(s.Rows), maxQuoted))
	}
	if s.Allow.Count < 0 || !upTo(100, s.Allow.Percent) {
		return fmt.Errorf("allow %s: a count, or 0%% to 100%%", s.Allow)
	}
	if s.AbortIf.After < 0 || !upTo(100, s.AbortIf.Percent) {
		return fmt.Errorf("abort_if %s: 0%% to 100%%, after 1 task or more", s.AbortIf)
	}
	for _, budget := range []int{s.Retry.Error, s.Retry.Crash, s.Retry.Timeout, s.Retry.InvalidOutput} {
		if budget < 0 || budget > 100 {
			return fmt.Errorf("retry %d: 0 to 100", budget)
		}
	}
	if w := time.Duration(s.AckWait); w < time.Second || w > time.Hour {
		return fmt.Errorf("ack_wait %s: 1s to 1h", w)
	}
	if s.ShardSeconds == 0 || !upTo(3600, s.ShardSeconds) {
		return fmt.Errorf("shard_seconds %v: more than 0, 3600 at most", s.ShardSeconds)
	}
	return nil
}

func (s *Shard) validate() error {
	if err := s.SHA256.Validate(); err != nil {
		return err
	}
	if len(s.Rows) == 0 {
		return errors.New("no rows")
	}
	if err := s.Rows.Validate(MaxTasks); err != nil {
		return err
	}
	if n := s.Rows.Len(); n > MaxShardRows {
		return fmt.Errorf("%d rows: %d at most", n, MaxShardRows)
	}
	if want := ShardName(s.Rows[0].First, s.SHA256); s.Name != want {
		return fmt.Errorf("name %q: expected %q", Cut(s.Name, maxQuoted), want)
	}
	if s.Bytes <= 0 {
		return fmt.Errorf("%d bytes: a shard is not empty", s.Bytes)
	}
	if err := s.Around.Validate(); err != nil {
		return fmt.Errorf("around its columns: %w", err)
	}
	if n := len(s.Offsets); n > table.MaxColumns {
		return fmt.Errorf("%d columns: %d at most", n, table.MaxColumns)
	}
	for _, offset := range s.Offsets {
		if offset < 0 || offset >= s.Bytes {
			return fmt.Errorf("a column at byte %d of %d", offset, s.Bytes)
		}
	}
	if !upTo(math.MaxFloat64, s.Seconds) {
		return fmt.Errorf("%v seconds: 0 or more", s.Seconds)
	}
	if len(s.Retried) > MaxRetried {
		return fmt.Errorf("%d retried rows: %d at most", len(s.Retried), MaxRetried)
	}
	for _, r := range s.Retried {
		if !s.Rows.Contains(r.Index) || r.Attempts < 2 {
			return fmt.Errorf("row %d after %d attempts: it is none of the shard's, or took one", r.Index, r.Attempts)
		}
	}
	if s.Imported != nil {
		if err := s.Imported.validate(); err != nil {
			return err
		}
	}
	return checkWorker(s.Worker)
}

// upTo tells whether x is a number from 0 to high; NaN is not.
func upTo(high, x float64) bool { return 0 <= x && x <= high }

var workerPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,80}$`)

func checkWorker(worker string) error {
	if !workerPattern.MatchString(worker) {
		return fmt.Errorf("worker %q: letters, digits, points, dashes and underscores, 80 at most", Cut(worker, 80))
	}
	return nil
}

func (f *Failed) validate() error {
	if len(f.Failures) == 0 {
		return errors.New("no failures")
	}
	for _, failure := range f.Failures {
		if err := failure.validate(); err != nil {
			return err
		}
	}
	return checkWorker(f.Worker)
}

func (f Failure) validate() error {
	if f.Index < 0 || f.Index >= MaxTasks {
		return fmt.Errorf("index %d: 0 to %d are allowed", f.Index, MaxTasks-1)
	}
	if f.Copy == 0 {
		return fmt.Errorf("failure of task %d names no copy of it", f.Index)
	}
	if len(f.Message) > MaxRecordBytes {
		return fmt.Errorf("message of %d bytes: %d at most", len(f.Message), MaxRecordBytes)
	}
	if f.Attempts < 0 || !upTo(math.MaxFloat64, f.Seconds) {
		return fmt.Errorf("%d attempts, %v seconds: 0 or more", f.Attempts, f.Seconds)
	}
	if len(f.Log) > MaxLogLines {
		return fmt.Errorf("log of %d lines: %d at most", len(f.Log), MaxLogLines)
	}
	if slices.Contains(Classes, f.Class) {
		return nil
	}
	return fmt.Errorf("class %q is unknown", Cut(string(f.Class), 40))
}

// Split returns f as events that each fit MaxEventBytes. Messages are cut so
// that they take MaxRecordBytes at most, as text and in JSON; so is the
// beginning of each log.
func (f *Failed) Split() []*Failed {
	var events []*Failed
	room := 0
	for _, failure := range f.Failures {
		failure.Message = cutJSON(strings.ToValidUTF8(failure.Message, "?"), MaxRecordBytes)
		failure.Log = lastLines(failure.Log)
		size := failure.maxBytes()
		if size > room {
			events = append(events, &Failed{Worker: f.Worker})
			room = MaxEventBytes - envelopeBytes
		}
		part := events[len(events)-1]
		part.Failures = append(part.Failures, failure)
		room -= size
	}
	return events
}

const (
	envelopeBytes = 1 << 10 // at most what surrounds the failures of an event
	numbersBytes  = 1 << 8  // at most what a failure has beside its key and message
)

// maxBytes returns the bytes that f takes in JSON, at most.
func (f Failure) maxBytes() int {
	size := numbersBytes + jsonBytes(f.Message)
	for _, line := range f.Log {
		size += lineBytes(line)
	}
	for _, v := range f.Key {
		size += jsonBytes(v.String()) + len(`"",`)
	}
	return size
}

// lastLines returns the last lines of a log that take MaxRecordBytes in JSON
// at most, MaxLogLines at most. Of a last line longer than that the beginning
// is kept.
func lastLines(log []string) []string {
	var kept []string
	room := MaxRecordBytes
	for _, line := range slices.Backward(log) {
		line = strings.ToValidUTF8(line, "?")
		if len(kept) == 0 {
			line = cutJSON(line, MaxRecordBytes-lineBytes(""))
		}
		if room -= lineBytes(line); room < 0 || len(kept) == MaxLogLines {
			break
		}
		kept = append(kept, line)
	}
	slices.Reverse(kept)
	return kept
}

// lineBytes returns the bytes that a line of a log takes in JSON, at most.
func lineBytes(line string) int { return jsonBytes(line) + len(`"",`) }

func (r *Rejected) validate() error {
	if r.Event == 0 {
		return errors.New("no shard event is named")
	}
	if !slices.Contains(Flaws, r.Flaw) {
		return fmt.Errorf("flaw %q: expected one of %q", Cut(string(r.Flaw), maxQuoted), Flaws)
	}
	return nil
}

func (m *Missing) validate() error { return checkRequest(m.Rows) }

func (r *Reopened) validate() error { return checkRequest(r.Rows) }

func (a *Accepted) validate() error {
	if a.Path == "" || len(a.Path) > MaxRecordBytes {
		return fmt.Errorf("a path of %d bytes: 1 to %d", len(a.Path), MaxRecordBytes)
	}
	return errors.Join(a.From.Validate(), a.To.Validate())
}

func (*Paused) validate() error    { return nil }
func (*Resumed) validate() error   { return nil }
func (*Cancelled) validate() error { return nil }

func checkRequest(rows Ranges) error {
	if len(rows) == 0 {
		return errors.New("no rows")
	}
	return rows.Validate(MaxTasks)
}

func (s *Sealed) validate() error {
	if s.Bytes <= 0 || s.Rows < 0 || s.Failed < 0 {
		return fmt.Errorf("%d bytes, %d rows, %d failed: a dataset is not empty, and counts are 0 or more", s.Bytes, s.Rows, s.Failed)
	}
	return s.SHA256.Validate()
}

// AbortIf ends a run early: when more than Percent of the tasks done have failed,
// of After tasks at least. The zero value never does. Its text form is
// "10% after 200".
type AbortIf struct {
	Percent float64
	After   int64
}

// Met tells whether it is time to give up.
func (a AbortIf) Met(done, failed int64) bool {
	return a.After > 0 && done >= a.After && 100*float64(failed) > a.Percent*float64(done)
}

// String returns the text form of a.
func (a AbortIf) String() string { return fmt.Sprintf("%v%% after %d", a.Percent, a.After) }

// MarshalText implements encoding.TextMarshaler.
func (a AbortIf) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

var abortPattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)% after ([0-9]+)$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AbortIf) UnmarshalText(text []byte) error {
	m := abortPattern.FindSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q: a percentage of the tasks done, and how many those must be, as in 10%% after 200", Cut(string(text), maxQuoted))
	}
	percent, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return err
	}
	after, err := strconv.ParseInt(string(m[2]), 10, 64)
	if err != nil {
		return err
	}
	*a = AbortIf{percent, after}
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (a Allowance) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// String returns the text form of a.
func (a Allowance) String() string {
	if a.Percent != 0 {
		return fmt.Sprintf("%v%%", a.Percent)
	}
	return strconv.FormatInt(a.Count, 10)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Allowance) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	var parsed Allowance
	var err error
	if percent {
		parsed.Percent, err = strconv.ParseFloat(number, 64)
	} else {
		parsed.Count, err = strconv.ParseInt(number, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%q: a count as in 12, or a percentage as in 0.5%%", Cut(string(text), maxQuoted))
	}
	*a = parsed
	return nil
}

// MaxBeatRanges is how many ranges of tasks a beat tells.
const MaxBeatRanges = 40

// Holding is tasks in hand that were delivered equally often.
type Holding struct {
	Tasks      Ranges `json:"tasks"`
	Deliveries int    `json:"deliveries"`
}

// Beat is what a worker or merger says of itself every second on a plain
// (not stored) subject. It is a hint for people and for batch sizes; nothing
// depends on it.
type Beat struct {
	Role   string `json:"role"`   // worker or merger
	ID     string `json:"id"`     // unique among all processes
	Folder string `json:"folder"` // nonce of the shards folder
	Held   int    `json:"held"`   // tasks in hand
	Done   int    `json:"done"`   // of these, computed but not yet announced

	Retries  int       `json:"retries,omitempty"`  // further attempts at tasks, since it was started
	Holdings []Holding `json:"holdings,omitempty"` // which tasks are in hand; of very many ranges the first
	Since    time.Time `json:"since,omitzero"`     // when they were fetched

	Greeting bool `json:"greeting,omitempty"` // the sender has just started and wants to hear everybody
}
