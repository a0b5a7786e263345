package websocket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
	"github.com/picket-nsm/picket/zeek/value"
)

// receive takes a message off the bus. It is called from one goroutine and never
// waits for a client.
func (s *Server) receive(m backend.Message) {
	to := s.topics.wanting(m.Topic)
	if len(to) == 0 {
		return // the last one has just left
	}
	s.metrics.fromBus.Add(1)
	c := s.codecs[m.Codec]
	if c == nil {
		s.metrics.count("dropped."+dropCodec, uint64(len(to)))
		return
	}
	e, err := c.Decode(m.Payload)
	if err != nil {
		s.metrics.count("dropped."+dropCorrupt, uint64(len(to)))
		return
	}
	e.Meta = known(e.Meta)
	s.deliver(to, nil, m.Topic, &e)
}

// known keeps the metadata that Zeek knows: the network time. Others, as the
// numbers between Picket's nodes, are not for clients.
func known(meta []event.Meta) []event.Meta {
	for i := range meta {
		if m := &meta[i]; m.ID == event.MetaNetworkTime && m.Value.Kind() == value.KindTime {
			return meta[i : i+1 : i+1]
		}
	}
	return nil
}

// deliver gives an event to clients, but not to the one it is from. It is made
// JSON once for all clients of a path.
func (s *Server) deliver(to []*client, from *client, topic string, e *event.Event) {
	var frames [eventjson.Named + 1][]byte
	for _, c := range to {
		if c == from || !c.acked.Load() {
			continue
		}
		f := &frames[c.style]
		if *f == nil {
			room := make([]byte, headRoom, headRoom+512)
			out, err := eventjson.AppendEvent(room, topic, e, c.style, s.decl.Event(e.Name))
			if err != nil {
				s.metrics.count("dropped."+dropEncode, 1)
				continue
			}
			s.metrics.encoded.Add(1)
			*f = textFrames(out)
		}
		c.give(*f)
	}
}

// publish takes an event of a client to the bus and to the other clients here. A
// full bus makes it wait, for the client's own connection: nobody else does.
func (s *Server) publish(ctx context.Context, c *client, topic string, e *event.Event) (problem string) {
	var err error
	if c.buf, err = s.deps.Codec.Append(c.buf[:0], e); err != nil {
		s.metrics.count("dropped."+dropEncode, 1)
		return "cannot be published: " + err.Error()
	}
	err = s.deps.Bus.Publish(topic, s.deps.Codec.Name(), c.buf)
	for try := 0; errors.Is(err, backend.ErrFull) && try < busTries; try++ {
		c.paused.Store(true)
		wait, cancel := context.WithTimeout(ctx, busTime)
		_ = s.deps.Bus.Flush(wait) // late or not: the next try tells
		cancel()
		c.paused.Store(false)
		err = s.deps.Bus.Publish(topic, s.deps.Codec.Name(), c.buf)
	}
	s.deliver(s.topics.wanting(topic), c, topic, e)
	if err == nil {
		return ""
	}
	s.metrics.count("dropped."+dropBus, 1)
	switch {
	case errors.Is(err, backend.ErrTooLarge):
		return fmt.Sprintf("an event of %d bytes is more than the bus takes", len(c.buf))
	case errors.Is(err, backend.ErrFull):
		return "the bus is full"
	}
	return "the bus is not there"
}

// How long a client's event waits for room on the bus.
const (
	busTries = 4
	busTime  = time.Second
)

// event handles a message of a client after its first one.
func (c *client) event(text []byte) {
	s := c.server
	topic, topical, e, err := eventjson.ParseEvent(text, c.style)
	problem := ""
	switch {
	case errors.Is(err, eventjson.ErrSyntax):
		c.complain(refuseMessage, eventjson.CodeDeserialization, "failed to decode JSON object", err.Error())
		return
	case !topical || topic == reservedTopic:
		c.complain(refuseMessage, eventjson.CodeDeserialization, "no topic in top-level JSON object", "")
		return
	case err != nil:
		problem = err.Error()
	default:
		problem = s.fit(&e)
	}
	if problem != "" {
		c.complain(refuseEvent, eventjson.CodeDeserialization, "failed to create Zeek event", problem)
		return
	}
	if len(topic) > maxTopic {
		c.complain(refusePublish, codeDenied, fmt.Sprintf("a topic of %d bytes, where %d are the most", len(topic), maxTopic), "")
		return
	}
	if who := c.may.Load(); !who.MayPublish(topic) {
		c.complain(refusePublish, codeDenied, "client "+who.Name+" may not publish to "+access.Clip(topic, 100), "")
		return
	}
	if strings.HasPrefix(e.Name, ownEvents) {
		c.complain(refusePublish, codeDenied, "events whose names begin with "+ownEvents+" are the nodes' own", "")
		return
	}
	s.metrics.eventsIn.Add(1)
	c.counts.in.Add(1)
	if problem := s.publish(c.ctx, c, topic, &e); problem != "" {
		c.send(eventjson.AppendError(nil, codePublish, access.Clip(problem, 200), ""))
	}
}

// Codes of errors that Zeek does not have.
const (
	codeDenied  = "access_denied"
	codePublish = "publish_failed"
	codeLimit   = "limit_exceeded"
)

// ownEvents are what nodes tell each other about themselves: a stranger who could
// say it would have them believe that others are gone.
const ownEvents = "Picket::"

// reservedTopic is Broker's mark of no topic.
const reservedTopic = "<$>"

// fit says what is wrong with a client's event, and leaves it as Zeek would have
// it: records by position, metadata that is known.
func (s *Server) fit(e *event.Event) (problem string) {
	e.Meta = known(e.Meta)
	if s.decl.Event(e.Name) == nil && !s.cfg.DeclaredOnly {
		if !positional(e) {
			return "records by field name, but no declaration of " + e.Name
		}
		return ""
	}
	if err := s.decl.Fit(e); err != nil {
		return err.Error()
	}
	return ""
}

// complain counts a refusal and tells the client.
func (c *client) complain(reason, code, context, detail string) {
	c.server.refusals.Add(reason, strings.TrimSuffix(c.id+": "+context+": "+detail, ": "), c.remote)
	if c.style != eventjson.Named {
		detail = "" // Zeek has none, and clients might compare
	}
	c.send(eventjson.AppendError(nil, code, context, detail))
}
