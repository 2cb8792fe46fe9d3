package foreign

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"windrow/internal/dataset"
	"windrow/internal/h5"
	"windrow/internal/shard"
)

// question is a line of JSON to a child.
type question struct {
	Ask      string        `json:"ask"`
	Path     string        `json:"path"`
	Required []string      `json:"required,omitempty"` // of a check
	Object   string        `json:"object,omitempty"`   // a group, or a dataset to read
	First    int64         `json:"first,omitempty"`
	Rows     int64         `json:"rows,omitempty"`
	Wary     bool          `json:"wary,omitempty"`   // of where they lie
	Fully    bool          `json:"fully,omitempty"`  // for people: see Describe
	Beside   []string      `json:"beside,omitempty"` // of the object: datasets that it may lie on top of
	Clock    time.Duration `json:"clock"`            // of CPU time
	Memory   uint64        `json:"memory"`           // bytes
}

// What may be asked.
const (
	askCheck = "check"
	askList  = "list"
	askRead  = "read"
)

// answer is a line of JSON from a child, and bytes after it.
type answer struct {
	Damage  string  `json:"damage,omitempty"` // what is wrong with the file
	Unread  bool    `json:"unread,omitempty"` // it may be sound
	Checked Checked `json:"checked,omitzero"`
	Group   Group   `json:"group,omitzero"`
	Data    Rows    `json:"data,omitzero"`
	Follow  int64   `json:"follow,omitempty"` // how many bytes
	Texts   []int32 `json:"texts,omitempty"`  // the length of each text among them
}

// Limits of an answer.
const (
	MaxReadBytes  = 256 << 20
	maxAnswerLine = 64 << 20
)

// Serve answers questions about files until in ends, in a process that may die
// of them.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	var e examiner
	defer e.close()
	return serve(in, out, func(q question) (answer, error) { return e.examine(ctx, q) })
}

func serve(in io.Reader, out io.Writer, examine func(question) (answer, error)) error {
	to := bufio.NewWriter(out)
	for questions := json.NewDecoder(in); ; {
		var q question
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := Limit(q.Memory, q.Clock); err != nil {
			return err
		}
		a, err := examine(q)
		if err != nil {
			damage, ok := errors.AsType[*DamagedError](err)
			a.Unread = ok && damage.Unread
			a.Damage = strings.Join(strings.Fields(err.Error()), " ")
		}
		if err := a.send(to); err != nil {
			return err
		}
	}
}

func (a *answer) send(to *bufio.Writer) error {
	content := a.Data.Bytes
	if a.Data.Texts != nil {
		a.Texts = make([]int32, len(a.Data.Texts))
		for i, text := range a.Data.Texts {
			a.Texts[i] = int32(len(text)) //nolint:gosec // read allows MaxReadBytes of all
			content = append(content, text...)
		}
	}
	a.Follow = int64(len(content))
	if err := json.NewEncoder(to).Encode(a); err != nil {
		return err
	}
	if _, err := to.Write(content); err != nil {
		return err
	}
	return to.Flush()
}

// receive reads an answer. The child is not believed: it has read a file that
// may have made it say anything.
func (a *answer) receive(from *bufio.Reader) error {
	line, err := readLine(from)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(line, a); err != nil {
		return err
	}
	for _, t := range a.types() {
		if t.Kind != 0 && !t.Valid() {
			return errors.New("elements of no type")
		}
	}
	if a.Follow < 0 || a.Follow > MaxReadBytes {
		return fmt.Errorf("an answer of %d bytes", a.Follow)
	}
	content := make([]byte, a.Follow)
	if _, err := io.ReadFull(from, content); err != nil {
		return err
	}
	if a.Data.Type.Kind != h5.VarText {
		a.Data.Bytes = content
		return nil
	}
	for _, n := range a.Texts {
		if n < 0 || int(n) > len(content) {
			return errors.New("texts of other lengths than were announced")
		}
		a.Data.Texts = append(a.Data.Texts, content[:n])
		content = content[n:]
	}
	return nil
}

func (a *answer) types() []h5.Type {
	types := []h5.Type{a.Data.Type}
	for _, d := range a.Group.Datasets {
		types = append(types, d.Type)
	}
	return types
}

