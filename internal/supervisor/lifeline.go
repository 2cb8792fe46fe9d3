package supervisor

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

const (
	lifelineVariable = "WINDROW_LIFELINE"
	lifelineFile     = 3 // the first of exec.Cmd.ExtraFiles
)

// Lifeline is a pipe that nobody writes to, held by a process and its children:
// it ends when that process does, however that happens.
type Lifeline struct {
	children, ours *os.File // reading and writing end
}

// NewLifeline makes a lifeline. The caller must Close it when the children
// have ended.
func NewLifeline() (*Lifeline, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make lifeline: %w", err)
	}
	return &Lifeline{children: r, ours: w}, nil
}

// Tie makes cmd, which is not started yet, one of the children: this program,
// which calls OpenLifeline. It sets the environment if that is not set.
func (l *Lifeline) Tie(cmd *exec.Cmd) {
	cmd.Env = append(cmd.Environ(), lifelineVariable+"=1")
	cmd.ExtraFiles = []*os.File{l.children}
}

// Close gives the lifeline up. Children that are still there notice.
func (l *Lifeline) Close() {
	_ = l.children.Close()
	_ = l.ours.Close() // a second call finds it closed
}

// OpenLifeline returns a channel that is closed when the parent is gone, or
// nil in a process that is not tied to one. It is called once.
func OpenLifeline() <-chan struct{} {
	if os.Getenv(lifelineVariable) == "" {
		return nil
	}
	_ = os.Unsetenv(lifelineVariable) // it is not for our own children
	syscall.CloseOnExec(lifelineFile) // nor is the pipe
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(lifelineFile, "lifeline"))
		close(gone)
	}()
	return gone
}
