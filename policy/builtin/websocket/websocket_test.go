package websocket

import (
	"fmt"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/websocket"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return wire.Factory(New(Config{}, rowstest.Note(rec, Schema())).Handler)
		},
		Allocs: 10,
		State:  4 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// stub is a connection that notes weirds.
type stub struct {
	uid    string
	weirds []string
}

func (s *stub) ID() analyzer.ID { return analyzer.ID{UID: s.uid} }
func (*stub) Now() packet.Time  { return 1 }
func (*stub) Confirm(string)    {}
func (s *stub) Weird(name, addl, from string) {
	s.weirds = append(s.weirds, name+" "+addl+" "+from)
}
func (*stub) Violation(string, string, []byte) {}

func TestHandshakes(t *testing.T) {
	const key, accept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" // RFC 6455 section 1.3
	for _, c := range []struct {
		name    string
		headers []string // > or <, name: value; "again" is another request
		row     string
		weirds  string
	}{
		{"right", []string{"> Key: " + key, "> Version: 13", "> Protocol: chat , super,x", "> Extensions: a; b=1", "> extensions: c", "< Accept: " + accept, "< Protocol: chat", "< Extensions: a"},
			`host="h" uri="/u" subprotocol="chat" client_protocols=["chat" "super" "x"] server_extensions=["a"] client_extensions=["a; b=1" "c"]`, ""},
		{"wrong answer", []string{"> Key: " + key, "< Accept: no"}, `host="h" uri="/u"`, "websocket_wrong_accept_header expected=" + accept + ", found=no WebSocket"},
		{"several", []string{"> Key: x", "> Key: " + key, "< Accept: x", "< Accept: " + accept, "< Protocol: a", "< Protocol: b"}, `host="h" uri="/u" subprotocol="b"`,
			"websocket_multiple_key_headers  WebSocket|websocket_multiple_accept_headers  WebSocket|websocket_multiple_protocol_headers  WebSocket"},
		{"one side", []string{"> Version: 13"}, `host="h" uri="/u"`, "websocket_missing_key_header  WebSocket|websocket_missing_accept_header  WebSocket"},
		{"none", nil, `host="h" uri="/u"`, "websocket_established_unexpected  WebSocket|websocket_missing_key_header  WebSocket|websocket_missing_accept_header  WebSocket"},
		{"other request", []string{"> Key: " + key, "> Protocol: old", "again", "> Key: " + key, "< Accept: " + accept}, `host="h" uri="/u"`, ""},
	} {
		var rows []string
		l := New(Config{Below: map[string]string{"chat": "MQTT"}}, func(row []value.Value) { rows = append(rows, rowstest.Own(Schema(), row)) })
		s := &stub{uid: "C1"}
		l.Request(s)
		for _, h := range c.headers {
			if h == "again" {
				l.Request(s)
				continue
			}
			name, val, _ := strings.Cut(h[2:], ": ")
			l.Header(s, h[0] == '>', []byte("SEC-websocket-"+name), []byte(val))
		}
		l.Upgraded(s, value.String("h"), value.String("/u"), value.Value{})
		below := l.Handler().Open(s)
		if len(rows) != 1 || rows[0] != c.row || strings.Join(s.weirds, "|") != c.weirds || len(l.open) != 0 {
			t.Errorf("%s: %q, weirds %q, %d open", c.name, rows, s.weirds, len(l.open))
		}
		if (below == "MQTT") != (c.name == "right") {
			t.Errorf("%s: below is %q", c.name, below)
		}
	}
}

// Handshakes that never end cost a bounded amount of memory.
func TestHandshakeLimits(t *testing.T) {
	l := New(Config{}, func([]value.Value) {})
	s := &stub{uid: "C1"}
	for range 200 {
		l.Header(s, true, []byte("Sec-WebSocket-Protocol"), []byte(strings.Repeat(strings.Repeat("x", 5000)+",", 3)))
	}
	if h := l.open["C1"]; h.size > maxTexts || len(h.protocols) > maxList {
		t.Errorf("%d bytes, %d elements", h.size, len(h.protocols))
	}
	for i := range maxOpen + 10 {
		l.Header(&stub{uid: fmt.Sprint(i)}, true, []byte("Sec-WebSocket-Key"), []byte("k"))
	}
	if len(l.open) != maxOpen || l.Shed() != 11 {
		t.Errorf("%d handshakes are kept, %d shed", len(l.open), l.Shed())
	}
	l.Over(s)
	if len(l.open) != maxOpen-1 {
		t.Error("a handshake outlives its connection")
	}
}
