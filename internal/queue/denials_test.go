package queue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

// What each role may publish to, of the run tenders-1a2b3c4d. The operator may
// do everything.
var roles = map[string][]string{
	"reader": { // every role may do this
		"windrow.tenders-1a2b3c4d.beat.*",
		"$JS.API.STREAM.LIST",
		"$JS.API.STREAM.INFO.*",
		"$JS.API.STREAM.MSG.GET.*",
		"$JS.API.CONSUMER.INFO.windrow_tenders-1a2b3c4d_tasks.workers",
		"$JS.API.CONSUMER.*.windrow_tenders-1a2b3c4d_events.>",
		"$JS.API.CONSUMER.MSG.NEXT.windrow_tenders-1a2b3c4d_events.>",
	},
	"producer": {
		"windrow.tenders-1a2b3c4d.task",
		"windrow.tenders-1a2b3c4d.event.planned",
		"windrow.tenders-1a2b3c4d.event.settings",
		"$JS.API.STREAM.*.windrow_tenders-1a2b3c4d_tasks",
		"$JS.API.STREAM.*.windrow_tenders-1a2b3c4d_events",
		"$JS.API.CONSUMER.*.windrow_tenders-1a2b3c4d_tasks.>",
	},
	"worker": {
		"windrow.tenders-1a2b3c4d.event.shard",
		"windrow.tenders-1a2b3c4d.event.failed",
		"$JS.API.CONSUMER.MSG.NEXT.windrow_tenders-1a2b3c4d_tasks.workers",
		"$JS.ACK.windrow_tenders-1a2b3c4d_tasks.workers.>",
		"$JS.ACK.*.*.windrow_tenders-1a2b3c4d_tasks.workers.>", // the next form of the subject
	},
	"merger": {
		"windrow.tenders-1a2b3c4d.event.rejected",
		"windrow.tenders-1a2b3c4d.event.missing",
		"windrow.tenders-1a2b3c4d.event.sealed",
	},
}

// newRolesServer starts a server with a user for each role, whose password is
// its name.
func newRolesServer(t *testing.T) string {
	t.Helper()
	users := []*natsserver.User{
		{Username: "operator", Password: "operator"},
		{Username: "deaf", Password: "deaf", Permissions: &natsserver.Permissions{
			Subscribe: &natsserver.SubjectPermission{Deny: []string{">"}},
		}},
	}
	for _, role := range []string{"producer", "worker", "merger"} {
		users = append(users, &natsserver.User{Username: role, Password: role, Permissions: &natsserver.Permissions{
			Publish:   &natsserver.SubjectPermission{Allow: slices.Concat(roles["reader"], roles[role])},
			Subscribe: &natsserver.SubjectPermission{Allow: []string{"_INBOX.windrow." + role + ".>", "windrow.*.beat.*"}},
		}})
	}
	return newUsersServer(t, users)
}

// newUsersServer starts a server for these users.
func newUsersServer(t *testing.T, users []*natsserver.User) (url string) {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, Users: users,
		JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("nats-server is not ready")
	}
	return s.ClientURL()
}

func as(t *testing.T, url, role string) *queue.Conn {
	t.Helper()
	return connect(t, queue.Options{URL: url, User: role, Password: role, Name: "windrow " + role})
}

func TestRoles(t *testing.T) {
	t.Parallel()
	url := newRolesServer(t)
	byProducer := createRun(t, as(t, url, "producer"), config())
	createRun(t, as(t, url, "producer"), config())
	byWorker, byMerger := open(t, as(t, url, "worker")), open(t, as(t, url, "merger"))

	publishTasks(t, byProducer, 0, tasks(0, 3))
	if err := byProducer.GrowTasks(t.Context()); err != nil {
		t.Error(err)
	}
	got := fetch(t, byWorker, 3)
	answer(t, byWorker, got[0].Ack)
	waitFor(t, byMerger, "the ack", func(info queue.WorkersInfo) bool { return info.AckPending == len(got)-1 })
	publish(t, byMerger, 1)
	entries, _ := follow(t, byWorker, 1)
	wantEvent(t, receive(t, entries), 1, 1)

	for what, do := range map[string]func(context.Context) error{
		"windrow.tenders-1a2b3c4d.event.rejected": func(ctx context.Context) error {
			_, err := byWorker.Publish(ctx, event(1))
			return err
		},
		"windrow.tenders-1a2b3c4d.event.missing": func(ctx context.Context) error {
			_, err := byProducer.PublishAfter(ctx, 1, &message.Missing{Rows: message.Ranges{{First: 0, Last: 1}}, After: 1})
			return err
		},
		"windrow.tenders-1a2b3c4d.task": func(ctx context.Context) error {
			return byWorker.PublishTasks(ctx, 3, tasks(3, queue.MaxBatch))
		},
		"$JS.API.CONSUMER.MSG.NEXT.windrow_tenders-1a2b3c4d_tasks.workers": func(ctx context.Context) error {
			_, err := byMerger.Fetch(ctx, 1, time.Second)
			return err
		},
		"$JS.API.STREAM.DELETE.windrow_tenders-1a2b3c4d_events": func(ctx context.Context) error {
			return as(t, url, "worker").DeleteRun(ctx, byWorker.ID())
		},
		"$JS.API.CONSUMER.CREATE.windrow_tenders-1a2b3c4d_tasks": func(ctx context.Context) error {
			_, err := as(t, url, "merger").CreateRun(ctx, config())
			return err
		},
		"$JS.API.STREAM.CREATE.windrow_other-1a2b3c4d_tasks": func(ctx context.Context) error {
			other := config()
			other.ID = "other-1a2b3c4d"
			_, err := as(t, url, "merger").CreateRun(ctx, other)
			return err
		},
		"$JS.API.STREAM.UPDATE.windrow_tenders-1a2b3c4d_tasks": byWorker.GrowTasks,
	} {
		wantDenied(t, what, do)
	}
	wantLast(t, byProducer, 3)
}

func TestForbiddenToHear(t *testing.T) {
	t.Parallel()
	url := newRolesServer(t)
	createRun(t, as(t, url, "operator"), config())
	deaf := as(t, url, "deaf")
	for range 2 {
		wantDenied(t, "subscribe to _INBOX.windrow.deaf.", func(ctx context.Context) error {
			_, err := deaf.OpenRun(ctx, config().ID)
			return err
		})
	}
}

func TestForbiddenToListen(t *testing.T) {
	t.Parallel()
	url := newRolesServer(t)
	createRun(t, as(t, url, "operator"), config())
	stranger := config()
	stranger.ID = "tenders-99999999"
	wantDenied(t, "$JS.API.CONSUMER.CREATE.windrow_tenders-99999999_events", func(ctx context.Context) error {
		createRun(t, as(t, url, "operator"), stranger)
		r, err := as(t, url, "worker").OpenRun(ctx, stranger.ID)
		if err != nil {
			return err
		}
		return r.Events(ctx, 1, func(ledger.Entry) {})
	})
}

// wantDenied checks that the broker's refusal is told, and told at once.
func wantDenied(t *testing.T, subject string, do func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Second) // less than a request may take
	defer stop()
	err := do(ctx)
	wantError(t, err, queue.ErrDenied)
	if err != nil && !strings.Contains(err.Error(), subject) {
		t.Errorf("%q does not name %q", err, subject)
	}
}

func open(t *testing.T, c *queue.Conn) *queue.Run {
	t.Helper()
	r, err := c.OpenRun(t.Context(), config().ID)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
