package cluster

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/value"
)

func key(t *testing.T, kind, text string) []byte {
	t.Helper()
	num := func() uint64 { n, _ := strconv.ParseUint(text, 10, 64); return n }
	var v value.Value
	switch kind {
	case "string":
		v = value.String(text)
	case "count":
		v = value.Count(num())
	case "int":
		n, _ := strconv.ParseInt(text, 10, 64)
		v = value.Int(n)
	case "bool":
		v = value.Bool(text == "T")
	case "double":
		f, _ := strconv.ParseFloat(text, 64)
		v = value.Double(f)
	case "addr":
		v = value.Addr(netip.MustParseAddr(text))
	case "subnet":
		p := netip.MustParsePrefix(text)
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96
		}
		v = value.Subnet(p.Addr().As16(), uint8(bits))
	case "port":
		n, proto, _ := strings.Cut(text, "/")
		i, _ := strconv.Atoi(n)
		v = value.Port(uint16(i), map[string]value.Proto{"tcp": value.ProtoTCP, "udp": value.ProtoUDP}[proto])
	default:
		t.Fatalf("kind %s", kind)
	}
	b, ok := KeyBytes(v)
	if !ok {
		t.Fatalf("no bytes for %s %s", kind, text)
	}
	return b
}

// TestGoldenRendezvous: what real Zeek hashed and chose.
func TestGoldenRendezvous(t *testing.T) {
	b, err := os.ReadFile(testenv.Shared(t, "golden", "events", "hrw.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	p := NewPool("manager", []string{"proxy-4", "proxy-3", "proxy-1", "proxy-2"})
	for _, m := range p.nodes {
		p.Up(m.name)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 4 {
			continue
		}
		want, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue // heading
		}
		n++
		if f[0] == "site" {
			if got := fnv1a32([]byte(f[1])); got != uint32(want) {
				t.Errorf("site %s: %d, want %d", f[1], got, want)
			}
			continue
		}
		k := key(t, f[0], f[1])
		if got := fnv1a32(k); got != uint32(want) {
			t.Errorf("%s %s: hash %d, want %d", f[0], f[1], got, want)
		}
		if got, _ := p.Rendezvous(k); got+".0" != f[3] {
			t.Errorf("%s %s: %s, want %s", f[0], f[1], got, f[3])
		}
		if got, _ := p.Owner(k); got+".0" != f[3] {
			t.Errorf("%s %s: owner %s, want %s", f[0], f[1], got, f[3])
		}
	}
	if n < 20 {
		t.Errorf("only %d lines", n)
	}
}

func TestPool(t *testing.T) {
	p := NewPool("worker-2", []string{"worker-10", "worker-2", "worker-1", "worker-1"})
	if _, ok := p.Rendezvous([]byte("a")); ok {
		t.Error("rendezvous without anybody")
	}
	for range 3 {
		if got, ok := p.RoundRobin("k"); !ok || got != "worker-2" {
			t.Errorf("round robin alone: %s", got)
		}
	}
	p.Up("worker-1")
	p.Up("worker-10")
	p.Up("worker-2") // never: nobody is told of himself
	var turns []string
	for range 4 {
		n, _ := p.RoundRobin("other")
		turns = append(turns, n)
	}
	if got := strings.Join(turns, " "); got != "worker-1 worker-10 worker-2 worker-1" {
		t.Errorf("turns: %s", got)
	}
	count := map[string]int{}
	for i := range 10000 {
		n, _ := p.Rendezvous([]byte(strconv.Itoa(i)))
		count[n]++
	}
	if count["worker-2"] != 0 || count["worker-1"] < 3500 || count["worker-10"] < 3500 {
		t.Errorf("rendezvous of 10000 keys: %v", count)
	}
	p.Down("worker-1")
	if n, _ := p.Rendezvous([]byte("a")); n != "worker-10" {
		t.Errorf("after worker-1 went down: %s", n)
	}
	// Zeek's own baseline.
	p = NewPool("manager", []string{"worker-1", "worker-2"})
	for i := range 10 {
		want := "worker-1"
		if strings.Contains("0257", strconv.Itoa(i)) {
			want = "worker-2"
		}
		if n, _ := p.Owner([]byte(strconv.Itoa(i))); n != want {
			t.Errorf("key %d: %s, want %s", i, n, want)
		}
	}
}
