package tlsmsg_test

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

// messages returns the handshake messages in clear of recorded conversations, by
// their kind.
func messages(t testing.TB) map[uint8][][]byte {
	all := map[uint8][][]byte{}
	for _, c := range analyzertest.Load(t, "../../analyzer/tls/testdata") {
		if c.ID.RespP != 443 || strings.HasPrefix(c.Name, "bad-") || strings.HasPrefix(c.Name, "cut-") {
			continue
		}
		for i := range c.Turns {
			b := c.Turns[i].Data
			for len(b) > tlsmsg.HeaderLen {
				h := tlsmsg.ParseHeader(b)
				if h.Type != tlsmsg.Handshake || !tlsmsg.RecordVersion(h.Version) || len(b) < tlsmsg.HeaderLen+h.Len || h.Len < 4 {
					break
				}
				m := b[tlsmsg.HeaderLen : tlsmsg.HeaderLen+h.Len]
				if kind, n := tlsmsg.ParseMessageHeader(m); n <= len(m)-4 {
					all[kind] = append(all[kind], m[4:4+n])
				}
				b = b[tlsmsg.HeaderLen+h.Len:]
			}
		}
	}
	if len(all[tlsmsg.ClientHello]) < 10 || len(all[tlsmsg.ServerHello]) < 10 {
		t.Fatalf("only %d hellos", len(all[tlsmsg.ClientHello]))
	}
	return all
}

// A hello that is cut is broken, unless the cut leaves out whole extensions; and
// what is said of it is a beginning of what is said of the whole.
func TestTruncated(t *testing.T) {
	var whole, h tlsmsg.Hello
	all := messages(t)
	for _, kind := range []uint8{tlsmsg.ClientHello, tlsmsg.ServerHello} {
		for _, m := range all[kind] {
			parse(&whole, kind, m)
			if !whole.Complete {
				continue
			}
			types := slices.Clone(whole.Extensions)
			for n := range m {
				parse(&h, kind, m[:n:n])
				if len(h.Extensions) > len(types) || !slices.Equal(h.Extensions, types[:len(h.Extensions)]) {
					t.Fatalf("%d of %d bytes: extensions %d, of %d", n, len(m), h.Extensions, types)
				}
				if h.Complete && len(h.Extensions) == len(types) && len(types) > 0 {
					t.Fatalf("%d of %d bytes are complete", n, len(m))
				}
			}
		}
	}
	for _, m := range all[tlsmsg.Certificate] {
		for n := range m {
			if _, ok := tlsmsg.ParseCertificates(nil, m[:n], 10); ok {
				t.Fatalf("%d of %d bytes of a chain are whole", n, len(m))
			}
		}
	}
}

func parse(h *tlsmsg.Hello, kind uint8, m []byte) {
	if kind == tlsmsg.ClientHello {
		h.ParseClient(m)
	} else {
		h.ParseServer(m)
	}
}

