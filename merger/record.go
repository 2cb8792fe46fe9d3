package merger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"windrow/internal/atomicfile"
	"windrow/internal/dataset"
	"windrow/internal/ledger"
	"windrow/internal/message"
)

// Record is what <output>.run.json tells about how a dataset came about:
// everything that must not be in the dataset itself, because it differs from
// run to run.
type Record struct {
	Dataset       string                 `json:"dataset"`
	SHA256        message.Digest         `json:"sha256"`
	Rows          int64                  `json:"rows"`
	Failed        int64                  `json:"failed"`
	Run           message.RunID          `json:"run"`
	Digest        message.Digest         `json:"digest"`
	Started       time.Time              `json:"started"`
	Sealed        time.Time              `json:"sealed"`
	Shards        int                    `json:"shards"`
	Rejected      int                    `json:"rejected_shards"`
	DuplicateRows int64                  `json:"duplicate_rows"` // computed twice, counted once
	Workers       map[string]WorkerShare `json:"workers"`
	Imported      []dataset.Imported     `json:"imported,omitempty"`
	Changes       []ChangedFile          `json:"accepted_changes,omitempty"`
}

// ChangedFile is a file of the run that was changed between some of its rows.
type ChangedFile struct {
	message.Accepted
	At   time.Time `json:"at"`
	Rows int64     `json:"rows_before"` // recorded by then
}

// WorkerShare is what one worker contributed.
type WorkerShare struct {
	Shards  int     `json:"shards"`
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"`
}

// WriteRecord writes the record of a sealed run beside its dataset.
func WriteRecord(output string, s *ledger.State) error {
	sealed, _ := s.Sealed()
	counters := s.Counters()
	r := Record{
		Dataset: filepath.Base(output), SHA256: sealed.SHA256, Rows: sealed.Rows, Failed: sealed.Failed,
		Run: message.NewRunID(s.Planned().Name, s.Digest()), Digest: s.Digest(),
		Started: counters.First.UTC(), Sealed: counters.Last.UTC(),
		DuplicateRows: counters.DuplicateRows, Workers: map[string]WorkerShare{},
	}
	for _, sh := range s.Shards() {
		r.Shards++
		if sh.Rejected != "" {
			r.Rejected++
			continue
		}
		if sh.Imported != nil {
			r.Imported = append(r.Imported, dataset.Imported{Imported: *sh.Imported, Rows: sh.Rows})
			continue
		}
		share := r.Workers[sh.Worker]
		share.Shards++
		share.Rows += sh.Rows.Len()
		share.Seconds += sh.Seconds
		r.Workers[sh.Worker] = share
	}
	for _, a := range s.Accepted() {
		r.Changes = append(r.Changes, ChangedFile{a.Accepted, a.Time.UTC(), a.Recorded})
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the run's record: %w", err)
	}
	return atomicfile.Write(output+".run.json", 0o644, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// removeFolder removes a shards folder. A worker that starts at this moment
// puts its files into it again, and finds nothing to do: they do no harm.
func removeFolder(dir string) error {
	err := os.RemoveAll(dir)
	if errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return err
}

// Tidy removes what a sealed run no longer needs: the partial file with its
// checkpoint, and the shards folder. Where tasks failed the shards stay, or a
// replay would have to compute the whole run again.
func Tidy(output, shards string, sealed *message.Sealed, keepShards bool) error {
	err := dataset.Remove(output)
	if sealed.Failed == 0 && !keepShards {
		err = errors.Join(err, removeFolder(shards))
	}
	if err != nil {
		return fmt.Errorf("tidy up: %w", err)
	}
	return nil
}
