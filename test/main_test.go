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

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"windrow":      func() { os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }, //nolint:forbidigo // this is its main
		"windrow-plot": func() { os.Exit(picture.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
		"nats-server":  func() { os.Exit(natsServer()) },
	})
}
