// Package rdp hands the certificates of RDP servers to the table of files, which
// brings them into x509.log.
//
// It stands behind the RDP analyzer, whose Handler it implements. It owns nothing
// but the id of the connection at hand, writes no log of its own, and reads no
// certificate itself.
package rdp

import (
	"net/netip"
	"strconv"

	"github.com/picket-nsm/picket/traffic/analyzer"
	wire "github.com/picket-nsm/picket/traffic/analyzer/rdp"
	"github.com/picket-nsm/picket/traffic/files"
	"github.com/picket-nsm/picket/zeek/text"
)

// typeCertificate is the type of each certificate: Zeek takes them all for hosts'.
const typeCertificate = "application/x-x509-user-cert"

// Certificates hands certificates over. One goroutine.
type Certificates struct{ files *files.Table }

// New returns Certificates that go to table.
func New(table *files.Table) *Certificates { return &Certificates{table} }

// Handler returns what one connection's certificates go to; it is what the RDP
// factory wants.
func (k *Certificates) Handler() wire.Handler { return conn{k} }

// conn implements the analyzer's Handler.
type conn struct{ certs *Certificates }

// Certificate implements the analyzer's Handler.
func (s conn) Certificate(c analyzer.Conn, der []byte) {
	s.certs.files.Whole(c, &files.Side{Source: wire.Name, Owner: s}, typeCertificate, der)
}

// End implements the analyzer's Handler.
func (s conn) End(analyzer.Conn) {}

// FileHandle implements files.Owner.
func (s conn) FileHandle(c analyzer.Conn, _ bool, dst []byte) []byte {
	id := c.ID()
	dst = append(dst, "Analyzer::ANALYZER_RDP"...)
	dst = strconv.AppendFloat(dst, float64(id.Start), 'f', 6, 64)
	return text.AppendEnds(dst, netip.AddrFrom16(id.Orig).Unmap(), id.OrigP, netip.AddrFrom16(id.Resp).Unmap(), id.RespP)
}

// FileOver implements files.Owner.
func (s conn) FileOver(analyzer.Conn, *files.File) {}
