package cli

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"windrow/internal/broker"
	"windrow/internal/h5"
	"windrow/internal/version"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of windrow and of what it is built on",
		Example: `  windrow version`,
		Args:    exactly(0),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(a.stdout, strings.TrimSpace("windrow "+version.Windrow+" "+version.Commit()))
			fmt.Fprintf(a.stdout, "libhdf5 %s\n", h5.LibVersion())
			fmt.Fprintf(a.stdout, "nats-server %s (embedded)\n", broker.Version())
			fmt.Fprintf(a.stdout, "%s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
