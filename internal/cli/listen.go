package cli

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"windrow/internal/broker"
)

// listener is where the embedded broker listens for workers on other hosts.
// The zero value is for this host alone.
type listener struct {
	address string // as in --listen
	host    string // by which others reach this one
}

// parseListen reads --listen. Workers that outlive the run look for it where
// it was, so the port has to be given.
func parseListen(address string) (listener, error) {
	if address == "" {
		return listener{}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || n < 1 || n > 65535 {
		return listener{}, &exitError{exitUsage, fmt.Errorf("--listen %s: an address with a port is wanted", address), "windrow run SPEC --listen 0.0.0.0:4222"}
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return listener{address, host}, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return listener{}, fmt.Errorf("the name of this host: %w", err)
	}
	return listener{address, name}, nil
}

// url returns where others reach the broker.
func (l listener) url() string {
	_, port, _ := net.SplitHostPort(l.address) // as parseListen has checked
	return "nats://" + net.JoinHostPort(l.host, port)
}

// names returns all by which this host is reached.
func (l listener) names() []string {
	names := namesOfThisHost()
	addresses, err := net.InterfaceAddrs()
	if err == nil { // else those who name an address have to name the host
		for _, a := range addresses {
			if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
				names = append(names, network.IP.String())
			}
		}
	}
	if !slices.Contains(names, l.host) {
		names = append(names, l.host)
	}
	return names
}

// options returns how to start the broker on a state directory.
func (l listener) options(s state, log *slog.Logger) (o broker.Options, err error) {
	o = broker.Options{StoreDir: s.store(), Log: log}
	if l.address == "" {
		return o, nil
	}
	o.Listen = l.address
	o.Access, err = broker.OpenAccess(s.dir, l.names())
	return o, err
}

// invite says how workers on other hosts join the run.
func (c *campaign) invite() error {
	if c.options.listen == "" {
		return nil
	}
	dir, err := filepath.Abs(c.local.state.dir)
	if err != nil {
		return fmt.Errorf("find the state directory: %w", err)
	}
	command := []string{"windrow", roleWorker, "--state-dir", dir, "--run", string(c.plan.ID()), "--exit-when-sealed"}
	if c.plan.Spec.Simulator.Command != nil {
		command = append(command, "--allow-command")
	}
	fmt.Fprintf(c.stderr, "on other hosts that see this folder: %s\n", strings.Join(command, " "))
	return nil
}

// farewell is how long the broker of a sealed run waits for workers on other
// hosts to notice the seal. Who does not waits for it to come back.
const farewell = 10 * time.Second

// awaitFarewell waits until only this process is connected.
func (c *campaign) awaitFarewell() {
	if c.options.listen == "" {
		return
	}
	ticker := time.NewTicker(farewell / 100)
	defer ticker.Stop()
	for end := time.After(farewell); c.local.broker.Clients() > 1; {
		select {
		case <-ticker.C:
		case <-end:
			return
		case <-c.stops.gentle.Done():
			return
		}
	}
}
