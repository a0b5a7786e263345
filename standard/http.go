package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	httplog "github.com/picket-nsm/picket/policy/builtin/http"
	socketlog "github.com/picket-nsm/picket/policy/builtin/websocket"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/traffic/analyzer/websocket"
)

// httpProtocol is HTTP with http.log, files.log, and tunnel.log for CONNECT; and
// WebSocket, whose row needs what HTTP said.
func httpProtocol(b builtin.Base) []analyzer.Factory {
	log := httplog.New(httplog.Default(), b.Open(httplog.Schema()), func(c analyzer.Conn) { proxied(b, c, "Tunnel::HTTP") })
	sockets := socketlog.New(socketlog.Config{}, b.Open(socketlog.Schema()))
	log.Watch(sockets)
	return []analyzer.Factory{
		http.Factory(http.Default(), http.Deps{Files: b.Files, NewHandler: log.Handler}),
		websocket.Factory(sockets.Handler),
	}
}
