package weird

import (
	"slices"
	"strings"

	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/zeek/value"
)

// Columns of weird.log, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colName
	colAddl
	colNotice
	colPeer
	colSource
	numColumns
)

// row waits for the answer to its claim.
type row struct {
	w      flow.Weird // its strings are its own
	at     place
	notice bool
	done   bool
}

// claim asks whether w may be written. The answer may come at once.
func (l *Log) claim(w *flow.Weird, at, key place, notice bool) {
	l.seq++
	text, ttl := "weird/"+key.name, Day
	switch key.kind {
	case atOrig:
		text += "/" + address(key.orig).String()
	case repeatOf:
		text, ttl = "weird-repeat/"+key.name, repeatTime
	}
	c := Claim{Producer: l.deps.Producer, Start: l.deps.Start, Seq: l.seq, Key: text, TTL: ttl, Now: l.now}
	r := &row{w: *w, at: at, notice: notice}
	r.w.Addl, r.w.Source = strings.Clone(w.Addl), strings.Clone(w.Source)
	r.w.ID.UID = strings.Clone(w.ID.UID)
	if len(l.waiting) > 2*l.nwait+64 {
		l.waiting = slices.DeleteFunc(l.waiting, func(r *row) bool { return r.done })
	}
	l.waiting = append(l.waiting, r)
	l.nwait++
	l.once.Claim(c, func(granted bool) { l.answer(r, granted) })
}

// answer settles a row that waits. Only the first answer counts.
func (l *Log) answer(r *row, granted bool) {
	if r.done {
		return
	}
	r.done = true
	l.nwait--
	if granted {
		l.write(&r.w, r.at, r.notice)
	} else {
		l.stats.Refused++
	}
	for len(l.waiting) > 0 && l.waiting[0].done {
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
	}
}

// Waiting returns how many rows wait for an answer.
func (l *Log) Waiting() int { return l.nwait }

// Close writes the rows whose answer has not come: rather a row twice in the
// cluster than none. Answers that come later are ignored.
func (l *Log) Close() {
	for _, r := range l.waiting {
		if !r.done {
			r.done = true
			l.nwait--
			l.stats.Unasked++
			l.write(&r.w, r.at, r.notice)
		}
	}
	l.waiting = nil
}

// write writes a row and remembers it.
func (l *Log) write(w *flow.Weird, at place, notice bool) {
	if notice && l.deps.Notice != nil {
		l.deps.Notice(w)
	}
	if !l.repeats[w.Name] {
		if _, ok := l.recent.get(at, l.now); !ok {
			l.recent.put(at, struct{}{}, l.now)
		}
	}
	row := l.cols[:]
	clear(row)
	row[colTS] = value.Time(float64(w.Time))
	if w.Scope == flow.WeirdConn {
		row[colUID] = value.String(w.ID.UID)
	}
	switch w.Scope {
	case flow.WeirdConn:
		row[colOrigP], row[colRespP] = value.Port(w.ID.OrigP, w.ID.Proto), value.Port(w.ID.RespP, w.ID.Proto)
	case flow.WeirdFlow:
		row[colOrigP], row[colRespP] = value.Port(0, value.ProtoUnknown), value.Port(0, value.ProtoUnknown)
	}
	if w.Scope != flow.WeirdNet {
		row[colOrigH], row[colRespH] = value.Addr16(w.ID.Orig), value.Addr16(w.ID.Resp)
	}
	row[colName] = value.String(w.Name)
	if w.Addl != "" {
		row[colAddl] = value.String(w.Addl)
	}
	row[colNotice] = value.Bool(notice)
	row[colPeer] = value.String(l.cfg.Peer)
	if w.Source != "" {
		row[colSource] = value.String(w.Source)
	}
	l.stats.Rows++
	l.deps.Write(row)
}
