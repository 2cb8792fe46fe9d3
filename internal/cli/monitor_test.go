package cli

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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

// Whoever reaches the port may ask anything.
func FuzzMonitor(f *testing.F) {
	for _, request := range []string{
		"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /metrics?name[]=go_goroutines&collect=x HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: application/openmetrics-text;version=1.0.0;q=0.5\r\n\r\n",
		"POST /readyz HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
		"GET /%2e%2e/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	handler := newMonitor().handler()
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			return
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code >= 500 && answer.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d to %q", answer.Code, data)
		}
		if allowed := request.Method == http.MethodGet || request.Method == http.MethodHead; !allowed && answer.Code == http.StatusOK {
			t.Errorf("%s is answered with %d", request.Method, answer.Code)
		}
	})
}
