package dns

import (
	"strconv"

	wire "github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/zeek/value"
)

// Columns of dns.log, in the order of Schema.
const (
	colTS = iota
	colUID
	colOrigH
	colOrigP
	colRespH
	colRespP
	colProto
	colTransID
	colRTT
	colQuery
	colQClass
	colQClassName
	colQType
	colQTypeName
	colRcode
	colRcodeName
	colAA
	colTC
	colRD
	colRA
	colZ
	colAnswers
	colTTLs
	colRejected
	colOpcode
	colOpcodeName
	numColumns
)

// emit writes the row as it is now.
func (l *Log) emit(i *info) {
	row := l.row
	clear(row)
	l.scratch = l.scratch[:0]
	row[colTS] = value.Time(float64(i.ts))
	row[colUID] = value.String(value.Borrow(i.text[:i.uidLen]))
	row[colOrigH] = value.Addr16(i.id.Orig)
	row[colOrigP] = value.Port(i.id.OrigP, i.id.Proto)
	row[colRespH] = value.Addr16(i.id.Resp)
	row[colRespP] = value.Port(i.id.RespP, i.id.Proto)
	row[colProto] = value.Enum(i.id.Proto.String())
	row[colTransID] = value.Count(uint64(i.transID))
	if i.rtt != 0 {
		row[colRTT] = value.Interval(i.rtt)
	}
	if i.hasQuery {
		row[colQuery] = value.String(value.Borrow(i.text[i.queryAt : i.queryAt+i.queryLen]))
	}
	if i.hasQuestion {
		row[colQClass] = value.Count(uint64(i.qclass))
		row[colQClassName] = value.String(l.name(className(i.qclass), "qclass-", i.qclass))
		row[colQType] = value.Count(uint64(i.qtype))
		row[colQTypeName] = value.String(l.name(typeName(i.qtype), "query-", i.qtype))
		if i.nodeStatus {
			row[colQTypeName] = value.String("NBSTAT")
		}
	}
	if i.hasRcode {
		row[colRcode] = value.Count(uint64(i.rcode))
		row[colRcodeName] = value.String(rcodeNames[i.rcode&15])
	}
	row[colAA] = value.Bool(i.AA)
	row[colTC] = value.Bool(i.TC)
	row[colRD] = value.Bool(i.RD)
	row[colRA] = value.Bool(i.RA)
	row[colZ] = value.Count(uint64(i.z))
	if i.hasAnswers {
		l.answers, l.ttls = l.answers[:0], l.ttls[:0]
		for n, s := range i.ends {
			l.answers = append(l.answers, value.String(value.Borrow(i.text[s.from:s.to])))
			l.ttls = append(l.ttls, value.Interval(float64(i.ttls[n])))
		}
		row[colAnswers] = value.Vector(l.answers)
		row[colTTLs] = value.Vector(l.ttls)
	}
	row[colRejected] = value.Bool(i.rejected)
	row[colOpcode] = value.Count(uint64(i.opcode))
	if i.netbios {
		row[colOpcodeName] = value.String(l.name(netbiosOpcode(i.opcode), "netbios-opcode-", uint16(i.opcode)))
	} else {
		row[colOpcodeName] = value.String(l.name(opcodeName(i.opcode), "opcode-", uint16(i.opcode)))
	}
	l.write(row)
}

// name returns a name, or prefix and number where there is none.
func (l *Log) name(name, prefix string, n uint16) string {
	if name != "" {
		return name
	}
	start := len(l.scratch)
	l.scratch = strconv.AppendUint(append(l.scratch, prefix...), uint64(n), 10)
	return value.Borrow(l.scratch[start:])
}

// appendType appends the name of a record type.
func appendType(b []byte, t uint16) []byte {
	if n := typeName(t); n != "" {
		return append(b, n...)
	}
	return strconv.AppendUint(append(b, "query-"...), uint64(t), 10)
}

// rcodeNames are the names of response codes (RFC 1035, 2136), as dns.log shows them.
var rcodeNames = [16]string{
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
	"NXRRSet", "NOTAUTH", "NOTZONE", "unassigned-11", "unassigned-12", "unassigned-13", "unassigned-14", "unassigned-15",
}

func className(c uint16) string {
	switch c {
	case 1:
		return "C_INTERNET"
	case 2:
		return "C_CSNET"
	case 3:
		return "C_CHAOS"
	case 4:
		return "C_HESIOD"
	case wire.ClassNone:
		return "C_NONE"
	case wire.ClassAny:
		return "C_ANY"
	}
	return ""
}

func opcodeName(op uint8) string {
	switch op {
	case 0:
		return "query"
	case 1:
		return "iquery"
	case 2:
		return "server-status"
	case 4:
		return "notify"
	case 5:
		return "dynamic-update"
	case 6:
		return "dso"
	}
	return ""
}

func netbiosOpcode(op uint8) string {
	switch op {
	case 0:
		return "netbios-query"
	case 5:
		return "netbios-registration"
	case 6:
		return "netbios-release"
	case 7:
		return "netbios-wack"
	case 8:
		return "netbios-refresh"
	}
	return ""
}
