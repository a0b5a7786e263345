// Package dns compares Picket's DNS analyzer with miekg/dns: random messages of
// every record type that both know, packed by the one and read by the other.
package dns

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	oracle "github.com/miekg/dns"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/zeek/value"
)

// taker keeps a text of the last message.
type taker struct {
	n     int
	lines []string
}

func (k *taker) Message(_ analyzer.Conn, m *dns.Msg) {
	k.n++
	k.lines = nil
	say := func(f string, a ...any) { k.lines = append(k.lines, fmt.Sprintf(f, a...)) }
	say("id %d op %d rcode %d %v %v %v %v %v %v %v", m.ID, m.Opcode, m.Rcode, m.QR, m.AA, m.TC, m.RD, m.RA, m.AD, m.CD)
	for _, q := range m.Questions {
		say("q %s %d %d", q.Name, q.Type, q.Class)
	}
	for i := range m.Records {
		r := &m.Records[i]
		if r.Type == dns.TypeOPT {
			_, _, flags := r.EDNS()
			s := fmt.Sprintf("opt %d %v", r.Class, flags&0x8000 != 0)
			for _, p := range r.Params {
				s += fmt.Sprintf(" %d=%x", p.Key, p.Value)
			}
			say("%s", s)
			continue
		}
		say("%s %d %d %d %s", r.Name, r.Type, r.Class, r.TTL, data(r))
	}
}

func (k *taker) End(analyzer.Conn) {}

func data(r *dns.RR) string {
	switch r.Type {
	case dns.TypeA, dns.TypeAAAA:
		return netip.AddrFrom16(r.Addr).Unmap().String()
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR:
		return string(r.Target)
	case dns.TypeMX:
		return fmt.Sprint(string(r.Target), r.Preference())
	case dns.TypeSOA:
		a, b, c, d, e := r.SOA()
		return fmt.Sprint(string(r.Target), string(r.Second), a, b, c, d, e)
	case dns.TypeSRV:
		a, b, c := r.SRV()
		return fmt.Sprint(string(r.Target), a, b, c)
	case dns.TypeTXT, dns.TypeSPF, dns.TypeHINFO:
		return fmt.Sprintf("%q", r.Strings)
	case dns.TypeNAPTR:
		a, b := r.NAPTR()
		return fmt.Sprintf("%d %d %q %s", a, b, r.Strings, strings.ToLower(string(r.Target)))
	case dns.TypeRRSIG:
		return fmt.Sprintf("%v %s %x", r.RRSIG(), r.Target, r.Blob)
	case dns.TypeDNSKEY:
		a, b, c := r.DNSKEY()
		return fmt.Sprintf("%d %d %d %x", a, b, c, r.Blob)
	case dns.TypeDS:
		a, b, c := r.DS()
		return fmt.Sprintf("%d %d %d %x", a, b, c, r.Blob)
	case dns.TypeNSEC:
		return string(r.Target)
	case dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		a, b, c := r.NSEC3()
		return fmt.Sprintf("%d %d %d %x %x", a, b, c, r.Blob, r.Blob2)
	case dns.TypeSSHFP:
		a, b := r.SSHFP()
		return fmt.Sprintf("%d %d %x", a, b, r.Blob)
	case dns.TypeLOC:
		return fmt.Sprintf("%v", r.LOC())
	case dns.TypeCAA:
		return fmt.Sprintf("%d %q", r.CAA(), r.Strings)
	case dns.TypeTSIG:
		t := r.TSIG()
		return fmt.Sprintf("%s %d %d %d %d %x", r.Target, uint64(t.Seconds)<<16|uint64(t.Fraction), t.Fudge, t.OrigID, t.Error, r.Blob)
	case dns.TypeTKEY:
		return fmt.Sprintf("%s %x", r.Target, r.Blob)
	case dns.TypeSVCB, dns.TypeHTTPS:
		s := fmt.Sprintf("%d %s", r.Preference(), strings.ToLower(string(r.Target)))
		for _, p := range r.Params {
			s += fmt.Sprintf(" %d %v", p.Key, p.Malformed)
		}
		return s
	}
	return fmt.Sprintf("%x", r.Blob)
}

