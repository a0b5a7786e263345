package mqtt

import (
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/format/octets"
)

// cut is what is wrong with a message whose fields are longer than it is.
const cut = "message is shorter than its fields"

// read reads a message of size bytes, of which body is the beginning, and says what
// is wrong with it.
func (a *mqtt) read(c analyzer.Conn, orig bool, head byte, body []byte, size uint64) (why string) {
	f := octets.Reader{B: body}
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
			m.Old = f.U8()&1 != 0
			m.Code = f.U8()
		} else {
			m.ID = f.U16()
			if kind == SubscribeAck {
				m.Code = f.U8()
			}
		}
		if f.Bad {
			return cut
		}
		a.h.Answer(c, orig, m)
	}
	return ""
}

func (a *mqtt) connect(c analyzer.Conn, f *octets.Reader) (why string) {
	m := &a.s.connect
	*m = Connect{Protocol: f.Vec16(), Version: int8(f.U8())}
	flags := f.U8()
	m.KeepAlive, m.Client = f.U16(), f.Vec16()
	m.Clean, m.Will, m.WillQoS, m.Retain = flags&2 != 0, flags&4 != 0, flags>>3&3, flags&0x20 != 0
	if m.Will {
		m.WillTopic, m.WillText = f.Vec16(), f.Vec16()
	}
	if flags&0x80 != 0 {
		m.User = f.Vec16()
	}
	if flags&0x40 != 0 {
		m.Password = f.Vec16()
	}
	if !f.Bad {
		a.h.Connect(c, m)
		c.Confirm(service)
	} else {
		why = cut
	}
	*m = Connect{}
	return why
}

func (a *mqtt) publish(c analyzer.Conn, orig bool, head byte, f *octets.Reader, size uint64) (why string) {
	m := &a.s.publish
	*m = Publish{Dup: head&8 != 0, QoS: head >> 1 & 3, Retain: head&1 != 0, Topic: f.Vec16()}
	if m.QoS > 0 {
		m.ID = f.U16()
	}
	if !f.Bad {
		m.Payload = f.B[:min(len(f.B), MaxPayload)]
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

func (a *mqtt) subscribe(c analyzer.Conn, cancel bool, f *octets.Reader) (why string) {
	m := &a.s.subscribe
	*m = Subscribe{ID: f.U16(), Cancel: cancel, Topics: m.Topics[:0], QoS: m.QoS[:0]}
	for len(f.B) > 0 {
		m.Topics = append(m.Topics, f.Vec16())
		if !cancel {
			m.QoS = append(m.QoS, f.U8())
		}
	}
	if !f.Bad {
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
