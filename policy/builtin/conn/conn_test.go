package conn

import (
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "http_get") }

type toLog struct{ *Log }

func (toLog) Weird(flow.Weird) {}

// table returns a flow table whose rows come as name=value.
func table(nets bool) (*flow.Table, *[]string) {
	var rows []string
	log := New(func(row []value.Value) { rows = append(rows, rowstest.Show(Schema(), row, "ts", "uid")) })
	cfg := flow.Default()
	cfg.Key = []byte("a key of 16 byte")
	if !nets {
		cfg.LocalNets = nil
	}
	return flow.New(cfg, toLog{log}, nil), &rows
}

func send(tb *flow.Table, at packet.Time, src, dst string, proto uint8, payload []byte) {
	ip := packettest.IPv4(packettest.IP{Src: src, Dst: dst, Proto: proto}, payload)
	if proto == packet.UDP {
		packettest.Sum(ip, proto, len(payload), 6)
	}
	var p packet.Packet
	packet.DecodeIP(&p, ip, len(ip))
	p.Time, p.Seq = at, uint64(at)
	tb.Packet(&p)
}

func TestRows(t *testing.T) {
	tb, rows := table(true)
	send(tb, 1, "10.0.0.1", "8.8.8.8", packet.UDP, packettest.UDP(4000, 53, []byte("who?")))
	send(tb, 1.5, "8.8.8.8", "10.0.0.1", packet.UDP, packettest.UDP(53, 4000, []byte("nobody")))
	send(tb, 2, "10.0.0.1", "10.0.0.2", 132, make([]byte, 12))
	tb.Finish()
	want := []string{
		"id.orig_h=10.0.0.1 id.orig_p=4000 id.resp_h=8.8.8.8 id.resp_p=53 proto=udp duration=0.5 orig_bytes=4 " +
			`resp_bytes=6 conn_state="SF" local_orig=T local_resp=F missed_bytes=0 history="Dd" orig_pkts=1 ` +
			"orig_ip_bytes=32 resp_pkts=1 resp_ip_bytes=34 ip_proto=17",
		// One packet: no duration, no bytes. A transport we only count: no history.
		`id.orig_h=10.0.0.1 id.orig_p=0 id.resp_h=10.0.0.2 id.resp_p=0 proto=unknown_transport conn_state="OTH" ` +
			"local_orig=T local_resp=T missed_bytes=0 orig_pkts=1 orig_ip_bytes=32 resp_pkts=0 resp_ip_bytes=0 " +
			"ip_proto=132",
	}
	// Rows come in the order of keys: 8.8.8.8 is the lower end of the first.
	if len(*rows) != 2 || (*rows)[0] != want[0] || (*rows)[1] != want[1] {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(*rows, "\n"), strings.Join(want, "\n"))
	}
}

// Without local networks nothing is said about them.
func TestNoLocalNets(t *testing.T) {
	tb, rows := table(false)
	send(tb, 1, "10.0.0.1", "8.8.8.8", packet.ICMP, packettest.ICMP(8, 0, nil))
	tb.Finish()
	if len(*rows) != 1 || strings.Contains((*rows)[0], "local_") {
		t.Error(*rows)
	}
}

func BenchmarkRow(b *testing.B) {
	n := 0
	log := New(func([]value.Value) { n++ })
	h := &once{log: log, b: b}
	cfg := flow.Default()
	cfg.Key = []byte("a key of 16 byte")
	tb := flow.New(cfg, h, nil)
	send(tb, 1, "10.0.0.1", "8.8.8.8", packet.UDP, packettest.UDP(4000, 53, nil))
	tb.Finish()
}

// once measures the row of the connection it is given.
type once struct {
	log *Log
	b   *testing.B
}

func (o *once) Weird(flow.Weird) {}

func (o *once) ConnRemoved(c *flow.Conn) {
	o.b.ReportAllocs()
	for o.b.Loop() {
		o.log.ConnRemoved(c)
	}
}
