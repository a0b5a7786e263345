package e2e

import (
	be "encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
)

// tlsCapture writes a capture in which n clients have the same TLS conversation
// with the same server, one a tenth of a second after the other, so that they
// belong to different workers.
func tlsCapture(t *testing.T, n int) string {
	t.Helper()
	var talk *analyzertest.Conversation
	for _, c := range analyzertest.Load(t, filepath.Join(testenv.Root(t), "traffic", "analyzer", "tls", "testdata")) {
		if c.Name == "tls12-client-cert" {
			talk = c
		}
	}
	if talk == nil {
		t.Fatal("the conversation is gone")
	}
	b := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 101, 0, 0, 0} // pcap, raw IP
	for i := range n {
		k := tcpTalk{client: [4]byte{10, 0, byte(i >> 8), byte(i)}, server: [4]byte{192, 0, 2, 1}, port: uint16(20000 + i), at: 1_700_000_000_000_000 + uint64(i)*100_000}
		const fin, syn, ack = 1, 2, 16
		b = k.segment(b, true, syn, nil)
		b = k.segment(b, false, syn|ack, nil)
		b = k.segment(b, true, ack, nil)
		for _, turn := range talk.Turns {
			for p := range slices.Chunk(turn.Data, 1400) {
				b = k.segment(b, turn.Orig, ack, p)
			}
			b = k.segment(b, !turn.Orig, ack, nil)
		}
		b = k.segment(b, true, fin|ack, nil)
		b = k.segment(b, false, fin|ack, nil)
		b = k.segment(b, true, ack, nil)
	}
	file := filepath.Join(t.TempDir(), "tls.pcap")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// tcpTalk makes the packets of a connection. Checksums are left out.
type tcpTalk struct {
	client, server [4]byte
	port           uint16
	at             uint64 // microseconds
	seq            [2]uint32
}

func (k *tcpTalk) segment(b []byte, orig bool, flags byte, data []byte) []byte {
	me, src, dst, sport, dport := 0, k.client, k.server, k.port, uint16(443)
	if !orig {
		me, src, dst, sport, dport = 1, k.server, k.client, 443, k.port
	}
	n := 40 + len(data)
	b = be.LittleEndian.AppendUint32(b, uint32(k.at/1_000_000))
	b = be.LittleEndian.AppendUint32(b, uint32(k.at%1_000_000))
	b = be.LittleEndian.AppendUint32(b, uint32(n))
	b = be.LittleEndian.AppendUint32(b, uint32(n))
	b = append(b, 0x45, 0, byte(n>>8), byte(n), 0, 0, 0, 0, 64, 6, 0, 0)
	b = append(append(b, src[:]...), dst[:]...)
	b = be.BigEndian.AppendUint16(b, sport)
	b = be.BigEndian.AppendUint16(b, dport)
	b = be.BigEndian.AppendUint32(b, k.seq[me])
	b = be.BigEndian.AppendUint32(b, k.seq[1-me])
	b = append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0)
	k.seq[me] += uint32(len(data))
	if flags&3 != 0 {
		k.seq[me]++
	}
	k.at += 100
	return append(b, data...)
}

// Certificates are logged once in the whole cluster, whoever sees them; the rows
// of ssl.log do not depend on the number of workers.
func TestCertificatesOnce(t *testing.T) {
	bin := binary(t)
	t.Parallel()
	const clients = 60
	file := tlsCapture(t, clients)
	fixed := func(r *Rows) []string { // whose certificate was the first is by chance between processes
		var out []string
		for _, l := range r.Lines {
			out = append(out, r.Key(l, "fingerprint", "certificate.subject", "host_cert", "client_cert"))
		}
		return slices.Sorted(slices.Values(out))
	}
	var ssl, certs, once []string
	for _, w := range []string{"1", "2", "4"} {
		dir := t.TempDir()
		if out, err := exec.Command(bin, "read", "-C", "--seed", "e2e", "-W", w, "-o", dir, file).CombinedOutput(); err != nil {
			t.Fatalf("picket read -W %s: %v: %s", w, err, out)
		}
		s, x := logRows(t, dir, "ssl"), logRows(t, dir, "x509")
		if w == "1" {
			ssl, certs, once = s.Sorted(), x.Sorted(), fixed(x)
			// Both chains hold the CA: the server's and the client's are told apart.
			if len(ssl) != clients || len(certs) != 4 {
				t.Fatalf("%d rows of ssl.log, %d of x509.log, want %d and 4", len(ssl), len(certs), clients)
			}
			continue
		}
		if d := Differ(ssl, s.Sorted()); d != "" {
			t.Errorf("ssl.log of read -W %s: %s", w, d)
		}
		if d := Differ(certs, x.Sorted()); d != "" {
			t.Errorf("x509.log of read -W %s: %s", w, d)
		}
	}
	c := NewCluster(t, bin)
	c.Read(file, "-C", "--seed", "e2e", "-W", "4", "-P", "2")
	if code := c.Wait(); code != 0 {
		t.Fatalf("up --read -W 4: exit code %d:\n%s", code, c.Output())
	}
	if d := Differ(ssl, c.rows("ssl").Sorted()); d != "" {
		t.Errorf("ssl.log of up --read -W 4: %s", d)
	}
	if d := Differ(once, fixed(c.rows("x509"))); d != "" {
		t.Errorf("x509.log of up --read -W 4: %s", d)
	}
}
