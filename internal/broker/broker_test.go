package broker_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"windrow/internal/broker"
)

// holdEnv makes the test binary run a broker on the directory that it names.
const holdEnv = "BROKER_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		hold(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// hold runs a broker until standard input ends.
func hold(dir string) {
	b, err := broker.Start(broker.Options{StoreDir: dir, Log: quiet})
	if err != nil {
		say(err)
		return
	}
	say(b.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	_ = b.Close()
}

func say(v any) { _, _ = fmt.Fprintln(os.Stdout, v) } // the other side notices

var quiet = slog.New(slog.DiscardHandler)

func start(t *testing.T, o broker.Options) *broker.Broker {
	t.Helper()
	o.Log = quiet
	b, err := broker.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestStart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	b := start(t, broker.Options{StoreDir: dir})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	hello, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"jetstream":true`, `"auth_required":true`, `"max_payload":1048576`, `"version":"` + broker.Version()} {
		if !strings.Contains(hello, part) {
			t.Errorf("the server's hello has no %s: %s", part, hello)
		}
	}
	if host, _, err := net.SplitHostPort(conn.RemoteAddr().String()); err != nil || host != "127.0.0.1" {
		t.Errorf("the server listens at %v", conn.RemoteAddr())
	}
}

func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	a := start(t, broker.Options{StoreDir: t.TempDir()})
	b := start(t, broker.Options{StoreDir: t.TempDir()})
	if a.Token() == b.Token() || len(a.Token()) != 64 {
		t.Errorf("tokens %q and %q: want different ones of 64 hex digits", a.Token(), b.Token())
	}
	if a.URL() == b.URL() {
		t.Errorf("both brokers are at %s", a.URL())
	}
}

func TestAddressAndTokenAsTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, broker.Options{StoreDir: dir})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, broker.Options{StoreDir: dir, Listen: strings.TrimPrefix(first.URL(), "nats://"), Access: broker.Access{Token: first.Token()}})
	if again.URL() != first.URL() || again.Token() != first.Token() {
		t.Errorf("started again at %s, was at %s", again.URL(), first.URL())
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	blocked := t.TempDir()
	if err := os.WriteFile(filepath.Join(blocked, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inUse := start(t, broker.Options{StoreDir: t.TempDir()})
	for name, o := range map[string]broker.Options{
		"store is a file":      {StoreDir: file},
		"store cannot be made": {StoreDir: blocked},
		"address without port": {StoreDir: t.TempDir(), Listen: "127.0.0.1"},
		"address in use":       {StoreDir: t.TempDir(), Listen: strings.TrimPrefix(inUse.URL(), "nats://")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Log = quiet
			for range 2 { // the second time also shows that the lock is released
				b, err := broker.Start(o)
				if err == nil {
					_ = b.Close()
					t.Fatal("the broker started")
				}
				if errors.Is(err, broker.ErrLocked) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestStoreIsLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := start(t, broker.Options{StoreDir: dir})
	_, err := broker.Start(broker.Options{StoreDir: dir, Log: quiet})
	wantLocked(t, err, os.Getpid())
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	start(t, broker.Options{StoreDir: dir})
}

func TestStoreIsLockedByAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), holdEnv+"="+dir)
	if _, err := other.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(said, "nats://") {
		t.Fatalf("the other process said %q, error %v", said, err)
	}

	_, err = broker.Start(broker.Options{StoreDir: dir, Log: quiet})
	wantLocked(t, err, other.Process.Pid)
	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err == nil {
		t.Error("the other process was not killed")
	}
	start(t, broker.Options{StoreDir: dir}) // a lock does not outlive its process
}

func wantLocked(t *testing.T, err error, pid int) {
	t.Helper()
	if !errors.Is(err, broker.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("process %d", pid)) {
		t.Errorf("got error %v, want ErrLocked and process %d", err, pid)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := broker.ReadInfo(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want fs.ErrNotExist", err)
	}
	b := start(t, broker.Options{StoreDir: t.TempDir()})
	for range 2 {
		if err := b.WriteInfo(dir, b.URL()); err != nil {
			t.Fatal(err)
		}
	}
	got, err := broker.ReadInfo(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(broker.Info{URL: b.URL(), Token: b.Token(), PID: os.Getpid()}, got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	wantOneSecretFile(t, dir)
	for range 2 {
		if err := broker.RemoveInfo(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := broker.ReadInfo(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v after removal, want fs.ErrNotExist", err)
	}
}

func wantOneSecretFile(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("directory has %v, error %v; want one file", files, err)
	}
	stat, err := files[0].Info()
	if err != nil {
		t.Fatal(err)
	}
	if stat.Mode() != 0o600 {
		t.Errorf("%s has mode %v, want 0600", stat.Name(), stat.Mode())
	}
}

func TestInfoIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "broker.json"), []byte(`{"url":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.ReadInfo(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got error %v, want one about the damage", err)
	}
}