// name is a name of the oracle's as ours are: lower case, no dot at the end.
func name(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

func unhex(s string) string { b, _ := hex.DecodeString(s); return string(b) }
func un64(s string) string  { b, _ := base64.StdEncoding.DecodeString(s); return string(b) }

// want is the same text from the oracle's record.
func want(rr oracle.RR) string {
	h := rr.Header()
	d := ""
	list := func(s []string) string { return fmt.Sprintf("%q", s) }
	svcb := func(r *oracle.SVCB) string {
		target := name(r.Target)
		if target == "" {
			target = "."
		}
		s := fmt.Sprintf("%d %s", r.Priority, target)
		for _, p := range r.Value {
			s += fmt.Sprintf(" %d false", p.Key())
		}
		return s
	}
	switch r := rr.(type) {
	case *oracle.A:
		d = r.A.String()
	case *oracle.AAAA:
		d = netip.AddrFrom16([16]byte(r.AAAA.To16())).Unmap().String()
	case *oracle.NS:
		d = name(r.Ns)
	case *oracle.CNAME:
		d = name(r.Target)
	case *oracle.PTR:
		d = name(r.Ptr)
	case *oracle.MX:
		d = fmt.Sprint(name(r.Mx), r.Preference)
	case *oracle.SOA:
		d = fmt.Sprint(name(r.Ns), name(r.Mbox), r.Serial, r.Refresh, r.Retry, r.Expire, r.Minttl)
	case *oracle.SRV:
		d = fmt.Sprint(name(r.Target), r.Priority, r.Weight, r.Port)
	case *oracle.TXT:
		d = list(r.Txt)
	case *oracle.SPF:
		d = list(r.Txt)
	case *oracle.HINFO:
		d = list([]string{r.Cpu, r.Os})
	case *oracle.NAPTR:
		d = fmt.Sprintf("%d %d %q %s", r.Order, r.Preference, []string{r.Flags, r.Service, r.Regexp}, name(r.Replacement))
	case *oracle.RRSIG:
		d = fmt.Sprintf("%v %s %x", dns.RRSIG{Covered: r.TypeCovered, Algorithm: r.Algorithm, Labels: r.Labels, TTL: r.OrigTtl,
			Expiration: r.Expiration, Inception: r.Inception, KeyTag: r.KeyTag}, name(r.SignerName), un64(r.Signature))
	case *oracle.DNSKEY:
		d = fmt.Sprintf("%d %d %d %x", r.Flags, r.Protocol, r.Algorithm, un64(r.PublicKey))
	case *oracle.DS:
		d = fmt.Sprintf("%d %d %d %x", r.KeyTag, r.Algorithm, r.DigestType, unhex(r.Digest))
	case *oracle.NSEC:
		d = name(r.NextDomain)
	case *oracle.NSEC3:
		next, _ := base32.HexEncoding.WithPadding(base32.NoPadding).DecodeString(r.NextDomain)
		d = fmt.Sprintf("%d %d %d %x %x", r.Hash, r.Flags, r.Iterations, unhex(r.Salt), next)
	case *oracle.NSEC3PARAM:
		d = fmt.Sprintf("%d %d %d %x ", r.Hash, r.Flags, r.Iterations, unhex(r.Salt))
	case *oracle.SSHFP:
		d = fmt.Sprintf("%d %d %x", r.Algorithm, r.Type, unhex(r.FingerPrint))
	case *oracle.LOC:
		d = fmt.Sprintf("%v", dns.LOC{Version: r.Version, Size: r.Size, Horizontal: r.HorizPre, Vertical: r.VertPre,
			Latitude: r.Latitude, Longitude: r.Longitude, Altitude: r.Altitude})
	case *oracle.CAA:
		d = fmt.Sprintf("%d %q", r.Flag, []string{r.Tag, r.Value})
	case *oracle.TSIG:
		d = fmt.Sprintf("%s %d %d %d %d %x", name(r.Algorithm), r.TimeSigned, r.Fudge, r.OrigId, r.Error, unhex(r.MAC))
	case *oracle.TKEY:
		d = fmt.Sprintf("%s %x", name(r.Algorithm), unhex(r.Key))
	case *oracle.SVCB:
		d = svcb(r)
	case *oracle.HTTPS:
		d = svcb(&r.SVCB)
	case *oracle.OPT:
		s := fmt.Sprintf("opt %d %v", r.UDPSize(), r.Do())
		for _, o := range r.Option {
			b := ""
			switch o := o.(type) {
			case *oracle.EDNS0_COOKIE:
				b = o.Cookie
			case *oracle.EDNS0_LOCAL:
				b = hex.EncodeToString(o.Data)
			}
			s += fmt.Sprintf(" %d=%s", o.Option(), b)
		}
		return s
	case *oracle.RFC3597:
		d = r.Rdata
	}
	return fmt.Sprintf("%s %d %d %d %s", name(h.Name), h.Rrtype, h.Class, h.Ttl, d)
}

// gen makes random things.
type gen struct{ *rand.Rand }

func (g gen) text(n int) string {
	b := make([]byte, g.IntN(n))
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789-_"[g.IntN(48)]
	}
	return string(b)
}

func (g gen) name() string {
	if g.IntN(20) == 0 {
		return "."
	}
	s := []string{"example.", "Example.COM.", "a.b.c.example.", "org."}[g.IntN(4)]
	for range g.IntN(4) {
		s = g.text(20) + "x." + s
	}
	return s
}

