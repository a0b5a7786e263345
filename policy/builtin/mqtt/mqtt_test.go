package mqtt

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/mqtt"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			to := func(s *record.Schema) Write { return rowstest.Note(rec, s) }
			return wire.Factory(New(to(ConnectSchema()), to(PublishSchema()), to(SubscribeSchema())).Handler)
		},
		Allocs: 100, // what waits for an answer
		State:  96 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// What waits for an answer is bounded; what there is no room for is written.
func TestWaiting(t *testing.T) {
	rows := 0
	l := New(func([]value.Value) {}, func([]value.Value) { rows++ }, func([]value.Value) { rows++ })
	h := l.Handler().(*conn)
	rec := &analyzertest.Recorder{Quiet: true}
	for id := range 5000 {
		h.Publish(rec, true, &wire.Publish{ID: uint16(id), QoS: 1, Topic: make([]byte, 60_000), Payload: make([]byte, 100)})
		h.Subscribe(rec, &wire.Subscribe{ID: uint16(id), Topics: [][]byte{make([]byte, 60_000), {}, nil}, QoS: []uint8{0, 1, 2}})
	}
	if h.published.bytes > maxBytes || h.subscribed.bytes > maxBytes {
		t.Errorf("%d and %d bytes wait", h.published.bytes, h.subscribed.bytes)
	}
	if n := len(h.published.list) + len(h.subscribed.list); rows+n != 10_000 || l.Early() != uint64(rows) {
		t.Errorf("%d rows, %d wait, %d early", rows, n, l.Early())
	}
	for h.published.take(h.published.list[0].id) != nil && len(h.published.list) > 0 {
	}
	if h.published.bytes != 0 {
		t.Errorf("%d bytes of nothing", h.published.bytes)
	}
}
