package quic

import (
	"fmt"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/octets"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

// Frames that an Initial packet may hold (RFC 9000, 12.4).
const (
	framePadding = 0x00
	framePing    = 0x01
	frameACK     = 0x02
	frameACKECN  = 0x03
	frameCrypto  = 0x06
	frameClose   = 0x1c
)

// frames reads the frames of a packet until one does not fit.
func (q *conn) frames(c analyzer.Conn, orig bool, plain []byte) {
	r := reader{octets.Reader{B: plain}}
	for len(r.B) > 0 && !q.skip {
		switch kind := r.U8(); kind {
		case framePadding: // often most of a packet
			for len(r.B) > 0 && r.B[0] == framePadding {
				r.B = r.B[1:]
			}
		case framePing:
		case frameACK, frameACKECN:
			r.ack(kind == frameACKECN)
		case frameCrypto:
			at := r.varint()
			if data := r.run(r.varint()); !r.Bad {
				q.crypto(c, orig, at, data)
			}
		case frameClose:
			q.closing(c, orig, &r)
		default:
			q.fail(c, fmt.Sprintf("unhandled frame type 0x%x", kind))
			return
		}
		if r.Bad {
			q.fail(c, "malformed frame")
			return
		}
	}
}

// ack skips an ACK frame (RFC 9000, 19.3).
func (r *reader) ack(ecn bool) {
	r.varint() // largest
	r.varint() // delay
	n := r.varint()
	r.varint()    // first range
	for range n { // it ends with the packet
		r.varint()
		if r.varint(); r.Bad {
			return
		}
	}
	if ecn {
		r.varint()
		r.varint()
		r.varint()
	}
}

// closing reads a CONNECTION_CLOSE frame (RFC 9000, 19.19).
func (q *conn) closing(c analyzer.Conn, orig bool, r *reader) {
	k := &q.s.close
	*k = Close{Orig: orig, Code: r.varint()}
	r.varint() // type of the frame that was wrong
	if k.Reason = r.run(r.varint()); !r.Bad {
		q.h.Close(c, k)
	}
	*k = Close{}
}

// direction is what is known of one side: its keys, and its first message.
type direction struct {
	keys   keys
	done   bool // the message was handed on
	dead   bool // or never will be
	size   int  // of the message, with its header, once it is done
	buf    []byte
	pieces []piece // of buf, in order, with gaps between
}

// piece is a run of bytes that came.
type piece struct{ from, to int }

// whole returns how many bytes there are from the beginning on.
func (d *direction) whole() int {
	if len(d.pieces) > 0 && d.pieces[0].from == 0 {
		return d.pieces[0].to
	}
	return 0
}

// crypto takes bytes of the stream of handshake messages. Its first message goes
// to TLS when it is whole; nothing may follow it at this level of encryption.
func (q *conn) crypto(c analyzer.Conn, orig bool, offset uint64, data []byte) {
	d := &q.dir[side(orig)]
	if d.dead || len(data) == 0 || offset > maxHello {
		return // so far away are bytes of none
	}
	at := int(offset)
	data = data[:min(len(data), maxHello+1-at)]
	if d.done {
		q.behind(c, d, at, at+len(data))
		return
	}
	if !q.put(d, at, data) {
		q.giveUp(d)
		analyzer.ReachLimit(c)
		return
	}
	n := d.whole()
	if n < tlsmsg.MessageHeaderLen {
		return
	}
	kind, size := tlsmsg.ParseMessageHeader(d.buf)
	if size += tlsmsg.MessageHeaderLen; size > maxHello {
		q.giveUp(d)
		return
	}
	if n >= size {
		d.done, d.size = true, size
		q.message(c, orig, kind, d.buf[:size])
		q.letGo(d)
		q.behind(c, d, 0, n)
	}
}

// behind fails if bytes go on behind the message.
func (q *conn) behind(c analyzer.Conn, d *direction, from, to int) {
	if from <= d.size && to > d.size {
		q.fail(c, "CRYPTO frames go on behind the hello")
	}
}

// giveUp drops a message that is too long.
func (q *conn) giveUp(d *direction) {
	d.dead = true
	q.letGo(d)
}

// put notes bytes at an offset; what came before stays. It returns false if that
// is too much.
func (q *conn) put(d *direction, at int, data []byte) bool {
	end := at + len(data)
	if grow := end - len(d.buf); grow > 0 {
		if q.s.held+grow > maxHeld {
			return false
		}
		q.s.held += grow
		d.buf = append(d.buf, make([]byte, grow)...)
	}
	// Pieces before the new one stay, those it touches become one with it.
	i := 0
	for i < len(d.pieces) && d.pieces[i].to < at {
		i++
	}
	j, merged := i, piece{at, end}
	from := at
	for ; j < len(d.pieces) && d.pieces[j].from <= end; j++ {
		p := d.pieces[j]
		if from < p.from {
			copy(d.buf[from:p.from], data[from-at:])
		}
		from = max(from, p.to)
		merged.from, merged.to = min(merged.from, p.from), max(merged.to, p.to)
	}
	if from < end {
		copy(d.buf[from:end], data[from-at:])
	}
	if i == j {
		if len(d.pieces) == maxPieces {
			return false
		}
		d.pieces = append(d.pieces, piece{})
		copy(d.pieces[i+1:], d.pieces[i:])
		d.pieces[i] = merged
		return true
	}
	d.pieces[i] = merged
	d.pieces = append(d.pieces[:i+1], d.pieces[j:]...)
	return true
}

// letGo frees the bytes of a message.
func (q *conn) letGo(d *direction) {
	q.s.held -= len(d.buf)
	d.buf, d.pieces = d.buf[:0], d.pieces[:0]
	if cap(d.buf) > keepBuf {
		d.buf = nil
	}
}

// message hands a message to TLS, in a record as TLS over TCP has it, and tells
// the handler if it is a hello.
func (q *conn) message(c analyzer.Conn, orig bool, kind uint8, msg []byte) {
	if q.tls == 0 {
		q.tls = analyzer.StartTLS(c)
	}
	q.s.record = append(q.s.record[:0], tlsmsg.Handshake, 3, 3, byte(len(msg)>>8), byte(len(msg)))
	q.s.record = append(q.s.record, msg...)
	q.tls.Forward(c, orig, q.s.record)
	h, body := &q.s.hello, msg[tlsmsg.MessageHeaderLen:]
	switch kind {
	case tlsmsg.ClientHello:
		h.ParseClient(body)
	case tlsmsg.ServerHello:
		h.ParseServer(body)
	default:
		return
	}
	q.h.Hello(c, h)
}
