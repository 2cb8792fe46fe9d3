package broker_test

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windrow/internal/broker"
	"windrow/internal/queue"
	"windrow/test/lazyfs"
)

func openAccess(t *testing.T, dir string, hosts ...string) broker.Access {
	t.Helper()
	a, err := broker.OpenAccess(dir, hosts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAccessStaysTheSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, again := openAccess(t, dir, "127.0.0.1"), openAccess(t, dir, "127.0.0.1")
	if first.Token != again.Token || len(first.Token) != 64 || !bytes.Equal(first.Certificate.Key, again.Certificate.Key) {
		t.Error("workers that wait for the broker do not find it again")
	}
	moved := openAccess(t, dir, "127.0.0.1", "broker.example")
	if moved.Token != first.Token || bytes.Equal(moved.Certificate.Key, first.Certificate.Key) {
		t.Error("want the same token, and a certificate for the new name")
	}
	for _, name := range []string{"token", "server.pem", "server-key.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
	}
}

// TestAccessOutlivesPower loses power after the access was made.
func TestAccessOutlivesPower(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := lazyfs.New(t, dir)
	first := openAccess(t, dir, "127.0.0.1")
	if err := disk.LosePower(nil); err != nil {
		t.Fatal(err)
	}
	if again := openAccess(t, dir, "127.0.0.1"); again.Token != first.Token || !bytes.Equal(again.Certificate.Key, first.Certificate.Key) {
		t.Error("workers that wait for the broker do not find it again")
	}
}

func TestHalfACertificateIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := openAccess(t, dir, "127.0.0.1")
	if err := os.Remove(filepath.Join(dir, "server.pem")); err != nil { // killed between the two
		t.Fatal(err)
	}
	if again := openAccess(t, dir, "127.0.0.1"); bytes.Equal(again.Certificate.Key, first.Certificate.Key) || len(again.Certificate.Certificate) == 0 {
		t.Error("the certificate is not made anew")
	}
}

// TestListensForOthers connects as a worker on another host does.
func TestListensForOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	access := openAccess(t, dir, "127.0.0.1")
	b := start(t, broker.Options{StoreDir: filepath.Join(dir, "broker"), Listen: "0.0.0.0:0", Access: access})
	if host, _, err := net.SplitHostPort(strings.TrimPrefix(b.URL(), "nats://")); err != nil || host != "127.0.0.1" {
		t.Errorf("this host is to connect to %s", b.URL())
	}
	if err := b.WriteInfo(dir, "nats://broker.example:4222"); err != nil {
		t.Fatal(err)
	}
	info, err := broker.ReadInfo(dir)
	if err != nil || info.URL != "nats://broker.example:4222" || info.Certificate != broker.CertificateFile(dir) {
		t.Errorf("ReadInfo = %+v, %v", info, err)
	}

	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	hello, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(hello, `"tls_required":true`) || strings.Contains(hello, "connect_urls") {
		t.Errorf("want TLS, and clients sent to no address that the certificate may not cover: %s", hello)
	}

	for name, test := range map[string]struct {
		options queue.Options
		letIn   bool
	}{
		"as invited":              {queue.Options{Token: info.Token, CAFile: info.Certificate}, true},
		"without the certificate": {queue.Options{Token: info.Token}, false},
		"with another":            {queue.Options{Token: info.Token, CAFile: broker.CertificateFile(otherAccess(t))}, false},
		"without the token":       {queue.Options{CAFile: info.Certificate}, false},
		"with another token":      {queue.Options{Token: "guessed", CAFile: info.Certificate}, false},
	} {
		test.options.URL = b.URL()
		client, err := queue.Connect(t.Context(), test.options, quiet)
		if err == nil {
			if b.Clients() == 0 {
				t.Error("no clients are counted")
			}
			client.Close()
		}
		if (err == nil) != test.letIn || err != nil && !errors.Is(err, queue.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func otherAccess(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	openAccess(t, dir, "127.0.0.1")
	return dir
}
