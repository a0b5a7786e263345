package websocket_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/backend/nats"
	"github.com/picket-nsm/picket/bus/backend/nats/server"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// world is a door on a bus, with a node beside it.
type world struct {
	t      testing.TB
	node   backend.Driver
	door   *websocket.Server
	url    string
	base   string      // without the path
	tls    *tls.Config // of clients
	notes  notes
	log    notes
	cancel context.CancelFunc
	ended  chan error
}

type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(s string) {
	n.mu.Lock()
	n.all = append(n.all, s)
	n.mu.Unlock()
}

// Write takes log lines.
func (n *notes) Write(p []byte) (int, error) {
	n.add(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.all, "\n")
}

// open starts a door on a bus in memory. handle is the node's.
func open(t testing.TB, cfg websocket.Config, handle func(backend.Message)) *world {
	t.Helper()
	bus := mem.NewBus(mem.Config{Policy: mem.Block})
	return openWith(t, cfg, handle, bus.Endpoint("node"), bus.Endpoint("node-websocket"))
}

// openNATS does the same on a NATS server.
func openNATS(t testing.TB, cfg websocket.Config, handle func(backend.Message)) *world {
	t.Helper()
	s, err := server.Start(server.Options{Users: []server.User{{Name: "a", Password: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	var ends []backend.Driver
	for _, id := range []string{"node", "node-websocket"} {
		c, err := nats.New(nats.Config{ID: id, URL: s.URL(), User: "a", Password: "b"}, func() int64 { return time.Now().UnixNano() })
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, c)
	}
	return openWith(t, cfg, handle, ends[0], ends[1])
}

func openWith(t testing.TB, cfg websocket.Config, handle func(backend.Message), node, conn backend.Driver) *world {
	t.Helper()
	if handle != nil {
		node.Receive(handle)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	w := openOn(t, cfg, conn)
	w.node = node
	for _, e := range []backend.Driver{node, conn} {
		running.Go(func() { _ = e.Run(ctx) })
	}
	if err := node.Flush(t.Context()); err != nil { // connected
		t.Fatal(err)
	}
	return w
}

// openOn starts a door on a bus. It ends with the test, before the bus.
func openOn(t testing.TB, cfg websocket.Config, bus backend.Events) *world {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	w := &world{t: t, ended: make(chan error, 1)}
	var err error
	w.door, err = websocket.New(cfg, websocket.Deps{
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Now: time.Now, ID: "node_1", Version: "9.0.0-test",
		Bus: bus, Codec: brokerbin.New(), Also: []codec.Codec{brokerjson.New()}, Note: w.notes.add,
	})
	if err != nil {
		t.Fatal(err)
	}
	if w.url, err = w.door.Listen(); err != nil {
		t.Fatal(err)
	}
	w.base = strings.TrimSuffix(w.url, websocket.PathV1)
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	go func() { w.ended <- w.door.Run(ctx) }()
	t.Cleanup(w.stop)
	return w
}

// stop ends the door and checks that it takes a bounded time.
func (w *world) stop() {
	w.cancel()
	select {
	case err := <-w.ended:
		if err != nil {
			w.t.Error(err)
		}
		w.ended <- nil
	case <-time.After(30 * time.Second):
		w.t.Error("the door does not stop")
	}
}

// dial connects; options are pairs of header and value.
func (w *world) dial(path string, header ...string) *conn {
	w.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	o := &ws.DialOptions{HTTPHeader: h}
	if w.tls != nil {
		tr := &http.Transport{TLSClientConfig: w.tls}
		w.t.Cleanup(tr.CloseIdleConnections)
		o.HTTPClient = &http.Client{Transport: tr}
	}
	if host := h.Get("Host"); host != "" {
		h.Del("Host")
		o.Host = host
	}
	c, resp, err := ws.Dial(w.t.Context(), w.base+path, o)
	if err != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		w.t.Fatalf("dial %s: %v (%d)", path, err, status)
	}
	c.SetReadLimit(-1)
	w.t.Cleanup(func() { _ = c.CloseNow() })
	return &conn{w.t, c}
}

type conn struct {
	t testing.TB
	*ws.Conn
}

const patience = time.Minute

func (c *conn) send(text string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), ws.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send %.80s: %v", text, err)
	}
}

// recv returns the next message.
func (c *conn) recv() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	typ, b, err := c.Read(ctx)
	if err != nil {
		c.t.Fatalf("no message: %v", err)
	}
	if typ != ws.MessageText {
		c.t.Fatalf("a message of type %v", typ)
	}
	return string(b)
}

