// Package mqtt reads MQTT 3.1 and 3.1.1: connections, messages that are published,
// subscriptions, and what answers them.
//
// It stands between flow, which hands it the bytes of a connection, and policy,
// which implements Handler. It owns, per connection and direction, the beginning of
// a message that was cut; all connections of a worker hold a bounded amount of
// that. It keeps no payload beyond what is logged, and matches no answer to what
// was asked.
//
// MQTT 5.0 is read as if it were 3.1.1, as Zeek 9.0 does: what it added is taken
// for something else, or is a mistake. Zeek reads only the first message of a
// segment, and takes one that goes on in the next segment for a mistake; here the
// bytes are a stream (docs/adr/0076-mqtt-is-a-stream.md).
//
// Sources: MQTT 3.1 (IBM, 2010), MQTT 3.1.1 (OASIS, 2014).
package mqtt

import (
	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/signatures"
	"github.com/picket-nsm/picket/zeek/value"
)

// Name is the analyzer's name, service the one in conn.log's service column.
const Name, service = "MQTT", "mqtt"

// Handler takes what was seen on one connection. The analyzer calls it on the
// worker's goroutine. A Handler belongs to one connection at a time; after End
// it is given to another one. What it is given is borrowed.
type Handler interface {
	// Connect hands over a client's first message.
	Connect(c analyzer.Conn, m *Connect)
	// Publish hands over a message that is published, by either side.
	Publish(c analyzer.Conn, orig bool, m *Publish)
	// Subscribe hands over a wish to get messages, or to get them no more.
	Subscribe(c analyzer.Conn, m *Subscribe)
	// Answer hands over what answers one of these.
	Answer(c analyzer.Conn, orig bool, m *Answer)
	// End says that the connection is going.
	End(c analyzer.Conn)
}

// Connect is a client's first message.
type Connect struct {
	Protocol  []byte // MQTT, MQIsdp
	Version   int8
	KeepAlive uint16 // seconds
	Client    []byte
	Clean     bool
	Will      bool // these are there:
	WillTopic []byte
	WillText  []byte
	WillQoS   uint8
	Retain    bool
	User      []byte // nil: none
	Password  []byte // nil: none
}

// Publish is a message that is published.
type Publish struct {
	Dup, Retain bool
	QoS         uint8
	ID          uint16 // 0 with QoS 0
	Topic       []byte
	Payload     []byte // MaxPayload bytes of it at most
	Length      uint64 // of all of it
}

// MaxPayload is how much of a payload is handed over (MQTT::max_payload_size).
const MaxPayload = 100

// Subscribe is a wish to get messages of topics, or to get them no more.
type Subscribe struct {
	ID     uint16
	Cancel bool
	Topics [][]byte
	QoS    []uint8 // asked for, one a topic; none if it is a Cancel
}

// Answer is what answers a message. Zeek calls these CONNACK, PUBACK and so on.
type Answer struct {
	Type uint8
	ID   uint16 // not with ConnectAck
	Code uint8  // ConnectAck: what came of it; SubscribeAck: the QoS granted
	Old  bool   // ConnectAck: there was a session
}

// Types of messages.
const (
	connect        = 1
	ConnectAck     = 2
	publish        = 3
	PublishAck     = 4
	PublishRec     = 5
	PublishRel     = 6
	PublishComp    = 7
	subscribe      = 8
	SubscribeAck   = 9
	unsubscribe    = 10
	UnsubscribeAck = 11
)

const (
	// maxHead is the longest head: type, and a length of up to four bytes.
	maxHead = 5
	// maxBody is the largest message that is put together, but for payloads.
	maxBody = 64 << 10
	// maxPublish is how much of a published message is looked at.
	maxPublish = 2 + 65535 + 2 + MaxPayload
	// maxHeld is how many bytes of cut messages a worker holds. A connection that
	// would need more is not read any further.
	maxHeld = 64 << 20
	// keepBuf is the largest buffer that a finished analyzer keeps, maxFree how many
	// of these are kept, maxTopics for how many topics there is room in the shared
	// message.
	keepBuf, maxFree, maxTopics = 256, 1024, 1024
)

// Factory returns the factory of one worker; it and all its analyzers are used
// by one goroutine. newHandler is called for an analyzer that is made, not for
// one that is used again.
func Factory(newHandler func() Handler) analyzer.Factory { return factory(maxHeld, newHandler) }

// factory is Factory with a limit of its own.
func factory(most int, newHandler func() Handler) analyzer.Factory {
	s := &shared{most: most, free: freelist.New[*mqtt](maxFree)}
	return analyzer.Factory{
		Name:       Name,
		Ports:      []analyzer.Port{{Num: 1883, Proto: value.ProtoTCP}},
		Signatures: signatures.MQTT(),
		New: func(value.Proto) analyzer.Analyzer {
			if a := s.free.Take(); a != nil {
				return a
			}
			return &mqtt{s: s, h: newHandler()}
		},
	}
}

