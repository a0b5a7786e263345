package flow

import "github.com/picket-nsm/picket/traffic/packet"

// What a deadline is for.
type timerKind uint8

const (
	timerInactive timerKind = iota // silent for too long?
	timerCheck                     // TCP: every few seconds, is it over?
	timerAttempt                   // TCP: did anybody answer the SYN?
	timerDelete                    // TCP: closed, and quiet since
	timerSession                   // an analyzer's own timeout (DNS)
	timerFrag                      // a datagram that lacks fragments
	timerPair                      // are two hosts with a tunnel silent for too long?
)

// timer is a deadline of a slot. It counts only while the slot has the same
// generation, and for TCP's kinds the same epoch (cancelling raises it).
type timer struct {
	at    packet.Time
	seq   uint32 // order of setting, among equal times
	slot  uint32
	gen   uint32
	kind  timerKind
	epoch uint8
}

func (a *timer) before(b *timer) bool {
	return a.at < b.at || a.at == b.at && int32(a.seq-b.seq) < 0
}

// clock is a heap of deadlines with four children per node: less deep than a
// binary one, and a node's children share a cache line or two.
type clock struct {
	heap []timer
	seq  uint32
	set  uint64 // entries ever added
	dead int    // about how many entries belong to slots that are gone
}

func (q *clock) add(tm timer) {
	q.seq++
	q.set++
	tm.seq = q.seq
	q.heap = append(q.heap, tm)
	q.up(len(q.heap) - 1)
}

func (q *clock) up(i int) {
	tm := q.heap[i]
	for i > 0 {
		p := (i - 1) / 4
		if !tm.before(&q.heap[p]) {
			break
		}
		q.heap[i] = q.heap[p]
		i = p
	}
	q.heap[i] = tm
}

func (q *clock) down(i int) {
	tm := q.heap[i]
	for {
		m := 4*i + 1
		if m >= len(q.heap) {
			break
		}
		for j := m + 1; j < min(4*i+5, len(q.heap)); j++ {
			if q.heap[j].before(&q.heap[m]) {
				m = j
			}
		}
		if !q.heap[m].before(&tm) {
			break
		}
		q.heap[i] = q.heap[m]
		i = m
	}
	q.heap[i] = tm
}

func (q *clock) pop() timer {
	tm := q.heap[0]
	n := len(q.heap) - 1
	q.heap[0] = q.heap[n]
	q.heap = q.heap[:n]
	if n > 1 {
		q.down(0)
	}
	return tm
}

// sweep drops the entries that keep does not want, when they are the most.
func (q *clock) sweep(keep func(*timer) bool) {
	n := 0
	for i := range q.heap {
		if keep(&q.heap[i]) {
			q.heap[n] = q.heap[i]
			n++
		}
	}
	q.heap = q.heap[:n]
	for i := (n - 2) / 4; i >= 0 && n > 1; i-- {
		q.down(i)
	}
	q.dead = 0
}
