package test

import (
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"windrow/internal/fault"
)

// A role's metrics say what the ledger and the broker say.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{noop: {}}"}))
	b := c.newBroker(t)
	producer := b.role(t, "producer", "spec.yaml", "--metrics", "127.0.0.1:0")
	address := producer.metricsAddress(t)
	eventually(t, "all tasks to wait", func() bool {
		return containsMetric(t, address, `windrow_tasks{run="[^"]+",state="waiting"} 600`) &&
			containsMetric(t, address, `windrow_queue_depth{run="[^"]+"} 600`)
	})
	c.run(t, 0, "health", address)

	worker := b.role(t, "worker", "--shards", "shards", "--exit-when-sealed")
	merger := b.role(t, "merger", "--shards", "shards", "--exit-when-sealed")
	if code := merger.wait(); code != 0 {
		t.Fatalf("the merger ends with %d", code)
	}
	worker.wait()
	for _, want := range []string{
		`windrow_tasks{run="[^"]+",state="recorded"} 600`,
		`windrow_tasks{run="[^"]+",state="waiting"} 0`,
		`windrow_tasks{run="[^"]+",state="failed"} 0`,
		`windrow_shards_rejected_total{reason="digest",run="[^"]+"} 0`,
		`windrow_failures{class="invalid_output",run="[^"]+"} 0`,
		`windrow_redeliveries_total{run="[^"]+"} 0`,
		`windrow_shard_bytes_total{run="[^"]+"} [1-9]`,
		`windrow_ledger_lag_events{run="[^"]+"} 0`,
		`windrow_deliveries_total{run="[^"]+"} [1-9]`,
	} {
		eventually(t, want, func() bool { return containsMetric(t, address, want) })
	}
	producer.signal(syscall.SIGINT)
	producer.wait()
	b.p.kill()
}

// A shard that fails validation is counted by what is wrong with it, and the
// merger tells what it has merged.
func TestMetricsOfDamage(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"simulator": "{noop: {}}"}))
	b := c.newBroker(t)
	producer := b.role(t, "producer", "spec.yaml", "--exit-when-sealed")
	hold, held, release := c.hold(t, "copy")
	b.role(t, "worker", "--shards", "shards", "--exit-when-sealed")
	merger := c.start(t, []string{"WINDROW_FAULT=" + fault.MergerShardFound + "=hold@" + hold},
		"merger", "--shards", "shards", "--metrics", "127.0.0.1:0", "--nats", b.url)
	address := merger.metricsAddress(t)
	held()
	shards, err := filepath.Glob(c.path("shards", "*", "*.h5"))
	if err != nil || len(shards) == 0 {
		t.Fatalf("shards to damage: %v, %v", shards, err)
	}
	if err := flipBit(shards[0]); err != nil {
		t.Fatal(err)
	}
	release()
	if code := producer.wait(); code != 0 {
		t.Fatalf("the producer ends with %d", code)
	}
	for _, want := range []string{
		`windrow_shards_rejected_total{reason="digest",run="[^"]+"} 1`,
		`windrow_shards_rejected_total{reason="absent",run="[^"]+"} 0`,
		`windrow_merge_bytes{run="[^"]+"} 16800`,
	} {
		eventually(t, want, func() bool { return containsMetric(t, address, want+"$") })
	}
	merger.signal(syscall.SIGINT)
	merger.wait()
	b.p.kill()
}

// Tasks that a killed worker had are counted when another one gets them.
func TestMetricsOfRedelivery(t *testing.T) {
	t.Parallel()
	c := newCampaign(t, specOf(map[string]string{"tasks": "{matrix: {seed: 1..300}}", "simulator": "{sleep: {duration: 20ms}}"}))
	b := c.newBroker(t)
	producer := b.role(t, "producer", "spec.yaml", "--metrics", "127.0.0.1:0")
	address := producer.metricsAddress(t)
	merger := b.role(t, "merger", "--shards", "shards", "--exit-when-sealed")
	killed := b.role(t, "worker", "--shards", "shards")
	eventually(t, "tasks in hand", func() bool { return containsMetric(t, address, `windrow_tasks_in_work{run="[^"]+"} [1-9]`) })
	killed.kill()
	b.role(t, "worker", "--shards", "shards", "--exit-when-sealed")
	again := `windrow_redeliveries_total{run="[^"]+"} [1-9]`
	eventually(t, again, func() bool { return containsMetric(t, address, again) })
	if code := merger.wait(); code != 0 {
		t.Errorf("the merger ended with %d", code)
	}
	producer.signal(syscall.SIGINT)
	producer.wait()
	b.p.kill()
}

// metricsAddress returns where a role says that it serves its metrics.
func (p *process) metricsAddress(t *testing.T) (address string) {
	t.Helper()
	eventually(t, "a role to serve metrics", func() bool {
		if m := regexp.MustCompile(`"address":"([^"]+)"`).FindStringSubmatch(p.stderr.String()); m != nil {
			address = m[1]
		}
		return address != ""
	})
	return address
}

// containsMetric tells whether a line of /metrics matches.
func containsMetric(t *testing.T, address, pattern string) bool {
	t.Helper()
	return regexp.MustCompile("(?m)^" + strings.ReplaceAll(strings.ReplaceAll(pattern, "{", `\{`), "}", `\}`)).MatchString(metricsOf(t, address))
}

// metricsOf returns what a role says of itself.
func metricsOf(t *testing.T, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s, %v\n%s", response.Status, err, text)
	}
	return string(text)
}
