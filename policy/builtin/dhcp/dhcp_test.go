package dhcp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/analyzer/analyzertest"
	wire "github.com/picket-nsm/picket/traffic/analyzer/dhcp"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// eager is a Place that shows its rows with each connection's end, as the kit
// wants them.
type eager struct{ join *Join }

func (p *eager) Open(write Write, weird func(packet.Time, string, string)) {
	p.join = NewJoin(write, weird)
}
func (p *eager) Message(m *Message, _ *wire.Msg) { p.join.Add(m) }
func (p *eager) Advance(packet.Time)             {}
func (p *eager) Finish()                         { p.join.Close() }

// ending ends the place with its connection.
type ending struct {
	wire.Handler
	place Place
}

func (e ending) End(c analyzer.Conn) {
	e.Handler.End(c)
	e.place.Finish()
}

func harness() analyzertest.Harness {
	return analyzertest.Harness{
		Factory: func(rec *analyzertest.Recorder) analyzer.Factory {
			place := &eager{}
			log := New(place, rowstest.Note(rec, Schema()), nil)
			return wire.Factory(func() wire.Handler { return ending{log.Handler(), place} })
		},
		Allocs: 600, // texts and rows: there are few of these messages
		State:  64 << 10,
	}
}

func TestKit(t *testing.T) { analyzertest.Run(t, harness()) }

func FuzzRows(f *testing.F) { analyzertest.Fuzz(f, harness()) }

// stub is a connection.
type stub struct{ id analyzer.ID }

func (s stub) ID() analyzer.ID                { return s.id }
func (stub) Now() packet.Time                 { return 1_700_000_000.123457 }
func (stub) Weird(string, string, string)     {}
func (stub) Confirm(string)                   {}
func (stub) Violation(string, string, []byte) {}

// through is a Place that sends messages as events through a codec to a Desk.
type through struct {
	*Remote
	desk *Desk
}

func (p *through) Open(write Write, _ func(packet.Time, string, string)) { p.desk = NewDesk(write) }
func (p *through) Finish()                                               { p.desk.Close(time.Unix(1001, 0)) }

// The manager makes the same rows of events as a worker of messages.
func TestEvents(t *testing.T) {
	rows := func(place Place, c *analyzertest.Conversation) (all []string) {
		log := New(place, collect(&all), nil)
		a := wire.Factory(log.Handler).New(value.ProtoUDP)
		for i := range c.Turns {
			a.Deliver(stub{c.ID}, c.Turns[i].Orig, c.Turns[i].Data)
		}
		place.Finish()
		return all
	}
	for _, cc := range []codec.Codec{brokerbin.New(), brokerjson.New()} {
		n := 0
		for _, c := range analyzertest.Load(t, "testdata") {
			far := &through{}
			far.Remote = NewRemote(func(e event.Event) error {
				b, err := cc.Append(nil, &e)
				if err != nil {
					t.Fatal(err)
				}
				got, err := cc.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				far.desk.Take(&got, time.Unix(1000, 0))
				return nil
			}, func() { t.Error("a message is lost") })
			want, got := rows(&eager{}, c), rows(far, c)
			if !slices.Equal(got, want) || far.desk.Dropped() > 0 {
				t.Errorf("%s, %s: rows\n%q, want\n%q", cc.Name(), c.Name, got, want)
			}
			n += len(want)
		}
		if n < 10 {
			t.Errorf("only %d rows", n)
		}
	}
}

func at(ts float64, uid string, xid uint32, kind uint64) *Message {
	m := &Message{TS: ts, UID: uid, XID: xid, Type: kind, Orig: none(), Resp: all(), OrigP: 68, RespP: 67, IsOrig: true, Yours: none(), Hardware: "02:00:00:00:00:01"}
	return m
}

func collect(rows *[]string) Write {
	return func(row []value.Value) {
		*rows = append(*rows, fmt.Sprintf("%.1f %s", row[0].Float(), rowstest.Show(Schema(), row, "ts")))
	}
}

// When a transaction ends.
func TestJoinTimes(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []float64
		want int
	}{
		{"one", []float64{0}, 1},
		{"all within ten seconds", []float64{0, 3, 9.9}, 1},
		{"silence", []float64{0, 10.1}, 2},
		{"silence before the second look", []float64{0, 6, 12}, 1},
		{"over at the second look", []float64{0, 6, 15.5}, 2},
		{"never silent, but old", []float64{0, 4, 8, 12, 16, 20, 24, 28, 32, 36}, 2},
	} {
		var rows []string
		j := NewJoin(collect(&rows), nil)
		for i, ts := range c.at {
			j.Add(at(1000+ts, "C1", 7, uint64(i%3+1)))
		}
		j.Close()
		if len(rows) != c.want || j.Open() != 0 {
			t.Errorf("%s: %d rows, want %d:\n%s", c.name, len(rows), c.want, strings.Join(rows, "\n"))
		}
	}
}

