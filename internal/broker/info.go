package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const infoName = "broker.json"

// Info is how other processes of the same user reach a broker.
type Info struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	PID   int    `json:"pid"` // of the process that runs the broker
}

// WriteInfo leaves the broker's Info in dir, readable to this user only. The
// file appears whole or not at all. It is a hint: after a kill it is still
// there.
func (b *Broker) WriteInfo(dir string) error {
	text, err := json.Marshal(Info{b.URL(), b.Token(), os.Getpid()})
	if err != nil {
		return fmt.Errorf("encode broker info: %w", err)
	}
	f, err := os.CreateTemp(dir, infoName+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write broker info: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, infoName))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write broker info: %w", err), os.Remove(f.Name()))
	}
	return nil
}

// ReadInfo returns the Info in dir. The error is fs.ErrNotExist if there is
// none; a broker that was killed leaves one to which nobody answers.
func ReadInfo(dir string) (Info, error) {
	text, err := os.ReadFile(filepath.Join(dir, infoName))
	if err != nil {
		return Info{}, fmt.Errorf("read broker info: %w", err)
	}
	var info Info
	if err := json.Unmarshal(text, &info); err != nil {
		return Info{}, fmt.Errorf("read broker info in %s: %w", dir, err)
	}
	return info, nil
}

// RemoveInfo removes the Info from dir, if there is one.
func RemoveInfo(dir string) error {
	err := os.Remove(filepath.Join(dir, infoName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove broker info: %w", err)
	}
	return nil
}
