package spec_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"windrow/internal/spec"
)

func TestSchemaIsTheOneInTheRepository(t *testing.T) {
	t.Parallel()
	golden(t, "../../schema/run.v1.json", schema(t))
}

func schema(t *testing.T) string {
	t.Helper()
	data, err := spec.Schema()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Editors must not complain about a spec that Load takes.
func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no examples", err)
	}
	for _, path := range append(paths, "testdata/everything.yaml") {
		if _, err := spec.Load(path); err != nil {
			t.Error(err)
		}
		if complaint := validate(t, path); complaint != "" {
			t.Errorf("%s: %s", path, complaint)
		}
	}
}

func TestSchemaRefusesBadSpecs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"choose-one", "many-at-once", "missing", "nothing-chosen", "empty-matrix", "list"} {
		if validate(t, filepath.Join("testdata/bad", name+".yaml")) == "" {
			t.Errorf("the schema takes %s.yaml", name)
		}
	}
}

// validate returns what the schema says against a YAML file.
func validate(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err = yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	var document any
	var rules map[string]any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(schema(t)), &rules); err != nil {
		t.Fatal(err)
	}
	return breach(rules, document, "")
}

// breach returns the first rule of a draft-7 schema that v breaks. It knows
// the words that our schema uses, and no others.
func breach(rules map[string]any, v any, path string) string {
	for _, word := range slices.Sorted(keysOf(rules)) {
		if !keeps(word, rules, v, path) {
			return fmt.Sprintf("%s: %v breaks %s: %v", path, v, word, rules[word])
		}
	}
	if object, ok := v.(map[string]any); ok {
		return breachIn(rules, object, path)
	}
	items, _ := rules["items"].(map[string]any)
	list, _ := v.([]any)
	for i, item := range list {
		if complaint := breach(items, item, fmt.Sprintf("%s[%d]", path, i)); complaint != "" {
			return complaint
		}
	}
	return ""
}

func keysOf(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func breachIn(rules, object map[string]any, path string) string {
	properties, _ := rules["properties"].(map[string]any)
	if rules["additionalProperties"] == nil {
		return "" // a rule about something else
	}
	for name, value := range object {
		property, known := properties[name].(map[string]any)
		if !known {
			property, known = rules["additionalProperties"].(map[string]any)
		}
		if !known {
			return path + "." + name + ": is not in the schema"
		}
		if complaint := breach(property, value, path+"."+name); complaint != "" {
			return complaint
		}
	}
	return ""
}

func keeps(word string, rules map[string]any, v any, path string) bool {
	number, isNumber := v.(float64)
	text, isText := v.(string)
	list, isList := v.([]any)
	object, isObject := v.(map[string]any)
	nested, _ := rules[word].(map[string]any)
	limit, _ := rules[word].(float64)
	switch word {
	case "type":
		return slices.ContainsFunc(texts(rules[word]), func(name string) bool { return isType(name, v) })
	case "enum":
		return slices.Contains(texts(rules[word]), text)
	case "pattern":
		return !isText || regexp.MustCompile(texts(rules[word])[0]).MatchString(text)
	case "minimum":
		return !isNumber || number >= limit
	case "exclusiveMinimum":
		return !isNumber || number > limit
	case "maximum":
		return !isNumber || number <= limit
	case "minItems":
		return !isList || len(list) >= int(limit)
	case "minProperties":
		return !isObject || len(object) >= int(limit)
	case "required":
		return !isObject || hasAll(object, texts(rules[word]))
	case "dependencies":
		for name, needed := range nested {
			if _, there := object[name]; there && !hasAll(object, texts(needed)) {
				return false
			}
		}
		return true
	case "oneOf":
		return matches(rules[word], v, path) == 1
	case "anyOf":
		return matches(rules[word], v, path) > 0
	case "propertyNames":
		for name := range object {
			if breach(nested, name, path) != "" {
				return false
			}
		}
		return true
	case "$schema", "title", "description", "default", "properties", "additionalProperties", "items", "uniqueItems":
		return true
	}
	panic("the test does not know the schema's word " + word)
}

func matches(schemas, v any, path string) (count int) {
	all, _ := schemas.([]any)
	for _, s := range all {
		if rules, ok := s.(map[string]any); ok && breach(rules, v, path) == "" {
			count++
		}
	}
	return count
}

func hasAll(object map[string]any, names []string) bool {
	for _, name := range names {
		if _, there := object[name]; !there {
			return false
		}
	}
	return true
}

// texts returns one string or a list of strings.
func texts(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var all []string
	list, _ := v.([]any)
	for _, s := range list {
		all = append(all, fmt.Sprint(s))
	}
	return all
}

func isType(name string, v any) bool {
	switch x := v.(type) {
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case float64:
		return name == "number" || name == "integer" && !strings.Contains(fmt.Sprint(x), ".")
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}
