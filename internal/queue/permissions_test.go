package queue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"windrow/internal/queue"
)

// TestRolesMayNoMore publishes to each subject that changes something, as each
// role, and subscribes to the answers that each role gets. The table says who
// may.
func TestRolesMayNoMore(t *testing.T) {
	t.Parallel()
	publishers := map[string][]queue.Role{
		"windrow.tenders-1a2b3c4d.task":                                 {queue.Producer, queue.Operator},
		"windrow.tenders-1a2b3c4d.event.planned":                        {queue.Producer},
		"windrow.tenders-1a2b3c4d.event.settings":                       {queue.Producer},
		"windrow.tenders-1a2b3c4d.event.accepted":                       {queue.Producer, queue.Operator},
		"windrow.tenders-1a2b3c4d.event.shard":                          {queue.Worker},
		"windrow.tenders-1a2b3c4d.event.failed":                         {queue.Worker},
		"windrow.tenders-1a2b3c4d.event.rejected":                       {queue.Merger},
		"windrow.tenders-1a2b3c4d.event.missing":                        {queue.Merger, queue.Operator},
		"windrow.tenders-1a2b3c4d.event.sealed":                         {queue.Merger},
		"windrow.tenders-1a2b3c4d.event.reopened":                       {queue.Operator},
		"windrow.tenders-1a2b3c4d.event.paused":                         {queue.Operator},
		"windrow.tenders-1a2b3c4d.event.resumed":                        {queue.Operator},
		"windrow.tenders-1a2b3c4d.event.cancelled":                      {queue.Operator},
		"windrow.tenders-1a2b3c4d.event.unheard":                        nil,
		"windrow.tenders-1a2b3c4d.beat.worker":                          {queue.Worker},
		"windrow.tenders-1a2b3c4d.beat.merger":                          {queue.Merger},
		"$JS.ACK.windrow_tenders-1a2b3c4d_tasks.workers.1.1.1.1.1":      {queue.Worker},
		"$JS.API.STREAM.CREATE.windrow_tenders-1a2b3c4d_tasks":          {queue.Producer},
		"$JS.API.STREAM.UPDATE.windrow_tenders-1a2b3c4d_tasks":          {queue.Producer},
		"$JS.API.STREAM.DELETE.windrow_tenders-1a2b3c4d_tasks":          {queue.Producer, queue.Operator},
		"$JS.API.STREAM.PURGE.windrow_tenders-1a2b3c4d_tasks":           {queue.Producer}, // who may delete it
		"$O.windrow_tenders-1a2b3c4d_files.C.a":                         {queue.Producer},
		"$O.windrow_tenders-1a2b3c4d_files.M.a":                         {queue.Producer},
		"$JS.API.DIRECT.GET.OBJ_a.$O.a.M.b":                             {queue.Producer, queue.Worker},
		"$JS.API.STREAM.MSG.DELETE.windrow_tenders-1a2b3c4d_tasks":      nil,
		"$JS.API.STREAM.SNAPSHOT.windrow_tenders-1a2b3c4d_tasks":        nil,
		"$JS.API.CONSUMER.PAUSE.windrow_tenders-1a2b3c4d_tasks.workers": nil,
		"anything.else": nil,
	}
	var users []*natsserver.User
	for _, role := range queue.Roles {
		publish, subscribe := role.Permissions()
		users = append(users, &natsserver.User{Username: string(role), Password: "x", Permissions: &natsserver.Permissions{
			Publish:   &natsserver.SubjectPermission{Allow: publish},
			Subscribe: &natsserver.SubjectPermission{Allow: subscribe},
		}})
	}
	url := newUsersServer(t, users)
	for _, role := range queue.Roles {
		for subject, may := range publishers {
			allowed := permitted(t, url, role, func(c *nats.Conn) error { return c.Publish(subject, nil) })
			if allowed != slices.Contains(may, role) {
				t.Errorf("%s may publish to %s: %t", role, subject, allowed)
			}
		}
		for _, other := range queue.Roles {
			allowed := permitted(t, url, role, func(c *nats.Conn) error {
				_, err := c.SubscribeSync("_INBOX.windrow." + string(other) + ".answer")
				return err
			})
			if allowed != (role == other) {
				t.Errorf("%s may hear the answers of %s: %t", role, other, allowed)
			}
		}
	}
}

// permitted tells whether the broker lets the role do something.
func permitted(t *testing.T, url string, role queue.Role, do func(*nats.Conn) error) bool {
	t.Helper()
	c, err := nats.Connect(url, nats.UserInfo(string(role), "x"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := errors.Join(do(c), c.Flush()); err != nil {
		t.Fatal(err)
	}
	denied := c.LastError()
	if denied != nil && !strings.Contains(strings.ToLower(denied.Error()), "permissions violation") {
		t.Fatal(denied)
	}
	return denied == nil
}
