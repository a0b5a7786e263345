package builtin

import (
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

type learned struct {
	e  analyzer.Expectation
	at packet.Time
}

func (l *learned) Learn(e analyzer.Expectation, since packet.Time) { l.e, l.at = e, since }

// An expectation arrives as it was, and nothing else does.
func TestExpectationAsNews(t *testing.T) {
	want := analyzer.Expectation{
		Orig: packet.Addr{1, 2}, Resp: packet.Addr{15: 9}, RespP: 65000, Proto: value.ProtoTCP, Analyzer: "FTP_DATA", Timeout: 300.5,
	}
	data := appendExpectation(nil, &want)
	p := &Policy{board: &Board{}}
	var got learned
	p.Hear(News{expected, 7, data}, &got)
	if got.e != want || got.at != 7 {
		t.Errorf("%+v", got)
	}
	for n := range 43 {
		got = learned{}
		if p.Hear(News{expected, 7, data[:n]}, &got); got.at != 0 {
			t.Errorf("%d bytes were taken for an expectation", n)
		}
	}
	p.Hear(News{"unknown", 7, data}, &got)
}
