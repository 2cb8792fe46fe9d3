// Package fault names the places at which a crash matters: one between any
// two side effects of the components. Tests kill, stop or hold a process
// there.
//
// Point does nothing in a normal build. With the build tag faults it looks at
// the environment variable WINDROW_FAULT, which holds rules, separated by
// commas:
//
//	worker.renamed=kill             kill the process whenever it gets there
//	worker.renamed#3=kill           when it gets there for the third time
//	worker.renamed=kill@FILE        only the first of all processes: the one
//	                                that can create FILE
//	merger.shard-found=hold@FILE    wait while FILE exists; FILE.held is made
//	                                when the waiting begins
//	worker.fetched=stop@FILE        SIGSTOP, the first of all processes only
//
// A name that is not in Points ends the process with exit code 2.
package fault

// The points, in the order in which a component gets there.
const (
	ProducerStreamsCreated = "producer.streams-created"
	ProducerPlanned        = "producer.planned"
	ProducerBatchSent      = "producer.batch-sent" // about to be sent
	ProducerBatchAcked     = "producer.batch-acked"
	ProducerPublished      = "producer.published"
	ProducerCopiesAppended = "producer.copies-appended"

	WorkerFetched   = "worker.fetched"
	WorkerSimulated = "worker.simulated"
	WorkerWritten   = "worker.written"
	WorkerSynced    = "worker.synced"
	WorkerValidated = "worker.validated"
	WorkerHashed    = "worker.hashed"
	WorkerRenamed   = "worker.renamed"
	WorkerDirSynced = "worker.dir-synced"
	WorkerAnnounced = "worker.announced"
	WorkerAcked     = "worker.acked"

	MergerPartialCreated  = "merger.partial-created"
	MergerRowsCreated     = "merger.rows-created"
	MergerShardFound      = "merger.shard-found"  // announced, not read yet
	MergerShardCopied     = "merger.shard-copied" // rows written, not synced
	MergerPartialSynced   = "merger.partial-synced"
	MergerRowsWritten     = "merger.rows-written"
	MergerRejected        = "merger.rejected"
	MergerMissingAsked    = "merger.missing-asked"
	MergerComplete        = "merger.complete"       // all rows there, not verified
	MergerChunksWritten   = "merger.chunks-written" // of a file in chunks, no manifest yet
	MergerManifestWritten = "merger.manifest-written"
	MergerVerified        = "merger.verified"
	MergerBeforeRename    = "merger.before-rename"
	MergerRenamed         = "merger.renamed"
	MergerSealed          = "merger.sealed"

	OperatorReopened = "operator.reopened" // copies not appended yet
)

// Points lists all points.
var Points = []string{
	ProducerStreamsCreated, ProducerPlanned, ProducerBatchSent, ProducerBatchAcked, ProducerPublished, ProducerCopiesAppended,
	WorkerFetched, WorkerSimulated, WorkerWritten, WorkerSynced, WorkerValidated, WorkerHashed, WorkerRenamed,
	WorkerDirSynced, WorkerAnnounced, WorkerAcked,
	MergerPartialCreated, MergerRowsCreated, MergerShardFound, MergerShardCopied, MergerPartialSynced, MergerRowsWritten,
	MergerRejected, MergerMissingAsked, MergerComplete, MergerChunksWritten, MergerManifestWritten, MergerVerified, MergerBeforeRename, MergerRenamed, MergerSealed,
	OperatorReopened,
}
