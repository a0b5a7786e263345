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
	held grants
}

type claimID struct {
	producer   string
	start, seq uint64
}

// grants remembers which claims were granted, and until when they hold.
type grants struct{ *memory[string, grant] }

type grant struct {
	id    claimID
	until packet.Time
}

func newGrants(ttl float64, max int) grants { return grants{newMemory[string, grant](ttl, max)} }

// decide grants a claim if its key is free, or if it was granted before.
func (g grants) decide(c *Claim, id claimID) bool {
	held, ok := g.get(c.Key, c.Now)
	if ok && c.Now < held.until {
		return held.id == id
	}
	now := grant{id, c.Now + packet.Time(c.TTL)}
	if ok {
		g.set(c.Key, now)
	} else {
		g.put(c.Key, now, c.Now)
	}
	return true
}

// NewLocal returns a memory for claims that last ttl seconds or less, at most
// max of them; more, and the oldest is forgotten early.
func NewLocal(ttl float64, max int) *Local { return &Local{ttl: ttl, held: newGrants(ttl, max)} }

// Claim implements Once.
func (l *Local) Claim(c Claim, answer func(bool)) {
	answer(l.held.decide(&c, claimID{c.Producer, c.Start, c.Seq}))
}

// Shed returns how many claims were forgotten early.
func (l *Local) Shed() uint64 { return l.held.shed }
