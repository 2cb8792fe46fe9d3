package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"windrow/internal/dataset"
	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/shard"
)

type checkOptions struct {
	require []string
	json    bool
	inside  bool
}

func newCheck(a *app) *cobra.Command {
	o := checkOptions{}
	c := &cobra.Command{
		Use:   "check FILE...",
		Short: "Say which of any HDF5 files are corrupt, and why",
		Long: `Say which of any HDF5 files are corrupt, and why: not there, empty, not HDF5,
stopped before it was closed, a dataset that is missing, that cannot be read
to its end or is of another length than the others, a number that is NaN or
infinite. NaN in a row of several numbers is padding, and allowed. Text of
variable length is not read.

The files need not be windrow's. Those that are have a digest and are held to
it: a shard to the one in its name, a dataset to its manifest.

Files are read in a child process with limits, because the HDF5 library crashes
on some damaged ones. Exit code 5 if a file is corrupt.`,
		Example: `  windrow check worker_*.h5
  windrow check worker_*.h5 --require farm_id,seed,aep`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case o.inside:
				return a.checkInside(c.Context(), os.Stdin, o.require)
			case len(args) == 0:
				return usageError(c, errors.New("an argument is missing: "+c.UseLine()))
			}
			return a.check(c.Context(), o, args)
		},
	}
	c.Flags().StringSliceVar(&o.require, "require", foreign.Required, "datasets that each file must have, of equal length")
	c.Flags().BoolVar(&o.json, "json", false, "print a JSON object for each file")
	c.Flags().BoolVar(&o.inside, "inside", false, "check the files that standard input names in this process")
	if err := c.Flags().MarkHidden("inside"); err != nil {
		panic(err) // the flag was added a line above
	}
	return c
}

// verdict is what was found about one file.
type verdict struct {
	File   string `json:"file"`
	Valid  bool   `json:"valid"`
	Reason string `json:"reason,omitempty"` // why it is corrupt
	Rows   int64  `json:"rows"`
}

func (v verdict) String() string {
	if v.Valid {
		return fmt.Sprintf("%s: valid, %s", v.File, plural(int(v.Rows), "row"))
	}
	return fmt.Sprintf("%s: corrupt: %s", v.File, v.Reason)
}

func (a *app) check(ctx context.Context, o checkOptions, files []string) error {
	r := &reader{require: o.require}
	defer r.stop()
	valid, rows := 0, int64(0)
	for _, file := range files {
		v, err := r.examine(ctx, file)
		if err != nil {
			return err
		}
		if v.Valid {
			valid++
			rows += v.Rows
		}
		if !o.json {
			fmt.Fprintln(a.stdout, v)
		} else if err := json.NewEncoder(a.stdout).Encode(v); err != nil {
			return err
		}
	}
	corrupt := len(files) - valid
	if !o.json {
		fmt.Fprintf(a.stdout, "%d valid, %d corrupt, %s\n", valid, corrupt, plural(int(rows), "row"))
	}
	if corrupt > 0 {
		return &exitError{exitCorrupt, fmt.Errorf("%s of %s corrupt", humanize.Comma(int64(corrupt)), plural(len(files), "file")), ""}
	}
	return nil
}

// reader examines files in a child process, which is used until it dies.
type reader struct {
	require []string
	child   *exec.Cmd
	paths   io.WriteCloser
	answers *bufio.Reader
}

// Limits on the wall clock of one file.
const (
	fileSeconds    = 60
	fileByteSecond = 5 << 20 // one second more for so many bytes
)

// examine returns the verdict about one file. An error is about this machine.
func (r *reader) examine(ctx context.Context, file string) (verdict, error) {
	corrupt := func(reason string) (verdict, error) { return verdict{File: file, Reason: reason}, nil }
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return corrupt("there is no such file")
	case err != nil:
		return corrupt(err.Error())
	case !info.Mode().IsRegular():
		return corrupt("it is not a file")
	case info.Size() == 0:
		return corrupt("it is empty")
	}
	if r.child == nil {
		if err := r.start(); err != nil {
			return verdict{}, fmt.Errorf("start a reader of HDF5 files: %w", err)
		}
	}
	limit := time.Duration(fileSeconds+info.Size()/fileByteSecond) * time.Second
	answer, err := r.ask(ctx, file, limit)
	switch {
	case ctx.Err() != nil:
		return verdict{}, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return corrupt(fmt.Sprintf("reading it took longer than %s", limit))
	case err != nil:
		return corrupt("libhdf5 crashed on it: " + r.stop())
	}
	answer.File = file
	return answer, nil
}

// start starts the child.
func (r *reader) start() error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(program, "check", "--inside", "--require", strings.Join(r.require, ",")) //nolint:noctx // stop ends it
	child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	paths, err := child.StdinPipe()
	if err != nil {
		return err
	}
	answers, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	r.child, r.paths, r.answers = child, paths, bufio.NewReader(answers)
	return nil
}

// ask has the child examine a file. A child that takes too long is killed.
func (r *reader) ask(ctx context.Context, file string, limit time.Duration) (v verdict, err error) {
	ctx, done := context.WithTimeout(ctx, limit)
	defer done()
	kill := context.AfterFunc(ctx, func() { _ = r.child.Process.Kill() })
	defer kill()
	path, err := json.Marshal(file)
	if err != nil {
		return v, err
	}
	if _, err := r.paths.Write(append(path, '\n')); err != nil {
		return v, err
	}
	line, err := r.answers.ReadBytes('\n')
	if ctx.Err() != nil {
		r.stop()
		return v, ctx.Err()
	}
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(line, &v)
}

// stop ends the child, if there is one, and returns how it ended.
func (r *reader) stop() (end string) {
	if r.child == nil {
		return ""
	}
	_ = r.paths.Close() // at the end of its input it ends
	_ = r.child.Wait()  // the state says more
	end = r.child.ProcessState.String()
	r.child = nil
	return end
}

// checkInside answers each path on in with a verdict.
func (a *app) checkInside(ctx context.Context, in io.Reader, require []string) error {
	if err := limitReading(unix.RLIM_INFINITY); err != nil { // the parent has a clock for each file
		return err
	}
	out := json.NewEncoder(a.stdout)
	for paths := json.NewDecoder(in); ; {
		var path string
		if err := paths.Decode(&path); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		rows, err := examine(ctx, path, require)
		v := verdict{Valid: err == nil, Rows: rows}
		if err != nil {
			v.Reason = strings.Join(strings.Fields(err.Error()), " ")
		}
		if err := out.Encode(v); err != nil {
			return err
		}
	}
}

// shardName is the name of a shard, with its digest.
var shardName = regexp.MustCompile(`^\d{1,19}-([0-9a-f]{64})\.h5$`)

// examine checks a file: one of windrow's by its digest, another by reading it.
func examine(ctx context.Context, path string, require []string) (rows int64, err error) {
	if m := shardName.FindStringSubmatch(filepath.Base(path)); m != nil {
		switch sum, _, err := shard.Hash(path); {
		case err != nil:
			return 0, err
		case string(sum) != m[1]:
			return 0, fmt.Errorf("its SHA-256 is %s, not the one in its name", sum)
		}
		return foreign.Check(path, nil) // it has the columns of its run
	}
	report, err := dataset.Verify(ctx, path)
	unreadable, _ := errors.AsType[*h5.Error](err)
	if errors.Is(err, dataset.ErrForeign) || unreadable != nil && unreadable.Op == "open" {
		return foreign.Check(path, require)
	}
	return report.Rows, err
}
