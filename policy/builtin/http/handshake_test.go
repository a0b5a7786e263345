package http

import (
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/zeek/value"
)

// noting notes what it is told of handshakes.
type noting struct{ seen []string }

func (n *noting) Request(analyzer.Conn) { n.seen = append(n.seen, "request") }
func (n *noting) Header(_ analyzer.Conn, orig bool, name, val []byte) {
	n.seen = append(n.seen, fmt.Sprintf("%v %s: %s", orig, name, val))
}
func (n *noting) Upgraded(_ analyzer.Conn, host, uri, agent value.Value) {
	n.seen = append(n.seen, fmt.Sprintf("upgraded %q %q %v", host.Str(), uri.Str(), agent.IsSet()))
}
func (n *noting) Over(analyzer.Conn) { n.seen = append(n.seen, "over") }

// Who watches handshakes hears of each request, of WebSocket's fields, of the
// upgrade before the other protocol begins, and of the end.
func TestHandshakes(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	n := &noting{}
	log := New(Default(), func([]value.Value) {}, nil)
	log.Watch(n)
	a := wire.Factory(wire.Default(), wire.Deps{Files: shelf(rec), NewHandler: log.Handler}).New(value.ProtoTCP)
	say := func(orig bool, text string) { a.Deliver(rec, orig, []byte(text)) }
	say(true, "GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
	say(false, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	say(true, "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket: no\r\n\r\n")
	say(false, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n")
	a.End(rec)
	want := []string{"request", "request", "true Sec-WebSocket-Key: k", "false sec-websocket-accept: x", `upgraded "h" "/chat" false`, "over"}
	if !slices.Equal(n.seen, want) {
		t.Errorf("%q, want %q", n.seen, want)
	}
}
