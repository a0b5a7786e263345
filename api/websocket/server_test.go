package websocket_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

func count(n int) string { return fmt.Sprintf(`{"@data-type":"count","data":%d}`, n) }

// A client's events go to the cluster and to the other clients, once each, and
// not back.
func TestWhoGetsWhat(t *testing.T) {
	got := make(chan string, 10)
	w := open(t, websocket.Config{}, func(m backend.Message) {
		e, err := brokerbin.New().Decode(m.Payload)
		got <- fmt.Sprint(m.Topic, " ", e.Name, " ", m.Sender, " ", err)
	})
	if err := w.node.Subscribe("a/"); err != nil {
		t.Fatal(err)
	}
	one, two, three := w.dial(websocket.PathV1), w.dial(websocket.PathV1), w.dial(websocket.PathV1)
	one.subscribe("a/", "a/b", "", "x")
	two.subscribe("a/b", "a/", "a/b")
	three.subscribe("a/bc")
	one.send(message("a/b", "from::one", 1))
	two.want(text("a/b", "from::one", count(1)))
	if g := <-got; g != "a/b from::one node-websocket <nil>" {
		t.Error(g)
	}
	w.publish("a/bc", event.New("from::node", value.Count(2)))
	for _, c := range []*conn{one, two, three} {
		c.want(text("a/bc", "from::node", count(2)))
	}
	one.send(message("picket.presence", "Picket::goodbye", "manager", "id"))
	one.want(`{"type":"error","code":"access_denied","context":"events whose names begin with Picket:: are the nodes' own"}`)
	// What would come next had the first come back, or come twice.
	w.publish("a/bc", event.New("from::node", value.Count(3)))
	for _, c := range []*conn{one, two, three} {
		c.want(text("a/bc", "from::node", count(3)))
	}
	until(t, "counters", func() bool { return w.door.Counters()["events.out"] == 7 })
	n := w.door.Counters()
	if n["events.in"] != 1 || n["events.bus"] != 2 || n["events.encoded"] != 3 || n["clients"] != 3 || n["subscriptions"] != 5 {
		t.Errorf("%v", n)
	}
}

// recorder is a bus that notes subscriptions.
type recorder struct {
	backend.Events
	mu  sync.Mutex
	log []string
}

func (r *recorder) Receive(func(backend.Message)) {}
func (r *recorder) Subscribe(p string) error      { r.note("+" + p); return nil }
func (r *recorder) Unsubscribe(p string) error    { r.note("-" + p); return nil }

func (r *recorder) Flush(context.Context) error { return nil }
func (r *recorder) note(s string) {
	r.mu.Lock()
	r.log = append(r.log, s)
	r.mu.Unlock()
}

// One subscription at the bus for each distinct topic, as long as anyone wants it.
func TestSubscriptionsAreShared(t *testing.T) {
	r := &recorder{}
	w := openOn(t, websocket.Config{}, r)
	a, b := w.dial(websocket.PathV1), w.dial(websocket.PathV2)
	a.subscribe("y", "x", "y")
	b.subscribe("y", "z")
	log := func(want ...string) {
		t.Helper()
		until(t, strings.Join(want, " "), func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.Equal(r.log, want)
		})
	}
	log("+x", "+y", "+z")
	_ = a.Close(ws.StatusNormalClosure, "")
	log("+x", "+y", "+z", "-x")
	_ = b.CloseNow()
	log("+x", "+y", "+z", "-x", "-y", "-z")
}

// faulty is a bus that does not take things.
type faulty struct {
	recorder
	subscribe, publish error
	full               atomic.Int32 // publishes that find it full
}

func (f *faulty) Subscribe(string) error { return f.subscribe }
func (f *faulty) Publish(string, string, []byte) error {
	if f.full.Add(-1) >= 0 {
		return fmt.Errorf("x: %w", backend.ErrFull)
	}
	return f.publish
}

