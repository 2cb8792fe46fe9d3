package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"windrow/internal/message"
	"windrow/internal/table"
)

// FormatVersion is the version of the dataset's format, the root attribute
// `windrow_format`.
const FormatVersion = 1

// Form is everything that determines the bytes of a dataset beside its rows
// and failures.
type Form struct {
	Digest  message.Digest // of the run
	Planned *message.Planned
	Rows    message.RowsPolicy // what becomes of failed rows
	Storage message.Storage    // of the root's columns in the finished file; a partial is always contiguous
	Level   int                // of gzip
	Version string             // of windrow
	Changes []message.Accepted // of files of the run, between some of its rows
	Begun   time.Time          // when the run was planned; not in the file, but a partial is of one beginning
}

// Names in the root of every dataset that no column or dimension may have,
// with table.StatusColumn where failed rows are kept.
const (
	manifestGroup = "manifest"
	failedGroup   = "failed" // and importedGroup
)

func (f Form) validate() error {
	for _, c := range f.Planned.Columns {
		for _, d := range c.Shape {
			if f.reserved(d.Name) {
				return fmt.Errorf("dimension %q of column %q: the dataset needs that name itself", d.Name, c.Name)
			}
		}
		if f.reserved(c.Name) || c.Name == table.RowDim {
			return fmt.Errorf("column %q: the dataset needs that name itself", c.Name)
		}
	}
	return nil
}

func (f Form) reserved(name string) bool {
	isInput := func(in message.Input) bool {
		group, _, _ := strings.Cut(in.Path, "/")
		return group == name
	}
	switch name {
	case manifestGroup, failedGroup, importedGroup:
		return true
	case table.StatusColumn:
		return f.keeps()
	}
	return slices.ContainsFunc(f.Planned.Inputs, isInput)
}

// inChunks tells whether the finished file has chunks.
func (f Form) inChunks() bool { return f.Storage == message.Chunked || f.Storage == message.Gzip }

func (f Form) keeps() bool { return f.Rows == message.KeepRows }

// identity returns a digest of all that the form, and the version of libhdf5,
// say about the bytes of a partial. That is not the storage: it may change
// while the rows stay where they are.
func (f Form) identity(libhdf5 string) (string, error) {
	text, err := json.Marshal(struct {
		Format  int
		Windrow string
		Libhdf5 string
		Run     message.Digest
		Rows    message.RowsPolicy
		Planned *message.Planned
		Begun   int64
		Changes []message.Accepted `json:",omitempty"`
	}{FormatVersion, f.Version, libhdf5, f.Digest, f.Rows, f.Planned, f.Begun.UnixNano(), f.Changes})
	if err != nil {
		return "", fmt.Errorf("encode form: %w", err)
	}
	return string(digestOf(text)), nil
}

// columns returns the columns in the root of the file: those of the run, and
// status where failed rows are kept.
func (f Form) columns() table.Columns {
	if !f.keeps() {
		return f.Planned.Columns
	}
	return append(slices.Clone(f.Planned.Columns), statusColumn())
}

func statusColumn() table.Column {
	return table.Column{
		Name: table.StatusColumn, Type: table.Type{Kind: table.Int8}, Unit: "1",
		LongName:    "status of the row",
		Description: "0 where the task succeeded, else the class of its failure; see the group failed",
		Flags:       append([]string{"ok"}, classNames()...),
	}
}

func classNames() []string {
	var names []string
	for _, class := range message.Classes {
		names = append(names, string(class))
	}
	return names
}

// group is a group of the file: datasets with the same first dimension.
type group struct {
	path    string // "" is the root
	dim     string // the first dimension
	rows    int64
	columns table.Columns
	results map[string]bool // names of the columns that have a fill value where failed rows are kept
}

// groups returns the groups of a file with n rows and the appendices, in file
// order. The manifest comes last.
func (f Form) groups(n int64, appendices []appendix) []group {
	root := group{dim: table.RowDim, rows: n, columns: f.columns(), results: map[string]bool{}}
	for _, c := range f.Planned.Columns[1+len(f.Planned.Keys):] {
		key, isCode := strings.CutSuffix(c.Name, table.CodeSuffix)
		root.results[c.Name] = !isCode || !slices.Contains(f.Planned.Keys, key)
	}
	groups := []group{root}
	for _, a := range appendices {
		groups = append(groups, group{path: a.path, dim: a.dim, rows: int64(a.rows.Len()), columns: a.rows.Columns()})
	}
	return append(groups, manifestOf(groups))
}

// rowDigests is the dataset in the manifest with a digest for each row of the
// root. Verify needs none of them; they tell which rows are not what they were.
const rowDigests = "row_digest"

func rowDigestColumn() table.Column {
	return table.Column{
		Name: rowDigests, Type: table.Type{Kind: table.Int64}, Unit: "1", LongName: "digest of the row",
		Description: "XXH3-64 over the row's bytes, column after column, without status; 0 is taken as 1",
	}
}

// restName is the name in the manifest of all bytes of the file that are not
// the content of another entry or the manifest's digests.
const restName = "."

// contentNames returns the paths of the datasets with content of their own:
// the columns of all groups but the manifest, and the digests of the rows.
func contentNames(groups []group) []string {
	var names []string
	for _, g := range groups {
		for _, c := range g.columns {
			if g.path != manifestGroup {
				names = append(names, strings.TrimPrefix(g.path+"/"+c.Name, "/"))
			}
		}
	}
	return append(names, manifestGroup+"/"+rowDigests)
}

// manifestOf returns the manifest of the other groups of a file.
func manifestOf(groups []group) group {
	entries := len(contentNames(groups)) + 1
	return group{path: manifestGroup, dim: "entry", rows: int64(entries), columns: manifestColumns()}
}

// maxName is the longest path of a dataset: a group, a prefix, and a name of
// 64 characters.
const maxName = 80

func manifestColumns() table.Columns {
	return table.Columns{
		{
			Name: "name", Type: table.Type{Kind: table.String, Length: maxName},
			LongName: "path of the dataset", Description: `"." stands for all bytes of the file that are not the content of another entry or these digests`,
		},
		{
			Name: "sha256", Type: table.Type{Kind: table.String, Length: 64},
			LongName: "SHA-256 of the dataset's content", Description: "over its values in row-major order, little-endian",
		},
	}
}
