// Package queue keeps the runs of windrow in NATS JetStream. It is the only
// package that knows how: the others see runs, tasks, deliveries and events.
//
// A run with the id R has
//
//   - the stream windrow_R_tasks with the subject windrow.R.task: the tasks in
//     the order of their index, then copies of some of them;
//   - its consumer `workers`, which hands each task to one worker, and again
//     to another one if it is not acknowledged in time;
//   - the stream windrow_R_events with the subjects windrow.R.event.<kind>:
//     the ledger;
//   - the subject windrow.R.beat.<role>, which nothing stores;
//   - if its simulator has files, the object store windrow_R_files with them,
//     each under its SHA-256.
//
// Both streams refuse to forget: nothing is deleted, purged, or dropped when
// they are full. Tasks are published in atomic batches that name the last
// sequence they expect, so no task is stored twice by two publishers or by one
// that was not told of its success. One batch costs one fsync.
//
// Acknowledgements are a hint. The server forgets some of them when it is
// killed, and does not tell one delivery of a task from another; the ledger
// says what is done.
//
// Errors are ErrUnreachable where the same call may succeed later, and
// otherwise ErrRefused, ErrDenied, ErrNoRun, ErrNoConsumer,
// ledger.ErrGone, ledger.ErrNoEvent, message.ErrMoved and message.ErrFull, or none of these.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/message"
)

// Errors that callers branch on.
var (
	// ErrUnreachable says that the broker did not answer, or could not serve
	// anybody at the moment.
	ErrUnreachable = message.ErrUnreachable
	// ErrRefused says that the broker did not accept the credentials, or that
	// they cannot be used.
	ErrRefused = errors.New("the broker refused the connection")
	// ErrDenied says that the broker's permissions forbid what was asked for.
	ErrDenied = errors.New("the broker does not permit us")
	// ErrNoRun says that the broker has no such run.
	ErrNoRun = errors.New("no such run")
	// ErrNoConsumer says that nothing hands out the run's tasks: somebody has
	// deleted it, and the producer will make it again.
	ErrNoConsumer = errors.New("nothing hands out the tasks")
)

// requestLimit is how long an answer of the broker may take.
const requestLimit = 10 * time.Second

// Conn is a connection to a broker. Its methods may be called from any
// goroutine.
type Conn struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *slog.Logger
	denials denials

	url, credentials string // for errors: without secrets

	mu   sync.Mutex
	lost chan struct{} // closed when the present connection breaks
}

// Close ends the connection. It may be called more than once.
func (c *Conn) Close() { c.nc.Close() }

// Connected tells whether the broker is there at the moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// ServerName returns what the server calls itself.
func (c *Conn) ServerName() string { return c.nc.ConnectedServerName() }

// Flush waits until the broker has read everything that was sent.
func (c *Conn) Flush(ctx context.Context) error {
	return c.ask(ctx, "flush", nil, c.nc.FlushWithContext)
}

// ask makes a request of the broker. It limits the time, and it ends at once
// if the broker denies access to a subject that starts with one of prefixes:
// the broker does not answer such a request, it complains aside.
func (c *Conn) ask(ctx context.Context, what string, prefixes []string, request func(context.Context) error) error {
	return c.askFor(ctx, requestLimit, what, prefixes, request)
}

// askFor does what ask does, within a limit of its own.
func (c *Conn) askFor(ctx context.Context, limit time.Duration, what string, prefixes []string, request func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watched, done := c.denials.watch(limited, prefixes)
	defer done()
	err := request(watched)
	if err == nil {
		return nil
	}
	if cause := context.Cause(watched); errors.Is(cause, ErrDenied) {
		err = cause
	}
	return fmt.Errorf("%s: %w", what, c.classify(ctx, err))
}

// tell is ask for a publication. It ends where the connection breaks, as no
// confirmation comes over another one: waiting for it would cost the whole
// limit, when the broker may be back at once.
func (c *Conn) tell(ctx context.Context, what string, prefixes []string, publish func(context.Context) error) error {
	return c.ask(ctx, what, prefixes, func(ctx context.Context) error {
		connected, release := c.whileConnected(ctx)
		defer release()
		err := publish(connected)
		if err != nil && errors.Is(context.Cause(connected), errLost) {
			err = errLost
		}
		return err
	})
}

// classify wraps err in the error of this package that says what it means to
// the caller, whose context is ctx.
func (c *Conn) classify(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrDenied) {
		return err
	}
	if c.nc.IsClosed() {
		return fmt.Errorf("%w: %w", c.closedReason(), err)
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return classifyAnswer(api, err)
	}
	if js, ok := errors.AsType[jetstream.JetStreamError](err); ok && js.APIError() != nil {
		return classifyAnswer(js.APIError(), err)
	}
	for _, transient := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse,
		nats.ErrReconnectBufExceeded, nats.ErrDisconnected, nats.ErrConnectionReconnecting,
		jetstream.ErrServerShutdown, jetstream.ErrNoHeartbeat, errLost,
		nats.ErrConnectionClosed, // is also said of one that breaks during a flush, and comes back
	} {
		if errors.Is(err, transient) {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	if _, ok := errors.AsType[*net.OpError](err); ok { // a large message is written by the caller's goroutine
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return err
}

// closedReason tells why the connection was given up for good.
func (c *Conn) closedReason() error {
	reason := ErrUnreachable
	if refusal(c.nc.LastError()) {
		reason = ErrRefused
	}
	return &ConnectError{c.url, c.credentials, reason}
}

// Codes of JetStream's answers that the client library has no names for, from
// nats-server's errors.json.
const (
	codeNoResources jetstream.ErrorCode = 10023
	codeNoStorage   jetstream.ErrorCode = 10047
	codeStoreFailed jetstream.ErrorCode = 10077
)

// Statuses that pass, and what is told from other failures by its text alone.
const (
	statusUnavailable     = 503
	statusTooManyRequests = 429
	limitReached          = "maximum" // "maximum bytes exceeded"
)

// meanings says what answers mean to callers.
var meanings = map[jetstream.ErrorCode]error{
	jetstream.JSErrCodeStreamNotFound:                  ErrNoRun,
	jetstream.JSErrCodeConsumerNotFound:                ErrNoConsumer,
	jetstream.JSErrCodeStreamWrongLastSequence:         message.ErrMoved,
	jetstream.JSErrCodeStreamWrongLastSequenceConstant: message.ErrMoved,
	codeNoResources: message.ErrFull,
	codeNoStorage:   message.ErrFull,
}

func classifyAnswer(answer *jetstream.APIError, err error) error {
	meaning := meanings[answer.ErrorCode]
	switch {
	case meaning != nil:
	case answer.ErrorCode == codeStoreFailed:
		if !strings.Contains(answer.Description, limitReached) {
			return err // a broken disk, though the status says unavailable
		}
		meaning = message.ErrFull
	case answer.Code == statusUnavailable || answer.Code == statusTooManyRequests:
		meaning = ErrUnreachable
	default:
		return err
	}
	return fmt.Errorf("%w: %w", meaning, err)
}

// errLost says that a connection broke while somebody was reading from it.
var errLost = errors.New("connection lost")

// whileConnected returns a context that ends, with errLost, when the present
// connection breaks.
func (c *Conn) whileConnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.mu.Lock()
	lost := c.lost
	c.mu.Unlock()
	go func() {
		select {
		case <-lost:
			cancel(errLost)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// disconnected ends the contexts of whileConnected.
func (c *Conn) disconnected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.lost)
	c.lost = make(chan struct{})
}
