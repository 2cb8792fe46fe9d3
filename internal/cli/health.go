package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealth(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "health [ADDR]",
		Short: "Ask a role on this machine whether it can work",
		Long: `Ask a role on this machine whether it can work: that it lives, and is connected
to its NATS server. The role must have been started with --metrics ADDR; without
ADDR the question goes to ` + monitorAddress + `. It is the health check of the
container image, which needs no shell for it.

Exit codes: 0 it can work, 6 it cannot, or nobody answers.`,
		Example: `  windrow worker --nats nats://127.0.0.1:4222 --metrics :9464
  windrow health
  windrow health 127.0.0.1:9465`,
		Args: between(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			address := firstOf(args)
			if address == "" {
				address = monitorAddress
			}
			return a.health(c.Context(), address)
		},
	}
}

const (
	healthLimit = 3 * time.Second
	healthBytes = 1 << 10 // of an answer that are shown
)

func (a *app) health(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	next := "windrow worker --metrics " + address
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("ask %s: not an address: %w", address, err), "windrow health " + monitorAddress}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return &exitError{exitBroker, fmt.Errorf("ask for health: %w", err), next}
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(response.Body, healthBytes))
	if err != nil {
		return &exitError{exitBroker, fmt.Errorf("ask for health: %w", err), next}
	}
	said := strings.TrimSpace(string(text))
	if response.StatusCode != http.StatusOK {
		return &exitError{exitBroker, fmt.Errorf("%s is not ready: %s", address, said), ""}
	}
	fmt.Fprintln(a.stdout, said)
	return nil
}
