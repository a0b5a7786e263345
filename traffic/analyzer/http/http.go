// Package http reads HTTP 0.9, 1.0 and 1.1: requests and replies with their
// headers and bodies.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler; the content of bodies goes to the table of files. It
// owns per connection two splitters of lines, the message at hand of each
// direction with its MIME parts, and the queue of requests without reply; all
// are bounded. It parses as Zeek 9.0 does, with Zeek's weirds and Zeek's
// oddities, since its rows are compared with Zeek's. It never pairs requests with
// replies in rows, keeps no content, and knows nothing of logs.
//
// Sources: RFC 1945, 9110, 9112, 2046, 1950 to 1952.
package http

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/inflate"
	"github.com/picket-nsm/picket/traffic/format/line"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, and the source of its weirds and files.
const Name = "HTTP"

// service is the name in conn.log's service column.
const service = "http"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one. What it is given is borrowed.
type Handler interface {
	// Message says that a request or a reply begins.
	Message(c analyzer.Conn, m *Message)
	// Header hands over a header field, of a message or of a part of one.
	Header(c analyzer.Conn, h *Header)
	// Entity says that a message or a part of one begins or ends.
	Entity(c analyzer.Conn, orig, begins bool)
	// Done says that a message is over.
	Done(c analyzer.Conn, d *Done)
	// End says that the connection is going: what is pending is reported now.
	End(c analyzer.Conn)

	// The files of the connection have their names from the Handler.
	files.Owner
}

// Message is the first line of a message.
type Message struct {
	Orig    bool // a request
	Version Version
	Method  []byte // of a request
	URI     []byte // of a request, unescaped
	Code    int    // of a reply; 0: no number
	Reason  []byte // of a reply; "<empty>" if there is none
}

// Header is a header field. Folded lines are joined as they came.
type Header struct {
	Orig        bool
	Name, Value []byte
}

// Done is the end of a message.
type Done struct {
	Orig        bool
	Interrupted bool
	Body        uint64 // bytes of the body, unpacked
}

// Version is a protocol version; 0.0 is one that was not understood.
type Version struct{ Major, Minor uint8 }

// Config is what a user may set.
type Config struct {
	MaxDepth   int // how deep parts may nest (MIME::max_depth)
	MaxHeader  int // bytes of a folded header field (MIME::max_header_bytes)
	MaxField   int // bytes of a header field altogether; what is over is cut
	Lines      int // bytes of unfinished lines and fields, all connections of a worker
	Inflaters  int // bodies being unpacked at the same time
	MaxInflate int // bytes that a body may always unpack to; beyond it 100 times its size
	// Salvage keeps what was unpacked right before a mistake. Zeek loses up to
	// 4 KiB of it, depending on where packets end.
	Salvage bool
}

// Default returns the settings of Zeek's default scripts, and limits where Zeek
// has none.
func Default() Config {
	return Config{MaxDepth: 100, MaxHeader: 65536, MaxField: 1 << 20, Lines: 64 << 20, Inflaters: 512, MaxInflate: 64 << 20}
}

// Deps is what the program passes.
type Deps struct {
	Files *files.Table
	// NewHandler is called for an analyzer that is made, not for one that is used
	// again.
	NewHandler func() Handler
}

// Stats counts what limits made the analyzers of a worker shed, by name.
type Stats struct {
	ShedLines    uint64 // lines cut because too many bytes waited
	ShedFields   uint64 // header fields cut
	ShedInflate  uint64 // bodies not unpacked: too many at once
	ShedBombs    uint64 // bodies not unpacked further: they became too large
	ShedRequests uint64 // requests without reply that were forgotten
}

// maxFree is how many finished analyzers are kept for reuse; unpackers are kept
// apart, they are large.
const (
	maxFree      = 1024
	maxInflaters = 32
)

// Shared is what the analyzers of a worker have in common. One goroutine.
type Shared struct {
	cfg       Config
	deps      Deps
	free      freelist.List[*http]
	lines     line.Budget
	inflaters freelist.List[*inflate.Decoder]
	inflating int
	stats     Stats
	scratch   []byte
	uri       []byte
	message   Message
	header    Header
	done      Done
}

// New returns what one worker's analyzers share.
func New(cfg Config, deps Deps) *Shared {
	return &Shared{cfg: cfg, deps: deps, lines: line.Budget{Limit: cfg.Lines},
		free: freelist.New[*http](maxFree), inflaters: freelist.New[*inflate.Decoder](maxInflaters)}
}

// Stats returns the counters.
func (s *Shared) Stats() Stats {
	st := s.stats
	st.ShedLines += s.lines.Shed
	return st
}

// Held returns how many bytes of unfinished lines and fields are kept now, beyond
// what every connection has.
func (s *Shared) Held() int { return s.lines.Used }

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine.
func Factory(cfg Config, deps Deps) analyzer.Factory { return New(cfg, deps).Factory() }

// Factory returns the factory of the analyzers that share s.
func (s *Shared) Factory() analyzer.Factory {
	var ports []analyzer.Port
	for _, n := range []uint16{80, 81, 631, 1080, 3128, 8000, 8080, 8888} {
		ports = append(ports, analyzer.Port{Num: n, Proto: value.ProtoTCP})
	}
	return analyzer.Factory{Name: Name, Ports: ports, Signatures: signatures(), New: s.analyzer}
}

