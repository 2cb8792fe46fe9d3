package form

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file that a user wrote: where it
// is, and what is allowed there.
type Problem struct { //nolint:errname // the word of the user
	File    string // as the user named it
	Line    int    // from 1; 0 where the file as a whole is meant
	Field   string // path of the value, as in tasks.matrix.seed
	Value   string // what stands there, quoted if it is text; may be empty
	Message string // what is wrong and what is allowed
}

// Error returns the problem in one line, as in
//
//	tenders.yaml:7: simulator.windfarm.wake: "iea73": expected iea37
//
// Only bad YAML takes more lines: it is followed by the lines around it.
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	for _, part := range []string{p.Field, p.Value, p.Message} {
		if part != "" {
			b.WriteString(": ")
			b.WriteString(part)
		}
	}
	return b.String()
}

// Problems is everything that is wrong with a file.
type Problems []Problem //nolint:errname // as Problem

// Error returns the problems, each in its line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns ps as an error in the order of the lines, or nil if there are
// none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	sorted := slices.SortedStableFunc(slices.Values(ps), func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return Problems(sorted)
}

// Nearest returns the name that is most like word, or "" if none is near
// enough to be what was meant.
func Nearest(word string, names []string) string {
	nearest, best := "", len(word)/3+2
	for _, name := range names {
		if d := distance(word, name); d < best {
			nearest, best = name, d
		}
	}
	return nearest
}

// distance returns the number of characters to insert, delete or replace that
// turn a into b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// oneOf returns the names as a choice, as in "a, b or c".
func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
