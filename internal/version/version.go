// Package version tells what this program is.
package version

import "runtime/debug"

// Windrow is the version of windrow. It stands in every dataset, so that two
// builds of one version write equal files.
const Windrow = "0.1.0"

// Commit returns the commit this program was built from, with "+" behind it if
// the checkout had changes; empty where the build did not record it.
func Commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if commit == "" {
		return ""
	}
	return commit[:min(12, len(commit))] + changed
}
