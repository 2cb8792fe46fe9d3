package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"windrow/merger"
)

// containsLine tells whether a line of the text starts with prefix.
func containsLine(text, prefix string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// record returns what out.h5.run.json says.
func (c *campaign) record(t *testing.T) merger.Record {
	t.Helper()
	text, err := os.ReadFile(c.path("out.h5.run.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r merger.Record
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}
