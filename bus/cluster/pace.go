package cluster

import "time"

// heardPerTurn bounds what a node hears of the nodes of one role: they announce
// themselves that often in each turn (Config.Announce, a second), all together. It
// also bounds how many newcomers a node answers in a turn.
const heardPerTurn = 16

// missed is how many announcements in a row must not come before a node is down.
const missed = 3

// Turns is after how many turns each of so many nodes of a role announces itself:
// every turn up to 16 of them, every eighth with 65 to 128. A turn is a second. It is a
// power of two, so that a node's turns in a large cluster are among those it has in a
// small one, and few change while it grows.
func Turns(nodes int) int {
	n := 1
	for n*heardPerTurn < min(nodes, maxNodes) {
		n *= 2
	}
	return n
}

// maxTurns bounds how long a node can have us wait for its next word.
const maxTurns = maxNodes / heardPerTurn

// Pace says in which turns a node announces itself. The zero value begins now.
type Pace struct {
	turn int
	left int // turns until what was promised
}

// Due is called once in each turn, with the Turns of now, and says whether this is one
// in which the node of that id announces itself. Ids spread over the turns.
func (p *Pace) Due(id string, turns int) bool {
	p.turn++
	p.left--
	own := (p.turn+int(fnv1a32([]byte(id))%uint32(maxTurns)))%turns == 0
	return own || p.left <= 0
}

// Said notes an announcement which promised the next one within so many turns. Zero
// promises the next turn.
func (p *Pace) Said(turns int) { p.left = turns }

// patience is how long a node may be silent that promised the next word within every.
func patience(down, every time.Duration) time.Duration { return max(down, missed*every) }
