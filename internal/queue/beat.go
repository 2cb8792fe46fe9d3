package queue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"windrow/internal/message"
)

// maxBeatBytes bounds what is decoded of a beat, which anybody may send.
const maxBeatBytes = 4 << 10

// beatsAhead is the number of beats that may wait to be read; further ones are
// lost, as any beat may be.
const beatsAhead = 4096

// Beat tells everybody who listens what the process is doing. Nothing stores
// it, and nobody confirms it.
func (r *Run) Beat(_ context.Context, b message.Beat) error {
	payload, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode beat: %w", err)
	}
	if err := r.conn.nc.Publish(beatSubject(r.id, b.Role), payload); err != nil {
		return fmt.Errorf("send beat: %w", err)
	}
	return nil
}

// Beats calls hear with every beat that arrives until ctx ends, and then
// returns nil.
func (r *Run) Beats(ctx context.Context, hear func(message.Beat)) error {
	arriving := make(chan *nats.Msg, beatsAhead)
	subject := beatSubject(r.id, "*")
	watched, done := r.conn.denials.watch(ctx, []string{subject})
	defer done()
	subscription, err := r.conn.nc.ChanSubscribe(subject, arriving)
	if err != nil {
		return fmt.Errorf("listen for beats: %w", r.conn.classify(ctx, err))
	}
	defer func() { _ = subscription.Unsubscribe() }() // fails only without a connection
	for {
		select {
		case <-watched.Done():
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("listen for beats: %w", context.Cause(watched))
		case msg, open := <-arriving:
			if !open {
				return fmt.Errorf("listen for beats: %w", r.conn.closedReason())
			}
			r.hear(ctx, msg, hear)
		}
	}
}

func (r *Run) hear(ctx context.Context, msg *nats.Msg, hear func(message.Beat)) {
	var b message.Beat
	if len(msg.Data) > maxBeatBytes || json.Unmarshal(msg.Data, &b) != nil || msg.Subject != beatSubject(r.id, b.Role) {
		r.conn.log.DebugContext(ctx, "beat not understood", "subject", msg.Subject)
		return
	}
	hear(b)
}

func beatSubject(id message.RunID, role string) string { return subject(id) + ".beat." + role }
