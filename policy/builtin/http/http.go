// Package http writes http.log: one row for each request with its reply, and for
// what stays alone.
//
// It stands behind the HTTP analyzer, whose Handler it implements, and hands rows
// to the log stream. It names the files that messages carry and notes their ids
// and types in the row. It owns, per connection, the rows in the making; they are
// bounded in number and in bytes. It never looks at packets or content and never
// compares connections with each other.
//
// The rules are those of Zeek 9.0 (zeek-semantics.md section 5): requests and
// replies are paired in the order they come; a row is written when its reply is
// over, or when the connection goes.
package http

import (
	"strings"

	wire "github.com/picket-nsm/picket/traffic/analyzer/http"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/zeek/value"
)

// Config is what a user may set.
type Config struct {
	Passwords bool // show the passwords of basic authentication (default_capture_password)
	Pending   int  // requests without reply before they are written (max_pending_requests)
	Files     int  // files noted per message (max_files_orig, max_files_resp)
}

// Default returns the settings of Zeek's default scripts.
func Default() Config { return Config{Pending: 100, Files: 15} }

const (
	// maxText is how much of a text is kept: one byte more than the log writers
	// allow a whole row.
	maxText = 256_001
	// maxHeld is how many bytes of text the rows of one connection may hold. Beyond
	// it, texts are cut to shortText.
	maxHeld   = 1 << 20
	shortText = 256
	// maxProxied is one more than the elements that log writers keep.
	maxProxied = 101
	// maxFree and keepText bound what is kept for reuse.
	maxFree  = 1024
	keepText = 2048
)

// Tunnel is told of connections that a proxy was asked for (CONNECT).
type Tunnel func(c analyzer.Conn)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	cfg     Config
	write   func(row []value.Value)
	tunnel  Tunnel
	row     []value.Value
	lists   [5][]value.Value
	scratch []byte
	free    freelist.List[*info]
	shared  map[string]*conn // by UID: connections that go on with another protocol
	cut     uint64
	watch   Handshakes // nil: nobody is interested
}

// New returns a Log that hands its rows to write, in the order of Schema. A row
// and its strings are valid until write returns. tunnel may be nil.
func New(cfg Config, write func(row []value.Value), tunnel Tunnel) *Log {
	return &Log{cfg: cfg, write: write, tunnel: tunnel, row: make([]value.Value, numColumns), free: freelist.New[*info](maxFree)}
}

// Handler returns what one analyzer's messages go to; it is what the HTTP factory
// wants.
func (l *Log) Handler() wire.Handler { return &handler{log: l, own: conn{log: l}} }

// Handshakes is told of what belongs to WebSocket: the HTTP that goes before it.
// What it is given is borrowed.
type Handshakes interface {
	// Request says that a request begins: what was noted before is void.
	Request(c analyzer.Conn)
	// Header hands over a header field whose name begins with Sec-WebSocket-.
	Header(c analyzer.Conn, orig bool, name, val []byte)
	// Upgraded says that a reply of 101 is over, and what the row knows.
	Upgraded(c analyzer.Conn, host, uri, agent value.Value)
	// Over says that HTTP on this connection is.
	Over(c analyzer.Conn)
}

// Watch says who is told of handshakes. Before the first connection.
func (l *Log) Watch(h Handshakes) { l.watch = h }

// Cut returns how many texts were cut because a connection held too many bytes.
func (l *Log) Cut() uint64 { return l.cut }

func (l *Log) take() *info {
	if i := l.free.Take(); i != nil {
		return i
	}
	return &info{log: l}
}

// drop gives up one reference to i.
func (l *Log) drop(i *info) {
	if i == nil {
		return
	}
	if i.refs--; i.refs > 0 {
		return
	}
	i.reset()
	l.free.Keep(i)
}

// handler takes what one analyzer has seen. A connection has more than one where
// HTTP goes through a tunnel of HTTP: they fill the same rows, as in Zeek.
type handler struct {
	log *Log
	own conn
	s   *conn // the state of the connection; nil: not known yet
}

// state returns the connection's state.
func (h *handler) state(c analyzer.Conn) *conn {
	if h.s == nil {
		h.s = &h.own
		if len(h.log.shared) > 0 {
			if s := h.log.shared[c.ID().UID]; s != nil {
				h.s = s
			}
		}
	}
	return h.s
}

