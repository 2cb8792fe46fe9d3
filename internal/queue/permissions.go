package queue

import "slices"

// A Role is what a process is to the broker, which lets it do what the role
// needs and no more.
type Role string

// The roles. The operator is who looks at runs and replays tasks.
const (
	Producer Role = "producer"
	Worker   Role = "worker"
	Merger   Role = "merger"
	Operator Role = "operator"
)

// Roles lists all of them.
var Roles = []Role{Producer, Worker, Merger, Operator}

// reading is what everybody does: list runs, follow the ledger with a consumer
// of one's own, and see how the workers' consumer stands.
var reading = []string{
	"$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.MSG.GET.*", "$JS.API.CONSUMER.INFO.*.workers",
	"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.MSG.NEXT.*.*", "$JS.API.CONSUMER.DELETE.*.*",
}

// writing is what the role does beyond that. Each kind of event has one role
// that may publish it, for the ledger knows no other authority; but a replay
// asks for what is missing as the merger does, and appends copies as the
// producer does.
var writing = map[Role][]string{
	Producer: {
		"$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.STREAM.DELETE.*",
		"windrow.*.task", "windrow.*.event.planned", "windrow.*.event.settings", "windrow.*.event.accepted",
		"$O.*.C.*", "$O.*.M.*", "$JS.API.DIRECT.GET.*.$O.*.M.*", "$JS.API.STREAM.PURGE.*", // streams of runs refuse that
	},
	Worker: {
		"$JS.ACK.*.workers.>", "windrow.*.event.shard", "windrow.*.event.failed", "windrow.*.beat.worker",
		"$JS.API.DIRECT.GET.*.$O.*.M.*", "$JS.FC.>", // to fetch files
	},
	Merger: {
		"windrow.*.event.rejected", "windrow.*.event.missing", "windrow.*.event.sealed", "windrow.*.beat.merger",
	},
	Operator: {
		"$JS.API.STREAM.DELETE.*", "windrow.*.event.reopened", "windrow.*.event.missing", "windrow.*.task",
		"windrow.*.event.paused", "windrow.*.event.resumed", "windrow.*.event.cancelled", "windrow.*.event.accepted",
	},
}

// Permissions returns the subjects that a role may publish and subscribe to,
// in an account that windrow has for itself. It hears answers to its requests
// only if its connection is named after it: see Options.Name.
func (r Role) Permissions() (publish, subscribe []string) {
	return slices.Concat(reading, writing[r]), []string{"_INBOX.windrow." + string(r) + ".>", "windrow.*.beat.*"}
}
