package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/message"
)

// Errors of files.
var (
	// ErrNoFile says that the run's object store has no such file.
	ErrNoFile = errors.New("the broker has no such file")
	// ErrOtherFile says that a file is not what its digest says.
	ErrOtherFile = errors.New("the file has other content than the run was planned with")
)

// fileLimit is how long a file may take on its way.
const fileLimit = 10 * time.Minute

// objectStreamPrefix is what the client library puts before the name of an
// object store to name its stream.
const objectStreamPrefix = "OBJ_"

// objectStore is the name of a run's object store.
func objectStore(id message.RunID) string { return streamPrefix + string(id) + "_files" }

func filesStream(id message.RunID) string { return objectStreamPrefix + objectStore(id) }

// StoreFile keeps a file of the run for workers that do not have it, under its
// digest. If it is there already, content is not read. The error is
// ErrOtherFile if content has another digest.
func (r *Run) StoreFile(ctx context.Context, digest message.Digest, replicas int, content io.Reader) error {
	store, err := r.createObjectStore(ctx, replicas)
	if err != nil {
		return err
	}
	there, err := r.hasFile(ctx, store, digest)
	if err != nil || there {
		return err
	}
	subjects := []string{"$O." + objectStore(r.id) + ".", "$JS.API.STREAM.PURGE." + filesStream(r.id)}
	return r.conn.askFor(ctx, fileLimit, "store file "+string(digest), subjects, func(ctx context.Context) error {
		info, err := store.Put(ctx, jetstream.ObjectMeta{Name: string(digest)}, content)
		if err == nil && !isFile(info, digest) {
			return ErrOtherFile // the next one to store it replaces it
		}
		return err
	})
}

func (r *Run) createObjectStore(ctx context.Context, replicas int) (store jetstream.ObjectStore, err error) {
	name, stream := objectStore(r.id), filesStream(r.id)
	subjects := []string{"$JS.API.STREAM.INFO." + stream, "$JS.API.STREAM.CREATE." + stream}
	err = r.conn.ask(ctx, "make object store "+name, subjects, func(ctx context.Context) error {
		if store, err = r.conn.js.ObjectStore(ctx, name); !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		store, err = r.conn.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: name, Description: "files of run " + string(r.id), Replicas: max(replicas, 1),
		})
		return err
	})
	return store, err
}

func (r *Run) hasFile(ctx context.Context, store jetstream.ObjectStore, digest message.Digest) (there bool, err error) {
	subjects := []string{"$JS.API.DIRECT.GET." + filesStream(r.id)}
	err = r.conn.ask(ctx, "look for file "+string(digest), subjects, func(ctx context.Context) error {
		info, err := store.GetInfo(ctx, string(digest))
		if errors.Is(err, jetstream.ErrObjectNotFound) {
			return nil
		}
		there = err == nil && isFile(info, digest)
		return err
	})
	return there, err
}

// isFile tells whether an object is the file with the digest, as the one who
// stored it has hashed it.
func isFile(o *jetstream.ObjectInfo, digest message.Digest) bool {
	got, err := jetstream.DecodeObjectDigest(o.Digest)
	return err == nil && hex.EncodeToString(got) == string(digest)
}

// FetchFile writes the file with the digest to w. What was written counts only
// if there is no error, which is ErrNoFile if the producer has not stored the
// file, and ErrOtherFile if it is not what its name says.
func (r *Run) FetchFile(ctx context.Context, digest message.Digest, w io.Writer) error {
	stream := filesStream(r.id)
	subjects := []string{
		"$JS.API.STREAM.INFO." + stream, "$JS.API.DIRECT.GET." + stream, "$JS.API.CONSUMER.CREATE." + stream, "$JS.FC." + stream,
	}
	h := sha256.New()
	err := r.conn.askFor(ctx, fileLimit, "fetch file "+string(digest), subjects, func(ctx context.Context) error {
		store, err := r.conn.js.ObjectStore(ctx, objectStore(r.id))
		if err != nil {
			return err
		}
		object, err := store.Get(ctx, string(digest))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.MultiWriter(w, h), object)
		return errors.Join(err, object.Close())
	})
	if errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("%w: %s", ErrNoFile, digest)
	}
	if err == nil && hex.EncodeToString(h.Sum(nil)) != string(digest) {
		return fmt.Errorf("%w: file %s", ErrOtherFile, digest)
	}
	return err
}