// Message implements the analyzer's Handler.
func (h *handler) Message(c analyzer.Conn, m *wire.Message) {
	s := h.state(c)
	if m.Orig {
		s.requestBegins(c, m)
		if h.log.watch != nil {
			h.log.watch.Request(c)
		}
		return
	}
	s.replyBegins(c, m)
	if m.Code == 101 || m.Code == 200 && s.connects() {
		if h.log.shared == nil {
			h.log.shared = map[string]*conn{}
		}
		if s.uid == "" {
			s.uid = strings.Clone(c.ID().UID)
			h.log.shared[s.uid] = s
		}
	}
}

// Header implements the analyzer's Handler.
func (h *handler) Header(c analyzer.Conn, f *wire.Header) {
	h.state(c).header(c, f)
	if h.log.watch != nil && len(f.Name) > len(socketPrefix) && mime.Is(f.Name[:len(socketPrefix)], socketPrefix) {
		h.log.watch.Header(c, f.Orig, f.Name, f.Value)
	}
}

const socketPrefix = "sec-websocket-"

// Entity implements the analyzer's Handler.
func (h *handler) Entity(c analyzer.Conn, orig, begins bool) { h.state(c).entity(c, orig, begins) }

// Done implements the analyzer's Handler.
func (h *handler) Done(c analyzer.Conn, d *wire.Done) {
	s := h.state(c)
	s.done(c, d)
	if i := s.cur; h.log.watch != nil && !d.Orig && i != nil && i.code == 101 {
		h.log.watch.Upgraded(c, i.host.Value(), i.uri.Value(), i.agent.Value())
	}
}

// FileHandle implements files.Owner: a file has its name from its place in the
// connection; the reply to a request for a range from the URL, so that all its
// pieces are of one file.
func (h *handler) FileHandle(c analyzer.Conn, orig bool, dst []byte) []byte {
	s := h.state(c)
	if s.cur == nil {
		return dst
	}
	id := c.ID()
	return s.cur.handle(dst, &id, orig)
}

// FileOver implements files.Owner.
func (h *handler) FileOver(c analyzer.Conn, f *files.File) { h.state(c).fileOver(f) }

// End implements the analyzer's Handler: what waits is written. Analyzers inside
// a tunnel end before the one that opened it.
func (h *handler) End(c analyzer.Conn) {
	if h.log.watch != nil {
		h.log.watch.Over(c)
	}
	if h.s == &h.own {
		h.own.end()
	}
	h.s = nil
}

// conn is the state of one connection.
//
// Rows are numbered from 1 by requests and by replies; those not written yet are
// pending. cur is the row that was touched last, also when it was written
// meanwhile: as in Zeek, files are named after it.
type conn struct {
	log     *Log
	pending []numbered
	cur     *info
	request uint64 // number of the current request
	reply   uint64 // number of the current reply
	depth   uint64 // transactions so far
	held    int    // bytes of text
	uid     string // under which it is shared; empty: it is not
}

// connects reports whether the current row is of a CONNECT.
func (s *conn) connects() bool {
	return s.cur != nil && s.cur.method.Set && string(s.cur.method.B) == "CONNECT"
}

type numbered struct {
	n    uint64
	info *info
}

func (s *conn) find(n uint64) int {
	for i := range s.pending {
		if s.pending[i].n == n {
			return i
		}
	}
	return -1
}

// set makes the row of the current request or reply the current one, and begins
// it if there is none.
func (s *conn) set(c analyzer.Conn, orig bool) *info {
	n := s.reply
	if orig {
		n = s.request
	}
	at := s.find(n)
	if at < 0 {
		s.depth++
		i := s.log.take()
		i.begin(c, s, s.depth)
		i.refs = 1
		at = len(s.pending)
		s.pending = append(s.pending, numbered{n, i})
	}
	i := s.pending[at].info
	if s.cur != i {
		s.log.drop(s.cur)
		i.refs++
		s.cur = i
	}
	return i
}

// written writes the row at place at and forgets that it is pending.
func (s *conn) written(at int) {
	i := s.pending[at].info
	s.log.emit(i)
	s.forget(at)
}

