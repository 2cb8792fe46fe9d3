package cli

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
)

// A role that has no connection yet is alive, and not ready.
func TestHealthOfRoleWithoutBroker(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	stop, err := newMonitor().serve(t.Context(), address, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: io.Discard, stderr: &console{out: io.Discard}}
	code, text := explain(a.health(t.Context(), address), false)
	if code != exitBroker || !strings.Contains(text, "not connected to the NATS server") {
		t.Errorf("health of a role without a broker: %d %q", code, text)
	}
	stop()
	code, text = explain(a.health(t.Context(), address), false)
	if code != exitBroker || !strings.Contains(text, "connection refused") {
		t.Errorf("health of nobody: %d %q", code, text)
	}
}

// Without a host the monitor is for this machine alone.
func TestMonitorListensOnLoopback(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	stop, err := newMonitor().serve(context.WithoutCancel(t.Context()), ":0", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if !strings.Contains(log.String(), "address=127.0.0.1:") {
		t.Errorf("log %q", log.String())
	}
}
