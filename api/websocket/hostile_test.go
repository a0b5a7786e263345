package websocket_test

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
)

// Bad frames end their connection with a code, and nothing else.
func TestBadFrames(t *testing.T) {
	w := open(t, websocket.Config{MessageBytes: 1 << 20}, nil)
	var bomb bytes.Buffer
	z, _ := flate.NewWriter(&bomb, 9)
	_, _ = z.Write(make([]byte, 8<<20))
	_ = z.Flush()
	for name, c := range map[string]struct {
		send func(r *raw)
		want string
	}{
		"unmasked":             {func(r *raw) { _, _ = r.Write([]byte{0x81, 2, '[', ']'}) }, "1002 Bad frame"},
		"reserved bit":         {func(r *raw) { r.write(0xa1, []byte("[]")) }, "1002 "},
		"compression bomb":     {func(r *raw) { r.write(0xc1, bomb.Bytes()) }, "1002 "},
		"unknown opcode":       {func(r *raw) { r.write(0x83, nil) }, "1002 "},
		"unknown control":      {func(r *raw) { r.write(0x8b, nil) }, "1002 "},
		"ping in parts":        {func(r *raw) { r.write(0x09, nil) }, "1002 "},
		"ping too long":        {func(r *raw) { r.write(0x89, make([]byte, 126)) }, "1002 "},
		"close of one byte":    {func(r *raw) { r.write(0x88, []byte{3}) }, "1002 "},
		"close with bad code":  {func(r *raw) { r.write(0x88, []byte{0, 1}) }, "1002 "},
		"continues nothing":    {func(r *raw) { r.write(0x80, []byte("[]")) }, "1002 "},
		"message in a message": {func(r *raw) { r.write(0x01, []byte("[")); r.write(0x81, []byte("]")) }, "1002 "},
		"length above all":     {func(r *raw) { _, _ = r.Write([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) }, "1002 Bad frame"},
		"length of a petabyte": {func(r *raw) {
			_, _ = r.Write(append([]byte{0x81, 0xff, 0, 4, 0, 0, 0, 0, 0, 0}, make([]byte, 2<<20)...))
		}, "1009 "},
		"too large": {func(r *raw) { r.write(0x81, make([]byte, 4<<20)) }, "1009 "},
		"too large, in parts": {func(r *raw) {
			r.write(0x01, []byte("["))
			for range 40 {
				r.write(0x00, make([]byte, 64<<10))
			}
		}, "1009 "},
		"not UTF-8":             {func(r *raw) { r.write(0x81, []byte("[\"\xc3\x28\"]")) }, "1007 Invalid UTF-8 in message"},
		"surrogate in UTF-8":    {func(r *raw) { r.write(0x81, []byte("[\"\xed\xa0\x80\"]")) }, "1007 Invalid UTF-8 in message"},
		"farewell":              {func(r *raw) { r.write(0x88, []byte{0x03, 0xe8, 'b', 'y', 'e'}) }, "1000 bye"},
		"farewell without code": {func(r *raw) { r.write(0x88, nil) }, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			r := dialRaw(t, w, websocket.PathV1)
			go c.send(r)
			if got := r.end(); !strings.HasPrefix(got, c.want) && !(c.want == "unexpected EOF" && got == "EOF") {
				t.Errorf("ended by %q, want %q", got, c.want)
			}
		})
	}
	until(t, "all gone", func() bool { return w.door.Counters()["clients"] == 0 })
	n := w.door.Counters()
	if n["refused.frame"] < 11 || n["refused.too_large"] != 3 || n["refused.utf8"] != 2 {
		t.Errorf("%v", n)
	}
	w.dial(websocket.PathV1).subscribe("still/alive")
}

