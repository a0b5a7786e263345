package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// proxied notes a tunnel through a proxy in tunnel.log. Those from one host are
// one, whatever the client's port.
func proxied(b builtin.Base, c analyzer.Conn, kind string) {
	id := c.ID()
	id.UID, id.OrigP = "", 0
	b.Tunnels.Register(c.Now(), kind, &id, packet.TCP)
}
