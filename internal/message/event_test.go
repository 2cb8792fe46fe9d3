package message_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/table"
)

// Each of these returns a valid event, for a test to change.

func planned() *message.Planned {
	return &message.Planned{
		Name: "tenders", Tasks: 3, Spec: json.RawMessage(`{"seed":42}`), Keys: []string{"farm_id"},
		Columns: table.Columns{
			table.TaskIndex(),
			{Name: "farm_id", Type: table.Type{Kind: table.Int32}},
			{Name: "layout", Type: table.Type{Kind: table.Float64}, Shape: []table.Dim{{Name: "turbine", Size: 4}, {Name: "xy", Size: 2}}},
		},
		Files: []message.File{{Path: "tasks.csv", Digest: other}}, Model: "windfarm 1", Source: "windrow",
		Inputs: []message.Input{{
			Path: "wind", Attributes: []message.Attribute{{Name: "turbulence_intensity", Number: new(0.1)}},
			Variables: []message.Numbers{
				{Name: "wind_direction", Unit: "degree", Dims: []string{"wind_direction"}, Values: []float64{0, 180}},
				{Name: "wind_speed", Dims: []string{"wind_speed"}, Values: []float64{8}},
				{Name: "probability", Dims: []string{"wind_direction", "wind_speed"}, Values: []float64{0.25, 0.75}},
			},
		}},
	}
}

func settings() *message.Settings {
	return &message.Settings{
		Output: "tenders.h5", Storage: message.Gzip, Level: 1, Allow: message.Allowance{Percent: 0.5}, Rows: message.DropRows,
		Retry: message.Retry{Error: 1, Crash: 2}, AckWait: message.Duration(30 * time.Second), ShardSeconds: 5,
	}
}

func shard() *message.Shard {
	return &message.Shard{
		Name: message.ShardName(2, other), SHA256: other, Bytes: 4096, Rows: message.RangesOf([]int64{2, 3, 7}), Offsets: []int64{2048, 2072}, Around: other,
		Worker: "host-1.42", Seconds: 1.5, Folder: "f",
	}
}

func failure() message.Failure {
	return message.Failure{
		Index: 2, Key: []table.Value{table.IntValue(2), table.StringValue("a")}, Copy: 3, Class: message.ClassTimeout,
		Message: "no answer within 1h", Attempts: 1, Seconds: 3600,
	}
}

func failed(change ...func(*message.Failure)) *message.Failed {
	f := failure()
	for _, c := range change {
		c(&f)
	}
	return &message.Failed{Failures: []message.Failure{f}, Worker: "host-1.42"}
}

func rejected() *message.Rejected {
	return &message.Rejected{Event: 4, Flaw: message.FlawSize, Reason: "truncated file"}
}

func missing() *message.Missing {
	return &message.Missing{Rows: message.RangesOf([]int64{1, 5}), After: 9}
}

func reopened() *message.Reopened {
	return &message.Reopened{Rows: message.RangesOf([]int64{1, 5}), After: 9}
}

func sealed() *message.Sealed {
	return &message.Sealed{SHA256: other, Bytes: 8192, Rows: 2, Failed: 1}
}

// with returns e after change.
func with[E any](e E, change func(E)) E {
	change(e)
	return e
}

func validEvents() []message.Event {
	return []message.Event{
		planned(), settings(), shard(), failed(), rejected(), missing(), reopened(), sealed(),
		&message.Accepted{Path: "sim.py", From: digest, To: other}, &message.Paused{}, &message.Resumed{}, &message.Cancelled{},
	}
}

