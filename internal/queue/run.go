package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// Settings of the streams and the consumer that no run chooses.
const (
	consumerName  = "workers"
	maxDeliver    = 50      // a fuse: workers give a task up long before
	maxAckPending = 200_000 // JetStream's 1000 would stall all workers as soon as they hold so many
	maxWaiting    = 4096    // workers that wait for tasks at the same time
	// No message has an id, so none is looked for; but at its start the server
	// reads all messages of the window back, by default those of two minutes.
	duplicateWindow = 100 * time.Millisecond
)

// Keys of the streams' metadata.
const (
	metaDigest  = "windrow.digest"
	metaName    = "windrow.name"
	metaVersion = "windrow.version" // of the wire format
)

// RunConfig describes a run to be created.
type RunConfig struct {
	ID     message.RunID
	Digest message.Digest
	Name   string // of the spec

	AckWait        time.Duration // a task not acknowledged for this long is delivered again
	TasksMaxBytes  int64         // size limit of the tasks stream, with its overhead
	EventsMaxBytes int64         // size limit of the ledger
	Replicas       int           // servers that keep a copy; 0 is 1
}

// RunInfo describes a run of a broker.
type RunInfo struct {
	ID        message.RunID
	Digest    message.Digest
	Name      string // of the spec
	Created   time.Time
	Tasks     uint64 // messages in the tasks stream, copies included
	TaskBytes uint64
	Events    uint64 // last sequence of the ledger
}

// Run is a run of a broker. Its methods may be called from any goroutine.
type Run struct {
	conn   *Conn
	id     message.RunID
	digest message.Digest
}

// ID returns the run's id.
func (r *Run) ID() message.RunID { return r.id }

// Digest returns the run's digest.
func (r *Run) Digest() message.Digest { return r.digest }

// Flush waits until the broker has read everything that was sent.
func (r *Run) Flush(ctx context.Context) error { return r.conn.Flush(ctx) }

func (r *Run) tasksStream() string  { return tasksStream(r.id) }
func (r *Run) eventsStream() string { return eventsStream(r.id) }

const (
	streamPrefix = "windrow_"
	tasksSuffix  = "_tasks"
	eventsSuffix = "_events"
)

func tasksStream(id message.RunID) string  { return streamPrefix + string(id) + tasksSuffix }
func eventsStream(id message.RunID) string { return streamPrefix + string(id) + eventsSuffix }
func subject(id message.RunID) string      { return "windrow." + string(id) }
func taskSubject(id message.RunID) string  { return subject(id) + ".task" }
func eventSubject(id message.RunID, kind message.Kind) string {
	return subject(id) + ".event." + string(kind)
}

// Runs returns the broker's runs, in no particular order.
func (c *Conn) Runs(ctx context.Context) ([]RunInfo, error) {
	var events, tasks []*jetstream.StreamInfo
	err := c.ask(ctx, "list runs", []string{"$JS.API.STREAM.LIST"}, func(ctx context.Context) error {
		list := c.js.ListStreams(ctx, jetstream.WithStreamListSubject("windrow.>"))
		for info := range list.Info() {
			switch {
			case strings.HasSuffix(info.Config.Name, eventsSuffix):
				events = append(events, info)
			case strings.HasSuffix(info.Config.Name, tasksSuffix):
				tasks = append(tasks, info)
			}
		}
		return list.Err()
	})
	if err != nil {
		return nil, err
	}
	return joinInfos(events, tasks), nil
}