// shared is what the analyzers of a worker have in common.
type shared struct {
	free freelist.List[*mqtt]
	held int // bytes of cut messages
	most int

	connect   Connect
	publish   Publish
	subscribe Subscribe
	answer    Answer
}

// mqtt is the analyzer of one connection.
type mqtt struct {
	s     *shared
	h     Handler
	shed  bool // too many bytes were held: nothing more is read
	sides [2]side
}

// side is a direction.
type side struct {
	head [maxHead]byte
	n    int    // bytes of head there are
	body []byte // what there is of a message that was cut
	want int    // bytes of the message that are looked at
	skip uint64 // bytes behind these
	busy bool   // the head is whole
}

// Deliver implements analyzer.Analyzer.
func (a *mqtt) Deliver(c analyzer.Conn, orig bool, data []byte) {
	s := &a.sides[0]
	if !orig {
		s = &a.sides[1]
	}
	for !a.shed {
		switch {
		case !s.busy:
			if len(data) == 0 {
				return
			}
			s.head[s.n] = data[0]
			s.n++
			data = data[1:]
			if why := s.start(); why != "" {
				a.drop(s)
				c.Violation(service, why, nil)
				return
			}
		case s.want > len(s.body):
			// In one piece if it is; what is cut is put together.
			need := s.want - len(s.body)
			if len(s.body) == 0 && len(data) >= need {
				if !a.message(c, orig, s, data[:need]) {
					return
				}
				data = data[need:]
				continue
			}
			if len(data) == 0 {
				return
			}
			n := min(need, len(data))
			if a.s.held+n > a.s.most {
				a.shed = true
				a.drop(&a.sides[0])
				a.drop(&a.sides[1])
				limited(c)
				return
			}
			a.s.held += n
			s.body = append(s.body, data[:n]...)
			data = data[n:]
			if len(s.body) == s.want && !a.message(c, orig, s, s.body) {
				return
			}
		case s.want == 0 && s.skip == 0:
			if !a.message(c, orig, s, nil) {
				return
			}
		default: // behind the message
			n := min(s.skip, uint64(len(data)))
			s.skip -= n
			data = data[n:]
			if s.skip > 0 {
				return
			}
			s.n, s.busy = 0, false
		}
	}
}

func limited(c analyzer.Conn) {
	analyzer.ReachLimit(c)
}

// start looks at the head and says what is wrong with it.
func (s *side) start() (why string) {
	if s.n < 2 || s.head[s.n-1]&0x80 != 0 {
		if s.n == maxHead {
			return "malformed MQTT 'remaining length': too many bytes"
		}
		return ""
	}
	if s.n == maxHead {
		return "malformed MQTT 'remaining length': too large" // for Zeek, four bytes are
	}
	size := 0
	for i := s.n - 1; i > 0; i-- {
		size = size<<7 | int(s.head[i]&0x7f)
	}
	s.busy, s.want, s.skip = true, size, 0
	switch kind := s.head[0] >> 4; {
	case kind == publish && size > maxPublish:
		s.want, s.skip = maxPublish, uint64(size-maxPublish)
	case kind == publish:
	case kind < connect || kind > UnsubscribeAck: // nothing to read
		s.want, s.skip = 0, uint64(size)
	case size > maxBody:
		return "message is too large"
	}
	return ""
}

// message reads a message and reports whether it was right.
func (a *mqtt) message(c analyzer.Conn, orig bool, s *side, body []byte) bool {
	head, size := s.head[0], uint64(len(body))+s.skip
	why := a.read(c, orig, head, body, size)
	skip := s.skip
	a.drop(s)
	if why != "" {
		c.Violation(service, why, nil)
		return false
	}
	if skip > 0 {
		s.busy, s.skip, s.want = true, skip, 0
	}
	return true
}

// drop forgets what a direction is in the middle of.
func (a *mqtt) drop(s *side) {
	a.s.held -= len(s.body)
	b := s.body[:0]
	if cap(b) > keepBuf {
		b = nil
	}
	*s = side{body: b}
}

// Gap implements analyzer.Analyzer. Within a payload that is not looked at it makes
// no difference; else what comes next is hoped to begin a message, as in Zeek.
func (a *mqtt) Gap(_ analyzer.Conn, orig bool, n uint64) {
	s := &a.sides[0]
	if !orig {
		s = &a.sides[1]
	}
	if s.busy && s.want == 0 && n <= s.skip {
		if s.skip -= n; s.skip == 0 {
			s.n, s.busy = 0, false
		}
		return
	}
	a.drop(s)
}

// End implements analyzer.Analyzer.
func (a *mqtt) End(c analyzer.Conn) {
	a.h.End(c)
	for i := range a.sides {
		a.drop(&a.sides[i])
	}
	a.shed = false
	a.s.free.Keep(a)
}