func TestJoinLimits(t *testing.T) {
	var rows []string
	var weirds int
	j := NewJoin(collect(&rows), func(packet.Time, string, string) { weirds++ })
	for i := range maxUIDs {
		j.Add(at(1000, fmt.Sprint("C", i), 7, 1))
	}
	if len(rows) != 1 || strings.Contains(rows[0], "mac=") {
		t.Errorf("ten connections: %q", rows)
	}
	for i := range maxTracked + 5 {
		j.Add(at(1000, "C", uint32(i), 1))
	}
	if j.Open() != maxTracked || weirds != 5 || len(rows) != 6 {
		t.Errorf("%d transactions, %d weirds, %d rows", j.Open(), weirds, len(rows))
	}
	j.Advance(2000)
	if j.Open() != 0 || len(j.looks) != 0 || j.old != nil || j.young != nil {
		t.Errorf("%d transactions are left", j.Open())
	}
}

// However a capture is shared out, whoever is fast, the rows are the same.
func TestShared(t *testing.T) {
	var all []*Message
	for i := range 300 {
		all = append(all, at(1000+float64(i)*0.7, fmt.Sprint("C", i%7), uint32(i%11), uint64(i%5+1)))
	}
	run := func(n int, order func(step int) int) []string {
		var rows []string
		s := NewShared(n)
		next := make([]int, n)
		for i := range n {
			s.Worker(i).Open(collect(&rows), func(packet.Time, string, string) {})
		}
		for step, left := 0, n; left > 0; step++ {
			w := order(step) % n
			for next[w] < len(all) && next[w]%n != w { // another's: it moves the clock
				s.Worker(w).Advance(packet.Time(all[next[w]].TS))
				next[w]++
			}
			switch {
			case next[w] == len(all):
				s.Worker(w).Finish()
				next[w]++
				left--
			case next[w] < len(all):
				m := all[next[w]]
				s.Worker(w).Advance(packet.Time(m.TS))
				s.Worker(w).Message(m, nil)
				next[w]++
			}
		}
		slices.Sort(rows)
		return rows
	}
	want := run(1, func(int) int { return 0 })
	chance := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{2, 4} {
		for name, order := range map[string]func(int) int{
			"in turn": func(s int) int { return s }, "one first": func(s int) int { return s / 400 }, "by chance": func(int) int { return chance.IntN(n) },
		} {
			if got := run(n, order); !slices.Equal(got, want) {
				t.Errorf("%d workers, %s: %d rows, want %d", n, name, len(got), len(want))
			}
		}
	}
}

// The manager takes messages in any order within the time that they are held.
func TestDesk(t *testing.T) {
	var rows []string
	d := NewDesk(collect(&rows))
	now := time.Unix(5000, 0)
	for _, ts := range []float64{1003, 1001, 1000, 1002} {
		e := toEvent(at(ts, fmt.Sprint("C", ts), 7, uint64(ts)-999), &wire.Msg{})
		d.Take(&e, now)
	}
	d.Take(&event.Event{Name: EventName}, now)
	d.Tick(now.Add(hold - time.Second))
	if len(rows) != 0 || d.Dropped() != 1 {
		t.Errorf("%d rows at once, %d dropped", len(rows), d.Dropped())
	}
	d.Tick(now.Add(hold))
	if d.join.Open() != 1 {
		t.Error("nothing was joined")
	}
	d.Tick(now.Add(2*hold + 11*time.Second))
	if len(rows) != 1 || !strings.Contains(rows[0], `msg_types=["DISCOVER" "OFFER" "REQUEST" "DECLINE"] duration=3`) {
		t.Errorf("rows %q", rows)
	}
}

// A time survives the nanoseconds that carry it.
func TestExact(t *testing.T) {
	for i := range 100_000 {
		want := 1_700_000_000 + float64(i)*7/1e6
		if got := exact(int64(want * 1e9)); got != want {
			t.Fatalf("%v becomes %v", want, got)
		}
	}
}

// Whatever another node sends, the manager goes on.
func FuzzEvent(f *testing.F) {
	cc := brokerbin.New()
	for _, m := range []*Message{at(1000, "C1", 7, 1), at(1001, "C2", 7, 99)} {
		e := toEvent(m, &wire.Msg{Options: []wire.Option{{Code: wire.HostName, Value: []byte("h")}, {Code: wire.ClientID, Value: []byte{1, 2, 3}},
			{Code: wire.ClientFQDN, Value: []byte("\x00\x00\x00name")}, {Code: wire.Lease, Value: []byte{0, 0, 1, 0}}}})
		b, err := cc.Append(nil, &e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		e.Args = e.Args[:4]
		if b, err = cc.Append(nil, &e); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := cc.Decode(b)
		if err != nil {
			return
		}
		var rows []string
		d := NewDesk(collect(&rows))
		d.Take(&e, time.Unix(1000, 0))
		d.Take(&e, time.Unix(1001, 0))
		d.Tick(time.Unix(1020, 0))
		d.Close(time.Unix(1021, 0))
		if d.join.Open() != 0 || len(rows) > 2 || d.Dropped() == 0 && len(rows) == 0 {
			t.Errorf("%d rows, %d open, %d dropped", len(rows), d.join.Open(), d.Dropped())
		}
	})
}
