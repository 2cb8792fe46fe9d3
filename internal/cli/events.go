package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

func addEvents(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "events", "", "file to which every event of the run's ledger is appended as a line of JSON, for scripts")
}

// loggedEvent is a line of the file of --events.
type loggedEvent struct {
	Run   message.RunID `json:"run"`
	Seq   uint64        `json:"seq"`  // position in the ledger, from 1
	Time  time.Time     `json:"time"` // when the broker stored it
	Kind  message.Kind  `json:"kind"`
	Event message.Event `json:"event,omitempty"`
	Error string        `json:"error,omitempty"` // why it could not be decoded
}

// eventLog appends the ledger of a run to a file: each event once, whatever is
// killed and started again. What was begun anew is another run's ledger, even
// under the same id.
type eventLog struct {
	run *queue.Run

	mu   sync.Mutex
	file *os.File
	last uint64 // that the file has
	err  error  // of the first write that failed
}

// followEvents appends the events of a run to the file at path until stop is
// called, which appends what has come. Without a path it does nothing.
func followEvents(ctx context.Context, path string, run *queue.Run, f *ledger.Follower) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	var begun time.Time
	f.View(func(s *ledger.State) { begun = s.Begun() })
	l, err := openEventLog(path, run, begun)
	if err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- l.follow(following) }()
	return func() error {
		cancel()
		return errors.Join(<-ended, l.close(context.WithoutCancel(ctx)))
	}, nil
}

// openEventLog opens the file and reads what it has. begun is when the run was
// planned.
func openEventLog(path string, run *queue.Run, begun time.Time) (_ *eventLog, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	l := &eventLog{run: run, file: file}
	if err := l.resume(begun); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return l, nil
}

// resume finds the last event that the file has of the run, and drops a line
// that a kill has cut off.
func (l *eventLog) resume(begun time.Time) error {
	lines := bufio.NewReaderSize(l.file, 1<<20)
	whole, same := int64(0), false
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		whole += int64(len(line))
		var e struct {
			Run  message.RunID `json:"run"`
			Seq  uint64        `json:"seq"`
			Time time.Time     `json:"time"`
			Kind message.Kind  `json:"kind"`
		}
		if json.Unmarshal(bytes.TrimSpace(line), &e) != nil || e.Run != l.run.ID() {
			continue
		}
		if e.Kind == message.KindPlanned {
			same = e.Time.Equal(begun)
		}
		if l.last = 0; same {
			l.last = e.Seq
		}
	}
	if err := l.file.Truncate(whole); err != nil {
		return err
	}
	_, err := l.file.Seek(0, io.SeekEnd)
	return err
}

// follow appends events as they come until ctx ends.
func (l *eventLog) follow(ctx context.Context) error {
	for {
		err := l.run.Events(ctx, l.next(), l.write)
		if l.failed() != nil {
			return l.failed()
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // being stopped is the normal end
		}
		if !errors.Is(err, message.ErrUnreachable) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(awaitInterval):
		}
	}
}

// close appends what the ledger has beyond what was followed, and closes the
// file.
func (l *eventLog) close(ctx context.Context) error {
	err := eachEvent(ctx, l.run, l.write)
	return errors.Join(err, l.failed(), l.file.Close())
}

func (l *eventLog) next() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last + 1
}

func (l *eventLog) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *eventLog) write(e ledger.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Seq <= l.last || l.err != nil {
		return
	}
	logged := loggedEvent{Run: l.run.ID(), Seq: e.Seq, Time: e.Time.UTC(), Kind: e.Kind, Event: e.Event}
	if e.Err != nil {
		logged.Error = message.Cut(e.Err.Error(), message.MaxRecordBytes)
	}
	line, err := json.Marshal(logged)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		l.err = fmt.Errorf("write %s: %w", l.file.Name(), err)
		return
	}
	l.last = e.Seq
}
