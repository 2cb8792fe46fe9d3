package dataset

import "testing"

func TestNormaliseKeepsWhatIsTheSameInEveryAttempt(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"layout has 3 overlaps at 12.5 m/s":                 "layout has 3 overlaps at 12.5 m/s",
		"first\nsecond":                                     "first",
		"open /tmp/run-17/in.csv: no such file":             "open <path>: no such file",
		`File "/home/a/sim.py", line 12`:                    `File "<path>", line 12`,
		"see /var/log/x.log:12: bad":                        "see <path>:12: bad",
		"segfault at 0x7ffe12ab in <Farm object at 0xdead>": "segfault at <addr> in <Farm object at <addr>>",
		"2026-11-23T19:26:00.123Z worker stopped":           "<time> worker stopped",
		"at 19:26:00 the process 4711 died, pid=12":         "at <time> the process <id> died, pid=<id>",
		"probably out of memory (peak 7.9 GiB)":             "probably out of memory (peak <size>)",
		"gave up after 12.3s":                               "gave up after <duration>",
		"wind speed 12 out of range 3..25":                  "wind speed 12 out of range 3..25",
		"Grüße":                                             "Gr??e",
	} {
		if got := Normalise(given); got != want {
			t.Errorf("Normalise(%q)\n  is   %q\n  want %q", given, got, want)
		}
	}
}
