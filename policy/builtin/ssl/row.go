package ssl

import (
	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
	"github.com/picket-nsm/picket/zeek/value"
)

// Columns behind those of rows.Conn, in the order of Schema.
const (
	colVersion = rows.Columns + iota
	colCipher
	colCurve
	colServerName
	colResumed
	colLastAlert
	colNextProtocol
	colEstablished
	colHistory
	colCertChain
	colClientChain
	colMatches
	colJA3
	colJA3S
	colJA4
	numColumns
)

// finish writes the row, once.
func (s *conn) finish() {
	if s.logged {
		return
	}
	s.logged = true
	l := s.log
	row := l.row
	clear(row)
	s.Fill(row)
	if s.hasVersion {
		row[colVersion] = value.String(tlsmsg.VersionName(s.version))
	}
	if s.hasSuite {
		row[colCipher] = value.String(tlsmsg.CipherName(s.suite))
	}
	if s.hasCurve {
		row[colCurve] = value.String(tlsmsg.GroupName(s.curve))
	}
	if s.hasName {
		row[colServerName] = value.String(value.Borrow(s.name))
	}
	row[colResumed] = value.Bool(s.resumed)
	if s.hasAlert {
		row[colLastAlert] = value.String(tlsmsg.AlertName(s.alert))
	}
	if s.hasProto {
		row[colNextProtocol] = value.String(value.Borrow(s.protocol))
	}
	row[colEstablished] = value.Bool(s.established)
	row[colHistory] = value.String(value.Borrow(s.history))
	if s.hasChain {
		row[colClientChain], row[colCertChain] = l.fingerprints(s, 0), l.fingerprints(s, 1)
	}
	if s.hasName && len(s.chain[1]) > 0 && s.chain[1][0].parsed != nil {
		row[colMatches] = value.Bool(s.chain[1][0].parsed.MatchesHost(value.Borrow(s.name)))
	}
	if l.cfg.Fingerprints {
		for i, f := range s.ja {
			if len(f) > 0 {
				row[colJA3+i] = value.String(value.Borrow(f))
			}
		}
	}
	l.write(row)
}

// fingerprints is a chain's column: those of the certificates that could be read.
func (l *Log) fingerprints(s *conn, side int) value.Value {
	l.chain[side] = l.chain[side][:0]
	for i := range s.chain[side] {
		if f := s.chain[side][i].fingerprint; f != "" {
			l.chain[side] = append(l.chain[side], value.String(f))
		}
	}
	return value.Vector(l.chain[side])
}

// fingerprint notes what a hello looks like.
func (s *conn) fingerprint(h *tlsmsg.Hello) {
	if !h.Client {
		s.ja[1] = tlsmsg.AppendJA3S(s.ja[1][:0], h)
		return
	}
	s.ja[0] = tlsmsg.AppendJA3(s.ja[0][:0], h)
	transport := byte('t')
	switch {
	case h.Version>>8 == 0xfe:
		transport = 'd'
	case s.ID.Proto == value.ProtoUDP:
		transport = 'q'
	}
	s.ja[2] = tlsmsg.AppendJA4(s.ja[2][:0], h, transport)
}
