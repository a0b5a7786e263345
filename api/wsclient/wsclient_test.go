package wsclient_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	ws "github.com/coder/websocket"

	"github.com/picket-nsm/picket/api/websocket"
	"github.com/picket-nsm/picket/api/wsclient"
	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

const patience = time.Minute

// door opens a real door and returns its URL and how to close it.
func door(t *testing.T, cfg websocket.Config) (url string, stop func()) {
	t.Helper()
	bus := mem.NewBus(mem.Config{}).Endpoint("door")
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := websocket.New(cfg, websocket.Deps{Now: time.Now, ID: "node", Version: "9", Bus: bus, Codec: brokerbin.New()})
	if err != nil {
		t.Fatal(err)
	}
	if url, err = s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	running.Go(func() { _ = bus.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	t.Cleanup(stop)
	return url, stop
}

func dial(t *testing.T, cfg wsclient.Config) *wsclient.Conn {
	t.Helper()
	c, err := wsclient.Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func recv(t *testing.T, c *wsclient.Conn) (wsclient.Event, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Recv(ctx)
}

type record struct {
	A uint64  `zeek:"a"`
	B *string `zeek:"b"`
}

// Every Go type goes out, through a server, and comes back.
func TestTypes(t *testing.T) {
	url, _ := door(t, websocket.Config{})
	from, to := dial(t, wsclient.Config{URL: url}), dial(t, wsclient.Config{URL: url, Topics: []string{"t"}, Application: "test/1"})
	if !strings.HasPrefix(to.Endpoint, "node-websocket-") || to.Version != "9" {
		t.Errorf("%+v", to)
	}
	b := "b"
	in := []any{
		true, uint64(1), int64(-1), 0.5, "s\n", []byte("b"), netip.MustParseAddr("10.0.0.1"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("10.0.0.0/8"),
		wsclient.Port{Number: 443, Proto: value.ProtoTCP}, time.Unix(1700000000, 250e6).UTC(), 90 * time.Second, wsclient.Enum("Conn::LOG"),
		wsclient.Set[uint64]{1, 2}, []string{"v", "w"}, map[string]int64{"k": 7}, record{3, nil}, []record{{4, &b}},
	}
	args, err := wsclient.Values(in...)
	if err != nil {
		t.Fatal(err)
	}
	if err := from.Publish(t.Context(), "t/x", event.New("all", args...)); err != nil {
		t.Fatal(err)
	}
	e, err := recv(t, to)
	if err != nil || e.Topic != "t/x" || e.Name != "all" {
		t.Fatalf("%+v, %v", e, err)
	}
	var dst []any
	for _, v := range in {
		dst = append(dst, reflect.New(reflect.TypeOf(v)).Interface())
	}
	if err := e.Scan(dst...); err != nil {
		t.Fatal(err)
	}
	for i := range in {
		if got := reflect.ValueOf(dst[i]).Elem().Interface(); !reflect.DeepEqual(got, in[i]) {
			t.Errorf("got %#v, want %#v", got, in[i])
		}
	}
	for _, c := range []struct {
		dst  any
		want string
	}{
		{new(int8), "scan e: argument 1: a count does not fit int8"},
		{new(string), "scan e: argument 1: a count does not fit string"},
		{uint64(0), "scan e: destination 1 is no pointer"},
		{new([]int), "scan e: argument 1: a count does not fit []int"},
		{new(record), "scan e: argument 1: a count does not fit wsclient_test.record"},
	} {
		err := wsclient.Event{Event: event.New("e", value.Count(300))}.Scan(c.dst)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := wsclient.Values(make(chan int)); err == nil {
		t.Error("a channel became a value")
	}
}

func TestV2(t *testing.T) {
	f := filepath.Join(t.TempDir(), "e.zeek")
	if err := os.WriteFile(f, []byte("type R: record { x: count &optional; a: count; b: string &optional; }; global e: event(r: R, s: string);"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := door(t, websocket.Config{Declarations: []string{f}})
	v2 := strings.Replace(url, "v1", "v2", 1)
	from, to := dial(t, wsclient.Config{URL: v2, Topics: []string{""}}), dial(t, wsclient.Config{URL: v2, Topics: []string{""}})
	str := value.String
	named := value.Record([]value.Value{value.Value{}, value.Count(1), value.Value{}})
	if err := from.Publish(t.Context(), "t", event.New("e", named, str("\xff"))); err != nil {
		t.Fatal(err)
	}
	e, err := recv(t, to)
	var r record
	var s string
	if err == nil {
		err = e.Scan(&r, &s)
	}
	if err != nil || r.A != 1 || r.B != nil || s != "\xff" {
		t.Errorf("%+v %q %v", r, s, err)
	}
	if err := from.Publish(t.Context(), "t", event.New("e", str("x"), str("y"))); err != nil {
		t.Fatal(err)
	}
	var said *wsclient.ServerError
	if _, err := recv(t, from); !errors.As(err, &said) || !strings.Contains(said.Error(), "parameter r of e: a string, not a R") {
		t.Errorf("%v", err)
	}
}

func TestErrors(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl.toml")
	if err := os.WriteFile(acl, []byte("[[client]]\nname = \"a\"\ntoken_sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\nsubscribe = [\"ok\"]\npublish = [\"\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url, _ := door(t, websocket.Config{ACL: acl})
	for name, c := range map[string]struct {
		cfg  wsclient.Config
		want string
		perm bool
	}{
		"url":    {wsclient.Config{URL: "http://x"}, `connect: url "http://x": want ws://host:port or wss://host:port`, false},
		"nobody": {wsclient.Config{URL: "ws://127.0.0.1:1"}, "connect to ws://127.0.0.1:1/v1/messages/json: dial tcp 127.0.0.1:1: connect: connection refused", false},
		"token":  {wsclient.Config{URL: url, Token: "wrong"}, "connect to " + url + ": refused by the server with status 401: no token and no certificate that the acl file knows", true},
		"topic":  {wsclient.Config{URL: url, Token: "secret", Topics: []string{"no"}}, "connect to " + url + ": access_denied: client a may not subscribe to no", true},
		"path":   {wsclient.Config{URL: strings.Replace(url, "v1", "v9", 1), Token: "secret"}, "connect to " + strings.Replace(url, "v1", "v9", 1) + ": invalid_uri: Invalid URI - use /v1/messages/json", true},
		"name":   {wsclient.Config{URL: url, Token: "secret", Application: "a b"}, "connect to " + url + ": invalid_application_name: Invalid X-Application-Name", true},
	} {
		_, err := wsclient.Dial(t.Context(), c.cfg)
		if err == nil || err.Error() != c.want || wsclient.Permanent(err) != c.perm {
			t.Errorf("%s: %v, permanent %v, want %s", name, err, wsclient.Permanent(err), c.want)
		}
	}
	c := dial(t, wsclient.Config{URL: url, Token: "secret", Topics: []string{"ok"}})
	if err := c.Publish(t.Context(), "t", event.New("e", value.String("\xff"))); err == nil {
		t.Error("not UTF-8, and published")
	}
	// A client that has no right to be there gives up.
	cl, err := wsclient.New(wsclient.Config{URL: url}, wsclient.Handler{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.Run(t.Context()); !wsclient.Permanent(err) {
		t.Error(err)
	}
}

// A client finds its server again and subscribes again.
func TestReconnect(t *testing.T) {
	url, stop := door(t, websocket.Config{})
	got, ups, downs := make(chan string, 100), make(chan string, 10), make(chan error, 100)
	c, err := wsclient.New(wsclient.Config{URL: url, Topics: []string{"t"}, FirstWait: time.Millisecond, MaxWait: 20 * time.Millisecond}, wsclient.Handler{
		Event: func(e wsclient.Event) { got <- e.Args[0].Str() },
		Up:    func(c *wsclient.Conn) { ups <- c.Endpoint },
		Down:  func(err error, _ time.Duration) { downs <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for round := range 3 {
		select {
		case <-ups:
		case <-time.After(patience):
			t.Fatal("not up")
		}
		other := dial(t, wsclient.Config{URL: url})
		if err := other.Publish(t.Context(), "t", event.New("e", value.String("x"))); err != nil {
			t.Fatal(err)
		}
		select {
		case g := <-got:
			if g != "x" {
				t.Error(g)
			}
		case <-time.After(patience):
			t.Fatalf("round %d: nothing came", round)
		}
		_ = other.Close()
		if round == 2 {
			break
		}
		stop()
		err := <-downs
		var bye *wsclient.ClosedError
		if !errors.As(err, &bye) || bye.Code != 1001 || bye.Reason != "Terminating" {
			t.Errorf("down: %v", err)
		}
		<-downs // refused at least once
		// What is published meanwhile waits for the connection.
		sent := make(chan error, 1)
		go func() { sent <- c.Publish(ctx, "u", event.New("e")) }()
		_, stop = door(t, websocket.Config{Listen: strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), websocket.PathV1)})
		if err := <-sent; err != nil {
			t.Error(err)
		}
		for len(downs) > 0 {
			<-downs
		}
	}
	if err := c.Sync(ctx); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := c.Publish(ctx, "t", event.New("e")); err == nil {
		t.Error("published without a connection")
	}
}

// What real Zeek sends is not always JSON, nor UTF-8.
func TestRealZeeksText(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := ws.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		_, _, _ = c.Read(r.Context())
		for _, m := range []string{`{"type":"ack","endpoint":"e","version":"9.0.0-rc1"}`, `nonsense`,
			`{"type":"data-message","topic":"t","@data-type":"vector","data":[{"@data-type":"count","data":1},{"@data-type":"count","data":1},{"@data-type":"vector","data":[{"@data-type":"string","data":"e"},{"@data-type":"vector","data":[{"@data-type":"string","data":"s` + "\x00\xff" + `\v"},{"@data-type":"real","data":-inf}]}]}]}`} {
			_ = c.Write(r.Context(), ws.MessageText, []byte(m))
		}
		_, _, _ = c.Read(r.Context())
	}))
	defer srv.Close()
	c := dial(t, wsclient.Config{URL: strings.Replace(srv.URL, "http", "ws", 1), Topics: []string{"t"}})
	if _, err := recv(t, c); err == nil || wsclient.Permanent(err) {
		t.Error(err)
	}
	e, err := recv(t, c)
	if err != nil || e.Args[0].Str() != "s\x00\xff\v" {
		t.Errorf("%+v %v", e, err)
	}
}
