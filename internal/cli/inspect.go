package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/internal/foreign"
	"windrow/internal/h5"
	"windrow/internal/message"
	"windrow/merger"
)

func newInspect(a *app) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "inspect FILE [PATH]",
		Short: "Show what is in an HDF5 file, whoever wrote it",
		Long: `Show what is in an HDF5 file, whoever wrote it: groups, datasets with type,
shape, unit, storage, size and first values, and attributes. PATH is a group or
a dataset in it; of a dataset more values are shown. Of a dataset of windrow's,
how it came about is told too, from its attributes and the record beside it.

The file is read in a child process with limits. Exit code 5 if it cannot be.`,
		Example: `  windrow inspect tenders.h5
  windrow inspect tenders.h5 layout
  windrow inspect worker_3.h5 --json`,
		Args: between(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			where := "/"
			if len(args) == 2 {
				where = path.Clean("/" + args[1])
			}
			return a.inspect(c.Context(), args[0], where, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// inspected is a group of a file as `windrow inspect --json` prints it.
type inspected struct {
	Path       string             `json:"path"`
	Attributes map[string]any     `json:"attributes,omitempty"`
	Datasets   []inspectedDataset `json:"datasets,omitempty"`
	Groups     []inspected        `json:"groups,omitempty"`
	Damaged    []string           `json:"damaged,omitempty"` // what cannot be opened
	Imported   []dataset.Imported `json:"imported,omitempty"`
	Record     *merger.Record     `json:"record,omitempty"` // of the run, from beside the file
}

type inspectedDataset struct {
	Path       string         `json:"path"`
	Type       string         `json:"type"`
	Shape      []int64        `json:"shape"`
	Storage    string         `json:"storage"`
	Bytes      int64          `json:"bytes"` // of the values, uncompressed
	Attributes map[string]any `json:"attributes,omitempty"`
	Values     []any          `json:"values,omitempty"` // the first
}

// Limits of what is shown.
const (
	shownValues  = 4
	shownText    = 160  // bytes of values on a line
	shownNote    = 1000 // the same of an attribute
	listedValues = 100  // of a dataset that is asked for
	treeGroups   = 100
)

// inspector reads one file.
type inspector struct {
	reader *foreign.Reader
	file   string
	groups int // that may still be read
}

func (a *app) inspect(ctx context.Context, file, where string, asJSON bool) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	i := &inspector{reader: r, file: file, groups: treeGroups}
	root, err := i.at(ctx, where)
	if err != nil {
		return readError(file, err)
	}
	if where == "/" {
		root.Record = recordOf(file)
		if root.Imported, err = i.imported(ctx, root); err != nil {
			return err
		}
	}
	if asJSON {
		return json.NewEncoder(a.stdout).Encode(root)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	root.show(w)
	return w.Flush()
}

// at reads a group with all below it, or one dataset.
func (i *inspector) at(ctx context.Context, where string) (inspected, error) {
	if where != "/" {
		parent, err := i.reader.List(ctx, i.file, path.Dir(where))
		if err != nil {
			return inspected{}, err
		}
		for _, d := range parent.Datasets {
			if d.Name == path.Base(where) {
				about, err := i.dataset(ctx, where, d, listedValues)
				return inspected{Path: path.Dir(where), Datasets: []inspectedDataset{about}}, err
			}
		}
		if !slices.Contains(parent.Groups, path.Base(where)) {
			return inspected{}, &exitError{exitUsage, fmt.Errorf("%s has no group or dataset %s", i.file, where), "windrow inspect " + i.file}
		}
	}
	return i.group(ctx, where)
}

func (i *inspector) group(ctx context.Context, where string) (inspected, error) {
	g, err := i.reader.List(ctx, i.file, where)
	if err != nil {
		return inspected{}, err
	}
	found := inspected{Path: where, Attributes: valuesOf(g.Attributes), Damaged: g.Damaged}
	for _, d := range g.Datasets {
		about, err := i.dataset(ctx, path.Join(where, d.Name), d, shownValues)
		if err != nil {
			return inspected{}, err
		}
		found.Datasets = append(found.Datasets, about)
	}
	for _, name := range g.Groups {
		if i.groups--; i.groups < 0 {
			found.Damaged = append(found.Damaged, fmt.Sprintf("(%d groups are not shown)", len(g.Groups)-len(found.Groups)))
			break
		}
		child, err := i.group(ctx, path.Join(where, name))
		if err != nil {
			return inspected{}, err
		}
		found.Groups = append(found.Groups, child)
	}
	return found, nil
}

// dataset describes one, with its first values. Values that cannot be read are
// left out: what is wrong is for `windrow check` to find.
func (i *inspector) dataset(ctx context.Context, where string, d foreign.Dataset, most int64) (inspectedDataset, error) {
	about := inspectedDataset{Path: where, Type: d.Type.String(), Shape: d.Shape, Storage: storageWord(d.Layout), Attributes: valuesOf(d.Attributes)}
	if d.Type.Kind == 0 {
		about.Type = "neither numbers nor text"
		return about, nil
	}
	row, rows := int64(1), int64(1)
	for n, size := range d.Shape {
		if n == 0 {
			rows = size
		} else {
			row = saturate(row, size)
		}
	}
	about.Bytes = saturate(saturate(row, rows), int64(d.Type.Bytes()))
	if rows == 0 || row == 0 || row > 1<<20 {
		return about, nil
	}
	read, err := i.reader.Read(ctx, i.file, where, 0, min(rows, (most+row-1)/row))
	if _, damaged := errors.AsType[*foreign.DamagedError](err); damaged {
		return about, nil
	}
	if err != nil {
		return about, err
	}
	about.Values = elementsOf(d.Type, read.Bytes, read.Texts, most)
	return about, nil
}

// saturate multiplies sizes that a file may say anything about.
func saturate(a, b int64) int64 {
	if b > 0 && a > (1<<62)/b {
		return 1 << 62
	}
	return a * b
}

func storageWord(l h5.Layout) string {
	switch {
	case l.Other:
		return "chunked, other filters"
	case l.Level > 0:
		return fmt.Sprintf("gzip (level %d), chunks of %s", l.Level, plural(int(l.ChunkRows), "row"))
	case l.ChunkRows > 0:
		return "chunks of " + plural(int(l.ChunkRows), "row")
	}
	return "contiguous"
}

// elementsOf returns the first elements as values for people and JSON.
func elementsOf(t h5.Type, data []byte, texts [][]byte, most int64) []any {
	var values []any
	for i := range most {
		var raw []byte
		switch size := int64(t.Bytes()); {
		case t.Kind == h5.VarText && i < int64(len(texts)):
			raw = texts[i]
		case t.Kind != h5.VarText && (i+1)*size <= int64(len(data)):
			raw = data[i*size : (i+1)*size]
		default:
			return values
		}
		values = append(values, shownElement(t, raw))
	}
	return values
}

// shownElement returns a number, or text. What JSON has no number for is text.
func shownElement(t h5.Type, raw []byte) any {
	switch x := foreign.Element(t, raw).(type) {
	case []byte:
		return strings.ToValidUTF8(string(x), "?")
	case float64:
		if text := strconv.FormatFloat(x, 'g', -1, 64); strings.ContainsAny(text, "NI") {
			return text
		}
		return x
	default:
		return x
	}
}

func valuesOf(attributes []h5.Attribute) map[string]any {
	values := map[string]any{}
	for _, at := range attributes {
		if at.Type.Kind == 0 {
			continue // references, as those of dimension scales
		}
		switch elements := elementsOf(at.Type, at.Bytes, at.Texts, listedValues); len(elements) {
		case 0:
		case 1:
			values[at.Name] = elements[0]
		default:
			values[at.Name] = elements
		}
	}
	return values
}

// recordOf returns the record of the run that made the file, if it is beside it.
func recordOf(file string) *merger.Record {
	text, err := os.ReadFile(file + ".run.json")
	if err != nil {
		return nil
	}
	var r merger.Record
	if json.Unmarshal(text, &r) != nil {
		return nil
	}
	return &r
}

// plumbing are attributes that HDF5's own conventions need.
var plumbing = []string{"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "_Netcdf4Dimid", "_NCProperties", "_nc3_strict"}

func (g *inspected) show(w *tabwriter.Writer) {
	fmt.Fprintln(w, g.Path)
	printAttributes(w, "  ", g.Attributes)
	for _, d := range g.Datasets {
		unit, _ := d.Attributes["units"].(string)
		fmt.Fprintf(w, "  %s\t%s %v\t%s\t%s\t%s\t%s\n", path.Base(d.Path), d.Type, d.Shape, unit, d.Storage, size(d.Bytes), joined(d.Values, shownText))
		if len(g.Datasets) == 1 {
			printAttributes(w, "    ", d.Attributes)
		}
	}
	for _, name := range g.Damaged {
		fmt.Fprintf(w, "  %s\tcannot be opened\n", name)
	}
	if r := g.Record; r != nil {
		fmt.Fprintf(w, "made by %s, sealed %s, from %s of %s\n", r.Run, r.Sealed.Format("2006-01-02 15:04:05 UTC"), plural(r.Shards, "shard"), plural(len(r.Workers), "worker"))
		for _, change := range r.Changes {
			fmt.Fprintf(w, "  %s was changed when %s were recorded: sha256 %s, before that %s\n", change.Path, plural(int(change.Rows), "row"), change.To, change.From)
		}
	}
	for _, imported := range g.Imported {
		fmt.Fprintf(w, "tasks %s were imported from %s (sha256 %s)\n", imported.Rows, imported.File, imported.SHA256)
	}
	for i := range g.Groups {
		g.Groups[i].show(w)
	}
}

func printAttributes(w *tabwriter.Writer, indent string, attributes map[string]any) {
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		if !slices.Contains(plumbing, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		list, ok := attributes[name].([]any)
		if !ok {
			list = []any{attributes[name]}
		}
		fmt.Fprintf(w, "%s@%s = %v\n", indent, name, joined(list, shownNote))
	}
}

func joined(values []any, most int) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprint(v)
	}
	return message.FirstLine(strings.Join(parts, " "), most)
}