func (c *conn) want(text string) {
	c.t.Helper()
	if got := c.recv(); got != text {
		c.t.Fatalf("got  %s\nwant %s", got, text)
	}
}

// closed reads until the connection closes.
func (c *conn) closed(code int, reason string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	for {
		_, _, err := c.Read(ctx)
		if err == nil {
			continue
		}
		var bye ws.CloseError
		if !errors.As(err, &bye) || int(bye.Code) != code || bye.Reason != reason {
			c.t.Fatalf("closed by %v, want %d %s", err, code, reason)
		}
		return
	}
}

// subscribe sends the first message and takes the ack.
func (c *conn) subscribe(topics ...string) {
	c.t.Helper()
	b, _ := json.Marshal(append([]string{}, topics...))
	c.send(string(b))
	if got := c.recv(); !strings.HasPrefix(got, `{"type":"ack",`) {
		c.t.Fatalf("no ack but %s", got)
	}
}

// message is an event of strings and counts in v1.
func message(topic, name string, args ...any) string {
	type typed map[string]any
	of := func(t string, v any) typed { return typed{"@data-type": t, "data": v} }
	list := []typed{}
	for _, a := range args {
		switch a := a.(type) {
		case string:
			list = append(list, of("string", a))
		case int:
			list = append(list, of("count", a))
		case typed:
			list = append(list, a)
		}
	}
	m := typed{"type": "data-message", "topic": topic, "@data-type": "vector", "data": []typed{of("count", 1), of("count", 1),
		of("vector", []typed{of("string", name), of("vector", list)})}}
	b, _ := json.Marshal(m)
	return string(b)
}

// text is an event as the server writes it.
func text(topic, name, args string) string {
	return `{"type":"data-message","topic":"` + topic + `","@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},` +
		`{"@data-type":"vector","data":[{"@data-type":"string","data":"` + name + `"},{"@data-type":"vector","data":[` + args + `]}]}]}`
}

// publish sends an event from the node.
func (w *world) publish(topic string, e event.Event) {
	w.t.Helper()
	b, err := brokerbin.New().Append(nil, &e)
	if err != nil {
		w.t.Fatal(err)
	}
	for {
		err := w.node.Publish(topic, brokerbin.Name, b)
		if err == nil {
			return
		}
		if !errors.Is(err, backend.ErrFull) {
			w.t.Fatal(err)
		}
		_ = w.node.Flush(w.t.Context())
	}
}

// until waits for something to become true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// gold answers as server.zeek does.
func gold(w **world) func(backend.Message) {
	vec := func(v ...value.Value) value.Value { return value.Vector(v) }
	cnt, str := value.Count, value.String
	return func(m backend.Message) {
		e, err := brokerbin.New().Decode(m.Payload)
		if err != nil || e.Name != "Gold::ping" {
			return
		}
		n := e.Args[1].Count()
		(*w).publish("/gold/pong", event.New("Gold::pong", str("my-"+e.Args[0].Str()), cnt(n+1)))
		if n != 5 {
			return
		}
		(*w).publish("/gold/many", event.New("Gold::many", value.Bool(true), cnt(1), value.Int(-1), value.Double(0.5), str("s\x00\xffé\""),
			value.Addr16([16]byte{10: 255, 11: 255, 12: 10, 15: 1}), value.Subnet([16]byte{0x20, 1, 0xd, 0xb8}, 32), value.Port(443, value.ProtoTCP),
			value.TimeNanos(1700000000250e6), value.IntervalNanos(90e9), value.Set([]value.Value{cnt(1), cnt(2)}), value.Table([]value.Value{str("k"), cnt(7)}),
			vec(str("v"), str("w")), vec(cnt(3), value.Value{}), value.Enum("udp"), value.Pattern("^?(a|b)$?", `^?(.|\n)*(a|b)`)))
	}
}

