package dns_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/dns"
	"github.com/picket-nsm/picket/zeek/value"
)

// watcher writes down all that a message holds.
type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Message(c analyzer.Conn, m *dns.Msg) {
	if w.rec.Quiet {
		return
	}
	var flags []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"QR", m.QR}, {"AA", m.AA}, {"TC", m.TC}, {"RD", m.RD}, {"RA", m.RA}, {"AD", m.AD}, {"CD", m.CD},
		{"netbios", m.NetBIOS}, {"rejected", m.Rejected()}, {"noend", m.NoEnd},
	} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	w.rec.Eventf("message id=%d op=%d rcode=%d z=%d len=%d counts=%d,%d,%d,%d %s", m.ID, m.Opcode, m.Rcode, m.Z, m.Len,
		m.NumQuestions, m.NumAnswers, m.NumAuthority, m.NumAdditional, strings.Join(flags, " "))
	if m.Update() {
		w.rec.Eventf("  zone %q class=%d", m.Zone, m.ZoneClass)
	}
	for _, q := range m.Questions {
		w.rec.Eventf("  question %q %q type=%d class=%d", q.Name, q.Original, q.Type, q.Class)
	}
	for i := range m.Records {
		r := &m.Records[i]
		w.rec.Eventf("  record sec=%d what=%d %q type=%d class=%d ttl=%d %s", r.Section, r.What, r.Name, r.Type, r.Class, r.TTL, describe(r))
	}
}

func (w watcher) End(analyzer.Conn) {
	if !w.rec.Quiet {
		w.rec.Eventf("end")
	}
}

// describe writes the data of a record by its type.
func describe(r *dns.RR) string {
	var b bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	switch r.Type {
	case dns.TypeA, dns.TypeAAAA, dns.TypeA6:
		say("addr=%v", netip.AddrFrom16(r.Addr).Unmap())
	case dns.TypeSOA:
		serial, refresh, retry, expire, minimum := r.SOA()
		say("soa=%q,%q,%d,%d,%d,%d,%d", r.Target, r.Second, serial, refresh, retry, expire, minimum)
	case dns.TypeSRV:
		prio, weight, port := r.SRV()
		say("srv=%q,%d,%d,%d", r.Target, prio, weight, port)
	case dns.TypeMX:
		say("mx=%q,%d", r.Target, r.Preference())
	case dns.TypeNAPTR:
		order, pref := r.NAPTR()
		say("naptr=%d,%d,%q,%q", order, pref, r.Strings, r.Target)
	case dns.TypeRRSIG:
		say("rrsig=%v,%q,%x", r.RRSIG(), r.Target, r.Blob)
	case dns.TypeDNSKEY:
		flags, proto, alg := r.DNSKEY()
		say("dnskey=%d,%d,%d,%x", flags, proto, alg, r.Blob)
	case dns.TypeDS:
		tag, alg, digest := r.DS()
		say("ds=%d,%d,%d,%x", tag, alg, digest, r.Blob)
	case dns.TypeNSEC:
		say("nsec=%q,%x", r.Target, r.Strings)
	case dns.TypeNSEC3, dns.TypeNSEC3PARAM:
		hash, flags, iter := r.NSEC3()
		say("nsec3=%d,%d,%d,%x,%x,%x", hash, flags, iter, r.Blob, r.Blob2, r.Strings)
	case dns.TypeSSHFP:
		alg, kind := r.SSHFP()
		say("sshfp=%d,%d,%x", alg, kind, r.Blob)
	case dns.TypeLOC:
		say("loc=%+v", r.LOC())
	case dns.TypeBINDS:
		alg, id, removal, complete := r.BINDS()
		say("binds=%d,%d,%d,%d", alg, id, removal, complete)
	case dns.TypeCAA:
		say("caa=%d,%q", r.CAA(), r.Strings)
	case dns.TypeTSIG:
		say("tsig=%q,%+v,%x", r.Target, r.TSIG(), r.Blob)
	case dns.TypeTKEY:
		say("tkey=%q,%x", r.Target, r.Blob)
	case dns.TypeSVCB, dns.TypeHTTPS:
		say("svcb=%d,%q", r.Preference(), r.Target)
		for _, p := range r.Params {
			say(" %d=%x,%v", p.Key, p.Value, p.Malformed)
		}
	case dns.TypeOPT:
		ext, version, flags := r.EDNS()
		say("edns=%d,%d,%#x", ext, version, flags)
		for _, p := range r.Params {
			say(" %d=%x,%v", p.Key, p.Value, p.Malformed)
		}
	default:
		say("target=%q strings=%q blob=%x", r.Target, r.Strings, r.Blob)
	}
	return b.String()
}

