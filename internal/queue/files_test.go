package queue_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"

	"windrow/internal/message"
	"windrow/internal/queue"
)

// largeFile is of several chunks of the object store.
func largeFile() ([]byte, message.Digest) {
	content := make([]byte, 3<<20+7)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // never fails
	sum := sha256.Sum256(content)
	return content, message.Digest(hex.EncodeToString(sum[:]))
}

func TestFilesTravelByDigest(t *testing.T) {
	t.Parallel()
	run, _ := newRun(t)
	content, digest := largeFile()
	if err := run.FetchFile(t.Context(), digest, &bytes.Buffer{}); !errors.Is(err, queue.ErrNoFile) {
		t.Errorf("without an object store: %v", err)
	}
	if err := run.StoreFile(t.Context(), digest, 1, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := run.StoreFile(t.Context(), digest, 1, unread{t}); err != nil {
		t.Errorf("stored again: %v", err)
	}
	var got bytes.Buffer
	if err := run.FetchFile(t.Context(), digest, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("fetched %d bytes of %d: %v", got.Len(), len(content), err)
	}
	absent := message.Digest(hex.EncodeToString(make([]byte, 32)))
	if err := run.FetchFile(t.Context(), absent, &bytes.Buffer{}); !errors.Is(err, queue.ErrNoFile) {
		t.Errorf("a file that was not stored: %v", err)
	}
}

// unread fails a test that reads it.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the file is there and read again")
	return 0, errors.New("not to be read")
}

func TestFileThatIsNotWhatItsDigestSays(t *testing.T) {
	t.Parallel()
	run, _ := newRun(t)
	content, digest := largeFile()
	if err := run.StoreFile(t.Context(), digest, 1, bytes.NewReader([]byte("another"))); !errors.Is(err, queue.ErrOtherFile) {
		t.Errorf("stored: %v", err)
	}
	if err := run.FetchFile(t.Context(), digest, &bytes.Buffer{}); !errors.Is(err, queue.ErrOtherFile) {
		t.Errorf("fetched: %v", err)
	}
	if err := run.StoreFile(t.Context(), digest, 1, bytes.NewReader(content)); err != nil {
		t.Errorf("the right one after it: %v", err)
	}
	var got bytes.Buffer
	if err := run.FetchFile(t.Context(), digest, &got); err != nil || !bytes.Equal(got.Bytes(), content) {
		t.Errorf("fetched %d bytes of %d: %v", got.Len(), len(content), err)
	}
}

func TestFilesGoWithTheRun(t *testing.T) {
	t.Parallel()
	run, conn := newRun(t)
	content, digest := largeFile()
	if err := run.StoreFile(t.Context(), digest, 1, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := conn.DeleteRun(t.Context(), run.ID()); err != nil {
		t.Fatal(err)
	}
	again := createRun(t, conn, config())
	if err := again.FetchFile(t.Context(), digest, &bytes.Buffer{}); !errors.Is(err, queue.ErrNoFile) {
		t.Errorf("after the run was deleted: %v", err)
	}
}