func (s *conn) forget(at int) {
	i := s.pending[at].info
	s.held -= i.held
	i.held, i.owner = 0, nil
	last := copy(s.pending[at:], s.pending[at+1:]) + at
	s.pending[last] = numbered{}
	s.pending = s.pending[:last]
	s.log.drop(i)
}

func (s *conn) requestBegins(c analyzer.Conn, m *wire.Message) {
	if s.request < s.reply {
		// More replies than requests: the next reply is this request's.
		c.Weird("HTTP_response_before_request", "", "")
		s.request = s.reply
	}
	if limit := s.log.cfg.Pending; limit > 0 && len(s.pending) > limit {
		s.excess(c, limit)
	}
	s.request++
	i := s.set(c, true)
	i.text(&i.method, m.Method)
	i.text(&i.uri, m.URI)
	if !known(m.Method) {
		c.Weird("unknown_HTTP_method", value.Borrow(m.Method), "")
	}
}

// excess writes all rows that wait for a reply: too many do.
func (s *conn) excess(c analyzer.Conn, limit int) {
	s.log.scratch = appendExcess(s.log.scratch[:0], len(s.pending), limit)
	c.Weird("HTTP_excessive_pipelining", value.Borrow(s.log.scratch), wire.Name)
	analyzer.ReachLimit(c)
	if s.reply == 0 {
		s.reply++
	}
	for ; s.reply < s.request; s.reply++ {
		if at := s.find(s.reply); at >= 0 {
			s.written(at)
		}
	}
}

func (s *conn) replyBegins(c analyzer.Conn, m *wire.Message) {
	// After a reply of 1xx the real one is still to come, for the same row.
	if at := s.find(s.reply); at < 0 || s.pending[at].info.hasCode && !informational(s.pending[at].info.code) {
		s.reply++
	}
	i := s.set(c, false)
	i.code, i.hasCode = m.Code, true
	i.text(&i.reason, m.Reason)
	i.version, i.hasVersion = m.Version, true
	if informational(m.Code) {
		i.infoCode, i.hasInfo = m.Code, true
		i.text(&i.infoReason, m.Reason)
	}
	if m.Code == 200 && s.log.tunnel != nil && s.connects() {
		s.log.tunnel(c)
	}
}

func informational(code int) bool { return code >= 100 && code <= 199 }

func (s *conn) header(c analyzer.Conn, h *wire.Header) {
	i := s.set(c, h.Orig)
	if h.Orig {
		i.clientHeader(c, h)
	}
	if !i.inEntity {
		c.Weird("missing_HTTP_entity", "", wire.Name)
		return
	}
	if mime.NamesFile(h.Name, h.Value) {
		i.name.B, i.name.Set = mime.AppendFileName(i.name.B[:0], h.Value), true
	}
}

func (s *conn) entity(c analyzer.Conn, orig, begins bool) {
	if !begins {
		if s.cur != nil {
			s.cur.inEntity = false
		}
		return
	}
	i := s.set(c, orig)
	i.side(orig).parts++
	i.inEntity, i.name.Set = true, false
}

func (s *conn) done(c analyzer.Conn, d *wire.Done) {
	i := s.set(c, d.Orig)
	i.side(d.Orig).body = d.Body
	if d.Orig || i.hasCode && informational(i.code) {
		return
	}
	if at := s.find(s.reply); at >= 0 {
		s.written(at)
	}
}

// end writes what waits.
func (s *conn) end() {
	for len(s.pending) > 0 {
		if s.pending[0].n == 0 {
			s.forget(0) // before the first request and reply
			continue
		}
		s.written(0)
	}
	s.log.drop(s.cur)
	if s.uid != "" {
		delete(s.log.shared, s.uid)
	}
	pending := s.pending
	if cap(pending) > 16 {
		pending = nil
	}
	*s = conn{log: s.log, pending: pending[:0]}
}

// fileOver notes a file in its row.
func (s *conn) fileOver(f *files.File) {
	i := s.cur
	if i == nil {
		return
	}
	f.Watcher, f.Mark = i, i.generation
	if i.inEntity && i.name.Set {
		f.Name, f.HasName = string(i.name.B), true
	}
	sd := i.side(f.Orig)
	if len(sd.ids) >= s.log.cfg.Files {
		return
	}
	sd.ids = append(sd.ids, f.ID)
	if f.HasName {
		sd.names = append(sd.names, f.Name)
	}
}