// Half-open handshakes do not keep others out, and end by themselves.
func TestHalfOpen(t *testing.T) {
	w := open(t, websocket.Config{Handshakes: 20}, nil)
	for i := range 200 {
		c, err := net.Dial("tcp", w.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
		}
	}
	until(t, "the oldest gave way", func() bool { return w.door.Counters()["refused.handshakes"] >= 180 })
	start := time.Now()
	w.dial(websocket.PathV1).subscribe("t")
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("an honest client waited %v", d)
	}
	until(t, "handshakes end", func() bool {
		n := w.door.Counters()
		return n["handshakes"] == 0 && n["refused.unfinished"]+n["refused.handshakes"] >= 200
	})
	if l := w.log.String(); strings.Count(l, "\n") > 20 || !strings.Contains(l, "reason=handshakes") || !strings.Contains(l, "reason=unfinished") {
		t.Error(l)
	}
}

func TestBadHandshakes(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"no upgrade":  {http.Header{"Upgrade": {"h2c"}}, http.StatusUpgradeRequired},
		"no version":  {http.Header{"Sec-Websocket-Version": {"8"}}, http.StatusBadRequest},
		"no key":      {http.Header{"Sec-Websocket-Key": {"x"}}, http.StatusBadRequest},
		"huge header": {http.Header{"X": {strings.Repeat("a", 64<<10)}}, http.StatusRequestHeaderFieldsTooLarge},
	} {
		if status, body := w.try(c.header); status != c.status {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	c, err := net.Dial("tcp", w.address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "\x16\x03\x01garbage\r\n\r\n")
	_ = c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	if n, _ := c.Read(b); !strings.HasPrefix(string(b[:n]), "HTTP/1.1 400") {
		t.Errorf("%q", b[:n])
	}
}

// Ten thousand subscriptions are refused; what is allowed costs bounded memory
// and is gone with its client.
func TestManySubscriptions(t *testing.T) {
	w := open(t, websocket.Config{}, nil)
	list := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("topic/%d/", i))
		}
		b, _ := json.Marshal(all)
		return string(b)
	}
	c := w.dial(websocket.PathV1)
	c.send(list(10000))
	c.want(`{"type":"error","code":"limit_exceeded","context":"10000 subscriptions, where 1000 are the most"}`)
	c.closed(1008, "10000 subscriptions, where 1000 are the most")
	c = w.dial(websocket.PathV1)
	c.send(list(1000))
	if got := c.recv(); !strings.HasPrefix(got, `{"type":"ack"`) {
		t.Fatal(got)
	}
	if n := w.door.Counters()["subscriptions"]; n != 1000 {
		t.Errorf("%d", n)
	}
	_ = c.CloseNow()
	until(t, "none left", func() bool { return w.door.Counters()["subscriptions"] == 0 })
	long := w.dial(websocket.PathV1)
	long.send(`["` + strings.Repeat("a", 5000) + `"]`)
	long.want(`{"type":"error","code":"limit_exceeded","context":"a subscription of 5000 bytes, where 1024 are the most"}`)
}

// A client that asks for errors and reads none is held up: what waits for it is
// bounded.
func TestErrorsAreNotQueuedForEver(t *testing.T) {
	w := open(t, websocket.Config{QueueBytes: 64 << 10}, nil)
	r := dialRaw(t, w, websocket.PathV1)
	r.write(0x81, []byte("[]"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_ = r.SetWriteDeadline(time.Now().Add(2 * time.Second))
	for range 300000 {
		r.write(0x81, []byte("{"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := w.door.Counters()["refused.message"]; n > 250000 {
		t.Errorf("%d errors were made for a client that reads none", n)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("%d bytes of memory", grown)
	}
}

// A taken port is an error that names its holder.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	for holder, want := range map[string]string{
		"zeek, pid 7": "open websocket api: " + addr + ` is taken by zeek, pid 7; give listen in [api.websocket] another port, or "" to do without: address already in use`,
		"":            "open websocket api: " + addr + ` is taken by another process; give listen in [api.websocket] another port, or "" to do without: address already in use`,
	} {
		s, err := websocket.New(websocket.Config{Listen: addr}, websocket.Deps{
			Now: time.Now, Codec: brokerbin.New(), Bus: mem.NewBus(mem.Config{}).Endpoint("a"),
			Holder: func(a netip.AddrPort) string {
				if a.String() != addr {
					t.Error(a)
				}
				return holder
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Listen(); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
