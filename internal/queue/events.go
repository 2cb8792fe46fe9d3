package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/zeebo/xxh3"

	"windrow/internal/ledger"
	"windrow/internal/message"
)

// Publish appends an event to the ledger and returns its sequence when it is
// on disk. It tries again until that is confirmed, so the ledger may have the
// event more than once. The error is one that trying again does not mend, or
// the end of ctx.
func (r *Run) Publish(ctx context.Context, e message.Event) (seq uint64, err error) {
	err = r.conn.retry(ctx, func() (err error) {
		seq, err = r.publish(ctx, e)
		return r.missing(ctx, err)
	})
	return seq, err
}

// missing returns ledger.ErrGone if the reason why nobody took an event is
// that there is no ledger any more.
func (r *Run) missing(ctx context.Context, err error) error {
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		if _, infoErr := r.EventsInfo(ctx); errors.Is(infoErr, ledger.ErrGone) {
			return infoErr
		}
	}
	return err
}

// PublishAfter appends an event if last is the last sequence of the ledger,
// and returns the event's sequence. The error is message.ErrMoved if it is
// not; after any other error the event may be stored.
func (r *Run) PublishAfter(ctx context.Context, last uint64, e message.Event) (seq uint64, err error) {
	return r.publish(ctx, e, jetstream.WithExpectLastSequence(last))
}

func (r *Run) publish(ctx context.Context, e message.Event, options ...jetstream.PublishOpt) (seq uint64, err error) {
	payload, err := message.EncodeEvent(r.digest, e)
	if err != nil {
		return 0, err
	}
	subject := eventSubject(r.id, e.Kind())
	options = append(options, jetstream.WithExpectStream(r.eventsStream()), jetstream.WithRetryAttempts(0))
	err = r.conn.tell(ctx, fmt.Sprintf("publish %s event", e.Kind()), []string{subject}, func(ctx context.Context) error {
		ack, err := r.conn.js.Publish(ctx, subject, payload, options...)
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// Events implements ledger.Source.
func (r *Run) Events(ctx context.Context, from uint64, deliver func(ledger.Entry)) error {
	err := r.conn.follow(ctx, r.eventsStream(), from, func(m jetstream.Msg, at *jetstream.MsgMetadata) bool {
		deliver(r.entry(at.Sequence.Stream, at.Timestamp, m.Subject(), m.Data()))
		return ctx.Err() == nil
	})
	if err == nil {
		return ctx.Err()
	}
	return gone(err)
}

// EventsInfo implements ledger.Source.
func (r *Run) EventsInfo(ctx context.Context) (ledger.StreamInfo, error) {
	info, err := r.conn.streamInfo(ctx, r.eventsStream())
	if err != nil {
		return ledger.StreamInfo{}, gone(err)
	}
	return ledger.StreamInfo{Created: info.Created, LastSeq: info.State.LastSeq}, nil
}

// Clock returns the broker's time.
func (r *Run) Clock(ctx context.Context) (time.Time, error) {
	info, err := r.conn.streamInfo(ctx, r.eventsStream())
	if err != nil {
		return time.Time{}, err
	}
	return info.TimeStamp, nil
}

// EventAt implements ledger.Source.
func (r *Run) EventAt(ctx context.Context, seq uint64) (ledger.Entry, error) {
	msg, err := r.conn.stored(ctx, r.eventsStream(), seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return ledger.Entry{}, fmt.Errorf("%w: %w", ledger.ErrNoEvent, err)
	}
	if err != nil {
		return ledger.Entry{}, gone(err)
	}
	return r.entry(msg.Sequence, msg.Time, msg.Subject, msg.Data), nil
}

func (r *Run) entry(seq uint64, stored time.Time, subject string, payload []byte) ledger.Entry {
	kind := message.Kind(strings.TrimPrefix(subject, eventSubject(r.id, "")))
	event, err := message.DecodeEvent(r.digest, kind, payload)
	return ledger.Entry{Seq: seq, Time: stored, Kind: kind, Event: event, Err: err, Hash: xxh3.Hash(payload)}
}