// joinInfos returns one RunInfo for each ledger. A tasks stream alone is a run
// that was not created to the end, or not deleted to the end.
func joinInfos(events, tasks []*jetstream.StreamInfo) []RunInfo {
	byName := make(map[string]*jetstream.StreamInfo, len(tasks))
	for _, info := range tasks {
		byName[info.Config.Name] = info
	}
	var runs []RunInfo
	for _, info := range events {
		name := strings.TrimSuffix(strings.TrimPrefix(info.Config.Name, streamPrefix), eventsSuffix)
		id, err := message.ParseRunID(name)
		if err != nil || checkMetadata(info.Config) != nil {
			continue // not ours
		}
		run := RunInfo{
			ID: id, Digest: message.Digest(info.Config.Metadata[metaDigest]), Name: info.Config.Metadata[metaName],
			Created: info.Created, Events: info.State.LastSeq,
		}
		if tasks := byName[tasksStream(id)]; tasks != nil {
			run.Tasks, run.TaskBytes = tasks.State.Msgs, tasks.State.Bytes
		}
		runs = append(runs, run)
	}
	return runs
}

// CreateRun makes the streams and the consumer of a run, as far as they do not
// exist, and adapts what may change: the ack wait, and size limits, which only
// grow. It returns an error if a stream of the run's belongs to another digest.
func (c *Conn) CreateRun(ctx context.Context, config RunConfig) (*Run, error) {
	if err := errors.Join(checkID(config.ID), config.Digest.Validate()); err != nil {
		return nil, err
	}
	// The ledger comes last: it is what makes a run visible.
	if err := c.ensureStream(ctx, config.tasks()); err != nil {
		return nil, err
	}
	if err := c.ensureConsumer(ctx, config); err != nil {
		return nil, err
	}
	if err := c.ensureStream(ctx, config.events()); err != nil {
		return nil, err
	}
	return &Run{c, config.ID, config.Digest}, nil
}

func checkID(id message.RunID) error {
	_, err := message.ParseRunID(string(id))
	return err
}

func (config RunConfig) tasks() jetstream.StreamConfig {
	s := config.stream(tasksStream(config.ID), taskSubject(config.ID), config.TasksMaxBytes)
	s.AllowAtomicPublish = true
	return s
}

func (config RunConfig) events() jetstream.StreamConfig {
	return config.stream(eventsStream(config.ID), eventSubject(config.ID, "*"), config.EventsMaxBytes)
}

// stream returns what both streams have in common. Messages are not read
// directly from replicas, which may be behind: followers compare what they
// hold with the stream.
func (config RunConfig) stream(name, subject string, maxBytes int64) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:       name,
		Subjects:   []string{subject},
		Storage:    jetstream.FileStorage,
		Retention:  jetstream.LimitsPolicy,
		Discard:    jetstream.DiscardNew,
		MaxBytes:   maxBytes,
		Duplicates: duplicateWindow,
		DenyDelete: true,
		DenyPurge:  true,
		Replicas:   max(config.Replicas, 1),
		Metadata: map[string]string{
			metaDigest:  string(config.Digest),
			metaName:    config.Name,
			metaVersion: strconv.Itoa(message.Version),
		},
	}
}

// ensureStream creates a stream, or makes the existing one fit.
//
// It looks before it creates: on a disk with little room, the server refuses
// to create a stream that is there already.
func (c *Conn) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
	info, err := c.streamInfo(ctx, want.Name)
	if errors.Is(err, ErrNoRun) {
		return c.createStream(ctx, want)
	}
	if err != nil {
		return err
	}
	if err := compareStream(info.Config, want); err != nil {
		return fmt.Errorf("stream %s exists already: %w", want.Name, err)
	}
	if info.Config.MaxBytes >= want.MaxBytes {
		return nil
	}
	return c.resizeStream(ctx, info.Config, want.MaxBytes)
}

// createStream creates a stream. Of two who do so at once, both succeed.
func (c *Conn) createStream(ctx context.Context, want jetstream.StreamConfig) error {
	return c.ask(ctx, "create stream "+want.Name, []string{"$JS.API.STREAM.CREATE." + want.Name}, func(ctx context.Context) error {
		_, err := c.js.CreateStream(ctx, want)
		return err
	})
}

