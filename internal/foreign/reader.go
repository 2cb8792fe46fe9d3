package foreign

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"windrow/internal/h5"
)

// DamagedError says in words what is wrong with a file. All other errors of a
// Reader are about this machine.
type DamagedError struct {
	Reason string
	Digest bool // the file has a digest of windrow's, and is not what it was
	Died   bool // a child process died of it
	Unread bool // it may be sound: why it was not read to its end
}

func (e *DamagedError) Error() string { return e.Reason }

// Verdict says what the file is, and why.
func (e *DamagedError) Verdict() string {
	if e.Unread {
		return "not read: " + e.Reason
	}
	return "corrupt: " + e.Reason
}

// damaged returns a DamagedError.
func damaged(format string, args ...any) error {
	return &DamagedError{Reason: fmt.Sprintf(format, args...)}
}

// Reader reads files in a child process, which is used until it dies. A death
// is the answer to the question that it died of: the file is damaged. A Reader
// is for one goroutine.
type Reader struct {
	command []string
	limits  Limits
	child   *child
}

// NewReader returns a reader whose child is started when it is needed: this
// program with the arguments, which must call Serve.
func NewReader(limits Limits, args ...string) (*Reader, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return &Reader{command: append([]string{program}, args...), limits: limits}, nil
}

// Close ends the child.
func (r *Reader) Close() {
	if r.child != nil {
		r.child.stop()
		r.child = nil
	}
}

// Check reads the whole file, as the function Check does, and returns its rows. A
// file with a digest of windrow's, a shard or a dataset, is held to it instead.
// Where lengths could be read, rows is that of a damaged file, too.
func (r *Reader) Check(ctx context.Context, path string, required []string) (rows int64, err error) {
	found, err := r.Examine(ctx, path, required)
	return found.Rows, err
}

// Examine is Check, and returns all that was found. It does not read what another
// process is writing.
func (r *Reader) Examine(ctx context.Context, path string, required []string) (Checked, error) {
	if err := Busy(path); err != nil {
		return Checked{}, err
	}
	a, err := r.ask(ctx, question{Ask: askCheck, Path: path, Required: required}, wholeFile)
	return a.Checked, err
}

// List returns what is in a group of the file; "/" is its root.
func (r *Reader) List(ctx context.Context, path, group string) (Group, error) {
	a, err := r.ask(ctx, question{Ask: askList, Path: path, Object: group}, 0)
	return a.Group, err
}

// Describe is List, and tells also what only people want to know: names of types
// that windrow has not, and what is another name of the same object. A dataset that
// cannot be described is told with the reason.
func (r *Reader) Describe(ctx context.Context, path, group string) (Group, error) {
	a, err := r.ask(ctx, question{Ask: askList, Path: path, Object: group, Fully: true}, 0)
	return a.Group, err
}

// ListWary is List, also of a file that its writer did not close.
func (r *Reader) ListWary(ctx context.Context, path, group string) (Group, error) {
	a, err := r.ask(ctx, question{Ask: askList, Path: path, Object: group, Wary: true}, 0)
	return a.Group, err
}

// Read returns n rows of a dataset, from row first on, 256 MiB at most. A
// single value counts as one row.
func (r *Reader) Read(ctx context.Context, path, dataset string, first, n int64) (Rows, error) {
	return r.read(ctx, question{Ask: askRead, Path: path, Object: dataset, First: first, Rows: n})
}

// ReadWary is Read of a file that Check has found to be damaged, or that its
// writer did not close: rows cannot be read that lie beyond the end of the file,
// or in a chunk that Check would refuse for where it lies, as on top of one of the
// datasets beside it.
func (r *Reader) ReadWary(ctx context.Context, path, dataset string, beside []string, first, n int64) (Rows, error) {
	return r.read(ctx, question{Ask: askRead, Path: path, Object: dataset, Beside: beside, First: first, Rows: n, Wary: true})
}

func (r *Reader) read(ctx context.Context, q question) (Rows, error) {
	a, err := r.ask(ctx, q, MaxReadBytes)
	if err != nil {
		return Rows{}, err
	}
	return a.Data, nil
}

// wholeFile is more than any file has.
const wholeFile = math.MaxInt64

// ask asks a question that may read so many bytes, or all that the file has.
func (r *Reader) ask(ctx context.Context, q question, bytes int64) (answer, error) {
	size, err := lookAt(q.Path)
	if err != nil {
		return answer{}, err
	}
	if r.child == nil {
		if r.child, err = start(r.command); err != nil {
			return answer{}, fmt.Errorf("start a reader of HDF5 files: %w", err)
		}
	}
	q.Clock, q.Memory = r.limits.clock(min(bytes, size)), r.limits.Memory
	a, err := r.child.ask(ctx, q)
	switch {
	case err == nil && a.Damage != "":
		return a, &DamagedError{Reason: a.Damage, Digest: a.Checked.Digest, Unread: a.Unread}
	case err == nil:
		return a, nil
	}
	end := r.child.stop()
	r.child = nil
	switch {
	case ctx.Err() != nil:
		return answer{}, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded), end.outOfTime():
		return answer{}, &DamagedError{Reason: fmt.Sprintf("it took longer than %s", q.Clock), Died: true, Unread: true}
	case end.outOfMemory():
		return answer{}, &DamagedError{Reason: fmt.Sprintf("it needs more than %s of memory", humanize.IBytes(r.limits.Memory)), Died: true, Unread: true}
	case end.killed():
		return answer{}, &DamagedError{Reason: "the process that read it was killed, as the kernel does for want of memory", Died: true, Unread: true}
	}
	return answer{}, &DamagedError{Reason: "libhdf5 crashed on it: " + end.state, Died: true}
}

var errDenied = unread("permission denied")

