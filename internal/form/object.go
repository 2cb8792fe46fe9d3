package form

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Field is a named value of an object.
type Field struct {
	name     string
	doc      string
	required bool
	shape    Shape
}

// Required returns a field that must be there. doc describes it in a schema.
func Required(name, doc string, s Shape) Field { return Field{name, doc, true, s} }

// Optional returns a field whose variable keeps its value, the default, where
// the field is not there.
func Optional(name, doc string, s Shape) Field { return Field{name, doc, false, s} }

// Object is a map with known keys.
func Object(declared ...Field) Shape {
	return Shape{
		read:   func(d *Document, n *node) { d.readObject(n, declared) },
		value:  func() any { return valuesOf(declared) },
		schema: objectSchema(declared),
	}
}

func (d *Document) readObject(n *node, declared []Field) {
	names := make([]string, len(declared))
	for i, f := range declared {
		names[i] = f.name
	}
	if n.kind != object {
		d.expect(n, "expected a map%s", keysOf(names))
		return
	}
	d.checkNames(n)
	for i, name := range n.names {
		f := slices.Index(names, name)
		if f < 0 {
			d.complain(n.items[i], "unknown key%s", suggest(name, names))
			continue
		}
		declared[f].shape.read(d, n.items[i])
	}
	for _, f := range declared {
		if f.required && !slices.Contains(n.names, f.name) {
			d.complain(&node{line: n.line, path: join(n.path, f.name)}, "is missing: %s", f.doc)
		}
	}
}

func keysOf(names []string) string {
	if len(names) == 0 {
		return " without keys, as in {}"
	}
	return ", its keys among " + strings.Join(names, ", ")
}

func suggest(name string, names []string) string {
	if nearest := Nearest(name, names); nearest != "" {
		return ": did you mean " + nearest + "?"
	}
	if len(names) == 0 {
		return ": no keys are allowed here"
	}
	return ": expected " + oneOf(names)
}

// ExactlyOne returns the object with the rule that exactly one of the fields
// is there.
func (s Shape) ExactlyOne(names ...string) Shape {
	var required []Schema
	for _, name := range names {
		required = append(required, Schema{"required": []string{name}})
	}
	return s.rule(Schema{"oneOf": required}, func(d *Document, n *node) {
		count := 0
		for _, name := range n.names {
			if slices.Contains(names, name) {
				count++
			}
		}
		if count != 1 {
			d.complain(n, "expected exactly one of %s", oneOf(names))
		}
	})
}

// Needs returns the object with the rule that where name is there, other must
// be there too.
func (s Shape) Needs(name, other string) Shape {
	needed, _ := s.schema["dependencies"].(Schema)
	if needed == nil {
		needed = Schema{}
	}
	needed[name] = []string{other}
	return s.rule(Schema{"dependencies": needed}, func(d *Document, n *node) {
		i := slices.Index(n.names, name)
		if i >= 0 && !slices.Contains(n.names, other) {
			d.complain(n.items[i], "needs %s beside it", other)
		}
	})
}

func (s Shape) rule(schema Schema, check func(*Document, *node)) Shape {
	read := s.read
	s.read = func(d *Document, n *node) {
		read(d, n)
		if n.kind == object {
			check(d, n)
		}
	}
	s.schema = s.schema.with(schema)
	return s
}

// fields is a JSON object whose keys stand in order.
type fields []fieldValue

type fieldValue struct {
	name  string
	value any
}

func valuesOf(declared []Field) fields {
	values := fields{}
	for _, f := range declared {
		if v := f.shape.value(); v != nil {
			values = append(values, fieldValue{f.name, v})
		}
	}
	return values
}

// MarshalJSON implements json.Marshaler.
func (fs fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fs {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, part := range []any{f.name, f.value} {
			encoded, err := json.Marshal(part)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				b.WriteByte(':')
			}
			b.Write(encoded)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
