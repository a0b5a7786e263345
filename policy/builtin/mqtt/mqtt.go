// Package mqtt writes mqtt_connect.log, mqtt_publish.log and mqtt_subscribe.log.
//
// It stands behind the MQTT analyzer, whose Handler it implements, and hands rows
// to the log streams. It owns, per connection, what the client said of itself and
// what waits for an answer, bounded in number and size. It never looks at packets.
//
// The rules are those of Zeek 9.0 (zeek-semantics section 5): what has no answer is
// written when it is older than 5 s and the connection's tables are looked at, each
// 10 s; what waits when the connection goes is lost.
package mqtt

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/mqtt"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// ConnectSchema returns the columns of mqtt_connect.log.
func ConnectSchema() *record.Schema {
	return record.New("MQTT::CONNECT_LOG", "mqtt_connect",
		record.Conn(),
		record.Optional("proto_name", value.KindString),
		record.Optional("proto_version", value.KindString),
		record.Optional("client_id", value.KindString),
		record.Optional("connect_status", value.KindString),
		record.Optional("will_topic", value.KindString),
		record.Optional("will_payload", value.KindString),
	)
}

// PublishSchema returns the columns of mqtt_publish.log.
func PublishSchema() *record.Schema {
	return record.New("MQTT::PUBLISH_LOG", "mqtt_publish",
		record.Conn(),
		record.Of("from_client", value.KindBool),
		record.Of("retain", value.KindBool),
		record.Of("qos", value.KindString),
		record.Of("status", value.KindString),
		record.Of("topic", value.KindString),
		record.Of("payload", value.KindString),
		record.Of("payload_len", value.KindCount),
	)
}

// SubscribeSchema returns the columns of mqtt_subscribe.log.
func SubscribeSchema() *record.Schema {
	return record.New("MQTT::SUBSCRIBE_LOG", "mqtt_subscribe",
		record.Conn(),
		record.Of("action", value.KindEnum),
		record.Of("topics", value.KindVector, value.KindString),
		record.Optional("qos_levels", value.KindVector, value.KindCount),
		record.Optional("granted_qos_level", value.KindCount),
		record.Of("ack", value.KindBool),
	)
}

// Write takes a row, which is valid until it returns.
type Write func(row []value.Value)

// Log makes the rows of one worker. One goroutine.
type Log struct {
	connect, publish, subscribe Write
	row, topics, levels         []value.Value
	passing                     item // a message that waits for nothing
	early                       uint64
}

// New returns a Log that hands its rows to the three, in the order of their
// schemas.
func New(connect, publish, subscribe Write) *Log {
	return &Log{connect: connect, publish: publish, subscribe: subscribe}
}

// Early returns how many rows were written before their answer because too much
// waited.
func (l *Log) Early() uint64 { return l.early }

// Handler returns what one connection's messages go to; it is what the MQTT
// factory wants.
func (l *Log) Handler() wire.Handler { return &conn{log: l} }

// maxText is how much is kept of a text; the log holds less.
const maxText = 4 << 10

func limit(b []byte) []byte { return b[:min(len(b), maxText)] }

// conn is the state of one connection. It implements the analyzer's Handler.
type conn struct {
	log *Log
	session
	published  waiting
	subscribed waiting
}

// session is what is known of the client.
type session struct {
	rows.Conn
	begun                                 bool
	look                                  packet.Time // when the tables are looked at next
	knowsClient, hasWill                  bool
	protocol, client, willTopic, willText []byte
	version                               int8
}

// begin begins the session with the connection's first message.
func (s *conn) begin(c analyzer.Conn) {
	if s.begun {
		s.expire(c.Now())
		return
	}
	s.Conn.Begin(c)
	s.begun, s.look = true, c.Now()+lookEvery
}

// Connect implements the analyzer's Handler.
func (s *conn) Connect(c analyzer.Conn, m *wire.Connect) {
	s.begin(c)
	s.knowsClient, s.version = true, m.Version
	s.protocol = append(s.protocol[:0], limit(m.Protocol)...)
	s.client = append(s.client[:0], limit(m.Client)...)
	if m.Will {
		s.hasWill = true
		s.willTopic = append(s.willTopic[:0], limit(m.WillTopic)...)
		s.willText = append(s.willText[:0], limit(m.WillText)...)
	}
}

