package supervisor_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"windrow/internal/supervisor"
)

// TestMain makes the test binary a child, too: its first argument says what it
// does, the second names a file in which it counts its starts.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "child-") {
		os.Exit(child(os.Args[1], os.Args[2]))
	}
	os.Exit(m.Run())
}

func child(what, file string) int {
	gone := supervisor.OpenLifeline()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 9
	}
	if _, err := fmt.Fprintln(f, os.Getpid()); err != nil {
		return 9
	}
	starts, err := os.ReadFile(file)
	if err != nil {
		return 9
	}
	first := strings.Count(string(starts), "\n") == 1
	switch what {
	case "child-dies-once":
		if first {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return 0
	case "child-gives-up":
		fmt.Fprintln(os.Stderr, "something before")
		fmt.Fprintln(os.Stderr, supervisor.Prefix+"the disk is full")
		fmt.Fprintln(os.Stderr, supervisor.Prefix+"next: make room")
		return 6
	case "child-always-fails":
		return 1
	case "child-waits":
		<-gone
		return 0
	}
	return 9
}

// start starts one child and returns its file of starts.
func start(t *testing.T, what string) (s *supervisor.Supervisor, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "starts")
	s, err := supervisor.Start(t.Context(), os.Args[0], t.TempDir(),
		[]supervisor.Child{{Name: "child", Args: []string{what, file}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop(0) })
	return s, file
}

func exitOf(t *testing.T, s *supervisor.Supervisor) supervisor.Exit {
	t.Helper()
	select {
	case exit := <-s.Exits():
		return exit
	case <-time.After(time.Minute):
		t.Fatal("the child has not ended")
		return supervisor.Exit{}
	}
}

func starts(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func TestKilledChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	s, file := start(t, "child-dies-once")
	if exit := exitOf(t, s); exit.Code != 0 || len(starts(t, file)) != 2 {
		t.Errorf("exit %+v after starts %v: want success at the second", exit, starts(t, file))
	}
}

func TestChildThatGivesUpIsNot(t *testing.T) {
	t.Parallel()
	s, file := start(t, "child-gives-up")
	exit := exitOf(t, s)
	if exit.Code != 6 || exit.Reason != "the disk is full\nnext: make room" || len(starts(t, file)) != 1 {
		t.Errorf("exit %+v after starts %v", exit, starts(t, file))
	}
}

func TestInternalErrorsAreTriedFiveTimes(t *testing.T) {
	t.Parallel()
	s, file := start(t, "child-always-fails")
	if exit := exitOf(t, s); exit.Code != 1 || len(starts(t, file)) != 5 {
		t.Errorf("exit %+v after starts %v: want 5", exit, starts(t, file))
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s, file := start(t, "child-waits")
	for len(readIfThere(file)) == 0 {
		<-time.After(5 * time.Millisecond)
	}
	begin := time.Now()
	s.Stop(0)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	s.Stop(0) // again is fine
	exitOf(t, s)
}

func readIfThere(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(text)
}
