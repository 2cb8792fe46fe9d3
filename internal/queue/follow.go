package queue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// How a stream is read: so many messages or bytes may be on their way, and
// silence is noticed after two heartbeats.
const (
	readAhead      = 2000
	readAheadBytes = 16 << 20
	heartbeat      = 5 * time.Second
	forgetReader   = time.Minute // the server forgets a reader that has left without a word
)

var errGap = errors.New("messages were lost on the way")

// follow calls deliver with the messages of a stream, in order and without a
// gap, from the sequence `from` on, until deliver returns false, ctx ends, or
// anything is wrong with the connection. It does not resume by itself: what
// answers then may be an older copy of the stream, or another stream.
func (c *Conn) follow(ctx context.Context, stream string, from uint64, deliver func(jetstream.Msg, *jetstream.MsgMetadata) bool) error {
	connected, release := c.whileConnected(ctx)
	defer release()
	watched, done := c.denials.watch(connected, []string{"$JS.API.CONSUMER.CREATE." + stream, "$JS.API.CONSUMER.MSG.NEXT." + stream})
	defer done()
	err := c.read(watched, stream, from, deliver)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil && watched.Err() != nil {
		err = context.Cause(watched)
	}
	return fmt.Errorf("read stream %s: %w", stream, c.classify(ctx, err))
}

func (c *Conn) read(ctx context.Context, stream string, from uint64, deliver func(jetstream.Msg, *jetstream.MsgMetadata) bool) error {
	reader, err := c.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Name:              "reader_" + rand.Text(),
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(from, 1),
		InactiveThreshold: forgetReader,
		MemoryStorage:     true,
		Replicas:          1,
	})
	if err != nil {
		return err
	}
	defer c.forget(ctx, stream, reader.CachedInfo().Name)
	messages, err := reader.Messages(jetstream.PullMaxMessagesWithBytesLimit(readAhead, readAheadBytes), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for expected := uint64(1); ; expected++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		at, err := msg.Metadata()
		if err != nil {
			return err
		}
		if at.Sequence.Consumer != expected {
			return errGap
		}
		if !deliver(msg, at) {
			return nil
		}
	}
}

// forget removes a reader from the server, which would else do so itself.
func (c *Conn) forget(ctx context.Context, stream, reader string) {
	if !c.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := c.js.DeleteConsumer(ctx, stream, reader); err != nil {
		c.log.DebugContext(ctx, "reader left behind", "stream", stream, "reason", err)
	}
}