// Answer implements the analyzer's Handler.
func (s *conn) Answer(c analyzer.Conn, _ bool, m *wire.Answer) {
	s.begin(c)
	switch m.Type {
	case wire.ConnectAck:
		s.connected(m.Code)
	case wire.SubscribeAck, wire.UnsubscribeAck:
		if w := s.subscribed.take(m.ID); w != nil {
			s.writeSubscribe(w, true, m.Type == wire.SubscribeAck, m.Code)
		}
	default:
		s.delivered(m)
	}
}

// delivered notes an answer to a message that was published.
func (s *conn) delivered(m *wire.Answer) {
	w := s.published.find(m.ID)
	if w == nil {
		return
	}
	ok := false
	switch m.Type {
	case wire.PublishAck:
		ok = w.qos == 1
	case wire.PublishRec:
		w.received = true
	case wire.PublishRel:
		w.released = true
	case wire.PublishComp:
		ok = w.qos == 2 && w.received && w.released
	}
	if ok {
		s.writePublish(s.published.take(m.ID), "ok")
	}
}

// Publish implements the analyzer's Handler.
func (s *conn) Publish(c analyzer.Conn, orig bool, m *wire.Publish) {
	s.begin(c)
	if m.QoS == 0 {
		// It waits for nothing. Like Zeek, it takes the place of another with number 0.
		s.published.take(0)
		w := &s.log.passing
		*w = item{ts: c.Now(), orig: orig, retain: m.Retain, size: m.Length, topic: m.Topic, payload: m.Payload}
		s.writePublish(w, "ok")
		*w = item{}
		return
	}
	w := &item{id: m.ID, ts: c.Now(), orig: orig, retain: m.Retain, qos: m.QoS, size: m.Length}
	w.topic, w.payload = append([]byte(nil), limit(m.Topic)...), append([]byte(nil), m.Payload...)
	for _, old := range s.published.put(w) {
		s.log.early++
		s.writePublish(old, incomplete)
	}
}

// incomplete is the status of a message whose delivery was not seen.
const incomplete = "incomplete_qos"

// Subscribe implements the analyzer's Handler.
func (s *conn) Subscribe(c analyzer.Conn, m *wire.Subscribe) {
	s.begin(c)
	w := &item{id: m.ID, ts: c.Now(), cancel: m.Cancel}
	for _, t := range m.Topics[:min(len(m.Topics), maxTopics)] {
		t = t[:min(len(t), maxText, maxTopicBytes-len(w.topic))]
		w.topic = append(w.topic, t...)
		w.ends = append(w.ends, len(w.topic))
	}
	w.levels = append(w.levels, m.QoS[:min(len(m.QoS), maxTopics)]...)
	for _, old := range s.subscribed.put(w) {
		s.log.early++
		s.writeSubscribe(old, false, false, 0)
	}
}

// expire writes what waits for too long, at the moments when Zeek looks.
func (s *conn) expire(now packet.Time) {
	for s.look <= now {
		for _, w := range s.published.old(s.look - tooOld) {
			s.writePublish(w, incomplete)
		}
		for _, w := range s.subscribed.old(s.look - tooOld) {
			s.writeSubscribe(w, false, false, 0)
		}
		s.look += lookEvery
		if len(s.published.list)+len(s.subscribed.list) == 0 && s.look <= now {
			n := int64((now-s.look)/lookEvery) + 1
			s.look += packet.Time(n) * lookEvery
		}
	}
}

// End implements the analyzer's Handler.
func (s *conn) End(c analyzer.Conn) {
	if s.begun {
		s.expire(c.Now())
	}
	keep := func(b []byte) []byte { return rows.Emptied(b, keepText) }
	*s = conn{log: s.log, session: session{
		Conn: s.Conn.Emptied(), protocol: keep(s.protocol), client: keep(s.client), willTopic: keep(s.willTopic), willText: keep(s.willText),
	}}
}

// keepText is the largest text that a reused connection keeps.
const keepText = 128
