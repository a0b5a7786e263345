// Package backend is the contract between the cluster and the thing that
// carries its messages: memory, NATS, ZeroMQ.
//
// There are two contracts. Events carries small published messages by topic
// prefix; Logs carries batches from a producer to one logger and the logger's
// acknowledgement back. A driver may serve either. Drivers move bytes: they do
// not look into payloads, choose loggers, retry batches or count records; the
// machines (bus/cluster, logs/ship) do.
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

// Message is a published event as it arrives. Payload is borrowed until the
// handler returns.
type Message struct {
	Topic   string
	Sender  string // id of the node that published it
	Codec   string // broker-bin-v1 or broker-json-v1
	Payload []byte
}

// Events publishes to topics and delivers what others publish. Methods may be
// called from any goroutine, before and after the connection is up. Topics are
// any bytes; a subscription matches every topic that begins with it. Messages
// of one publisher to one topic arrive in the order they were published. A
// node does not get its own messages back.
type Events interface {
	// Subscribe asks for topics that begin with prefix. When it returns nil,
	// messages published from then on are delivered. Again is harmless.
	Subscribe(prefix string) error
	Unsubscribe(prefix string) error
	// Publish hands over a message; payload is copied before it returns. nil
	// means queued, not delivered. ErrFull: the queue's policy is to refuse,
	// the caller counts.
	Publish(topic, codec string, payload []byte) error
	// Flush waits until what was published has left this process.
	Flush(ctx context.Context) error
	// Run serves until ctx ends, then drains and closes. It calls the handler
	// given to New from one goroutine.
	Run(ctx context.Context) error
}

// Ack says that a logger has written a batch, or never will.
type Ack struct {
	Logger   string
	Producer string
	Start    uint64
	Seq      uint64
	Err      string // empty: written. Else why the logger will never write it
}

// Logs carries batches. A producer sends each batch to one logger by name; the
// logger acknowledges after the write. Delivery is at most once: whoever wants
// more sends again, and the logger knows what it has written.
type Logs interface {
	// Send hands the batch over to be carried to the named logger. The payload
	// is not changed or kept after the batch's ack arrived or the backend closed.
	// ErrFull, ErrTooLarge, ErrDown: not sent.
	Send(logger string, b *record.Batch) error
	// Listen makes this node the logger of that name: recv is called from one
	// goroutine with batches it owns from then on. recv blocking slows senders
	// down by their credit, never the bus.
	Listen(logger string, recv func(*record.Batch)) error
	// Ack tells the producer of a batch.
	Ack(a Ack) error
	// Acks makes this node the named producer: handle is called from one goroutine.
	Acks(producer string, handle func(Ack)) error
	// Limit is the largest payload in bytes that Send takes.
	Limit() int
	Run(ctx context.Context) error
}

// Status is what every driver tells about itself, for counters and status.
type Status struct {
	Connected  bool
	Reconnects uint64
	Dropped    map[string]uint64 // by reason
	Queued     int
}
