package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	httplog "github.com/picket-nsm/picket/policy/builtin/http"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/http"
	"github.com/picket-nsm/picket/traffic/packet"
)

// httpProtocol is HTTP with http.log, files.log, and tunnel.log for CONNECT.
func httpProtocol(b builtin.Base) []analyzer.Factory {
	log := httplog.New(httplog.Default(), b.Open(httplog.Schema()), func(c analyzer.Conn) {
		// The proxy's tunnels from one host are one, whatever the client's port.
		id := c.ID()
		id.UID, id.OrigP = "", 0
		b.Tunnels.Register(c.Now(), "Tunnel::HTTP", &id, packet.TCP)
	})
	return []analyzer.Factory{http.Factory(http.Default(), http.Deps{Files: b.Files, NewHandler: log.Handler})}
}
