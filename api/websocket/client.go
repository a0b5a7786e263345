package websocket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/picket-nsm/picket/api/access"
	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/eventjson"
)

// client is one connection. Two goroutines work for it: serve reads, write
// writes. Whoever has something for it puts it into its queue and goes on.
type client struct {
	server *Server
	number uint64
	id     string
	remote netip.AddrPort
	proof  access.Proof
	may    atomic.Pointer[access.Client] // nil: all
	app    string
	counts *app // of its name; set before it is acked
	hasApp bool
	style  eventjson.Style

	ws     *websocket.Conn
	wire   *wire
	ctx    context.Context // ends with the client
	in     bytes.Buffer    // the message being read
	buf    []byte          // the event being published
	topics []string        // sorted, each once
	credit float64         // messages that it may send now
	refill time.Time

	acked  atomic.Bool // from here on it gets events: set by admit
	paused atomic.Bool // we do not read from it just now, so it cannot answer pings

	mu      sync.Mutex
	queue   []item // from head on
	head    int
	waiting int      // bytes in queue and being written
	ending  closing  // why, if over is closed
	wanted  []string // what it has asked for, to be allowed still
	over    chan struct{}
	wake    chan struct{} // the writer has something to do

	pause *time.Timer // of the writer

	// Of the keeper.
	pingAt    time.Time // when the last one was sent
	pingReads uint64    // wire.reads then
	pingSent  uint64    // wire.sent then
	pingBusy  bool      // something waited then
	pingNum   int
}

// item is frames that wait: of an event, or of something else.
type item struct {
	frames []byte
	event  bool
}

// closing is why a connection ends.
type closing struct {
	code   int
	reason string
	flush  bool // after what waits has been sent
	say    bool // to the client; else it knows, or is gone
	linger bool // the library has said it, and the client may still be sending
	slow   bool // what waits is lost because the client was slow
}

// serve does the client's whole life after the handshake.
func (c *client) serve(uri string, header http.Header) {
	s := c.server
	c.id = fmt.Sprintf("%s-websocket-%d", s.deps.ID, c.number)
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	var writing sync.WaitGroup
	writing.Go(func() {
		c.write()
		cancel()
	})
	entered := c.enter(uri, header)
	if entered {
		c.read()
	}
	c.left(entered)
	writing.Wait()
	s.topics.leave(c, c.topics)
}

// enter checks path and name, as Zeek does after the upgrade.
func (c *client) enter(uri string, header http.Header) bool {
	refuse := func(reason, code, context string) bool {
		c.complain(reason, code, context, "")
		c.end(closing{code: 1008, reason: context, flush: true, say: true})
		<-c.ctx.Done() // its messages are of no interest
		return false
	}
	switch uri {
	case PathV1:
	case PathV2:
		c.style = eventjson.Named
	default:
		return refuse(refusePath, eventjson.CodeURI, "Invalid URI - use "+PathV1)
	}
	if names := header.Values("X-Application-Name"); len(names) > 0 {
		c.app, c.hasApp = names[0], true
	}
	if strings.ContainsFunc(c.app, badInName) {
		return refuse(refuseApplication, eventjson.CodeApplication, "Invalid X-Application-Name")
	}
	c.counts = c.server.metrics.app(c.app)
	return true
}

func badInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/_-.=:*@", r))
}

// read takes messages until the connection ends.
func (c *client) read() {
	first := true
	for {
		if !c.pace() {
			return
		}
		text, err := c.message()
		if err != nil {
			if !c.isOver() { // else it is our own doing
				c.end(c.why(err))
			}
			return
		}
		c.server.metrics.bytesIn.Add(uint64(len(text)))
		if !utf8.Valid(text) {
			c.server.refusals.Add(refuseText, c.id+": a message that is not UTF-8", c.remote)
			c.end(closing{code: 1007, reason: "Invalid UTF-8 in message", say: true})
			return
		}
		switch {
		case first:
			first = false
			c.subscribe(text)
		case c.acked.Load():
			c.event(text)
		default:
			// The subscriptions were wrong: Zeek keeps what follows for ever.
			c.server.metrics.count("refused."+refuseMessage, 1)
		}
	}
}

