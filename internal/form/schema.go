package form

import (
	"encoding/json"
	"maps"
	"math"
)

// Schema is a JSON schema, draft 7.
type Schema map[string]any

// JSONSchema returns the schema of s as a document.
func (s Shape) JSONSchema(title string) ([]byte, error) {
	root := s.schema.with(Schema{"$schema": "http://json-schema.org/draft-07/schema#", "title": title})
	data, err := json.MarshalIndent(root, "", "  ")
	return append(data, '\n'), err
}

func (s Schema) with(more Schema) Schema {
	both := maps.Clone(s)
	maps.Copy(both, more)
	return both
}

func (s Schema) limits(low, high float64) Schema {
	if low > math.MinInt64 {
		s["minimum"] = low
	}
	if high < math.MaxInt64 {
		s["maximum"] = high
	}
	return s
}

func (s Schema) above(low, high float64) Schema {
	if !math.IsInf(low, -1) {
		s["exclusiveMinimum"] = low
	}
	if !math.IsInf(high, 1) {
		s["maximum"] = high
	}
	return s
}

func (s Schema) least(name string, n int) Schema {
	if n > 0 {
		s[name] = n
	}
	return s
}

func objectSchema(declared []Field) Schema {
	properties, required := Schema{}, []string{}
	for _, f := range declared {
		property := f.shape.schema.with(Schema{"description": f.doc})
		if f.required {
			required = append(required, f.name)
		} else if v := f.shape.value(); isScalar(v) {
			property["default"] = v
		}
		properties[f.name] = property
	}
	s := Schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

// isScalar tells whether v can be shown as a default. An object needs none,
// its fields have theirs.
func isScalar(v any) bool {
	switch v.(type) {
	case string, int64, float64, bool:
		return true
	}
	return false
}
