// Package message holds everything that producer, workers and merger say to
// each other: the tasks of a run and the events of its ledger.
//
// All payloads are JSON and name the run's digest; a payload of another run is
// refused with ErrOtherRun. Events come from processes that may be broken, old
// or hostile, so Decode checks every name, index and size before anything is
// done with it. docs/FORMAT.md lists the fields.
package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"windrow/internal/table"
)

// Version is the version of the wire format.
const Version = 1

// Limits of the wire format.
const (
	MaxEventBytes  = 256 << 10 // a longer event is split, or refused
	MaxRecordBytes = 2 << 10   // message and log of a failure are cut to this, each
	MaxLogLines    = 20        // of the log of a failure
	MaxTasks       = 1 << 31   // tasks of one run
	MaxShardRows   = 1 << 20   // rows of one shard
	MaxKeyBytes    = 16 << 10  // key of one task, as it stands in a row
	maxQuoted      = 80        // bytes of a foreign text that an error repeats
)

// ErrOtherRun is returned for a payload that carries another run's digest.
var ErrOtherRun = errors.New("message of another run")

// Digest is a SHA-256 in lower-case hex: of what determines a run's rows, or
// of a file.
type Digest string

var digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Validate tells whether d is 64 lower-case hex digits.
func (d Digest) Validate() error {
	if !digestPattern.MatchString(string(d)) {
		return fmt.Errorf("digest %q is not 64 lower-case hex digits", Cut(string(d), maxQuoted))
	}
	return nil
}

// Short returns the first 8 digits of a valid digest.
func (d Digest) Short() string { return string(d[:8]) }

// RunID names one run: the spec's name, a dash, and the first 8 digits of the
// run's digest.
type RunID string

// NamePattern is what a spec's name looks like.
const NamePattern = `^[a-z0-9][a-z0-9_-]{0,39}$`

var (
	namePattern = regexp.MustCompile(NamePattern)
	runPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}-[0-9a-f]{8}$`)
)

// ValidName tells whether name can be the name of a spec.
func ValidName(name string) bool { return namePattern.MatchString(name) }

// NewRunID returns the id of the run of the spec called name with digest d.
func NewRunID(name string, d Digest) RunID { return RunID(name + "-" + d.Short()) }

// ParseRunID checks the form of a run id.
func ParseRunID(s string) (RunID, error) {
	if !runPattern.MatchString(s) {
		return "", fmt.Errorf("run id %q: expected a name, a dash and 8 hex digits, as in tenders-1a2b3c4d", s)
	}
	return RunID(s), nil
}

// Name returns the spec's name in the run id.
func (id RunID) Name() string { return string(id[:len(id)-9]) }

// Task is one task of a run as it stands in the tasks stream. Readers trust
// the payload, not the stream sequence.
type Task struct {
	Index  int64           // position in the task list, from 0
	Key    []table.Value   // the values of the key columns, in their order
	Params json.RawMessage // JSON object with the parameters that are not in the key, or nil
	Cause  uint64          // of a copy: ledger sequence of the event that asked for it; else 0
}

type wireTask struct {
	Version int             `json:"v"`
	Digest  Digest          `json:"digest"`
	Index   int64           `json:"index"`
	Key     []table.Value   `json:"key"`
	Params  json.RawMessage `json:"params,omitempty"`
	Cause   uint64          `json:"cause,omitempty"`
}

// EncodeTask returns the payload of t in the run with digest d.
func EncodeTask(d Digest, t Task) ([]byte, error) {
	return json.Marshal(wireTask{Version, d, t.Index, t.Key, t.Params, t.Cause})
}

// DecodeTask reads a payload of the run with digest d.
func DecodeTask(d Digest, payload []byte) (Task, error) {
	if t, ok := scanTask(d, payload); ok {
		return t, nil
	}
	var w wireTask
	if err := unmarshal(payload, &w); err != nil {
		return Task{}, fmt.Errorf("decode task: %w", err)
	}
	if err := checkEnvelope(w.Version, w.Digest, d); err != nil {
		return Task{}, fmt.Errorf("decode task: %w", err)
	}
	if w.Index < 0 || w.Index >= MaxTasks {
		return Task{}, fmt.Errorf("decode task: index %d: 0 to %d are allowed", w.Index, MaxTasks-1)
	}
	if len(w.Params) > 0 && w.Params[0] != '{' {
		return Task{}, fmt.Errorf("decode task: params %q: a JSON object is expected", Cut(string(w.Params), maxQuoted))
	}
	return Task{w.Index, w.Key, w.Params, w.Cause}, nil
}

// SameWork tells whether t and u are the same task, whatever asked for them
// and whether or not they have been through EncodeTask.
func (t Task) SameWork(u Task) bool {
	return t.Index == u.Index && slices.Equal(t.Key, u.Key) &&
		(bytes.Equal(t.Params, u.Params) || bytes.Equal(encoded(t.Params), encoded(u.Params)))
}

// encoded returns params as EncodeTask writes them: without spaces, and with
// some characters escaped.
func encoded(params json.RawMessage) []byte {
	text, err := json.Marshal(params)
	if err != nil {
		return params
	}
	return text
}

func unmarshal(payload []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the JSON value")
	}
	return nil
}

func checkEnvelope(version int, got, want Digest) error {
	if version != Version {
		return fmt.Errorf("version %d of the wire format; this windrow speaks version %d", version, Version)
	}
	if got != want {
		return ErrOtherRun
	}
	return nil
}

// FirstLine returns the first line of s, without control characters and at
// most limit bytes long.
func FirstLine(s string, limit int) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return -1
		}
		return r
	}, line)
	return Cut(line, limit)
}

// cutJSON returns s, or its beginning if it takes more than limit bytes in a
// JSON string.
func cutJSON(s string, limit int) string {
	for i, r := range s {
		if limit -= escapedBytes(r); limit < 0 {
			return s[:i]
		}
	}
	return s
}

// jsonBytes returns the bytes that s takes in a JSON string, at most.
func jsonBytes(s string) int {
	n := 0
	for _, r := range s {
		n += escapedBytes(r)
	}
	return n
}

// escapedBytes returns the bytes that r takes in a JSON string, at most.
func escapedBytes(r rune) int {
	switch {
	case r == '\n' || r == '\t' || r == '\r' || r == '"' || r == '\\':
		return len(`\n`)
	case r < ' ' || r == '<' || r == '>' || r == '&' || r == '\u2028' || r == '\u2029' || r == utf8.RuneError:
		return len(`\u0000`)
	}
	return utf8.RuneLen(r)
}

// Cut returns s, or its beginning if it is longer than limit bytes, never
// cutting within a character.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit]
}

// Errors of a stream that publishers branch on.
var (
	// ErrMoved says that the stream's last sequence is not the one expected:
	// somebody else has published, or an earlier publication of our own was
	// stored though its confirmation was lost.
	ErrMoved = errors.New("the stream has moved on")
	// ErrFull says that the stream has reached its size limit.
	ErrFull = errors.New("the stream is full")
	// ErrUnreachable says that the broker did not answer; it may do so later.
	// After this, nobody knows whether a publication was stored.
	ErrUnreachable = errors.New("the broker cannot be reached")
)
