package ssl

import (
	"net/netip"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/tls"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/traffic/format/x509"
	"github.com/picket-nsm/picket/zeek/text"
)

// Types of the files in a handshake: the first certificate of a chain, the others,
// a stapled OCSP response.
const (
	typeHost = "application/x-x509-user-cert"
	typeCA   = "application/x-x509-ca-cert"
	typeOCSP = "application/ocsp-response"
)

// fileName tells the files of a connection apart.
type fileName struct {
	client bool
	index  int // of a certificate
	ocsp   bool
}

// stapled hands an OCSP response over as a file.
func (s *conn) stapled(c analyzer.Conn, response []byte) {
	s.file = fileName{ocsp: true}
	s.log.files.Whole(c, &files.Side{Source: wire.NameTLS, Owner: s}, typeOCSP, response)
}

// certificate hands a certificate over as a file. Whoever reads certificates
// calls FileCertificate meanwhile.
func (s *conn) certificate(c analyzer.Conn, client bool, index int, first bool, der []byte) {
	s.file, s.given = fileName{client: client, index: index}, cert{}
	kind := typeCA
	if first {
		kind = typeHost
	}
	s.log.files.Whole(c, &files.Side{Source: wire.NameTLS, Owner: s, Orig: client}, kind, der)
	if !s.open {
		return // nothing was logged of this connection so far, nor are its certificates
	}
	s.hasChain = true
	chain := &s.chain[1]
	if client {
		chain = &s.chain[0]
	}
	if client || len(*chain) > 0 {
		s.given.parsed = nil // only the server's first one is compared with its name
	}
	if len(*chain) < maxChain {
		*chain = append(*chain, s.given)
	}
}

// FileHandle implements files.Owner.
func (s *conn) FileHandle(c analyzer.Conn, _ bool, dst []byte) []byte {
	id := c.ID()
	dst = append(dst, "Analyzer::ANALYZER_SSL"...)
	dst = strconv.AppendFloat(dst, float64(id.Start), 'f', 6, 64)
	dst = text.AppendBool(dst, s.file.client)
	dst = text.AppendEnds(dst, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP)
	if s.file.ocsp {
		return append(dst, "ocsp"...)
	}
	return strconv.AppendInt(dst, int64(s.file.index), 10)
}

// FileOver implements files.Owner.
func (s *conn) FileOver(_ analyzer.Conn, f *files.File) { f.Watcher = s }

// FileSniffed implements files.Watcher.
func (s *conn) FileSniffed(*files.File) {}

// FileCertificate takes what was read of the certificate at hand. c is shared.
func (s *conn) FileCertificate(c *x509.Certificate, fingerprint string) {
	s.given = cert{fingerprint, c}
}
