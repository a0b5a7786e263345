package quic

import (
	"crypto/aes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/format/tlsmsg"
)

type nobody struct{}

func (nobody) Packet(analyzer.Conn, *Packet)      {}
func (nobody) Hello(analyzer.Conn, *tlsmsg.Hello) {}
func (nobody) Close(analyzer.Conn, *Close)        {}
func (nobody) End(analyzer.Conn)                  {}

func recorder() *analyzertest.Recorder { return &analyzertest.Recorder{Quiet: true} }

// seal makes an Initial packet with a number of two bytes.
func seal(version uint32, id, dcid, scid []byte, client bool, number uint64, payload []byte) []byte {
	b := []byte{0xc1}
	if version == version2 {
		b[0] = 0xd1
	}
	b = binary.BigEndian.AppendUint32(b, version)
	b = append(append(b, byte(len(dcid))), dcid...)
	b = append(append(b, byte(len(scid))), scid...)
	b = append(b, 0) // no token
	b = binary.BigEndian.AppendUint16(b, 0x4000|uint16(2+len(payload)+tagLen))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, uint16(number))
	var k keys
	k.derive(version, id, client)
	nonce := k.iv
	for i := range 8 {
		nonce[11-i] ^= byte(number >> (8 * i))
	}
	b = k.aead.Seal(b, nonce[:], payload, b)
	var mask [aes.BlockSize]byte
	k.header.Encrypt(mask[:], b[at+4:at+4+len(mask)])
	b[0] ^= mask[0] & 0x0f
	b[at] ^= mask[1]
	b[at+1] ^= mask[2]
	return b
}

// taker writes down what it is told.
type taker struct {
	*analyzertest.Recorder
	lines []string
}

func (k *taker) sayf(format string, args ...any) {
	k.lines = append(k.lines, fmt.Sprintf(format, args...))
}

func (k *taker) Packet(_ analyzer.Conn, p *Packet)          { k.sayf("packet %d", p.Kind) }
func (k *taker) Hello(_ analyzer.Conn, h *tlsmsg.Hello)     { k.sayf("hello %v", h.Client) }
func (k *taker) Close(_ analyzer.Conn, c *Close)            { k.sayf("close %v %d %s", c.Orig, c.Code, c.Reason) }
func (k *taker) End(analyzer.Conn)                          {}
func (k *taker) Confirm(service string)                     { k.sayf("confirm") }
func (k *taker) Violation(service, reason string, _ []byte) { k.sayf("violation %s", reason) }

// TestFrames sends one packet of frames and tells what is seen of it.
func TestFrames(t *testing.T) {
	for _, c := range []struct {
		frames string
		want   string
	}{
		{"01", ""},
		{"00000001", ""},
		{"0205030000", ""},
		{"0205030201010101" + "01", ""}, // two more ranges, the second is cut off by what follows
		{"03050300000a0b0c01", ""},
		{"02050340ff0000", "violation malformed frame"},
		{"02c000000000000001ffffffffffffffff00", "violation malformed frame"},
		{"060000", ""},
		{"060003020000", ""},
		{"06000402000000", "hello false"},
		{"0600050200000000", "hello false\nviolation CRYPTO frames go on behind the hello"},
		{"0600040200000006040100", "hello false\nviolation CRYPTO frames go on behind the hello"},
		{"06000402000000" + "0600040200000006050100", "hello false"}, // again, and one far away
		{"0600040b000000", ""}, // no hello
		{"060004020000", "violation malformed frame"},
		{"06ffffffffffffffff0100", ""},
		{"1c41780004" + "6f6f7073" + "01", "close false 376 oops"},
		{"1c0a0600", "close false 10"},
		{"1c0a0605", "violation malformed frame"},
		{"1d0000", "violation unhandled frame type 0x1d"},
		{"0800", "violation unhandled frame type 0x8"},
	} {
		for _, version := range []uint32{version1, version2, draft29, mvfst2} {
			id, scid := []byte("chosen by client"), []byte("server")
			k := &taker{Recorder: recorder()}
			a := Factory(Default(), func() Handler { return k }).New(0)
			a.Deliver(k, true, seal(version, id, id, nil, true, 0, []byte{framePing, 0, 0, 0}))
			k.lines = nil
			frames := unhex(t, c.frames)
			for len(frames) < 3 {
				frames = append(frames, 0)
			}
			a.Deliver(k, false, seal(version, id, nil, scid, false, 700, frames))
			got := strings.TrimSpace(strings.TrimPrefix(strings.Join(k.lines, "\n"), "packet 0"))
			if got != c.want {
				t.Errorf("version %x, %s:\ngot  %q\nwant %q", version, c.frames, got, c.want)
			}
		}
	}
}

