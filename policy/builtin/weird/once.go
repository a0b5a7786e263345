package weird

import "github.com/picket-nsm/picket/traffic/packet"

// Claim asks for the right to report something that the whole cluster reports
// once. Producer, Start and Seq name the claim: asking again with the same name
// is the same claim, and gets the same answer.
type Claim struct {
	Producer string // name of the node
	Start    uint64 // which life of the node
	Seq      uint64 // number of the claim in that life, from 1

	Key string      // what is to be reported
	TTL float64     // for how many seconds nobody else may report it
	Now packet.Time // when it was seen; where claims compete, an owner that can wait may prefer the earliest
}

// Once is the memory of what was reported. One owner holds it for the whole
// cluster; the worker asks through a driver.
//
// Claim is called on the worker's goroutine and does not block. The driver calls
// answer on the same goroutine, from within Claim or later: with true if this
// claim is the one to report, false if another has been. It keeps a claim until
// it is answered, and asks a new owner again with the same name. A second answer
// is ignored. At the end of input the worker waits for answers as long as
// Log.Waiting is above 0 and its patience lasts.
type Once interface {
	Claim(c Claim, answer func(granted bool))
}

// Local is the memory of a reader that is alone: it answers at once.
type Local struct {
	ttl  float64
	held *memory[string, claimID]
}

type claimID struct {
	producer   string
	start, seq uint64
}

// NewLocal returns a memory for claims that all last ttl seconds, at most max of
// them; more, and the oldest is forgotten early.
func NewLocal(ttl float64, max int) *Local {
	return &Local{ttl: ttl, held: newMemory[string, claimID](ttl, max)}
}

// Claim implements Once.
func (l *Local) Claim(c Claim, answer func(bool)) {
	id := claimID{c.Producer, c.Start, c.Seq}
	held, ok := l.held.get(c.Key, c.Now)
	if !ok {
		l.held.put(c.Key, id, c.Now)
	}
	answer(!ok || held == id)
}

// Shed returns how many claims were forgotten early.
func (l *Local) Shed() uint64 { return l.held.shed }
