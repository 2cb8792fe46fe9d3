// Package form reads documents of a known form: YAML that a user wrote, or
// JSON that windrow wrote.
//
// A form is declared once, as Shapes bound to Go variables. The declaration
// reads a document into the variables, reports everything that is wrong with
// it at once and with its line, writes the variables back in a canonical form,
// and describes itself as a JSON schema. What one of these knows, all know.
//
// YAML is read strictly: no anchors, aliases, tags or further documents, and
// no number but a decimal one. Positions are lines.
package form

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds the nesting of documents; no form comes near it.
const maxDepth = 32

type kind uint8

const (
	null kind = iota
	boolean
	integer
	float
	text
	list
	object
	foreign // a number in a notation that no form takes, as in 0x10, 010, .inf
)

// node is a value of a document.
type node struct {
	kind   kind
	scalar string   // of a boolean, number or text
	line   int      // of the value's key, else of the value
	path   string   // as in tasks.matrix.seed, columns[2].type
	names  []string // of an object's items
	items  []*node  // of a list or object
}

// show returns the value as it is quoted in a problem.
func (n *node) show() string {
	switch n.kind {
	case null:
		return "null"
	case list:
		return "a list"
	case object:
		return "a map"
	case text:
		return Show(n.scalar)
	default:
		return n.scalar
	}
}

// Show returns a value as it is quoted in a problem: text in quotes, and
// nothing at length.
func Show(value any) string {
	s, ok := value.(string)
	if !ok {
		return fmt.Sprint(value)
	}
	if len(s) > 60 {
		return strconv.Quote(strings.ToValidUTF8(s[:57], "")) + "..."
	}
	return strconv.Quote(s)
}

// Document is a document that was parsed, and the problems found in it.
type Document struct {
	file     string
	root     *node
	lines    map[string]int // of each path
	problems Problems
}

// ParseYAML parses the text of a file. The error is of type Problems.
func ParseYAML(file string, data []byte) (*Document, error) {
	d := &Document{file: file, lines: map[string]int{}}
	if !utf8.Valid(data) {
		return nil, d.refuse(0, "is not text in UTF-8")
	}
	if line := TooDeep(data); line > 0 {
		return nil, d.refuse(line, "is nested too deeply")
	}
	parsed, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, d.refuseYAML(err)
	}
	if len(parsed.Docs) > 1 {
		return nil, d.refuse(0, "holds %d documents: expected one", len(parsed.Docs))
	}
	if len(parsed.Docs) == 0 || parsed.Docs[0].Body == nil {
		return nil, d.refuse(0, "is empty")
	}
	d.root = d.fromYAML(parsed.Docs[0].Body, "", 1, 0)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return d, nil
}

// mostOpen bounds the brackets that are open at once, and the dashes that begin a
// line: what the parser takes memory for with their square.
const mostOpen = 100

// TooDeep returns the first line of YAML that is nested more deeply than anybody
// writes it, or 0. It is for before it is parsed.
func TooDeep(text []byte) (line int) {
	open := 0
	for l := range bytes.Lines(text) {
		line++
		begins := bytes.TrimLeft(l, " \t-?")
		if bytes.Count(l[:len(l)-len(begins)], []byte("-"))+bytes.Count(l[:len(l)-len(begins)], []byte("?")) > mostOpen {
			return line
		}
		for _, b := range l {
			switch b {
			case '[', '{':
				open++
			case ']', '}':
				open = max(0, open-1)
			}
			if open > mostOpen {
				return line
			}
		}
	}
	return 0
}

func (d *Document) refuse(line int, format string, args ...any) Problems {
	return Problems{{File: d.file, Line: line, Message: fmt.Sprintf(format, args...)}}
}

// refuseYAML returns the parser's complaint with the lines around it.
func (d *Document) refuseYAML(err error) Problems {
	var bad yaml.Error
	if !errors.As(err, &bad) || bad.GetToken() == nil {
		return d.refuse(0, "bad YAML: %v", err)
	}
	_, excerpt, _ := strings.Cut(yaml.FormatError(err, false, true), "\n")
	return d.refuse(bad.GetToken().Position.Line, "bad YAML: %s\n%s", bad.GetMessage(), strings.TrimRight(excerpt, " \n"))
}