func (s *Shared) analyzer(value.Proto) analyzer.Analyzer {
	if h := s.free.Take(); h != nil {
		return h
	}
	h := &http{s: s, h: s.deps.NewHandler()}
	for i := range h.dir {
		d := &h.dir[i]
		d.orig, d.h = i == 0, h
		d.lines = line.Splitter{Once: &h.once, Budget: &s.lines}
		d.msg = message{h: h, orig: d.orig, lines: &d.lines}
		d.msg.side = files.Side{Source: Name, Owner: h.h, Orig: d.orig}
	}
	return h
}

// What a side is expected to send next.
const (
	firstLine = iota
	inMessage
	nothing
	raw09 // HTTP 0.9: a body without a header
)

// http is the analyzer of one connection.
type http struct {
	s   *Shared
	h   Handler
	c   analyzer.Conn // while a call is running
	dir [2]direction  // of the client, of the server

	once       line.Once
	unanswered requests
	keepAlive  bool // the client may send more than one request
	close      bool // the server says that it closes behind its reply
	connect    bool // a request asked for a tunnel
	upgrade    bool // the reply at hand says Connection: upgrade
	protocol   [32]byte
	protoLen   int
	child      analyzer.Child // who gets the bytes after an upgrade or CONNECT
	tunnel     bool           // CONNECT has succeeded
	upgraded   bool

	code      int // of the reply at hand
	confirmed bool
	busy      int  // calls that are running
	over      bool // End came meanwhile
}

// direction is one side's bytes.
type direction struct {
	h       *http
	orig    bool
	expect  uint8
	ongoing bool // a message has begun and is not over
	bare    bool // bytes are no longer split into lines
	partial bool // nothing is looked at: the connection's beginning is missing
	version Version
	count   int // messages
	lines   line.Splitter
	msg     message
}

func (h *http) side(orig bool) *direction {
	if orig {
		return &h.dir[0]
	}
	return &h.dir[1]
}

// enter begins a call from flow about one side, leave ends it. What waited for
// more of a side's bytes is not waited for when something else happens.
func (h *http) enter(c analyzer.Conn, waits ...*direction) {
	h.c = c
	h.busy++
	for _, d := range waits {
		d.lines.Due(d)
	}
}

func (h *http) leave() {
	if h.busy--; h.busy == 0 && h.over {
		h.end()
	}
}

// Deliver implements analyzer.Analyzer.
func (h *http) Deliver(c analyzer.Conn, orig bool, data []byte) {
	h.enter(c, h.side(!orig))
	defer h.leave()
	d := h.side(orig)
	d.partial = analyzer.Partial(c)
	if d.partial && !orig {
		return
	}
	if d.bare {
		if data = d.lines.TakeLF(data); len(data) > 0 {
			d.take(data, false)
		}
		return
	}
	d.lines.Feed(data, d)
}

// Gap implements analyzer.Analyzer.
func (h *http) Gap(c analyzer.Conn, orig bool, n uint64) {
	h.enter(c, &h.dir[0], &h.dir[1])
	defer h.leave()
	d := h.side(orig)
	if h.upgraded || h.tunnel {
		h.child.Gap(c, orig, n)
		return
	}
	if d.msg.began && d.msg.gap(n) {
		return // wholly in a body: go on behind it
	}
	if orig {
		// Whether a reply has a body may depend on the request.
		h.requestMade(true)
	}
	h.replyMade(true)
	d.lines.Skip()
}

// SideEnded implements analyzer.Ender.
func (h *http) SideEnded(c analyzer.Conn, orig bool) {
	h.enter(c, &h.dir[0], &h.dir[1])
	defer h.leave()
	d := h.side(orig)
	if !d.bare {
		d.lines.End(d)
	}
	if orig {
		h.requestMade(false)
	} else {
		h.replyMade(false)
	}
}

// Interrupted implements analyzer.Ender.
func (h *http) Interrupted(c analyzer.Conn) {
	h.enter(c, &h.dir[0], &h.dir[1])
	defer h.leave()
	h.requestMade(true)
	h.replyMade(true)
}

// End implements analyzer.Analyzer.
func (h *http) End(c analyzer.Conn) {
	h.c = c
	if h.busy > 0 {
		h.over = true
		return
	}
	h.end()
}

func (h *http) end() {
	h.over = false
	h.busy++ // nothing below may end it again
	for i := range h.dir {
		h.dir[i].lines.Due(&h.dir[i])
	}
	h.requestMade(true)
	h.replyMade(true)
	h.s.deps.Files.End(h.c, &h.dir[0].msg.side, &files.Ref{})
	h.h.End(h.c)
	s := h.s
	for i := range h.dir {
		d := &h.dir[i]
		d.lines.Reset()
		d.msg.reset()
		*d = direction{h: h, orig: d.orig, lines: d.lines, msg: d.msg}
	}
	*h = http{s: s, h: h.h, dir: h.dir, unanswered: h.unanswered.empty()}
	s.free.Keep(h)
}

// weird reports an oddity of this protocol.
func (h *http) weird(name, addl string) { h.c.Weird(name, addl, Name) }

// limit reports that a limit was reached.
func (h *http) limit(name, addl string) {
	h.weird(name, addl)
	analyzer.ReachLimit(h.c)
}

func (h *http) confirm() {
	if !h.confirmed {
		h.confirmed = true
		h.c.Confirm(service)
	}
}
