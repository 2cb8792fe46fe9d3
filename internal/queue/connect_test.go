package queue_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windrow/internal/queue"
)

func TestOptionsFromEnv(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want queue.Options
	}{
		"nothing":            {nil, queue.Options{}},
		"user and password":  {map[string]string{"NATS_USER": "u", "NATS_PASSWORD": "p"}, queue.Options{User: "u", Password: "p"}},
		"user alone":         {map[string]string{"NATS_USER": "t"}, queue.Options{Token: "t"}},
		"user and token":     {map[string]string{"NATS_USER": "u", "NATS_TOKEN": "t"}, queue.Options{User: "u", Token: "t"}},
		"files":              {map[string]string{"NATS_CREDS": "c", "NATS_NKEY": "n"}, queue.Options{CredsFile: "c", NKeyFile: "n"}},
		"transport security": {map[string]string{"NATS_CA": "a", "NATS_CERT": "c", "NATS_KEY": "k"}, queue.Options{CAFile: "a", CertFile: "c", KeyFile: "k"}},
		"server":             {map[string]string{"NATS_URL": "nats://a,nats://b"}, queue.Options{URL: "nats://a,nats://b"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := queue.OptionsFromEnv(func(key string) string { return c.env[key] })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConnectRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	host := strings.TrimPrefix(s.broker.URL(), "nats://")
	for name, c := range map[string]struct {
		options queue.Options
		says    []string
	}{
		"wrong token":      {queue.Options{URL: s.broker.URL(), Token: "hunter2"}, []string{s.broker.URL(), "a token", "Authorization", "NATS_TOKEN"}},
		"token in the URL": {queue.Options{URL: "nats://hunter2@" + host}, []string{s.broker.URL(), "the credentials in the URL"}},
		"wrong password":   {queue.Options{URL: s.broker.URL(), User: "me", Password: "hunter2"}, []string{`user "me"`}},
		"nothing":          {queue.Options{URL: s.broker.URL()}, []string{"no credentials"}},
		"no such file":     {queue.Options{URL: s.broker.URL(), CredsFile: filepath.Join(t.TempDir(), "my.creds")}, []string{"my.creds", "no such file"}},
		"no such nkey":     {queue.Options{URL: s.broker.URL(), NKeyFile: filepath.Join(t.TempDir(), "my.nk")}, []string{"my.nk", "no such file"}},
		"not a URL":        {queue.Options{URL: "nats://me:hun/ter2@" + host}, []string{"not a valid URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.options.Patient = true // waiting would not help
			_, err := queue.Connect(t.Context(), c.options, quiet)
			wantError(t, err, queue.ErrRefused)
			wantConnectError(t, err, c.says)
		})
	}
}

func TestConnectUnreachable(t *testing.T) {
	t.Parallel()
	address := unusedAddress(t)
	_, err := queue.Connect(t.Context(), queue.Options{URL: "nats://me:hunter2@" + address}, quiet)
	wantError(t, err, queue.ErrUnreachable)
	wantConnectError(t, err, []string{"nats://" + address, "no NATS server answers", "NATS_URL"})
}

func TestPatientConnectWaits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.stop()
	options, connected := s.options(), make(chan error, 1)
	go func() {
		c, err := queue.Connect(t.Context(), options, quiet)
		if err == nil {
			c.Close()
		}
		connected <- err
	}()
	s.startAgain()
	if err := receive(t, connected); err != nil {
		t.Error(err)
	}
}

func TestPatientConnectEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	_, err := queue.Connect(ctx, queue.Options{URL: "nats://" + unusedAddress(t), Patient: true}, quiet)
	wantError(t, err, context.DeadlineExceeded)
	wantError(t, err, queue.ErrUnreachable)
}

func TestClosedConnection(t *testing.T) {
	t.Parallel()
	r, c := newRun(t)
	c.Close()
	c.Close()
	_, err := r.Publish(t.Context(), event(1))
	wantError(t, err, queue.ErrUnreachable)
	_, err = r.Fetch(t.Context(), 1, time.Minute)
	wantError(t, err, queue.ErrUnreachable)
}

func wantConnectError(t *testing.T, err error, says []string) {
	t.Helper()
	if _, ok := errors.AsType[*queue.ConnectError](err); !ok {
		t.Errorf("got %T, want a *queue.ConnectError", err)
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "hun") {
		t.Errorf("%q tells the secret", err)
	}
}

// unusedAddress returns an address at which nobody listens.
func unusedAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
