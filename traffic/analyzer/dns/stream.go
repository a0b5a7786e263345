package dns

import "github.com/picket-nsm/picket/traffic/analyzer"

// Where in a stream we are.
const (
	atHigh = iota // before the high byte of a length
	atLow         // before its low byte
	inBody        // in the message
)

// keepBuf is the largest buffer that a reused analyzer keeps.
const keepBuf = 1024

// stream is one direction of a TCP connection. A message that arrives in one
// piece is parsed where it lies; only cut ones are copied.
type stream struct {
	state uint8
	need  int    // length of the message
	buf   []byte // what has come of it, at most 65535 bytes
}

func (s *stream) reset() {
	buf := s.buf[:0]
	if cap(buf) > keepBuf {
		buf = nil
	}
	*s = stream{buf: buf}
}

func (d *dns) stream(c analyzer.Conn, orig bool, data []byte) {
	s := &d.dir[0]
	if !orig {
		s = &d.dir[1]
	}
	for len(data) > 0 {
		switch s.state {
		case atHigh:
			s.need, s.state = int(data[0])<<8, atLow
			data = data[1:]
		case atLow:
			s.need, s.state = s.need|int(data[0]), inBody
			s.buf = s.buf[:0]
			data = data[1:]
		case inBody:
			var alive bool
			if data, alive = d.body(c, s, orig, data); !alive {
				return
			}
		}
	}
}

// body takes bytes of a message and returns the rest, and whether to go on.
func (d *dns) body(c analyzer.Conn, s *stream, orig bool, data []byte) ([]byte, bool) {
	if len(s.buf) == 0 && len(data) >= s.need {
		s.state = atHigh
		n := s.need
		return data[n:], d.message(c, orig, data[:n:n])
	}
	n := min(max(s.need-len(s.buf), 0), len(data)) // need is less than buf after Closed
	s.buf = append(s.buf, data[:n]...)
	if len(s.buf) >= s.need {
		s.state = atHigh
		if !d.message(c, orig, s.buf[:s.need]) {
			return nil, false
		}
		s.buf = s.buf[:0]
	}
	return data[n:], true
}
