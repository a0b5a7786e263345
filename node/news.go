package node

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// News is how the policies of workers tell each other of connections that belong
// together and land on different workers. Between processes they go over the bus
// to all workers at once; between the workers of one process they wait in memory
// until the other worker has come as far as the one that told (docs/adr/0070).

// newsroom is a worker's end. Its methods are called on that worker's goroutine.
type newsroom interface {
	Tell(n builtin.News)
	// At says that the worker turns to the packet with that number and time: what
	// it tells from now on is of that packet, and what others told before it is
	// heard now. Nothing is missing that they told at packets up to upTo, where that
	// can be had.
	At(seq uint64, now packet.Time, upTo uint64, hear func(builtin.News))
	// Passed says that all packets up to that number are behind the worker.
	Passed(seq uint64, hear func(builtin.News))
	// Finish says that the worker is through with its packets.
	Finish(hear func(builtin.News))
}

const (
	newsTopic = "picket.news." // all workers
	newsEvent = "Picket::news" // kind, time of the packet, data
	// maxNews is how much may wait to be heard; what comes beyond is dropped, and
	// counted.
	maxNews = 1 << 13
	// maxNewsData is how long one may be.
	maxNewsData = 1 << 10
)

// patientNews is for how long news wait for the worker's packets to come as far:
// where clocks differ, or nothing is captured, that may be never.
const patientNews = time.Second

// busNews is the newsroom of a process.
type busNews struct {
	cluster              *cluster.Cluster
	now                  func() time.Time
	dropped, told, heard *ledger.Counter

	due   atomic.Uint64 // bits of the earliest packet time in the inbox
	mu    sync.Mutex
	inbox []arrived
	ready []builtin.News // scratch
}

type arrived struct {
	news builtin.News
	at   time.Time
}

// newsroom joins a worker's process with those of the others.
func (n *node) newsroom() (*busNews, error) {
	b := newBusNews(n.deps.Now, n.books)
	b.cluster = n.cluster
	return b, n.cluster.Subscribe(newsTopic, newsEvent, func(e cluster.Event) {
		if e.Sender != n.id {
			b.take(e.Args)
		}
	})
}

func newBusNews(now func() time.Time, books *ledger.Ledger) *busNews {
	b := &busNews{now: now, dropped: books.Counter("news.dropped"), told: books.Counter("news.told"), heard: books.Counter("news.heard")}
	b.due.Store(math.Float64bits(math.Inf(1)))
	return b
}

// Tell implements newsroom. An error is counted by the cluster; there is no
// second try: what is told is about the next milliseconds.
func (b *busNews) Tell(n builtin.News) {
	b.told.Add(1)
	_ = b.cluster.Publish(newsTopic, event.New(newsEvent,
		value.String(n.Kind), value.Time(float64(n.At)), value.String(string(n.Data))))
}

// take notes what has arrived. The backend's goroutine.
func (b *busNews) take(a []value.Value) {
	if len(a) != 3 || a[0].Kind() != value.KindString || a[1].Kind() != value.KindTime || a[2].Kind() != value.KindString ||
		len(a[2].Str()) > maxNewsData || math.IsNaN(a[1].Float()) {
		b.dropped.Add(1)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.inbox) >= maxNews {
		b.dropped.Add(1)
		return
	}
	n := builtin.News{Kind: a[0].Str(), At: packet.Time(a[1].Float()), Data: []byte(a[2].Str())}
	b.inbox = append(b.inbox, arrived{n, b.now()})
	b.due.Store(math.Float64bits(min(math.Float64frombits(b.due.Load()), a[1].Float())))
}

// At implements newsroom: what has arrived and was told before now is heard.
func (b *busNews) At(_ uint64, now packet.Time, _ uint64, hear func(builtin.News)) {
	if float64(now) >= math.Float64frombits(b.due.Load()) {
		b.hear(func(a *arrived) bool { return a.news.At <= now }, hear)
	}
}

// hear hands over what is due, in the order it came.
func (b *busNews) hear(due func(*arrived) bool, hear func(builtin.News)) {
	b.mu.Lock()
	b.ready = b.ready[:0]
	next := math.Inf(1)
	b.inbox = slices.DeleteFunc(b.inbox, func(a arrived) bool {
		ok := due(&a)
		if ok {
			b.ready = append(b.ready, a.news)
		} else {
			next = min(next, float64(a.news.At))
		}
		return ok
	})
	b.due.Store(math.Float64bits(next))
	b.mu.Unlock()
	for i := range b.ready {
		b.heard.Add(1)
		hear(b.ready[i])
	}
	clear(b.ready)
}

// Passed implements newsroom: what has waited long enough is heard.
func (b *busNews) Passed(_ uint64, hear func(builtin.News)) {
	if math.IsInf(math.Float64frombits(b.due.Load()), 1) {
		return
	}
	old := b.now().Add(-patientNews)
	b.hear(func(a *arrived) bool { return a.at.Before(old) }, hear)
}

// Finish implements newsroom.
func (b *busNews) Finish(hear func(builtin.News)) {
	b.hear(func(*arrived) bool { return true }, hear)
}

