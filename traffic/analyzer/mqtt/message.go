package mqtt

import (
	"encoding/binary"

	"github.com/picket-nsm/picket/traffic/analyzer"
)

// fields reads the fields of a message. Once one is cut, bad is set and all that
// is asked gives nothing.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	v := f.b[:n:n]
	f.b = f.b[n:]
	return v
}

func (f *fields) u8() uint8 {
	if v := f.take(1); v != nil {
		return v[0]
	}
	return 0
}

func (f *fields) u16() uint16 {
	if v := f.take(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (f *fields) text() []byte { return f.take(int(f.u16())) }

// cut is what is wrong with a message whose fields are longer than it is.
const cut = "message is shorter than its fields"

// read reads a message of size bytes, of which body is the beginning, and says what
// is wrong with it.
func (a *mqtt) read(c analyzer.Conn, orig bool, head byte, body []byte, size uint64) (why string) {
	f := fields{b: body}
	kind := head >> 4
	switch kind {
	case connect:
		return a.connect(c, &f)
	case publish:
		return a.publish(c, orig, head, &f, size)
	case subscribe, unsubscribe:
		return a.subscribe(c, kind == unsubscribe, &f)
	case ConnectAck, PublishAck, PublishRec, PublishRel, PublishComp, SubscribeAck, UnsubscribeAck:
		m := &a.s.answer
		*m = Answer{Type: kind}
		if kind == ConnectAck {
			m.Old = f.u8()&1 != 0
			m.Code = f.u8()
		} else {
			m.ID = f.u16()
			if kind == SubscribeAck {
				m.Code = f.u8()
			}
		}
		if f.bad {
			return cut
		}
		a.h.Answer(c, orig, m)
	}
	return ""
}

func (a *mqtt) connect(c analyzer.Conn, f *fields) (why string) {
	m := &a.s.connect
	*m = Connect{Protocol: f.text(), Version: int8(f.u8())}
	flags := f.u8()
	m.KeepAlive, m.Client = f.u16(), f.text()
	m.Clean, m.Will, m.WillQoS, m.Retain = flags&2 != 0, flags&4 != 0, flags>>3&3, flags&0x20 != 0
	if m.Will {
		m.WillTopic, m.WillText = f.text(), f.text()
	}
	if flags&0x80 != 0 {
		m.User = f.text()
	}
	if flags&0x40 != 0 {
		m.Password = f.text()
	}
	if !f.bad {
		a.h.Connect(c, m)
		c.Confirm(service)
	} else {
		why = cut
	}
	*m = Connect{}
	return why
}

func (a *mqtt) publish(c analyzer.Conn, orig bool, head byte, f *fields, size uint64) (why string) {
	m := &a.s.publish
	*m = Publish{Dup: head&8 != 0, QoS: head >> 1 & 3, Retain: head&1 != 0, Topic: f.text()}
	if m.QoS > 0 {
		m.ID = f.u16()
	}
	if !f.bad {
		m.Payload = f.b[:min(len(f.b), MaxPayload)]
		m.Length = size - uint64(2+len(m.Topic))
		if m.QoS > 0 {
			m.Length -= 2
		}
		a.h.Publish(c, orig, m)
		c.Confirm(service)
	} else {
		why = cut
	}
	*m = Publish{}
	return why
}

func (a *mqtt) subscribe(c analyzer.Conn, cancel bool, f *fields) (why string) {
	m := &a.s.subscribe
	*m = Subscribe{ID: f.u16(), Cancel: cancel, Topics: m.Topics[:0], QoS: m.QoS[:0]}
	for len(f.b) > 0 {
		m.Topics = append(m.Topics, f.text())
		if !cancel {
			m.QoS = append(m.QoS, f.u8())
		}
	}
	if !f.bad {
		a.h.Subscribe(c, m)
	} else {
		why = cut
	}
	clear(m.Topics)
	if cap(m.Topics) > maxTopics {
		m.Topics, m.QoS = nil, nil
	}
	return why
}
