package packet

import "testing"

// eth4 is an Ethernet frame with an IPv4/UDP packet of 4 bytes of data.
func eth4() []byte {
	return []byte{
		2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0,
		0x45, 0, 0, 32, 0x12, 0x34, 0x40, 0, 64, 17, 0x14, 0x97, 10, 0, 0, 1, 10, 0, 0, 2,
		0x13, 0x88, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4,
	}
}

func TestEthernet(t *testing.T) {
	var p Packet
	d := append(eth4(), 0, 0, 0, 0) // padding
	Decode(&p, LinkEthernet, d, len(d))
	if p.IP == nil || p.Proto != UDP || len(p.Payload) != 12 || p.PayloadLen != 12 || p.IPLen != 32 || p.HdrLen != 20 ||
		!p.DF || p.IsFrag || p.TTL != 64 || p.FragID != 0x1234 || p.NWeirds != 0 || !p.HasMAC || !p.Src.Is4() {
		t.Fatalf("%+v", p)
	}
	if !p.IPChecksumOK() {
		t.Error("checksum")
	}
}

func BenchmarkDecode(b *testing.B) {
	var p Packet
	d := eth4()
	b.ReportAllocs()
	for b.Loop() {
		Decode(&p, LinkEthernet, d, len(d))
	}
}
