package x509

import (
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// Columns of x509.log, in the order of Schema.
const (
	colTS = iota
	colFingerprint
	colVersion
	colSerial
	colSubject
	colIssuer
	colNotBefore
	colNotAfter
	colKeyAlg
	colSigAlg
	colKeyType
	colKeyLength
	colExponent
	colCurve
	colDNS
	colURI
	colEmail
	colIP
	colCA
	colPathLen
	colHost
	colClient
	numColumns
)

// write writes a row.
func (l *Log) write(e *entry, ts packet.Time, host, client bool) {
	c, row := e.cert, l.row[:]
	clear(row)
	row[colTS] = value.Time(float64(ts))
	row[colFingerprint] = value.String(e.fingerprint)
	row[colVersion] = value.Count(c.Version)
	row[colSerial] = value.String(c.Serial)
	row[colSubject], row[colIssuer] = value.String(c.Subject), value.String(c.Issuer)
	row[colNotBefore], row[colNotAfter] = value.Time(c.NotBefore), value.Time(c.NotAfter)
	row[colKeyAlg], row[colSigAlg] = value.String(c.KeyAlg), value.String(c.SigAlg)
	if c.KeyType != "" {
		row[colKeyType] = value.String(c.KeyType)
	}
	if c.KeyLength > 0 {
		row[colKeyLength] = value.Count(c.KeyLength)
	}
	if c.Exponent != "" {
		row[colExponent] = value.String(c.Exponent)
	}
	if c.Curve != "" {
		row[colCurve] = value.String(c.Curve)
	}
	if c.HasSAN {
		for i, list := range [...][]string{c.SAN.DNS, c.SAN.URI, c.SAN.Email} {
			if list != nil {
				row[colDNS+i] = l.strings(i, list)
			}
		}
		if c.SAN.IP != nil {
			l.lists[3] = l.lists[3][:0]
			for _, a := range c.SAN.IP {
				l.lists[3] = append(l.lists[3], value.Addr16(a))
			}
			row[colIP] = value.Vector(l.lists[3])
		}
	}
	if c.HasConstraints {
		row[colCA] = value.Bool(c.CA)
		if c.HasPathLen {
			row[colPathLen] = value.Count(uint64(c.PathLen))
		}
	}
	row[colHost], row[colClient] = value.Bool(host), value.Bool(client)
	l.stats.Rows++
	l.deps.Write(row)
}

func (l *Log) strings(i int, list []string) value.Value {
	l.lists[i] = l.lists[i][:0]
	for _, s := range list {
		l.lists[i] = append(l.lists[i], value.String(s))
	}
	return value.Vector(l.lists[i])
}