// lookAt returns the size of a file that a child may open.
func lookAt(path string) (size int64, err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, damaged("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return 0, errDenied
	case err != nil:
		return 0, damaged("%s", err)
	case !info.Mode().IsRegular(): // a pipe would never end
		return 0, damaged("it is not a file")
	case info.Size() == 0:
		return 0, damaged("it is empty")
	case unix.Access(path, unix.R_OK) != nil:
		return 0, errDenied
	case isNetCDF3(path):
		return 0, unread("it is a netCDF-3 file; netCDF-4 and HDF5 are read: nccopy -k nc4 IN OUT")
	}
	return info.Size(), nil
}

// isNetCDF3 tells whether a file is of netCDF before its version 4, which took
// HDF5: it begins with CDF, and the version of that format.
func isNetCDF3(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // which is told when it is read
	}
	defer f.Close() //nolint:errcheck // nothing was written
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic[:3]) == "CDF" && slices.Contains([]byte{1, 2, 5}, magic[3])
}

// child is a process that serves.
type child struct {
	process   *exec.Cmd
	questions io.WriteCloser
	answers   *bufio.Reader
	stderr    head
}

func start(command []string) (*child, error) {
	c := &child{process: exec.Command(command[0], command[1:]...)} //nolint:noctx // stop ends it
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.process.Stderr = &c.stderr
	var err error
	if c.questions, err = c.process.StdinPipe(); err != nil {
		return nil, err
	}
	answers, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.answers = bufio.NewReader(answers)
	return c, c.process.Start()
}

// ask asks one question. After an error the child is worthless, and dead if
// it took too long.
func (c *child) ask(ctx context.Context, q question) (a answer, err error) {
	ctx, done := context.WithTimeout(ctx, q.Clock)
	defer done()
	kill := context.AfterFunc(ctx, func() { _ = c.process.Process.Kill() })
	defer kill()
	line, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err := c.questions.Write(append(line, '\n')); err != nil {
		return a, err
	}
	err = a.receive(c.answers)
	if err != nil && ctx.Err() != nil {
		return a, ctx.Err()
	}
	return a, err
}

// end is how a child ended.
type end struct {
	state string
	said  string
	late  bool // it did not end by itself
}

// outOfTime tells whether it spent its CPU time.
func (e end) outOfTime() bool { return strings.Contains(e.said, saidOfCPU) }

// outOfMemory tells whether it ran into its limit: what Go and its runtime's C
// part say then.
func (e end) outOfMemory() bool {
	return strings.Contains(e.said, "out of memory") || strings.Contains(e.said, "cannot allocate memory")
}

// killed tells whether somebody else ended it, which libhdf5 does not.
func (e end) killed() bool { return e.state == "signal: killed" && !e.late }

// stopGrace is the time for a child to end by itself after its last question.
const stopGrace = time.Second

func (c *child) stop() end {
	_ = c.questions.Close() // at the end of its input it ends
	late := time.AfterFunc(stopGrace, func() { _ = c.process.Process.Kill() })
	_ = c.process.Wait() // the state says more
	return end{c.process.ProcessState.String(), string(c.stderr.bytes), !late.Stop()}
}

// head keeps the beginning of what a child says: why it died, before the
// stacks.
type head struct{ bytes []byte }

const maxSaid = 4 << 10

func (h *head) Write(p []byte) (int, error) {
	h.bytes = append(h.bytes, p[:min(len(p), maxSaid-len(h.bytes))]...)
	return len(p), nil
}

// Group is what is in a group of a file.
type Group struct {
	Attributes []h5.Attribute `json:"attributes,omitempty"`
	Datasets   []Dataset      `json:"datasets,omitempty"`
	Groups     []string       `json:"groups,omitempty"`
	Types      []NamedType    `json:"types,omitempty"`    // of Describe
	Damaged    []string       `json:"damaged,omitempty"`  // what cannot be opened
	Links      []h5.Link      `json:"links,omitempty"`    // that lead to nothing in the file
	Followed   []h5.Link      `json:"followed,omitempty"` // soft links to what is in the file
	Address    uint64         `json:"address,omitempty"`  // of Describe: equal for names of the same object; 0: unknown
	Unread     string         `json:"unread,omitempty"`   // of Describe: why there are no attributes
}

// NamedType is a type that is kept under a name, for datasets to be of.
type NamedType struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Lacks says that a dataset is not in the group.
func (g Group) Lacks(dataset string) error {
	if err := leadsAway(g.Links, dataset); err != nil {
		return &DamagedError{Reason: err.Error()}
	}
	return damaged("dataset %s is missing", dataset)
}

// Dataset is what a file says of a dataset, before anything is read of it.
type Dataset struct {
	Name       string         `json:"name"`
	Type       h5.Type        `json:"type"`  // the zero Type: neither numbers nor text
	Shape      []int64        `json:"shape"` // empty: a single value
	Storage    h5.Storage     `json:"storage"`
	Attributes []h5.Attribute `json:"attributes,omitempty"`
	Unwritten  bool           `json:"unwritten,omitempty"` // nobody wrote any of its elements
	Fill       []byte         `json:"fill,omitempty"`      // what an element has that nobody wrote, unless it is zero

	TypeName string `json:"type_name,omitempty"` // these are of Describe
	Null     bool   `json:"null,omitempty"`      // it has no value
	Address  uint64 `json:"address,omitempty"`   // as that of a Group
	Damage   string `json:"damage,omitempty"`    // why the rest is not known
}

// Rows are rows of a dataset.
type Rows struct {
	Type  h5.Type  `json:"type"`
	Bytes []byte   `json:"-"` // of all elements, little-endian
	Texts [][]byte `json:"-"` // instead, of the type VarText
}