func harness(cfg dns.Config, dir string) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return dns.Factory(cfg, func() dns.Handler { return watcher{rec} })
		},
		Dir:    dir,
		Allocs: 0,
		State:  80 << 10, // one message of 64 KiB in parts
	}
}

// all parses what Zeek's default scripts leave out.
func all() dns.Config {
	c := dns.Default()
	c.Authority, c.Additional, c.Rare = true, true, true
	return c
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness(dns.Default(), "testdata")) }

func TestKitAll(t *testing.T) { analyzertest.Run(t, harness(all(), "testdata/all")) }

func FuzzDNS(f *testing.F) { analyzertest.Fuzz(f, harness(all(), "testdata/all")) }

func FuzzDNSDefault(f *testing.F) { analyzertest.Fuzz(f, harness(dns.Default(), "testdata")) }

func TestNetBIOSName(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"EKEDFEEIEDCACACACACACACACACACACA", "JCTHC"},
		{"ekedfeeiedcacacacacacacacacacaaa", "JCTHC"},
		{"FHEPFCELEHFCEPFFFACACACACACACABL", "WORKGROUP"},
		{"FHEPFCELEHFCEPFFFACACACACACACAB", ""},
		{"QHEPFCELEHFCEPFFFACACACACACACABL", ""},
		{"CACACACACACACACACACACACACACACACA", ""},
		{"ABACFPFPENFDECFCEPFHFDEFFPFPACAB", "\x01\x02__MSBROWSE__\x02"},
	} {
		var buf [16]byte
		n := dns.NetBIOSName(&buf, []byte(c.in))
		if got := string(buf[:n]); got != c.want {
			t.Errorf("NetBIOSName(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// TestBomb sends a message whose names decode to much more than it holds.
func TestBomb(t *testing.T) {
	msg := []byte{0, 1, 0x80, 0, 0, 0, 0x10, 0, 0, 0, 0, 0}
	label := append([]byte{62}, bytes.Repeat([]byte("a"), 62)...)
	for range 4 {
		msg = append(msg, label...)
	}
	msg = append(msg, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
	n := uint16(1)
	for len(msg) < 65000 {
		msg = append(msg, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4)
		n++
	}
	binary.BigEndian.PutUint16(msg[6:], n)
	rec := &analyzertest.Recorder{Quiet: true}
	f := dns.Factory(dns.Default(), func() dns.Handler { return watcher{rec} })
	a := f.New(value.ProtoUDP)
	if got := testing.AllocsPerRun(5, func() { a.Deliver(rec, false, msg) }); got > 60 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkParse(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	f := dns.Factory(dns.Default(), func() dns.Handler { return watcher{rec} })
	for _, c := range analyzertest.Load(b, "testdata") {
		if c.Name != "udp-basic" {
			continue
		}
		b.Run(c.Name, func(b *testing.B) {
			b.ReportAllocs()
			a := f.New(value.ProtoUDP)
			for b.Loop() {
				for i := range c.Turns {
					a.Deliver(rec, c.Turns[i].Orig, c.Turns[i].Data)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(c.Turns)), "ns/msg")
		})
	}
}
