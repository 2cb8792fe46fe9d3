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
	URL         string `json:"url"`
	Token       string `json:"token"`
	Certificate string `json:"certificate,omitempty"` // file of the broker's, which may be beside this one
	PID         int    `json:"pid"`                   // of the process that runs the broker
}

// WriteInfo leaves the broker's Info in dir, readable to this user only, for
// those who reach it at url. The file appears whole or not at all. It is a
// hint: after a kill it is still there.
func (b *Broker) WriteInfo(dir, url string) error {
	info := Info{URL: url, Token: b.Token(), PID: os.Getpid()}
	if b.tls {
		info.Certificate = certificateName
	}
	text, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("encode broker info: %w", err)
	}
	if err := writeWhole(dir, infoName, append(text, '\n')); err != nil {
		return fmt.Errorf("write broker info: %w", err)
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
	if info.Certificate != "" {
		info.Certificate = filepath.Join(dir, filepath.Base(info.Certificate))
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
