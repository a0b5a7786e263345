package mqtt

import (
	"strconv"

	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

const (
	// lookEvery is how often, in seconds, Zeek looks for what waits too long
	// (table_expire_interval), tooOld what that is.
	lookEvery, tooOld = 10, 5
	// maxWaiting is how many of a kind may wait on a connection, maxBytes how many
	// bytes they may have; more, and the oldest is written early.
	maxWaiting, maxBytes = 1024, 256 << 10
	// maxTopics and maxTopicBytes are what is kept of a subscription: the log holds less.
	maxTopics, maxTopicBytes = 128, 256 << 10
)

// item is a message that waits for an answer.
type item struct {
	id uint16
	ts packet.Time

	// Published.
	orig, retain       bool
	qos                uint8
	topic, payload     []byte
	size               uint64
	received, released bool

	// Subscribed. The topics stand one behind the other in topic.
	cancel bool
	ends   []int
	levels []uint8
}

func (w *item) cost() int { return 128 + len(w.topic) + len(w.payload) + 8*len(w.ends) }

// waiting is what waits, in the order it was said.
type waiting struct {
	list  []*item
	bytes int
}

func (q *waiting) find(id uint16) *item {
	for _, w := range q.list {
		if w.id == id {
			return w
		}
	}
	return nil
}

// take removes an item, nil if there is none with that number.
func (q *waiting) take(id uint16) *item {
	for i, w := range q.list {
		if w.id == id {
			q.remove(i)
			return w
		}
	}
	return nil
}

func (q *waiting) remove(i int) {
	q.bytes -= q.list[i].cost()
	copy(q.list[i:], q.list[i+1:])
	q.list[len(q.list)-1] = nil
	q.list = q.list[:len(q.list)-1]
}

// put adds an item in the place of one with its number, and returns those that
// there is no room for any more.
func (q *waiting) put(w *item) (early []*item) {
	q.take(w.id)
	q.list = append(q.list, w)
	q.bytes += w.cost()
	for len(q.list) > maxWaiting || q.bytes > maxBytes && len(q.list) > 1 {
		early = append(early, q.list[0])
		q.remove(0)
	}
	return early
}

// old removes and returns what was said before then.
func (q *waiting) old(then packet.Time) (gone []*item) {
	for len(q.list) > 0 && q.list[0].ts < then {
		gone = append(gone, q.list[0])
		q.remove(0)
	}
	return gone
}

// start begins a row.
func (s *conn) start(ts packet.Time) *Log {
	l := s.log
	l.row = s.Conn.Append(l.row[:0])
	l.row[0] = value.Time(float64(ts))
	return l
}

// connected writes a row of mqtt_connect.log.
func (s *conn) connected(code uint8) {
	l := s.start(s.TS)
	str := func(has bool, b []byte) value.Value {
		if !has {
			return value.Value{}
		}
		return value.String(value.Borrow(b))
	}
	var version value.Value
	if s.knowsClient {
		version = named(uint64(int64(s.version)), "unknown-version-", "", "", "", "3.1", "3.1.1", "5.0")
	}
	l.row = append(l.row, str(s.knowsClient, s.protocol), version, str(s.knowsClient, s.client),
		named(uint64(code), "unknown-return-code-", "Connection Accepted", "Refused: unacceptable protocol version",
			"Refused: identifier rejected", "Refused: server unavailable", "Refused: bad user name or password",
			"Refused: not authorized"),
		str(s.hasWill, s.willTopic), str(s.hasWill, s.willText))
	l.connect(l.row)
}

// writePublish writes a row of mqtt_publish.log.
func (s *conn) writePublish(w *item, status string) {
	l := s.start(w.ts)
	l.row = append(l.row, value.Bool(w.orig), value.Bool(w.retain),
		named(uint64(w.qos), "unknown-qos-level-", "at most once", "at least once", "exactly once"),
		value.String(status), value.String(value.Borrow(w.topic)), value.String(value.Borrow(w.payload)), value.Count(w.size))
	l.publish(l.row)
}

// writeSubscribe writes a row of mqtt_subscribe.log.
func (s *conn) writeSubscribe(w *item, answered, granted bool, qos uint8) {
	l := s.start(w.ts)
	action, levels, level := "MQTT::SUBSCRIBE", value.Value{}, value.Value{}
	l.topics, l.levels = l.topics[:0], l.levels[:0]
	from := 0
	for _, to := range w.ends {
		l.topics = append(l.topics, value.String(value.Borrow(w.topic[from:to])))
		from = to
	}
	for _, q := range w.levels {
		l.levels = append(l.levels, value.Count(uint64(q)))
	}
	if w.cancel {
		action = "MQTT::UNSUBSCRIBE"
	} else {
		levels = value.Vector(l.levels)
	}
	if granted {
		level = value.Count(uint64(qos))
	}
	l.row = append(l.row, value.Enum(action), value.Vector(l.topics), levels, level, value.Bool(answered))
	l.subscribe(l.row)
}

// named returns the name that a number has, or says that it has none.
func named(n uint64, unknown string, names ...string) value.Value {
	if n < uint64(len(names)) && names[n] != "" {
		return value.String(names[n])
	}
	return value.String(unknown + strconv.FormatUint(n, 10))
}
