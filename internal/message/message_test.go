package message_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/table"
)

const (
	digest = message.Digest("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	other  = message.Digest("ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100")
)

var compareValues = cmp.Comparer(func(a, b table.Value) bool { return a == b })

func TestTaskRoundTrip(t *testing.T) {
	t.Parallel()
	tests := map[string]message.Task{
		"key only":   {Index: 0, Key: []table.Value{table.IntValue(3)}},
		"all":        {Index: message.MaxTasks - 1, Key: []table.Value{table.IntValue(-1), table.FloatValue(1), table.StringValue("<a>\n")}, Params: json.RawMessage(`{"x":[1,2.5]}`), Cause: 1 << 63},
		"whole real": {Index: 1, Key: []table.Value{table.FloatValue(1e300), table.FloatValue(-0.1)}},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			payload, err := message.EncodeTask(digest, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := message.DecodeTask(digest, payload)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, compareValues); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeTaskRefuses(t *testing.T) {
	t.Parallel()
	prefix := `{"v":1,"digest":"` + string(digest) + `",`
	tests := map[string]struct{ payload, want string }{
		"not JSON":         {`task`, "invalid character"},
		"nothing":          {``, "EOF"},
		"two values":       {prefix + `"index":1,"key":[1]}{}`, "text after the JSON value"},
		"unknown field":    {prefix + `"index":1,"key":[1],"x":1}`, `unknown field "x"`},
		"another version":  {`{"v":2}`, "version 2 of the wire format; this windrow speaks version 1"},
		"another run":      {`{"v":1,"digest":"` + string(other) + `"}`, "message of another run"},
		"negative index":   {prefix + `"index":-1,"key":[1]}`, "index -1: 0 to 2147483647 are allowed"},
		"index too large":  {prefix + `"index":2147483648,"key":[1]}`, "index 2147483648"},
		"params no object": {prefix + `"index":1,"key":[1],"params":[1]}`, `params "[1]": a JSON object`},
		"null in the key":  {prefix + `"index":1,"key":[null]}`, "null"},
		"array in the key": {prefix + `"index":1,"key":[[1]]}`, "[1]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefused(t, decodeTaskError(test.payload), "decode task: ", test.want)
		})
	}
	if err := decodeTaskError(`{"v":1,"digest":"x"}`); !errors.Is(err, message.ErrOtherRun) {
		t.Errorf("got %v, want ErrOtherRun", err)
	}
}

func decodeTaskError(payload string) error {
	_, err := message.DecodeTask(digest, []byte(payload))
	return err
}

// checkRefused makes sure that err says want, in a line that can be read.
func checkRefused(t *testing.T, err error, prefix, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("accepted, want an error with %q", want)
	case !strings.HasPrefix(err.Error(), prefix) || !strings.Contains(err.Error(), want):
		t.Errorf("got %q, want %s... %q", err, prefix, want)
	case len(err.Error()) > 400 || strings.Contains(err.Error(), "\n"):
		t.Errorf("error of %d bytes is hard to read: %.500q", len(err.Error()), err)
	}
}

func TestSameWork(t *testing.T) {
	t.Parallel()
	key := []table.Value{table.IntValue(1), table.StringValue("a")}
	task := message.Task{Index: 4, Key: key, Params: json.RawMessage(`{"site": "a<b"}`)}
	tests := map[string]struct {
		other message.Task
		want  bool
	}{
		"itself":                  {task, true},
		"a copy":                  {message.Task{Index: 4, Key: key, Params: task.Params, Cause: 7}, true},
		"as the stream writes it": {message.Task{Index: 4, Key: key, Params: json.RawMessage(`{"site":"a\u003cb"}`)}, true},
		"other index":             {message.Task{Index: 5, Key: key, Params: task.Params}, false},
		"other params":            {message.Task{Index: 4, Key: key, Params: json.RawMessage(`{"site":"b"}`)}, false},
		"no params":               {message.Task{Index: 4, Key: key}, false},
		"shorter key":             {message.Task{Index: 4, Key: key[:1], Params: task.Params}, false},
		"1.0 is not 1":            {message.Task{Index: 4, Key: []table.Value{table.FloatValue(1), key[1]}, Params: task.Params}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := task.SameWork(test.other); got != test.want {
				t.Errorf("got %v", got)
			}
			if got := test.other.SameWork(task); got != test.want {
				t.Errorf("the other way round: got %v", got)
			}
		})
	}
}

