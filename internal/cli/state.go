package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"windrow/internal/atomicfile"
	"windrow/internal/broker"
	"windrow/internal/message"
	"windrow/internal/queue"
)

// state is the state directory of local runs:
//
//	broker/          store of the embedded broker, locked by the process that runs it
//	broker.json      how to reach that broker, while it runs
//	token, *.pem     its token and certificate, if it listens for other hosts
//	shards/<run>/    what the workers hand to the merger
//	logs/<run>/      what the processes of the run said
type state struct{ dir string }

// stateDir is the default, beside the dataset.
const stateDir = ".windrow"

// stateBeside returns the state directory that was asked for, or the default
// one beside the output.
func stateBeside(asked, output string) state {
	if asked == "" {
		asked = filepath.Join(filepath.Dir(output), stateDir)
	}
	return state{asked}
}

func (s state) store() string                  { return filepath.Join(s.dir, "broker") }
func (s state) shards() string                 { return filepath.Join(s.dir, "shards") }
func (s state) logs(id message.RunID) string   { return filepath.Join(s.dir, "logs", string(id)) }
func (s state) exists() bool                   { return isDir(s.dir) }
func (s state) hasBegun(id message.RunID) bool { return isDir(s.logs(id)) }

// startBroker starts the embedded broker. A client command may have the store
// open for a moment, so a lock is waited for.
func (s state) startBroker(ctx context.Context, at listener, log *slog.Logger) (*broker.Broker, error) {
	options, err := at.options(s, log)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(storeWait / 20)
	defer ticker.Stop()
	for end := time.Now().Add(storeWait); ; {
		b, err := broker.Start(options)
		if !errors.Is(err, broker.ErrLocked) || time.Now().After(end) {
			return b, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

const storeWait = 3 * time.Second

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// host starts the embedded broker on the state directory and connects to it.
// The returned function disconnects and stops it.
func (s state) host(ctx context.Context, at listener, log *slog.Logger) (_ *local, err error) {
	if err := atomicfile.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state directory: %w", err)
	}
	b, err := s.startBroker(ctx, at, log)
	if errors.Is(err, broker.ErrLocked) {
		return nil, &exitError{exitBroker, fmt.Errorf("another windrow is at work in %s: %w", s.dir, err), "windrow status --state-dir " + s.dir}
	}
	if err != nil {
		return nil, &exitError{exitBroker, fmt.Errorf("start the embedded broker: %w", err), ""}
	}
	l := &local{broker: b, state: s, url: b.URL()}
	if at.address != "" {
		l.url, l.certificate = at.url(), broker.CertificateFile(s.dir)
	}
	if l.conn, err = queue.Connect(ctx, queue.Options{URL: b.URL(), Token: b.Token(), CAFile: l.certificate, Name: "windrow run"}, log); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return l, nil
}

// local is a connection to the embedded broker in this process.
type local struct {
	broker *broker.Broker
	conn   *queue.Conn
	state  state

	url         string // for others: of the broker
	certificate string // file of the broker's, or empty
}

func (l *local) close() error {
	l.conn.Close()
	return errors.Join(broker.RemoveInfo(l.state.dir), l.broker.Close())
}

// connectFlags say where the broker is.
type connectFlags struct {
	url, stateDir string
}

// state returns the state directory that is looked at where no server is named.
func (f *connectFlags) state() state {
	if f.stateDir == "" {
		return state{stateDir}
	}
	return state{f.stateDir}
}

// connect finds the broker for a command: the one that --nats or NATS_URL
// names, else the one of a live run in the state directory, else its store,
// opened here.
func (a *app) connect(ctx context.Context, f connectFlags, log *slog.Logger) (_ *queue.Conn, closing func() error, err error) {
	options := optionsFor(f.url)
	options.Name = "windrow " + string(queue.Operator)
	if options.URL != "" {
		conn, err := queue.Connect(ctx, options, log)
		if err != nil {
			return nil, nil, err
		}
		return conn, func() error { conn.Close(); return nil }, nil
	}
	s := f.state()
	if !s.exists() {
		return nil, nil, &exitError{exitUsage, fmt.Errorf("no state directory %s here, and no --nats URL", s.dir), "windrow status --state-dir DIR"}
	}
	info, err := broker.ReadInfo(s.dir)
	if err == nil {
		conn, err := queue.Connect(ctx, queue.Options{URL: info.URL, Token: info.Token, CAFile: info.Certificate, Name: "windrow"}, log)
		if err == nil {
			return conn, func() error { conn.Close(); return nil }, nil
		}
		if !errors.Is(err, queue.ErrUnreachable) {
			return nil, nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	l, err := s.host(ctx, listener{}, log)
	if err != nil {
		return nil, nil, err
	}
	return l.conn, l.close, nil
}
