package test

import (
	"regexp"
	"strconv"
	"testing"
)

// gauge returns a number of /metrics.
func gauge(t *testing.T, address, name string) float64 {
	t.Helper()
	value := 0.0
	for _, digits := range regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(metricsOf(t, address))[1:] {
		var err error
		if value, err = strconv.ParseFloat(digits, 64); err != nil {
			t.Fatal(err)
		}
	}
	return value
}

// usage is what a process holds that answers for its metrics at an address.
type usage struct {
	address           string
	goroutines, files float64
}

func usageOf(t *testing.T, address string) usage {
	t.Helper()
	return usage{address, gauge(t, address, "go_goroutines"), gauge(t, address, "process_open_fds")}
}

// check compares what the process holds with what it held before something
// happened to it. A few more come and go with what it does at the moment.
func (before usage) check(t *testing.T) {
	t.Helper()
	if now := usageOf(t, before.address); now.goroutines > before.goroutines+10 || now.files > before.files+5 {
		t.Errorf("%g goroutines and %g files, before %g and %g", now.goroutines, now.files, before.goroutines, before.files)
	}
}
