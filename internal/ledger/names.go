package ledger

// Names of counters. Per log path there are also log.PATH.produced,
// log.PATH.acked and log.PATH.dropped.STAGE.REASON, made by the functions below;
// settlement reads those. The records.* totals are summed from them when a
// ledger is read, so that a total never contradicts its parts.
const (
	PacketsReceived = "packets.received"       // handed out by the source, this worker's share
	PacketsAnalyzed = "packets.analyzed"       // gone through flow and analyzers
	PacketsPosition = "packets.position"       // number of the last packet finished, as capture counts them
	NetworkTime     = "packets.time"           // of the last packet, or of a silent interface, in µs since 1970
	PacketsLag      = "packets.lag"            // how far a live worker is behind that, in µs
	PacketsKernel   = "packets.dropped.kernel" // before they were received
	PacketsFilter   = "packets.dropped.filter" // likewise
	PacketsLink     = "packets.dropped.link"   // received, of a link type nobody decodes
	BytesReceived   = "bytes.received"
	FlowsOpen       = "flows.open" // gauge
	FlowShed        = "flow.shed." // and what: given up as a limit of memory was reached

	RecordsProduced = "records.produced" // summed: rows taken from policy
	RecordsBatched  = "records.batched"  // summed: rows in batches that have a number
	RecordsAcked    = "records.acked"    // summed: rows whose batch was acknowledged
	RecordsWritten  = "records.written"  // summed: rows this logger wrote
	RecordsVetoed   = "records.vetoed"   // rows a hook vetoed; not produced
	RecordsLimited  = "records.limited"  // rows with a field cut to Zeek's limits

	BatchesMade     = "batches.made"     // summed: batches that got a number
	BatchesOpen     = "batches.open"     // summed: without an answer yet
	BatchesWritten  = "batches.written"  // summed: by this logger
	BatchesSent     = "batches.sent"     // handed to the bus, again included
	BatchesResent   = "batches.resent"   // handed to the bus again
	BatchesMoved    = "batches.moved"    // given to another logger after proof
	BatchesReceived = "batches.received" // by this logger, doubles included
	BatchesDouble   = "batches.double"   // received again and acknowledged again
	BatchesRefused  = "batches.refused"  // answered with an error

	QueueShip   = "queue.ship"   // gauge: batches that wait for a logger's credit
	QueueLogger = "queue.logger" // gauge: batches received and not written

	WriteErrors   = "write.errors"
	FilesRotated  = "files.rotated"
	FilesRepaired = "files.repaired" // torn tails cut

	Overflow = "ledger.overflow" // whatever found no room in the table of counters
)

// ReasonFilter is why packets were left out that do not match the user's filter.
const ReasonFilter = "filter"

// Stages and reasons of dropped and lost records.
const (
	StageBatch  = "batch"
	StageShip   = "ship"
	StageLogger = "logger"

	ReasonTooLarge = "too_large" // one row above the backend's limit
	ReasonInvalid  = "invalid"   // a row that does not fit its schema
	ReasonFull     = "full"      // drop newest: no logger had credit and the queue was full
	ReasonDeadline = "deadline"  // stopped before a logger answered
	ReasonRefused  = "refused"   // the logger would not write it
)

// Produced names the counter of rows that policy gave to a path.
func Produced(path string) string { return "log." + path + ".produced" }

// Acked names the counter of rows whose batches were acknowledged.
func Acked(path string) string { return "log." + path + ".acked" }

// Handed names the counter of rows whose batches were handed to a logger that
// does not answer, a real Zeek's: they have left, and nobody knows more.
func Handed(path string) string { return "log." + path + ".handed" }

// Written names the sum of rows that this logger wrote to a path.
func Written(path string) string { return "log." + path + ".written" }

// Dropped names the counter of a path's rows dropped at a stage for a reason.
func Dropped(path, stage, reason string) string {
	return "log." + path + ".dropped." + stage + "." + reason
}

// Link names a counter of what passed between a hub or logger of ours and a real
// Zeek process. A name of 63 bytes fits.
func Link(name, what string) string { return "link." + name + "." + what }

// What is counted of a link.
const (
	LinkUp      = "up"      // gauge: connections to the broker, two for a process that is there
	LinkIn      = "in"      // messages from it
	LinkOut     = "out"     // messages that left for it
	LinkDropped = "dropped" // messages that it missed: its queue was full, or it left
	LinkQueued  = "queued"  // gauge: messages that wait for it
	LinkCodec   = "codec"   // events from it in another codec than the cluster's: refused
	LinkBatches = "batches" // log batches from it
	LinkRecords = "records" // rows in these
)

// PacketsDropped names the counter of packets dropped for a reason.
func PacketsDropped(reason string) string { return "packets.dropped." + reason }