func (g gen) hex(n int) string { return hex.EncodeToString([]byte(g.text(n) + "x")) }
func (g gen) b64() string      { return base64.StdEncoding.EncodeToString([]byte(g.text(40) + "x")) }
func (g gen) u8() uint8        { return uint8(g.Uint32()) }
func (g gen) u16() uint16      { return uint16(g.Uint32()) }
func (g gen) ip(n int) net.IP {
	ip := make(net.IP, n)
	for i := range ip {
		ip[i] = g.u8()
	}
	return ip
}

func (g gen) texts() []string {
	var s []string
	for range 1 + g.IntN(3) {
		s = append(s, g.text(50))
	}
	return s
}

func (g gen) svcb() oracle.SVCB {
	r := oracle.SVCB{Priority: 1 + g.u16()/2, Target: g.name()}
	if g.IntN(2) == 0 {
		r.Value = append(r.Value, &oracle.SVCBAlpn{Alpn: []string{"h2", "h3"}})
	}
	if g.IntN(2) == 0 {
		r.Value = append(r.Value, &oracle.SVCBPort{Port: g.u16()}, &oracle.SVCBIPv4Hint{Hint: []net.IP{g.ip(4), g.ip(4)}}, &oracle.SVCBIPv6Hint{Hint: []net.IP{g.ip(16)}})
	}
	return r
}

func (g gen) rr() oracle.RR {
	h := func(t uint16) oracle.RR_Header {
		return oracle.RR_Header{Name: g.name(), Rrtype: t, Class: 1, Ttl: g.Uint32()}
	}
	switch g.IntN(25) {
	case 0:
		return &oracle.A{Hdr: h(1), A: g.ip(4)}
	case 1:
		return &oracle.AAAA{Hdr: h(28), AAAA: g.ip(16)}
	case 2:
		return &oracle.NS{Hdr: h(2), Ns: g.name()}
	case 3:
		return &oracle.CNAME{Hdr: h(5), Target: g.name()}
	case 4:
		return &oracle.PTR{Hdr: h(12), Ptr: g.name()}
	case 5:
		return &oracle.MX{Hdr: h(15), Mx: g.name(), Preference: g.u16()}
	case 6:
		return &oracle.SOA{Hdr: h(6), Ns: g.name(), Mbox: g.name(), Serial: g.Uint32(), Refresh: g.Uint32(), Retry: 3, Expire: 4, Minttl: g.Uint32()}
	case 7:
		return &oracle.SRV{Hdr: h(33), Target: g.name(), Priority: g.u16(), Weight: g.u16(), Port: g.u16()}
	case 8:
		return &oracle.TXT{Hdr: h(16), Txt: g.texts()}
	case 9:
		return &oracle.SPF{Hdr: h(99), Txt: g.texts()}
	case 10:
		return &oracle.HINFO{Hdr: h(13), Cpu: g.text(9), Os: g.text(9)}
	case 11:
		return &oracle.NAPTR{Hdr: h(35), Order: g.u16(), Preference: g.u16(), Flags: "u", Service: g.text(9), Regexp: g.text(9), Replacement: g.name()}
	case 12:
		return &oracle.RRSIG{Hdr: h(46), TypeCovered: g.u16(), Algorithm: g.u8(), Labels: g.u8(), OrigTtl: g.Uint32(), Expiration: g.Uint32(), Inception: g.Uint32(), KeyTag: g.u16(), SignerName: g.name(), Signature: g.b64()}
	case 13:
		return &oracle.DNSKEY{Hdr: h(48), Flags: g.u16(), Protocol: g.u8(), Algorithm: g.u8(), PublicKey: g.b64()}
	case 14:
		return &oracle.DS{Hdr: h(43), KeyTag: g.u16(), Algorithm: g.u8(), DigestType: g.u8(), Digest: g.hex(30)}
	case 15:
		return &oracle.NSEC{Hdr: h(47), NextDomain: g.name(), TypeBitMap: []uint16{1, 15, 300}}
	case 16:
		next := base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890"))
		salt := g.hex(8)
		return &oracle.NSEC3{Hdr: h(50), Hash: 1, Flags: g.u8(), Iterations: g.u16(), SaltLength: uint8(len(salt) / 2), Salt: salt, HashLength: 20, NextDomain: next, TypeBitMap: []uint16{1, 2}}
	case 17:
		salt := g.hex(8)
		return &oracle.NSEC3PARAM{Hdr: h(51), Hash: 1, Flags: g.u8(), Iterations: g.u16(), SaltLength: uint8(len(salt) / 2), Salt: salt}
	case 18:
		return &oracle.SSHFP{Hdr: h(44), Algorithm: g.u8(), Type: g.u8(), FingerPrint: g.hex(30)}
	case 19:
		return &oracle.LOC{Hdr: h(29), Size: g.u8(), HorizPre: g.u8(), VertPre: g.u8(), Latitude: g.Uint32(), Longitude: g.Uint32(), Altitude: g.Uint32()}
	case 20:
		return &oracle.CAA{Hdr: h(257), Flag: g.u8(), Tag: "issue", Value: g.text(20) + "x"}
	case 21:
		key := g.hex(20)
		return &oracle.TKEY{Hdr: h(249), Algorithm: g.name(), KeySize: uint16(len(key) / 2), Key: key}
	case 22:
		return &oracle.RFC3597{Hdr: h(65300), Rdata: g.hex(20)}
	case 23:
		r := g.svcb()
		r.Hdr = h(64)
		return &r
	default:
		r := oracle.HTTPS{SVCB: g.svcb()}
		r.Hdr = h(65)
		return &r
	}
}