func (d *Document) fromYAML(n ast.Node, path string, line, depth int) *node {
	out := &node{line: line, path: path}
	d.lines[path] = line
	if depth > maxDepth {
		d.complain(out, "is nested too deeply")
		return out
	}
	switch n := n.(type) {
	case nil, *ast.NullNode:
	case *ast.MappingNode:
		out.kind = object
		for _, pair := range n.Values {
			key := pair.Key.GetToken()
			if _, ok := pair.Key.(ast.ScalarNode); !ok {
				d.complain(&node{line: key.Position.Line, path: path}, "expected plain keys, without anchors, aliases or <<")
				continue
			}
			name := key.Value
			out.names = append(out.names, name)
			out.items = append(out.items, d.fromYAML(pair.Value, join(path, name), key.Position.Line, depth+1))
		}
	case *ast.SequenceNode:
		out.kind = list
		for i, item := range n.Values {
			out.items = append(out.items, d.fromYAML(item, at(path, i), itemLine(item, line), depth+1))
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		d.complain(out, "expected a plain value, without anchor, alias or tag")
	default:
		out.kind, out.scalar = scalarOf(n)
	}
	return out
}

func itemLine(item ast.Node, line int) int {
	if item == nil || item.GetToken() == nil {
		return line
	}
	return item.GetToken().Position.Line
}

func scalarOf(n ast.Node) (kind, string) {
	raw := n.GetToken().Value
	switch n := n.(type) {
	case *ast.BoolNode:
		return boolean, strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		if NumberKind(raw) == WholeNumber {
			return integer, raw
		}
		return foreign, raw
	case *ast.FloatNode:
		return floatOf(n, raw)
	case *ast.InfinityNode, *ast.NanNode:
		return foreign, raw
	case *ast.StringNode:
		return textOrNumber(n)
	case *ast.LiteralNode:
		return text, n.Value.Value
	}
	return text, raw
}

// textOrNumber takes for numbers what the parser does not: 1e3, and integers
// beyond 64 bits.
func textOrNumber(n *ast.StringNode) (kind, string) {
	if n.Token.Type == token.StringType { // without quotes
		switch NumberKind(n.Value) {
		case WholeNumber:
			return integer, n.Value
		case RealNumber:
			return float, n.Value
		case NotANumber:
		}
	}
	return text, n.Value
}

func floatOf(n *ast.FloatNode, raw string) (kind, string) {
	switch {
	case math.IsInf(n.Value, 0) || math.IsNaN(n.Value):
		return foreign, raw
	case NumberKind(raw) == RealNumber:
		return float, raw
	}
	return float, strconv.FormatFloat(n.Value, 'g', -1, 64)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// ParseJSON parses JSON from the source called file in problems. The error is
// of type Problems.
func ParseJSON(file string, data []byte) (*Document, error) {
	d := &Document{file: file, lines: map[string]int{}}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	root, err := d.fromJSON(dec, "", 0)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err != nil {
		return nil, d.refuse(0, "bad JSON: %v", err)
	}
	d.root = root
	return d, nil
}

func (d *Document) fromJSON(dec *json.Decoder, path string, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deeply")
	}
	next, err := dec.Token()
	if err != nil {
		return nil, err
	}
	out := &node{path: path}
	switch t := next.(type) {
	case bool:
		out.kind, out.scalar = boolean, strconv.FormatBool(t)
	case string:
		out.kind, out.scalar = text, t
	case json.Number:
		out.kind, out.scalar = float, t.String()
		if NumberKind(out.scalar) == WholeNumber {
			out.kind = integer
		}
	case json.Delim:
		out.kind = list
		if t == '{' {
			out.kind = object
		}
		return out, d.itemsFromJSON(dec, out, depth)
	}
	return out, nil
}

func (d *Document) itemsFromJSON(dec *json.Decoder, out *node, depth int) error {
	for dec.More() {
		path := at(out.path, len(out.items))
		if out.kind == object {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			out.names = append(out.names, fmt.Sprint(name))
			path = join(out.path, fmt.Sprint(name))
		}
		item, err := d.fromJSON(dec, path, depth+1)
		if err != nil {
			return err
		}
		out.items = append(out.items, item)
	}
	_, err := dec.Token() // the closing bracket
	return err
}

// Read reads the document into the variables of shape and returns everything
// that is wrong with it; the variables then hold what could be read.
func (d *Document) Read(shape Shape) Problems {
	shape.read(d, d.root)
	return d.problems
}

func (d *Document) complain(n *node, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: n.line, Field: n.path, Message: fmt.Sprintf(format, args...),
	})
}

// expect reports that n is not what the form allows there.
func (d *Document) expect(n *node, format string, args ...any) {
	d.complain(n, format, args...)
	d.problems[len(d.problems)-1].Value = n.show()
}

// Problem returns a problem with the value at path, for checks that a form
// cannot make. Where path is not in the document, the line is that of the
// nearest thing around it. A nil value is not shown.
func (d *Document) Problem(path string, value any, format string, args ...any) Problem {
	p := Problem{File: d.file, Line: d.line(path), Field: path, Message: fmt.Sprintf(format, args...)}
	if value != nil {
		p.Value = Show(value)
	}
	return p
}

func (d *Document) line(path string) int {
	for {
		if line, ok := d.lines[path]; ok {
			return line
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return d.lines[""]
		}
		path = path[:cut]
	}
}

// Leaves yields the path of every scalar and of every list of scalars, with
// the value as it is shown to people, in the order of the document.
func (d *Document) Leaves() iter.Seq2[string, string] {
	return func(yield func(path, value string) bool) { d.root.leaves(yield) }
}

func (n *node) leaves(yield func(path, value string) bool) bool {
	if value, ok := n.leaf(); ok {
		return yield(n.path, value)
	}
	for _, item := range n.items {
		if !item.leaves(yield) {
			return false
		}
	}
	return true
}

func (n *node) leaf() (string, bool) {
	if n.kind != list {
		return n.show(), n.kind != object
	}
	shown := make([]string, len(n.items))
	for i, item := range n.items {
		if item.kind == list || item.kind == object {
			return "", false
		}
		shown[i] = item.show()
	}
	return "[" + strings.Join(shown, ", ") + "]", true
}
