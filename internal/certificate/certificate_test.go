package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"windrow/internal/certificate"
)

func makePair(t *testing.T, hosts ...string) certificate.Pair {
	t.Helper()
	p, err := certificate.Make(hosts, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shakeHands connects a client that trusts one certificate to a server that
// shows another, or the same.
func shakeHands(t *testing.T, trusted, shown certificate.Pair, name string) error {
	t.Helper()
	pair, err := tls.X509KeyPair(shown.Certificate, shown.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusted.Certificate) {
		t.Fatal("no certificate")
	}
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	server := tls.Server(theirs, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13,
		ClientCAs: roots, ClientAuth: tls.VerifyClientCertIfGiven,
	})
	go func() {
		_ = server.HandshakeContext(t.Context()) // the client says what is wrong
		_ = theirs.Close()
	}()
	client := tls.Client(ours, &tls.Config{
		RootCAs: roots, ServerName: name, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13,
	})
	return client.HandshakeContext(t.Context())
}

func TestServerIsTheOneThatIsTrusted(t *testing.T) {
	t.Parallel()
	p := makePair(t, "broker.example", "127.0.0.1", "::1")
	for _, name := range []string{"broker.example", "127.0.0.1", "::1"} {
		if err := shakeHands(t, p, p, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := shakeHands(t, p, p, "other.example"); err == nil {
		t.Error("a certificate for broker.example shows who other.example is")
	}
	if err := shakeHands(t, p, makePair(t, "broker.example"), "broker.example"); err == nil {
		t.Error("another server with this name is trusted")
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	p, now := makePair(t, "broker.example", "10.0.0.1"), time.Now()
	for _, test := range []struct {
		pair certificate.Pair
		host string
		at   time.Time
		ok   bool
	}{
		{p, "broker.example", now, true},
		{p, "10.0.0.1", now, true},
		{p, "10.0.0.2", now, false},
		{p, "broker.example", now.Add(certificate.Lifetime + time.Hour), false},
		{certificate.Pair{}, "broker.example", now, false},
		{certificate.Pair{Certificate: p.Certificate, Key: makePair(t).Key}, "broker.example", now, false},
	} {
		if err := test.pair.Covers(test.host, test.at); (err == nil) != test.ok {
			t.Errorf("Covers(%s, %v) = %v", test.host, test.at, err)
		}
	}
}
