package e2e

import (
	be "encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// dhcpCapture writes a capture of n hosts that each get an address from a server
// through a relay. Broadcasts, relayed messages and answers are other connections
// of the same transaction, and belong to different workers.
func dhcpCapture(t *testing.T, n int) string {
	t.Helper()
	b := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0} // pcap, raw IP
	at := uint64(1_700_000_000_000_000)
	send := func(src, dst string, sport, dport uint16, op, kind byte, i int, yours netip.Addr) {
		at += 1000
		y := yours.As4()
		m := []byte{op, 1, 6, 0, 0, 0, byte(i >> 8), byte(i), 0, 0, 0, 0, 0, 0, 0, 0, y[0], y[1], y[2], y[3]}
		m = append(m, make([]byte, 8)...)
		m = append(m, 2, 0, 0, 0, byte(i>>8), byte(i))
		m = append(m, make([]byte, 10+64+128)...)
		m = append(m, 0x63, 0x82, 0x53, 0x63, 53, 1, kind, 12, 4, 'h', 'o', 's', 't', 51, 4, 0, 0, 3, 0x84, 255)
		length := 28 + len(m)
		b = be.LittleEndian.AppendUint32(b, uint32(at/1_000_000))
		b = be.LittleEndian.AppendUint32(b, uint32(at%1_000_000))
		b = be.LittleEndian.AppendUint32(b, uint32(length))
		b = be.LittleEndian.AppendUint32(b, uint32(length))
		b = append(b, 0x45, 0, byte(length>>8), byte(length), 0, 0, 0, 0, 64, 17, 0, 0)
		s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
		b = append(append(b, s[:]...), d[:]...)
		b = be.BigEndian.AppendUint16(b, sport)
		b = be.BigEndian.AppendUint16(b, dport)
		b = be.BigEndian.AppendUint16(b, uint16(8+len(m)))
		b = append(append(b, 0, 0), m...)
	}
	const relay, server = "198.51.100.1", "203.0.113.1"
	zero := netip.IPv4Unspecified()
	for i := range n {
		yours := netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)})
		for step, kind := range []byte{1, 2, 3, 5} { // discover, offer, request, ack
			if step%2 == 0 {
				send("0.0.0.0", "255.255.255.255", 68, 67, 1, kind, i, zero)
				send(relay, server, 67, 67, 1, kind, i, zero)
			} else {
				send(server, relay, 67, 67, 2, kind, i, yours)
				send(relay, yours.String(), 67, 68, 2, kind, i, yours)
			}
		}
		at += 20_000
	}
	file := filepath.Join(t.TempDir(), "dhcp.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A transaction is one row, whichever workers saw its messages: in one process,
// where they are joined on the way (mem), and between processes, where the manager
// joins them (NATS).
func TestDHCPOnTheManager(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	const hosts = 120
	file := dhcpCapture(t, hosts)
	var want []string
	for _, w := range []string{"1", "2", "4"} {
		dir := t.TempDir()
		if out, err := exec.Command(bin, "read", "-C", "--seed", "e2e", "-W", w, "-o", dir, file).CombinedOutput(); err != nil {
			t.Fatalf("picket read -W %s: %v: %s", w, err, out)
		}
		rows := logRows(t, dir, "dhcp")
		if w == "1" {
			if want = rows.Sorted(); len(want) != hosts {
				t.Fatalf("%d rows, want %d", len(want), hosts)
			}
		} else if d := Differ(want, rows.Sorted()); d != "" {
			t.Errorf("dhcp.log of read -W %s: %s", w, d)
		}
	}
	for _, w := range []string{"1", "4"} {
		c := NewCluster(t, bin)
		c.Read(file, "-C", "--seed", "e2e", "-W", w)
		if code := c.Wait(); code != 0 {
			t.Fatalf("up --read -W %s: exit code %d:\n%s", w, code, c.Output())
		}
		if d := Differ(want, c.rows("dhcp").Sorted()); d != "" {
			t.Errorf("dhcp.log of up --read -W %s: %s", w, d)
		}
	}
}
