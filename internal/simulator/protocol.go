package simulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
)

const protocolVersion = 1

type request struct {
	Version  int                        `json:"v"`
	ID       string                     `json:"id"`
	Attempt  int                        `json:"attempt"`
	Seed     uint64                     `json:"seed"`
	Params   map[string]json.RawMessage `json:"params"`
	Deadline float64                    `json:"deadline_s"`
}

// newRequest returns what a program is told about a task.
func newRequest(id string, job Job, timeout time.Duration) (*request, error) {
	params := map[string]json.RawMessage{}
	if len(job.Task.Params) > 0 {
		if err := json.Unmarshal(job.Task.Params, &params); err != nil {
			return nil, fmt.Errorf("read parameters of task %d: %w", job.Task.Index, err)
		}
	}
	for i, name := range job.Keys {
		value, err := job.Task.Key[i].MarshalJSON()
		if err != nil {
			return nil, fmt.Errorf("encode key of task %d: %w", job.Task.Index, err)
		}
		params[name] = value
	}
	return &request{protocolVersion, id, job.Attempt, job.Seed, params, timeout.Seconds()}, nil
}

// encodeRequest returns the line that asks for a task.
func encodeRequest(id string, job Job, timeout time.Duration) ([]byte, error) {
	request, err := newRequest(id, job, timeout)
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encode request for task %d: %w", job.Task.Index, err)
	}
	return append(line, '\n'), nil
}

// answer is what a program says about a task.
type answer struct {
	ID       string                     `json:"id"`
	Result   map[string]json.RawMessage `json:"result"`
	Error    *reportedError             `json:"error"`
	Progress json.RawMessage            `json:"progress"`
	Params   json.RawMessage            `json:"params"` // only in the echo of a request
	Hello    json.RawMessage            `json:"hello"`
}

// reportedError is the error of a task in the program's words: an object or
// plain text.
type reportedError struct {
	Type      string `json:"type"`
	Message   string `json:"message"`
	Traceback string `json:"traceback"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *reportedError) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &e.Message)
	}
	type object reportedError
	return json.Unmarshal(data, (*object)(e))
}

// failure returns the failure that a reports, or nil.
func (a *answer) failure() *Error {
	e := a.Error
	if e == nil {
		return nil
	}
	text := e.Message
	if e.Type != "" {
		text = e.Type + ": " + e.Message
	}
	failure := &Error{Class: message.ClassError, Message: cmp.Or(message.FirstLine(text, maxMessage), "an error without a message")}
	for line := range strings.Lines(e.Traceback) {
		failure.Log = append(failure.Log, cutLine([]byte(line)))
	}
	return failure
}

// maxFrames is the number of places in a line at which an answer is looked
// for. It bounds the work on a line full of braces.
const maxFrames = 64

// findAnswer looks in a line of output for the answer to the request id. What
// stands before the answer is printed by others, who did not end their line,
// and is returned as noise; without an answer that is the whole line. An
// answer that is not JSON, or of the wrong form, is an error.
func findAnswer(line []byte, id string) (a *answer, noise []byte, err error) {
	quoted := []byte(`"` + id + `"`)
	if !bytes.Contains(line, quoted) {
		return nil, line, nil
	}
	start := 0
	for range maxFrames {
		brace := bytes.IndexByte(line[start:], '{')
		if brace < 0 {
			break
		}
		start += brace
		if a := decodeAnswer(line[start:]); a != nil && a.ID == id {
			return a.judge(line, line[:start])
		}
		start++
	}
	if regexp.MustCompile(`\{\s*"id"\s*:\s*` + regexp.QuoteMeta(string(quoted))).Match(line) {
		return nil, line, errors.New("the answer is not JSON, or not of the form {id, result} or {id, error}")
	}
	return nil, line, nil
}

// decodeAnswer returns the answer that frame is, or nil.
func decodeAnswer(frame []byte) *answer {
	a := &answer{}
	if json.Unmarshal(standardJSON(frame), a) != nil {
		return nil
	}
	return a
}

// judge tells answers from other frames that carry the right id.
func (a *answer) judge(line, noise []byte) (*answer, []byte, error) {
	switch {
	case a.Result != nil || a.Error != nil:
		return a, noise, nil
	case a.Progress != nil:
		return nil, noise, nil
	case a.Params != nil: // the program prints what it is asked
		return nil, line, nil
	}
	return nil, line, errors.New("the answer has neither result nor error")
}

// isHello tells whether a line is the greeting of a program.
func isHello(line []byte) bool {
	if !bytes.HasPrefix(line, []byte(`{"hello"`)) {
		return false
	}
	a := decodeAnswer(line)
	return a != nil && a.Hello != nil && a.ID == ""
}

// Python's json module, among others, writes these for floats that JSON does
// not have. The right side is JSON that setColumn reads as the same number.
var bareTokens = []struct{ token, standard string }{
	{"NaN", "null"},
	{"Infinity", "1e999"}, // after a minus sign, too
}

// standardJSON returns text with the bare tokens outside of strings replaced;
// without any it is text itself.
func standardJSON(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		n, standard := nextPiece(text)
		if standard != "" {
			out = append(out, standard...)
		} else {
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// nextPiece returns the length of what text begins with: a string, a bare
// token with what stands for it, or one byte.
func nextPiece(text []byte) (n int, standard string) {
	if text[0] == '"' {
		return stringLength(text), ""
	}
	for _, t := range bareTokens {
		if text[0] == t.token[0] && bytes.HasPrefix(text, []byte(t.token)) {
			return len(t.token), t.standard
		}
	}
	return 1, ""
}

// stringLength returns the length of the JSON string that text begins with.
func stringLength(text []byte) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// setResult puts the result of a task into the columns of row from first on.
// Every column has to be there, and nothing else. Arrays may be in files in
// scratch.
func setResult(row table.Row, first int, columns table.Columns, result map[string]json.RawMessage, scratch string) error {
	for _, name := range slices.Sorted(maps.Keys(result)) {
		if columns.Index(name) < 0 {
			return invalid("%q is not a column%s", message.Cut(name, 64), suggestion(name, columns))
		}
	}
	for i, column := range columns {
		value, ok := result[column.Name]
		if !ok {
			return invalid("column %q is missing in the result", column.Name)
		}
		if len(column.Padded) > 0 {
			row.FillColumn(first + i)
		}
		var err error
		if name, isFile := npyName(value); isFile {
			err = setFromNPY(row, first+i, scratch, name)
		} else {
			err = setColumn(row, first+i, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func suggestion(name string, columns table.Columns) string {
	names := make([]string, len(columns))
	for i, column := range columns {
		names[i] = column.Name
	}
	if nearest := form.Nearest(name, names); nearest != "" {
		return fmt.Sprintf("; did you mean %q?", nearest)
	}
	return ""
}

func invalid(format string, args ...any) error {
	return &Error{Class: message.ClassInvalidOutput, Message: message.FirstLine(fmt.Sprintf(format, args...), maxMessage)}
}