func (g gen) msg() *oracle.Msg {
	m := &oracle.Msg{}
	m.Id, m.Rcode = g.u16(), g.IntN(16)
	m.Response, m.Authoritative, m.Truncated = true, g.IntN(2) == 0, g.IntN(2) == 0
	m.RecursionDesired, m.RecursionAvailable = g.IntN(2) == 0, g.IntN(2) == 0
	m.AuthenticatedData, m.CheckingDisabled = g.IntN(2) == 0, g.IntN(2) == 0
	m.Compress = g.IntN(4) > 0
	for range g.IntN(3) {
		m.Question = append(m.Question, oracle.Question{Name: g.name(), Qtype: g.u16(), Qclass: g.u16()})
	}
	for range 1 + g.IntN(8) {
		m.Answer = append(m.Answer, g.rr())
	}
	for range g.IntN(3) {
		m.Ns = append(m.Ns, g.rr())
	}
	for range g.IntN(3) {
		m.Extra = append(m.Extra, g.rr())
	}
	if g.IntN(2) == 0 {
		o := &oracle.OPT{Hdr: oracle.RR_Header{Name: ".", Rrtype: 41}}
		o.SetUDPSize(g.u16())
		o.SetDo(g.IntN(2) == 0)
		o.Option = append(o.Option, &oracle.EDNS0_COOKIE{Code: 10, Cookie: "0102030405060708"}, &oracle.EDNS0_LOCAL{Code: 65001, Data: []byte("abc")})
		m.Extra = append(m.Extra, o)
	}
	if g.IntN(3) == 0 {
		mac := g.hex(20)
		m.Extra = append(m.Extra, &oracle.TSIG{Hdr: oracle.RR_Header{Name: g.name(), Rrtype: 250, Class: 255}, Algorithm: g.name(),
			TimeSigned: uint64(g.Uint32()) << 8, Fudge: 300, MACSize: uint16(len(mac) / 2), MAC: mac, OrigId: g.u16()})
	}
	return m
}

func TestAgainstOracle(t *testing.T) {
	g := gen{rand.New(rand.NewPCG(1, 2))}
	cfg := dns.Default()
	cfg.Authority, cfg.Additional, cfg.Rare = true, true, true
	k := &taker{}
	f := dns.Factory(cfg, func() dns.Handler { return k })
	tried := 0
	for range 3000 {
		m := g.msg()
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		// What the oracle reads back is the truth, not what it was told to write.
		var back oracle.Msg
		if err := back.Unpack(b); err != nil {
			continue
		}
		tried++
		exp := []string{fmt.Sprintf("id %d op %d rcode %d %v %v %v %v %v %v %v", m.Id, 0, m.Rcode&15, true, m.Authoritative, m.Truncated,
			m.RecursionDesired, m.RecursionAvailable, m.AuthenticatedData, m.CheckingDisabled)}
		for _, q := range back.Question {
			exp = append(exp, fmt.Sprintf("q %s %d %d", name(q.Name), q.Qtype, q.Qclass))
		}
		for _, sec := range [][]oracle.RR{back.Answer, back.Ns, back.Extra} {
			for _, rr := range sec {
				exp = append(exp, want(rr))
			}
		}
		before := k.n
		a := f.New(value.ProtoUDP)
		a.Deliver(&analyzertest.Recorder{Quiet: true}, false, b)
		if k.n != before+1 {
			t.Fatalf("no message out of %x", b)
		}
		for i := range max(len(exp), len(k.lines)) {
			if i >= len(exp) || i >= len(k.lines) || exp[i] != k.lines[i] {
				t.Fatalf("line %d of\n%v\nours\n%s\nwant\n%s", i, &back, strings.Join(k.lines, "\n"), strings.Join(exp, "\n"))
			}
		}
	}
	t.Logf("%d messages", tried)
	if tried < 2000 {
		t.Errorf("only %d messages could be compared", tried)
	}
}
