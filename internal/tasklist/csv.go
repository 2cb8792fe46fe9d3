package tasklist

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"windrow/internal/form"
	"windrow/internal/table"
)

type csvReader struct {
	csv    *csv.Reader
	bound  *bound
	line   int // of the last record
	header []string
	key    []int   // columns of the key
	params []param // other columns, sorted by name
	values []table.Value

	buffer []byte // of the parameters of one record
}

// param is a column that is not in the key.
type param struct {
	column int
	name   []byte // in JSON, with the colon
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

func newCSVReader(f io.Reader, key []string) (*csvReader, error) {
	buffered := bufio.NewReaderSize(f, 64<<10)
	if start, _ := buffered.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
		_, _ = buffered.Discard(len(byteOrderMark)) // was peeked
	}
	b := &bound{r: buffered}
	r := &csvReader{csv: csv.NewReader(b), bound: b, values: make([]table.Value, len(key))}
	r.csv.FieldsPerRecord = -1 // counted here, for a message with both numbers
	r.csv.ReuseRecord = true
	return r, r.readHeader(key)
}

func (r *csvReader) readHeader(key []string) error {
	header, line, err := r.fields()
	if errors.Is(err, io.EOF) {
		return &lineError{message: "is empty: expected a header and a line for each task", fatal: true}
	}
	if err != nil {
		return err
	}
	r.header = slices.Clone(header)
	for i, name := range r.header {
		if name == "" {
			return &lineError{line: line, message: fmt.Sprintf("column %d has no name", i+1), fatal: true}
		}
		if slices.Index(r.header, name) < i {
			return &lineError{line: line, message: fmt.Sprintf("column %q is there twice", name), fatal: true}
		}
	}
	if err := r.findParams(key); err != nil {
		return &lineError{line: line, message: err.Error(), fatal: true}
	}
	for _, name := range key {
		i := slices.Index(r.header, name)
		if i < 0 {
			return &lineError{line: line, message: fmt.Sprintf("has no column %q, which the key names: the columns are %q", name, r.header), fatal: true}
		}
		r.key = append(r.key, i)
	}
	return nil
}

func (r *csvReader) findParams(key []string) error {
	for i, name := range r.header {
		if slices.Contains(key, name) {
			continue
		}
		if !utf8.ValidString(name) {
			return fmt.Errorf("column %d: expected a name in UTF-8", i+1)
		}
		encoded, err := json.Marshal(name)
		if err != nil {
			return err
		}
		r.params = append(r.params, param{i, append(encoded, ':')})
	}
	slices.SortFunc(r.params, func(a, b param) int { return strings.Compare(r.header[a.column], r.header[b.column]) })
	return nil
}

// fields returns the next record and its line.
func (r *csvReader) fields() ([]string, int, error) {
	r.bound.left = MaxRecordBytes + readAhead
	fields, err := r.csv.Read()
	if err == nil {
		r.line, _ = r.csv.FieldPos(0)
		return fields, r.line, nil
	}
	if bad, ok := errors.AsType[*csv.ParseError](err); ok {
		return nil, 0, &lineError{line: bad.StartLine, message: bad.Err.Error(), fatal: true}
	}
	if errors.Is(err, errTooLong) {
		return nil, 0, &lineError{line: r.line + 1, message: err.Error(), fatal: true}
	}
	return nil, 0, err
}

func (r *csvReader) read(wantParams bool) (record, error) {
	fields, line, err := r.fields()
	if err != nil {
		return record{}, err
	}
	if len(fields) != len(r.header) {
		return record{line: line}, &lineError{line: line, message: fmt.Sprintf("the number of fields is %d: expected %d, as in the header", len(fields), len(r.header))}
	}
	for i, column := range r.key {
		r.values[i], err = keyValue(fields[column])
		if err != nil {
			return record{line: line}, &lineError{line: line, field: r.header[column], message: err.Error()}
		}
	}
	rec := record{line: line, key: slices.Clone(r.values)}
	if wantParams && len(r.params) > 0 {
		rec.params, err = r.encodeParams(fields)
	}
	if err != nil {
		return rec, &lineError{line: line, message: err.Error()}
	}
	return rec, nil
}

// keyValue reads a key: a number in JSON's notation is one, all else is text.
func keyValue(s string) (table.Value, error) {
	switch form.NumberKind(s) {
	case form.WholeNumber:
		i, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return table.Value{}, fmt.Errorf("%s: expected an integer of 64 bits", s)
		}
		return table.IntValue(i), nil
	case form.RealNumber:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return table.Value{}, fmt.Errorf("%s: expected a number of 64 bits", s)
		}
		return table.FloatValue(f), nil
	case form.NotANumber:
	}
	return table.StringValue(s), nil
}

func (r *csvReader) encodeParams(fields []string) ([]byte, error) {
	out := append(r.buffer[:0], '{')
	for i, p := range r.params {
		if i > 0 {
			out = append(out, ',')
		}
		value, err := appendParam(append(out, p.name...), fields[p.column])
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", r.header[p.column], err)
		}
		out = value
	}
	r.buffer = append(out, '}')
	return bytes.Clone(r.buffer), nil
}

// appendParam appends a field as it stands in the parameters.
func appendParam(out []byte, field string) ([]byte, error) {
	switch {
	case field == "":
		return append(out, "null"...), nil
	case form.NumberKind(field) != form.NotANumber:
		return append(out, field...), nil
	case !utf8.ValidString(field):
		return nil, errors.New("expected text in UTF-8")
	}
	text, err := json.Marshal(field)
	return append(out, text...), err
}

// bound fails where one record takes more than what is left, so that a quote
// that is never closed does not read the whole file into memory.
type bound struct {
	r    io.Reader
	left int
}

// readAhead is how much the CSV reader may read beyond a record.
const readAhead = 4 << 10

var errTooLong = fmt.Errorf("a record is longer than %d bytes, or a quote is not closed", MaxRecordBytes)

func (b *bound) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
