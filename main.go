// Command windrow turns a list of simulation tasks into one verified HDF5
// dataset, whatever crashes on the way. See README.md.
package main

import (
	"context"
	"os"

	"windrow/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}
