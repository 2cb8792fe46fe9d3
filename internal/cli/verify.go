package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/internal/foreign"
	"windrow/internal/message"
	"windrow/internal/shard"
	"windrow/internal/supervisor"
)

func newVerify(a *app) *cobra.Command {
	inside, differences, rows := false, false, int64(0)
	c := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a dataset from its own manifest",
		Long: `Check a dataset from its own manifest: the content of every column and all
other bytes are what they were when the file was sealed, the rows are in task
order, and with the failed tasks they are all tasks of the run. The keys of the
rows are those of the task list in the dataset's own spec, unless that names a
file of tasks. If something differs, the first rows that do are named.

--recompute N also computes the energy of N farms again, evenly spaced over a
dataset of the windfarm model, from their stored layouts; aep and
capacity_factor must be the same bits. Files of a turbine or of the wind must be
in the working directory or beside the dataset, as its spec names them.

The file is read in a child process with limits, because the HDF5 library
crashes on some damaged files. Exit code 5 if the file is not sound.`,
		Example: `  windrow verify tenders.h5
  windrow verify tenders.h5 --recompute 20`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if rows < 0 || rows > message.MaxTasks {
				return usageError(c, fmt.Errorf("--recompute %d: 0 to %d are allowed", rows, message.MaxTasks))
			}
			if differences {
				return a.differInside(c.Context(), args[0])
			}
			if inside {
				return a.verifyInside(c.Context(), args[0], rows)
			}
			return a.verify(c.Context(), args[0], rows)
		},
	}
	c.Flags().Int64Var(&rows, "recompute", 0, "how many farms to compute again")
	c.Flags().BoolVar(&inside, "inside", false, "check in this process and print the report as JSON")
	c.Flags().BoolVar(&differences, "differences", false, "in this process, say which rows of a corrupt dataset are not what they were")
	for _, own := range []string{"inside", "differences"} {
		if err := c.Flags().MarkHidden(own); err != nil {
			panic(err) // the flag was added a line above
		}
	}
	return c
}

func (a *app) verify(ctx context.Context, path string, rows int64) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &exitError{exitCorrupt, fmt.Errorf("%s: there is no such file", path), ""}
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &exitError{exitCorrupt, fmt.Errorf("%s is not a file", path), ""}
	}
	report, err := verifyInChild(ctx, path, rows)
	if corrupt, ok := errors.AsType[*exitError](err); ok && corrupt.code == exitCorrupt {
		return a.withRows(ctx, path, corrupt)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: verified\n", path)
	fmt.Fprintf(a.stdout, "  rows     %s of %s tasks, %d failed\n", humanize.Comma(report.Rows), humanize.Comma(report.Tasks), report.Failed)
	fmt.Fprintf(a.stdout, "  content  %s\n", plural(len(report.Contents), "digest")+" as in the manifest")
	if report.Keys > 0 {
		fmt.Fprintf(a.stdout, "  keys     of %s as the spec says\n", plural(int(report.Keys), "row"))
	}
	if rows > 0 {
		fmt.Fprintf(a.stdout, "  farms    %s computed again, with the same bits\n", humanize.Comma(report.Recomputed))
	}
	fmt.Fprintf(a.stdout, "  size     %s\n", size(report.Bytes))
	fmt.Fprintf(a.stdout, "  sha256   %s\n", report.SHA256)
	fmt.Fprintf(a.stdout, "  run      %s, windrow %s\n", report.Digest, report.Version)
	return nil
}

// insideReport is what the child prints.
type insideReport struct {
	dataset.Report
	Keys       int64 // rows whose key is the one that the spec says
	Recomputed int64 // rows
}

// verifyInChild runs the check in a child, whose death means that the file is
// corrupt.
func verifyInChild(ctx context.Context, path string, rows int64) (insideReport, error) {
	said, err := askChild(ctx, path, "--inside", "--recompute", strconv.FormatInt(rows, 10))
	if err != nil {
		return insideReport{}, err
	}
	var report insideReport
	if err := json.Unmarshal(said, &report); err != nil {
		return insideReport{}, fmt.Errorf("check %s: read the child's report: %w", path, err)
	}
	return report, nil
}

// askChild returns what a child prints about the file.
func askChild(ctx context.Context, path string, how ...string) ([]byte, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	var stdout, stderr bytes.Buffer
	child := exec.CommandContext(ctx, program, append(append([]string{"verify"}, how...), "--", path)...)
	child.Stdout, child.Stderr = &stdout, &stderr
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = child.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, childError(path, exit, stderr.String())
	} else if err != nil {
		return nil, fmt.Errorf("check %s: %w", path, err)
	}
	return stdout.Bytes(), nil
}

func childError(path string, exit *exec.ExitError, said string) error {
	said, orderly := strings.CutPrefix(said, supervisor.Prefix)
	if !orderly || exit.ExitCode() < 0 || exit.ExitCode() == exitInternal { // it crashed, or ran into a limit
		return &exitError{exitCorrupt, fmt.Errorf("%s: dataset is corrupt: reading it ended with %w", path, exit), ""}
	}
	return &exitError{exit.ExitCode(), fmt.Errorf("%s: %s", path, strings.TrimSpace(said)), ""}
}

// Limits of the process that reads an unknown file.
const (
	insideData       = 2 << 30 // bytes of memory
	insideSeconds    = 120     // of CPU, and
	insideByteSecond = 5 << 20 // one more for so many bytes of the file, and for each farm
)

// limitInside limits this process, which is about to read the file and to
// compute so many farms.
func limitInside(path string, rows int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return foreign.Limit(insideData, time.Duration(insideSeconds+info.Size()/insideByteSecond+rows)*time.Second)
}

func (a *app) verifyInside(ctx context.Context, path string, rows int64) error {
	if err := limitInside(path, rows); err != nil {
		return err
	}
	report, err := dataset.Verify(ctx, path)
	if err != nil {
		return err
	}
	keys, err := checkTasks(ctx, path, report.Tasks)
	if err != nil {
		return err
	}
	recomputed, err := int64(0), error(nil)
	if rows > 0 {
		recomputed, err = recompute(path, rows)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(a.stdout).Encode(insideReport{report, keys, recomputed})
}

// checkSealed makes sure that the dataset is the file that was sealed.
func checkSealed(path string, sealed *message.Sealed) error {
	sum, size, err := shard.Hash(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the run is sealed, but its dataset %s is gone", path)
	case err != nil:
		return err
	case sum != sealed.SHA256 || size != sealed.Bytes:
		return fmt.Errorf("%s is not the dataset that was sealed: sha256 %s and %d bytes, sealed were %s and %d",
			path, sum, size, sealed.SHA256, sealed.Bytes)
	}
	return nil
}
