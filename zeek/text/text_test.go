package text_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/zeek/text"
)

func TestFixed6(t *testing.T) {
	same := func(f float64) {
		t.Helper()
		want := strconv.FormatFloat(f, 'f', 6, 64)
		if got := string(text.AppendFixed6(nil, f)); got != want {
			t.Errorf("%v: got %s, want %s", f, got, want)
		}
	}
	for _, f := range []float64{0, math.Copysign(0, -1), 1, 1.5, -1.5, 0.5e-6, 1.5e-6, 2.5e-6, 0.0000005, 0.9999995, 0.99999951,
		1700000000.123456, 1e15, 1e16, 1 << 62, 1 << 63, 1e19, 1e22, 1e300, math.MaxFloat64, 5e-324, 1e-300, 1e-20, 1e-15,
		1.0 / 128, 3.0 / 128, 5.0 / 128, 1.0 / (1 << 20), 1e-6, 1e-7, 0.1, 0.2, 123456.7890125, 0.000000499999999999} {
		same(f)
		same(-f)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200000 {
		same(math.Float64frombits(r.Uint64()&^(0x7ff<<52) | uint64(r.IntN(2046-900)+500)<<52))
		same(r.Float64() * 2e9)
		same(float64(r.IntN(1<<30)) / (1 << 24)) // exact ties
	}
	for f, want := range map[float64]string{math.Inf(1): "inf", math.Inf(-1): "-inf"} {
		if got := string(text.AppendFixed6(nil, f)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := string(text.AppendFixed6(nil, math.NaN())); got != "nan" {
		t.Errorf("got %s", got)
	}
}

func TestUint(t *testing.T) {
	for _, top := range []uint64{20, 2000, 200000, math.MaxUint64} {
		for i := range uint64(200100) {
			n := top - min(top, i)
			if got, want := string(text.AppendUint(nil, n)), strconv.FormatUint(n, 10); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
	}
}

func TestScript(t *testing.T) {
	if got := string(text.AppendEnds([]byte("x"), netip.MustParseAddr("1.2.3.4"), 5, netip.MustParseAddr("2001:db8::1"), 65535)); got != "x1.2.3.4:5 > 2001:db8::1:65535" {
		t.Error(got)
	}
	for _, c := range []struct{ list, want string }{
		{"", "x[]"}, {"a", "x[a]"}, {"a bc", "x[a, bc]"}, {"a bcdefgh i", "x[a, bcdefgh]"}, {"abcd e f", "x[abcd, e]"}, {"abcdefghi j", "x[abcdefghi]"},
	} {
		var list [][]byte
		for _, s := range strings.Fields(c.list) {
			list = append(list, []byte(s))
		}
		if got := string(text.AppendVector([]byte("x"), list, 7)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.list, got, c.want)
		}
	}
	if got := string(text.AppendBool(text.AppendBool(nil, true), false)); got != "TF" {
		t.Error(got)
	}
}

func TestDouble(t *testing.T) {
	for f, want := range map[float64]string{
		3: "3.0", 10000000000: "10000000000.0", 1e-7: "0", 1e-10: "0.0", -1e-7: "-0", 0: "0.0", 0.5: "0.5", 1.25: "1.25",
		1.0000005: "1.000001", 1.0000000001: "1.0", 100.123456789: "100.123457", -3: "-3.0", math.Inf(1): "inf", math.Inf(-1): "-inf",
		1e20: "100000000000000000000.0", 0.1: "0.1",
	} {
		if got := string(text.AppendDouble(nil, f)); got != want {
			t.Errorf("%g: got %s, want %s", f, got, want)
		}
	}
}

func TestAddr(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "::": "::", "::1": "::1", "::2": "::2", "::1.2.3.4": "::1.2.3.4", "::ffff:1.2.3.4": "::ffff:1.2.3.4",
		"::ffff:0:1.2.3.4": "::ffff:0:1.2.3.4", "2001:db8::1": "2001:db8::1", "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
		"2001:0:0:1:0:0:0:1": "2001:0:0:1::1", "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1", "1::": "1::", "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6::": "1:2:3:4:5:6::", "::3:4:5:6:7:8": "::3:4:5:6:7:8", "fe80::217:f2ff:fed7:cf65": "fe80::217:f2ff:fed7:cf65",
	} {
		if got := string(text.AppendAddr(nil, netip.MustParseAddr(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	// Where nothing is dotted it is Go's own text.
	r := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		var b [16]byte
		for i := range b {
			if r.IntN(2) == 0 {
				b[i] = byte(r.IntN(3))
			}
		}
		b[0] = 1
		a := netip.AddrFrom16(b)
		if got := string(text.AppendAddr(nil, a)); got != a.String() {
			t.Fatalf("got %s, want %s", got, a)
		}
	}
}

func TestUTF8(t *testing.T) {
	for _, c := range []struct {
		in, want string
		keep     bool
	}{
		{"plain", "plain", false},
		{"ñ", "ñ", false},
		{"\xc3(", `\xc3(`, false},
		{"ñ\xff", `\xc3\xb1\xff`, false},
		{"ñ\n", `\xc3\xb1\x0a`, false},
		{"ñ\n", "ñ\n", true},
		{"ñ\a", `\xc3\xb1\x07`, true},
		{"\u0085", `\xc2\x85`, true},
		{"\xc0\x81", `\xc0\x81`, true},
		{"\xed\xa0\xa1", `\xed\xa0\xa1`, true},
		{"\ue000", `\xee\x80\x80`, true},
		{"\ufffd", `\xef\xbf\xbd`, true},
		{"\U0001fffe", "\U0001fffe", true},
		{"\U00010000", "\U00010000", true},
		{"\xf0\x9f", `\xf0\x9f`, true},
		{"a\x7fb", `a\x7fb`, true},
	} {
		if got := string(text.AppendUTF8(nil, []byte(c.in), c.keep)); got != c.want {
			t.Errorf("%q: got %s, want %s", c.in, got, c.want)
		}
	}
	if s := strings.Repeat("é", 100); string(text.AppendUTF8(nil, []byte(s), false)) != s {
		t.Error("long text changed")
	}
}
