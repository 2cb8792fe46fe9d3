package foreign

import (
	"errors"
	"fmt"
	"os"

	"windrow/internal/h5"
)

// kept is a file that stays open between questions, with the datasets that rows
// were read of: the chunks that libhdf5 has inflated are in their caches.
type kept struct {
	path     string
	wary     bool
	info     os.FileInfo
	file     *h5.File
	unclosed bool
	datasets map[string]*h5.Dataset
	bytes    int64 // that their caches may take
}

// maxKept is how many datasets stay open.
const maxKept = 64

// is tells whether it is the file of a question, as it was.
func (k *kept) is(q question) bool {
	return k != nil && k.path == q.Path && k.wary == q.Wary && unchanged(q.Path, k.info)
}

// unchanged tells whether a file is still the one that it was.
func unchanged(path string, was os.FileInfo) bool {
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, was) && info.Size() == was.Size() && info.ModTime().Equal(was.ModTime())
}

// dataset returns the file and the dataset of a question, open.
func (e *examiner) dataset(q question) (f *h5.File, d *h5.Dataset, unclosed bool, err error) {
	if !e.kept.is(q) {
		e.close()
		info, err := os.Stat(q.Path)
		if err != nil {
			return nil, nil, false, err
		}
		f, unclosed, err := q.open()
		if err != nil {
			return nil, nil, false, notOpened(q.Path, err)
		}
		e.kept = &kept{q.Path, q.Wary, info, f, unclosed, map[string]*h5.Dataset{}, 0}
	}
	k := e.kept
	if d := k.datasets[q.Object]; d != nil {
		return k.file, d, k.unclosed, nil
	}
	d, bytes, err := k.file.DatasetCached(q.Object, cacheBytes)
	if errors.Is(err, h5.ErrNotFound) {
		return nil, nil, false, fmt.Errorf("dataset %s is missing", q.Object)
	}
	if err != nil {
		return nil, nil, false, fmt.Errorf("dataset %s cannot be opened: %w", q.Object, inWords(err))
	}
	if k.bytes += bytes; k.bytes > cacheBytes || len(k.datasets) >= maxKept {
		k.forget()
		k.bytes = bytes
	}
	k.datasets[q.Object] = d
	return k.file, d, k.unclosed, nil
}

// forget closes the datasets. What was only read is not lost by an error.
func (k *kept) forget() {
	for name, d := range k.datasets {
		_ = d.Close()
		delete(k.datasets, name)
	}
}

func (e *examiner) close() {
	if e.kept != nil {
		e.kept.forget()
		_ = e.kept.file.Close() // as forget has it
		e.kept = nil
	}
}
