package message

import (
	"bytes"
	"strconv"

	"windrow/internal/table"
)

// scanTask reads a payload that looks just as EncodeTask writes it for a task
// whose parameters all are its key, of numbers and plain text. It tells whether
// it could. What it cannot read may still be a task, in another form or with
// more fields: encoding/json decides, and takes ten times as long.
func scanTask(d Digest, payload []byte) (t Task, ok bool) {
	s := scanner(payload)
	if !s.skip(`{"v":1,"digest":"`) || !s.skip(string(d)) || !s.skip(`","index":`) {
		return Task{}, false
	}
	if t.Index, ok = s.integer(); !ok || t.Index < 0 || t.Index >= MaxTasks {
		return Task{}, false
	}
	if !s.skip(`,"key":[`) {
		return Task{}, false
	}
	t.Key = make([]table.Value, 0, bytes.Count(s, []byte{','})+1)
	for {
		v, ok := s.value()
		if !ok {
			return Task{}, false
		}
		t.Key = append(t.Key, v)
		if !s.skip(",") {
			break
		}
	}
	return t, s.skip("]}") && len(s) == 0
}

// scanner is what is left to read.
type scanner []byte

// skip steps over the text if it comes next.
func (s *scanner) skip(text string) bool {
	if len(*s) < len(text) || string((*s)[:len(text)]) != text {
		return false
	}
	*s = (*s)[len(text):]
	return true
}

// integer reads an integer in the form that Go writes.
func (s *scanner) integer() (int64, bool) {
	n := 0
	for n < len(*s) && ((*s)[n] == '-' || '0' <= (*s)[n] && (*s)[n] <= '9') {
		n++
	}
	text := string((*s)[:n])
	v, err := strconv.ParseInt(text, 10, 64)
	*s = (*s)[n:]
	return v, err == nil && strconv.FormatInt(v, 10) == text
}

// value reads an integer, or text of printable ASCII without escapes.
func (s *scanner) value() (table.Value, bool) {
	if !s.skip(`"`) {
		v, ok := s.integer()
		return table.IntValue(v), ok
	}
	for n, b := range *s {
		switch {
		case b == '"':
			text := string((*s)[:n])
			*s = (*s)[n+1:]
			return table.StringValue(text), true
		case b < ' ' || b > '~' || b == '\\':
			return table.Value{}, false
		}
	}
	return table.Value{}, false
}
