package tasklist

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
)

type jsonReader struct {
	lines  *bufio.Scanner
	line   int
	key    []string
	values []table.Value
}

func newJSONReader(f io.Reader, key []string) *jsonReader {
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, MaxRecordBytes)
	return &jsonReader{lines: lines, key: key, values: make([]table.Value, len(key))}
}

func (r *jsonReader) read(bool) (record, error) {
	for r.lines.Scan() {
		r.line++
		text := r.lines.Bytes()
		if r.line == 1 {
			text = bytes.TrimPrefix(text, byteOrderMark)
		}
		if text = bytes.TrimSpace(text); len(text) > 0 {
			return r.parse(text)
		}
	}
	switch err := r.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return record{}, &lineError{line: r.line + 1, message: fmt.Sprintf("is longer than %d bytes", MaxRecordBytes), fatal: true}
	case err != nil:
		return record{}, err
	}
	return record{}, io.EOF
}

func (r *jsonReader) parse(text []byte) (record, error) {
	rec := record{line: r.line}
	fields, err := objectFields(text)
	if err != nil {
		return rec, r.wrong("", err.Error())
	}
	for i, name := range r.key {
		value, ok := fields[name]
		if !ok {
			return rec, r.wrong(name, "is missing: the key names it")
		}
		if r.values[i], err = keyOf(value); err != nil {
			return rec, r.wrong(name, err.Error())
		}
		delete(fields, name)
	}
	rec.key = slices.Clone(r.values)
	if len(fields) > 0 {
		if rec.params, err = json.Marshal(fields); err != nil {
			return rec, r.wrong("", err.Error())
		}
	}
	return rec, nil
}

func (r *jsonReader) wrong(field, message string) error {
	return &lineError{line: r.line, field: field, message: message}
}

// objectFields returns the values of a JSON object, as they are written.
func objectFields(text []byte) (map[string]json.RawMessage, error) {
	if text[0] != '{' {
		return nil, errors.New(`expected a JSON object, as in {"seed": 1}`)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if _, err := dec.Token(); err != nil {
		return nil, badJSON(err)
	}
	fields := map[string]json.RawMessage{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, badJSON(err)
		}
		name, _ := token.(string) // the decoder takes nothing else for a name
		if _, ok := fields[name]; ok {
			return nil, fmt.Errorf("field %q is there twice", name)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, badJSON(err)
		}
		fields[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, badJSON(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("expected one JSON object in a line")
	}
	return fields, nil
}

func badJSON(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("bad JSON: the line ends too early")
	}
	return fmt.Errorf("bad JSON: %w", err)
}

func keyOf(value json.RawMessage) (table.Value, error) {
	if value[0] != '"' && form.NumberKind(string(value)) == form.NotANumber {
		return table.Value{}, fmt.Errorf("%s: expected an integer, a number or text", message.Cut(string(value), 60))
	}
	var v table.Value
	if err := v.UnmarshalJSON(value); err != nil {
		return v, fmt.Errorf("%s: expected a number of 64 bits", value)
	}
	return v, nil
}