func TestEventRoundTrip(t *testing.T) {
	t.Parallel()
	for _, want := range validEvents() {
		t.Run(string(want.Kind()), func(t *testing.T) {
			t.Parallel()
			payload, err := message.EncodeEvent(digest, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := message.DecodeEvent(digest, want.Kind(), payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compareValues); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestEventBounds: what one side would refuse to read, the other refuses to
// write, with the same words.
func TestEventBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	tests := map[string]struct {
		event message.Event
		want  string
	}{
		"planned: path as name":     {with(planned(), func(p *message.Planned) { p.Name = "../tenders" }), `name "../tenders" does not match`},
		"planned: long name":        {with(planned(), func(p *message.Planned) { p.Name = long }), "does not match"},
		"planned: no tasks":         {with(planned(), func(p *message.Planned) { p.Tasks = 0 }), "0 tasks: 1 to 2147483648"},
		"planned: too many tasks":   {with(planned(), func(p *message.Planned) { p.Tasks = message.MaxTasks + 1 }), "2147483649 tasks"},
		"planned: no columns":       {with(planned(), func(p *message.Planned) { p.Columns = nil }), "0 columns"},
		"planned: huge rows":        {with(planned(), func(p *message.Planned) { p.Columns[2].Shape[0].Size = 1 << 40 }), "size"},
		"planned: no keys":          {with(planned(), func(p *message.Planned) { p.Keys = nil }), "do not start with task and the key columns"},
		"planned: only task":        {with(planned(), func(p *message.Planned) { p.Columns = p.Columns[:1] }), "do not start with task and the key columns"},
		"planned: other first":      {with(planned(), func(p *message.Planned) { p.Columns[0].Name = "index" }), "first column is not task"},
		"planned: narrow task":      {with(planned(), func(p *message.Planned) { p.Columns[0].Type.Kind = table.Int8 }), "first column is not task"},
		"planned: other key":        {with(planned(), func(p *message.Planned) { p.Keys[0] = "seed" }), `column 1 is "farm_id": expected the key column "seed"`},
		"planned: key with a shape": {with(planned(), func(p *message.Planned) { p.Columns[1].Shape = []table.Dim{{Name: "a", Size: 2}} }), `key column "farm_id" has dimensions`},
		"planned: long key":         {planWithLongKey(), "a key has 20480 bytes: 16384 at most"},
		"planned: input elsewhere":  {with(planned(), func(p *message.Planned) { p.Inputs[0].Path = "../wind" }), `input "../wind": expected a group of its own`},
		"planned: input twice":      {with(planned(), func(p *message.Planned) { p.Inputs = append(p.Inputs, p.Inputs[0]) }), `input "wind": expected a group of its own`},
		"planned: input, dimension": {with(planned(), func(p *message.Planned) { p.Inputs[0].Variables[0].Values = []float64{0} }), "input wind: probability has 2 values over [wind_direction wind_speed]"},
		"planned: input, no values": {with(planned(), func(p *message.Planned) { p.Inputs[0].Variables[1].Values = nil }), "input wind: wind_speed has 0 values"},
		"planned: input, names":     {with(planned(), func(p *message.Planned) { p.Inputs[0].Variables[2].Name = "wind_speed" }), "two variables are called wind_speed"},
		"planned: input, bad name":  {with(planned(), func(p *message.Planned) { p.Inputs[0].Variables[2].Name = "a/b" }), "input wind: "},
		"planned: input, empty":     {with(planned(), func(p *message.Planned) { p.Inputs[0].Variables = nil }), "input wind: it has no numbers"},
		"planned: input, too many": {with(planned(), func(p *message.Planned) {
			p.Inputs[0].Variables = []message.Numbers{{Name: "a", Dims: []string{"a"}, Values: make([]float64, message.MaxInputBytes/2)}}
		}), "bytes: 196608 at most"},
		"planned: file digest": {with(planned(), func(p *message.Planned) { p.Files[0].Digest = "x" }), `file "tasks.csv": digest "x"`},

		"shard: retried of others": {with(shard(), func(s *message.Shard) { s.Retried = []message.Retried{{Index: 999_999, Attempts: 2}} }), "row 999999 after 2 attempts"},
		"shard: retried once":      {with(shard(), func(s *message.Shard) { s.Retried = []message.Retried{{Index: s.Rows[0].First, Attempts: 1}} }), "or took one"},

		"settings: path as output":   {with(settings(), func(s *message.Settings) { s.Output = "/etc/passwd" }), "not a plain file name"},
		"settings: hidden output":    {with(settings(), func(s *message.Settings) { s.Output = ".windrow" }), "not a plain file name"},
		"settings: parent":           {with(settings(), func(s *message.Settings) { s.Output = ".." }), "not a plain file name"},
		"settings: long output":      {with(settings(), func(s *message.Settings) { s.Output = long }), "not a plain file name"},
		"settings: storage":          {with(settings(), func(s *message.Settings) { s.Storage = "tape" }), `storage "tape"`},
		"settings: level of gzip":    {with(settings(), func(s *message.Settings) { s.Level = 10 }), "level 10 of storage gzip: 1 to 9"},
		"settings: no level":         {with(settings(), func(s *message.Settings) { s.Level = 0 }), "level 0 of storage gzip: 1 to 9"},
		"settings: level of chunks":  {with(settings(), func(s *message.Settings) { s.Storage = message.Chunked }), "only gzip has levels"},
		"settings: abort share":      {with(settings(), func(s *message.Settings) { s.AbortIf.Percent = 101 }), "abort_if 101% after 0"},
		"settings: rows":             {with(settings(), func(s *message.Settings) { s.Rows = "burn" }), `rows "burn": drop or keep`},
		"settings: negative allow":   {with(settings(), func(s *message.Settings) { s.Allow = message.Allowance{Count: -1} }), "allow -1"},
		"settings: allow 101 %":      {with(settings(), func(s *message.Settings) { s.Allow.Percent = 101 }), "allow 101%"},
		"settings: retry":            {with(settings(), func(s *message.Settings) { s.Retry.Crash = 101 }), "retry 101: 0 to 100"},
		"settings: short ack_wait":   {with(settings(), func(s *message.Settings) { s.AckWait = 1 }), "ack_wait 1ns: 1s to 1h"},
		"settings: long ack_wait":    {with(settings(), func(s *message.Settings) { s.AckWait = message.Duration(2 * time.Hour) }), "ack_wait 2h0m0s"},
		"settings: no shard_seconds": {with(settings(), func(s *message.Settings) { s.ShardSeconds = 0 }), "shard_seconds 0"},
		"settings: shard_seconds":    {with(settings(), func(s *message.Settings) { s.ShardSeconds = 3601 }), "shard_seconds 3601"},

		"shard: digest":        {with(shard(), func(s *message.Shard) { s.SHA256 = "x" }), `digest "x"`},
		"shard: no rows":       {with(shard(), func(s *message.Shard) { s.Rows = nil }), "no rows"},
		"shard: rows":          {with(shard(), func(s *message.Shard) { s.Rows[1].Last = message.MaxTasks }), "range [7, 2147483648]"},
		"shard: too many rows": {with(shard(), func(s *message.Shard) { s.Rows = message.Ranges{{First: 2, Last: 2 + 1<<20}} }), "1048577 rows: 1048576 at most"},
		"shard: path as name":  {with(shard(), func(s *message.Shard) { s.Name = "../" + s.Name }), `name "../2-`},
		"shard: other name":    {with(shard(), func(s *message.Shard) { s.Name = message.ShardName(3, other) }), `name "3-`},
		"shard: empty":         {with(shard(), func(s *message.Shard) { s.Bytes = 0 }), "0 bytes"},
		"shard: around":        {with(shard(), func(s *message.Shard) { s.Around = "x" }), `around its columns: digest "x"`},
		"shard: offset":        {with(shard(), func(s *message.Shard) { s.Offsets[1] = 4096 }), "a column at byte 4096 of 4096"},
		"shard: below zero":    {with(shard(), func(s *message.Shard) { s.Offsets[0] = -1 }), "a column at byte -1 of 4096"},
		"shard: seconds":       {with(shard(), func(s *message.Shard) { s.Seconds = -1 }), "-1 seconds"},
		"shard: worker":        {with(shard(), func(s *message.Shard) { s.Worker = "a b" }), `worker "a b"`},
		"shard: long worker":   {with(shard(), func(s *message.Shard) { s.Worker = long }), "80 at most"},

		"failed: nothing":        {&message.Failed{Worker: "w"}, "no failures"},
		"failed: negative index": {failed(func(f *message.Failure) { f.Index = -1 }), "index -1"},
		"failed: large index":    {failed(func(f *message.Failure) { f.Index = message.MaxTasks }), "index 2147483648"},
		"failed: no copy":        {failed(func(f *message.Failure) { f.Copy = 0 }), "task 2 names no copy"},
		"failed: class":          {failed(func(f *message.Failure) { f.Class = message.Class(long) }), `class "xxx`},
		"failed: long message":   {failed(func(f *message.Failure) { f.Message = long }), "message of 200000 bytes: 2048 at most"},
		"failed: attempts":       {failed(func(f *message.Failure) { f.Attempts = -1 }), "-1 attempts"},
		"failed: seconds":        {failed(func(f *message.Failure) { f.Seconds = -1 }), "-1 seconds"},
		"failed: worker":         {with(failed(), func(f *message.Failed) { f.Worker = "" }), `worker ""`},

		"rejected: nothing":       {&message.Rejected{}, "no shard event is named"},
		"rejected: no flaw":       {&message.Rejected{Event: 1, Flaw: "odd"}, `flaw "odd": expected one of ["absent"`},
		"missing: no rows":        {&message.Missing{After: 1}, "no rows"},
		"missing: rows":           {&message.Missing{Rows: message.Ranges{{First: 3, Last: 2}}}, "range [3, 2]"},
		"reopened: no rows":       {&message.Reopened{After: 1}, "no rows"},
		"reopened: rows":          {&message.Reopened{Rows: message.Ranges{{First: -3, Last: 2}}}, "range [-3, 2]"},
		"sealed: digest":          {with(sealed(), func(s *message.Sealed) { s.SHA256 = "" }), `digest ""`},
		"sealed: empty":           {with(sealed(), func(s *message.Sealed) { s.Bytes = 0 }), "0 bytes"},
		"sealed: negative counts": {with(sealed(), func(s *message.Sealed) { s.Failed = -1 }), "-1 failed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := test.event.Kind()
			_, err := message.EncodeEvent(digest, test.event)
			checkRefused(t, err, fmt.Sprintf("encode %s event: ", kind), test.want)
			_, err = message.DecodeEvent(digest, kind, rawEvent(t, kind, test.event))
			checkRefused(t, err, fmt.Sprintf("decode %s event: ", kind), test.want)
		})
	}
}

// planWithLongKey returns a plan whose keys do not fit: five strings of 4 KiB.
func planWithLongKey() *message.Planned {
	p := planned()
	p.Keys = nil
	columns := table.Columns{p.Columns[0]}
	for k := range 5 {
		name := fmt.Sprintf("k%d", k)
		p.Keys = append(p.Keys, name)
		columns = append(columns, table.Column{Name: name, Type: table.Type{Kind: table.String, Length: table.MaxStringBytes}})
	}
	p.Columns = append(columns, p.Columns[2])
	return p
}

// rawEvent returns the payload of an event that EncodeEvent would refuse.
func rawEvent(t *testing.T, kind message.Kind, event any) []byte {
	t.Helper()
	payload, err := json.Marshal(map[string]any{"v": message.Version, "digest": digest, "kind": kind, "event": event})
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// JSON cannot write these, so only the encoder meets them.
func TestEncodeEventRefusesNaN(t *testing.T) {
	t.Parallel()
	for _, x := range []float64{math.NaN(), math.Inf(1)} {
		for _, e := range []message.Event{
			with(settings(), func(s *message.Settings) { s.Allow.Percent = x }),
			with(settings(), func(s *message.Settings) { s.ShardSeconds = x }),
			with(shard(), func(s *message.Shard) { s.Seconds = x }),
			failed(func(f *message.Failure) { f.Seconds = x }),
		} {
			if _, err := message.EncodeEvent(digest, e); err == nil {
				t.Errorf("%s event with %v is accepted", e.Kind(), x)
			}
		}
	}
}

func TestDecodeEventRefuses(t *testing.T) {
	t.Parallel()
	valid := string(rawEvent(t, message.KindSealed, sealed()))
	tests := map[string]struct {
		kind          message.Kind
		payload, want string
	}{
		"not JSON":         {message.KindSealed, "sealed", "invalid character"},
		"two values":       {message.KindSealed, valid + valid, "text after the JSON value"},
		"unknown field":    {message.KindSealed, strings.Replace(valid, `"rows"`, `"row"`, 1), `unknown field "row"`},
		"another version":  {message.KindSealed, strings.Replace(valid, `"v":1`, `"v":2`, 1), "version 2"},
		"another run":      {message.KindSealed, strings.Replace(valid, string(digest), string(other), 1), "message of another run"},
		"other subject":    {message.KindShard, valid, `published as "shard", but the payload says "sealed"`},
		"unknown kind":     {"x", strings.Replace(valid, `"kind":"sealed"`, `"kind":"x"`, 1), `kind "x" is unknown`},
		"no event":         {message.KindSealed, `{"v":1,"digest":"` + string(digest) + `","kind":"sealed"}`, "the payload has no event"},
		"event is null":    {message.KindSealed, `{"v":1,"digest":"` + string(digest) + `","kind":"sealed","event":null}`, "0 bytes"},
		"event is a list":  {message.KindSealed, `{"v":1,"digest":"` + string(digest) + `","kind":"sealed","event":[]}`, "array"},
		"too large":        {message.KindSealed, valid + strings.Repeat(" ", message.MaxEventBytes), "event is too large"},
		"a range of three": {message.KindMissing, strings.Replace(string(rawEvent(t, message.KindMissing, missing())), "[1,1]", "[1,1,1]", 1), "expected [first, last]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := message.DecodeEvent(digest, test.kind, []byte(test.payload))
			checkRefused(t, err, fmt.Sprintf("decode %s event: ", test.kind), test.want)
			if e != nil {
				t.Errorf("an event comes with the error: %+v", e)
			}
		})
	}
	if _, err := message.DecodeEvent(other, message.KindSealed, []byte(valid)); !errors.Is(err, message.ErrOtherRun) {
		t.Errorf("got %v, want ErrOtherRun", err)
	}
}

func TestEncodeEventTooLarge(t *testing.T) {
	t.Parallel()
	_, err := message.EncodeEvent(digest, with(planned(), func(p *message.Planned) { p.Source = strings.Repeat("x", message.MaxEventBytes) }))
	if !errors.Is(err, message.ErrEventTooLarge) {
		t.Errorf("got %v, want ErrEventTooLarge", err)
	}
}

// The largest pieces of the largest indexes fit an event.
func TestMaxRangesFitAnEvent(t *testing.T) {
	t.Parallel()
	var rows message.Ranges
	for i := int64(message.MaxTasks - 4*message.MaxRanges); i < message.MaxTasks; i += 3 {
		rows = append(rows, message.Range{First: i, Last: i + 1})
	}
	for _, piece := range rows[:len(rows)-1].Split(message.MaxRanges) {
		for _, e := range []message.Event{
			&message.Missing{Rows: piece, After: math.MaxUint64},
			&message.Reopened{Rows: piece, After: math.MaxUint64},
			with(shard(), func(s *message.Shard) {
				s.Name, s.Rows = message.ShardName(piece[0].First, other), piece
				s.Worker = strings.Repeat("w", 80)
			}),
		} {
			if _, err := message.EncodeEvent(digest, e); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestFailedSplit: every part fits an event, whatever the messages are made
// of, and nothing is lost but the ends of long messages.
func TestFailedSplit(t *testing.T) {
	t.Parallel()
	keys := []table.Value{}
	for range message.MaxKeyBytes / table.MaxStringBytes {
		keys = append(keys, table.StringValue(strings.Repeat("\x01", table.MaxStringBytes)))
	}
	for name, text := range map[string]string{
		"plain":        "x",
		"quotes":       `"\`,
		"control":      "\x01\x1b",
		"markup":       "<a&b>",
		"separators":   "\u2028\u2029",
		"not UTF-8":    "\xff\xfe",
		"replacements": "\uFFFD",
		"Chinese":      "风",
		"lines":        "a\n\t\r",
		"delete":       "\x7f",
		"nothing":      "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			long := strings.Repeat(text, 3000)
			valid := strings.ToValidUTF8(long, "?")
			whole := &message.Failed{Worker: strings.Repeat("w", 80)}
			for i := range int64(150) {
				f := failure()
				f.Index, f.Copy, f.Message = message.MaxTasks-1-i, math.MaxUint64, long
				f.Class, f.Attempts, f.Seconds = message.ClassInvalidOutput, math.MaxInt, math.MaxFloat64
				if i%30 == 0 {
					f.Key = keys
				}
				whole.Failures = append(whole.Failures, f)
			}
			var indexes []int64
			for _, part := range whole.Split() {
				if _, err := message.EncodeEvent(digest, part); err != nil {
					t.Fatal(err)
				}
				for _, f := range part.Failures {
					indexes = append(indexes, f.Index)
					checkCut(t, f.Message, valid)
				}
			}
			for k, f := range whole.Failures {
				if indexes[k] != f.Index {
					t.Fatalf("record %d is of task %d, want %d", k, indexes[k], f.Index)
				}
			}
		})
	}
}

// checkCut makes sure that cut is the beginning of text, and at least half of
// what a record may hold.
func checkCut(t *testing.T, cut, text string) {
	t.Helper()
	encoded, err := json.Marshal(cut)
	if err != nil {
		t.Fatal(err)
	}
	size := len(encoded) - 2
	if !strings.HasPrefix(text, cut) || size > message.MaxRecordBytes || cut != text && size < message.MaxRecordBytes/2-6 {
		t.Fatalf("message of %d bytes was cut to %d, %d in JSON: %.60q", len(text), len(cut), size, cut)
	}
}

func TestFailedSplitOfNothing(t *testing.T) {
	t.Parallel()
	if parts := (&message.Failed{Worker: "w"}).Split(); len(parts) != 0 {
		t.Errorf("%d parts of no failures", len(parts))
	}
}

func TestFailedSplitFillsEvents(t *testing.T) {
	t.Parallel()
	whole := &message.Failed{Worker: "w"}
	for range 400 {
		whole.Failures = append(whole.Failures, failure())
	}
	if parts := whole.Split(); len(parts) != 1 {
		t.Errorf("400 short records make %d events", len(parts))
	}
}

func TestAllowance(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text  string
		tasks int64
		want  int64
	}{
		{"0", 1000, 0},
		{"12", 1000, 12},
		{"5000", 1000, 5000},
		{"0.5%", 1000, 5},
		{"0.5%", 199, 0},
		{"0.57%", 10_000, 57}, // 0.57 * 10,000 is 5,699.999... in binary
		{"1.1%", 1000, 11},
		{"100%", 7, 7},
		{"33.3%", 3, 0},
		{"0%", 1000, 0},
	}
	for _, test := range tests {
		var a message.Allowance
		if err := a.UnmarshalText([]byte(test.text)); err != nil {
			t.Error(err)
		}
		if got := a.Of(test.tasks); got != test.want {
			t.Errorf("%s of %d tasks are %d, want %d", test.text, test.tasks, got, test.want)
		}
		var back message.Allowance
		if err := back.UnmarshalText([]byte(a.String())); err != nil || back != a {
			t.Errorf("%s is written as %s and read as %v: %v", test.text, a, back, err)
		}
	}
	for _, wrong := range []string{"", "%", "a", "null", "null%", " 1", "1 %", "1.5", "9223372036854775808", strings.Repeat("9", 10_000)} {
		var a message.Allowance
		checkRefused(t, a.UnmarshalText([]byte(wrong)), `"`, "a count as in 12, or a percentage as in 0.5%")
	}
}

func TestRetryBudget(t *testing.T) {
	t.Parallel()
	r := message.Retry{Error: 1, Crash: 2, Timeout: 3, InvalidOutput: 4}
	want := map[message.Class]int{
		message.ClassError: 1, message.ClassCrash: 2, message.ClassTimeout: 3, message.ClassInvalidOutput: 4,
		message.ClassLost: 0, "unknown": 0,
	}
	for class, n := range want {
		if got := r.Budget(class); got != n {
			t.Errorf("%s has %d further attempts, want %d", class, got, n)
		}
	}
}

// FuzzDecodeEvent: nothing that comes from outside makes the decoder panic,
// and what it accepts can be written again and means the same. Only an event
// that grows by being escaped may be refused.
func FuzzDecodeEvent(f *testing.F) {
	for _, e := range validEvents() {
		payload, err := message.EncodeEvent(digest, e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(e.Kind()), payload)
	}
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		e, err := message.DecodeEvent(digest, message.Kind(kind), payload)
		if err != nil {
			return
		}
		again, err := message.EncodeEvent(digest, e)
		if errors.Is(err, message.ErrEventTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("decoded %+v: %v", e, err)
		}
		back, err := message.DecodeEvent(digest, e.Kind(), again)
		if err != nil {
			t.Fatalf("decoded %+v, encoded %s: %v", e, again, err)
		}
		third, err := message.EncodeEvent(digest, back)
		if err != nil || string(third) != string(again) {
			t.Fatalf("encoded %s, then %s: %v", again, third, err)
		}
	})
}

func TestLogOfAFailureKeepsItsEnd(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	long := strings.Repeat("<", message.MaxRecordBytes)
	for name, test := range map[string]struct{ log, want []string }{
		"none":               {nil, nil},
		"the last 20 lines":  {lines, lines[30:]},
		"what fits":          {[]string{long, "last"}, []string{"last"}},
		"a beginning":        {[]string{"first", long}, []string{long[:(message.MaxRecordBytes-3)/6]}},
		"text that is valid": {[]string{"a\xff"}, []string{"a?"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts := failed(func(f *message.Failure) { f.Log = test.log }).Split()
			got := parts[0].Failures[0].Log
			if !slices.Equal(got, test.want) {
				t.Errorf("log %q, want %q", got, test.want)
			}
			if _, err := message.EncodeEvent(digest, parts[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInputsAreFinite is about what JSON cannot say, so that nobody but the
// producer can meet it.
func TestInputsAreFinite(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]*message.Planned{
		"input wind: wind_speed has a value that is not finite": with(planned(), func(p *message.Planned) { p.Inputs[0].Variables[1].Values[0] = math.NaN() }),
		"input wind: attribute turbulence_intensity is +Inf":    with(planned(), func(p *message.Planned) { p.Inputs[0].Attributes[0].Number = new(math.Inf(1)) }),
	} {
		if _, err := message.EncodeEvent(digest, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
