package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/queue"
)

// monitorAddress is where `windrow health` asks, and what the containers
// listen on.
const monitorAddress = "127.0.0.1:9464"

func addMonitor(c *cobra.Command, address *string) {
	c.Flags().StringVar(address, "metrics", "", "serve /metrics, /healthz and /readyz on this address, as in :9464; without a host, on the loopback interface (default: nowhere)")
}

// monitor answers who asks how a role is.
type monitor struct {
	conn    atomic.Pointer[queue.Conn] // nil until there is one
	metrics atomic.Pointer[metrics]    // of the present or last run, nil until there is one
}

func newMonitor() *monitor { return &monitor{} }

// connected tells the monitor which connection the role works with.
func (m *monitor) connected(c *queue.Conn) { m.conn.Store(c) }

// watch tells the monitor which run the role works for.
func (m *monitor) watch(run *queue.Run, f *ledger.Follower) {
	m.metrics.Store(&metrics{run: run, ledger: f})
}

// watchMerge tells the monitor how to ask how many bytes are merged.
func (m *monitor) watchMerge(merged func() int64) {
	present := *m.metrics.Load()
	present.merged = merged
	m.metrics.Store(&present)
}

// ready says why the role cannot work now.
func (m *monitor) ready() error {
	if c := m.conn.Load(); c == nil || !c.Connected() {
		return errors.New("not connected to the NATS server")
	}
	return nil
}

const (
	monitorReadLimit = 5 * time.Second
	monitorGrace     = time.Second // for answers that are under way
)

// serve answers on address until ctx ends. It returns once it listens; stop
// waits until the last answer is given. No address means nowhere.
func (m *monitor) serve(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("--metrics %s: %w", address, err), "--metrics " + monitorAddress}
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	server := &http.Server{Handler: m.handler(), ReadTimeout: monitorReadLimit, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "metrics are not served any more", "reason", err)
		}
	}()
	log.InfoContext(ctx, "serving metrics", "address", l.Addr().String())
	return func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), monitorGrace)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close() // who asks so slowly gets no answer
		}
		<-done
	}, nil
}

func (m *monitor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := m.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		registry := prometheus.NewRegistry()
		registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		if present := m.metrics.Load(); present != nil {
			registry.MustRegister(present)
		}
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
	return mux
}
