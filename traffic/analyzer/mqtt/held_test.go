package mqtt

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	"github.com/picket-nsm/picket/zeek/value"
)

type deaf struct{}

func (deaf) Connect(analyzer.Conn, *Connect)       {}
func (deaf) Publish(analyzer.Conn, bool, *Publish) {}
func (deaf) Subscribe(analyzer.Conn, *Subscribe)   {}
func (deaf) Answer(analyzer.Conn, bool, *Answer)   {}
func (deaf) End(analyzer.Conn)                     {}

// Many connections that begin a message and stop do not hold more than allowed,
// and what they held is free when they end.
func TestHeld(t *testing.T) {
	const most = 100_000
	var s *shared
	f := factory(most, func() Handler { return deaf{} })
	rec := &analyzertest.Recorder{Quiet: true}
	var all []analyzer.Analyzer
	for range 100 {
		a := f.New(value.ProtoTCP)
		s = a.(*mqtt).s
		a.Deliver(rec, true, append([]byte{0x10, 0xff, 0xff, 0x03}, make([]byte, 9000)...))
		all = append(all, a)
	}
	if s.held > most || s.held < most-9000 {
		t.Errorf("%d bytes are held", s.held)
	}
	shed := 0
	for _, a := range all {
		if a.(*mqtt).shed {
			shed++
		}
		a.End(rec)
	}
	if s.held != 0 || shed < 80 {
		t.Errorf("%d bytes are held behind the end, %d connections were shed", s.held, shed)
	}
}
