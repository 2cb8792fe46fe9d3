package form

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"windrow/internal/table"
)

// Shape says what a value may be. It is bound to a variable, which it reads
// and writes.
type Shape struct {
	read   func(*Document, *node)
	value  func() any // for JSON; nil while the variable is not set
	schema Schema
}

// Value returns the variables as a value that encoding/json writes in the
// canonical form: fields in their order, defaults filled in, what is not set
// left out.
func (s Shape) Value() any { return s.value() }

// Scalar is a value in a notation of its own, like 3D or 30s. parse gets what
// was written; its error says what is allowed. pattern describes the notation
// in a schema.
func Scalar(pattern string, parse func(string) error, value func() any) Shape {
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind == null || n.kind == list || n.kind == object {
				n = &node{kind: n.kind, line: n.line, path: n.path}
			}
			if err := parse(n.scalar); err != nil {
				d.expect(n, "%v", err)
			}
		},
		value:  value,
		schema: Schema{"type": "string", "pattern": pattern},
	}
}

// OrNumber returns the scalar as one that may look like a number.
func (s Shape) OrNumber() Shape {
	s.schema = s.schema.with(Schema{"type": []string{"string", "number"}})
	return s
}

// Int is an integer of at least low and at most high.
func Int[T ~int | ~int64](into *T, low, high int64) Shape {
	return Shape{
		read: func(d *Document, n *node) {
			v, err := strconv.ParseInt(n.scalar, 10, 64)
			if n.kind != integer || err != nil || v < low || v > high {
				d.expect(n, "expected %s", span("an integer", low, high))
				return
			}
			*into = T(v)
		},
		value:  func() any { return int64(*into) },
		schema: Schema{"type": "integer"}.limits(float64(low), float64(high)),
	}
}

func span(what string, low, high int64) string {
	switch {
	case low == high:
		return strconv.FormatInt(low, 10)
	case low == math.MinInt64 && high == math.MaxInt64:
		return what + " of 64 bits"
	}
	return fmt.Sprintf("%s from %d to %d", what, low, high)
}

// Float is a finite number above low and at most high; infinities stand for no
// limit.
func Float(into *float64, low, high float64) Shape {
	return Shape{
		read: func(d *Document, n *node) {
			v, err := strconv.ParseFloat(n.scalar, 64)
			if n.kind != integer && n.kind != float || err != nil || v <= low || v > high {
				d.expect(n, "expected %s", realSpan(low, high))
				return
			}
			*into = v
		},
		value:  func() any { return *into },
		schema: Schema{"type": "number"}.above(low, high),
	}
}

func realSpan(low, high float64) string {
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return "a number"
	case math.IsInf(high, 1):
		return fmt.Sprintf("a number above %v", low)
	}
	return fmt.Sprintf("a number above %v, %v at most", low, high)
}

// Bool is true or false.
func Bool(into *bool) Shape {
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind != boolean {
				d.expect(n, "expected true or false")
				return
			}
			*into = n.scalar == "true"
		},
		value:  func() any { return *into },
		schema: Schema{"type": "boolean"},
	}
}

// Text is text that check accepts; a nil check accepts all. The error of check
// says what is allowed. Empty text is not set.
func Text(into *string, pattern string, check func(string) error) Shape {
	schema := Schema{"type": "string"}
	if pattern != "" {
		schema["pattern"] = pattern
	}
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind != text {
				d.expect(n, "expected text%s", inQuotes(n))
				return
			}
			if check != nil {
				if err := check(n.scalar); err != nil {
					d.expect(n, "%v", err)
					return
				}
			}
			*into = n.scalar
		},
		value:  func() any { return unlessZero(*into) },
		schema: schema,
	}
}

func inQuotes(n *node) string {
	if n.scalar == "" {
		return ""
	}
	return fmt.Sprintf(", as in %q", n.scalar)
}

func unlessZero[T comparable](v T) any {
	if v == *new(T) {
		return nil
	}
	return v
}

// UnlessZero returns the shape as one whose variable stands for nothing while
// it is zero, and is left out then.
func UnlessZero[T comparable](v *T, s Shape) Shape {
	value := s.value
	s.value = func() any {
		if *v == *new(T) {
			return nil
		}
		return value()
	}
	return s
}

// Choice is one of a few words.
func Choice[T ~string](into *T, words ...T) Shape {
	names := make([]string, len(words))
	for i, word := range words {
		names[i] = string(word)
	}
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind != text || !slices.Contains(words, T(n.scalar)) {
				d.expect(n, "expected %s", oneOf(names))
				return
			}
			*into = T(n.scalar)
		},
		value:  func() any { return unlessZero(string(*into)) },
		schema: Schema{"enum": names},
	}
}