// sharedNews joins the newsrooms of workers in one process that share a capture.
type sharedNews struct {
	ends    []*newsEnd
	mu      sync.Mutex
	moved   sync.Cond
	waiting atomic.Int32 // workers that wait for others
}

// newsEnd is one worker's.
type newsEnd struct {
	s     *sharedNews
	index int
	now   uint64        // the packet at hand
	told  uint64        // how many so far
	done  atomic.Uint64 // every packet up to it is done
	wants atomic.Uint64 // it waits for others to have done this; 0: it does not wait

	some  atomic.Int32 // how many are in the inbox
	inbox []newsItem   // guarded by s.mu
}

type newsItem struct {
	seq    uint64 // of the packet it was told at
	sender int
	n      uint64
	news   builtin.News
}

func newSharedNews(n int) *sharedNews {
	s := &sharedNews{}
	s.moved.L = &s.mu
	for i := range n {
		s.ends = append(s.ends, &newsEnd{s: s, index: i})
	}
	return s
}

// Tell implements newsroom.
func (e *newsEnd) Tell(n builtin.News) {
	n.Data = bytes.Clone(n.Data)
	e.told++
	item := newsItem{e.now, e.index, e.told, n}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	for _, o := range e.s.ends {
		if o != e {
			o.inbox = append(o.inbox, item)
			o.some.Store(int32(len(o.inbox)))
		}
	}
}

// At implements newsroom.
func (e *newsEnd) At(seq uint64, _ packet.Time, upTo uint64, hear func(builtin.News)) {
	e.now = seq
	e.reach(seq - 1)
	e.wait(upTo)
	e.hear(seq, hear)
}

// Passed implements newsroom.
func (e *newsEnd) Passed(seq uint64, hear func(builtin.News)) {
	e.now = seq
	e.reach(seq)
	e.hear(seq, hear)
}

// reach says how far the worker has come. It wakes those who wait for just that.
func (e *newsEnd) reach(seq uint64) {
	before := e.done.Load()
	e.done.Store(seq)
	if e.s.waiting.Load() == 0 {
		return
	}
	for _, o := range e.s.ends {
		if n := o.wants.Load(); n > before && n <= seq {
			e.s.mu.Lock()
			e.s.moved.Broadcast()
			e.s.mu.Unlock()
			return
		}
	}
}

// wait waits until all others have come that far. The one that is behind never
// waits, so that somebody always goes on.
func (e *newsEnd) wait(seq uint64) {
	s := e.s
	behind := func() bool {
		return slices.ContainsFunc(s.ends, func(o *newsEnd) bool { return o != e && o.done.Load() < seq })
	}
	if !behind() {
		return
	}
	e.wants.Store(seq)
	s.waiting.Add(1)
	s.mu.Lock()
	for behind() {
		s.moved.Wait()
	}
	s.mu.Unlock()
	s.waiting.Add(-1)
	e.wants.Store(0)
}

// hear hands over what was told at packets before seq, in their order.
func (e *newsEnd) hear(seq uint64, hear func(builtin.News)) {
	if e.some.Load() == 0 {
		return
	}
	var due []newsItem
	e.s.mu.Lock()
	e.inbox = slices.DeleteFunc(e.inbox, func(i newsItem) bool {
		if i.seq < seq {
			due = append(due, i)
		}
		return i.seq < seq
	})
	e.some.Store(int32(len(e.inbox)))
	e.s.mu.Unlock()
	slices.SortFunc(due, func(a, b newsItem) int {
		switch {
		case a.seq != b.seq:
			return compare(a.seq, b.seq)
		case a.sender != b.sender:
			return a.sender - b.sender
		}
		return compare(a.n, b.n)
	})
	for i := range due {
		hear(due[i].news)
	}
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// Finish implements newsroom.
func (e *newsEnd) Finish(hear func(builtin.News)) {
	e.now = math.MaxUint64
	e.reach(e.now)
	e.wait(e.now)
	e.hear(e.now, hear)
}

// controls are the ports of protocols that speak of connections to other hosts:
// FTP, IRC (DCC).
var controls = [...]uint16{21, 2811, 6666, 6667, 6668, 6669}

// isControl reports whether one of two ports is among them.
func isControl(a, b uint16) bool {
	return slices.Contains(controls[:], a) || slices.Contains(controls[:], b)
}

// TCP flags (RFC 9293, 3.1).
const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10

// begins reports whether a packet begins a connection, which another worker may have
// told of.
func begins(p *packet.Packet) bool {
	return p.Proto == packet.TCP && len(p.Payload) >= 14 && p.Payload[13]&(syn|ack) == syn
}

// concludes reports whether a packet of a control connection may have a row written
// on what others have told: the client says something, or the connection ends.
func concludes(p *packet.Packet) bool {
	b := p.Payload
	if p.Proto != packet.TCP || len(b) < 20 {
		return true // not to be judged here
	}
	client := isControl(binary.BigEndian.Uint16(b[2:]), 0) && len(b) > int(b[12]>>4)*4
	return client || b[13]&(fin|rst) != 0
}