// many is what real Zeek would have sent as its last event in ok.jsonl, but for
// the string, which there is not UTF-8.
var many = text("/gold/many", "Gold::many", `{"@data-type":"boolean","data":true},{"@data-type":"count","data":1},{"@data-type":"integer","data":-1},`+
	`{"@data-type":"real","data":0.500000},{"@data-type":"string","data":"s\u0000\\xffé\""},{"@data-type":"address","data":"10.0.0.1"},`+
	`{"@data-type":"subnet","data":"2001:db8::/32"},{"@data-type":"port","data":"443/tcp"},{"@data-type":"timestamp","data":"2023-11-14T22:13:20.250"},`+
	`{"@data-type":"timespan","data":"90s"},{"@data-type":"set","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":2}]},`+
	`{"@data-type":"table","data":[{"key":{"@data-type":"string","data":"k"},"value":{"@data-type":"count","data":7}}]},`+
	`{"@data-type":"vector","data":[{"@data-type":"string","data":"v"},{"@data-type":"string","data":"w"}]},`+
	`{"@data-type":"vector","data":[{"@data-type":"count","data":3},{"@data-type":"none","data":{}}]},{"@data-type":"enum-value","data":"udp"},`+
	`{"@data-type":"vector","data":[{"@data-type":"string","data":"^?(a|b)$?"},{"@data-type":"string","data":"^?(.|\\n)*(a|b)"}]}`)

// Every recorded conversation with real Zeek goes the same way with us.
func TestAsRealZeek(t *testing.T) {
	dir := testenv.Shared(t, "golden", "websocket")
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) < 14 {
		t.Fatalf("%d recordings: %v", len(files), err)
	}
	for name, on := range map[string]func(testing.TB, websocket.Config, func(backend.Message)) *world{"mem": open, "nats": openNATS} {
		t.Run(name, func(t *testing.T) {
			var w *world
			w = on(t, websocket.Config{Declarations: []string{filepath.Join(dir, "server.zeek")}, DeclaredOnly: true}, gold(&w))
			if err := w.node.Subscribe("/gold/ping"); err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				t.Run(strings.TrimSuffix(filepath.Base(f), ".jsonl"), func(t *testing.T) { replay(t, w, f) })
			}
		})
	}
}

var ackIDs = regexp.MustCompile(`^{"type":"ack","endpoint":"[^"]+-websocket-[0-9]+","version":"[^"]+"}$`)

func replay(t *testing.T, w *world, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c *conn
	for line := range bytes.Lines(text) {
		var l struct {
			Case    string            `json:"case"`
			Path    string            `json:"path"`
			Headers map[string]string `json:"request_headers"`
			Client  *string           `json:"client"`
			Server  *string           `json:"server"`
			Close   json.RawMessage   `json:"close"`
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Case != "":
			var h []string
			for k, v := range l.Headers {
				h = append(h, k, v)
			}
			c = w.dial(l.Path, h...)
			c.t = t
		case l.Client != nil:
			c.send(*l.Client)
		case l.Server != nil && ackIDs.MatchString(*l.Server):
			if got := c.recv(); !ackIDs.MatchString(got) {
				t.Fatalf("got  %s\nwant %s", got, *l.Server)
			}
		case l.Server != nil:
			c.want(*l.Server)
		case string(l.Close) == "null":
			// ok.jsonl: here real Zeek sends what is not UTF-8, and the client gave up.
			c.want(many)
		case l.Close != nil:
			var bye []any
			if err := json.Unmarshal(l.Close, &bye); err != nil {
				t.Fatal(err)
			}
			c.closed(int(bye[0].(float64)), bye[1].(string))
			return
		}
	}
	// The server has nothing more to say, and still lives.
	_ = c.Close(ws.StatusNormalClosure, "")
}
