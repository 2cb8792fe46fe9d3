// Package broker runs a NATS server inside this process, so that a run on one
// machine needs nothing else installed.
//
// The server stores streams below one directory and confirms nothing before it
// is on disk: JetStream's own default syncs every two minutes, and a power
// failure would take everything confirmed since. It listens on the loopback
// interface only, on a port of the system's choosing, unless it is told
// otherwise, and then speaks TLS; it lets in who knows a random token.
//
// nats-server does not lock its store: two servers in one directory would
// destroy it. Start therefore takes a lock, which the system releases when the
// process ends in whatever way, and returns ErrLocked to everybody else.
package broker

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"

	"windrow/internal/atomicfile"
)

// MaxBatch is the number of messages that can be published at once. With each
// batch nats-server makes and removes a directory, so that its own limit of
// 1000 costs more than the messages do.
const MaxBatch = 5000

// ServerName is what the broker of a windrow run calls itself.
const ServerName = "windrow"

const (
	loopback   = "127.0.0.1:0"
	maxPayload = 1 << 20          // bytes of one message
	maxStore   = 1 << 50          // bytes of all streams: what fits on the disk was checked for each run
	readyLimit = 30 * time.Second // from the store being read to the first client
	tokenBytes = 32
	tlsLimit   = 5 * time.Second // for a handshake, as for a connection: hosts may be busy
)

// ErrLocked says that another process runs a broker on the directory.
var ErrLocked = errors.New("the broker's store is in use")

// Options configures a broker.
type Options struct {
	StoreDir string       // made if it does not exist
	Listen   string       // address; empty: a free port on the loopback interface
	Access   Access       // empty: a random token, and no TLS
	Log      *slog.Logger // receives the server's log
}

// Broker is a NATS server in this process.
type Broker struct {
	server *server.Server
	store  string
	lock   *flock.Flock
	url    string
	token  string
	tls    bool
	failed <-chan string
	close  func() error
}

// Start starts a server and returns when it accepts clients and has read its
// store. It returns ErrLocked, with the process that holds the lock, if
// another broker runs on the store.
func Start(o Options) (*Broker, error) {
	if err := atomicfile.MkdirAll(o.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("make store directory: %w", err)
	}
	lock, err := lockStore(o.StoreDir)
	if err != nil {
		return nil, err
	}
	if o.Access.Token == "" {
		o.Access.Token = randomToken()
	}
	b := &Broker{store: o.StoreDir, lock: lock, token: o.Access.Token, tls: len(o.Access.Certificate.Key) > 0}
	failed := make(chan string, 1)
	if b.server, err = startServer(o, failed); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	b.failed = failed
	b.url = "nats://" + reachable(b.server.Addr())
	b.close = sync.OnceValue(b.stop)
	return b, nil
}

// reachable returns the address at which this host reaches the server, which
// may listen at all.
func reachable(listening net.Addr) string {
	address, ok := listening.(*net.TCPAddr)
	if !ok || !address.IP.IsUnspecified() {
		return listening.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(address.Port))
}

// Clients returns how many clients are connected.
func (b *Broker) Clients() int { return b.server.NumClients() }

// Failed delivers a reason if the store cannot be written any more. The server
// then lives on without storing anything.
func (b *Broker) Failed() <-chan string { return b.failed }

// SyncNames makes the names of the directories in the store durable, and that
// others are gone. nats-server syncs what it puts into them and leaves this to
// the file system; ext4, XFS and btrfs do it by themselves, others need not, and
// a stream whose directory is lost is lost whole. It is for whoever has made or
// deleted streams.
func (b *Broker) SyncNames() error {
	err := filepath.WalkDir(b.store, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = atomicfile.SyncDir(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // the server removes directories at any time
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("sync the broker's store: %w", err)
	}
	return nil
}

func randomToken() string {
	token := make([]byte, tokenBytes)
	_, _ = rand.Read(token) // never fails
	return hex.EncodeToString(token)
}

// startServer returns a server that is ready for clients.
func startServer(o Options, failed chan string) (*server.Server, error) {
	options, err := serverOptions(o)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("configure nats-server: %w", err)
	}
	log := &serverLog{log: o.Log, fatal: make(chan string, 1), failed: failed}
	s.SetLoggerV2(log, false, false, false)
	s.Start() // reads the store before it returns
	if err := checkStarted(s, log); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, err
	}
	return s, nil
}

func serverOptions(o Options) (*server.Options, error) {
	listen := o.Listen
	if listen == "" {
		listen = loopback
	}
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", listen, err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	options := &server.Options{
		ServerName:             ServerName,
		Host:                   host,
		Port:                   port,
		Authorization:          o.Access.Token,
		MaxPayload:             maxPayload,
		JetStream:              true,
		StoreDir:               o.StoreDir,
		JetStreamMaxStore:      maxStore,
		SyncAlways:             true,
		JetStreamLimits:        server.JSLimitOpts{MaxBatchSize: MaxBatch},
		DisableJetStreamBanner: true,
		NoSigs:                 true,
		NoLog:                  true, // only that it makes no logger of its own
	}
	options.Cluster.NoAdvertise = true // clients are told where to connect, and nothing else
	if len(o.Access.Certificate.Key) > 0 {
		pair, err := tls.X509KeyPair(o.Access.Certificate.Certificate, o.Access.Certificate.Key)
		if err != nil {
			return nil, fmt.Errorf("the broker's certificate: %w", err)
		}
		options.TLS, options.TLSTimeout = true, tlsLimit.Seconds()
		options.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	return options, nil
}

// checkStarted returns why the server did not start. What the server calls
// fatal, as a store that it cannot open, it only logs.
func checkStarted(s *server.Server, log *serverLog) error {
	select {
	case reason := <-log.fatal:
		return fmt.Errorf("start nats-server: %s", reason)
	default:
	}
	if !s.ReadyForConnections(readyLimit) {
		return fmt.Errorf("start nats-server: not ready after %v", readyLimit)
	}
	return nil
}

// URL returns where clients connect to. It holds no secret.
func (b *Broker) URL() string { return b.url }

// Token returns what clients authenticate with.
func (b *Broker) Token() string { return b.token }

// Close stops the server, waits until it has stopped, and releases the lock.
// It may be called more than once.
func (b *Broker) Close() error { return b.close() }

func (b *Broker) stop() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	if err := b.lock.Unlock(); err != nil {
		return fmt.Errorf("unlock the broker's store: %w", err)
	}
	return nil
}

// Version returns the version of nats-server.
func Version() string { return server.VERSION }

// lockStore takes the lock on dir and leaves this process's id in it.
func lockStore(dir string) (*flock.Flock, error) {
	path := filepath.Join(dir, "lock")
	lock := flock.New(path)
	held, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("lock the broker's store: %w", err)
	case !held:
		return nil, fmt.Errorf("%w by %s (%s)", ErrLocked, holder(path), path)
	}
	if err := os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("sign the lock: %w", err), lock.Unlock())
	}
	return lock, nil
}

// holder says who holds the lock, as far as that can be known.
func holder(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "another process"
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d", pid)
}
