// Package backend is the contract between the cluster and the thing that
// carries its messages: memory, NATS, ZeroMQ.
//
// There are two contracts. Events carries small published messages by topic
// prefix; Logs carries batches from a producer to one logger and the logger's
// acknowledgement back. A driver may serve either; one Run serves both. Drivers
// move bytes: they do not look into payloads, choose loggers, retry batches or
// count records; the machines (bus/cluster, logs/ship) do.
package backend

import (
	"context"
	"errors"

	"github.com/picket-nsm/picket/zeek/record"
)

// Kinds of error that a driver returns, wrapped with what failed.
var (
	ErrClosed   = errors.New("backend closed")
	ErrFull     = errors.New("queue full")         // try again, or drop and count
	ErrTooLarge = errors.New("message too large")  // above Limit; split it
	ErrDown     = errors.New("not connected")      // the driver is reconnecting
	ErrRefused  = errors.New("refused by the bus") // wrong credentials: permanent
)

// Reasons under which drivers count what they drop (Status.Dropped).
const (
	DropFull   = "queue_full"    // refused with ErrFull: the queue towards the bus
	DropSlow   = "slow_consumer" // arrived here, but the handler did not keep up
	DropLarge  = "too_large"     // queued, but the server of now takes less than the one of then
	DropAgain  = "again"         // arrived a second time
	DropClosed = "closed"        // still queued when Run ended without a connection
	DropBad    = "malformed"     // arrived, but is not one of ours
)

// Message is a published event as it arrives. Payload is borrowed until the
// handler returns; the strings may be kept.
type Message struct {
	Topic   string
	Sender  string // id of the node that published it
	Codec   string // broker-bin-v1 or broker-json-v1
	Via     string // id of the bridge that relayed it; empty: the sender is on this bus
	Payload []byte
}

// Events publishes to topics and delivers what others publish. Methods may be
// called from any goroutine, before, during and after Run. Topics are any
// bytes; a subscription matches every topic that begins with it, the empty one
// all of them. Messages of one publishing goroutine arrive in the order they
// were published, each once, however many subscriptions match. A node does not
// get its own messages back.
type Events interface {
	// Receive sets the handler for all messages, which is called from one
	// goroutine. It is called once, before Run and before Subscribe.
	Receive(handle func(Message))
	// Subscribe asks for topics that begin with prefix. When it returns nil on
	// a running, connected driver, messages published from then on are delivered;
	// else it takes effect with the connection, before Flush returns. Again is
	// harmless. After a reconnect all subscriptions are back.
	Subscribe(prefix string) error
	// Unsubscribe takes a Subscribe back. When it returns, the handler is not
	// called any more for what only this prefix matched, queued messages included.
	Unsubscribe(prefix string) error
	// Publish hands over a message; payload is copied before it returns. It does
	// not block, unless the driver's queue has the policy to block. nil means
	// queued, not delivered. ErrFull: the queue is full, the driver has counted it.
	Publish(topic, codec string, payload []byte) error
	// Flush waits until the driver is connected, all subscriptions are in effect
	// and all that was published has left this process.
	Flush(ctx context.Context) error
}

// NoListener is the Err of an Ack that the bus made itself: no logger of that
// name listens, so this sending reached nobody. Send it to another.
const NoListener = "no logger of that name listens"

// Ack says that a logger has written a batch, or never will.
type Ack struct {
	// Unconfirmed: handed to a logger that does not acknowledge, a real Zeek's.
	// Whether it writes the batch, nobody will tell.
	Unconfirmed bool

	Logger   string
	Producer string
	Start    uint64
	Seq      uint64
	Err      string // empty: written. Else why this sending will never be written
}

// Logs carries batches. A producer sends each batch to one logger by name; the
// logger acknowledges after the write. Delivery is at most once: whoever wants
// more sends again, and the logger knows what it has written. Batches from one
// producer to one logger arrive in the order they were sent. A node may send to
// itself.
type Logs interface {
	// Send hands the batch over to be carried to the named logger. In memory the
	// logger gets this very batch: the sender may send it again or drop it, but
	// not change it. ErrFull, ErrTooLarge, ErrDown, ErrClosed: not sent. Nobody
	// listening is told by an Ack with Err NoListener, not by an error.
	Send(logger string, b *record.Batch) error
	// Listen makes this node the logger of that name: recv is called from one
	// goroutine with batches it may keep and must not change. recv blocking slows
	// senders down by their credit, never the bus. A node is one logger.
	Listen(logger string, recv func(*record.Batch)) error
	// Ack tells the producer of a batch.
	Ack(a Ack) error
	// Acks makes this node the named producer: handle is called from one
	// goroutine. A node is one producer.
	Acks(producer string, handle func(Ack)) error
	// Limit is the largest payload in bytes that Send takes. It can grow once
	// the driver is connected, and shrink with another server.
	Limit() int
}

// Runner is the life of a driver.
type Runner interface {
	// Run serves until ctx ends, then stops taking messages, delivers what has
	// arrived, sends what is queued (for a bounded time) and closes. It
	// returns nil after ctx ended, else what ended it for good (ErrRefused).
	Run(ctx context.Context) error
	// Status may be called at any time from any goroutine.
	Status() Status
}

// Peer is a node in one of its lives, as the bus knows it.
type Peer struct{ Name, ID string }

// Discoverer is an extra ability of a driver whose bus tells who comes and goes,
// also of nodes that do not announce themselves in our way: real Zeek processes.
type Discoverer interface {
	// Discover sets what is told, before Run. tell is called from any goroutine, one
	// call at a time, in order; it must not block or call the driver.
	Discover(tell func(p Peer, up bool))
}

// Relay is an extra ability of a driver: to publish for nodes that are not on the
// bus themselves, as a bridge does. Like its own messages, what a node relayed
// does not come back to it.
type Relay interface {
	// PublishFor is Publish in the name of another node. Messages for one sender
	// must come by one relay at a time.
	PublishFor(sender, topic, codec string, payload []byte) error
}

// Foreigners is an extra ability of a driver on whose bus loggers may be that are
// not ours.
type Foreigners interface {
	// Foreign says whether that logger is a real Zeek's, which writes rows only that
	// have its own columns. false: it is not, or that is not known yet; then what
	// waits for it may be answered with NoListener once it is. From any goroutine.
	Foreign(logger string) bool
}

// Driver is a backend that serves both contracts, as mem and nats do.
type Driver interface {
	Events
	Logs
	Runner
}

// Status is what every driver tells about itself, for counters and status.
type Status struct {
	Connected  bool
	Reconnects uint64
	Published  uint64            // events that Publish took
	Delivered  uint64            // events given to the handler
	Sent       uint64            // batches that Send took
	Received   uint64            // batches given to the logger
	Dropped    map[string]uint64 // messages by reason (Drop...)
	Queued     int               // messages waiting in this process, in and out
	Trouble    string            // the connection's last error, for people; empty: none
}