// What the bus does not take is said, and still goes to the other clients here.
func TestBusErrors(t *testing.T) {
	w := openOn(t, websocket.Config{}, &faulty{subscribe: backend.ErrClosed})
	c := w.dial(websocket.PathV1)
	c.send(`["t"]`)
	c.closed(1011, "Could not subscribe. Something bad happened!")
	for _, b := range []struct {
		err  error
		full int32
		says string
	}{
		{nil, 0, ""}, {nil, 3, ""}, {nil, 1000, "the bus is full"}, {backend.ErrClosed, 0, "the bus is not there"},
		{backend.ErrTooLarge, 0, "an event of 36 bytes is more than the bus takes"},
	} {
		f := &faulty{publish: b.err}
		f.full.Store(b.full)
		w := openOn(t, websocket.Config{}, f)
		c, other := w.dial(websocket.PathV1), w.dial(websocket.PathV1)
		c.subscribe()
		other.subscribe("t")
		c.send(message("t", "e", 1))
		if b.says != "" {
			c.want(`{"type":"error","code":"publish_failed","context":"` + b.says + `"}`)
		}
		other.want(text("t", "e", count(1)))
		want := uint64(0)
		if b.says != "" {
			want = 1
		}
		if n := w.door.Counters()["dropped.bus"]; n != want {
			t.Errorf("%v: %d dropped", b, n)
		}
	}
}

func TestNotes(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	c := w.dial(websocket.PathV1, "X-Application-Name", "super-duper-app")
	c.subscribe("/topic/ws/all", "/topic/ws/1")
	_ = c.Close(ws.StatusNormalClosure, "")
	until(t, "one gone", func() bool { return strings.Count(w.notes.String(), "gone") == 1 })
	d := w.dial(websocket.PathV1)
	d.subscribe()
	_ = d.CloseNow()
	until(t, "two gone", func() bool { return strings.Count(w.notes.String(), "gone") == 2 })
	e := w.dial(websocket.PathV1)
	e.subscribe()
	w.stop()
	e.closed(1001, "Terminating")
	port := func(s string) string { // of the client
		i, j := strings.Index(s, ":"), strings.Index(s, ")")
		return s[:i] + s[j:]
	}
	var got []string
	for _, l := range strings.Split(w.notes.String(), "\n") {
		got = append(got, port(l))
	}
	want := []string{
		"WebSocket client 'node_1-websocket-0' (127.0.0.1) application_name=super-duper-app subscribed to [/topic/ws/1, /topic/ws/all]",
		"WebSocket client 'node_1-websocket-0' (127.0.0.1) application_name=super-duper-app gone with code 1000",
		"WebSocket client 'node_1-websocket-1' (127.0.0.1) subscribed to []",
		"WebSocket client 'node_1-websocket-1' (127.0.0.1) gone with code 1006 and reason 'Abnormal closure'",
		"WebSocket client 'node_1-websocket-2' (127.0.0.1) subscribed to []",
		"WebSocket client 'node_1-websocket-2' (127.0.0.1) gone with code 1001 and reason 'Terminating'",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Numbers between Picket's nodes are not for clients; the network time is.
func TestMetadata(t *testing.T) {
	got := make(chan []event.Meta, 4)
	w := open(t, websocket.Config{}, func(m backend.Message) {
		e, _ := brokerbin.New().Decode(m.Payload)
		got <- e.Meta
	})
	_ = w.node.Subscribe("t")
	c := w.dial(websocket.PathV1)
	c.subscribe("t")
	e := event.New("e")
	e.Meta = []event.Meta{{ID: event.MetaSequence, Value: value.Count(9)}}
	w.publish("t", e)
	c.want(text("t", "e", ""))
	e.Meta = append(e.Meta, event.Meta{ID: event.MetaNetworkTime, Value: value.TimeNanos(4711e9)})
	w.publish("t", e)
	stamped := strings.TrimSuffix(text("t", "e", ""), "]}]}") + `,{"@data-type":"vector","data":[{"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"timestamp","data":"1970-01-01T01:18:31.000"}]}]}]}]}`
	c.want(stamped)
	c.send(strings.Replace(stamped, `"data":1}`, `"data":1}`, 1))
	if m := <-got; len(m) != 1 || m[0].ID != event.MetaNetworkTime || m[0].Value.Nanos() != 4711e9 {
		t.Errorf("%+v", m)
	}
	c.send(strings.Replace(stamped, `"data":1},{"@data-type":"timestamp"`, `"data":300},{"@data-type":"timestamp"`, 1))
	if m := <-got; m != nil {
		t.Errorf("%+v", m)
	}
}

const decls = `module M; type R: record { a: count; b: string &optional; }; global e: event(r: R, s: string);`

func declarations(t testing.TB, text string) []string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "events.zeek")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{f}
}

