package cli

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/REFERENCE.md instead of comparing with it")

// allCommands returns the commands that people see, parents before children.
func allCommands(c *cobra.Command) []*cobra.Command {
	found := []*cobra.Command{c}
	for _, child := range c.Commands() {
		if child.IsAvailableCommand() && !strings.HasPrefix(child.CommandPath(), "windrow completion ") && child.Name() != "help" {
			found = append(found, allCommands(child)...)
		}
	}
	return found
}

func TestEveryCommandHasExamplesFirst(t *testing.T) {
	t.Parallel()
	for _, c := range allCommands(newRoot(&app{})) {
		var help strings.Builder
		c.SetOut(&help)
		if err := c.Help(); err != nil {
			t.Fatal(err)
		}
		examples, usage := strings.Index(help.String(), "\nExamples:\n"), strings.Index(help.String(), "\nUsage:\n")
		if examples < 0 || usage < examples {
			t.Errorf("%s --help does not begin with examples:\n%s", c.CommandPath(), help.String())
		}
		for line := range strings.Lines(c.Example) {
			if !strings.Contains(line, c.CommandPath()) && !strings.Contains(line, "windrow") {
				t.Errorf("%s: the example %q is of something else", c.CommandPath(), line)
			}
		}
	}
}

// TestReference holds docs/REFERENCE.md to the commands.
func TestReference(t *testing.T) {
	t.Parallel()
	const path = "../../docs/REFERENCE.md"
	got := reference(newRoot(&app{}))
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("run `go test ./internal/cli -update` (-file +commands):\n%s", diff)
	}
}

func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the commands themselves; `windrow COMMAND --help` says the same.\n")
	for _, c := range allCommands(root) {
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n```console\n", c.CommandPath(), c.Short)
		for line := range strings.Lines(c.Example) {
			fmt.Fprintf(&b, "$ %s\n", strings.TrimSpace(line))
		}
		fmt.Fprintf(&b, "```\n\n```\n%s\n", c.UseLine())
		if c.Long != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(c.Long))
		}
		if flags := c.LocalFlags().FlagUsages(); flags != "" {
			fmt.Fprintf(&b, "\n%s", flags)
		}
		b.WriteString("```\n")
	}
	return b.String()
}
