package mqtt_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/mqtt"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct{ rec *analyzertest.Recorder }

func (w watcher) Connect(_ analyzer.Conn, m *mqtt.Connect) {
	if !w.rec.Quiet {
		w.rec.Eventf("connect %q v%d keep=%d client=%q clean=%v will=%v %q %q qos=%d retain=%v user=%q password=%q",
			m.Protocol, m.Version, m.KeepAlive, m.Client, m.Clean, m.Will, m.WillTopic, m.WillText, m.WillQoS, m.Retain, m.User, m.Password)
	}
}

func (w watcher) Publish(_ analyzer.Conn, orig bool, m *mqtt.Publish) {
	if !w.rec.Quiet {
		w.rec.Eventf("publish orig=%v dup=%v retain=%v qos=%d id=%d %q %q of %d", orig, m.Dup, m.Retain, m.QoS, m.ID, m.Topic, m.Payload, m.Length)
	}
}

func (w watcher) Subscribe(_ analyzer.Conn, m *mqtt.Subscribe) {
	if !w.rec.Quiet {
		w.rec.Eventf("subscribe id=%d cancel=%v %q %d", m.ID, m.Cancel, m.Topics, m.QoS)
	}
}

func (w watcher) Answer(_ analyzer.Conn, orig bool, m *mqtt.Answer) {
	if !w.rec.Quiet {
		w.rec.Eventf("answer orig=%v %+v", orig, *m)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return mqtt.Factory(func() mqtt.Handler { return watcher{rec} })
		},
		State: 80 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzMQTT(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// A subscription of a very many topics does not stay in memory.
func TestManyTopics(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := mqtt.Factory(func() mqtt.Handler { return watcher{rec} }).New(value.ProtoTCP)
	a.Deliver(rec, true, append([]byte{0x82, 0xfa, 0xff, 0x03, 0, 1}, bytes.Repeat([]byte{0, 0, 0}, (0x7f<<7|0x7a|3<<14)/3)...))
	small := []byte{0x82, 6, 0, 1, 0, 1, 'a', 0}
	if n := testing.AllocsPerRun(10, func() { a.Deliver(rec, true, small) }); n > 0 {
		t.Errorf("%.0f allocations behind a large message", n)
	}
}

func BenchmarkPublish(b *testing.B) {
	rec := &analyzertest.Recorder{Quiet: true}
	a := mqtt.Factory(func() mqtt.Handler { return watcher{rec} }).New(value.ProtoTCP)
	msg := append([]byte{0x30, 26, 0, 8}, "house/hx21.5 degrees, 40 %"...)
	msg[1] = byte(len(msg) - 2)
	b.ReportAllocs()
	b.SetBytes(int64(len(msg)))
	for b.Loop() {
		a.Deliver(rec, true, msg)
	}
}

// large notes what is published.
type large struct {
	watcher
	got *[]string
}

func (l large) Publish(_ analyzer.Conn, _ bool, m *mqtt.Publish) {
	*l.got = append(*l.got, fmt.Sprintf("%s %d of %d", m.Topic, len(m.Payload), m.Length))
}

// A message larger than what is looked at is not kept, wherever it is cut and
// whatever is missing of its end.
func TestLargePayload(t *testing.T) {
	rec := &analyzertest.Recorder{Quiet: true}
	var got []string
	a := mqtt.Factory(func() mqtt.Handler { return large{watcher{rec}, &got} }).New(value.ProtoTCP)
	const size = 300_000
	head := []byte{0x30, 0x80 | (size+3)&0x7f, 0x80 | (size+3)>>7&0x7f, (size + 3) >> 14, 0, 1, 't'}
	small := []byte{0x30, 4, 0, 1, 's', 'x'}
	stream := append(append(bytes.Clone(head), make([]byte, size)...), small...)
	for _, piece := range []int{1, 7, 1400, 65_000, len(stream)} {
		got = got[:0]
		for b := stream; len(b) > 0; b = b[min(piece, len(b)):] {
			a.Deliver(rec, true, b[:min(piece, len(b))])
		}
		if want := []string{"t 100 of 300000", "s 1 of 1"}; !slices.Equal(got, want) {
			t.Errorf("pieces of %d: %q", piece, got)
		}
	}
	got = got[:0]
	a.Deliver(rec, true, stream[:100_000])
	a.Gap(rec, true, 150_000)
	a.Deliver(rec, true, stream[250_000:])
	if len(got) != 2 {
		t.Errorf("a gap in the payload: %q", got)
	}
	if n := testing.AllocsPerRun(20, func() { a.Deliver(rec, true, stream[:len(head)+size]); got = got[:0] }); n > 10 {
		t.Errorf("%.0f allocations", n)
	}
}
