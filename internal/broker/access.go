package broker

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"windrow/internal/atomicfile"
	"windrow/internal/certificate"
)

// Access is what a broker that other hosts may reach shows and asks for: it
// stays the same from one start to the next, so that they come back by
// themselves.
type Access struct {
	Token       string           // what clients authenticate with
	Certificate certificate.Pair // the server's, for TLS
}

// The files of an Access. The certificate's name is part of Info.
const (
	tokenName       = "token"
	certificateName = "server.pem"
	keyName         = "server-key.pem"
)

// CertificateFile returns the file in dir by which clients know the broker.
func CertificateFile(dir string) string { return filepath.Join(dir, certificateName) }

// OpenAccess reads the Access in dir, or makes one. A certificate that is not
// for all of hosts is made anew.
func OpenAccess(dir string, hosts []string) (Access, error) {
	var a Access
	token, err := os.ReadFile(filepath.Join(dir, tokenName))
	if err == nil {
		a.Token = string(token)
	} else if errors.Is(err, fs.ErrNotExist) {
		a.Token = randomToken()
		err = writeWhole(dir, tokenName, []byte(a.Token))
	}
	if err != nil {
		return Access{}, fmt.Errorf("the broker's token: %w", err)
	}
	// Where one of them is missing, they cover nothing.
	a.Certificate.Certificate, err = os.ReadFile(filepath.Join(dir, certificateName))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		a.Certificate.Key, err = os.ReadFile(filepath.Join(dir, keyName))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Access{}, fmt.Errorf("the broker's certificate: %w", err)
	}
	for _, host := range hosts {
		if a.Certificate.Covers(host, time.Now()) == nil {
			continue
		}
		if a.Certificate, err = makeCertificate(dir, hosts); err != nil {
			return Access{}, fmt.Errorf("the broker's certificate: %w", err)
		}
	}
	return a, nil
}

func makeCertificate(dir string, hosts []string) (certificate.Pair, error) {
	p, err := certificate.Make(hosts, time.Now())
	if err == nil {
		err = writeWhole(dir, keyName, p.Key)
	}
	if err == nil {
		err = writeWhole(dir, certificateName, p.Certificate)
	}
	return p, err
}

// writeWhole writes a file that only this user can read, whole or not at all.
func writeWhole(dir, name string, content []byte) error {
	return atomicfile.Write(filepath.Join(dir, name), 0o600, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}