// message reads the next one. It is valid until the next call.
func (c *client) message() ([]byte, error) {
	_, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	if c.in.Cap() > keepBuffer {
		c.in = bytes.Buffer{}
	}
	c.in.Reset()
	if _, err := c.in.ReadFrom(r); err != nil {
		return nil, err
	}
	return c.in.Bytes(), nil
}

// why says how reading came to an end.
func (c *client) why(err error) closing {
	var bye websocket.CloseError
	if errors.As(err, &bye) {
		if bye.Code == websocket.StatusNoStatusRcvd {
			bye.Reason = "No status code"
		}
		return closing{code: int(bye.Code), reason: bye.Reason}
	}
	if said, ok := c.wire.goodbye(); ok {
		// The library has refused something and told the client.
		reason := refuseFrame
		if errors.Is(err, websocket.ErrMessageTooBig) {
			reason = refuseLarge
		}
		c.server.refusals.Add(reason, c.id+": "+said.reason, c.remote)
		said.linger = true
		return said
	}
	var network net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &network) {
		return closing{code: 1006, reason: "Abnormal closure"}
	}
	c.server.refusals.Add(refuseFrame, c.id+": "+err.Error(), c.remote)
	return closing{code: 1002, reason: "Bad frame", say: true}
}

// keepBuffer is the largest buffer that a client keeps between messages.
const keepBuffer = 64 << 10

// pace holds a client up that sends faster than it may, or does not take what
// waits for it: its own messages then wait in its own connection. It reports
// whether the connection still lives.
func (c *client) pace() bool {
	for {
		var wait time.Duration
		c.mu.Lock()
		behind := c.waiting > c.server.cfg.QueueBytes/2
		c.mu.Unlock()
		if behind {
			wait = 5 * time.Millisecond
		} else if wait = c.spend(); wait == 0 {
			select {
			case <-c.over:
				return false
			default:
				return true
			}
		}
		c.server.metrics.slowed.Add(1)
		c.paused.Store(!behind) // who is behind can show otherwise that it lives
		t := time.NewTimer(wait)
		select {
		case <-c.over:
			t.Stop()
			c.paused.Store(false)
			return false
		case <-t.C:
		}
		c.paused.Store(false)
	}
}

// spend takes the credit for one message, or says how long it takes until there
// is some. There is credit for a second at most.
func (c *client) spend() time.Duration {
	rate := float64(c.server.cfg.Rate)
	if rate <= 0 {
		return 0
	}
	now := c.server.deps.Now()
	if c.refill.IsZero() {
		c.credit = rate
	} else {
		c.credit = min(rate, c.credit+now.Sub(c.refill).Seconds()*rate)
	}
	c.refill = now
	if c.credit < 1 {
		return time.Duration((1 - c.credit) / rate * float64(time.Second))
	}
	c.credit--
	return 0
}

// onPing is called on the reading goroutine. A ping counts as a message. Its pong
// takes the same way as all answers: who gets it knows that what it sent before
// has been handled, and has seen what we think of it.
func (c *client) onPing(_ context.Context, payload []byte) bool {
	if c.pace() {
		c.control(controlFrame(opPong, payload))
	}
	return false
}

