package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
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
shape, unit, storage, size and first values, attributes, named types, and links
with where they lead; other files are not opened. PATH is a group or a dataset
in it; of a dataset more values are shown. What cannot be shown is told with the
reason. Of a dataset of windrow's, how it came about is told too, from its
attributes and the record beside it.

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
	Path       string              `json:"path"`
	Attributes map[string]any      `json:"attributes,omitempty"`
	Datasets   []inspectedDataset  `json:"datasets,omitempty"`
	Types      []foreign.NamedType `json:"types,omitempty"`
	Groups     []inspected         `json:"groups,omitempty"`
	Links      []h5.Link           `json:"links,omitempty"`
	Damaged    []string            `json:"damaged,omitempty"` // what is not shown, and why
	Imported   []dataset.Imported  `json:"imported,omitempty"`
	Record     *merger.Record      `json:"record,omitempty"` // of the run, from beside the file
}

type inspectedDataset struct {
	Path       string         `json:"path"`
	Type       string         `json:"type"`
	Shape      []int64        `json:"shape"`
	Null       bool           `json:"null,omitempty"` // its dataspace is null: it has no value
	Storage    string         `json:"storage"`
	Layout     string         `json:"layout"`
	Chunk      []int64        `json:"chunk,omitempty"` // the shape of one
	Filters    []string       `json:"filters,omitempty"`
	Bytes      int64          `json:"bytes"` // of the values, uncompressed
	Attributes map[string]any `json:"attributes,omitempty"`
	Values     []any          `json:"values,omitempty"` // the first
	Unread     string         `json:"unread,omitempty"` // why there are none
}

// Limits of what is shown.
const (
	shownValues  = 4
	shownText    = 160  // bytes of values on a line
	shownNote    = 1000 // the same of an attribute
	shownType    = 120  // of the name of a type
	listedValues = 100  // of a dataset that is asked for
	treeGroups   = 100
)

// inspector reads one file.
type inspector struct {
	reader *foreign.Reader
	file   string
	groups int               // that may still be read
	seen   map[uint64]string // the path of what is at an address
}

func newInspector(r *foreign.Reader, file string) *inspector {
	return &inspector{reader: r, file: file, groups: treeGroups, seen: map[uint64]string{}}
}

func (a *app) inspect(ctx context.Context, file, where string, asJSON bool) error {
	r, err := newReader()
	if err != nil {
		return err
	}
	defer r.Close()
	i := newInspector(r, file)
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
		parent, err := i.reader.Describe(ctx, i.file, path.Dir(where))
		if err != nil {
			return inspected{}, err
		}
		name := path.Base(where)
		for _, d := range parent.Datasets {
			if d.Name == name {
				about, err := i.dataset(ctx, where, d, listedValues)
				return inspected{Path: path.Dir(where), Datasets: []inspectedDataset{about}}, err
			}
		}
		for _, l := range parent.Links {
			if l.Name == name {
				return inspected{Path: path.Dir(where), Links: []h5.Link{i.found(l)}}, nil
			}
		}
		if !slices.Contains(parent.Groups, name) && !hasLink(parent.Followed, name) {
			return inspected{}, &exitError{exitUsage, fmt.Errorf("%s has no group or dataset %s", i.file, where), "windrow inspect " + i.file}
		}
	}
	g, err := i.reader.Describe(ctx, i.file, where)
	if err != nil {
		return inspected{}, err
	}
	return i.group(ctx, where, g)
}

