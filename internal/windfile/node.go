package windfile

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"windrow/internal/form"
)

// Limits of a document with all that it includes.
const (
	maxDepth    = 32
	maxIncludes = 64
)

// node is a value of a YAML file, or of one that it includes.
type node struct {
	file    string
	line    int
	scalar  any // float64, string, bool or nil
	list    []*node
	entries []entry
	kind    kind
	used    bool
}

type kind int

const (
	scalar kind = iota
	list
	mapping
	netCDF // scalar is its path
)

// entry is a key of a mapping.
type entry struct {
	key   string
	line  int
	value *node
}

// loader reads a file and what it includes.
type loader struct {
	open  []string // those that are being read, outermost first
	files int      // that were included
}

// document is a YAML file with what it includes.
type document struct {
	root *node
	text []byte // of the file
}

// parse reads a YAML file, once.
func (f *Files) parse(name string) (*document, error) {
	path := f.path(name)
	if d := f.parsed[path]; d != nil {
		return d, nil
	}
	n, text, err := new(loader).load(path)
	if err != nil {
		return nil, err
	}
	if n.kind != mapping && n.kind != list {
		return nil, n.errorf("is neither a map of keys and values nor a list of such")
	}
	if f.parsed == nil {
		f.parsed = map[string]*document{}
	}
	d := &document{n, text}
	f.parsed[path] = d
	return d, nil
}

func (l *loader) load(path string) (n *node, text []byte, err error) {
	if text, err = readFile(path); err != nil {
		return nil, nil, err
	}
	if line := form.TooDeep(text); line > 0 {
		return nil, nil, fmt.Errorf("%s:%d: is nested too deeply", path, line)
	}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, nil, locateYAML(path, err)
	}
	switch {
	case len(parsed.Docs) > 1:
		return nil, nil, fmt.Errorf("%s: holds %d documents: expected one", path, len(parsed.Docs))
	case len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil:
		return nil, nil, fmt.Errorf("%s: is empty", path)
	}
	l.open = append(l.open, path)
	defer func() { l.open = l.open[:len(l.open)-1] }()
	n, err = l.convert(path, parsed.Docs[0].Body, 0)
	return n, text, err
}

func (l *loader) convert(file string, from ast.Node, depth int) (*node, error) {
	n := &node{file: file}
	if at := from.GetToken(); at != nil {
		n.line = at.Position.Line
	}
	if depth > maxDepth {
		return nil, n.errorf("is nested too deeply")
	}
	switch from := from.(type) {
	case *ast.TagNode:
		return l.include(n, from)
	case *ast.MappingNode:
		return n, l.addEntries(n, from.Values, depth)
	case *ast.MappingValueNode:
		return n, l.addEntries(n, []*ast.MappingValueNode{from}, depth)
	case *ast.SequenceNode:
		n.kind = list
		for _, item := range from.Values {
			value, err := l.convert(file, item, depth+1)
			if err != nil {
				return nil, err
			}
			n.list = append(n.list, value)
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return nil, n.errorf("anchors and aliases are not read")
	case *ast.NullNode:
	case *ast.StringNode:
		n.scalar = from.Value
		// 1e6 has no point, and is text in YAML 1.1 and to this library.
		if number, err := strconv.ParseFloat(from.Value, 64); err == nil && !math.IsNaN(number) && !math.IsInf(number, 0) && from.Token.Type == token.StringType {
			n.scalar = number
		}
	case *ast.LiteralNode:
		n.scalar = from.Value.Value
	case *ast.BoolNode:
		n.scalar = from.Value
	default:
		var number float64
		if err := yaml.NodeToValue(from, &number); err != nil {
			return nil, n.errorf("%s is not a number, text, list or map", from)
		}
		n.scalar = number
	}
	return n, nil
}

func (l *loader) addEntries(n *node, values []*ast.MappingValueNode, depth int) error {
	n.kind = mapping
	for _, v := range values {
		e := entry{key: v.Key.String(), line: v.Key.GetToken().Position.Line}
		if s, ok := v.Key.(*ast.StringNode); ok {
			e.key = s.Value
		}
		var err error
		if e.value, err = l.convert(n.file, v.Value, depth+1); err != nil {
			return err
		}
		n.entries = append(n.entries, e)
	}
	return nil
}

// include returns what stands for "!include PATH", which is relative to the file
// that says so.
func (l *loader) include(n *node, tag *ast.TagNode) (*node, error) {
	if tag.Start.Value != "!include" {
		return nil, n.errorf("the tag %s is not read, only !include", tag.Start.Value)
	}
	name, ok := tag.Value.(*ast.StringNode)
	if !ok {
		return nil, n.errorf("!include is not followed by the name of a file")
	}
	path := name.Value
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.file), path)
	}
	switch extension(path) {
	case ".nc":
		n.kind, n.scalar = netCDF, path
		return n, nil
	case ".yaml", ".yml":
	default:
		return nil, n.errorf("!include %s: expected .yaml or .nc", name.Value)
	}
	if slices.Contains(l.open, path) {
		return nil, n.errorf("!include %s: the file includes itself", name.Value)
	}
	if l.files++; l.files > maxIncludes {
		return nil, n.errorf("!include %s: more than %d files are included", name.Value, maxIncludes)
	}
	included, _, err := l.load(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, n.errorf("!include %s: there is no file %s", name.Value, path)
	}
	return included, err
}

