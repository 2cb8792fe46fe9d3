package tasklist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"

	"windrow/internal/form"
	"windrow/internal/message"
	"windrow/internal/table"
)

// check reads the list, and fills in what it comes to.
func (l *List) check() error {
	f, r, err := l.open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return l.problem(0, "", "%v", err)
	}
	l.size, l.changed = info.Size(), info.ModTime()

	keys := &hashes{limit: maxHashes}
	defer keys.close()
	if err := l.checkRecords(r, keys); err != nil {
		return err
	}
	return l.checkRepeats(keys)
}

// checkRecords reads all records once.
func (l *List) checkRecords(r reader, keys *hashes) error {
	var problems form.Problems
	spans := make([]table.KeySpan, len(l.key))
	for len(problems) < maxProblems {
		rec, err := r.read(true)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = l.checkKey(rec, spans)
		}
		if err != nil {
			problems = append(problems, l.asProblems(err)...)
			if bad, ok := errors.AsType[*lineError](err); !ok || bad.fatal {
				break
			}
			continue
		}
		if err := keys.add(hashOf(rec.key)); err != nil {
			return l.problem(0, "", "%v", err)
		}
		l.count++
	}
	switch {
	case len(problems) > 0:
		return problems
	case l.count == 0:
		return l.problem(0, "", "has no tasks")
	case l.count > message.MaxTasks:
		return l.problem(0, "", "has %d tasks: %d at most", l.count, message.MaxTasks)
	}
	for i, span := range spans {
		l.columns = append(l.columns, span.Column(l.key[i]))
	}
	return nil
}

func (l *List) checkKey(rec record, spans []table.KeySpan) error {
	for i, v := range rec.key {
		if err := spans[i].Add(v); err != nil {
			return &lineError{line: rec.line, field: l.key[i], message: show(v) + ": " + err.Error()}
		}
	}
	return nil
}

func show(v table.Value) string {
	if text, ok := v.Any().(string); ok {
		return form.Show(text)
	}
	return v.String()
}

// checkRepeats looks for keys that are there twice. Equal hashes are only a
// suspicion.
func (l *List) checkRepeats(keys *hashes) error {
	suspects, err := keys.repeated()
	if err != nil {
		return l.problem(0, "", "%v", err)
	}
	if len(suspects) == 0 {
		return nil
	}
	return l.compare(suspects)
}

// compare reads the list again and reports the keys with the hashes of
// suspects that are really equal.
func (l *List) compare(suspects []uint64) error {
	f, r, err := l.open()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	var problems form.Problems
	lines := map[string]int{}
	for len(problems) < maxProblems {
		rec, err := r.read(false)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return l.asProblems(err)
		}
		if _, found := slices.BinarySearch(suspects, hashOf(rec.key)); !found {
			continue
		}
		id := string(appendKey(nil, rec.key))
		if first, ok := lines[id]; ok {
			problems = append(problems, l.problem(rec.line, "", "%s: repeats the key of line %d", l.describe(rec.key), first)...)
			continue
		}
		lines[id] = rec.line
	}
	return problems.Err()
}

// describe returns a key as it is shown to people, as in "farm_id=3, seed=7".
func (l *List) describe(key []table.Value) string {
	parts := make([]string, len(key))
	for i, v := range key {
		parts[i] = fmt.Sprintf("%s=%s", l.key[i], v)
	}
	return strings.Join(parts, ", ")
}

func hashOf(key []table.Value) uint64 {
	var buffer [128]byte
	return xxh3.Hash(appendKey(buffer[:0], key))
}

// appendKey appends bytes that are different for different keys of one list.
func appendKey(b []byte, key []table.Value) []byte {
	for _, v := range key {
		switch x := v.Any().(type) {
		case int64:
			b = binary.LittleEndian.AppendUint64(b, uint64(x)) //nolint:gosec // same bits
		case float64:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		case string:
			b = append(b, x...)
			b = append(b, 0) // no text has it
		}
	}
	return b
}
