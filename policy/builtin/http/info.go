package http

import (
	"bytes"
	"net/netip"
	"strconv"

	wire "github.com/picket-nsm/picket/traffic/analyzer/http"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/mime"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/text"
)

// info is one row in the making.
type info struct {
	log        *Log
	owner      *conn  // while it is pending: who counts its bytes
	generation uint64 // which use of this memory
	refs       int
	held       int // bytes that owner has counted

	rows.Conn
	depth uint64

	method, uri, host, referrer, agent, origin rows.Text
	reason, infoReason                         rows.Text
	user, password                             rows.Text
	name                                       rows.Text // of the file at hand
	proxied                                    [][]byte
	version                                    wire.Version
	code, infoCode                             int

	hasVersion, hasCode, hasInfo bool
	rangeRequest                 bool
	inEntity                     bool

	sides [2]sideInfo // of the client, of the server
}

// sideInfo is what one side's message carried.
type sideInfo struct {
	body  uint64
	parts uint64 // MIME parts so far
	ids   []files.ID
	names []string
	types []string
}

func (i *info) side(orig bool) *sideInfo {
	if orig {
		return &i.sides[0]
	}
	return &i.sides[1]
}

func (i *info) begin(c analyzer.Conn, s *conn, depth uint64) {
	i.owner, i.depth = s, depth
	i.Conn.Begin(c)
}

// reset makes the row ready for another use; small buffers are kept.
func (i *info) reset() {
	keep := func(t rows.Text) rows.Text { return t.Emptied(keepText) }
	fresh := info{
		log: i.log, generation: i.generation + 1, Conn: i.Conn.Emptied(),
		method: keep(i.method), uri: keep(i.uri), host: keep(i.host), referrer: keep(i.referrer), agent: keep(i.agent),
		origin: keep(i.origin), reason: keep(i.reason), infoReason: keep(i.infoReason),
		user: keep(i.user), password: keep(i.password), name: keep(i.name),
	}
	for n := range i.sides {
		sd := &i.sides[n]
		clear(sd.names)
		fresh.sides[n] = sideInfo{ids: sd.ids[:0], names: sd.names[:0], types: sd.types[:0]}
	}
	*i = fresh
}

// allow counts n bytes of text that are to be kept and returns how many may be.
func (i *info) allow(n int) int {
	n = min(n, maxText)
	if s := i.owner; s != nil {
		if s.held+n > maxHeld && n > shortText {
			n = shortText
			i.log.cut++
		}
		s.held += n
		i.held += n
	}
	return n
}

// text sets a rows.Text.
func (i *info) text(t *rows.Text, b []byte) { t.Put(b[:i.allow(len(b))]) }

// known tells the methods that are; others give a weird.
func known(method []byte) bool {
	switch string(method) {
	case "GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT",
		"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "POLL", "REPORT", "SUBSCRIBE", "BMOVE", "SEARCH",
		"QUERY":
		return true
	}
	return false
}

// clientHeader takes a header rows.Text of the request.
func (i *info) clientHeader(c analyzer.Conn, h *wire.Header) {
	switch n := h.Name; {
	case mime.Is(n, "host"):
		i.text(&i.host, h.Value)
	case mime.Is(n, "user-agent"):
		i.text(&i.agent, h.Value)
	case mime.Is(n, "referer"):
		i.text(&i.referrer, h.Value)
	case mime.Is(n, "range"):
		i.rangeRequest = true
	case mime.Is(n, "origin"):
		i.text(&i.origin, h.Value)
	case mime.Is(n, "forwarded"), mime.Is(n, "x-forwarded-for"), mime.Is(n, "x-forwarded-from"), mime.Is(n, "client-ip"),
		mime.Is(n, "via"), mime.Is(n, "xroxy-connection"), mime.Is(n, "proxy-connection"):
		i.proxy(h)
	case mime.Is(n, "authorization"), mime.Is(n, "proxy-authorization"):
		i.authorization(c, h.Value)
	}
}

// proxy notes a header rows.Text that shows a proxy. They are a set.
func (i *info) proxy(h *wire.Header) {
	b := make([]byte, 0, len(h.Name)+4+len(h.Value))
	for _, c := range h.Name {
		if c >= 'a' && c <= 'z' {
			c -= 0x20
		}
		b = append(b, c)
	}
	b = append(append(b, " -> "...), h.Value...)
	for _, p := range i.proxied {
		if bytes.Equal(p, b) {
			return
		}
	}
	if len(i.proxied) < maxProxied {
		i.proxied = append(i.proxied, b[:i.allow(len(b))])
	}
}

// authorization takes user and password from basic authentication.
func (i *info) authorization(c analyzer.Conn, v []byte) {
	if len(v) < 6 || !mime.Is(v[:5], "basic") || v[5] != ' ' {
		return
	}
	b := v[5:]
	for len(b) > 0 && mime.IsBlank(b[0]) {
		b = b[1:]
	}
	var d mime.Base64Decoder
	plain, problem := d.Decode(i.log.scratch[:0], b)
	if problem != "" {
		c.Weird("base64_illegal_encoding", problem, "")
	}
	if d.Failed() {
		plain = plain[:0]
	} else if plain, problem = d.End(plain); problem != "" {
		c.Weird("base64_illegal_encoding", problem, "")
	}
	i.log.scratch = plain
	user, password, ok := bytes.Cut(plain, []byte(":"))
	if !ok {
		i.text(&i.user, []byte("<problem-decoding> ("+string(v)+")"))
		password = plain
	} else {
		i.text(&i.user, user)
	}
	if i.log.cfg.Passwords {
		i.text(&i.password, password)
	}
}

// handle appends the name of the file at hand, as Zeek's scripts build it.
func (i *info) handle(b []byte, id *analyzer.ID, orig bool) []byte {
	b = append(b, "Analyzer::ANALYZER_HTTP"...)
	if i.rangeRequest && !orig {
		b = append(b, 'F')
		b = appendAddr(b, &id.Orig)
		return i.appendURL(b)
	}
	b = text.AppendDouble(b, float64(id.Start))
	b = text.AppendBool(b, orig)
	b = strconv.AppendUint(b, i.depth, 10)
	b = strconv.AppendUint(b, i.side(orig).parts, 10)
	return text.AppendEnds(b, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP)
}

// appendURL appends the URL without its scheme.
func (i *info) appendURL(b []byte) []byte {
	uri := i.uri.B
	if !i.uri.Set {
		uri = []byte("/<missed_request>")
	}
	if bytes.Contains(uri, []byte("://")) {
		return append(b, uri...)
	}
	switch {
	case i.host.Set:
		b = append(b, i.host.B...)
	case i.ID.Resp.Is4():
		b = appendAddr(b, &i.ID.Resp)
	default:
		b = append(appendAddr(append(b, '['), &i.ID.Resp), ']')
	}
	if i.ID.RespP != 80 {
		b = text.AppendUint(append(b, ':'), uint64(i.ID.RespP))
	}
	return append(b, uri...)
}

func appendAddr(b []byte, a *packet.Addr) []byte {
	return text.AppendAddr(b, netip.AddrFrom16(*a).Unmap())
}

func appendExcess(b []byte, n, limit int) []byte {
	return strconv.AppendInt(append(strconv.AppendInt(b, int64(n), 10), " > "...), int64(limit), 10)
}

// FileSniffed implements files.Watcher.
func (i *info) FileSniffed(f *files.File) {
	if f.Mark != i.generation || f.MIME == "" {
		return
	}
	if sd := i.side(f.Orig); len(sd.types) < i.log.cfg.Files {
		sd.types = append(sd.types, f.MIME)
	}
}
