package websocket_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// The benchmarks run door, bus and clients in one process, so what they say of
// CPU is for all of them.

// cpu is the CPU time of this process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rate reports events per second, CPU per event, and what two idle cores would do.
func rate(b *testing.B, events int, start time.Time, used time.Duration) {
	b.ReportMetric(float64(events)/time.Since(start).Seconds(), "events/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(events), "cpu-ns/event")
	b.ReportMetric(2e9*float64(events)/float64(used.Nanoseconds()), "events/s-2-cores")
	b.ReportMetric(0, "ns/op")
}

// conn is an event as scripts send them: five typed arguments, 480 bytes of JSON.
func connEvent(n uint64) event.Event {
	return event.New("Bench::conn", value.TimeNanos(1700000000250e6), value.String("CHhAvVGS1DHFjwGM9"),
		value.Addr16([16]byte{10: 255, 11: 255, 12: 10, 15: 1}), value.Port(50000, value.ProtoTCP), value.Count(n))
}

const benchDecls = "global Bench::conn: event(ts: time, uid: string, host: addr, p: port, n: count);"

// window is how many events are on the way at most.
const window = 4000

// Distinct events from a node to one client: one that looks at frames, our typed
// one, and one that looks at frames, over a NATS server in the same process.
func BenchmarkOut(b *testing.B) {
	for _, client := range []string{"frames", "typed", "nats"} {
		b.Run(client, func(b *testing.B) {
			on := open
			if client == "nats" {
				on = openNATS
			}
			w := on(b, websocket.Config{}, nil)
			var got atomic.Int64
			done := make(chan struct{})
			next := func(n uint64) bool {
				if int64(n) != got.Load() {
					b.Errorf("event %d after %d", n, got.Load())
					return false
				}
				return got.Add(1) < int64(b.N)
			}
			switch client {
			case "frames", "nats":
				r := dialRaw(b, w, websocket.PathV1)
				_ = r.SetDeadline(time.Time{})
				r.write(0x81, []byte(`["bench/"]`))
				r.frame()
				go func() {
					defer close(done)
					for more := true; more; {
						first, text, err := r.next()
						if err != nil {
							b.Error(err)
							return
						}
						if first == 0x89 {
							r.write(0x8a, text)
							continue
						}
						s := string(text[:len(text)-len("}]}]}]}")])
						n, _ := strconv.ParseUint(s[strings.LastIndexByte(s, ':')+1:], 10, 64)
						more = next(n)
					}
				}()
			case "typed":
				c, err := wsclient.Dial(b.Context(), wsclient.Config{URL: w.url, Topics: []string{"bench/"}})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				go func() {
					defer close(done)
					for more := true; more; {
						e, err := c.Recv(b.Context())
						if err != nil {
							b.Error(err)
							return
						}
						more = next(e.Args[4].Count())
					}
				}()
			}
			b.ResetTimer()
			start, before := time.Now(), cpu()
			for n := range b.N {
				for int64(n)-got.Load() > window {
					runtime.Gosched()
					time.Sleep(50 * time.Microsecond)
				}
				w.publish("bench/conn", connEvent(uint64(n)))
			}
			<-done
			rate(b, b.N, start, cpu()-before)
			until(b, "all are counted", func() bool { return w.door.Counters()["events.out"] == uint64(b.N) })
		})
	}
}

// Events with typed arguments from two clients, checked against a declaration, to
// a node that decodes them.
func BenchmarkIn(b *testing.B) {
	for _, bus := range []string{"mem", "nats"} {
		b.Run(bus, func(b *testing.B) {
			const clients = 2
			on := open
			if bus == "nats" {
				on = openNATS
			}
			var got atomic.Int64
			w := on(b, websocket.Config{Declarations: declarations(b, benchDecls), DeclaredOnly: true}, func(m backend.Message) {
				if e, err := brokerbin.New().Decode(m.Payload); err == nil && len(e.Args) == 5 {
					got.Add(1)
				}
			})
			if err := w.node.Subscribe("bench/"); err != nil {
				b.Fatal(err)
			}
			if err := w.node.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			var conns []*wsclient.Conn
			for range clients {
				c, err := wsclient.Dial(b.Context(), wsclient.Config{URL: w.url})
				if err != nil {
					b.Fatal(err)
				}
				defer c.Close()
				go func() { _, _ = c.Recv(b.Context()) }() // nothing but pings
				conns = append(conns, c)
			}
			b.ResetTimer()
			start, before := time.Now(), cpu()
			var sending sync.WaitGroup
			for i, c := range conns {
				sending.Go(func() {
					for n := i; n < b.N; n += clients {
						// A bus of processes has a bounded queue at the node, which
						// drops (and counts) what finds it full.
						for int64(n)-got.Load() > window {
							time.Sleep(50 * time.Microsecond)
						}
						if err := c.Publish(b.Context(), "bench/conn", connEvent(uint64(n))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			sending.Wait()
			until(b, "all arrived", func() bool { return got.Load() == int64(b.N) })
			rate(b, b.N, start, cpu()-before)
			if d := w.node.Status().Dropped[backend.DropSlow]; d > 0 {
				b.Errorf("%d dropped at the node", d)
			}
		})
	}
}

// 100 and 1,000 clients that get 200 events a second each, on four topics that all
// of them want, one stalled client among them; ten seconds, whatever -benchtime is.
func BenchmarkFanout(b *testing.B) {
	for _, clients := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%d-clients", clients), func(b *testing.B) { fanout(b, clients) })
	}
}

func fanout(b *testing.B, clients int) {
	const perSecond, seconds = 200, 10
	w := open(b, websocket.Config{Connections: clients + 1, QueueBytes: 1 << 20}, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	type reader struct {
		*raw
		late []time.Duration
		got  int
	}
	var all []*reader
	for range clients + 1 {
		r := dialRaw(b, w, websocket.PathV1)
		_ = r.SetDeadline(time.Time{})
		r.write(0x81, []byte(`["t/0","t/1","t/2","t/3"]`))
		r.frame()
		all = append(all, &reader{raw: r})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if t, ok := all[clients].Conn.(*net.TCPConn); ok { // the stalled one
		_ = t.SetReadBuffer(4 << 10)
	}
	const events = perSecond * seconds
	var reading sync.WaitGroup
	for _, r := range all[:clients] {
		reading.Go(func() {
			var text []byte
			for r.got < events {
				var first byte
				var err error
				first, text, err = r.nextInto(text)
				if err != nil {
					if err != io.EOF {
						b.Error(err)
					}
					return
				}
				if first == 0x89 {
					r.write(0x8a, text)
					continue
				}
				r.got++
				if r.got%10 == 0 {
					s := string(text[:len(text)-len("}]}]}]}")])
					sent, _ := strconv.ParseInt(s[strings.LastIndexByte(s, ':')+1:], 10, 64)
					r.late = append(r.late, time.Duration(time.Now().UnixNano()-sent))
				}
			}
		})
	}
	b.ResetTimer()
	start, used := time.Now(), cpu()
	for n := range events {
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / perSecond)))
		w.publish(fmt.Sprintf("t/%d", n%4), connEvent(uint64(time.Now().UnixNano())))
	}
	reading.Wait()
	took := time.Since(start)
	used = cpu() - used
	var late []time.Duration
	total := 0
	for _, r := range all[:clients] {
		late = append(late, r.late...)
		total += r.got
	}
	slices.Sort(late)
	if total != clients*events {
		b.Errorf("%d of %d events", total, clients*events)
	}
	// Both ends are in this process: a client's own buffers are in it.
	b.ReportMetric(float64(after.HeapInuse+after.StackInuse-before.HeapInuse-before.StackInuse)/float64(clients+1), "bytes/client")
	b.ReportMetric(float64(total)/took.Seconds(), "deliveries/s")
	b.ReportMetric(100*used.Seconds()/took.Seconds(), "%cpu")
	b.ReportMetric(float64(used.Nanoseconds())/float64(total), "cpu-ns/delivery")
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(0, "ns/op")
	n := w.door.Counters()
	if n["events.encoded"] != events {
		b.Errorf("%v", n)
	}
	b.Logf("door: %v", n)
}
