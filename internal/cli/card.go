package cli

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"windrow/internal/dataset"
	"windrow/internal/table"
	"windrow/merger"
)

type cardOptions struct {
	Dir, License, Creator, URL string // as the template names them
}

func newCard(a *app) *cobra.Command {
	o := cardOptions{}
	c := &cobra.Command{
		Use:   "card FILE",
		Short: "Describe a dataset for those who find it: a card, Croissant metadata, a program that loads it",
		Long: `Describe a dataset for those who find it. DIR gets

  README.md       a dataset card, with the front matter that Hugging Face reads
  croissant.json  the same for machines: Croissant 1.1, with the sha256 of the
                  file and a field for each column
  load.py         a program that loads the file with h5py

to be published beside the file. The dataset is verified first. What only you
know, as the license, comes from flags; files that are there are replaced.`,
		Example: `  windrow card tenders.h5
  windrow card tenders.h5 -o publish --license cc-by-4.0 --creator 'Wind Lab' --url https://example.org/tenders`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error { return a.card(c.Context(), o, args[0]) },
	}
	c.Flags().StringVarP(&o.Dir, "output", "o", "", "directory DIR (default: NAME-card for NAME.h5)")
	c.Flags().StringVar(&o.License, "license", "", "identifier of the license, as in cc-by-4.0 (SPDX, lower case for Hugging Face)")
	c.Flags().StringVar(&o.Creator, "creator", "", "who made the dataset")
	c.Flags().StringVar(&o.URL, "url", "", "page at which the dataset is found")
	return c
}

//go:embed load.py
var loadProgram []byte

// cardColumn is a column of the dataset as the card tells of it.
type cardColumn struct {
	Name, Type, Unit, About string
	Shape                   []int64 // of one row
}

// rank puts the task first, and its keys before what was computed.
func (c cardColumn) rank() int {
	switch {
	case c.Name == table.TaskColumn:
		return 0
	case strings.HasSuffix(c.About, keyOfTask):
		return 1
	}
	return 2
}

// keyOfTask is how the description of a key column ends.
const keyOfTask = ": key of the task"

// Dimensions returns the shape of one row for people.
func (c cardColumn) Dimensions() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Shape), " ", " x "), "[]")
}

// described is all that a card says.
type described struct {
	Options                    cardOptions
	File, Name, Source, Run    string
	Report                     dataset.Report
	Record                     *merger.Record // nil if it is not there
	Spec                       string         // in YAML
	Columns                    []cardColumn
	Made                       time.Time
	Size, Rows, Tasks, Version string
}

