package supervisor

import (
	"io"
	"os"
	"syscall"
)

const (
	lifelineVariable = "WINDROW_LIFELINE"
	lifelineFile     = 3 // the first of exec.Cmd.ExtraFiles
)

// OpenLifeline returns a channel that is closed when the parent is gone, or
// nil in a process that no supervisor has started. It is called once.
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