// v2 shows and takes records by name; v1 clients and the cluster see positions.
func TestV2(t *testing.T) {
	w := open(t, websocket.Config{Declarations: declarations(t, decls)}, nil)
	v1, v2, other := w.dial(websocket.PathV1), w.dial(websocket.PathV2), w.dial(websocket.PathV2)
	for _, c := range []*conn{v1, v2, other} {
		c.subscribe("t")
	}
	named := `{"@data-type":"record","data":{"b":{"@data-type":"string","data":"x"},"a":{"@data-type":"count","data":1}}},{"@data-type":"bytes","data":"/w=="}`
	sorted := `{"@data-type":"record","data":{"a":{"@data-type":"count","data":1},"b":{"@data-type":"string","data":"x"}}},{"@data-type":"bytes","data":"/w=="}`
	positional := `{"@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"string","data":"x"}]},{"@data-type":"string","data":"\\xff"}`
	v2.send(text("t", "M::e", named))
	v1.want(text("t", "M::e", positional))
	other.want(text("t", "M::e", sorted))
	// Not declared: any event passes, by position.
	v2.send(text("t", "M::f", `{"@data-type":"real","data":1}`))
	v1.want(text("t", "M::f", `{"@data-type":"real","data":1.000000}`))
	other.want(text("t", "M::f", `{"@data-type":"real","data":1.000000}`))
	fail := func(detail string) string {
		return `{"type":"error","code":"deserialization_failed","context":"failed to create Zeek event","detail":"` + detail + `"}`
	}
	v2.send(text("t", "M::f", named))
	v2.want(fail("records by field name, but no declaration of M::f"))
	v2.send(text("t", "M::e", `{"@data-type":"count","data":1},{"@data-type":"count","data":1}`))
	v2.want(fail("event does not fit its declaration: parameter r of M::e: a count, not a M::R"))
	v1.send(text("t", "M::e", `{"@data-type":"count","data":1},{"@data-type":"count","data":1}`))
	v1.want(`{"type":"error","code":"deserialization_failed","context":"failed to create Zeek event"}`)
}

