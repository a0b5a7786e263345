package eventjson

import (
	"fmt"

	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Types of messages of the WebSocket API.
const (
	TypeData  = "data-message"
	TypeAck   = "ack"
	TypeError = "error"
)

// Codes of error messages.
const (
	CodeDeserialization = "deserialization_failed"
	CodeURI             = "invalid_uri"
	CodeApplication     = "invalid_application_name"
)

// Message is one message of the WebSocket API: an event to or from a client, or
// the server's ack or error.
type Message struct {
	Type    string
	Topic   string
	Topical bool        // there was a topic
	Data    value.Value // of an event: its envelope

	Endpoint, Version string // of an ack
	Code, Context     string // of an error
	Detail            string // of an error, from Picket: what is behind the context

	plain bool // neither @data-type nor data
}

// take keeps a top-level key whose value is a string, if it is one of ours. The
// first of several counts.
func (m *Message) take(key []byte, r *parser) bool {
	var to *string
	switch string(key) {
	case "type":
		to = &m.Type
	case "topic":
		if m.Topical {
			return false
		}
		m.Topical, to = true, &m.Topic
	case "endpoint":
		to = &m.Endpoint
	case "version":
		to = &m.Version
	case "code":
		to = &m.Code
	case "context":
		to = &m.Context
	case "detail":
		to = &m.Detail
	}
	if to == nil || *to != "" {
		return false
	}
	*to = string(r.strBytes())
	return true
}

// ParseMessage reads a message of either side. A text with data is an event,
// whatever its type says; one without must be an ack or an error. The error is
// of kind ErrSyntax.
func ParseMessage(text []byte, s Style) (Message, error) {
	var m Message
	r := parser{p: text, style: s}
	m.Data = r.document(&m)
	if r.bad == "" && m.plain && m.Type != TypeAck && m.Type != TypeError {
		r.fail(noData)
	}
	if err := r.err(); err != nil {
		return Message{}, err
	}
	return m, nil
}

const noData = "a value without @data-type or data"

// ParseEvent reads a client's or server's event: topic, event, and whether there
// was a topic at all. The error is of kind ErrSyntax where the text is no value,
// of kind ErrValue where the value is no event.
func ParseEvent(text []byte, s Style) (topic string, topical bool, e event.Event, err error) {
	var m Message
	r := parser{p: text, style: s}
	v := r.document(&m)
	if r.bad == "" && m.plain {
		r.fail(noData)
	}
	if err := r.err(); err != nil {
		return "", false, e, err
	}
	e, bad := Unwrap(v)
	if bad != "" {
		err = fmt.Errorf("%w: %s", ErrValue, bad)
	}
	return m.Topic, m.Topical, e, err
}

// Unwrap takes an event out of its envelope, [1, 1, [name, arguments, metadata?]],
// and says what is wrong with it, if anything.
func Unwrap(v value.Value) (e event.Event, bad string) {
	outer := v.Elems()
	if v.Kind() != value.KindVector || len(outer) != 3 {
		return e, "not an envelope of 3"
	}
	if outer[0].Kind() != value.KindCount || outer[0].Count() != 1 {
		return e, "unknown protocol version"
	}
	if outer[1].Kind() != value.KindCount || outer[1].Count() != 1 {
		return e, "not an event"
	}
	inner := outer[2].Elems()
	if outer[2].Kind() != value.KindVector || len(inner) < 2 || len(inner) > 3 ||
		inner[0].Kind() != value.KindString || inner[0].Str() == "" || inner[1].Kind() != value.KindVector {
		return e, "content is not name, arguments, metadata"
	}
	e = event.Event{Name: inner[0].Str(), Args: inner[1].Elems()}
	for i := range e.Args {
		if !e.Args[i].IsSet() {
			return e, fmt.Sprintf("argument %d is unset", i+1)
		}
	}
	if len(inner) == 2 {
		return e, ""
	}
	if inner[2].Kind() != value.KindVector {
		return e, "metadata is not a list"
	}
	meta := inner[2].Elems()
	e.Meta = make([]event.Meta, len(meta))
	for i, m := range meta {
		pair := m.Elems()
		if m.Kind() != value.KindVector || len(pair) != 2 || pair[0].Kind() != value.KindCount || !pair[1].IsSet() {
			return e, "metadata is not id and value"
		}
		e.Meta[i] = event.Meta{ID: pair[0].Count(), Value: pair[1]}
	}
	return e, ""
}

// AppendEvent appends an event as a message. d, which only Named looks at, is
// its declaration or nil. On an error, of kind ErrValue, dst comes back as it was.
func AppendEvent(dst []byte, topic string, e *event.Event, s Style, d *declare.Event) ([]byte, error) {
	w := writer{style: s}
	out := append(dst, `{"type":"data-message","topic":`...)
	out = w.quote(out, topic)
	out = append(out, `,"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},`...)
	out = append(out, `{"@data-type":"vector","data":[{"@data-type":"string","data":`...)
	out = w.quote(out, e.Name)
	out = append(out, `},{"@data-type":"vector","data":[`...)
	const depth = 7 // of an argument: three values and their arrays around it
	for i := range e.Args {
		if i > 0 {
			out = append(out, ',')
		}
		if !e.Args[i].IsSet() {
			w.fail(out, fmt.Sprintf("argument %d is unset", i+1))
		}
		out = w.value(out, &e.Args[i], d.Param(i), depth)
	}
	out = append(out, "]}"...)
	if e.Meta != nil {
		out = append(out, `,{"@data-type":"vector","data":[`...)
		for i := range e.Meta {
			if i > 0 {
				out = append(out, ',')
			}
			pair := value.Vector([]value.Value{value.Count(e.Meta[i].ID), e.Meta[i].Value})
			out = w.value(out, &pair, nil, depth)
		}
		out = append(out, "]}"...)
	}
	if w.bad != "" {
		return dst, fmt.Errorf("%w: %s: %s", ErrValue, e.Name, w.bad)
	}
	return append(out, "]}]}"...), nil
}

// AppendAck appends the server's answer to subscriptions.
func AppendAck(dst []byte, endpoint, version string) []byte {
	dst = appendStrict(append(dst, `{"type":"ack","endpoint":`...), endpoint)
	dst = appendStrict(append(dst, `,"version":`...), version)
	return append(dst, '}')
}

// AppendError appends the server's complaint. An empty detail, which Zeek does
// not have, is left out.
func AppendError(dst []byte, code, context, detail string) []byte {
	dst = appendStrict(append(dst, `{"type":"error","code":`...), code)
	dst = appendStrict(append(dst, `,"context":`...), context)
	if detail != "" {
		dst = appendStrict(append(dst, `,"detail":`...), detail)
	}
	return append(dst, '}')
}

// AppendSubscriptions appends a client's first message.
func AppendSubscriptions(dst []byte, topics []string) []byte {
	dst = append(dst, '[')
	for i, t := range topics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendStrict(dst, t)
	}
	return append(dst, ']')
}
