package quic

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/picket-nsm/picket/traffic/format/octets"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The keys of RFC 9001, A.1 and RFC 9369, A.1.
func TestKeys(t *testing.T) {
	id := unhex(t, "8394c8f03e515708")
	for _, c := range []struct {
		version         uint32
		client          bool
		key, iv, header string
	}{
		{version1, true, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"},
		{version1, false, "cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"},
		{version2, true, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"},
		{version2, false, "82db637861d55e1d011f19ea71d5d2a7", "dd13c276499c0249d3310652", "edf6d05c83121201b436e16877593c3a"},
	} {
		key, iv, header := secrets(c.version, id, c.client)
		if got := hex.EncodeToString(key[:]) + hex.EncodeToString(iv[:]) + hex.EncodeToString(header[:]); got != c.key+c.iv+c.header {
			t.Errorf("version %x, client %v: %s", c.version, c.client, got)
		}
	}
}

// Ids of any length, against the standard library.
func TestMAC(t *testing.T) {
	id := make([]byte, 255)
	for n := range len(id) + 1 {
		h := hmac.New(sha256.New, []byte(saltV1))
		h.Write(id[:n])
		if got := mac([]byte(saltV1), id[:n]); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Errorf("%d bytes: %x", n, got)
		}
	}
}

// The server's Initial of RFC 9001, A.3.
func TestServerInitial(t *testing.T) {
	packet := unhex(t, "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb3"+
		"8cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06ed"+
		"bb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee")
	h, ok := parseLong(packet)
	if !ok || h.kind != Initial || h.end != len(packet) || hex.EncodeToString(h.scid) != "f067a5502a4262b5" {
		t.Fatalf("%+v", h)
	}
	var k keys
	var s shared
	k.derive(version1, unhex(t, "8394c8f03e515708"), false)
	plain := s.open(&k, packet, h.number)
	want := "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a1200130100002e00330024001d" +
		"00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304"
	if hex.EncodeToString(plain) != want || k.next != 2 {
		t.Errorf("next %d, %x", k.next, plain)
	}
	// One bit is enough.
	for i := range packet {
		spoiled := bytes.Clone(packet)
		spoiled[i] ^= 0x10
		if h, ok := parseLong(spoiled); ok && h.kind == Initial && h.version == version1 && s.open(&k, spoiled[:h.end], h.number) != nil {
			t.Errorf("byte %d: a spoiled packet was opened", i)
		}
	}
}

func TestFullNumber(t *testing.T) {
	for _, c := range []struct {
		expected, short uint64
		bits            uint
		want            uint64
	}{
		{0xa82f30eb, 0x9b32, 16, 0xa82f9b32}, // RFC 9000, A.3
		{0, 0, 8, 0}, {0, 200, 8, 200}, {1, 255, 8, 255}, {256, 255, 8, 255}, {300, 1, 8, 257}, {255, 0, 8, 256},
		{129, 0, 8, 256}, {127, 0, 8, 0},
	} {
		if got := fullNumber(c.expected, c.short, c.bits); got != c.want {
			t.Errorf("expected %d, short %d of %d bits: %d, want %d", c.expected, c.short, c.bits, got, c.want)
		}
	}
}

func TestVarint(t *testing.T) {
	for _, c := range []struct { // RFC 9000, A.1
		in   string
		want uint64
	}{
		{"25", 37}, {"4025", 37}, {"7bbd", 15293}, {"9d7f3e7d", 494878333}, {"c2197c5eff14e88c", 151288809941952652},
	} {
		in := unhex(t, c.in)
		r := reader{octets.Reader{B: in}}
		if got := r.varint(); got != c.want || r.Bad || len(r.B) != 0 {
			t.Errorf("%s: %d", c.in, got)
		}
		r = reader{octets.Reader{B: in[:len(in)-1]}}
		if r.varint(); !r.Bad {
			t.Errorf("%s, cut: not bad", c.in)
		}
	}
}

// TestPut puts a message together from pieces in any order, which overlap.
func TestPut(t *testing.T) {
	want := make([]byte, 60)
	for i := range want {
		want[i] = byte(i)
	}
	for seed := range 2000 {
		q := &conn{s: &shared{}}
		d := &q.dir[0]
		n, x := 0, uint32(seed)*2654435761+1
		for d.whole() < len(want) {
			x = x*1664525 + 1013904223
			from := int(x>>16) % len(want)
			x = x*1664525 + 1013904223
			to := min(len(want), from+1+int(x>>16)%9)
			if !q.put(d, from, want[from:to]) {
				t.Fatal("put")
			}
			for i := range d.pieces[1:] {
				if d.pieces[i].to >= d.pieces[i+1].from {
					t.Fatalf("pieces %v", d.pieces)
				}
			}
			if n++; n > 10_000 {
				t.Fatalf("never whole: %v", d.pieces)
			}
		}
		if !bytes.Equal(d.buf, want) || len(d.pieces) != 1 || q.s.held != len(want) {
			t.Fatalf("%x", d.buf)
		}
	}
}

// TestFirstStays overwrites a message, which changes nothing.
func TestFirstStays(t *testing.T) {
	q := &conn{s: &shared{}}
	d := &q.dir[0]
	q.put(d, 2, []byte("cd"))
	q.put(d, 0, []byte("abXXef"))
	q.put(d, 0, []byte("YYYYYY"))
	if string(d.buf) != "abcdef" {
		t.Errorf("%s", d.buf)
	}
}

// TestHeld fills what a worker keeps: then connections give up, and later ones
// work again.
func TestHeld(t *testing.T) {
	s := &shared{}
	var open []*conn
	for s.held+maxHello <= maxHeld {
		q := &conn{s: s, h: nobody{}}
		q.crypto(recorder(), true, 1, make([]byte, maxHello))
		open = append(open, q)
	}
	q := &conn{s: s, h: nobody{}}
	q.crypto(recorder(), true, 1, make([]byte, maxHello))
	if !q.dir[0].dead || s.held > maxHeld {
		t.Errorf("%d bytes held", s.held)
	}
	for _, o := range append(open, q) {
		o.End(recorder())
	}
	if s.held != 0 {
		t.Errorf("%d bytes held in the end", s.held)
	}
}

// TestPieces sends every second byte: that many runs are not kept.
func TestPieces(t *testing.T) {
	q := &conn{s: &shared{}, h: nobody{}}
	for i := range uint64(maxPieces + 1) {
		q.crypto(recorder(), true, 2*i+1, []byte{1})
	}
	if !q.dir[0].dead || q.s.held != 0 {
		t.Errorf("%d pieces, %d bytes held", len(q.dir[0].pieces), q.s.held)
	}
}

// TestMessageSizes sends hellos of sizes around the limit, and bytes behind them.
func TestMessageSizes(t *testing.T) {
	for _, c := range []struct {
		size, sent int
		done, skip bool
	}{
		{100, 100, true, false}, {100, 99, false, false}, {100, 101, true, true},
		{maxHello, maxHello, true, false}, {maxHello, maxHello + 1, true, true}, {maxHello + 1, maxHello + 1, false, false},
	} {
		q := &conn{s: &shared{}, h: nobody{}}
		n := c.size - tlsmsg.MessageHeaderLen
		b := append([]byte{tlsmsg.ServerHello, byte(n >> 16), byte(n >> 8), byte(n)}, make([]byte, c.sent)...)[:c.sent]
		q.crypto(recorder(), false, 0, b)
		if q.dir[1].done != c.done || q.skip != c.skip {
			t.Errorf("%d bytes of %d: done %v, skip %v", c.sent, c.size, q.dir[1].done, q.skip)
		}
		// The same again, in one packet.
		q.crypto(recorder(), false, 0, b)
		if q.dir[1].done != c.done || q.skip != c.skip || c.done && q.s.held != 0 {
			t.Errorf("%d bytes of %d, again: done %v, skip %v, %d held", c.sent, c.size, q.dir[1].done, q.skip, q.s.held)
		}
	}
}
