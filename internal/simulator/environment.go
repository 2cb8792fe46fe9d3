package simulator

import (
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"windrow/internal/spec"
)

// base are the variables of a worker that every command sees: where to find
// programs, libraries and files, and how to write. A name that ends in * is a
// beginning. All others might hold credentials, or make rows depend on who
// runs the worker; a spec names those that its command needs.
var base = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TZ", "LANG", "LANGUAGE", "LC_*",
	"LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX",
}

// scratchVariable names the directory for the files of a task.
const scratchVariable = "WINDROW_SCRATCH"

// threadVariables tell numeric libraries how many threads to use. There is a
// worker for each core, so without them each would start one for each core.
var threadVariables = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"}

// environment returns what the command sees of env, the worker's. Python is
// told not to keep lines to itself, else a script with plain print would never
// answer, and to order sets of strings in the same way in every process.
func environment(c *spec.Command, env []string) []string {
	seen := []string{"PYTHONUNBUFFERED=1", "PYTHONHASHSEED=0"} // of equal names the last one counts
	for _, name := range threadVariables {
		seen = append(seen, name+"="+strconv.Itoa(max(1, c.Threads)))
	}
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); isBase(name) || name == scratchVariable {
			seen = append(seen, v)
		}
	}
	for _, v := range c.Environment {
		if strings.Contains(v, "=") {
			seen = append(seen, v)
		} else if value, ok := os.LookupEnv(v); ok {
			seen = append(seen, v+"="+value)
		}
	}
	return seen
}

func isBase(name string) bool {
	return slices.ContainsFunc(base, func(b string) bool {
		prefix, isPrefix := strings.CutSuffix(b, "*")
		return name == b || isPrefix && strings.HasPrefix(name, prefix)
	})
}

// closeOnExec keeps the files that C libraries have open from programs that
// are started next. Go opens its own so.
func closeOnExec() {
	_ = unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) // kernels before 5.11 do not know it
}
