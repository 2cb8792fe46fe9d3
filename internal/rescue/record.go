package rescue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"windrow/internal/foreign"
	"windrow/internal/h5"
)

// Record is what a file has of one task: the values of a row, or of a group.
type Record struct {
	Key   Key
	Show  func() string // the key, for people
	Place string        // where it is in the file

	values []any // of the key
	cells  []cell
}

type cell struct {
	Column

	bytes     []byte
	attribute bool
}

// Find is what was found in a file.
type Find struct {
	Damage string // what is wrong with the file, or empty
	Unread bool   // it may be sound: Damage is why it was not read to its end
	Rows   int64  // that it says to have
	Saved  int64  // that are whole
	Blank  int64  // that have nothing beside their key, and so are not

	Beside []string // groups that are of no task, in a file with a group for each
}

// Records calls each with every whole record of a file, whatever is wrong with
// the rest, if only that nobody closed it: a record is whole if all its values can
// be read from the bytes that are there, single numbers are numbers and nothing
// is infinite. It must have more than zeros, or what its datasets are filled with,
// beside its key: a worker that makes the place of all rows first, and writes all
// keys, may be killed after some of them, and leave a sound file. A file has a
// dataset in its root for each column, or a group for each task, in its root or in
// one of the groups there. Where columns are named, a record must have all of them
// beside its key.
//
// Of a file with a digest of windrow's that differs, nothing is whole, nor of one
// that another process is writing.
func Records(ctx context.Context, r *foreign.Reader, file string, key, columns []string, each func(Record) error) (find Find, err error) {
	required, digest := columns, false
	if required != nil {
		required = slices.Concat(key, columns)
	}
	if err := foreign.Busy(file); err != nil {
		return find, keepDamage(&find, err)
	}
	root, err := r.List(ctx, file, "/")
	if unclosed, ok := errors.AsType[*foreign.DamagedError](err); ok && !unclosed.Died {
		find.Damage, find.Unread = unclosed.Reason, unclosed.Unread
		if root, err = r.ListWary(ctx, file, "/"); err == nil && isOurs(root) {
			return find, nil
		}
		if _, still := errors.AsType[*foreign.DamagedError](err); still {
			return find, nil
		}
	}
	if err == nil && isGrouped(root, required) {
		g := &grouped{reader: r, path: file, key: key, columns: columns, find: find, unclosed: find.Damage != "", budget: readBudget}
		err = g.records(ctx, root, each)
		return g.find, keepDamage(&g.find, err)
	}
	if err != nil {
		return find, keepDamage(&find, err)
	}
	if required == nil {
		for _, d := range root.Datasets {
			if len(d.Shape) > 0 && d.Type.Kind != 0 && !isScale(d) {
				required = append(required, d.Name)
			}
		}
	}
	if find.Damage == "" {
		var found foreign.Checked
		found, err = r.Examine(ctx, file, required)
		find.Rows, digest = found.Rows, found.Digest
	}
	damage, damaged := errors.AsType[*foreign.DamagedError](err)
	switch {
	case damaged && damage.Digest:
		return find, keepDamage(&find, err)
	case damaged:
		find.Damage, find.Unread = damage.Reason, damage.Unread
	case err != nil:
		return find, err
	}
	t := &tabular{reader: r, key: key, find: &find, budget: readBudget, written: digest}
	if err := t.open(file, root, required); err != nil {
		return find, keepDamage(&find, err)
	}
	return find, t.records(ctx, each)
}

// isOurs tells whether a file is windrow's, which has a digest.
func isOurs(root foreign.Group) bool {
	return slices.ContainsFunc(root.Attributes, func(a h5.Attribute) bool { return a.Name == "windrow_format" || a.Name == "windrow_shard" })
}

// Grouped tells whether a file has a group for each task, as far as its root can
// be read: none of the required datasets is there, but groups are.
func Grouped(ctx context.Context, r *foreign.Reader, file string, required []string) bool {
	root, err := r.List(ctx, file, "/")
	return err == nil && isGrouped(root, required)
}

func isGrouped(root foreign.Group, required []string) bool {
	if len(root.Groups) == 0 || isOurs(root) {
		return false
	}
	return !slices.ContainsFunc(root.Datasets, func(d foreign.Dataset) bool {
		return len(required) == 0 || slices.Contains(required, d.Name)
	})
}

// isScale tells whether a dataset has the values along a dimension of others.
func isScale(d foreign.Dataset) bool {
	return slices.ContainsFunc(d.Attributes, func(a h5.Attribute) bool { return a.Name == "CLASS" })
}

