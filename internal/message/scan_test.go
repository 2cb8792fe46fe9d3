package message_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/message"
	"windrow/internal/table"
)

// A payload is read in a short way if it has the usual form, and by
// encoding/json if not. A space in front of it makes the difference, and may
// not make another.
func FuzzBothWaysOfDecodeTask(f *testing.F) {
	prefix := `{"v":1,"digest":"` + string(digest) + `","index":`
	for _, rest := range []string{
		`0,"key":[1]}`, `12,"key":[1,-2,"a b"]}`, `1,"key":[]}`, `1,"key":[1,]}`, `1,"key":[1.5,1e3,1.0]}`,
		`1,"key":["a\n\u0041",""]}`, `1,"key":["a]}","b"]}`, `-0,"key":[1]}`, `01,"key":[1]}`, `1,"key":[-0]}`, `1,"key":[01]}`,
		`1,"key":[9223372036854775808]}`, `1,"key":["é"]}`, `1,"key":[1],"cause":3}`, `1,"key":[1],"params":{"x":1}}`,
		`1,"key":[1]} `, `1,"key":[1]}}`, `1,"key":[1`, `1,"key":["`, `1,"key":[null]}`, `2147483648,"key":[1]}`, `+1,"key":[1]}`, ``,
	} {
		f.Add(prefix + rest)
	}
	f.Add(strings.Replace(prefix, string(digest), string(other), 1) + `1,"key":[1]}`)
	f.Fuzz(func(t *testing.T, payload string) {
		short, err := message.DecodeTask(digest, []byte(payload))
		long, longErr := message.DecodeTask(digest, []byte(" "+payload))
		if (err == nil) != (longErr == nil) {
			t.Fatalf("%q: %v, with a space in front %v", payload, err, longErr)
		}
		if diff := cmp.Diff(long, short, compareValues); diff != "" {
			t.Errorf("%q (-with a space in front +without)\n%s", payload, diff)
		}
	})
}

func BenchmarkDecodeTask(b *testing.B) {
	for name, task := range map[string]message.Task{
		"key":    {Index: 123456, Key: []table.Value{table.IntValue(12), table.IntValue(math.MaxInt32), table.StringValue("site_a")}},
		"params": {Index: 123456, Key: []table.Value{table.IntValue(12)}, Params: json.RawMessage(`{"x":1}`)},
	} {
		payload, err := message.EncodeTask(digest, task)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := message.DecodeTask(digest, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
