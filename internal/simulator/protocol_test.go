package simulator

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFindAnswer(t *testing.T) {
	t.Parallel()
	const id = "7.1-2"
	for _, tt := range []struct {
		name, line  string
		found       bool
		noise, fail string
	}{
		{"alone", `{"id": "7.1-2", "result": {"a": 1}}`, true, "", ""},
		{"id last", `{"result": {"a": 1}, "id": "7.1-2"}`, true, "", ""},
		{"after noise", `x = {1, "2"} {"id": "7.1-2", "result": {"a": 1}}`, true, `x = {1, "2"} `, ""},
		{"after an open string", `say "{ {"id": "7.1-2", "result": {"a": 1}}`, true, `say "{ `, ""},
		{"bare tokens", `{"id": "7.1-2", "result": {"a": [NaN, -Infinity]}}`, true, "", ""},
		{"error object", `{"id": "7.1-2", "error": {"type": "T", "message": "m"}}`, true, "", ""},
		{"error text", `{"id": "7.1-2", "error": "m"}`, true, "", ""},
		{"other id", `{"id": "7.1-1", "result": {}}`, false, `{"id": "7.1-1", "result": {}}`, ""},
		{"other id that begins alike", `{"id": "7.1-23", "result": {}}`, false, `{"id": "7.1-23", "result": {}}`, ""},
		{"id as a value", `{"id": "x", "result": {"a": "7.1-2"}}`, false, `{"id": "x", "result": {"a": "7.1-2"}}`, ""},
		{"no object", `"7.1-2"`, false, `"7.1-2"`, ""},
		{"progress", `{"id": "7.1-2", "progress": 0.5}`, false, "", ""},
		{"echo", `{"id": "7.1-2", "params": {}}`, false, `{"id": "7.1-2", "params": {}}`, ""},
		{"empty result", `{"id": "7.1-2", "result": {}}`, true, "", ""},
		{"neither", `{"id": "7.1-2"}`, false, `{"id": "7.1-2"}`, "neither result nor error"},
		{"null result", `{"id": "7.1-2", "result": null}`, false, `{"id": "7.1-2", "result": null}`, "neither result nor error"},
		{"not JSON", `{"id": "7.1-2", "result": {"a": }}`, false, `{"id": "7.1-2", "result": {"a": }}`, "not JSON"},
		{"list", `{"id": "7.1-2", "result": [1]}`, false, `{"id": "7.1-2", "result": [1]}`, "not JSON, or not of the form"},
		{"braces", strings.Repeat("{", 100) + `"7.1-2"`, false, strings.Repeat("{", 100) + `"7.1-2"`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, noise, err := findAnswer([]byte(tt.line), id)
			if (a != nil) != tt.found || string(noise) != tt.noise {
				t.Errorf("got %+v, noise %q", a, noise)
			}
			if (err != nil) != (tt.fail != "") || err != nil && !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("got error %v, want %q", err, tt.fail)
			}
		})
	}
}

func TestStandardJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`[NaN,Infinity, -Infinity]`:         `[null,1e999, -1e999]`,
		`{"NaN": "Infinity", "\"NaN": NaN}`: `{"NaN": "Infinity", "\"NaN": null}`,
		`"NaN`:                              `"NaN`,
		`"\`:                                `"\`,
		``:                                  ``,
		`{"a": 1}`:                          `{"a": 1}`,
	} {
		if got := string(standardJSON([]byte(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// FuzzFindAnswer sends whatever a program may print.
func FuzzFindAnswer(f *testing.F) {
	const id = "7.1-2"
	f.Add([]byte(`{"id": "7.1-2", "result": {"a": [NaN, "\"", {"b": null}]}}`))
	f.Add([]byte(`noise {"id": "7.1-2", "error": null}`))
	f.Add([]byte(`{"id": "7.1-2", "error": {"type": 1}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, noise, err := findAnswer(line, id)
		if a == nil {
			return
		}
		if err != nil || a.ID != id || a.Result == nil && a.Error == nil {
			t.Errorf("got %+v with %v", a, err)
		}
		if len(noise) > 0 && !strings.HasPrefix(string(line), string(noise)) {
			t.Errorf("noise %q is not the beginning of %q", noise, line)
		}
		for name, value := range a.Result {
			if !json.Valid(value) {
				t.Errorf("result %q is not valid: %q", name, value)
			}
		}
		_ = a.failure()
	})
}