// compareStream tells whether the stream that the broker has is one that was
// made by these rules, for the same run.
func compareStream(have, want jetstream.StreamConfig) error {
	if err := checkMetadata(have); err != nil {
		return err
	}
	if got := have.Metadata[metaDigest]; got != want.Metadata[metaDigest] {
		return fmt.Errorf("it is of the run with digest %s: %w", got, message.ErrOtherRun)
	}
	strict := have.Storage == want.Storage && have.Retention == want.Retention && have.Discard == want.Discard &&
		have.DenyDelete && have.DenyPurge && have.AllowAtomicPublish == want.AllowAtomicPublish &&
		len(have.Subjects) == 1 && have.Subjects[0] == want.Subjects[0]
	if !strict {
		return errors.New("somebody has changed settings that keep its messages safe")
	}
	return nil
}

func checkMetadata(have jetstream.StreamConfig) error {
	if got := have.Metadata[metaVersion]; got != strconv.Itoa(message.Version) {
		return fmt.Errorf("version %q of the wire format; this windrow speaks version %d", got, message.Version)
	}
	return message.Digest(have.Metadata[metaDigest]).Validate()
}

func (c *Conn) resizeStream(ctx context.Context, config jetstream.StreamConfig, maxBytes int64) error {
	config.MaxBytes = maxBytes
	config.Metadata = maps.Clone(config.Metadata)
	return c.ask(ctx, "resize stream "+config.Name, []string{"$JS.API.STREAM.UPDATE." + config.Name}, func(ctx context.Context) error {
		_, err := c.js.UpdateStream(ctx, config)
		return err
	})
}

func (c *Conn) ensureConsumer(ctx context.Context, config RunConfig) error {
	stream := tasksStream(config.ID)
	return c.ask(ctx, "create consumer of "+stream, []string{"$JS.API.CONSUMER.CREATE." + stream}, func(ctx context.Context) error {
		_, err := c.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
			Durable:       consumerName,
			AckPolicy:     jetstream.AckExplicitPolicy,
			DeliverPolicy: jetstream.DeliverAllPolicy,
			AckWait:       config.AckWait,
			MaxDeliver:    maxDeliver,
			MaxAckPending: maxAckPending,
			MaxWaiting:    maxWaiting,
		})
		return err
	})
}

// OpenRun returns a run that exists. The error is ErrNoRun if it does not.
func (c *Conn) OpenRun(ctx context.Context, id message.RunID) (*Run, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	info, err := c.streamInfo(ctx, eventsStream(id))
	if err != nil {
		return nil, fmt.Errorf("open run %s: %w", id, err)
	}
	if err := checkMetadata(info.Config); err != nil {
		return nil, fmt.Errorf("open run %s: %w", id, err)
	}
	return &Run{c, id, message.Digest(info.Config.Metadata[metaDigest])}, nil
}

// DeleteRun removes a run with everything that the broker knows of it. It is
// no error if there is no such run.
func (c *Conn) DeleteRun(ctx context.Context, id message.RunID) error {
	if err := checkID(id); err != nil {
		return err
	}
	for _, stream := range []string{eventsStream(id), tasksStream(id), filesStream(id)} {
		err := c.ask(ctx, "delete stream "+stream, []string{"$JS.API.STREAM.DELETE." + stream}, func(ctx context.Context) error {
			return c.js.DeleteStream(ctx, stream)
		})
		if err != nil && !errors.Is(err, ErrNoRun) {
			return err
		}
	}
	return nil
}

func (c *Conn) streamInfo(ctx context.Context, name string) (info *jetstream.StreamInfo, err error) {
	err = c.ask(ctx, "describe stream "+name, []string{"$JS.API.STREAM.INFO." + name}, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, name)
		if err == nil {
			info = stream.CachedInfo()
		}
		return err
	})
	return info, err
}

// gone says of a missing ledger what its followers understand.
func gone(err error) error {
	if errors.Is(err, ErrNoRun) {
		return fmt.Errorf("%w: %w", ledger.ErrGone, err)
	}
	return err
}
