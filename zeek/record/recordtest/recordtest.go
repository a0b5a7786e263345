// Package recordtest has the row that tests and benchmarks of logs measure with: one
// of conn.log, as Zeek's default scripts define it. It stands beside record, and owns
// nothing.
package recordtest

import (
	"net/netip"

	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

// Conn returns the schema of conn.log and a row of it, the caller's own.
func Conn() (*record.Schema, []value.Value) {
	s := record.New("Conn::LOG", "conn",
		record.Conn(), record.Of("proto", value.KindEnum), record.Optional("service", value.KindString),
		record.Optional("duration", value.KindInterval), record.Optional("orig_bytes", value.KindCount),
		record.Optional("resp_bytes", value.KindCount), record.Optional("conn_state", value.KindString),
		record.Optional("local_orig", value.KindBool), record.Optional("local_resp", value.KindBool),
		record.Optional("missed_bytes", value.KindCount), record.Optional("history", value.KindString),
		record.Optional("orig_pkts", value.KindCount), record.Optional("orig_ip_bytes", value.KindCount),
		record.Optional("resp_pkts", value.KindCount), record.Optional("resp_ip_bytes", value.KindCount),
		record.Optional("tunnel_parents", value.KindSet, value.KindString), record.Optional("ip_proto", value.KindCount))
	return s, []value.Value{
		value.Time(1700000000.123456), value.String("CHhAvVGS1DHFjwGM9"),
		addr("192.168.1.77"), value.Port(57655, value.ProtoTCP), addr("209.197.168.151"), value.Port(1024, value.ProtoTCP),
		value.Enum("tcp"), value.String("http"), value.Interval(2.256935), value.Count(124), value.Count(2153),
		value.String("SF"), value.Bool(true), value.Bool(false), value.Count(0), value.String("ShAdDaFf"),
		value.Count(14), value.Count(860), value.Count(16), value.Count(3000), {}, value.Count(6),
	}
}

func addr(s string) value.Value { return value.Addr(netip.MustParseAddr(s)) }
