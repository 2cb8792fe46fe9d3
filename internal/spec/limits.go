package spec

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"windrow/internal/form"
)

// maxTimeout is the longest time that a command may have.
const maxTimeout = 30 * 24 * time.Hour

// limitFields declares what a process of the command may use.
func (s *Simulator) limitFields(c *Command) []form.Field {
	of := func(shape form.Shape) form.Shape { return form.On(&s.Command, c, shape) }
	return []form.Field{
		form.Optional("mode", "stdio: a process answers one task after the other in JSON lines; exec: a process for each task, which talks in files "+
			"(stdio if not given)", of(modeForm(&c.Exec))),
		form.Optional("start_timeout", "more time for the first task of a process, which may have much to load (none if not given)",
			of(form.UnlessZero(&c.StartTimeout, form.Duration(&c.StartTimeout, time.Millisecond, maxTimeout)))),
		form.Optional("max_rss", "memory that a process and its children may use, as in 512MiB or 2GiB; it is killed beyond (no limit if not given)",
			of(form.UnlessZero(&c.MaxRSS, memoryForm(&c.MaxRSS)))),
		form.Optional("threads", "threads of OpenMP, OpenBLAS, MKL and numexpr in each process (1 if not given)",
			of(form.UnlessZero(&c.Threads, form.Int(&c.Threads, 1, 1024)))),
		form.Optional("recycle_after", "tasks after which a process is replaced by a fresh one (never if not given)",
			of(form.UnlessZero(&c.RecycleAfter, form.Int(&c.RecycleAfter, 1, 1<<31)))),
		form.Optional("environment", "variables for the command, as in NAME=value; NAME alone has the value that it has for the worker",
			of(form.List(&c.Environment, 1, func(v *string) form.Shape { return form.Text(v, variablePattern.String(), checkVariable) }))),
	}
}

func modeForm(exec *bool) form.Shape {
	return form.UnlessZero(exec, form.Scalar(`^(stdio|exec)$`, func(s string) error {
		*exec = s == "exec"
		if s != "exec" && s != "stdio" {
			return errors.New("expected stdio or exec")
		}
		return nil
	}, func() any { return "exec" }))
}

func (s *Spec) checkRecycling() Problems {
	if c := s.Simulator.Command; c != nil && c.Exec && c.RecycleAfter > 0 {
		return Problems{s.Problem("simulator.recycle_after", c.RecycleAfter, "is for mode stdio: with exec every task has a fresh process")}
	}
	return nil
}

var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(=[^\x00]*)?$`)

func checkVariable(v string) error {
	if !variablePattern.MatchString(v) {
		return errors.New("expected NAME=value, or the NAME of a variable")
	}
	return nil
}

var memoryPattern = regexp.MustCompile(`^([0-9]{1,6})(MiB|GiB)$`)

func memoryForm(bytes *int64) form.Shape {
	return form.Scalar(memoryPattern.String(), func(s string) error {
		m := memoryPattern.FindStringSubmatch(s)
		if m == nil || strings.Trim(m[1], "0") == "" {
			return errors.New("expected a number of MiB or GiB, as in 512MiB or 2GiB")
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		*bytes = n << 20
		if m[2] == "GiB" {
			*bytes = n << 30
		}
		return err
	}, func() any {
		if *bytes%(1<<30) == 0 {
			return fmt.Sprintf("%dGiB", *bytes>>30)
		}
		return fmt.Sprintf("%dMiB", *bytes>>20)
	})
}