// Duration is a time span as in 30s or 1h30m, of at least low and at most
// high.
func Duration(into *time.Duration, low, high time.Duration) Shape {
	parse := func(s string) error {
		v, err := time.ParseDuration(s)
		if err != nil || v < low || v > high {
			return fmt.Errorf("expected a duration from %s to %s, as in 90s", shortDuration(low), shortDuration(high))
		}
		*into = v
		return nil
	}
	return Scalar(`^([0-9.]+(ns|us|µs|ms|s|m|h))+$`, parse, func() any { return shortDuration(*into) })
}

// shortDuration writes 1h0m0s as 1h.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Values is one value, which one gets, or a list, of which add gets one value
// after the other with its position. Their errors say what is allowed.
func Values(one func(table.Value) error, add func(i int, v table.Value) error, value func() any) Shape {
	each := func(d *Document, n *node, take func(table.Value) error) {
		v, err := n.value()
		if err == nil {
			err = take(v)
		}
		if err != nil {
			d.expect(n, "%v", err)
		}
	}
	scalar := []string{"integer", "number", "string"}
	return Shape{
		read: func(d *Document, n *node) {
			switch {
			case n.kind != list:
				each(d, n, one)
			case len(n.items) == 0:
				d.expectEntries(n, "a list", 1)
			}
			for i, item := range n.items {
				each(d, item, func(v table.Value) error { return add(i, v) })
			}
		},
		value: value,
		schema: Schema{"anyOf": []Schema{
			{"type": scalar},
			{"type": "array", "items": Schema{"type": scalar}, "minItems": 1, "uniqueItems": true},
		}},
	}
}

// value returns a scalar.
func (n *node) value() (table.Value, error) {
	switch n.kind {
	case integer:
		if i, err := strconv.ParseInt(n.scalar, 10, 64); err == nil {
			return table.IntValue(i), nil
		}
	case float:
		if f, err := strconv.ParseFloat(n.scalar, 64); err == nil {
			return table.FloatValue(f), nil
		}
	case text:
		return table.StringValue(n.scalar), nil
	case null, boolean, list, object, foreign:
	}
	return table.Value{}, errors.New("expected an integer or number of 64 bits, or text")
}

// List is a list of at least least elements; element binds the shape of one
// element to a variable. An empty list is not set.
func List[T any](into *[]T, least int, element func(*T) Shape) Shape {
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind != list || len(n.items) < least {
				d.expectEntries(n, "a list", least)
				return
			}
			*into = make([]T, len(n.items))
			for i, item := range n.items {
				element(&(*into)[i]).read(d, item)
			}
		},
		value: func() any {
			if len(*into) == 0 {
				return nil
			}
			values := make([]any, len(*into))
			for i := range *into {
				values[i] = element(&(*into)[i]).value()
			}
			return values
		},
		schema: Schema{"type": "array", "items": element(new(T)).schema}.least("minItems", least),
	}
}

// Map is a map of at least least entries whose order counts. entry binds the
// name and the shape of one entry to a variable; check says which names are
// allowed, by pattern in a schema.
func Map[T any](into *[]T, least int, pattern string, check func(name string) error, entry func(*T) (*string, Shape)) Shape {
	_, shape := entry(new(T))
	return Shape{
		read: func(d *Document, n *node) {
			if n.kind != object || len(n.items) < least {
				d.expectEntries(n, "a map", least)
				return
			}
			d.checkNames(n)
			*into = make([]T, len(n.items))
			for i, item := range n.items {
				name, shape := entry(&(*into)[i])
				*name = n.names[i]
				if err := check(*name); err != nil {
					d.complain(item, "%v", err)
				}
				shape.read(d, item)
			}
		},
		value: func() any {
			if len(*into) == 0 {
				return nil
			}
			var values fields
			for i := range *into {
				name, shape := entry(&(*into)[i])
				values = append(values, fieldValue{*name, shape.value()})
			}
			return values
		},
		schema: Schema{
			"type": "object", "additionalProperties": shape.schema, "propertyNames": Schema{"pattern": pattern},
		}.least("minProperties", least),
	}
}

func (d *Document) expectEntries(n *node, what string, least int) {
	if (n.kind == list || n.kind == object) && len(n.items) == 0 {
		d.complain(n, "is empty: expected %s of at least %d", what, max(least, 1))
		return
	}
	d.expect(n, "expected %s", what)
}

// checkNames reports the names that an object has twice.
func (d *Document) checkNames(n *node) {
	lines := map[string]int{}
	for i, name := range n.names {
		if first, ok := lines[name]; ok {
			d.complain(n.items[i], "is given twice, first in line %d", first)
			continue
		}
		lines[name] = n.items[i].line
	}
}

// On is a shape whose presence sets *into to target, the struct that the shape
// is bound to. While *into is nil, it has no value.
func On[T any](into **T, target *T, s Shape) Shape {
	read, value := s.read, s.value
	s.read = func(d *Document, n *node) {
		*into = target
		read(d, n)
	}
	s.value = func() any {
		if *into == nil {
			return nil
		}
		return value()
	}
	return s
}
