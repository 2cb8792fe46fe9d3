package cli

import "testing"

func TestPatternJoinsWhatFailsForOneReason(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"no layout after 3 attempts":             "no layout after # attempts",
		"aep -1.5e3 is below 0":                  "aep # is below #",
		"open /tmp/run-17/in.csv: no such file":  "open <path>: no such file",
		"killed by SIGSEGV: at 0xdead, pid 4711": "killed by SIGSEGV: at <addr>, pid <id>",
	} {
		if got := patternOf(given); got != want {
			t.Errorf("patternOf(%q) is %q, want %q", given, got, want)
		}
	}
}
