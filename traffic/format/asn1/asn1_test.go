package asn1_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/picket-nsm/picket/traffic/format/asn1"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		in      string
		class   uint8
		tag     uint32
		content string
		rest    string
	}{
		{"020105ff", 0, 2, "05", "ff"},
		{"0500", 0, 5, "", ""},
		{"02810105", 0, 2, "05", ""},                // longer length than needed
		{"0284000000010500", 0, 2, "05", "00"},      // much longer
		{"9f8b0a0141", 2, 0x58a, "41", ""},          // large tag
		{"30800201050000aa", 0, 16, "020105", "aa"}, // no length
		{"3080308002010500000000", 0, 16, "3080020105" + "0000", ""},
		{"a0030201ff", 2, 0, "0201ff", ""},
		{"6000", 1, 0, "", ""},
	} {
		v, rest, ok := asn1.Read(unhex(t, c.in))
		if !ok || v.Class != c.class || v.Tag != c.tag || hex.EncodeToString(v.Content) != c.content || hex.EncodeToString(rest) != c.rest {
			t.Errorf("%s: %v %d %d %x rest %x", c.in, ok, v.Class, v.Tag, v.Content, rest)
		}
	}
	for _, bad := range []string{"", "02", "0202ff", "0280ff0000", "3080", "308002", "30800201", "0285", "028501000000000a", "1f", "1fffffffffff0100", "02ff"} {
		if v, _, ok := asn1.Read(unhex(t, bad)); ok {
			t.Errorf("%s is read as %+v", bad, v)
		}
	}
}

// Values of indefinite length in each other must not cost more than their size.
func TestNested(t *testing.T) {
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1<<16)
	if _, _, ok := asn1.Read(deep); ok {
		t.Error("endless nesting is read")
	}
	wide := append([]byte{0x30, 0x80}, bytes.Repeat([]byte{5, 0}, 1<<16)...)
	if _, _, ok := asn1.Read(append(wide, 0, 0)); ok {
		t.Error("more values than are looked at are read")
	}
}

func TestSeq(t *testing.T) {
	v, _, _ := asn1.Read(unhex(t, "300d0201050403616263a003020107"))
	s := asn1.Open(v)
	n := s.Take(asn1.TagInteger)
	b := s.Take(asn1.TagOctetString)
	if _, ok := s.Optional(1); ok {
		t.Error("tag 1 is there")
	}
	o, ok := s.Optional(0)
	if !ok || len(n.Content) != 1 || string(b.Content) != "abc" || len(o.Content) != 3 || !s.Done() {
		t.Errorf("%x %s %x %v", n.Content, b.Content, o.Content, s.Done())
	}
	s = asn1.Open(v)
	s.Take(asn1.TagOID)
	if !s.Bad() || s.More() || s.Done() {
		t.Error("a wrong type is not noticed")
	}
	s = asn1.Bytes(unhex(t, "2203020105"))
	if s.Take(asn1.TagInteger); !s.Bad() {
		t.Error("a constructed integer is taken")
	}
}

func TestInteger(t *testing.T) {
	for _, c := range []struct {
		in, want string
		negative bool
		ok       bool
	}{
		{"00", "00", false, true}, {"7f", "7f", false, true}, {"0080", "80", false, true}, {"80", "80", true, true},
		{"ff", "01", true, true}, {"ff7f", "81", true, true}, {"ff0000", "010000", true, true}, {"8000", "8000", true, true},
		{"", "", false, false}, {"0001", "", false, false}, {"ff80", "", false, false},
	} {
		m, negative, ok := asn1.Integer(unhex(t, c.in), nil)
		if ok != c.ok || ok && (negative != c.negative || hex.EncodeToString(m) != c.want) {
			t.Errorf("%s: %x %v %v", c.in, m, negative, ok)
		}
	}
	if n := asn1.Bits([]byte{0, 0, 3, 0}); n != 10 {
		t.Errorf("%d bits", n)
	}
}

func TestOID(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"2a864886f70d", "1.2.840.113549"}, {"550403", "2.5.4.3"}, {"883703", "2.999.3"}, {"2b", "1.3"}, {"00", "0.0"},
		{"2aff", "1.2"}, {"2affffffffffffffffff7f", "1.2"},
	} {
		if got := string(asn1.AppendOID(nil, unhex(t, c.in))); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 2, 1, 5, 0, 0})
	f.Add([]byte{0x9f, 0x8b, 0x0a, 1, 0x41})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, rest, ok := asn1.Read(b)
		if !ok {
			return
		}
		if len(v.Full)+len(rest) != len(b) || len(v.Content) > len(v.Full) {
			t.Fatalf("%d and %d of %d bytes", len(v.Full), len(rest), len(b))
		}
		s := asn1.Open(v)
		for s.More() {
			n := s.Next()
			asn1.AppendOID(nil, n.Content)
			asn1.Integer(n.Content, nil)
			asn1.Bits(n.Content)
		}
	})
}
