// Package cli is the command line: one file for each command, which reads its
// flags, puts the components together and turns their errors into exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"windrow/internal/supervisor"
	"windrow/internal/version"
)

// Main runs the command in args and returns the exit code. Results go to
// stdout, everything else to stderr.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	stops, release := watchStops(ctx, supervisor.OpenLifeline())
	defer release()
	// A write beyond the limit of a file's size is an error then, and no end.
	signal.Notify(make(chan os.Signal, 1), unix.SIGXFSZ)

	root := newRoot(&app{stdout: stdout, stderr: &console{out: stderr}, stops: stops}) //nolint:contextcheck // commands get it from ExecuteContext
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(stops.gentle) //nolint:contextcheck // derived from ctx in watchStops
	code, text := explain(err, stops.interrupted())
	for line := range strings.Lines(text) {
		fmt.Fprint(stderr, supervisor.Prefix, line)
	}
	if text != "" {
		fmt.Fprintln(stderr)
	}
	return code
}

// app is what all commands share.
type app struct {
	stdout io.Writer
	stderr *console
	stops  *stops
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "windrow",
		Short: "Turn a list of simulation tasks into one verified HDF5 dataset, whatever crashes on the way",
		Long: `windrow turns a list of simulation tasks into one verified HDF5 dataset,
whatever crashes on the way.

A spec says which tasks to compute, with which simulator, and where the
dataset goes. "windrow run" does it all on this machine; "windrow producer",
"worker" and "merger" are its parts, for a NATS server of your own.

Exit codes:
` + exitCodes,
		Example: `  windrow run examples/001-tenders/tenders.yaml
  windrow plan examples/001-tenders/tenders.yaml
  windrow verify tenders.h5`,
		Version:       version.Windrow,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := c.ValidateFlagGroups(); err != nil { // cobra would do it later, as if it were an error of ours
				return usageError(c, err)
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError(c, err)
	})
	root.AddCommand(
		newRun(a), newPlan(a), newStatus(a), newFailed(a), newReplay(a),
		newSimulate(a), newExplain(a), newLogs(a), newRuns(a), newPause(a), newResume(a), newCancel(a), newRemove(a),
		newVerify(a), newInspect(a), newPlot(a), newCard(a), newExport(a), newDiff(a), newCheck(a), newMerge(a), newRecover(a),
		newSimulator(a), newEstimate(a), newAEP(a), newProducer(a), newWorker(a),
		newMerger(a), newAuth(a), newHealth(a), newDoctor(a), newVersion(a), newForeign(a), newImporter(a),
	)
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil {
		c.Example = "  source <(windrow completion bash)\n  windrow completion zsh > ~/.zfunc/_windrow\n  windrow completion fish > ~/.config/fish/completions/windrow.fish"
	}
	return root
}

// helpTemplate has the examples first: they are what people look for.
const helpTemplate = `{{.Short}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}

Usage:{{if .Runnable}}
  {{.UseLine}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}{{with .Long}}

{{. | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableSubCommands}}

Available Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

func noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	c.SuggestionsMinimumDistance = 2 // cobra's own default holds only for its own error
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %q?", err, near[0])
	}
	return usageError(c, err)
}

// exactly wants n positional arguments, which the command's use line names.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(low, high int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < low {
			return usageError(c, errors.New("an argument is missing: "+c.UseLine()))
		}
		if len(args) > high {
			return usageError(c, fmt.Errorf("argument %q is one too many: %s", args[high], c.UseLine()))
		}
		return nil
	}
}

func usageError(c *cobra.Command, err error) error {
	return &exitError{code: exitUsage, err: err, next: c.CommandPath() + " --help"}
}

// newLog returns the log of a role: readable on a terminal, JSON elsewhere.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	if isTerminal(w) {
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: "15:04:05"}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

func isTerminal(w io.Writer) bool {
	if c, ok := w.(*console); ok {
		w = c.out
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
