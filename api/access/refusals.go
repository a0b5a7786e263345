package access

import (
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// Refusals counts and tells what is refused: the first of a kind at once, the
// others at most once a second with their number, so that whoever knocks at a
// rate fills no disk.
type Refusals struct {
	now   func() time.Time
	count func(name string, n uint64)
	tell  func(Refusal)

	mu    sync.Mutex
	kinds map[string]*refusal
}

// Refusal is one that is told of.
type Refusal struct {
	Reason string
	What   string // for people
	From   netip.AddrPort
	More   int // so many alike before it were not told of
}

type refusal struct {
	last time.Time
	more int
	what string
	from netip.AddrPort
}

// NewRefusals makes it. count is told of each as refused.REASON, tell of those
// that are not held back; it is called under a lock.
func NewRefusals(now func() time.Time, count func(name string, n uint64), tell func(Refusal)) *Refusals {
	return &Refusals{now: now, count: count, tell: tell, kinds: map[string]*refusal{}}
}

// LogRefusals tells a log. door is its name.
func LogRefusals(log *slog.Logger, door string) func(Refusal) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return func(r Refusal) {
		attrs := []any{"reason", r.Reason, "from", r.From.String()}
		if r.More > 0 {
			attrs = append(attrs, "more", r.More)
		}
		log.Warn(door+": refused: "+Clip(r.What, 300), attrs...)
	}
}

// Add notes a refusal; what says it to people. reason is one of a few words. told
// says that it was not held back, more how many before it were.
func (r *Refusals) Add(reason, what string, from netip.AddrPort) (told bool, more int) {
	r.count("refused."+reason, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.kinds[reason]
	now := r.now()
	if k == nil {
		k = &refusal{}
		r.kinds[reason] = k
	} else if now.Sub(k.last) < time.Second {
		k.more++
		k.what, k.from = what, from
		return false, 0
	}
	more = k.more
	k.last, k.more = now, 0
	r.tell(Refusal{reason, what, from, more})
	return true, more
}

// Flush tells what is still held back.
func (r *Refusals) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for reason, k := range r.kinds {
		if k.more > 0 {
			r.tell(Refusal{reason, k.what, k.from, k.more - 1})
			k.more = 0
		}
	}
}

// Clip shortens text of strangers for a line.
func Clip(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
