package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"windrow/internal/queue"
)

func newHealth(a *app) *cobra.Command {
	var url string
	c := &cobra.Command{
		Use:   "health [ROLE]",
		Short: "Tell whether the broker answers a role, with the credentials of the environment",
		Long: `Tell whether the broker answers a role (producer, worker, merger or operator,
the default), with the credentials of the environment. Exit code 6 if it does
not. It is the health check of a container, whose role waits for the broker as
long as it takes.`,
		Example: `  windrow health worker --nats nats://127.0.0.1:4222`,
		Args:    between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			role := string(queue.Operator)
			if len(args) > 0 {
				role = args[0]
			}
			return a.health(c.Context(), url, role)
		},
	}
	addURL(c, &url)
	return c
}

func (a *app) health(ctx context.Context, url, role string) error {
	options := queue.OptionsFromEnv(os.Getenv)
	if url != "" {
		options.URL = url
	}
	if options.URL == "" {
		return noURL("health")
	}
	if !slices.Contains(queue.Roles, queue.Role(role)) {
		return &exitError{exitUsage, fmt.Errorf("role %q: expected one of %v", role, queue.Roles), "windrow health --help"}
	}
	options.Name = "windrow " + role // a role hears answers only under its own name
	conn, err := queue.Connect(ctx, options, newLog(a.stderr, slog.LevelError))
	if err != nil {
		return err
	}
	defer conn.Close()
	runs, err := conn.Runs(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s answers: %s\n", queue.PublicURL(options.URL), plural(len(runs), "run"))
	return nil
}
