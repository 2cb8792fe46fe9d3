package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestScript runs testdata/script: windrow as a user types it, with what it
// prints, its exit codes, and what it leaves on the disk.
//
// Beside the commands of testscript there are
//
//	exits N program [arg...]   run the program, which must end with exit code N
//	await pattern              wait until a file matches the pattern
//	flip file                  change one bit in the middle of the file
//
// and $BROKER, the URL of an address where nobody listens until the script
// starts a nats-server on $BROKER_PORT.
func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setupScript,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"await": await,
			"flip":  flip,
		},
	})
}

func setupScript(env *testscript.Env) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().(*net.TCPAddr)
	root, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	env.Setenv("BROKER", "nats://"+address.String())
	env.Setenv("BROKER_PORT", strconv.Itoa(address.Port))
	env.Setenv("REPO", root)
	return l.Close()
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N program [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await pattern")
	}
	deadline := time.After(patience)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		found, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(found) > 0 {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("waited %s in vain for %s", patience, args[0])
		case <-ticker.C:
		}
	}
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: flip file [percent]")
	}
	path, percent := ts.MkAbs(args[0]), 50
	data, err := os.ReadFile(path)
	if err == nil && len(args) == 2 {
		percent, err = strconv.Atoi(args[1])
	}
	ts.Check(err)
	data[len(data)*percent/100] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

var (
	readmeCommand = regexp.MustCompile(`(?m)^\$ (.*)$`)
	scriptCommand = regexp.MustCompile(`(?m)^(?:exec|exits \d+) ((?:windrow|nats-server) .*?)(?: &\w+&)?$`)
)

// TestReadme checks that the scripts run every command of the README, on the
// files that the README shows.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(text)
	script, err := txtar.ParseFile("testdata/script/readme.txt")
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	for _, m := range scriptCommand.FindAllStringSubmatch(string(script.Comment), -1) {
		run[m[1]] = true
	}
	for _, m := range readmeCommand.FindAllStringSubmatch(readme, -1) {
		if command := strings.ReplaceAll(m[1], "nats://127.0.0.1:4222", "$BROKER"); !run[command] {
			t.Errorf("readme.txt does not run: %s", command)
		}
	}
	for _, name := range []string{"own.yaml", "sim.py", "read.py"} {
		if err := shown(readme, script, name); err != nil {
			t.Error(err)
		}
	}
}

// shown returns an error unless the file of the script is in the text.
func shown(text string, script *txtar.Archive, name string) error {
	for _, f := range script.Files {
		if f.Name == name && strings.Contains(text, strings.TrimSpace(string(f.Data))) {
			return nil
		}
	}
	return fmt.Errorf("%s is not shown as it is in the script", name)
}
