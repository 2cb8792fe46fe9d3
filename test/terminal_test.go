package test

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// startOnTerminal starts windrow on a terminal of 100 columns. The process's
// stderr is all that the terminal was sent.
func (c *campaign) startOnTerminal(t *testing.T, args ...string) (p *process, keyboard io.Writer) {
	t.Helper()
	p = &process{t: t, cmd: exec.Command("windrow", args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = c.dir, append(os.Environ(), "TERM=xterm")
	terminal, err := pty.StartWithSize(p.cmd, &pty.Winsize{Rows: 24, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(&p.stderr, terminal) // until the last process has let go of it
		_ = p.cmd.Wait()                    // the exit code is in ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		_ = terminal.Close()
		if t.Failed() {
			t.Logf("the terminal was sent %q", &p.stderr)
		}
	})
	return p, terminal
}

// TestOnTerminal shows progress as a bar, and what is said meanwhile above it.
func TestOnTerminal(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{sleep: {duration: 1h}}"}))
	p, keyboard := c.startOnTerminal(t, "run", "spec.yaml", "--workers", "1")
	const ctrlC, home, clearBelow = "\x03", "\r", "\x1b[J"
	press := func(key string) {
		t.Helper()
		if _, err := io.WriteString(keyboard, key); err != nil {
			t.Fatal(err)
		}
	}
	shown := func(text string) func() bool {
		return func() bool { return strings.Contains(p.stderr.String(), text) }
	}
	eventually(t, "a bar", shown("0 of 600 tasks  [---"))
	eventually(t, "a worker", shown("0 failed, 1 worker, warming up"))
	press(ctrlC)
	// The bar is cleared for the line, and drawn again below it.
	line := clearBelow + home + "stopping: tasks in hand are finished first; again to stop at once\r\n"
	eventually(t, "the way out, above the bar", shown(line+"0 of 600 tasks  [---"))
	press(ctrlC)
	if code := p.wait(); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