// TestRetryRace is a client whose hello takes two packets, each of which is
// answered by a Retry, in all orders that may be.
func TestRetryRace(t *testing.T) {
	id, other, next := []byte("first id"), []byte("retry"), []byte("again")
	part := func(id []byte, number uint64, at byte, hello string) []byte {
		return seal(version1, id, id, nil, true, number, append([]byte{frameCrypto, at, byte(len(hello))}, hello...))
	}
	retry := func(scid []byte) []byte {
		b := []byte{0xf0, 0, 0, 0, 1, 0, byte(len(scid))}
		return append(append(b, scid...), make([]byte, 20)...)
	}
	const one, two = "\x02\x00\x00", "\x02ab"
	type step struct {
		orig bool
		data []byte
	}
	old1, old2 := step{true, part(id, 0, 0, one)}, step{true, part(id, 1, 3, two)}
	new1, new2 := step{true, part(other, 2, 0, one)}, step{true, part(other, 3, 3, two)}
	retry1, retry2 := step{false, retry(other)}, step{false, retry(next)}
	for i, steps := range [][]step{
		{old1, old2, retry1, retry2, new1, new2}, {old1, retry1, old2, retry2, new1, new2},
		{old1, retry1, old2, new1, retry2, new2}, {old1, retry1, new1, old2, new2, retry2},
	} {
		k := &taker{Recorder: recorder()}
		a := Factory(Default(), func() Handler { return k }).New(0)
		for _, s := range steps {
			a.Deliver(k, s.orig, s.data)
		}
		a.Deliver(k, false, seal(version1, other, nil, []byte("server"), false, 0, []byte{frameCrypto, 0, 4, tlsmsg.ServerHello, 0, 0, 0}))
		k.lines = slices.DeleteFunc(k.lines, func(s string) bool { return strings.HasPrefix(s, "packet") })
		got := strings.Join(k.lines, ", ")
		want := "confirm, hello false, hello false"
		if i == 0 { // all of the first hello was there
			want = "confirm, hello false, hello false, hello false"
		}
		if got != want {
			t.Errorf("order %d: %s", i, got)
		}
	}
}

// TestManyPackets keeps a side's hello from being whole: what each packet costs
// does not grow, nor does what is kept.
func TestManyPackets(t *testing.T) {
	q := &conn{s: &shared{}, h: nobody{}}
	id := []byte("id")
	packet := seal(version1, id, id, nil, true, 0, append([]byte{frameCrypto, 1, 0x44, 0x00}, make([]byte, 1024)...))
	for range 1000 {
		q.Deliver(recorder(), true, packet)
	}
	if q.skip || q.s.held > 2000 || q.decrypted != 1000 {
		t.Errorf("%d bytes held, %d packets", q.s.held, q.decrypted)
	}
}

func BenchmarkKeys(b *testing.B) {
	id := []byte("12345678")
	b.ReportAllocs()
	var k keys
	for b.Loop() {
		k.derive(version1, id, true)
	}
}

// FuzzFrames reads frames of both sides as if packets had been opened: no
// fuzzer guesses a packet's tag.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{framePing, framePadding, frameACK, 5, 3, 1, 0, 1, 1}, []byte{frameCrypto, 0, 4, 2, 0, 0, 0})
	f.Add([]byte{frameCrypto, 2, 2, 0, 2}, []byte{frameCrypto, 0, 3, 1, 0, 0, frameCrypto, 4, 2, 'a', 'b'})
	f.Add([]byte{frameClose, 0x41, 0x78, 0, 4, 'o', 'o', 'p', 's'}, []byte{frameACKECN, 5, 3, 0, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, client, server []byte) {
		s := &shared{}
		var seen []string
		for range 2 {
			k := &taker{Recorder: recorder()}
			q := &conn{s: s, h: k}
			for range 2 {
				q.frames(k, true, slices.Clone(client))
				q.frames(k, false, slices.Clone(server))
			}
			q.End(k)
			if seen != nil && !slices.Equal(seen, k.lines) || s.held != 0 {
				t.Fatalf("%d held\n%q\n%q", s.held, seen, k.lines)
			}
			seen = append([]string{}, k.lines...)
		}
	})
}
