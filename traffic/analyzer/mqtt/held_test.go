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

// A connection that is not read any further holds nothing of either side.
func TestShed(t *testing.T) {
	a := factory(1000, func() Handler { return deaf{} }).New(value.ProtoTCP).(*mqtt)
	rec := &analyzertest.Recorder{Quiet: true}
	for _, orig := range []bool{true, false} {
		a.Deliver(rec, orig, append([]byte{0x10, 0xff, 0xff, 0x03}, make([]byte, 600)...))
	}
	if !a.shed || a.s.held != 0 {
		t.Errorf("shed %t, %d bytes are held", a.shed, a.s.held)
	}
}
