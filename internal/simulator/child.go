package simulator

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"windrow/internal/message"
	"windrow/internal/spec"
)

const (
	maxLineLength = 64 << 20    // bytes of an answer
	drainGrace    = time.Second // to take leave of a process that is ending
)

// StopGrace is the time that a program has to end when it is asked to.
const StopGrace = 2 * time.Second

// PrintedMessage is what Options.Log gets for each line that a program prints
// beside its answers.
const PrintedMessage = "simulator printed"

// child is a running program and the group of processes it leads. Its methods
// are called by one goroutine.
type child struct {
	cmd     *exec.Cmd
	pid     int
	in      *os.File // its standard input
	out     *os.File // its standard output
	err     *os.File // its standard error
	lines   *bufio.Reader
	line    []byte // the last one read
	answers int
	greeted func() // called at the program's greeting

	startTimeout time.Duration // more time for the first answer
	allowed      time.Duration // for the last request
	log          taskLog
	oom          *oomWatch
	debug        *slog.Logger

	errDone chan struct{} // closed when standard error was read to its end
	exited  chan struct{} // closed when the process was waited for

	mu     sync.Mutex
	dead   bool // waited for: its pid may be another's
	killed bool // by us
	tooBig bool // killed because it used more memory than it may
}

// startChild starts the program in a process group of its own. In mode exec it
// has no standard input, as there is nothing to read.
func startChild(command *spec.Command, dir, scratch string, oom *oomWatch, debug *slog.Logger) (*child, error) {
	cmd := exec.Command(command.Args[0], command.Args[1:]...) //nolint:noctx // the user's program, which outlives the context of a task
	cmd.Dir = dir
	cmd.Env = environment(command, append(cmd.Environ(), scratchVariable+"="+scratch))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c := &child{cmd: cmd, oom: oom, debug: debug, startTimeout: command.StartTimeout, errDone: make(chan struct{}), exited: make(chan struct{})}
	if err := c.launch(command.Exec); err != nil {
		c.closePipes()
		return nil, err
	}
	c.lines = bufio.NewReaderSize(c.out, 64<<10)
	go c.readErrors()
	if command.MaxRSS > 0 {
		go c.watchMemory(command.MaxRSS)
	}
	return c, nil
}

// launch starts the process with pipes that have deadlines. A process that has
// left the group may keep the other ends open for as long as it likes, so no
// read or write waits for them without one.
func (c *child) launch(mute bool) error {
	var theirs [3]*os.File
	defer func() { closeAll(theirs[:]...) }()
	var err error
	if c.out, theirs[1], err = pipe(); err != nil {
		return err
	}
	if c.err, theirs[2], err = pipe(); err != nil {
		return err
	}
	c.cmd.Stdout, c.cmd.Stderr = theirs[1], theirs[2]
	if !mute {
		if theirs[0], c.in, err = os.Pipe(); err != nil {
			return err
		}
		c.cmd.Stdin = theirs[0]
	}
	started := make(chan error)
	go c.run(started)
	return <-started
}

// pipe returns a pipe whose other end is not made for polling: a process for
// each task is spared half a dozen system calls.
func pipe() (ours, theirs *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	if err := unix.SetNonblock(ends[0], true); err != nil {
		return nil, nil, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(ends[0]), unix.Close(ends[1]))
	}
	return os.NewFile(uintptr(ends[0]), "|0"), os.NewFile(uintptr(ends[1]), "|1"), nil
}

// run starts the process and waits for its end, on a thread of its own: the
// kernel sends Pdeathsig when the thread that has started the process ends,
// and Go ends threads as it likes.
func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	closeOnExec()
	err := c.cmd.Start()
	if err == nil {
		c.pid = c.cmd.Process.Pid
		c.volunteerForOOM()
	}
	started <- err
	if err == nil {
		c.awaitExit()
	}
}

