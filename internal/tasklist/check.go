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

// maxHashes bounds the memory of the search for repeated keys: 8 bytes for
// each of 16 million tasks, 128 MiB. Longer lists are read several times.
const maxHashes = 1 << 24

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

	keys := newHashes(maxHashes)
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
		keys.add(hashOf(rec.key))
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

// checkRepeats looks for keys that are there twice, a part of the hashes at a
// time. Equal hashes are only a suspicion.
func (l *List) checkRepeats(keys *hashes) error {
	for {
		if suspects := keys.repeated(); len(suspects) > 0 {
			if err := l.compare(suspects); err != nil {
				return err
			}
		}
		if !keys.nextPart() {
			return nil
		}
		if err := l.each(0, func(t message.Task) bool { keys.add(hashOf(t.Key)); return true }); err != nil {
			return err
		}
	}
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

// hashes collects the hashes of a part of the range of all hashes. The part is
// halved whenever it becomes too full.
type hashes struct {
	from, width uint64 // the part; width 0 stands for all
	limit       int
	values      []uint64
}

func newHashes(limit int) *hashes { return &hashes{limit: limit} }

func (h *hashes) add(hash uint64) {
	if !h.holds(hash) {
		return
	}
	for len(h.values) >= h.limit && h.width != 1 { // in a part of one hash, all are repeated
		h.halve()
	}
	if h.holds(hash) && len(h.values) < h.limit {
		h.values = append(h.values, hash)
	}
}

func (h *hashes) holds(hash uint64) bool { return h.width == 0 || hash-h.from < h.width }

func (h *hashes) halve() {
	if h.width == 0 {
		h.width = 1 << 63
	} else {
		h.width /= 2
	}
	h.values = slices.DeleteFunc(h.values, func(hash uint64) bool { return !h.holds(hash) })
}

// repeated returns the hashes that were added twice, in order.
func (h *hashes) repeated() []uint64 {
	slices.Sort(h.values)
	var twice []uint64
	for i := 1; i < len(h.values); i++ {
		if h.values[i] == h.values[i-1] {
			twice = append(twice, h.values[i])
		}
	}
	return slices.Compact(twice)
}

// nextPart goes on to the part after this one, and tells whether there is one.
func (h *hashes) nextPart() bool {
	h.from += h.width
	h.values = h.values[:0]
	return h.from != 0
}
