package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"windrow/internal/message"
	"windrow/internal/windfile"
)

// Files returns every file that the spec names, as it writes them, with their
// sha256, in the order of their names: the task list, the files of a wind farm,
// and the arguments of the command that are the path of a regular file. The program itself counts only
// if it is written with a slash; without one it is looked up in PATH. The error
// is of type Problems.
func (s *Spec) Files() ([]message.File, error) {
	var files []message.File
	var problems Problems
	for name, field := range s.namedFiles() {
		digest, err := hashFile(s.find(name))
		if err != nil {
			problems = append(problems, s.Problem(field, name, "%v", bare(err)))
		}
		files = append(files, message.File{Path: name, Digest: digest})
	}
	slices.SortFunc(files, func(a, b message.File) int { return strings.Compare(a.Path, b.Path) })
	return files, problems.Err()
}

// namedFiles returns the names of the files and the fields that name them.
func (s *Spec) namedFiles() map[string]string {
	fields := map[string]string{}
	if s.Tasks.File != "" {
		fields[s.Tasks.File] = "tasks.file"
	}
	maps.Copy(fields, s.windFiles())
	if s.Simulator.Command == nil {
		return fields
	}
	for i, arg := range s.Simulator.Command.Args {
		if i == 0 && !strings.Contains(arg, "/") {
			continue
		}
		if info, err := os.Stat(s.find(arg)); err == nil && info.Mode().IsRegular() {
			fields[arg] = "simulator.command"
		}
	}
	return fields
}

// windFiles returns the names of the files of a wind farm, and of those that
// they include, and the fields that name them.
func (s *Spec) windFiles() map[string]string {
	fields := map[string]string{}
	w := s.Simulator.Windfarm
	if w == nil {
		return fields
	}
	for _, f := range []struct {
		field, name string
		is          bool
	}{{"site", w.Site, w.HasSiteFile()}, {"turbine", w.Turbine, isTurbineFile(w.Turbine)}, {"resource", w.Resource, w.Resource != ""}, {"layout", w.Layout, w.HasLayoutFile()}} {
		if !f.is {
			continue
		}
		fields[f.name] = "simulator.windfarm." + f.field
		included, err := windfile.Includes(s.Dir(), f.name)
		if err != nil {
			continue // who reads the file says what is wrong with it
		}
		for _, name := range included {
			fields[name] = "simulator.windfarm." + f.field
		}
	}
	return fields
}

func hashFile(path string) (message.Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return message.Digest(hex.EncodeToString(h.Sum(nil))), nil
}

// CheckOutput tells whether the dataset can be written where the spec says,
// as far as can be told without creating anything. The error is of type
// Problems.
func (s *Spec) CheckOutput() error {
	if reason := outputProblem(s.Output.File); reason != "" {
		return Problems{s.Problem("output.file", s.Output.File, "%s", reason)}
	}
	return nil
}

func outputProblem(file string) string {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return "is a directory: expected the path of a file"
	case err == nil && !info.Mode().IsRegular():
		return "is not a regular file"
	case err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return bare(err).Error()
	}
	dir := filepath.Dir(file)
	info, err = os.Stat(dir)
	switch {
	case err != nil:
		return "its directory " + dir + " cannot be used: " + bare(err).Error()
	case !info.IsDir():
		return dir + " is not a directory"
	}
	// Root passes every permission bit, but not a read-only file system.
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return "its directory " + dir + " is not writable: " + err.Error()
	}
	return ""
}
