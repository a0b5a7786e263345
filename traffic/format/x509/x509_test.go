package x509_test

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/format/asn1"
	"github.com/picket-nsm/picket/traffic/format/x509"
)

var update = flag.Bool("update", false, "rewrite the fields of the certificates in testdata")

// file is a certificate in testdata: a comment, the bytes, what should be read.
type file struct {
	path, comment string
	der           []byte
	fields        string
}

func load(t testing.TB) []file {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no certificates (%v)", err)
	}
	var all []file
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		comment, rest, _ := strings.Cut(string(b), "-- der --\n")
		text, fields, _ := strings.Cut(rest, "-- fields --\n")
		der, err := hex.DecodeString(strings.ReplaceAll(text, "\n", ""))
		if err != nil {
			t.Fatalf("%s: %v", p, err)
		}
		all = append(all, file{p, comment, der, fields})
	}
	return all
}

// show writes all that a certificate says.
func show(c *x509.Certificate) string {
	var b strings.Builder
	p := func(name string, v any) { fmt.Fprintf(&b, "%s %v\n", name, v) }
	p("size", c.Size)
	p("version", c.Version)
	p("serial", fmt.Sprintf("%q", c.Serial))
	p("subject", fmt.Sprintf("%q", c.Subject))
	p("issuer", fmt.Sprintf("%q", c.Issuer))
	p("cn", fmt.Sprintf("%v %q", c.HasCommonName, c.CommonName))
	p("valid", fmt.Sprintf("%.0f-%.0f", c.NotBefore, c.NotAfter))
	p("key", fmt.Sprintf("%q %q %d exponent=%q curve=%q", c.KeyAlg, c.KeyType, c.KeyLength, c.Exponent, c.Curve))
	p("signature", fmt.Sprintf("%q", c.SigAlg))
	if c.HasSAN {
		p("san", fmt.Sprintf("dns=%q uri=%q email=%q", c.SAN.DNS, c.SAN.URI, c.SAN.Email))
		for _, a := range c.SAN.IP {
			p("ip", netip.AddrFrom16(a).Unmap())
		}
	}
	if c.HasConstraints {
		p("constraints", fmt.Sprintf("ca=%v pathlen=%v,%d", c.CA, c.HasPathLen, c.PathLen))
	}
	for _, w := range c.Weirds {
		p("weird", w)
	}
	return b.String()
}

