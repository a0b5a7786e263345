package websocket_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/traffic/analyzer/websocket"
	"github.com/picket-nsm/picket/zeek/value"
)

type watcher struct {
	rec   *analyzertest.Recorder
	below string
}

func (w watcher) Open(analyzer.Conn) string {
	w.rec.Eventf("open")
	return w.below
}

func (w watcher) Frame(_ analyzer.Conn, f *websocket.Frame) {
	if !w.rec.Quiet {
		w.rec.Eventf("frame %+v", *f)
	}
}

func (w watcher) Message(_ analyzer.Conn, orig bool, opcode uint8) {
	if !w.rec.Quiet {
		w.rec.Eventf("message orig=%v %d", orig, opcode)
	}
}

func (w watcher) Closing(_ analyzer.Conn, orig bool, status uint16, reason []byte) {
	if !w.rec.Quiet {
		w.rec.Eventf("closing orig=%v %d %q", orig, status, reason)
	}
}

func (w watcher) End(analyzer.Conn) { w.rec.Eventf("end") }

func harness(below string) analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			return websocket.Factory(func() websocket.Handler { return watcher{rec, below} })
		},
		Allocs: 9, // the texts of weirds
		State:  2 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness("")) }

func FuzzWebSocket(f *testing.F) { analyzertest.Fuzz(f, harness("")) }

// parent takes what goes below.
type parent struct {
	analyzertest.Recorder
	got   bytes.Buffer
	names []string
}

func (p *parent) Child(name string, _ value.Proto) analyzer.Child {
	p.names = append(p.names, name)
	return 7
}
func (p *parent) Forward(_ analyzer.Child, _ bool, data []byte) { p.got.Write(data) }

// What is masked comes out whole wherever it is cut, and the bytes that were
// borrowed stay as they are.
func TestUnmask(t *testing.T) {
	want := []byte(strings.Repeat("What the world needs now. ", 700))
	key := []byte{1, 0x80, 0xff, 7}
	frame := []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, byte(len(want) >> 8), byte(len(want)), key[0], key[1], key[2], key[3]}
	for i, c := range want {
		frame = append(frame, c^key[i&3])
	}
	for _, size := range []int{1, 2, 3, 7, 8, 9, 100, 4095, 4096, 4097, len(frame)} {
		p := &parent{}
		p.Quiet = true
		a := websocket.Factory(func() websocket.Handler { return watcher{&p.Recorder, "TEST"} }).New(value.ProtoTCP)
		a.(analyzer.Opener).Open(p)
		data := bytes.Clone(frame)
		for b := data; len(b) > 0; b = b[min(size, len(b)):] {
			a.Deliver(p, true, b[:min(size, len(b))])
		}
		if !bytes.Equal(p.got.Bytes(), want) || !bytes.Equal(data, frame) || len(p.names) != 1 || p.names[0] != "TEST" {
			t.Errorf("pieces of %d: %d bytes below %v, want %d", size, p.got.Len(), p.names, len(want))
		}
		a.End(p)
	}
}

func BenchmarkMasked(b *testing.B) {
	p := &parent{}
	p.Quiet = true
	a := websocket.Factory(func() websocket.Handler { return watcher{&p.Recorder, ""} }).New(value.ProtoTCP)
	a.(analyzer.Opener).Open(p)
	frame := append([]byte{0x82, 0xfe, 0x40, 0x00, 1, 2, 3, 4}, make([]byte, 16384)...)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		p.got.Reset()
		a.Deliver(p, true, frame)
	}
}
