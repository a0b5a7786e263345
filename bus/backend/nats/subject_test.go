package nats

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestSubjects(t *testing.T) {
	s := newSubjects("my.cluster")
	for _, c := range []struct{ topic, subject, stem string }{
		{"", "_", ""},
		{"zeek.cluster.worker", "zeek.:.clus.ter:.work.er._", "zeek.:.clus.ter:.work."},
		{"zeek.cluster.worker-foo", "zeek.:.clus.ter:.work.er-f.oo._", "zeek.:.clus.ter:.work.er-f."},
		{"zeek.cluster.node.worker-1.", "zeek.:.clus.ter:.node.:.work.er-1.:._", "zeek.:.clus.ter:.node.:.work.er-1.:."},
		{"zeek/table/", "zeek./.tabl.e/._", "zeek./.tabl.e/."},
		{"a.", "a:._", "a:."},
		{"a", "a._", ""},
		{"..//", ":.:././._", ":.:./././"[:8]},
		{"* >\x00:%\xff", "%2A%20%3E%00.%3A%25%FF._", "%2A%20%3E%00."},
		{strings.Repeat("x", 40), "xxxx.xxxx.xxxxxxxx.xxxxxxxxxxxxxxxx.xxxxxxxx._", "xxxx.xxxx.xxxxxxxx.xxxxxxxxxxxxxxxx."},
	} {
		if got := string(s.event(nil, c.topic)); got != "my:cluster.e."+c.subject {
			t.Errorf("%q: subject %s", c.topic, got)
		}
		if got := s.stem(c.topic); got != "my:cluster.e."+c.stem {
			t.Errorf("%q: stem %s", c.topic, got)
		}
	}
}

// The property that everything rests on: whatever begins with a prefix has a
// subject that begins with its stem, and stems are equal, nested or disjoint.
func TestStemProperty(t *testing.T) {
	s, r := newSubjects("c"), rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = "aab./*> \x00\xff_:%"[r.IntN(13)]
		}
		return string(b)
	}
	for range 20000 {
		prefix := word()
		topic := prefix + word()
		subject := string(s.event(nil, topic))
		if stem := s.stem(prefix); !strings.HasPrefix(subject, stem) || len(subject) == len(stem) {
			t.Fatalf("topic %q as %s is not below prefix %q as %s", topic, subject, prefix, stem)
		}
		if got, err := s.topic(subject); err != nil || got != topic {
			t.Fatalf("%s became %q, %v, want %q", subject, got, err, topic)
		}
		if strings.Contains(subject, "..") || strings.ContainsAny(subject, "*> \t\r\n\x00") {
			t.Fatalf("not a subject: %q", subject)
		}
	}
}

func FuzzWire(f *testing.F) {
	s := newSubjects("c")
	f.Add("c.e.zeek.:._", string(appendFrame(nil, 1, "id", "broker-bin-v1", "")), "c.ack.worker-1.17.3.logger-1")
	f.Add("c.e._", string(packOf("a", "", "b").data), "c.ack.1.1.1.1")
	f.Add("c.e._", "\x01", "c.ack.....")
	f.Add("c.e.%4._", "", "c.ack.%.1.1.%")
	f.Fuzz(func(t *testing.T, subject, frame, ack string) {
		if topic, err := s.topic(subject); err == nil {
			if _, err := s.topic(string(s.event(nil, topic))); err != nil {
				t.Errorf("topic %q of %q: %v", topic, subject, err)
			}
		}
		if num, sender, codec, via, payload, packed, err := cutFrame([]byte(frame)); err == nil {
			got := append(appendFrame(nil, num, string(sender), string(codec), string(via)), payload...)
			if packed {
				got[0] += framePacked
				if n, ok := countPacked(payload); ok && n > len(payload) {
					t.Errorf("%d events in %d bytes", n, len(payload))
				}
			}
			if string(got) != frame {
				t.Errorf("frame %q became %q", frame, got)
			}
		}
		_, _ = s.ackOf(&nats.Msg{Subject: ack})
		_, _ = batch(&nats.Msg{Header: nats.Header{hdrFormat: {zeekBin}, hdrPath: {subject}, hdrStart: {frame}, hdrRecords: {ack}}})
	})
}

func TestFrameCut(t *testing.T) {
	for _, via := range []string{"", "picket_bridge"} {
		whole := appendFrame(nil, 1<<63, "nats_worker-1_host_1_N", "broker-bin-v1", via)
		for i := range whole {
			if _, _, _, _, _, _, err := cutFrame(whole[:i]); err == nil {
				t.Errorf("a frame of %d of %d bytes was taken", i, len(whole))
			}
		}
	}
}

// packOf makes one message of several events.
func packOf(events ...string) *pack {
	p := &pack{data: appendFrame(nil, 1, "n1", "c", "")}
	p.payload, p.n = len(p.data), 1
	p.data = append(p.data, events[0]...)
	for _, e := range events[1:] {
		p.add([]byte(e))
	}
	return p
}

func TestPackCut(t *testing.T) {
	want := []string{strings.Repeat("x", 300), "", "y"}
	_, _, _, _, whole, packed, err := cutFrame(packOf(want...).data)
	if n, ok := countPacked(whole); err != nil || !packed || !ok || n != 3 {
		t.Fatalf("%d events, packed %v, %v", n, packed, err)
	}
	rest := whole
	for _, w := range want {
		var e []byte
		if e, rest, _ = cutPacked(rest); string(e) != w {
			t.Errorf("got %q, want %q", e, w)
		}
	}
	ends := map[int]bool{302: true, 303: true} // of the first and second
	for i := range whole {
		if _, ok := countPacked(whole[:i]); ok != ends[i] {
			t.Errorf("%d of %d bytes: %v", i, len(whole), ok)
		}
	}
}

// The golden bytes of docs/formats/nats.md.
func TestFrameGolden(t *testing.T) {
	if got := string(append(appendFrame(nil, 1, "n1", "c", ""), "hi"...)); got != "\x01\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01n1chi" {
		t.Errorf("%x", got)
	}
	if got := string(append(appendFrame(nil, 1, "n1", "c", "b"), "hi"...)); got != "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01\x01n1cbhi" {
		t.Errorf("%x", got)
	}
	if got := string(packOf("hi", "you").data); got != "\x03\x00\x00\x00\x00\x00\x00\x00\x01\x02\x01n1c\x02hi\x03you" {
		t.Errorf("%x", got)
	}
}