// group shows what is in a group. What was shown before under another name is shown
// as a link: hard links can go in circles, as soft ones can.
func (i *inspector) group(ctx context.Context, where string, g foreign.Group) (inspected, error) {
	i.again(g.Address, where)
	found := inspected{Path: where, Attributes: valuesOf(g.Attributes), Types: g.Types}
	if g.Unread != "" {
		found.Damaged = append(found.Damaged, "its attributes cannot be read: "+g.Unread)
	}
	for _, name := range g.Damaged {
		found.Damaged = append(found.Damaged, name+": cannot be opened")
	}
	for _, l := range slices.Concat(g.Followed, g.Links) {
		found.Links = append(found.Links, i.found(l))
	}
	for _, d := range g.Datasets {
		if err := i.addDataset(ctx, &found, d, g.Followed); err != nil {
			return inspected{}, err
		}
	}
	for n, name := range g.Groups {
		if i.groups--; i.groups < 0 {
			found.Damaged = append(found.Damaged, fmt.Sprintf("(%d groups are not shown)", len(g.Groups)-n))
			break
		}
		if err := i.addGroup(ctx, &found, name); err != nil {
			return inspected{}, err
		}
	}
	slices.SortFunc(found.Links, func(a, b h5.Link) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

func (i *inspector) addDataset(ctx context.Context, to *inspected, d foreign.Dataset, followed []h5.Link) error {
	if hasLink(followed, d.Name) {
		return nil
	}
	where := path.Join(to.Path, d.Name)
	if first, again := i.again(d.Address, where); again {
		to.Links = append(to.Links, h5.Link{Name: d.Name, Target: first, Hard: true})
		return nil
	}
	about, err := i.dataset(ctx, where, d, shownValues)
	to.Datasets = append(to.Datasets, about)
	return err
}

func (i *inspector) addGroup(ctx context.Context, to *inspected, name string) error {
	where := path.Join(to.Path, name)
	g, err := i.reader.Describe(ctx, i.file, where)
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		to.Damaged = append(to.Damaged, name+": "+damage.Reason)
		return nil
	}
	if err != nil {
		return err
	}
	if first, again := i.again(g.Address, where); again {
		to.Links = append(to.Links, h5.Link{Name: name, Target: first, Hard: true})
		return nil
	}
	child, err := i.group(ctx, where, g)
	to.Groups = append(to.Groups, child)
	return err
}

// again returns under which other name the object at an address was shown before.
func (i *inspector) again(address uint64, where string) (first string, again bool) {
	first, known := i.seen[address]
	if !known && address != 0 { // which is of none
		i.seen[address] = where
	}
	return first, known && first != where
}

// found looks whether the file is there that a link leads into. It is not opened.
func (i *inspector) found(l h5.Link) h5.Link {
	if l.External {
		beside := l.Target
		if !filepath.IsAbs(beside) {
			beside = filepath.Join(filepath.Dir(i.file), beside)
		}
		_, errBeside := os.Stat(beside)
		_, errHere := os.Stat(l.Target)
		l.Dangling = errBeside != nil && errHere != nil
	}
	return l
}

func hasLink(links []h5.Link, name string) bool {
	return slices.ContainsFunc(links, func(l h5.Link) bool { return l.Name == name })
}

// dataset describes one, with its first values, or why there are none: what is
// wrong is for `windrow check` to find.
func (i *inspector) dataset(ctx context.Context, where string, d foreign.Dataset, most int64) (inspectedDataset, error) {
	about := inspectedDataset{
		Path: where, Type: d.TypeName, Shape: d.Shape, Null: d.Null, Unread: d.Damage, Attributes: valuesOf(d.Attributes),
		Storage: storageWord(d.Storage), Layout: d.Storage.Layout, Chunk: d.Storage.Chunk,
	}
	for _, f := range d.Storage.Filters {
		about.Filters = append(about.Filters, foreign.FilterName(f))
	}
	if d.Null || d.Damage != "" {
		return about, nil
	}
	if d.Type.Kind == 0 {
		about.Unread = "values of this type are not shown"
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
	if rows == 0 || row == 0 {
		return about, nil
	}
	if row > maxShownRow {
		about.Unread = "a row has more than " + humanize.Comma(maxShownRow) + " values"
		return about, nil
	}
	read, err := i.reader.Read(ctx, i.file, where, 0, min(rows, (most+row-1)/row))
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		about.Unread = strings.TrimPrefix(damage.Reason, "dataset "+where+": ")
		return about, nil
	}
	if err != nil {
		return about, err
	}
	about.Values = elementsOf(d.Type, read.Bytes, read.Texts, most)
	return about, nil
}

const maxShownRow = 1 << 20 // values

// saturate multiplies sizes that a file may say anything about.
func saturate(a, b int64) int64 {
	if b > 0 && a > (1<<62)/b {
		return 1 << 62
	}
	return a * b
}

// storageWord says how values lie in the file: as `chunks [1 3], shuffle, gzip 4`.
func storageWord(s h5.Storage) string {
	words := []string{s.Layout}
	switch {
	case len(s.Chunk) > 0:
		words[0] = fmt.Sprintf("chunks %v", s.Chunk)
	case s.Outside:
		words = append(words, "in files of its own")
	}
	for _, f := range s.Filters {
		word := foreign.FilterName(f)
		if f.Missing {
			word += " (not in this HDF5 library)"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
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

// unshown is an attribute that has no value here, and why.
type unshown struct {
	Why string `json:"unread"`
}

func (u unshown) String() string { return "(" + u.Why + ")" }

func valuesOf(attributes []h5.Attribute) map[string]any {
	values := map[string]any{}
	for _, at := range attributes {
		var elements []any
		if at.Type.Kind != 0 {
			elements = elementsOf(at.Type, at.Bytes, at.Texts, listedValues)
		}
		switch {
		case len(elements) == 1:
			values[at.Name] = elements[0]
		case len(elements) > 1:
			values[at.Name] = elements
		case !slices.Contains(plumbing, at.Name):
			values[at.Name] = unshown{whyUnshown(at)}
		}
	}
	return values
}

func whyUnshown(at h5.Attribute) string {
	switch {
	case at.Unread != "":
		return at.Unread
	case at.Null:
		return "null"
	case at.Other != "":
		return at.Other
	case slices.Contains(at.Shape, 0):
		return "empty"
	}
	return fmt.Sprintf("%s %v", at.Type, at.Shape)
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
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t%s\n", path.Base(d.Path), d.form(), unit, d.Storage, d.size(), d.content())
		if len(g.Datasets) == 1 {
			printAttributes(w, "    ", d.Attributes)
		}
	}
	for _, t := range g.Types {
		fmt.Fprintf(w, "  %s\tnamed type %s\n", t.Name, message.FirstLine(t.Type, shownType))
	}
	for _, l := range g.Links {
		fmt.Fprintf(w, "  %s\t%s\n", l.Name, linkWords(l))
	}
	for _, what := range g.Damaged {
		fmt.Fprintf(w, "  %s\n", what)
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

// form is the type and the shape of a dataset.
func (d *inspectedDataset) form() string {
	name := message.FirstLine(d.Type, shownType)
	if d.Null {
		return name + " null"
	}
	return fmt.Sprintf("%s %v", name, d.Shape)
}

// size is that of the values, if windrow knows their type.
func (d *inspectedDataset) size() string {
	if d.Bytes == 0 && d.Unread != "" {
		return "-"
	}
	return size(d.Bytes)
}

// content is the first values of a dataset, or why there are none.
func (d *inspectedDataset) content() string {
	switch {
	case d.Null:
		return "(a null dataspace: no values)"
	case d.Unread != "":
		return "(" + message.FirstLine(d.Unread, shownText) + ")"
	}
	return joined(d.Values, shownText)
}

// linkWords says where a link leads.
func linkWords(l h5.Link) string {
	text := "soft link to " + l.Target
	switch {
	case l.Hard:
		return "hard link to " + l.Target
	case l.External && l.Dangling:
		return fmt.Sprintf("link to %s in %s, which is not there", l.Path, l.Target)
	case l.External:
		return fmt.Sprintf("link to %s in %s, not followed", l.Path, l.Target)
	case l.Dangling:
		text += ", which is not in the file"
	}
	return text
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
