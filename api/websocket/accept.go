package websocket

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/zeek/eventjson"
)

// handle takes one request: it refuses it with a reason, or makes it a client
// and serves it until it is gone.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.halfOpen.Arrived(r)
	from := access.Remote(r)
	refuse := func(reason string, status int, text string) {
		s.refusals.Add(reason, text, from)
		http.Error(w, text, status)
	}
	if reason, why := s.gate.Foreign(r); why != "" {
		refuse(reason, http.StatusForbidden, why)
		return
	}
	acl, proof := s.gate.ACL(), access.ProofOf(r)
	who, err := acl.Known(proof)
	if err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(access.ReasonToken, http.StatusUnauthorized, err.Error())
		return
	}
	if !s.enter() {
		refuse(refuseConnections, http.StatusServiceUnavailable, "too many connections; try again later")
		return
	}
	defer s.exit()
	c := &client{
		server: s, remote: from, proof: proof, style: eventjson.Strict,
		over: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	c.may.Store(who)
	// Compression is never taken: a few bytes of it can stand for megabytes.
	c.ws, err = websocket.Accept(&hijacker{w, c}, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // origins were looked at above
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived:     c.onPing,
	})
	if err != nil {
		s.refusals.Add(refuseUpgrade, err.Error(), from)
		return
	}
	c.ws.SetReadLimit(int64(s.cfg.MessageBytes))
	s.add(c)
	defer s.remove(c)
	if fresh := s.gate.ACL(); fresh != acl { // changed while it came in
		c.readmit(fresh)
	}
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
