package rows_test

import (
	"testing"

	"github.com/picket-nsm/picket/policy/rows"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/record"
	"github.com/picket-nsm/picket/zeek/value"
)

type at struct {
	analyzer.Conn
	uid []byte
	now packet.Time
}

func (a *at) ID() analyzer.ID {
	return analyzer.ID{UID: value.Borrow(a.uid), Orig: packet.Addr{15: 1}, OrigP: 1024, Resp: packet.Addr{15: 2}, RespP: 53, Proto: value.ProtoUDP}
}
func (a *at) Now() packet.Time { return a.now }

// What is filled is what record.Conn's columns are for, whatever becomes of the
// connection's memory, and nothing behind them is touched.
func TestConn(t *testing.T) {
	s := record.New("X::LOG", "x", record.Conn(), record.Of("more", value.KindCount))
	if len(s.Fields) != rows.Columns+1 {
		t.Fatalf("%d columns", len(s.Fields))
	}
	c := &at{uid: []byte("C1"), now: 1.5}
	var r rows.Conn
	r.Begin(c)
	copy(c.uid, "xx")
	row := make([]value.Value, len(s.Fields))
	row[rows.Columns] = value.Count(7)
	r.Fill(row)
	var e record.Encoder
	e.Reset(s)
	if err := e.Append(row); err != nil {
		t.Fatal(err)
	}
	if row[0].Float() != 1.5 || row[1].Str() != "C1" || row[2].Addr16() != [16]byte{15: 1} || row[4].Addr16() != [16]byte{15: 2} || row[6].Count() != 7 {
		t.Errorf("%v", row)
	}
	if p, proto := row[5].Port(); p != 53 || proto != value.ProtoUDP {
		t.Errorf("%d %v", p, proto)
	}
	own := r.Clone()
	r = r.Emptied()
	c.uid = []byte("C2")
	if n := testing.AllocsPerRun(10, func() { r.Begin(c); r.Fill(row) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if string(own.UID()) != "C1" || string(r.UID()) != "C2" {
		t.Errorf("%s %s", own.UID(), r.UID())
	}
}

func TestText(t *testing.T) {
	var x rows.Text
	if x.Value().IsSet() {
		t.Error("the zero Text is set")
	}
	b := []byte("abc")
	x.Put(b)
	b[0] = 'x'
	if x.Value().Str() != "abc" {
		t.Error(x.Value().Str())
	}
	if x = x.Emptied(100); x.Value().IsSet() || cap(x.B) == 0 || len(x.B) > 0 {
		t.Errorf("%+v", x)
	}
	if x.Put(nil); !x.Value().IsSet() || x.Value().Str() != "" {
		t.Error("an empty text is not unset")
	}
	if x.Put(make([]byte, 101)); cap(x.Emptied(100).B) > 0 {
		t.Error("a large text is kept")
	}
}
