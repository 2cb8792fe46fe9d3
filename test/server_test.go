package test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// natsServer is the main function of an ordinary nats-server.
func natsServer() int {
	options, err := server.ConfigureOptions(flag.NewFlagSet("nats-server", flag.ContinueOnError), os.Args[1:], nil, nil, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := server.NewServer(options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s.WaitForShutdown()
	return 0
}

// broker is a nats-server of its own, as users run one beside windrow.
type broker struct {
	*campaign
	url string
	p   *process
}

// newBroker starts a nats-server whose store is in the campaign's directory.
func (c *campaign) newBroker(t *testing.T) *broker {
	t.Helper()
	address := freeAddress(t)
	config := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: always }\n", address, c.path("store"))
	if err := os.WriteFile(c.path("nats.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &broker{campaign: c, url: "nats://" + address}
	b.start(t)
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	b.p = b.campaign.startCommand(t, nil, "nats-server", "-c", b.path("nats.conf"))
	eventually(t, "nats-server to be ready", func() bool {
		return strings.Contains(b.p.stderr.String(), "Server is ready")
	})
}

// role starts a role against the broker.
func (b *broker) role(t *testing.T, args ...string) *process {
	t.Helper()
	return b.campaign.start(t, nil, append(args, "--nats", b.url)...)
}

// freeAddress returns an address of this host at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
