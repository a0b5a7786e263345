package builtin

import (
	"slices"

	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/packet"
)

// maxAsked is how many questions may be without an answer. What is asked beyond
// that is granted at once: rather a row twice in the cluster than none.
const maxAsked = 8192

// asker numbers and holds the questions of a worker's logs about what the
// cluster logs once. weird.log has its own.
type asker struct {
	once     weird.Once
	producer string
	start    uint64
	seq      uint64
	open     []*question
	n        int
	unasked  uint64 // granted without an answer
}

type question struct {
	answer func(granted bool)
	done   bool
}

// newAsker returns an asker whose claims do not meet those of weird.log, which
// are named by the producer too.
func newAsker(env *Env) *asker {
	a := &asker{once: env.Once, producer: env.Producer + "/logs", start: env.Start}
	if a.once == nil {
		a.once = weird.NewLocal(weird.Day, 1<<20)
	}
	return a
}

// Ask asks for the right to log what has this key. answer is called once, now or
// in a later poll.
func (a *asker) Ask(key string, ttl float64, now packet.Time, answer func(granted bool)) {
	if a.n >= maxAsked {
		a.unasked++
		answer(true)
		return
	}
	a.seq++
	q := &question{answer: answer}
	if len(a.open) > 2*a.n+64 {
		a.open = slices.DeleteFunc(a.open, func(q *question) bool { return q.done })
	}
	a.open = append(a.open, q)
	a.n++
	a.once.Claim(weird.Claim{Producer: a.producer, Start: a.start, Seq: a.seq, Key: key, TTL: ttl, Now: now},
		func(granted bool) { a.settle(q, granted) })
}

func (a *asker) settle(q *question, granted bool) {
	if q.done {
		return
	}
	q.done = true
	a.n--
	q.answer(granted)
	for len(a.open) > 0 && a.open[0].done {
		a.open[0] = nil
		a.open = a.open[1:]
	}
}

// close grants what has no answer yet, in the order it was asked.
func (a *asker) close() {
	for _, q := range slices.Clone(a.open) {
		if !q.done {
			a.unasked++
			a.settle(q, true)
		}
	}
}