// A client that answers pings stays, whoever does not is closed.
func TestPings(t *testing.T) {
	w := open(t, websocket.Config{PingInterval: 100 * time.Millisecond}, nil)
	good := w.dial(websocket.PathV1)
	good.subscribe("t")
	raw := dialRaw(t, w, websocket.PathV1)
	raw.write(0x81, []byte(`[]`))
	end := make(chan string, 1)
	go func() { end <- raw.end() }()
	for n := 0; ; n++ {
		// Read, which answers pings, until the other one is closed.
		w.publish("t", event.New("e", value.Count(uint64(n))))
		good.want(text("t", "e", count(n)))
		select {
		case got := <-end:
			if got != "1011 Ping timeout" {
				t.Error(got)
			}
			if p := w.door.Counters()["pings"]; p < 2 {
				t.Errorf("%d pings", p)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A client that is slow, but takes what waits for it, stays, though we do not read
// from it meanwhile and so see no answers to pings.
func TestSlowButAlive(t *testing.T) {
	w := open(t, websocket.Config{PingInterval: 1500 * time.Millisecond, QueueBytes: 32 << 20}, nil)
	r := dialRaw(t, w, websocket.PathV1)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	r.write(0x81, []byte(`["t"]`))
	r.frame()
	fill := value.String(strings.Repeat("x", 100000))
	const events = 250 // 25 MB: more than half of the queue after all buffers on the way
	for range events {
		w.publish("t", event.New("e", fill))
	}
	go func() { // it has something to say, too, so that we would read
		for range 20 {
			r.write(0x81, []byte(message("u", "e", 1)))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	for got := 0; got < events; {
		first, payload := r.frame()
		switch first & 0x0f {
		case 0x9:
			r.write(0x8a, nil)
			continue
		case 0x8:
			t.Fatalf("closed after %d events: %q; %v", got, payload, w.door.Counters())
		}
		if first&0x80 != 0 {
			got++
			time.Sleep(16 * time.Millisecond) // all of it takes several times the interval
		}
	}
}

// Messages of 32 KiB and more go out in several frames, and come in in any.
func TestFragments(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	raw := dialRaw(t, w, websocket.PathV1)
	raw.write(0x81, []byte(`["t"]`))
	if op, b := raw.frame(); op != 0x81 || !strings.HasPrefix(string(b), `{"type":"ack"`) {
		t.Fatalf("%x %s", op, b)
	}
	empty := len(text("t", "e", `{"@data-type":"string","data":""}`))
	for _, c := range []struct {
		size   int
		frames []int
	}{
		{125 + empty, []int{125 + empty}}, {32767, []int{32767}}, {32768, []int{32768}}, {32769, []int{32768, 1}}, {65536, []int{32768, 32768}}, {65537, []int{32768, 32768, 1}},
	} {
		s := strings.Repeat("a", c.size-empty)
		w.publish("t", event.New("e", value.String(s)))
		var sizes []int
		var all string
		for i := 0; ; i++ {
			op, b := raw.frame()
			sizes = append(sizes, len(b))
			all += string(b)
			if want := byte(0); i == 0 && op&0x0f != 1 || i > 0 && op&0x0f != want {
				t.Errorf("frame %d of %d bytes: %x", i, c.size, op)
			}
			if op&0x80 != 0 {
				break
			}
		}
		if !slices.Equal(sizes, c.frames) || all != text("t", "e", `{"@data-type":"string","data":"`+s+`"}`) {
			t.Errorf("%d bytes in frames of %d", c.size, sizes)
		}
	}
	// A message of a client in frames of a byte, a ping between them.
	other := w.dial(websocket.PathV1)
	other.subscribe("u")
	m := message("u", "e", 1)
	raw.write(0x01, []byte(m[:1]))
	raw.write(0x89, []byte("hello"))
	for i := 1; i < len(m)-1; i++ {
		raw.write(0x00, []byte(m[i:i+1]))
	}
	raw.write(0x80, []byte(m[len(m)-1:]))
	if op, b := raw.frame(); op != 0x8a || string(b) != "hello" {
		t.Errorf("pong: %x %s", op, b)
	}
	other.want(text("u", "e", count(1)))
	// A pong comes after the answers to what was sent before the ping.
	for range 100 {
		raw.write(0x81, []byte("{"))
	}
	raw.write(0x89, []byte("now"))
	for i := range 101 {
		if op, b := raw.frame(); (op == 0x8a) != (i == 100) {
			t.Fatalf("frame %d: %x %s", i, op, b)
		}
	}
}

func TestLimits(t *testing.T) {
	w := open(t, websocket.Config{MessageBytes: 1000, Subscriptions: 3, Connections: 2, Rate: 20}, nil)
	c := w.dial(websocket.PathV1)
	c.send(`["a","b","c","d"]`)
	c.want(`{"type":"error","code":"limit_exceeded","context":"4 subscriptions, where 3 are the most"}`)
	c.closed(1008, "4 subscriptions, where 3 are the most")
	c = w.dial(websocket.PathV1)
	c.send(`["` + strings.Repeat("a", 990) + `"]`)
	if got := c.recv(); !strings.HasPrefix(got, `{"type":"ack"`) {
		t.Error(got)
	}
	c.send(message("t", "e", strings.Repeat("b", 1000)))
	c.closed(1009, "read limited at 1001 bytes")
	c = w.dial(websocket.PathV1)
	c.send("\"\xff\"")
	c.closed(1007, "Invalid UTF-8 in message")

	// Faster than allowed: slowed, and nothing is lost.
	until(t, "no clients", func() bool { return w.door.Counters()["clients"] == 0 })
	in, out := w.dial(websocket.PathV1), w.dial(websocket.PathV1)
	in.subscribe()
	out.subscribe("t")
	start := time.Now()
	for i := range 40 {
		in.send(message("t", "e", i))
	}
	for i := range 40 {
		out.want(text("t", "e", count(i)))
	}
	if d := time.Since(start); d < 500*time.Millisecond {
		t.Errorf("40 messages at 20 a second took %v", d)
	}
	if status, body := w.try(nil); status != 503 || body != "too many connections; try again later" {
		t.Errorf("%d %s", status, body)
	}
	n := w.door.Counters()
	if n["refused.subscriptions"] != 1 || n["refused.too_large"] != 1 || n["refused.utf8"] != 1 || n["refused.connections"] != 1 || n["slowed"] == 0 {
		t.Errorf("%v", n)
	}
}

// A client that reads nothing is closed, and costs the others nothing.
func TestStalledClient(t *testing.T) {
	w := open(t, websocket.Config{QueueBytes: 512 << 10, PingInterval: -1}, nil)
	stalled := dialRaw(t, w, websocket.PathV1)
	stalled.write(0x81, []byte(`["t"]`))
	until(t, "subscribed", func() bool { return w.door.Counters()["subscriptions"] == 1 })
	var others []*conn
	for range 3 {
		c := w.dial(websocket.PathV1)
		c.subscribe("t")
		others = append(others, c)
	}
	// It wakes up when it is too late, and is told.
	told := make(chan string, 1)
	go func() {
		until(t, "too slow", func() bool { return w.door.Counters()["dropped.slow_client"] > 0 })
		told <- stalled.end()
	}()
	fill := strings.Repeat("x", 8000)
	const events = 2500 // more than all buffers on the way take
	var reading sync.WaitGroup
	var read [3]atomic.Int64
	for i, c := range others {
		reading.Go(func() {
			for n := range events {
				read[i].Store(int64(n))
				if got := c.recv(); got != text("t", "e", count(n)+`,{"@data-type":"string","data":"`+fill+`"}`) {
					t.Errorf("event %d is %.200s", n, got)
					return
				}
			}
		})
	}
	for n := range events {
		w.publish("t", event.New("e", value.Count(uint64(n)), value.String(fill)))
		// As fast as the others read: their own queues are small, too.
		until(t, "others keep up", func() bool {
			return min(read[0].Load(), read[1].Load(), read[2].Load()) > int64(n)-30
		})
	}
	reading.Wait()
	got := <-told
	if !strings.HasPrefix(got, "1013 Too slow: ") {
		t.Errorf("closed by %s", got)
	}
	until(t, "closed", func() bool { return w.door.Counters()["closed.1013"] == 1 })
	n := w.door.Counters()
	if n["events.out"]+n["dropped.slow_client"]+n["dropped.gone"] < 3*events || n["dropped.slow_client"] == 0 {
		t.Errorf("%v", n)
	}
	if !strings.Contains(w.notes.String(), "gone with code 1013 and reason 'Too slow: ") {
		t.Error(w.notes.String())
	}
}

// Whoever has the ack gets what is published from then on.
func TestNothingIsLostBehindTheAck(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16)) // threads that are stopped anywhere
	w := open(t, websocket.Config{}, nil)
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for n := range 50 {
				c := w.dial(websocket.PathV1)
				topic := fmt.Sprintf("t/%d/%d/", i, n)
				c.subscribe(topic)
				w.publish(topic, event.New("e", value.Count(uint64(n))))
				if got := c.recv(); got != text(topic, "e", count(n)) {
					t.Errorf("got %s", got)
					return
				}
				_ = c.CloseNow()
			}
		})
	}
	clients.Wait()
}

// Events are counted by the name that clients give, as Zeek does; of too many
// names the rest is one.
func TestEventsByApplication(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	one := w.dial(websocket.PathV1, "X-Application-Name", "one/1.0")
	one.subscribe("t")
	nobody := w.dial(websocket.PathV1)
	nobody.subscribe("t")
	one.send(message("t", "e", 1))
	nobody.want(text("t", "e", count(1)))
	until(t, "counted", func() bool {
		n := w.door.Counters()
		return n["app.in.one/1.0"] == 1 && n["app.out.unknown"] == 1
	})
	for i := range 40 {
		w.dial(websocket.PathV1, "X-Application-Name", fmt.Sprintf("%040d", i)).subscribe()
		w.dial(websocket.PathV1, "X-Application-Name", fmt.Sprintf("n%d", i)).subscribe()
	}
	names := 0
	for name := range w.door.Counters() {
		if rest, ok := strings.CutPrefix(name, "app.in."); ok {
			if names++; len(rest) > 32 {
				t.Errorf("a name of %d bytes", len(rest))
			}
		}
	}
	if n, ok := w.door.Counters()["app.in.other"]; !ok || n != 0 || names != 33 {
		t.Errorf("%d names, other %v %d", names, ok, n)
	}
}
