package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"windrow/internal/certificate"
	"windrow/internal/queue"
)

func newAuth(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "auth",
		Short:   "Make credentials for the roles on a NATS server of your own",
		Example: `  windrow auth init keys --host nats.example.org`,
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var hosts []string
	init := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a key for each role, and the server's configuration that admits them over TLS",
		Long: `Make a key for each role, and the server's configuration that admits them over TLS.

DIR gets a folder for each that needs one, to be copied to its host and nowhere
else:

  server/     auth.conf and tls.conf, for the configuration of the NATS server to
              include: the public keys with the permissions that each role needs
              and no more; and its certificate, server.pem and server-key.pem
  producer/   producer.nk, the secret key, and server.pem, the certificate of the
  worker/     only server to trust; and so on
  merger/
  operator/   for status, failed, replay and all that look at runs

Start each role with NATS_NKEY naming its key and NATS_CA the certificate. --host
says by which names it reaches the server. What is there already is not replaced:
to change keys or names, remove DIR.`,
		Example: `  windrow auth init /etc/nats/windrow --host nats.example.org --host 10.1.2.3
  NATS_NKEY=/etc/nats/windrow/worker/worker.nk NATS_CA=/etc/nats/windrow/worker/server.pem windrow worker --nats nats://nats.example.org:4222`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.authInit(args[0], hosts) },
	}
	init.Flags().StringArrayVar(&hosts, "host", nil, "name or address at which clients reach the server, beside localhost and this host's name; may be repeated")
	c.AddCommand(init)
	return c
}

// The folder of the server and its files. authConfig is written last: where it
// is, all else is.
const (
	serverFolder   = "server"
	serverPEM      = "server.pem"
	serverKeyPEM   = "server-key.pem"
	authConfig     = "auth.conf"
	tlsConfig      = "tls.conf"
	secretMode     = 0o600
	publicMode     = 0o644
	authFolderMode = 0o755 // the server, another user, reads what is in it
)

func (a *app) authInit(dir string, hosts []string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("make a directory for the keys: %w", err)
	}
	server := filepath.Join(dir, serverFolder)
	if err := os.MkdirAll(server, authFolderMode); err != nil {
		return fmt.Errorf("make a directory for the keys: %w", err)
	}
	pair, err := certificate.Make(namesOfThisHost(hosts...), time.Now())
	if err != nil {
		return err
	}
	users, err := makeRoles(dir, pair)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{serverKeyPEM, string(pair.Key), secretMode},
		{serverPEM, string(pair.Certificate), publicMode},
		{tlsConfig, fmt.Sprintf("# Made by `windrow auth init`.\ntls {\n  cert_file: %q\n  key_file: %q\n  ca_file: %q # itself, among the servers of a cluster\n}\n",
			filepath.Join(server, serverPEM), filepath.Join(server, serverKeyPEM), filepath.Join(server, serverPEM)), publicMode},
		{authConfig, "# Made by `windrow auth init`: public keys, and what each may do.\nauthorization {\n  users: [\n" + users + "  ]\n}\n", publicMode},
	} {
		if err := writeNew(filepath.Join(server, f.name), f.text, f.mode); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.stdout, "%s: keys of %d roles, and the server's certificate\n", dir, len(queue.Roles))
	fmt.Fprintf(a.stdout, "next: include %q and %q in the NATS server's configuration, and set NATS_NKEY and NATS_CA for each role\n",
		filepath.Join(server, authConfig), filepath.Join(server, tlsConfig))
	return nil
}

// namesOfThisHost returns the names by which it is reached, beside those given.
func namesOfThisHost(more ...string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	return append(names, more...)
}

// makeRoles makes the folder of each role, and returns how the server knows
// them.
func makeRoles(dir string, server certificate.Pair) (users string, err error) {
	var b strings.Builder
	for _, role := range queue.Roles {
		folder := filepath.Join(dir, string(role))
		if err := os.MkdirAll(folder, authFolderMode); err != nil {
			return "", fmt.Errorf("make a directory for a key: %w", err)
		}
		public, err := makeKey(filepath.Join(folder, string(role)+".nk"))
		if err != nil {
			return "", err
		}
		if err := writeNew(filepath.Join(folder, serverPEM), string(server.Certificate), publicMode); err != nil {
			return "", err
		}
		publish, subscribe := role.Permissions()
		fmt.Fprintf(&b, "    # %s\n    {nkey: %s, permissions: {\n      publish: [\n        %s]\n      subscribe: [%s]}}\n",
			role, public, strings.Join(quoted(publish), "\n        "), strings.Join(quoted(subscribe), ", "))
	}
	return b.String(), nil
}

// makeKey writes a new user's seed and returns the public key.
func makeKey(path string) (public string, err error) {
	key, err := nkeys.CreateUser()
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	defer key.Wipe()
	seed, err := key.Seed()
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	if err := writeNew(path, string(seed)+"\n", secretMode); err != nil {
		return "", err
	}
	return key.PublicKey()
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return &exitError{exitUsage, fmt.Errorf("%s is there already, and may be in use", path), ""}
	} else if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func quoted(subjects []string) []string {
	quoted := make([]string, len(subjects))
	for i, s := range subjects {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return quoted
}