// includes returns the paths of all files but the node's own, each once.
func (n *node) includes() []string {
	var paths []string
	n.walk(func(at *node) {
		path := at.file
		if at.kind == netCDF {
			path, _ = at.scalar.(string)
		}
		if path != n.file && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	})
	return paths
}

func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, item := range n.list {
		item.walk(visit)
	}
	for _, e := range n.entries {
		e.value.walk(visit)
	}
}

// get returns the value of a key, or nil. It counts as used.
func (n *node) get(key string) *node {
	for _, e := range n.entries {
		if e.key == key {
			e.value.used = true
			return e.value
		}
	}
	return nil
}

// descend follows those of the keys that are there, as a file may begin at any of
// them, and into a list of one.
func (n *node) descend(keys ...string) *node {
	at := n
	for _, key := range keys {
		if next := at.get(key); next != nil {
			at = next
		}
	}
	if at.kind == list && len(at.list) == 1 {
		at = at.list[0]
	}
	return at
}

// use marks all that is below as used.
func (n *node) use() { n.walk(func(at *node) { at.used = true }) }

// warnOfUnused warns of keys that were not asked for, not of those below them.
func (f *Files) warnOfUnused(n *node) {
	for _, e := range n.entries {
		switch {
		case e.key == "name" || e.key == "description":
		case e.value.used:
			f.warnOfUnused(e.value)
		default:
			f.warn("%s:%d: %s is not used", n.file, e.line, e.key)
		}
	}
	for _, item := range n.list {
		if item.used {
			f.warnOfUnused(item)
		}
	}
}

// errorf returns an error with the node's place. A file that is no text has no lines.
func (n *node) errorf(format string, args ...any) error {
	place := n.file
	if n.line > 0 {
		place = fmt.Sprintf("%s:%d", n.file, n.line)
	}
	return fmt.Errorf("%s: %s", place, fmt.Sprintf(format, args...))
}

// text returns the value of a key that must be text, or a number that stands for
// it. Without the key it is "".
func (n *node) text(key string) (string, error) {
	at := n.get(key)
	if at == nil {
		return "", nil
	}
	switch v := at.scalar.(type) {
	case string:
		return v, nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	if at.kind == scalar && at.scalar == nil { // nothing is said
		return "", nil
	}
	return "", at.errorf("%s: expected text", key)
}

// number returns the value of a key that must be a number above 0.
func (n *node) number(key string) (float64, error) {
	at := n.get(key)
	if at == nil {
		return 0, n.errorf("%s is missing", key)
	}
	v, ok := at.scalar.(float64)
	if at.kind != scalar || !ok || !(v > 0) || math.IsInf(v, 0) {
		return 0, at.errorf("%s: expected a number above 0", key)
	}
	return v, nil
}

// numbers returns the numbers of a key that must be a list of them, with their
// places.
func (n *node) numbers(key string) ([]float64, []*node, error) {
	at := n.get(key)
	if at == nil {
		return nil, nil, n.errorf("%s is missing", key)
	}
	if at.kind != list {
		return nil, nil, at.errorf("%s: expected a list of numbers", key)
	}
	values := make([]float64, len(at.list))
	for i, item := range at.list {
		v, ok := item.scalar.(float64)
		if !ok || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, nil, item.errorf("%s: expected a number", key)
		}
		values[i] = v
	}
	return values, at.list, nil
}
