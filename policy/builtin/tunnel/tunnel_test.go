package tunnel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
	"github.com/picket-nsm/picket/zeek/value"
)

// The header is the one that real Zeek sends, column by column.
func TestRecordedHeader(t *testing.T) { rowstest.SameHeader(t, Schema(), "tunnels_Teredo") }

// rows collects rows as text without their UID, which only has to be the same
// for the same tunnel.
type rows struct {
	out  []string
	uids []string
}

func (r *rows) write(row []value.Value) {
	uid := "-"
	if row[colUID].IsSet() {
		u := row[colUID].Str()
		if i := slices.Index(r.uids, u); i >= 0 {
			uid = fmt.Sprint(i)
		} else {
			uid = fmt.Sprint(len(r.uids))
			r.uids = append(r.uids, strings.Clone(u))
		}
	}
	op, _ := row[colOrigP].Port()
	rp, _ := row[colRespP].Port()
	r.out = append(r.out, fmt.Sprintf("%g %s %s:%d %s:%d %s %s", row[colTS].Float(), uid, row[colOrigH].Addr(), op,
		row[colRespH].Addr(), rp, row[colType].Str(), row[colAction].Str()))
}

func (r *rows) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.out, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(r.out, "\n\t"), strings.Join(want, "\n\t"))
	}
}

type toLog struct{ *Log }

func (toLog) Weird(flow.Weird) {}

// player feeds a flow table and the log's clock, as a worker does.
type player struct {
	rows
	log   *Log
	table *flow.Table
	seq   uint64
}

func newPlayer() *player {
	p := &player{}
	p.log = New(p.write)
	cfg := flow.Default()
	cfg.Key = []byte("a key of 16 byte")
	p.table = flow.New(cfg, toLog{p.log}, nil)
	return p
}

func (p *player) send(at packet.Time, ip []byte) {
	var pkt packet.Packet
	p.seq++
	packet.DecodeIP(&pkt, ip, len(ip))
	pkt.Time, pkt.Seq = at, p.seq
	p.log.Advance(at)
	p.table.Packet(&pkt)
}

func udp(src, dst string, sp, dp uint16, data []byte) []byte {
	return packettest.IPv4(packettest.IP{Src: src, Dst: dst, Proto: packet.UDP}, packettest.UDP(sp, dp, data))
}

func vxlan(port uint16) []byte {
	return udp("1.0.0.1", "1.0.0.2", 40000, 4789, packettest.VXLAN(1, packettest.Ether(0x0800, udp("10.0.0.1", "10.0.0.2", port, 9, nil))))
}

func ipip(port uint16) []byte {
	return packettest.IPv4(packettest.IP{Src: "2.0.0.1", Dst: "2.0.0.2", Proto: packet.IPIP}, udp("10.0.0.3", "10.0.0.4", port, 9, nil))
}

func TestDiscoverClose(t *testing.T) {
	p := newPlayer()
	p.send(1, vxlan(1))
	p.send(2, vxlan(2))
	p.send(3, ipip(1))
	p.send(4, ipip(2))
	p.send(100, vxlan(3)) // the outer connection was silent for too long: it is another one
	p.table.Finish()
	p.want(t,
		"1 0 1.0.0.1:40000 1.0.0.2:4789 Tunnel::VXLAN Tunnel::DISCOVER",
		"3 1 2.0.0.1:0 2.0.0.2:0 Tunnel::IP Tunnel::DISCOVER",
		"100 0 1.0.0.1:40000 1.0.0.2:4789 Tunnel::VXLAN Tunnel::CLOSE",
		"100 2 1.0.0.1:40000 1.0.0.2:4789 Tunnel::VXLAN Tunnel::DISCOVER",
		"100 2 1.0.0.1:40000 1.0.0.2:4789 Tunnel::VXLAN Tunnel::CLOSE")
}

// A tunnel without new connections for an hour expires; its UID stays.
func TestExpire(t *testing.T) {
	p := newPlayer()
	p.send(1000.5, ipip(1))
	p.send(2000, ipip(2)) // Zeek counts whole seconds from the first packet: 999
	p.log.Advance(5599)
	p.log.Advance(5600)
	p.log.Advance(5609) // ten seconds from one look to the next
	p.log.Advance(5620)
	p.send(5700, ipip(3))
	p.table.Finish()
	p.want(t,
		"1000.5 0 2.0.0.1:0 2.0.0.2:0 Tunnel::IP Tunnel::DISCOVER",
		"5609 0 2.0.0.1:0 2.0.0.2:0 Tunnel::IP Tunnel::EXPIRE",
		"5700 0 2.0.0.1:0 2.0.0.2:0 Tunnel::IP Tunnel::DISCOVER")
}

// Tunnels of proxies have no UID, and no connection that closes them.
func TestRegister(t *testing.T) {
	var r rows
	l := New(r.write)
	id := analyzer.ID{Orig: packet.Addr{15: 1}, Resp: packet.Addr{15: 2}, RespP: 1080, Proto: value.ProtoTCP}
	l.Register(5, "Tunnel::SOCKS", &id, packet.TCP)
	l.Register(6, "Tunnel::SOCKS", &id, packet.TCP)
	l.Advance(7000)
	r.want(t, "5 - ::1:0 ::2:1080 Tunnel::SOCKS Tunnel::DISCOVER", "7000 - ::1:0 ::2:1080 Tunnel::SOCKS Tunnel::EXPIRE")
}

// However many tunnels there are, a bounded number is remembered.
func TestBound(t *testing.T) {
	var r rows
	l := New(r.write)
	l.max = 10
	for i := range 1000 {
		id := analyzer.ID{Orig: packet.Addr{14: byte(i >> 8), 15: byte(i)}}
		l.Register(1, "Tunnel::IP", &id, 4)
		if len(l.active) > 10 || len(l.order) > 20 {
			t.Fatal(len(l.active), len(l.order))
		}
	}
	if len(r.out) != 1000 || l.Forgotten() != 990 {
		t.Error(len(r.out), l.Forgotten())
	}
}
