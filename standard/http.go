package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	httplog "github.com/picket-nsm/picket/policy/builtin/http"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/http"
)

// httpProtocol is HTTP with http.log, files.log, and tunnel.log for CONNECT.
func httpProtocol(b builtin.Base) []analyzer.Factory {
	log := httplog.New(httplog.Default(), b.Open(httplog.Schema()), func(c analyzer.Conn) { proxied(b, c, "Tunnel::HTTP") })
	return []analyzer.Factory{http.Factory(http.Default(), http.Deps{Files: b.Files, NewHandler: log.Handler})}
}
