package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"windrow/internal/queue"
)

func newAuth(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "auth",
		Short:   "Make credentials for the roles on a NATS server of your own",
		Example: `  windrow auth init keys`,
		Args:    noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "init DIR",
		Short: "Make a key for each role, and the server's configuration that admits them",
		Long: `Make a key for each role, and the server's configuration that admits them.

DIR gets producer.nk, worker.nk, merger.nk and operator.nk, which are secret,
and auth.conf, which is not: it has the public keys, with the permissions that
each role needs and no more. Include auth.conf in the configuration of the NATS
server, and start each role with NATS_NKEY naming its key. What is there
already is not replaced: to change the keys, remove the old ones.`,
		Example: `  windrow auth init /etc/nats/windrow
  NATS_NKEY=/etc/nats/windrow/worker.nk windrow worker --nats nats://127.0.0.1:4222`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.authInit(args[0]) },
	})
	return c
}

// authConfig is the file for the NATS server. It is written last: where it is,
// all keys are.
const authConfig = "auth.conf"

func (a *app) authInit(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // the server, another user, reads auth.conf in it
		return fmt.Errorf("make a directory for the keys: %w", err)
	}
	var users strings.Builder
	for _, role := range queue.Roles {
		public, err := makeKey(filepath.Join(dir, string(role)+".nk"))
		if err != nil {
			return err
		}
		publish, subscribe := role.Permissions()
		fmt.Fprintf(&users, "    # %s\n    {nkey: %s, permissions: {\n      publish: [\n        %s]\n      subscribe: [%s]}}\n",
			role, public, strings.Join(quoted(publish), "\n        "), strings.Join(quoted(subscribe), ", "))
	}
	path := filepath.Join(dir, authConfig)
	text := "# Made by `windrow auth init`: public keys, and what each may do.\nauthorization {\n  users: [\n" + users.String() + "  ]\n}\n"
	if err := writeNew(path, text, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: keys of %d roles\n", dir, len(queue.Roles))
	fmt.Fprintf(a.stdout, "next: include %q in the NATS server's configuration, and set NATS_NKEY for each role\n", path)
	return nil
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
	if err := writeNew(path, string(seed)+"\n", 0o600); err != nil {
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