// subscribe handles the first message.
func (c *client) subscribe(text []byte) {
	s := c.server
	var all []any
	if json.Unmarshal(text, &all) != nil || all == nil {
		c.complain(refuseMessage, eventjson.CodeDeserialization, "subscriptions not an array", "")
		return
	}
	for _, a := range all {
		t, ok := a.(string)
		if !ok {
			c.complain(refuseMessage, eventjson.CodeDeserialization, "individual subscription not a string", "")
			return
		}
		c.topics = append(c.topics, t)
	}
	slices.Sort(c.topics)
	c.topics = slices.Compact(c.topics)
	refuse := func(reason, code, context string) {
		c.topics = nil
		c.complain(reason, code, context, "")
		c.end(closing{code: 1008, reason: context, flush: true, say: true})
	}
	if n := len(c.topics); n > s.cfg.Subscriptions {
		refuse(refuseMany, codeLimit, fmt.Sprintf("%d subscriptions, where %d are the most", n, s.cfg.Subscriptions))
		return
	}
	c.mu.Lock()
	c.wanted = c.topics
	c.mu.Unlock()
	who := c.may.Load() // after that: one of us two sees a change of the acl file
	for _, t := range c.topics {
		if len(t) > maxTopic {
			refuse(refuseMany, codeLimit, fmt.Sprintf("a subscription of %d bytes, where %d are the most", len(t), maxTopic))
			return
		}
		if !who.MaySubscribe(t) {
			refuse(refuseSubscribe, codeDenied, maySubscribe(who, t))
			return
		}
	}
	c.paused.Store(true) // the bus may take its time
	err := s.topics.subscribe(c.ctx, c, c.topics)
	c.paused.Store(false)
	if errors.Is(err, errMany) {
		topics := c.topics
		refuse(refuseMany, codeLimit, err.Error())
		c.topics = topics // taken back in the end
		return
	}
	if err != nil {
		if c.ctx.Err() == nil {
			s.refusals.Add(refuseSubscribe, c.id+": "+err.Error(), c.remote)
			c.end(closing{code: 1011, reason: "Could not subscribe. Something bad happened!", say: true})
		}
		return
	}
	s.note("WebSocket client " + c.endpoint() + " subscribed to " + vector(c.topics))
	c.admit(textFrames(eventjson.AppendAck(make([]byte, headRoom), c.id, s.deps.Version)))
}

func maySubscribe(who *access.Client, topic string) string {
	return access.Clip("client "+who.Name+" may not subscribe to "+topic, 110)
}

// readmit asks the acl file, which has changed, about the client again: one that
// is gone from it, or has what it may no longer have, is closed. It is called from
// any goroutine, so it touches nothing that serve's owns.
func (c *client) readmit(acl *access.ACL) {
	why := ""
	who, err := acl.Known(c.proof)
	if err != nil {
		why = "the acl file no longer knows this client"
	} else {
		c.may.Store(who)
		c.mu.Lock()
		wanted := c.wanted
		c.mu.Unlock()
		for _, t := range wanted {
			if !who.MaySubscribe(t) {
				why = maySubscribe(who, t)
				break
			}
		}
	}
	if why != "" {
		c.server.refusals.Add(refuseSubscribe, fmt.Sprintf("client %d: %s", c.number, why), c.remote)
		c.send(eventjson.AppendError(nil, codeDenied, why, ""))
		c.end(closing{code: 1008, reason: why, flush: true, say: true})
	}
}

// vector writes topics as Zeek prints a vector, the first hundred.
func vector(topics []string) string {
	const most = 100
	if len(topics) > most {
		return fmt.Sprintf("[%s, ... %d more]", strings.Join(topics[:most], ", "), len(topics)-most)
	}
	return "[" + strings.Join(topics, ", ") + "]"
}

// left notes why the client is gone, once reading has ended.
func (c *client) left(entered bool) {
	s := c.server
	<-c.ctx.Done() // the writer has said goodbye
	c.mu.Lock()
	why := c.ending
	c.mu.Unlock()
	s.metrics.count(fmt.Sprintf("closed.%d", why.code), 1)
	if !entered {
		return
	}
	text := fmt.Sprintf("WebSocket client %s gone with code %d", c.endpoint(), why.code)
	if why.reason != "" {
		text += fmt.Sprintf(" and reason '%s'", why.reason)
	}
	s.note(text)
}

func positional(e *event.Event) bool { return declare.Positional(e.Args) }