// keepDamage notes what is first wrong with a file; other errors stay errors.
func keepDamage(find *Find, err error) error {
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		if find.Damage == "" {
			find.Damage, find.Unread = damage.Reason, damage.Unread
		}
		return nil
	}
	return err
}

func damaged(format string, args ...any) error {
	return &foreign.DamagedError{Reason: fmt.Sprintf(format, args...)}
}

// tabular reads a file with a dataset for each column.
type tabular struct {
	reader *foreign.Reader
	source Source
	beside []string // all that is in the root
	key    []string
	find   *Find
	budget int // how many more reads may fail

	written bool // all rows are, whatever they have: the file has a digest of windrow's
}

// readBudget bounds how closely the limits of damage are looked for. A read that
// takes a child process with it, which may have run into its limit of time, costs
// as much as many.
const (
	readBudget = 256
	deathCosts = 64
)

func cost(damage *foreign.DamagedError) int {
	if damage.Died {
		return deathCosts
	}
	return 1
}

func (t *tabular) open(file string, root foreign.Group, required []string) error {
	t.source = Source{Path: file, Rows: math.MaxInt64}
	for _, d := range root.Datasets {
		t.beside = append(t.beside, d.Name)
	}
	for _, name := range required {
		i := slices.IndexFunc(root.Datasets, func(d foreign.Dataset) bool { return d.Name == name })
		if i < 0 {
			return root.Lacks(name)
		}
		d := root.Datasets[i]
		if len(d.Shape) == 0 || d.Type.Kind == 0 {
			return damaged("dataset %s has no rows of numbers or text", name)
		}
		t.source.Rows = min(t.source.Rows, d.Shape[0])
		t.find.Rows = max(t.find.Rows, d.Shape[0])
		t.source.Columns = append(t.source.Columns, Column{Name: name, Type: d.Type, Shape: d.Shape[1:], fill: d.Fill})
	}
	for _, name := range t.key {
		switch c := t.source.Column(name); {
		case c == nil:
			return damaged("key column %s is missing", name)
		case c.elements() != 1:
			return damaged("key column %s has several values in a row", name)
		}
	}
	return nil
}

