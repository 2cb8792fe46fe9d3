package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windrow/internal/message"
)

// intruder has a worker's key and keeps to no rule.
type intruder struct {
	js     jetstream.JetStream
	run    string
	digest message.Digest
}

// keyedBroker is a broker that lets in who has the key of a role, over TLS.
func (c *campaign) keyedBroker(t *testing.T) *broker {
	t.Helper()
	c.run(t, 0, "auth", "init", "keys")
	b := c.newBroker(t)
	b.p.kill()
	config, err := os.OpenFile(c.path("nats.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = config.Close() }()
	for _, name := range []string{"auth.conf", "tls.conf"} {
		if _, err := fmt.Fprintf(config, "include %q\n", filepath.Join("keys", "server", name)); err != nil {
			t.Fatal(err)
		}
	}
	b.start(t)
	return b
}

// keyedRole starts a role with its key.
func (b *broker) keyedRole(t *testing.T, role string, args ...string) *process {
	t.Helper()
	env := []string{
		"NATS_URL=" + b.url,
		"NATS_NKEY=" + b.path("keys", role, role+".nk"), "NATS_CA=" + b.path("keys", role, "server.pem"),
	}
	return b.campaign.start(t, env, append([]string{role}, args...)...)
}

func (b *broker) intrude(t *testing.T, run string) *intruder {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(b.path("keys", "worker", "worker.nk"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(b.url, key, nats.RootCAs(b.path("keys", "worker", "server.pem")), nats.CustomInboxPrefix("_INBOX.windrow.worker"),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // what is denied is expected
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	i := &intruder{js: js, run: run}
	eventually(t, "the plan in the ledger", func() bool {
		events, err := js.Stream(t.Context(), "windrow_"+run+"_events")
		if err != nil {
			return false
		}
		first, err := events.GetMsg(t.Context(), 1)
		if err != nil {
			return false
		}
		var planned struct {
			Digest message.Digest `json:"digest"`
		}
		if err := json.Unmarshal(first.Data, &planned); err != nil {
			t.Fatal(err)
		}
		i.digest = planned.Digest
		return true
	})
	return i
}

// shard is an event as a worker announces it, of rows that nobody has written.
func (i *intruder) shard() *message.Shard {
	sum := message.Digest(strings.Repeat("ab", 32))
	return &message.Shard{
		Name: message.ShardName(0, sum), SHA256: sum, Bytes: 4096, Rows: message.Ranges{{First: 0, Last: 9}}, Around: sum,
		Worker: "intruder-1", Seconds: 1, Folder: strings.Repeat("0", 32),
	}
}

// event returns the payload of an event, with parts of its text replaced.
func (i *intruder) event(t *testing.T, e message.Event, replace ...string) []byte {
	t.Helper()
	payload, err := message.EncodeEvent(i.digest, e)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(replace...).Replace(string(payload))
	if len(replace) > 0 && text == string(payload) {
		t.Fatalf("%q are not in %s", replace, payload)
	}
	return []byte(text)
}

// TestMaliciousWorker lets a process with a worker's key announce what is not
// so, while a run is at work: the merger and all others say so, and the dataset
// is what it would be without.
func TestMaliciousWorker(t *testing.T) {
	t.Parallel()
	spec := specOf(nil)
	want := calmSHA256(t, spec)
	c := newCampaign(t, spec)
	b := c.keyedBroker(t)
	run := c.runID(t)
	producer := b.keyedRole(t, "producer", "spec.yaml", "--exit-when-sealed")
	i := b.intrude(t, run)
	good := i.shard()
	failure := &message.Failed{Worker: "intruder-1", Failures: []message.Failure{{Index: 3, Copy: 4, Class: message.ClassError, Message: "x", Attempts: 1}}}
	for name, lie := range map[string]struct {
		kind    message.Kind
		payload []byte
	}{
		"junk":                {message.KindShard, []byte("\x00\xff{")},
		"another kind":        {message.KindFailed, i.event(t, good)},
		"a path as name":      {message.KindShard, i.event(t, good, good.Name, "../../../etc/passwd")},
		"a size beyond sense": {message.KindShard, i.event(t, good, "4096", "1152921504606846976")},
		"a size below zero":   {message.KindShard, i.event(t, good, "4096", "-1")},
		"rows beyond the end": {message.KindShard, i.event(t, good, "[0,9]", "[0,1099511627776]")},
		"rows in excess":      {message.KindShard, i.event(t, good, "[0,9]", "[0,599]")},
		"rows twice":          {message.KindShard, i.event(t, good, "[0,9]", "[0,9],[3,5]")},
		"another digest":      {message.KindShard, i.event(t, good, `"sha256":"ab`, `"sha256":"cd`)},
		"another run":         {message.KindShard, i.event(t, good, string(i.digest), strings.Repeat("12", 32))},
		"no such file":        {message.KindShard, i.event(t, good)},
		"a failure of nobody": {message.KindFailed, i.event(t, failure, `"index":3`, `"index":6000`)},
	} {
		if _, err := i.js.Publish(t.Context(), "windrow."+run+".event."+string(lie.kind), lie.payload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What only other roles may say gets no answer, and does not reach the ledger.
	denied, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := i.js.Publish(denied, "windrow."+run+".event.sealed", i.event(t, good)); err == nil {
		t.Error("a worker publishes a seal")
	}
	worker := b.keyedRole(t, "worker", "--shards", "shards", "--exit-when-sealed")
	merger := b.keyedRole(t, "merger", "--shards", "shards", "--exit-when-sealed")
	for _, p := range []*process{producer, merger, worker} {
		if code := p.wait(); code != 0 {
			t.Errorf("%v ended with %d", p.cmd.Args, code)
		}
	}
	if got := c.sha256(t); got != want {
		t.Errorf("sha256 %s, undisturbed %s", got, want)
	}
	said := merger.stderr.String()
	if ignored, rejected := strings.Count(said, `"event ignored"`), strings.Count(said, `"shard rejected"`); ignored != 9 || rejected != 3 {
		t.Errorf("the merger logs that it ignores %d events and rejects %d shards", ignored, rejected)
	}
	b.p.kill()
}
