package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	quiclog "github.com/picket-nsm/picket/policy/builtin/quic"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/quic"
)

// quicProtocol is QUIC; the TLS inside is tlsProtocol's.
func quicProtocol(b builtin.Base) []analyzer.Factory {
	log := quiclog.New(quiclog.Default(), b.Open(quiclog.Schema()))
	return []analyzer.Factory{quic.Factory(quic.Default(), log.Handler)}
}
