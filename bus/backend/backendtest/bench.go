package backendtest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/zeek/record"
)

// Bench measures a driver: events of 200 bytes from one node to another, and
// batches of 256 KiB from a producer to a logger with eight unacknowledged.
func Bench(b *testing.B, open func(testing.TB) Bus) {
	b.Run("events", func(b *testing.B) {
		bus := open(b)
		var got atomic.Int64
		sub := bus.New(b, "sub", Options{})
		sub.Receive(func(backend.Message) { got.Add(1) })
		n := (&node{Driver: sub, id: "sub"}).start(b)
		must(b, n.Subscribe("zeek.cluster.node.worker-1."))
		n.flush(b)
		pub := bus.up(b, "pub")
		payload := make([]byte, 200)
		b.SetBytes(200)
		b.ResetTimer()
		for i := range b.N {
			for int64(i)-got.Load() > 1000 { // stay below the receiver's queue
				time.Sleep(20 * time.Microsecond)
			}
			must(b, pub.Publish("zeek.cluster.node.worker-1.", "broker-bin-v1", payload))
		}
		for got.Load() < int64(b.N) {
			time.Sleep(20 * time.Microsecond)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("batches", func(b *testing.B) {
		bus := open(b)
		l := bus.New(b, "logger-1", Options{})
		must(b, l.Listen("logger-1", func(bt *record.Batch) {
			if err := l.Ack(backend.Ack{Logger: "logger-1", Producer: bt.Producer, Start: bt.Start, Seq: bt.Seq}); err != nil {
				b.Error(err)
			}
		}))
		(&node{Driver: l, id: "logger-1"}).start(b).flush(b)
		credit := make(chan struct{}, 8)
		p := bus.New(b, "worker-1", Options{})
		must(b, p.Acks("worker-1", func(backend.Ack) { <-credit }))
		(&node{Driver: p, id: "worker-1"}).start(b).flush(b)
		bt := batch("worker-1", 1, string(make([]byte, 256<<10)))
		b.SetBytes(256 << 10)
		b.ResetTimer()
		for range b.N {
			credit <- struct{}{}
			must(b, p.Send("logger-1", bt))
		}
		for range cap(credit) {
			credit <- struct{}{}
		}
	})
}
