package cli

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windrow/internal/ledger"
	"windrow/internal/message"
	"windrow/internal/queue"
)

// metrics are the numbers of the run that a role works for, as the ledger, the
// broker and the partial file have them at the moment of a question: nothing is
// counted aside, so every role and every start gives the same numbers.
// docs/OPERATIONS.md lists them.
type metrics struct {
	run    *queue.Run
	ledger *ledger.Follower
	merged func() int64 // of a merger, else nil
}

// metricsLimit is how long the broker may take to answer for a question.
const metricsLimit = 3 * time.Second

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("windrow_"+name, help, append([]string{"run"}, labels...), nil)
}

var (
	metricTasks       = metric("tasks", "Tasks of the run by their state in the ledger.", "state")
	metricShards      = metric("shards_total", "Shards that were announced and counted.")
	metricRejected    = metric("shards_rejected_total", "Shards that failed validation by the merger, by what was wrong with them.", "reason")
	metricShardTime   = metric("shard_seconds_total", "Seconds that workers spent computing the rows of shards.")
	metricShardBytes  = metric("shard_bytes_total", "Bytes of the shards that were announced.")
	metricDuplicates  = metric("duplicate_rows_total", "Rows that were computed when they had an owner already.")
	metricFailures    = metric("failures", "Tasks whose failure counts, by its class.", "class")
	metricMerged      = metric("merge_bytes", "Bytes of the rows that the merger has copied into the partial file.")
	metricEvents      = metric("ledger_events_total", "Events of the ledger that this process has read.")
	metricIgnored     = metric("ledger_ignored_total", "Events without effect: late ones, and those that do not fit.")
	metricLag         = metric("ledger_lag_events", "Events that this process has not read yet.")
	metricDepth       = metric("queue_depth", "Tasks that wait for a worker or are in work.")
	metricInWork      = metric("tasks_in_work", "Tasks that were delivered and are not acknowledged.")
	metricRedelivered = metric("tasks_redelivered", "Tasks in work that were delivered more than once.")
	metricAgain       = metric("redeliveries_total", "Deliveries of tasks that had been delivered before.")
	metricDeliveries  = metric("deliveries_total", "Deliveries of tasks to workers, repeated ones included.")
)

// Describe implements prometheus.Collector. It describes nothing: which
// numbers there are depends on whether the broker answers.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	id := string(m.run.ID())
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{id}, labels...)...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, append([]string{id}, labels...)...)
	}
	var last uint64
	m.ledger.View(func(s *ledger.State) {
		last = s.Last()
		gauge(metricTasks, float64(s.Missing()), "waiting")
		gauge(metricTasks, float64(s.Recorded()), "recorded")
		gauge(metricTasks, float64(s.Failed()), "failed")
		var bytes int64
		rejected := map[message.Flaw]int{}
		for _, sh := range s.Shards() {
			bytes += sh.Bytes
			rejected[sh.Flaw]++
		}
		for _, flaw := range message.Flaws {
			counter(metricRejected, float64(rejected[flaw]), string(flaw))
		}
		for class, n := range failuresByClass(s) {
			gauge(metricFailures, float64(n), string(class))
		}
		c := s.Counters()
		counter(metricShards, float64(c.Shards))
		counter(metricShardTime, c.Seconds)
		counter(metricShardBytes, float64(bytes))
		counter(metricDuplicates, float64(c.DuplicateRows))
		counter(metricEvents, float64(c.Events))
		counter(metricIgnored, float64(c.Ignored))
	})
	if m.merged != nil {
		gauge(metricMerged, float64(m.merged()))
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsLimit) //nolint:forbidigo // a collector is given no context
	defer cancel()
	if info, err := m.run.EventsInfo(ctx); err == nil {
		gauge(metricLag, float64(info.LastSeq-min(last, info.LastSeq)))
	}
	if workers, err := m.run.Workers(ctx); err == nil {
		gauge(metricDepth, float64(workers.Pending)+float64(workers.AckPending))
		gauge(metricInWork, float64(workers.AckPending))
		gauge(metricRedelivered, float64(workers.Redelivered))
		counter(metricAgain, float64(workers.Deliveries-min(workers.Delivered, workers.Deliveries)))
		counter(metricDeliveries, float64(workers.Deliveries))
	}
}

// failuresByClass counts the failures of every class there is.
func failuresByClass(s *ledger.State) map[message.Class]int {
	counts := map[message.Class]int{}
	for _, class := range message.Classes {
		counts[class] = 0
	}
	for _, f := range s.Failures() {
		counts[f.Class]++
	}
	return counts
}
