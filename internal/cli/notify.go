package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"windrow/producer"
)

func addNotify(c *cobra.Command, command *string) {
	c.Flags().StringVar(command, "notify", "", "shell command to run at the end, whatever it is: $WINDROW_RUN, $WINDROW_EXIT_CODE, $WINDROW_DATASET and $WINDROW_ERROR tell")
}

const notifyTime = time.Minute

// notify runs the user's command at the end of a run. Its own failure is said,
// and changes nothing.
func (a *app) notify(ctx context.Context, command string, plan *producer.Plan, outcome error) {
	if command == "" {
		return
	}
	code, text := explain(outcome, a.stops.interrupted())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTime) // the run may have been interrupted
	defer cancel()
	c := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	c.Stdout, c.Stderr = a.stderr, a.stderr
	c.Env = append(os.Environ(),
		"WINDROW_RUN="+string(plan.ID()), "WINDROW_EXIT_CODE="+strconv.Itoa(code),
		"WINDROW_DATASET="+plan.Spec.Output.File, "WINDROW_ERROR="+text)
	if err := c.Run(); err != nil {
		fmt.Fprintf(a.stderr, "windrow: --notify %s: %v\n", command, err)
	}
}
