package websocket

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/picket-nsm/picket/zeek/eventjson"
)

// handle takes one request: it refuses it with a reason, or makes it a client
// and serves it until it is gone.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.halfOpen.arrived(r)
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	refuse := func(reason string, status int, text string) {
		s.refusals.add(reason, text, from)
		http.Error(w, text, status)
	}
	if why := s.foreignHost(r); why != "" {
		refuse(refuseHost, http.StatusForbidden, why)
		return
	}
	if why := s.foreignOrigin(r); why != "" {
		refuse(refuseOrigin, http.StatusForbidden, why)
		return
	}
	who, err := s.acl.who(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(refuseToken, http.StatusUnauthorized, err.Error())
		return
	}
	if !s.enter() {
		refuse(refuseConnections, http.StatusServiceUnavailable, "too many connections; try again later")
		return
	}
	defer s.exit()
	c := &client{
		server: s, remote: from, who: who, style: eventjson.Strict,
		over: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	// Compression is never taken: a few bytes of it can stand for megabytes.
	c.ws, err = websocket.Accept(&hijacker{w, c}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // origins were looked at above
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.onPing,
	})
	if err != nil {
		s.refusals.add(refuseUpgrade, err.Error(), from)
		return
	}
	c.ws.SetReadLimit(int64(s.cfg.MessageBytes))
	s.add(c)
	defer s.remove(c)
	c.serve(r.RequestURI, r.Header)
}

// hijacker puts our wire between the library and the connection.
type hijacker struct {
	http.ResponseWriter
	c *client
}

// Hijack is called by the library once it has answered the handshake.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Time{}) // the handshake's
	h.c.wire = &wire{Conn: conn}
	// The library writes control frames only: they fit.
	return h.c.wire, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(h.c.wire, 256)), nil
}

// foreignHost says what is wrong with the host that was asked for. On loopback a
// name of somewhere else means that a web page has had its name pointed at us.
func (s *Server) foreignHost(r *http.Request) string {
	if !s.local {
		return ""
	}
	host := hostOnly(r.Host)
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && ip.IsLoopback() {
		return ""
	}
	if strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.cfg.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return ""
	}
	return "host " + clip(host, 100) + " is not this machine; hosts in [api.websocket] may name it"
}

// hostOnly takes the port away.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

// foreignOrigin says what is wrong with the web page that asks, if one does.
// Programs send no Origin; a page's browser always does.
func (s *Server) foreignOrigin(r *http.Request) string {
	all := r.Header.Values("Origin")
	if len(all) == 0 {
		return ""
	}
	if len(all) == 1 {
		if u, err := url.Parse(all[0]); err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
			return ""
		}
		if slices.ContainsFunc(s.cfg.Origins, func(o string) bool { return strings.EqualFold(o, all[0]) }) {
			return ""
		}
	}
	return "origin " + clip(strings.Join(all, ", "), 100) + " is foreign; origins in [api.websocket] may name it"
}

// halfOpen bounds the connections that have not yet made a request. Where there
// are too many the oldest gives way: an honest handshake takes milliseconds.
type halfOpen struct {
	max    int
	refuse func(reason, what string, from netip.AddrPort)

	mu    sync.Mutex
	conns []net.Conn // oldest first
}

func (h *halfOpen) init(max int, r *refusals) { h.max, h.refuse = max, r.add }

// connKey is where a request's context has its connection.
type connKey struct{}

// withConn is the HTTP server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// arrived notes that a request has come in.
func (h *halfOpen) arrived(r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(net.Conn); ok {
		h.mu.Lock()
		h.take(c)
		h.mu.Unlock()
	}
}

// take removes a connection, if it is there; mu is held.
func (h *halfOpen) take(c net.Conn) bool {
	i := slices.Index(h.conns, c)
	if i >= 0 {
		h.conns = slices.Delete(h.conns, i, i+1)
	}
	return i >= 0
}

// state is called by the HTTP server for each change of a connection.
func (h *halfOpen) state(c net.Conn, st http.ConnState) {
	from, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch st {
	case http.StateNew:
		if len(h.conns) >= h.max {
			_ = h.conns[0].Close()
			h.conns = h.conns[1:]
			h.refuse(refuseHandshakes, "too many connections without a request: the oldest gave way", from)
		}
		h.conns = append(h.conns, c)
	case http.StateClosed:
		if h.take(c) {
			h.refuse(refuseUnfinished, "a connection that ended before its request, or brought none in time", from)
		}
	}
}

func (h *halfOpen) size() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return uint64(len(h.conns))
}
