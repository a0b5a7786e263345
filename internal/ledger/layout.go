package ledger

// Where things are in the file. docs/formats/ledger.md draws it. All numbers
// are little-endian, which is also the byte order of every machine we build
// for; each lies at a multiple of its size, so that it is stored in one piece.
const (
	magic   = "PICKETL\x01"
	version = 1

	offVersion   = 8  // u32
	offSize      = 12 // u32, of the whole file
	offStart     = 16 // u64, unix nanoseconds: which life
	offPid       = 24 // u32
	offLogger    = 28 // u32, 1 if the logger's part is there
	offState     = 32 // u32
	offContinued = 36 // u32, 1 once a logger took over what its last life wrote
	offChanged   = 40 // u64, unix nanoseconds of the last change of state
	offHeartbeat = 48 // u64, unix nanoseconds
	offCounters  = 56 // u32, counters in use
	offNames     = 60 // u32, names in use
	offSeq       = 64 // u64, number of the newest batch made
	offLives     = 72 // u32, producer lives in use
	offCells     = 76 // u32, cells in use
	offNode      = 128
	lenNode      = 64
	offRole      = 192
	lenRole      = 16

	// The fold journal: an entry of the ring being added to a counter.
	offFold        = 256
	foldActive     = offFold + 0  // u32
	foldSlot       = offFold + 4  // u32
	foldCounter    = offFold + 8  // u32
	foldSeq        = offFold + 16 // u64
	foldValue      = offFold + 24 // u64, the counter's value afterwards
	offFlight      = 320          // The flight: a batch being written to a file.
	flightState    = offFlight + 0
	flightFile     = offFlight + 4
	flightLife     = offFlight + 8
	flightCell     = offFlight + 12
	flightSeq      = offFlight + 16
	flightBefore   = offFlight + 24
	flightAfter    = offFlight + 32
	flightRecords  = offFlight + 40
	flightCRecords = offFlight + 48 // the cell's records afterwards
	flightCBatches = offFlight + 56 // the cell's batches afterwards

	tabCounters = 4096
	maxCounters = 512
	szCounter   = 128 // value u64, length u16 at 8, name at 16
	maxCounter  = 80  // bytes of a counter's name

	tabNames = tabCounters + maxCounters*szCounter
	maxNames = 512
	szName   = 64 // length u8, then the name
	maxName  = 63 // bytes of a node's name or a path

	tabRing  = tabNames + maxNames*szName
	ringSize = 1024
	szEntry  = 32 // seq u64 (0: free), state<<32|logger u64, records u32, path u32, made u64

	sizeProducer = tabRing + ringSize*szEntry

	tabFiles = sizeProducer
	maxFiles = 256
	szFile   = 1024 // state u32, path u32, size u64, opened u64, closing u64, schema u64, then name and target
	fileName = 64   // length u16, bytes
	fileTo   = 544
	maxFile  = 478 // bytes of a file's name

	tabLives = tabFiles + maxFiles*szFile
	maxLives = 1024
	szLife   = 64 // start u64, highest u64, producer u32

	tabBits = tabLives + maxLives*szLife
	// Window is how many batches of one producer's life a logger remembers one by
	// one, and so how far the newest batch may be ahead of the oldest unresolved one.
	Window = 8192
	szBits = Window / 8

	tabCells = tabBits + maxLives*szBits
	maxCells = 32768
	szCell   = 32 // life u32, path u32, records u64, batches u64

	sizeLogger = tabCells + maxCells*szCell
)

// State of a life.
type State uint32

// The states, in the order they are passed through.
const (
	Starting State = iota
	Ready
	Draining
	Stopped // ended in order; anything unaccounted for is a mistake of ours
)

// String returns the state as status shows it.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Draining:
		return "draining"
	case Stopped:
		return "stopped"
	}
	return "unknown"
}

// Fate is what is known of a batch at its producer.
type Fate uint32

// The fates of a batch that is in the ring. Resolved batches leave the ring.
const (
	Made   Fate = 1 // has a number, waits for a logger
	Sent   Fate = 2 // given to a logger, or about to be
	GaveUp Fate = 3 // sent, no answer by the deadline of the stop: the logger's ledger decides
)

// String returns the fate as a report shows it.
func (f Fate) String() string {
	switch f {
	case Made:
		return "made"
	case Sent:
		return "sent"
	case GaveUp:
		return "gave up"
	}
	return "unknown"
}

const (
	flightNone    = 0
	flightWriting = 1 // the file decides
	flightDone    = 2 // in the file; the ledger is being brought up to date

	fileFree    = 0
	fileOpen    = 1
	fileClosing = 2 // footer and rename are under way
)
