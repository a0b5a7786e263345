package standard

import (
	"github.com/picket-nsm/picket/policy/builtin"
	fileslog "github.com/picket-nsm/picket/policy/builtin/files"
	ocsplog "github.com/picket-nsm/picket/policy/builtin/ocsp"
	rdpfiles "github.com/picket-nsm/picket/policy/builtin/rdp"
	ssllog "github.com/picket-nsm/picket/policy/builtin/ssl"
	x509log "github.com/picket-nsm/picket/policy/builtin/x509"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/imap"
	"github.com/picket-nsm/picket/traffic/analyzer/mysql"
	"github.com/picket-nsm/picket/traffic/analyzer/postgresql"
	"github.com/picket-nsm/picket/traffic/analyzer/rdp"
	"github.com/picket-nsm/picket/traffic/analyzer/rdpeudp"
	"github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/analyzer/xmpp"
)

// tlsProtocol is TLS and DTLS; their certificates and OCSP responses are files,
// whose analyzers it brings along.
func tlsProtocol(b builtin.Base) []analyzer.Factory {
	xcfg := x509log.Default()
	xcfg.HostsOnly = b.Options.HostCertificates
	switch again := b.Options.LogAgain; {
	case again > 0:
		xcfg.Again = again
	case again < 0:
		xcfg.Again = 0
	}
	certs := x509log.New(xcfg, x509log.Deps{Write: b.Open(x509log.Schema()), Weird: b.Weird, Once: b.Once})
	b.Log.Use(fileslog.Driver{Name: x509log.Name, Types: x509log.Types(), New: certs.Analyzer})
	responses := ocsplog.New(b.Open(ocsplog.Schema()), b.Weird)
	b.Log.Use(fileslog.Driver{Name: ocsplog.Name, Types: []string{ocsplog.Type}, New: responses.Analyzer})
	cfg := ssllog.Default()
	cfg.Fingerprints = b.Options.Fingerprints
	log := ssllog.New(cfg, b.Open(ssllog.Schema(cfg)), b.Files)
	log.Established = b.Secured.Tell
	return tls.Factories(log.Handler)
}

// startTLS are protocols that are read only at their beginning, as far as a
// change to TLS. RDP has certificates outside TLS, too.
func startTLS(b builtin.Base) []analyzer.Factory {
	return []analyzer.Factory{
		imap.Factory(), xmpp.Factory(), mysql.Factory(), postgresql.Factory(),
		rdp.Factory(rdpfiles.New(b.Files).Handler), rdpeudp.Factory(),
	}
}
