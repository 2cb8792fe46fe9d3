// Windrow-plot draws farms for `windrow plot`, which starts it: see
// internal/farm.
package main

import (
	"os"

	"windrow/internal/picture"
)

func main() { os.Exit(picture.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
