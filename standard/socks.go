package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	sockslog "github.com/picket-nsm/picket/policy/builtin/socks"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/socks"
)

// socksProtocol is SOCKS with socks.log, and tunnel.log for its proxies.
func socksProtocol(b builtin.Base) []analyzer.Factory {
	log := sockslog.New(sockslog.Default(), b.Open(sockslog.Schema()), func(c analyzer.Conn) { proxied(b, c, "Tunnel::SOCKS") })
	return []analyzer.Factory{socks.Factory(log.Handler)}
}
