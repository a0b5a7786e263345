package zmtp

import (
	"cmp"
	"fmt"
	"io"
	"time"
)

// Policy is what a sender does when the queue of a peer is full.
type Policy uint8

// The policies.
const (
	// Drop drops the message for the peer whose queue is full, counts it there
	// and tells Hooks.Dropped; the other peers get it, Send returns nil. This
	// is libzmq without NODROP. PUSH drops when no peer has room.
	Drop Policy = iota
	// Refuse gives the message to nobody when one of those that want it has no
	// room: Send returns ErrFull and the socket counts it. This is libzmq's
	// NODROP with DONTWAIT, which Zeek nodes use. PUSH: when no peer has room.
	Refuse
	// Block waits until all that want it have room, or are gone, or the socket
	// closes. Others who send on the socket wait behind it. This is libzmq's
	// NODROP without DONTWAIT. PUSH: until one peer has room.
	Block
)

// Config says what a socket is and how much it takes.
type Config struct {
	Type    Type
	Bind    []string // tcp://host:port (* for any host or port), ipc://path
	Connect []string
	Curve   *Curve // nil: no encryption

	// Queue is the high-water mark: how many messages may wait for one peer; default
	// 1000. As many again are in the batch that is being written. QueueBytes bounds
	// the same in bytes, default 64 MiB; a single message may be larger.
	Queue      int
	QueueBytes int
	Full       Policy

	// Verbose: XPUB reports repeated subscriptions too. Verboser: and each
	// removal, not only the last.
	Verbose  bool
	Verboser bool
	// Immediate: PUSH gives messages to connected peers only. Else they queue
	// for an endpoint that is not there yet, and stay over reconnects.
	Immediate bool

	// Properties are told to peers in the handshake, beside the socket's type. Names
	// of an application begin with X-; libzmq ignores them.
	Properties []Property
	// Unfiltered is a property of peers that a PUB or XPUB sends every message,
	// whatever they subscribed to: brokers that filter by what they know already,
	// and we will only when it has reached us. Empty: there are none.
	Unfiltered string

	MaxMessage       int // bytes of a message's parts; default 64 MiB
	MaxParts         int // default 1024
	MaxTopic         int // bytes of a subscription; default 4096
	MaxSubscriptions int // of one peer; default 65536
	MaxPeers         int // connections that came in, handshakes included; default 4096
	// Handshakes is how many of these may be on their way in; beyond it the oldest gives
	// way, so that those who never come to an end keep nobody out. Default 1024.
	Handshakes int

	Handshake time.Duration // limit for the whole handshake; default 10 s
	Linger    time.Duration // how long Run sends on after its context ended; default 500 ms, negative: not at all
	RetryMin  time.Duration // first wait before connecting again, doubled up to RetryMax; default 100 ms
	RetryMax  time.Duration // default 2 s
	Heartbeat time.Duration // ping after as long a silence, give up after three; default 0: never
}

// Hooks are what the socket calls. All may be nil, and none may block for long
// except Receiver.Message.
type Hooks struct {
	// Receive is called when a peer's handshake is done, from its reading
	// goroutine, and returns what takes its messages; nil: they are ignored.
	Receive func(*Peer) Receiver
	// Subscription is called from the peer's reading goroutine on PUB and XPUB,
	// in the peer's order. When it is called, the subscription is in effect.
	Subscription func(*Peer, Subscription)
	// Command is called with commands that ZMTP does not know, from the peer's
	// reading goroutine; name and data are lent. nil: they are ignored.
	Command func(p *Peer, name string, data []byte)
	// Written is called after each write to a peer, from its writing goroutine:
	// Peer.Counts has changed. It must not send on this socket.
	Written func(p *Peer)
	// Dropped is called for each message that Drop dropped, from the sender's goroutine.
	Dropped func(p *Peer, topic []byte)
	// Monitor is told what happens to connections, from any goroutine.
	Monitor func(Event)
}

// Receiver takes the messages of one peer, from one goroutine. Blocking stalls
// the peer and nobody else.
type Receiver interface {
	// Message takes one message, which is lent until it returns.
	Message(m Message)
	// Flush is called when no further message is at hand for now: the time to
	// pass on what was gathered.
	Flush()
}