// records reads block by block. Where one cannot be read it is halved, the
// largest first, until the rows that can are found or the budget is spent.
func (t *tabular) records(ctx context.Context, each func(Record) error) error {
	rowBytes := int64(0)
	for _, c := range t.source.Columns {
		rowBytes = max(rowBytes, c.rowBytes())
	}
	type span struct{ first, n int64 }
	for first, n := range blocks(t.source.Rows, max(rowBytes, 1024)) {
		for todo := []span{{first, n}}; len(todo) > 0; todo = todo[1:] {
			s := todo[0]
			cells, err := t.read(ctx, s.first, s.n)
			if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
				if t.budget -= cost(damage); t.budget < 0 {
					return nil
				}
				if half := s.n / 2; half > 0 {
					todo = append(todo, span{s.first, half}, span{s.first + half, s.n - half})
				}
				continue
			}
			if err != nil {
				return err
			}
			if err := t.split(cells, s.first, s.n, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads rows of all columns.
func (t *tabular) read(ctx context.Context, first, n int64) ([]cell, error) {
	cells := make([]cell, len(t.source.Columns))
	for i, c := range t.source.Columns {
		var rows foreign.Rows
		var err error
		if t.find.Damage == "" {
			rows, err = t.reader.Read(ctx, t.source.Path, c.Name, first, n)
		} else {
			rows, err = t.reader.ReadWary(ctx, t.source.Path, c.Name, t.beside, first, n)
		}
		if err != nil {
			return nil, err
		}
		if cells[i], err = newCell(c, rows, n); err != nil {
			return nil, err
		}
	}
	return cells, nil
}

// newCell returns n rows of a column, text of any length in as many bytes as
// the longest of them.
func newCell(c Column, rows foreign.Rows, n int64) (cell, error) {
	if rows.Type.Kind == h5.VarText {
		c.Type = h5.Type{Kind: h5.Text, Len: 1}
		for _, text := range rows.Texts {
			c.Type.Len = max(c.Type.Len, len(text))
		}
		rows.Bytes = make([]byte, len(rows.Texts)*c.Type.Len)
		for i, text := range rows.Texts {
			copy(rows.Bytes[i*c.Type.Len:], text)
		}
	}
	if int64(len(rows.Bytes)) != n*c.rowBytes() {
		return cell{}, damaged("dataset %s is being changed by another program", c.Name)
	}
	return cell{Column: c, bytes: rows.Bytes}, nil
}

// split calls each with the whole rows.
func (t *tabular) split(cells []cell, first, n int64, each func(Record) error) error {
	for i := range n {
		rec := Record{Place: fmt.Sprintf("row %d", first+i), cells: make([]cell, len(cells))}
		whole := true
		for j, c := range cells {
			size := c.rowBytes()
			rec.cells[j] = cell{Column: c.Column, bytes: c.bytes[i*size : (i+1)*size]}
			whole = whole && rec.cells[j].whole()
		}
		if whole && !t.written && rec.blank(t.key, nil) {
			t.find.Blank++
			whole = false
		}
		if !whole {
			continue
		}
		rec.setKey(t.key)
		t.find.Saved++
		if err := each(rec); err != nil {
			return err
		}
	}
	return nil
}

// blank tells whether a record has nothing beside its key, and the attributes of
// its group that are no columns.
func (r *Record) blank(key, columns []string) bool {
	results := 0
	for _, c := range r.cells {
		if slices.Contains(key, c.Name) || c.attribute && !slices.Contains(columns, c.Name) {
			continue
		}
		results++
		if !foreign.IsBlank(c.bytes, c.fill) {
			return false
		}
	}
	return results > 0
}

// whole tells whether the values may be there: as foreign.Check has it.
func (c cell) whole() bool {
	if !isFloat(c.Type) {
		return true
	}
	size := c.Type.Bytes()
	for i := 0; i < len(c.bytes); i += size {
		x, _ := foreign.Element(c.Type, c.bytes[i:i+size]).(float64)
		if math.IsInf(x, 0) || math.IsNaN(x) && len(c.Shape) == 0 {
			return false
		}
	}
	return true
}

func (r *Record) cell(name string) *cell {
	for i := range r.cells {
		if r.cells[i].Name == name {
			return &r.cells[i]
		}
	}
	return nil
}

func (r *Record) setKey(names []string) {
	r.values = make([]any, len(names))
	for i, name := range names {
		c := r.cell(name)
		r.values[i] = foreign.Element(c.Type, c.bytes)
		r.Key = appendElement(r.Key, r.values[i])
	}
	values := r.values
	r.Show = func() string { return showKey(names, values) }
}

// grouped reads a file with a group for each task.
type grouped struct {
	reader       *foreign.Reader
	path         string
	key, columns []string
	find         Find
	unclosed     bool // the file, by its writer
	budget       int  // how many more reads may fail
}

func (g *grouped) records(ctx context.Context, root foreign.Group, each func(Record) error) error {
	if err := g.within(ctx, "", root, each); err != nil {
		return err
	}
	if g.find.Rows == 0 && g.find.Damage == "" {
		g.find.Damage = fmt.Sprintf("group %s has none of %s", g.find.Beside[0], strings.Join(slices.Concat(g.key, g.columns), ", "))
		g.find.Beside = nil
	}
	return nil
}

// within reads the tasks in a group, whose path ends with a slash unless it is the
// root.
func (g *grouped) within(ctx context.Context, parent string, in foreign.Group, each func(Record) error) error {
	g.find.Rows += int64(len(in.Damaged))
	if len(in.Damaged) > 0 && g.find.Damage == "" {
		g.find.Damage = fmt.Sprintf("group %s cannot be opened", parent+in.Damaged[0])
	}
	for _, name := range in.Groups {
		if g.budget < 0 {
			g.find.Rows++
			continue
		}
		if err := g.group(ctx, parent, name, each); err != nil {
			return err
		}
	}
	return nil
}

// group reads a group: that of a task, or one that has those of tasks in it.
func (g *grouped) group(ctx context.Context, parent, name string, each func(Record) error) error {
	list := g.reader.List
	if g.unclosed {
		list = g.reader.ListWary
	}
	group, err := list(ctx, g.path, "/"+parent+name)
	if err == nil && !g.isTask(name, group) {
		return g.passOver(ctx, parent, name, group, each)
	}
	g.find.Rows++
	var rec Record
	if err == nil {
		rec, err = g.read(ctx, parent+name, group)
	}
	if damage, ok := errors.AsType[*foreign.DamagedError](err); ok {
		g.budget -= cost(damage)
		if g.find.Damage == "" {
			g.find.Damage, g.find.Unread = fmt.Sprintf("group %s: %s", parent+name, err), damage.Unread
		}
		return nil
	}
	if err != nil {
		return err
	}
	if rec.blank(g.key, g.columns) {
		g.find.Blank++
		return nil
	}
	g.find.Saved++
	return each(rec)
}

// passOver reads the tasks in a group of the root that is none itself, and notes it
// if there are none.
func (g *grouped) passOver(ctx context.Context, parent, name string, group foreign.Group, each func(Record) error) error {
	rows, beside := g.find.Rows, len(g.find.Beside)
	if parent == "" && len(group.Datasets) == 0 {
		if err := g.within(ctx, name+"/", group, each); err != nil {
			return err
		}
	}
	if g.find.Rows == rows {
		g.find.Beside = append(g.find.Beside[:beside], parent+name)
	}
	return nil
}

// isTask tells whether a group is meant to be of a task: it has one of the columns,
// or all of the key.
func (g *grouped) isTask(name string, group foreign.Group) bool {
	named := group.Damaged
	for _, d := range group.Datasets {
		named = append(named, d.Name)
	}
	for _, a := range group.Attributes {
		named = append(named, a.Name)
	}
	for _, l := range group.Links {
		named = append(named, l.Name)
	}
	if len(g.key)+len(g.columns) == 0 || slices.ContainsFunc(g.columns, func(c string) bool { return slices.Contains(named, c) }) {
		return true
	}
	inName := keyInName(name, len(g.key))
	for i, k := range g.key {
		if !slices.Contains(named, k) && (inName == nil || inName[i] == "") {
			return false
		}
	}
	return len(g.key) > 0
}

// read returns the record of a group: its datasets, and its attributes where a
// dataset of that name is not there.
func (g *grouped) read(ctx context.Context, name string, group foreign.Group) (rec Record, err error) {
	readRows := g.reader.Read
	if g.unclosed {
		readRows = func(ctx context.Context, path, dataset string, first, n int64) (foreign.Rows, error) {
			return g.reader.ReadWary(ctx, path, dataset, nil, first, n)
		}
	}
	rec.Place = "group " + name
	for _, d := range group.Datasets {
		if g.columns != nil && !slices.Contains(g.columns, d.Name) && !slices.Contains(g.key, d.Name) {
			continue
		}
		if d.Unwritten {
			return rec, damaged("dataset %s: nothing of it was written", d.Name)
		}
		n := int64(1)
		if len(d.Shape) > 0 {
			n = d.Shape[0]
		}
		rows, err := readRows(ctx, g.path, "/"+name+"/"+d.Name, 0, n)
		if err != nil {
			return rec, err
		}
		c, err := newCell(Column{Name: d.Name, Type: d.Type, Shape: d.Shape, fill: d.Fill}, rows, 1)
		if err != nil {
			return rec, err
		}
		rec.cells = append(rec.cells, c)
	}
	for _, a := range group.Attributes {
		rows := foreign.Rows{Type: a.Type, Bytes: a.Bytes, Texts: a.Texts}
		if c, err := newCell(Column{Name: a.Name, Type: a.Type, Shape: a.Shape}, rows, 1); err == nil && len(c.bytes) > 0 && rec.cell(a.Name) == nil {
			c.attribute = true
			if c.elements() == 1 { // as many write a single value
				c.Shape = nil
			}
			rec.cells = append(rec.cells, c)
		}
	}
	g.keyFromName(&rec, path.Base(name))
	return rec, g.judge(&rec, group)
}

// nameParts are the parts of a name as farm3_t1_s17.
var nameParts = regexp.MustCompile(`^[A-Za-z]+(-?\d+)$`)

// keyInName returns the numbers in the parts of a group's name, empty where a part
// has none; nil if the parts are not as many as the values of a key.
func keyInName(name string, values int) []string {
	parts := strings.Split(name, "_")
	if len(parts) != values {
		return nil
	}
	numbers := make([]string, values)
	for i, part := range parts {
		if m := nameParts.FindStringSubmatch(part); m != nil {
			numbers[i] = m[1]
		}
	}
	return numbers
}

// keyFromName takes what is missing of the key from the numbers in a group's
// name, if it has one for each.
func (g *grouped) keyFromName(rec *Record, name string) {
	for i, text := range keyInName(name, len(g.key)) {
		if rec.cell(g.key[i]) != nil {
			continue
		}
		if number, err := strconv.ParseInt(text, 10, 64); err == nil {
			bytes := binary.LittleEndian.AppendUint64(nil, uint64(number)) //nolint:gosec // its bits
			rec.cells = append(rec.cells, cell{Column: Column{Name: g.key[i], Type: h5.Type{Kind: h5.Int64}}, bytes: bytes})
		}
	}
}

func (g *grouped) judge(rec *Record, group foreign.Group) error {
	for _, name := range g.key {
		if c := rec.cell(name); c == nil || c.elements() != 1 {
			return damaged("it has no single value of the key %s", name)
		}
	}
	for _, name := range g.columns {
		if rec.cell(name) == nil {
			return group.Lacks(name)
		}
	}
	for _, c := range rec.cells {
		if !c.whole() {
			return damaged("%s is NaN or infinite", c.Name)
		}
	}
	rec.setKey(g.key)
	return nil
}