func readLine(from *bufio.Reader) (line []byte, err error) {
	for len(line) < maxAnswerLine {
		part, err := from.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
	return nil, errors.New("an answer without an end")
}

// examiner answers questions. It keeps what it saw of the last damaged file, and the
// last file that rows were read of: they are asked for block by block.
type examiner struct {
	last *survey
	kept *kept
}

func (e *examiner) examine(ctx context.Context, q question) (a answer, err error) {
	if q.Ask != askRead {
		e.close()
	}
	switch q.Ask {
	case askCheck:
		a.Checked, err = checkFile(ctx, q)
	case askList:
		a.Group, err = list(q)
	case askRead:
		a.Data, err = e.readRows(q)
	default:
		err = fmt.Errorf("nobody knows how to %s", q.Ask)
	}
	return a, err
}

// shardName is the name of a shard, with its digest.
var shardName = regexp.MustCompile(`^\d{1,19}-([0-9a-f]{64})\.h5$`)

// checkFile checks a file: one of windrow's by its digest, another by reading
// it.
func checkFile(ctx context.Context, q question) (found Checked, err error) {
	if m := shardName.FindStringSubmatch(filepath.Base(q.Path)); m != nil {
		switch sum, _, err := shard.Hash(q.Path); {
		case err != nil:
			return Checked{Digest: true}, err
		case string(sum) != m[1]:
			return Checked{Digest: true}, fmt.Errorf("its SHA-256 is %s, not the one in its name", sum)
		}
		found, err = Check(q.Path, nil) // it has the columns of its run
		return Checked{Rows: found.Rows, Digest: true}, err
	}
	report, err := dataset.Verify(ctx, q.Path)
	unreadable, _ := errors.AsType[*h5.Error](err)
	if errors.Is(err, dataset.ErrForeign) || unreadable != nil && unreadable.Op == "open" {
		return Check(q.Path, q.Required)
	}
	if unreadable != nil && unreadable.Object == "windrow_format" { // which would tell whose file it is
		if zeros, _ := rootIsZero(q.Path); zeros {
			return Checked{}, errNoRoot
		}
		return Checked{}, rootUnread(inWords(err))
	}
	if errors.Is(err, dataset.ErrCorrupt) { // which the verdict says
		err = errors.New(strings.TrimPrefix(err.Error(), dataset.ErrCorrupt.Error()+": "))
	}
	return Checked{Rows: report.Rows, Digest: true}, err
}

// open opens the file. Who is wary may have one that was not closed.
func (q question) open() (f *h5.File, unclosed bool, err error) {
	f, err = h5.Open(q.Path)
	if q.Wary && errors.Is(err, h5.ErrTruncated) {
		f, err = h5.OpenUnclosed(q.Path)
		return f, true, err
	}
	return f, false, err
}

// list returns what is in a group.
func list(q question) (g Group, err error) {
	group := q.Object
	f, _, err := q.open()
	if err != nil {
		return g, notOpened(q.Path, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	members, err := f.Members(group)
	if err != nil {
		return g, fmt.Errorf("group %s cannot be listed: %w", group, inWords(err))
	}
	g.Groups, g.Damaged, g.Links, g.Followed = members.Groups, members.Damaged, members.Links, members.Followed
	if q.Fully {
		g.Address, _ = f.Address(group) // 0: unknown
		g.Types = typesOf(f, group, members.Types)
	}
	g.Attributes, err = attributesOf(f, group, q.Fully)
	if err != nil && q.Fully {
		g.Unread, err = inWords(err).Error(), nil
	}
	if err != nil {
		return g, fmt.Errorf("attributes of group %s cannot be read: %w", group, inWords(err))
	}
	for _, name := range members.Datasets {
		d, err := describe(f, strings.TrimSuffix(group, "/")+"/"+name, q.Fully)
		if err != nil && q.Fully {
			d.Damage, err = inWords(err).Error(), nil
		}
		if err != nil {
			return g, fmt.Errorf("dataset %s cannot be described: %w", name, inWords(err))
		}
		d.Name = name
		g.Datasets = append(g.Datasets, d)
	}
	return g, nil
}

func typesOf(f *h5.File, group string, names []string) (types []NamedType) {
	for _, name := range names {
		t, err := f.NamedType(strings.TrimSuffix(group, "/") + "/" + name)
		if err != nil {
			t = inWords(err).Error()
		}
		types = append(types, NamedType{name, t})
	}
	return types
}

// attributesOf returns attributes: only with their values, unless all that there
// are should be shown.
func attributesOf(f *h5.File, path string, fully bool) ([]h5.Attribute, error) {
	attributes, err := f.Attributes(path)
	for _, a := range attributes {
		if a.Unread != "" && !fully {
			return nil, fmt.Errorf("attribute %s: %s", a.Name, a.Unread)
		}
	}
	return attributes, err
}

func describe(f *h5.File, path string, fully bool) (about Dataset, err error) {
	d, err := f.Dataset(path)
	if err != nil {
		return about, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if fully {
		h, _ := d.Header() // 0: unknown
		about.Address, about.Null = h.Address, d.Null()
		if about.TypeName, err = d.TypeName(); err != nil {
			return about, err
		}
	}
	if about.Shape, err = d.Dims(); err != nil {
		return about, err
	}
	about.Unwritten = d.Unwritten()
	about.Type, _ = d.Any() // the zero Type says that there is none
	if about.Storage, err = d.Storage(); err != nil {
		return about, err
	}
	if about.Type.Kind != 0 {
		if about.Fill, err = d.Fill(); err != nil {
			return about, err
		}
	}
	about.Attributes, err = attributesOf(f, path, fully)
	return about, err
}

// readRows returns rows of a dataset.
func (e *examiner) readRows(q question) (rows Rows, err error) {
	name, first, n := q.Object, q.First, q.Rows
	f, d, unclosed, err := e.dataset(q)
	if err != nil {
		return rows, err
	}
	defer func() {
		if err != nil {
			e.close() // what libhdf5 knows of it is not to be trusted
		}
	}()
	if err := inFile(d); err != nil {
		return rows, fmt.Errorf("dataset %s: %w", name, err)
	}
	if q.Wary {
		if !e.last.covers(q.Path, name, unclosed) {
			if e.last, err = newSurvey(f, q.Path, unclosed, append(q.Beside, name)); err != nil {
				return rows, err
			}
		}
		if err := e.last.allows(name, d, first, n); err != nil {
			return rows, fmt.Errorf("dataset %s: %w", name, inWords(err))
		}
	}
	if filters, _, err := d.Filters(); err == nil && !q.Wary { // a survey has looked at them
		if err := have(filters); err != nil {
			return rows, fmt.Errorf("dataset %s: %w", name, err)
		}
	}
	if rows, err = readFrom(d, first, n); err == nil {
		return rows, nil
	}
	err = whichRows(d, first, n, err, func(first, n int64) error {
		_, err := readFrom(d, first, n)
		return err
	})
	return Rows{}, fmt.Errorf("dataset %s: %w", name, err)
}

func readFrom(d *h5.Dataset, first, n int64) (rows Rows, err error) {
	if rows.Type, err = d.Any(); err != nil {
		return rows, err
	}
	dims, err := d.Dims()
	if err != nil {
		return rows, err
	}
	size := n
	for _, dim := range append([]int64{int64(max(1, rows.Type.Bytes()))}, dims[min(1, len(dims)):]...) {
		if dim < 0 || size < 0 || dim > 0 && size > MaxReadBytes/dim {
			return rows, fmt.Errorf("more than %s at a time", humanize.IBytes(MaxReadBytes))
		}
		size *= dim
	}
	if rows.Type.Kind != h5.VarText {
		rows.Bytes = make([]byte, size)
		return rows, d.ReadAny(first, n, rows.Bytes)
	}
	if rows.Texts, err = d.ReadText(first, n); err != nil {
		return rows, err
	}
	total := 0
	for _, text := range rows.Texts {
		if total += len(text); total > MaxReadBytes {
			return rows, fmt.Errorf("more than %s of text at a time", humanize.IBytes(MaxReadBytes))
		}
	}
	return rows, nil
}