// volunteerForOOM has the kernel kill the program before anything else of
// ours. That is a wish: some systems refuse it.
func (c *child) volunteerForOOM() {
	file, err := unix.Open("/proc/"+strconv.Itoa(c.pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(file, []byte("1000"))
		_ = unix.Close(file) // it is written at once
	}
	if err != nil {
		c.debug.Debug("simulator keeps its oom score", slog.Any("error", err))
	}
}

// awaitExit waits until the process is dead, kills what is left of its group
// while its pid, the group's number, cannot be another's, and only then reaps
// it.
func (c *child) awaitExit() {
	for unix.Waitid(unix.P_PID, c.pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = syscall.Kill(-c.pid, syscall.SIGKILL) // the group may be gone
	_ = c.cmd.Wait()                          // what it says is in ProcessState
	c.dead = true
	c.expire(time.Now().Add(drainGrace))
	close(c.exited)
}

// signal sends a signal to the group, if the process is not dead yet.
func (c *child) signal(s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.killed = true
		_ = syscall.Kill(-c.pid, s)
	}
}

// expire sets the time at which reading and writing fail.
func (c *child) expire(at time.Time) {
	_ = c.in.SetDeadline(at) // errors: the pipe is closed, which fails as well
	_ = c.out.SetDeadline(at)
}

// expireAlive does the same, but not to a dead process, whose time is set.
func (c *child) expireAlive(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead {
		c.expire(at)
	}
}

// errClosedInput says that the program has closed its standard input.
var errClosedInput = errors.New("the program has closed its standard input")

// ask sends a request and returns the answer to it. An error says that the
// program is of no more use: io.EOF that its output has ended,
// os.ErrDeadlineExceeded that the time is over or ctx has ended, *Error that
// it broke the protocol.
func (c *child) ask(ctx context.Context, id string, request []byte, timeout time.Duration) (*answer, error) {
	c.log.reset()
	start := c.startTimeout
	if c.answers > 0 {
		start = 0
	}
	allow := func(d time.Duration) {
		c.allowed = d
		c.expireAlive(time.Now().Add(d))
	}
	c.greeted = func() { allow(timeout) }
	allow(start + timeout)
	stop := context.AfterFunc(ctx, func() { c.expire(time.Unix(1, 0)) })
	defer stop()

	// A program may print more than a pipe holds before it reads.
	sent := make(chan error, 1)
	go func() {
		_, err := c.in.Write(request)
		if errors.Is(err, syscall.EPIPE) { // nobody reads; what has been answered is on its way
			c.expireAlive(time.Now().Add(drainGrace))
			err = errClosedInput
		}
		sent <- err
	}()
	answer, err := c.readAnswer(id)
	if errors.Is(err, os.ErrDeadlineExceeded) && errors.Is(<-sent, errClosedInput) {
		return nil, errClosedInput
	}
	if err != nil {
		return nil, err
	}
	if <-sent != nil {
		return nil, invalid("the program answered before it had read the whole request")
	}
	if !stop() { // the deadline of the next task would be overwritten
		return nil, os.ErrDeadlineExceeded
	}
	c.answers++
	return answer, nil
}

func (c *child) readAnswer(id string) (*answer, error) {
	for {
		line, err := c.readLine()
		if err != nil && len(line) == 0 {
			return nil, err
		}
		answer, noise, err := findAnswer(line, id)
		c.note(noise)
		if err != nil {
			return nil, invalid("%v", err)
		}
		if answer != nil {
			return answer, nil
		}
	}
}

// readLine returns the next line of standard output, which is valid until the
// next call. With an error it returns what there is of the line.
func (c *child) readLine() ([]byte, error) {
	c.line = c.line[:0]
	for {
		part, err := c.lines.ReadSlice('\n')
		c.line = append(c.line, part...)
		if len(c.line) > maxLineLength {
			return nil, invalid("an answer is longer than %d MiB", maxLineLength>>20)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return c.line, err
		}
	}
}

// note logs output that is no answer.
func (c *child) note(noise []byte) {
	if len(noise) == 0 {
		return
	}
	if isHello(noise) {
		c.greeted()
		return
	}
	for line := range bytes.Lines(noise) {
		text := cutLine(line)
		c.log.add(text)
		c.debug.Debug(PrintedMessage, slog.Int("pid", c.pid), slog.String("line", text))
	}
}

func (c *child) readErrors() {
	defer close(c.errDone)
	follow(c.err, func(line string) {
		c.log.addError(line)
		c.debug.Debug(PrintedMessage, slog.Int("pid", c.pid), slog.String("line", line))
	})
}

// hasExited tells whether the process has died already.
func (c *child) hasExited() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// stop asks the program to end, and makes it.
func (c *child) stop() {
	_ = c.in.Close()
	c.signal(syscall.SIGTERM)
	c.end(StopGrace)
}

// end kills the group unless the process dies within the grace period, and
// returns how it died. The last output is in the log then.
func (c *child) end(grace time.Duration) ending {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		c.signal(syscall.SIGKILL)
		<-c.exited
	}
	_ = c.err.SetDeadline(time.Now().Add(drainGrace))
	<-c.errDone
	c.closePipes()
	e := ending{state: c.cmd.ProcessState, bySelf: !c.killed}
	e.starved = e.bySelf && e.signal() == syscall.SIGKILL && c.oom.again()
	return e
}

func (c *child) closePipes() { closeAll(c.in, c.out, c.err) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // nothing is written that matters; nil and closed files are fine
	}
}

// ending is how a process died.
type ending struct {
	state   *os.ProcessState
	bySelf  bool // not by a signal of ours
	starved bool // the kernel has killed processes for want of memory, most likely this one
}

// signal returns what the process was killed by, or -1.
func (e ending) signal() syscall.Signal {
	status, _ := e.state.Sys().(syscall.WaitStatus)
	return status.Signal()
}

// peak is the most memory that the process, or one that it has waited for,
// has used.
func (e ending) peak() string {
	usage, _ := e.state.SysUsage().(*syscall.Rusage)
	return showBytes(usage.Maxrss << 10)
}

func (e ending) clean() bool { return e.state.ExitCode() == 0 }

func (e ending) String() string {
	status, _ := e.state.Sys().(syscall.WaitStatus)
	switch {
	case e.starved:
		return "killed, probably out of memory (peak " + e.peak() + ")"
	case e.signal() == syscall.SIGKILL:
		return "killed by SIGKILL (peak " + e.peak() + ")"
	case status.Signaled():
		return "killed by " + unix.SignalName(status.Signal())
	case e.clean():
		return "exited with status 0 and no answer"
	}
	return fmt.Sprintf("exited with status %d", status.ExitStatus())
}

// timeout is the failure of the task that took too long.
func (c *child) timeout(what string) error {
	return &Error{message.ClassTimeout, fmt.Sprintf("%s within %s", what, c.allowed), c.log.lines()}
}

// outgrown is the failure of the task that used more than limit bytes.
func (c *child) outgrown(limit int64, end ending) error {
	return c.crash(fmt.Sprintf("used more memory than max_rss allows, %s (peak %s)", showBytes(limit), end.peak()))
}

// crash is the failure of the task that the program had when it died.
func (c *child) crash(what string) error {
	if last := c.log.lastError(); last != "" {
		what += ": " + last
	}
	return &Error{message.ClassCrash, message.FirstLine(what, maxMessage), c.log.lines()}
}