func FuzzHello(f *testing.F) {
	for kind, list := range messages(f) {
		for _, m := range list {
			f.Add(kind, uint16(tlsmsg.TLS12), uint32(0xc02f), m)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, version uint16, suite uint32, b []byte) {
		var h, again tlsmsg.Hello
		h.ParseClient(b)
		first := fmt.Sprintf("%+v", h)
		h.ParseServer(b)
		h.ParseV2Client(version, b)
		h.ParseV2Server(b)
		h.ParseClient(b)
		again.ParseClient(bytes.Clone(b))
		if fmt.Sprintf("%+v", h) != first && fmt.Sprintf("%+v", again) != first {
			// Slices that are empty print alike whether or not they have room.
			t.Fatal("what was parsed before changes what is parsed")
		}
		tlsmsg.AppendJA3(nil, &h)
		tlsmsg.AppendJA4(nil, &h, 't')
		certs, _ := tlsmsg.ParseCertificates(nil, b, 16)
		if len(certs) > 16 {
			t.Fatalf("%d certificates", len(certs))
		}
		tlsmsg.ParseCertificateStatus(b)
		tlsmsg.ParseServerKeyExchange(suite, version, b)
		tlsmsg.CheckMessage(kind, version, b)
		tlsmsg.CheckV2MasterKey(b)
		tlsmsg.CheckUnified(b)
		tlsmsg.ParseFragment(b)
		for rest := b; len(rest) > 0; {
			_, next, ok := tlsmsg.ParseDTLSRecord(rest)
			if !ok || len(next) >= len(rest) {
				break
			}
			rest = next
		}
	})
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{tlsmsg.VersionName(0x0002), "SSLv2"}, {tlsmsg.VersionName(0x0303), "TLSv12"}, {tlsmsg.VersionName(0x7f12), "TLSv13-draft18"},
		{tlsmsg.VersionName(0x7f17), "TLSv13-draft23"}, {tlsmsg.VersionName(0xfefc), "DTLSv13"}, {tlsmsg.VersionName(0x0305), "unknown-773"},
		{tlsmsg.CipherName(0x0700c0), "SSLv20_CK_DES_192_EDE3_CBC_WITH_MD5"}, {tlsmsg.CipherName(0), "TLS_NULL_WITH_NULL_NULL"},
		{tlsmsg.CipherName(0x1301), "TLS_AES_128_GCM_SHA256"}, {tlsmsg.CipherName(0x0034), "TLS_DH_ANON_WITH_AES_128_CBC_SHA"},
		{tlsmsg.CipherName(0xfafa), "grease_0xFAFA"}, {tlsmsg.CipherName(0xfffe), "unknown-65534"}, {tlsmsg.CipherName(0x00ff), "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"},
		{tlsmsg.GroupName(29), "x25519"}, {tlsmsg.GroupName(4588), "X25519MLKEM768"}, {tlsmsg.GroupName(0x0a0a), "grease_0x0A0A"}, {tlsmsg.GroupName(999), "unknown-999"},
		{tlsmsg.AlertName(0), "close_notify"}, {tlsmsg.AlertName(121), "ech_required"}, {tlsmsg.AlertName(1), "unknown-1"}, {tlsmsg.AlertName(0xffff), "unknown-65535"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	for _, s := range tls.CipherSuites() {
		// Go has the names of the RFCs but for one ending.
		want := strings.TrimSuffix(s.Name, "_SHA256")
		if got := tlsmsg.CipherName(uint32(s.ID)); !strings.HasPrefix(got, want) {
			t.Errorf("%#x: %s, Go says %s", s.ID, got, s.Name)
		}
	}
	if tlsmsg.GREASE(0x0a1a) || tlsmsg.GREASE(0x1301) || !tlsmsg.GREASE(0x5a5a) {
		t.Error("GREASE")
	}
}

func TestJA3(t *testing.T) {
	h := tlsmsg.Hello{
		Client: true, Version: 769, Ciphers: []uint32{0x5a5a, 47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4},
		Extensions: []uint16{0, 10, 0xaaaa, 11}, Groups: []uint16{23, 24, 25}, PointFormats: []byte{0},
	}
	// The example in JA3's own description.
	if got := string(tlsmsg.AppendJA3(nil, &h)); got != "ada70206e40642a3e4461f35503241d5" {
		t.Error(got)
	}
	server := tlsmsg.Hello{Version: 769, Ciphers: []uint32{47}, Extensions: []uint16{65281, 0, 11, 35, 5, 16}}
	if got := string(tlsmsg.AppendJA3S(nil, &server)); got != "836ce314215654b5b1f85f97c73e506f" {
		t.Error(got)
	}
}

func TestJA4(t *testing.T) {
	u16 := func(s string) (list []uint16) {
		for _, x := range strings.Split(s, ",") {
			b, _ := hex.DecodeString(x)
			list = append(list, uint16(b[0])<<8|uint16(b[1]))
		}
		return list
	}
	h := tlsmsg.Hello{
		Client: true, Version: 0x303, Versions: []uint16{0x8a8a, 0x304, 0x303},
		Extensions: append(u16("2a2a,0000,0010"), u16("001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015")[0:1]...),
		Signatures: u16("0403,0804,0401,0503,0805,0501,0806,0601"), Protocols: [][]byte{[]byte("h2"), []byte("http/1.1")},
	}
	h.Extensions = append(h.Extensions, u16("0033,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015")...)
	for _, c := range u16("3a3a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035") {
		h.Ciphers = append(h.Ciphers, uint32(c))
	}
	// The example in JA4's own description.
	if got := string(tlsmsg.AppendJA4(nil, &h, 't')); got != "t13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Error(got)
	}
	plain := tlsmsg.Hello{Client: true, Version: 0xfefd}
	if got := string(tlsmsg.AppendJA4(nil, &plain, 'd')); got != "dd2i000000_000000000000_000000000000" {
		t.Error(got)
	}
}

func TestServerKeyExchange(t *testing.T) {
	for _, c := range []struct {
		suite   uint32
		version uint16
		body    string
		curve   uint16
		named   bool
		ok      bool
	}{
		{0xc02f, 0x303, "03001701ff0403000161", 23, true, true},
		{0xc02f, 0x301, "03001701ff000161", 23, true, true},
		{0xc02f, 0x303, "03001701ff040300", 0, false, false},
		{0xc02f, 0x303, "01aabb", 0, false, true},
		{0xc018, 0x303, "03001801ff", 24, true, true},
		{0x0033, 0x303, "000101000102000103040100020a0b", 0, false, true},
		{0x0033, 0x303, "000101000102", 0, false, false},
		{0x0034, 0x303, "000101000102000103", 0, false, true},
		{0x002f, 0x303, "", 0, false, true},
		{0xffffff, 0x303, "0300", 0, false, true},
	} {
		b, _ := hex.DecodeString(c.body)
		curve, named, ok := tlsmsg.ParseServerKeyExchange(c.suite, c.version, b)
		if named != c.named || ok != c.ok || named && curve != c.curve {
			t.Errorf("%#x %#x %s: %d %v %v", c.suite, c.version, c.body, curve, named, ok)
		}
	}
}

func BenchmarkClientHello(b *testing.B) {
	m := messages(b)[tlsmsg.ClientHello]
	var h tlsmsg.Hello
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		h.ParseClient(m[i%len(m)])
		i++
	}
}