// The fields were compared with those that OpenSSL 3.0 reads.
func TestGolden(t *testing.T) {
	for _, f := range load(t) {
		c, ok := x509.Parse(f.der)
		got := "no certificate\n"
		if ok {
			got = show(c)
		}
		if *update {
			text := hex.EncodeToString(f.der)
			var lines strings.Builder
			for len(text) > 0 {
				n := min(len(text), 128)
				lines.WriteString(text[:n] + "\n")
				text = text[n:]
			}
			if err := os.WriteFile(f.path, []byte(f.comment+"-- der --\n"+lines.String()+"-- fields --\n"+got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got != f.fields {
			t.Errorf("%s:\ngot\n%swant\n%s", f.path, got, f.fields)
		}
		// What follows is of no interest.
		if c, ok := x509.Parse(append(bytes.Clone(f.der), 1, 2, 3)); ok && show(c) != got {
			t.Errorf("%s: bytes behind it change it", f.path)
		}
	}
}

// A certificate that is cut is none.
func TestTruncated(t *testing.T) {
	for _, f := range load(t) {
		for n := range f.der {
			if _, ok := x509.Parse(f.der[:n:n]); ok {
				t.Fatalf("%s: %d of %d bytes are a certificate", f.path, n, len(f.der))
			}
		}
	}
}

// Every byte changed in many ways must not harm.
func TestFlipped(t *testing.T) {
	for _, f := range load(t) {
		b := bytes.Clone(f.der)
		for i := range b {
			for _, x := range []byte{1, 0x80, 0xff, 0x20} {
				b[i] ^= x
				if c, ok := x509.Parse(b); ok {
					c.MatchesHost("a.example")
				}
				b[i] ^= x
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range load(f) {
		f.Add(c.der)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := x509.Parse(b)
		if !ok {
			return
		}
		if c.Size > len(b) || len(c.Subject) > 2047 || len(c.Issuer) > 2047 {
			t.Errorf("size %d of %d, names of %d and %d bytes", c.Size, len(b), len(c.Subject), len(c.Issuer))
		}
		again, ok := x509.Parse(b[:c.Size])
		if !ok || show(again) != show(c) {
			t.Error("its own bytes alone read otherwise")
		}
	})
}

// tlv encodes a value.
func tlv(tag byte, content ...[]byte) []byte {
	c := bytes.Join(content, nil)
	switch n := len(c); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, c...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, c...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, c...)
	}
}

func seq(content ...[]byte) []byte { return tlv(0x30, content...) }

func oid(b ...byte) []byte { return tlv(6, b) }

// made builds a certificate from the parts that a test is about; nil takes one
// that is fine.
type made struct{ serial, notBefore, notAfter, subject, key, ext []byte }

func (m made) der() []byte {
	or := func(b, d []byte) []byte {
		if b == nil {
			return d
		}
		return b
	}
	alg := seq(oid(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11), []byte{5, 0})
	utc := tlv(0x17, []byte("250102030405Z"))
	name := seq(tlv(0x31, seq(oid(0x55, 4, 3), tlv(12, []byte("ca")))))
	key := seq(seq(oid(0x2b, 0x65, 0x70)), tlv(3, make([]byte, 33)))
	tbs := [][]byte{tlv(2, or(m.serial, []byte{1})), alg, name, seq(or(m.notBefore, utc), or(m.notAfter, utc)), or(m.subject, name), or(m.key, key)}
	if m.ext != nil {
		tbs = append(tbs, tlv(0xa3, seq(m.ext)))
	}
	return seq(seq(tbs...), alg, tlv(3, []byte{0, 1}))
}

func parse(t *testing.T, what string, m made) *x509.Certificate {
	t.Helper()
	c, ok := x509.Parse(m.der())
	if !ok {
		t.Errorf("%s: no certificate", what)
		return &x509.Certificate{}
	}
	return c
}

func TestNames(t *testing.T) {
	cn := []byte{0x55, 4, 3}
	for _, c := range []struct {
		what string
		id   []byte
		tag  byte
		text string
		want string // empty: no certificate
	}{
		{"plain", cn, 12, "a.example", "CN=a.example"},
		{"empty", cn, 12, "", "CN="},
		{"special", cn, 19, `a,b+c"d\e<f>g;h=i`, `CN=a\,b\+c\"d\\e\<f\>g\;h=i`},
		{"first and last", cn, 12, " a ", `CN=\ a\ `},
		{"hash", cn, 12, "#a#", `CN=\#a#`},
		{"hash alone", cn, 12, "#", `CN=#`},
		{"control", cn, 12, "a\x00\x1f\x7fb", `CN=a\00\1F\7Fb`},
		{"utf-8", cn, 12, "ü", `CN=\C3\BC`},
		{"latin", cn, 20, "\xfc", `CN=\C3\BC`},
		{"two bytes", cn, 30, "\x00a\x4e\x2d", `CN=a\E4\B8\AD`},
		{"four bytes", cn, 28, "\x00\x01\xf6\x00", `CN=\F0\9F\98\80`},
		{"bits", cn, 3, "\x00a", "CN=#03020061"},
		{"unknown attribute", []byte{0x2a, 3, 4}, 12, "ab", "1.2.3.4=#0C026162"},
		{"not utf-8", cn, 12, "\xff", ""},
		{"surrogate", cn, 30, "\xd8\x00", ""},
		{"half a character", cn, 30, "\x00", ""},
		{"no text", cn, 2, "\x01", ""},
		{"bad attribute", []byte{0x55, 0x80}, 12, "a", ""},
	} {
		m := made{subject: seq(tlv(0x31, seq(tlv(6, c.id), tlv(c.tag, []byte(c.text)))))}
		got, ok := x509.Parse(m.der())
		switch {
		case !ok && c.want != "":
			t.Errorf("%s: no certificate", c.what)
		case ok && got.Subject != c.want:
			t.Errorf("%s: %q, want %q", c.what, got.Subject, c.want)
		}
	}
	long := made{subject: seq(tlv(0x31, seq(tlv(6, cn), tlv(12, bytes.Repeat([]byte("ä"), 2000)))))}
	if c := parse(t, "long", long); len(c.Subject) != 2047 {
		t.Errorf("long: %d bytes", len(c.Subject))
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		tag   byte
		text  string
		want  float64
		weird string
	}{
		{0x17, "250102030405Z", 1735787045, ""},
		{0x17, "491231235959Z", 2524607999, ""},
		{0x17, "500101000000Z", -631152000, ""},
		{0x17, "2501020304Z", 1735787040, ""},
		{0x17, "250102030405+0100Z", 0, "x509_utc_length"},
		{0x17, "250102Z", 0, "x509_utc_length"},
		{0x17, "250102030405", 0, "x509_utc_format"},
		{0x18, "20250102030405Z", 1735787045, ""},
		{0x18, "20250102030405.75Z", 1735787045, ""},
		{0x18, "202501020304Z", 1735787040, ""},
		{0x18, "20250102030405", 1735787045, ""},
		{0x18, "20250102030405+0130", 1735787045 + 10*0 + 60*1 + 10*3, ""},
		{0x18, "20250102030405-0130", 1735787045 - 60*1 - 10*3, ""},
		{0x18, "20250102030405+01", 0, "x509_time_offset_underflow"},
		{0x18, "20250102030405x0000", 0, "x509_time_offset_type"},
		{0x18, "2025010203045", 0, "x509_time_add_char"},
		{0x18, "20250102", 0, "x509_gen_time_length"},
		{0x18, "99991231235959Z", 253402300799, ""},
		{0x13, "20250102030405Z", 0, "x509_invalid_time_type"},
	} {
		v, _, _ := asn1.Read(tlv(c.tag, []byte(c.text)))
		got, weird := x509.ParseTime(&v)
		if got != c.want || weird != c.weird {
			t.Errorf("%q: %.0f %q, want %.0f %q", c.text, got, weird, c.want, c.weird)
		}
	}
	c := parse(t, "bad time", made{notAfter: tlv(0x17, []byte("x"))})
	if c.NotAfter != 0 || c.NotBefore == 0 || len(c.Weirds) != 1 {
		t.Errorf("bad time: %v %v %v", c.NotBefore, c.NotAfter, c.Weirds)
	}
}

func TestExtensions(t *testing.T) {
	san := func(names ...[]byte) []byte { return seq(oid(0x55, 0x1d, 17), tlv(4, seq(names...))) }
	for _, c := range []struct {
		what string
		ext  []byte
		want string
	}{
		{"ipv4 of odd length", san(tlv(0x87, []byte{1, 2, 3}), tlv(0x82, []byte("a"))), "san [a] ip [] weirds [{x509_san_ip_length 3}]"},
		{"only other names", san(tlv(0x88, []byte{0x2a, 3})), "san [] ip <nil> weirds []"},
		{"name of no kind", san(tlv(0x89, []byte("a"))), "weirds [{x509_san_parse_error }]"},
		{"not a list", seq(oid(0x55, 0x1d, 17), tlv(4, []byte{1, 2})), "weirds [{x509_san_parse_error }]"},
		{"critical", seq(oid(0x55, 0x1d, 19), []byte{1, 1, 0xff}, tlv(4, seq([]byte{1, 1, 0xff}, []byte{2, 1, 5}))), "ca true true 5 weirds []"},
		{"no constraints", seq(oid(0x55, 0x1d, 19), tlv(4, seq())), "ca false false 0 weirds []"},
		{"bad constraints", seq(oid(0x55, 0x1d, 19), tlv(4, seq([]byte{2, 1, 5, 2, 1, 5}))), "weirds [{x509_invalid_basic_constraint }]"},
	} {
		got := parse(t, c.what, made{ext: c.ext})
		var b strings.Builder
		if got.HasSAN {
			ip := "<nil>"
			if got.SAN.IP != nil {
				ip = fmt.Sprint(got.SAN.IP)
			}
			fmt.Fprintf(&b, "san %v ip %s ", got.SAN.DNS, ip)
		}
		if got.HasConstraints {
			fmt.Fprintf(&b, "ca %v %v %d ", got.CA, got.HasPathLen, got.PathLen)
		}
		fmt.Fprintf(&b, "weirds %v", got.Weirds)
		if b.String() != c.want {
			t.Errorf("%s: %s, want %s", c.what, b.String(), c.want)
		}
	}
}

func TestSerial(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"00", "00"}, {"01", "01"}, {"00ff", "FF"}, {"ff", "-01"}, {"8000", "-8000"}, {"ff00", "-0100"},
		{strings.Repeat("11", 36), strings.Repeat("11", 35) + "\\\n11"},
	} {
		b, _ := hex.DecodeString(c.in)
		if got := parse(t, c.in, made{serial: b}).Serial; got != c.want {
			t.Errorf("%s: %q, want %q", c.in, got, c.want)
		}
	}
	for _, bad := range []string{"", "0001", "ffff"} {
		b, _ := hex.DecodeString(bad)
		if _, ok := x509.Parse(made{serial: append([]byte{}, b...)}.der()); ok {
			t.Errorf("serial %q is taken", bad)
		}
	}
}

func TestMatchesHost(t *testing.T) {
	for _, c := range []struct {
		names []string
		host  string
		want  bool
	}{
		{[]string{"a.example"}, "a.example", true},
		{[]string{"a.example"}, "A.example", false},
		{[]string{"*.a.example"}, "b.a.example", true},
		{[]string{"*.a.example"}, "a.example", false},
		{[]string{"*.a.example"}, "c.b.a.example", false},
		{[]string{"*.example"}, "a.example", false},
		{[]string{"b*.a.example"}, "bc.a.example", true},
		{[]string{"b*.a.example"}, "c.a.example", false},
		{[]string{"*b.a.example"}, "bb.a.example", false},
		{[]string{"*.a.example"}, "localhost", false},
		{[]string{"x", "a.example"}, "a.example", true},
		{nil, "cn.example", false},
	} {
		k := &x509.Certificate{SANSeen: true, HasSAN: true, SAN: x509.SAN{DNS: c.names}, HasCommonName: true, CommonName: "cn.example"}
		if got := k.MatchesHost(c.host); got != c.want {
			t.Errorf("%q for %q: %v", c.names, c.host, got)
		}
	}
	k := &x509.Certificate{HasCommonName: true, CommonName: "cn.example"}
	if !k.MatchesHost("cn.example") || k.MatchesHost("a.example") {
		t.Error("without alternative names the common name counts")
	}
}

func BenchmarkParse(b *testing.B) {
	for _, f := range load(b) {
		if name := filepath.Base(f.path); name == "rsa-san.txt" || name == "p256.txt" {
			b.Run(strings.TrimSuffix(name, ".txt"), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					x509.Parse(f.der)
				}
			})
		}
	}
}
