// Package test runs windrow as its users do: as processes, on real files, with
// a real broker, killed with SIGKILL where it hurts.
//
// The test binary is windrow: TestMain puts a copy of it on the PATH under
// that name. So the race detector and the crash points (build tag faults)
// reach every process.
package test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"windrow/internal/cli"
	"windrow/internal/picture"
)

// readerCommand is how this process starts itself as a reader of files of others,
// which windrow does under its own name.
const readerCommand = "read-foreign"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == readerCommand {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // this is its main
	}
	testscript.Main(m, map[string]func(){
		"windrow":      func() { os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }, //nolint:forbidigo // this is its main
		"windrow-plot": func() { os.Exit(picture.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"nats-server":  func() { os.Exit(natsServer()) },
	})
}
