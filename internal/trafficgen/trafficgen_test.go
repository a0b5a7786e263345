package trafficgen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/pcapfile"
	"github.com/picket-nsm/picket/traffic/packet"
)

type pair struct{ a, b netip.AddrPort }

// What the frames hold is what the flows say: addresses, packets, bytes, right
// checksums, and nothing strange.
func TestFrames(t *testing.T) {
	c := Config{Flows: 600, First: 59900, Window: 50, Data: 3000}
	g := New(c)
	pkts := map[pair]int{}
	var tcpBytes int
	var n, size uint64
	for f := g.Next(); f != nil; f = g.Next() {
		n++
		size += uint64(len(f))
		var p packet.Packet
		packet.Decode(&p, packet.LinkEthernet, f, len(f))
		if p.NWeirds != 0 || p.IP == nil {
			t.Fatalf("packet %d: %v", n, p.Weirds)
		}
		if checksum(p.IP[:p.HdrLen], 0) != 0 || checksum(p.Payload, pseudo(f, p.Proto, len(p.Payload))) != 0 {
			t.Fatalf("packet %d: wrong checksum", n)
		}
		port := func(i int) uint16 { return uint16(p.Payload[i])<<8 | uint16(p.Payload[i+1]) }
		src := netip.AddrPortFrom(netip.AddrFrom16(p.Src).Unmap(), port(0))
		dst := netip.AddrPortFrom(netip.AddrFrom16(p.Dst).Unmap(), port(2))
		pkts[pair{src, dst}]++
		if p.Proto == packet.TCP {
			tcpBytes += len(p.Payload) - 20
		}
	}
	if g.Sent().Packets != n || g.Sent().Bytes != size {
		t.Errorf("counts %d packets, %d bytes; made %d, %d", g.Sent().Packets, g.Sent().Bytes, n, size)
	}
	want := 0
	for i := c.First; i < c.First+c.Flows; i++ {
		f := c.Flow(i)
		if o, r := pkts[pair{f.Orig, f.Resp}], pkts[pair{f.Resp, f.Orig}]; o != f.OrigPkts || r != f.RespPkts {
			t.Errorf("flow %d (%v): %d and %d packets, want %d and %d", i, f.Kind, o, r, f.OrigPkts, f.RespPkts)
		}
		if f.Kind == TCP {
			want += f.OrigBytes + f.RespBytes
		}
	}
	if len(pkts) != 2*c.Flows || tcpBytes != want {
		t.Errorf("%d directions of %d flows, %d bytes over TCP, want %d", len(pkts), c.Flows, tcpBytes, want)
	}
}

// A capture file holds the same frames.
func TestWriteFile(t *testing.T) {
	var b bytes.Buffer
	g := New(Config{Flows: 90})
	if err := WriteFile(&b, g.Next, 1700000000, 1000); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "flows.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := pcapfile.Open(path, pcapfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	again := New(Config{Flows: 90})
	for n := 0; ; {
		var frames []capture.Frame
		frames, err := src.Next(context.Background())
		if errors.Is(err, io.EOF) {
			if uint64(n) != g.Sent().Packets {
				t.Errorf("%d packets in the file, want %d", n, g.Sent().Packets)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			n++
			if w := again.Next(); !bytes.Equal(f.Data, w) {
				t.Fatalf("packet %d differs", n)
			}
		}
	}
}

func TestWriteFlows(t *testing.T) {
	var b strings.Builder
	if err := (Config{Flows: 3, Data: 1500}).WriteFlows(&b); err != nil {
		t.Fatal(err)
	}
	want := `#n	proto	orig_h	orig_p	resp_h	resp_p	conn_state	history	orig_bytes	resp_bytes	orig_pkts	resp_pkts	query
0	tcp	10.0.0.0	30000	172.16.0.1	8888	SF	ShADadFf	1500	1500	8	6	-
1	udp	10.0.0.1	30001	172.16.1.2	7777	SF	Dd	1400	1400	1	1	-
2	udp	10.0.0.2	30002	172.16.2.3	53	SF	Dd	35	51	1	1	flow2.picket.test
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func BenchmarkNext(b *testing.B) {
	g := New(Config{Flows: b.N})
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		g.Next()
	}
}
