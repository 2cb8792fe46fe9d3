package form_test

import (
	"encoding/json"
	"strings"
	"testing"

	"windrow/internal/form"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	names := []string{"version", "name", "seed", "tasks", "simulator", "output", "retry", "failures", "queue"}
	for word, want := range map[string]string{
		"simulatr": "simulator", "nme": "name", "Name": "name", "taks": "tasks", "ouptut": "output", "fail": "",
		"seed": "seed", "zzz": "", "": "", "queue_": "queue",
	} {
		if got := form.Nearest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestNumberKindIsThatOfJSON(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"0", "-0", "7", "-12", "10", "0.5", "-1.50", "1e3", "1E-3", "1.5e+300", "99999999999999999999",
		"", "-", "+1", "01", "007", "1.", ".5", "1e", "1e+", "0x10", "1_000", "Inf", "NaN", "1 ", " 1", "1,5", "1.2.3", "--1",
	} {
		got := form.NumberKind(s)
		if trimmed := s == strings.TrimSpace(s); (got != form.NotANumber) != (trimmed && json.Valid([]byte(s))) {
			t.Errorf("%q: got %d", s, got)
		}
		if whole := got == form.WholeNumber; got != form.NotANumber && whole == strings.ContainsAny(s, ".eE") {
			t.Errorf("%q: got %d", s, got)
		}
	}
}

func TestProblemIsOneLine(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]form.Problem{
		`x.yaml:7: tasks.file: "a": is gone`: {File: "x.yaml", Line: 7, Field: "tasks.file", Value: `"a"`, Message: "is gone"},
		`x.yaml:7: tasks: is empty`:          {File: "x.yaml", Line: 7, Field: "tasks", Message: "is empty"},
		`x.yaml: no such file`:               {File: "x.yaml", Message: "no such file"},
	} {
		if got := p.Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLongTextIsCutInProblems(t *testing.T) {
	t.Parallel()
	if got := form.Show(strings.Repeat("ü", 100)); got != `"`+strings.Repeat("ü", 28)+`"...` {
		t.Errorf("got %s", got)
	}
}

func TestNoErrWithoutProblems(t *testing.T) {
	t.Parallel()
	if err := (form.Problems{}).Err(); err != nil {
		t.Errorf("got %v", err)
	}
}
