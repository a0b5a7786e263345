package http

import (
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/zeek/value"
)

// Line implements line.Sink.
func (d *direction) Line(l []byte) { d.take(l, false) }

// Plain implements line.Sink.
func (d *direction) Plain(data []byte) { d.take(data, true) }

// Weird implements line.Sink.
func (d *direction) Weird(name string) { d.h.c.Weird(name, "", "CONTENTLINE") }

// take takes a line, or plain bytes.
func (d *direction) take(data []byte, plain bool) {
	h := d.h
	switch {
	case d.partial:
	case h.upgraded || h.tunnel:
		h.child.Forward(h.c, d.orig, data)
	case d.expect == raw09:
		h.reply09(d, data)
	case plain:
		switch {
		case d.msg.began:
			d.msg.deliver(0, data, false)
		case d.orig:
			h.weird("unexpected_client_HTTP_data", "")
		default:
			h.weird("unexpected_server_HTTP_data", "")
		}
	case d.orig:
		h.requestBytes(d, data)
	default:
		h.replyBytes(d, data)
	}
}

// requestBytes takes a line of the client.
func (h *http) requestBytes(d *direction, l []byte) {
	switch d.expect {
	case firstLine:
		h.firstRequestLine(d, l)
	case inMessage:
		d.msg.deliver(0, l, true)
	}
}

func (h *http) firstRequestLine(d *direction, l []byte) {
	method, uri, ok := h.requestLine(d, l)
	if !ok {
		switch {
		case d.count > 0 && !h.keepAlive: // no request is expected
		case len(l) == 0:
			// Some clients end a body with an empty line that its length does not
			// count.
			h.weird("empty_http_request", "")
		default:
			h.c.Violation(service, "not a http request line", nil)
			d.expect = nothing
		}
		return
	}
	d.count++
	if !h.keepAlive && d.count > 1 {
		h.weird("unexpected_multiple_HTTP_requests", "")
	}
	d.expect, d.ongoing = inMessage, true
	h.unanswered.push(wordOf("HEAD", method), &h.s.stats)
	h.confirm()
	if wordOf("CONNECT", method) {
		h.connect = true
	}
	h.tell(Message{Orig: true, Version: d.version, Method: method, URI: uri})
	d.msg.start(bodyMaybe)
	if d.version == (Version{0, 9}) {
		if string(method) != "GET" {
			h.weird("invalid_http_09_request_method", value.Borrow(method))
		}
		resp := &h.dir[1]
		if resp.msg.began {
			// A reply came before and was taken for one of HTTP 1.
			h.weird("http_09_reply_before_request", "")
			resp.msg.finish(false)
			resp.msg.reset()
		}
		resp.expect, resp.bare = raw09, true
	}
}

// tell tells the handler that a message begins. The struct is one per worker.
func (h *http) tell(m Message) {
	h.s.message = m
	h.h.Message(h.c, &h.s.message)
}

// wordOf reports whether method is a beginning of word, whatever its case: that
// is how Zeek compares.
func wordOf(word string, method []byte) bool {
	if len(method) > len(word) {
		return false
	}
	for i, c := range method {
		if c|0x20 != word[i]|0x20 {
			return false
		}
	}
	return true
}

// replyBytes takes a line of the server.
func (h *http) replyBytes(d *direction, l []byte) {
	switch d.expect {
	case firstLine:
		reason, ok := h.replyLine(d, l)
		if !ok {
			if len(l) > 0 {
				h.c.Violation(service, "not a http reply line", nil)
				d.expect = nothing
			}
			return
		}
		d.count++
		if h.unanswered.any() {
			h.confirm()
		}
		d.expect, d.ongoing = inMessage, true
		h.tell(Message{Version: d.version, Code: h.code, Reason: reason})
		if h.code != 200 {
			h.connect = false // no tunnel
		}
		d.msg.start(h.replyBody())
	case inMessage:
		d.msg.deliver(0, l, true)
		if h.connect && len(l) == 0 && !h.tunnel {
			h.openTunnel(d)
		}
	}
}

// replyBody tells whether a reply has a body.
func (h *http) replyBody() uint8 {
	if h.unanswered.head() || h.code >= 100 && h.code < 200 || h.code == 204 || h.code == 304 {
		return noBody
	}
	return hasBody
}

// reply09 takes a reply of HTTP 0.9: all that the server sends.
func (h *http) reply09(d *direction, data []byte) {
	if !d.msg.began {
		h.setVersion(d, Version{0, 9})
		if h.unanswered.any() {
			h.confirm()
			h.unanswered.pop()
		}
		h.close, d.ongoing = true, true
		h.tell(Message{Version: d.version, Code: h.code, Reason: h.s.noReason()})
		d.msg.start(h.replyBody())
		d.msg.deliver(0, nil, true) // there is no header
	}
	d.msg.deliver(0, data, false)
}

// openTunnel begins what follows a successful CONNECT.
func (h *http) openTunnel(d *direction) {
	h.tunnel = true
	h.child = analyzer.StartDetect(h.c)
	h.handOver(d, "protocol_data_with_HTTP_CONNECT_reply")
}

// handOver ends the splitting into lines: what follows is another protocol. d is
// the server's side, whose line is being taken.
func (h *http) handOver(d *direction, weird string) {
	if rest := d.lines.Rest(); rest > 0 {
		h.weird(weird, strconv.Itoa(rest))
		d.lines.PlainRest()
	}
	h.dir[0].bare, h.dir[1].bare = true, true
}

// requestMade ends the request at hand.
func (h *http) requestMade(interrupted bool) {
	d := &h.dir[0]
	if !d.ongoing {
		return
	}
	d.ongoing = false
	d.msg.finish(interrupted)
	if d.expect = firstLine; interrupted {
		d.expect = nothing
	}
}

// replyMade ends the reply at hand.
func (h *http) replyMade(interrupted bool) {
	d := &h.dir[1]
	if !d.ongoing {
		return
	}
	d.ongoing = false
	d.msg.finish(interrupted)
	if h.code < 100 || h.code >= 200 {
		h.unanswered.pop()
	}
	if h.code == 101 && h.unanswered.n == 1 && h.upgrade && h.protoLen > 0 {
		h.switchProtocol(d)
	}
	h.code, h.upgrade, h.protoLen = 0, false, 0
	// The server has one reply of HTTP 0.9, also if that had no body.
	if d.expect == raw09 || interrupted || h.upgraded {
		d.expect = nothing
	} else {
		d.expect = firstLine
	}
}

// switchProtocol begins what follows an upgrade.
func (h *http) switchProtocol(d *direction) {
	h.handOver(d, "protocol_data_with_HTTP_upgrade_reply")
	h.upgraded = true
	if wordIs(h.protocol[:h.protoLen], "websocket") {
		h.child = analyzer.StartChild(h.c, "WEBSOCKET")
		return
	}
	h.child = analyzer.StartDetect(h.c)
}