func (a *app) card(ctx context.Context, o cardOptions, file string) error {
	if o.Dir == "" {
		o.Dir = strings.TrimSuffix(file, ".h5") + "-card"
	}
	d, err := describe(ctx, o, file)
	if err != nil {
		return err
	}
	readme, err := d.readme()
	if err != nil {
		return err
	}
	croissant, err := json.MarshalIndent(d.croissant(), "", "  ")
	if err != nil {
		return fmt.Errorf("write the metadata: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return fmt.Errorf("make a directory for the card: %w", err)
	}
	for name, text := range map[string][]byte{"README.md": readme, "croissant.json": append(croissant, '\n'), "load.py": loadProgram} {
		if err := os.WriteFile(filepath.Join(o.Dir, name), text, 0o644); err != nil { //nolint:gosec // to be published
			return fmt.Errorf("write the card: %w", err)
		}
	}
	fmt.Fprintf(a.stdout, "%s: README.md, croissant.json and load.py for %s\n", o.Dir, file)
	var unknown []string
	for _, f := range []struct{ flag, value string }{{"--license", o.License}, {"--creator", o.Creator}, {"--url", o.URL}} {
		if f.value == "" {
			unknown = append(unknown, f.flag)
		}
	}
	if len(unknown) > 0 {
		fmt.Fprintf(a.stdout, "not complete without %s, which Croissant asks for\n", strings.Join(unknown, ", "))
	}
	return nil
}

// describe verifies the dataset and reads what it says of itself.
func describe(ctx context.Context, o cardOptions, file string) (*described, error) {
	report, err := verifyInChild(ctx, file, 0)
	if err != nil {
		return nil, err
	}
	r, err := newReader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	i := newInspector(r, file)
	root, err := i.at(ctx, "/")
	if err != nil {
		return nil, err
	}
	d := &described{
		Options: o, File: filepath.Base(file), Report: report.Report, Record: recordOf(file),
		Name: textOf(root.Attributes, "title"), Source: textOf(root.Attributes, "source"),
		Size: size(report.Bytes), Rows: humanize.Comma(report.Rows), Tasks: humanize.Comma(report.Tasks), Version: report.Version,
	}
	if d.Record != nil {
		d.Made, d.Run = d.Record.Sealed, string(d.Record.Run)
	} else if info, err := os.Stat(file); err == nil {
		d.Made = info.ModTime()
	}
	if d.Spec, err = yamlOf(textOf(root.Attributes, "spec")); err != nil {
		return nil, err
	}
	for _, set := range root.Datasets {
		if strings.Contains(textOf(set.Attributes, "CLASS"), "DIMENSION_SCALE") || len(set.Shape) == 0 || set.Shape[0] != report.Rows {
			continue
		}
		about := textOf(set.Attributes, "long_name")
		if more := textOf(set.Attributes, "description"); more != "" {
			about += ": " + more
		}
		d.Columns = append(d.Columns, cardColumn{
			Name: strings.TrimPrefix(set.Path, "/"), Type: set.Type, Unit: textOf(set.Attributes, "units"),
			About: strings.ReplaceAll(about, "|", `\|`), Shape: set.Shape[1:],
		})
	}
	slices.SortStableFunc(d.Columns, func(a, b cardColumn) int { return cmp.Compare(a.rank(), b.rank()) })
	return d, nil
}

// textOf returns an attribute that is text, or "".
func textOf(attributes map[string]any, name string) string {
	text, _ := attributes[name].(string)
	return text
}

// yamlOf returns JSON as people read it.
func yamlOf(text string) (string, error) {
	converted, err := yaml.JSONToYAML([]byte(text))
	if err != nil {
		return "", fmt.Errorf("read the spec in the dataset: %w", err)
	}
	return strings.TrimSpace(string(converted)), nil
}

// tags returns what to find the dataset by.
func (d *described) tags() []string {
	if strings.Contains(d.Spec, "\n  windfarm:") {
		return []string{"wind-energy", "simulation", "hdf5"}
	}
	return []string{"simulation", "hdf5"}
}

// frontMatter is what Hugging Face reads of a card.
type frontMatter struct {
	PrettyName     string   `yaml:"pretty_name"`
	License        string   `yaml:"license,omitempty"`
	Tags           []string `yaml:"tags"`
	TaskCategories []string `yaml:"task_categories"`
	SizeCategories []string `yaml:"size_categories"`
}

// sizeCategory is one of those that Hugging Face has.
func sizeCategory(rows int64) string {
	for _, c := range []struct {
		below int64
		name  string
	}{{1e3, "n<1K"}, {1e4, "1K<n<10K"}, {1e5, "10K<n<100K"}, {1e6, "100K<n<1M"}, {1e7, "1M<n<10M"}, {1e8, "10M<n<100M"}} {
		if rows < c.below {
			return c.name
		}
	}
	return "100M<n<1B"
}

func (d *described) readme() ([]byte, error) {
	matter, err := yaml.Marshal(frontMatter{
		PrettyName: d.Name, License: d.Options.License, Tags: d.tags(),
		TaskCategories: []string{"tabular-regression"}, SizeCategories: []string{sizeCategory(d.Report.Rows)},
	})
	if err != nil {
		return nil, fmt.Errorf("write the card: %w", err)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "---\n%s---\n\n", matter)
	if err := cardTemplate.Execute(&b, d); err != nil {
		return nil, fmt.Errorf("write the card: %w", err)
	}
	return b.Bytes(), nil
}

var cardTemplate = template.Must(template.New("card").Parse(`# {{.Name}}

{{.Rows}} rows of {{.Tasks}} simulation tasks{{if .Report.Failed}}, of which {{.Report.Failed}} failed{{end}}, in one HDF5 file of {{.Size}}.
{{with .Source}}
How the rows were computed: {{.}}.
{{end}}
| | |
|---|---|
| file | ` + "`{{.File}}`" + ` |
| sha256 | ` + "`{{.Report.SHA256}}`" + ` |
| made | {{.Made.UTC.Format "2006-01-02"}} by windrow {{.Version}} |
{{with .Run}}| run | ` + "`{{.}}`" + ` |
{{end}}{{with .Options.Creator}}| creator | {{.}} |
{{end}}{{with .Options.License}}| license | {{.}} |
{{end}}{{with .Options.URL}}| page | {{.}} |
{{end}}
## Columns

A row is a task; rows stand in the order of their tasks.

| column | type | shape of a row | unit | what it is |
|---|---|---|---|---|
{{range .Columns}}| ` + "`{{.Name}}`" + ` | {{.Type}} | {{.Dimensions}} | {{.Unit}} | {{.About}} |
{{end}}
## Loading it

` + "```" + `
python3 load.py {{.File}}
` + "```" + `

prints what is in it; its function ` + "`load`" + ` returns the columns as numpy arrays. ` + "`windrow verify {{.File}}`" + ` checks every byte.

## The spec that it follows from

` + "```yaml" + `
{{.Spec}}
` + "```" + `
`))

// croissant returns the metadata of the format of this name, version 1.1:
// https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html.
func (d *described) croissant() map[string]any {
	m := map[string]any{
		"@context": map[string]any{
			"@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
			"cr": "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
			"recordSet": "cr:recordSet", "field": "cr:field", "key": "cr:key", "source": "cr:source", "extract": "cr:extract",
			"fileObject": "cr:fileObject", "column": "cr:column", "isArray": "cr:isArray", "arrayShape": "cr:arrayShape",
			"dataType": map[string]any{"@id": "cr:dataType", "@type": "@vocab"},
		},
		"@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.1",
		"name":        d.Name,
		"description": fmt.Sprintf("%s rows of %s simulation tasks. %s", d.Rows, d.Tasks, d.Source),
		"version":     "1.0.0", "datePublished": d.Made.UTC().Format(time.DateOnly), "keywords": d.tags(),
		"distribution": []any{map[string]any{
			"@type": "cr:FileObject", "@id": d.File, "name": d.File, "contentUrl": d.File, "contentSize": fmt.Sprintf("%d B", d.Report.Bytes),
			"encodingFormat": "application/x-hdf5", "sha256": string(d.Report.SHA256),
		}},
		"recordSet": []any{map[string]any{
			"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "description": "a row for each task",
			"key": map[string]any{"@id": "rows/task"}, "field": d.fields(),
		}},
	}
	if d.Options.License != "" {
		m["license"] = d.Options.License
	}
	if d.Options.URL != "" {
		m["url"] = d.Options.URL
	}
	if d.Options.Creator != "" {
		m["creator"] = map[string]any{"@type": "sc:Organization", "name": d.Options.Creator}
	}
	return m
}

func (d *described) fields() []any {
	var fields []any
	for _, c := range d.Columns {
		about := c.About
		if c.Unit != "" && c.Unit != "1" {
			about += " (unit: " + c.Unit + ")"
		}
		f := map[string]any{
			"@type": "cr:Field", "@id": "rows/" + c.Name, "name": c.Name, "description": about, "dataType": croissantType(c.Type),
			"source": map[string]any{"fileObject": map[string]any{"@id": d.File}, "extract": map[string]any{"column": c.Name}},
		}
		if len(c.Shape) > 0 {
			f["isArray"], f["arrayShape"] = true, strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Shape), " ", ","), "[]")
		}
		fields = append(fields, f)
	}
	return fields
}

// croissantType returns the data type of a column's HDF5 type.
func croissantType(hdf5 string) string {
	switch {
	case strings.HasPrefix(hdf5, "f"):
		return "sc:Float"
	case strings.HasPrefix(hdf5, "i"), strings.HasPrefix(hdf5, "u"):
		return "sc:Integer"
	}
	return "sc:Text"
}
