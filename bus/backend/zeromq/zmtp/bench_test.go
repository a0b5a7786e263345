package zmtp

import (
	"bytes"
	"testing"
)

var benchParts = [][]byte{[]byte("zeek.cluster.manager"), bytes.Repeat([]byte("i"), 40), []byte("broker-bin-v1"), bytes.Repeat([]byte("p"), 127)}

// BenchmarkSeal is what one encrypted message of 200 bytes in four frames costs
// each side.
func BenchmarkSeal(b *testing.B) {
	server, client := fixedCurve()
	_ = server
	key := [32]byte(client.ServerKey)
	s, r := newSession(key, false, 2, 1), newSession(key, true, 1, 2)
	var out, plain []byte
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			out = out[:0]
			for _, p := range benchParts {
				out = s.seal(out, p)
			}
		}
	})
	b.Run("both", func(b *testing.B) {
		b.ReportAllocs()
		r.recvd = 0
		for b.Loop() {
			out, plain = out[:0], plain[:0]
			for _, p := range benchParts {
				start := len(out)
				out = s.seal(out, p)
				var err error
				if plain, err = r.unseal(plain, out[start+2:]); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkParse is what it costs to cut a message out of the stream.
func BenchmarkParse(b *testing.B) {
	wire := bytes.Repeat(appendMessage(nil, benchParts), 600)
	b.ReportAllocs()
	in := input{maxMessage: 1 << 20, maxParts: 16}
	src := bytes.NewReader(nil)
	for b.Loop() {
		k, _, _, err := in.next()
		if err != nil {
			b.Fatal(err)
		}
		if k == nothing {
			if src.Len() == 0 {
				src.Reset(wire)
			}
			if err := in.fill(src); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkPublish is what it costs to give a message to 1 and to 64 subscribers.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 64} {
		b.Run(map[int]string{1: "1", 64: "64"}[n], func(b *testing.B) {
			s, err := New(Config{Type: XPUB, Queue: 100}, Deps{})
			if err != nil {
				b.Fatal(err)
			}
			var peers []*Peer
			for range n {
				p := s.newPeer("", false)
				peers = append(peers, p)
				if _, err := s.subscribed(p, "zeek.", true); err != nil {
					b.Fatal(err)
				}
			}
			x := s.Sender()
			m := NewMessage(benchParts...)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := x.Forward(m); err != nil {
					b.Fatal(err)
				}
				if i++; i%50 == 0 {
					for _, p := range peers { // the writer's part
						p.buf, p.n = p.buf[:0], 0
					}
				}
			}
		})
	}
}