// ReceiveFunc is a Receiver for which Flush is nothing.
type ReceiveFunc func(Message)

// Message calls the function.
func (f ReceiveFunc) Message(m Message) { f(m) }

// Flush does nothing.
func (f ReceiveFunc) Flush() {}

// Subscription is a peer's subscription, or the end of one.
type Subscription struct {
	Topic     string
	Subscribe bool
	// Refs: with a removal, how many times the peer had subscribed. A broker
	// takes back as many.
	Refs int
	// Gone: the removal comes from the end of the connection.
	Gone bool
}

// EventKind is what happened to a connection.
type EventKind uint8

// The kinds of event.
const (
	Listening  EventKind = iota // Endpoint is the bound one, with its port
	Connected                   // the handshake is done
	Gone                        // a connection that was Connected ended; Err says why, nil at the end of Run
	Failed                      // a handshake failed; Err says why
	DialFailed                  // nobody answers at an endpoint; told when the reason changes
	TooMany                     // MaxPeers, Handshakes: a connection was closed
)

func (k EventKind) String() string {
	return [...]string{"listening", "connected", "gone", "handshake failed", "cannot connect", "too many connections"}[k]
}

// Event is one thing that happened to a connection.
type Event struct {
	Kind     EventKind
	Endpoint string // ours, as configured, or as bound
	Remote   string // the other side's address
	Peer     *Peer  // Connected, Gone
	Err      error
}

// Default returns the configuration with defaults filled in.
func (c Config) Default() Config {
	c.Queue = cmp.Or(c.Queue, 1000)
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<20)
	c.MaxMessage = cmp.Or(c.MaxMessage, 64<<20)
	c.MaxParts = cmp.Or(c.MaxParts, 1024)
	c.MaxTopic = cmp.Or(c.MaxTopic, 4096)
	c.MaxSubscriptions = cmp.Or(c.MaxSubscriptions, 65536)
	c.MaxPeers = cmp.Or(c.MaxPeers, 4096)
	c.Handshakes = cmp.Or(c.Handshakes, 1024)
	c.Handshake = cmp.Or(c.Handshake, 10*time.Second)
	c.Linger = cmp.Or(c.Linger, 500*time.Millisecond)
	c.RetryMin = cmp.Or(c.RetryMin, 100*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, max(2*time.Second, c.RetryMin))
	if c.Verboser {
		c.Verbose = true
	}
	return c
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Type < PUB || c.Type > PULL:
		return fmt.Errorf("socket type %d", c.Type)
	case c.Queue < 1 || c.QueueBytes < 1 || c.MaxMessage < 1 || c.MaxParts < 1 || c.MaxTopic < 1 || c.MaxSubscriptions < 1 || c.MaxPeers < 1 || c.Handshakes < 1:
		return fmt.Errorf("limits must be above zero")
	case c.MaxMessage > 1<<31-1:
		return fmt.Errorf("message limit %d: at most 2 GiB", c.MaxMessage)
	case c.Handshake < 0 || c.RetryMin < 0 || c.RetryMax < c.RetryMin || c.Heartbeat < 0:
		return fmt.Errorf("durations must not be negative, nor RetryMax below RetryMin")
	case c.Full > Block:
		return fmt.Errorf("policy %d", c.Full)
	}
	for _, p := range c.Properties {
		if p.Name == "" || len(p.Name) > 255 || len(p.Value) > maxProperty {
			return fmt.Errorf("property %q: name and value have at most 255 bytes", p.Name)
		}
	}
	for _, e := range c.Bind {
		if _, err := parseEndpoint(e, true); err != nil {
			return err
		}
	}
	for _, e := range c.Connect {
		if _, err := parseEndpoint(e, false); err != nil {
			return err
		}
	}
	if k := c.Curve; k != nil {
		switch {
		case k.Secret == Secret{}:
			return fmt.Errorf("curve: no secret key")
		case k.Server && !k.Anyone && len(k.Clients) == 0:
			return fmt.Errorf("curve: a server without known clients lets nobody in")
		case !k.Server && k.ServerKey == Key{}:
			return fmt.Errorf("curve: a client needs the server's public key")
		}
	}
	return nil
}

// Deps is what the program passes in.
type Deps struct {
	Hooks  Hooks
	Chance io.Reader // for keys and nonces; nil: crypto/rand
}