func TestRunID(t *testing.T) {
	t.Parallel()
	id := message.NewRunID("wind-farm_1", digest)
	if id != "wind-farm_1-00112233" || id.Name() != "wind-farm_1" {
		t.Errorf("run id %s of %s", id, id.Name())
	}
	if parsed, err := message.ParseRunID(string(id)); parsed != id || err != nil {
		t.Errorf("parsed %s: %v", parsed, err)
	}
	for _, wrong := range []string{"", "tenders", "tenders-0011223", "Tenders-00112233", "a.b-00112233", "../x-00112233", "-00112233", "a-00112233\n"} {
		if _, err := message.ParseRunID(wrong); err == nil {
			t.Errorf("run id %q is accepted", wrong)
		}
	}
}

func TestDigestValidate(t *testing.T) {
	t.Parallel()
	if err := digest.Validate(); err != nil {
		t.Error(err)
	}
	for _, wrong := range []message.Digest{"", digest[:63], digest + "0", "0011223344556677889900AABBCCDDEEFF00112233445566778899AABBCCDDEE", message.Digest(strings.Repeat("g", 1<<16))} {
		checkRefused(t, wrong.Validate(), "digest ", "is not 64 lower-case hex digits")
	}
}

func TestFirstLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text  string
		limit int
		want  string
	}{
		{"", 9, ""},
		{"one\ntwo", 9, "one"},
		{"\n  one\r\ntwo", 9, "one"},
		{"\x1b[31mred\x00", 9, "[31mred"},
		{"tab\there", 9, "tabhere"},
		{"naïve", 3, "na"},
		{"naïve", 4, "naï"},
		{"\xff\xfe", 9, "\uFFFD\uFFFD"},
	}
	for _, test := range tests {
		if got := message.FirstLine(test.text, test.limit); got != test.want {
			t.Errorf("FirstLine(%q, %d) = %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("naïve", 3)
	f.Add("\x80\x80\x80", 1)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		limit = max(limit, 0)
		cut := message.Cut(s, limit)
		switch {
		case len(cut) > limit && limit < len(s), !strings.HasPrefix(s, cut):
			t.Errorf("Cut(%q, %d) = %q", s, limit, cut)
		case utf8.ValidString(s) && (!utf8.ValidString(cut) || len(s) > limit && limit-len(cut) >= utf8.UTFMax):
			t.Errorf("Cut(%q, %d) = %q cuts within a character or too much", s, limit, cut)
		}
	})
}

// FuzzDecodeTask: nothing that comes from outside makes the decoder panic, and
// what it accepts can be written again and means the same.
func FuzzDecodeTask(f *testing.F) {
	for _, task := range []message.Task{
		{Index: 7, Key: []table.Value{table.IntValue(1)}},
		{Index: 8, Key: []table.Value{table.FloatValue(0.5), table.StringValue("é\u2028")}, Params: json.RawMessage(`{"a":"<"}`), Cause: 3},
	} {
		payload, err := message.EncodeTask(digest, task)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte(`{"v":1,"digest":"` + string(digest) + `","index":0,"key":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		task, err := message.DecodeTask(digest, payload)
		if err != nil {
			return
		}
		again, err := message.EncodeTask(digest, task)
		if err != nil {
			t.Fatalf("decoded %+v: %v", task, err)
		}
		back, err := message.DecodeTask(digest, again)
		if err != nil || !task.SameWork(back) || task.Cause != back.Cause {
			t.Fatalf("decoded %+v, then %+v: %v", task, back, err)
		}
	})
}
