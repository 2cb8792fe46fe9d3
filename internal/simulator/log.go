package simulator

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	"windrow/internal/message"
)

// What is kept of the output of a task.
const (
	maxMessage   = 1 << 10 // bytes of an Error's message
	maxLogLines  = 20
	maxLineBytes = 2 << 10
)

// taskLog keeps the last lines of what a task prints.
type taskLog struct {
	mu     sync.Mutex
	last   []string
	stderr string // last line of standard error that is not blank
}

// reset begins the log of another task.
func (l *taskLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.stderr = nil, ""
}

func (l *taskLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(line)
}

func (l *taskLog) addError(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(line)
	if line != "" {
		l.stderr = line
	}
}

func (l *taskLog) append(line string) {
	if line != "" {
		l.last = lastLines(append(l.last, line))
	}
}

// lines returns the last lines.
func (l *taskLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.last...)
}

// lastError returns the last line of standard error.
func (l *taskLog) lastError() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stderr
}

func lastLines(lines []string) []string { return lines[max(0, len(lines)-maxLogLines):] }

// cutLine returns a line of output as it goes into a log: short, valid text
// without the line's end.
func cutLine(line []byte) string {
	line = bytes.TrimRight(line[:min(len(line), maxLineBytes+4)], " \t\r\n")
	return message.Cut(strings.ToValidUTF8(string(line), "?"), maxLineBytes)
}

// follow passes the lines of r on, the beginning of those that are longer than
// its buffer, until r ends or fails.
func follow(r io.Reader, line func(string)) {
	const bufferBytes = 16 << 10
	in := bufio.NewReaderSize(r, bufferBytes)
	inside := false // a line whose beginning was passed on
	for {
		part, err := in.ReadSlice('\n')
		if !inside && len(part) > 0 {
			line(cutLine(part))
		}
		inside = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !inside {
			return
		}
	}
}
