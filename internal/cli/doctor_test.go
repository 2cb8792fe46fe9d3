package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestDoctorAsksTheServerWhetherItSyncs(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		level health
		text  string
	}{
		`{"config": {"sync_always": true, "sync_interval": 120000000000}}`: {healthy, "syncs each write"},
		`{"config": {"sync_interval": 120000000000}}`:                      {ill, "syncs every 2m0s only"},
		`nothing to see`: {ailing, "cannot be seen"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.String() != "/jsz?config=true" {
				http.NotFound(w, r)
				return
			}
			_, _ = w.Write([]byte(answer))
		}))
		e := &examination{}
		e.server(t.Context(), "nats://example:4222", server.URL)
		server.Close()
		if f := e.findings[0]; len(e.findings) != 1 || f.Level != want.level || !strings.Contains(f.Text, want.text) || (f.Next == "") != (want.level == healthy) {
			t.Errorf("%s: %+v", answer, e.findings)
		}
	}
	e := &examination{}
	e.server(t.Context(), "nats://example:4222", "http://127.0.0.1:1")
	if e.findings[0].Level != ailing {
		t.Errorf("no monitoring: %+v", e.findings)
	}
}

func TestMonitoringIsBesideTheServer(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"nats://127.0.0.1:4222":                    "http://127.0.0.1:8222",
		"tls://user:secret@broker:4222,nats://b:1": "http://broker:8222",
		"nats://[::1]:4222":                        "http://[::1]:8222",
		"nonsense":                                 "",
	} {
		if got := monitoringOf(list); got != want {
			t.Errorf("%s: %q, want %q", list, got, want)
		}
	}
}
