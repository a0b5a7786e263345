package ssh

import (
	"bytes"
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
)

func (a *ssh) side(orig bool) *side {
	if orig {
		return &a.dir[0]
	}
	return &a.dir[1]
}

// feed takes a piece of the stream: lines, packets, and what is encrypted.
func (a *ssh) feed(c analyzer.Conn, orig bool, data []byte) {
	s := a.side(orig)
	for len(data) > 0 && !a.done {
		if s.skipLF {
			s.skipLF = false
			if data[0] == '\n' {
				data = data[1:]
				continue
			}
		}
		var ok bool
		switch s.state {
		case encrypted:
			a.encrypted(c, orig, len(data))
			return
		case atVersion:
			data, ok = a.line(c, orig, s, data)
		default:
			data, ok = a.packet(c, orig, s, data)
		}
		if !ok { // not the protocol: the rest of the piece is lost, too
			s.buf, s.need = s.buf[:0], 0
			return
		}
	}
}

// hold keeps what is cut off. It gives up the connection if that is too much.
func (a *ssh) hold(c analyzer.Conn, s *side, data []byte) {
	if len(s.buf)+len(data) > a.s.cfg.MaxHeld {
		s.buf = nil
		a.done = true
		analyzer.ReachLimit(c)
		a.stop(c)
		return
	}
	s.buf = append(s.buf, data...)
}

// line takes a line of the version exchange. A server may send others before it.
func (a *ssh) line(c analyzer.Conn, orig bool, s *side, data []byte) (rest []byte, ok bool) {
	i := bytes.IndexAny(data, "\r\n")
	if i < 0 {
		a.hold(c, s, data)
		return nil, true
	}
	text := data[:i]
	s.skipLF = data[i] == '\r'
	if len(s.buf) > 0 {
		if a.hold(c, s, text); a.done {
			return nil, true
		}
		text = s.buf
	}
	if bytes.HasPrefix(text, []byte("SSH-")) {
		s.state = atKexinit
		a.setVersion(s, text)
		a.h.Version(c, orig, text)
	} else if orig {
		c.Violation(service, "client does not begin with its version", nil)
		return nil, false
	}
	s.buf = s.buf[:0]
	return data[i+1:], true
}

// setVersion finds out which version both sides speak: 1.99 means either.
func (a *ssh) setVersion(s *side, line []byte) {
	if len(line) >= 5 {
		switch {
		case line[4] == '2':
			s.version = ssh2
		case line[4] == '1' && len(line) >= 8 && line[6] == '9' && line[7] == '9':
			s.version = ssh199
		case line[4] == '1':
			s.version = ssh1
		}
	}
	switch up, down := a.dir[0].version, a.dir[1].version; {
	case up == ssh199 && down == ssh199:
		a.version = ssh2
	case up == down:
		a.version = up
	case up == unknown || down == unknown, up != ssh199 && down != ssh199:
		a.version = unknown
	case up == ssh199:
		a.version = down
	default:
		a.version = up
	}
}

// packet takes a packet of the key exchange.
func (a *ssh) packet(c analyzer.Conn, orig bool, s *side, data []byte) (rest []byte, ok bool) {
	if s.need == 0 {
		n := min(4-len(s.buf), len(data))
		if len(s.buf)+n < 4 {
			a.hold(c, s, data)
			return nil, true
		}
		var head [4]byte
		copy(head[copy(head[:], s.buf):], data[:n])
		claim := binary.BigEndian.Uint32(head[:])
		s.capped = claim
		if most := uint32(a.s.cfg.MaxPacket); most > 0 && claim > most {
			a.limit(c, "SSH_max_packet_length_exceeded", uint64(claim), uint64(most))
			s.capped = most
		}
		switch a.version {
		case ssh1:
			s.need = 4 + int(s.capped) + 8 - int(s.capped%8)
		case ssh2:
			s.need = 4 + int(s.capped)
		default:
			c.Violation(service, "packet before both sides have said their version", nil)
			return nil, false
		}
	}
	if n := s.need - len(s.buf); n > len(data) {
		a.hold(c, s, data)
		return nil, true
	} else if len(s.buf) == 0 {
		body := data[4:n]
		data = data[n:]
		s.need = 0
		return data, a.message(c, orig, s, body)
	} else {
		if a.hold(c, s, data[:n]); a.done {
			return nil, true
		}
		data = data[n:]
	}
	s.need = 0
	ok = a.message(c, orig, s, s.buf[4:])
	s.buf = s.buf[:0]
	return data, ok
}

func (a *ssh) message(c analyzer.Conn, orig bool, s *side, body []byte) bool {
	good := false
	if a.version == ssh1 {
		good = a.message1(c, orig, s, body)
	} else {
		good = a.message2(c, orig, s, body)
	}
	if !good {
		c.Violation(service, "packet of the key exchange is malformed", nil)
	}
	return good
}
