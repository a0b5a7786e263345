package weird_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/policy/builtin/weird/oncetest"
	"github.com/picket-nsm/picket/policy/rows/rowstest"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

const start packet.Time = 1_000_000_000

// out gathers rows as text.
type out struct{ rows []string }

func (o *out) write(row []value.Value) {
	var b strings.Builder
	for i, v := range row {
		if i == 0 {
			fmt.Fprintf(&b, "%g", v.Float()-float64(start))
			continue
		}
		b.WriteByte(' ')
		switch v.Kind() {
		case value.KindVoid:
			b.WriteByte('-')
		case value.KindBool:
			b.WriteString(map[bool]string{true: "T", false: "F"}[v.Bool()])
		case value.KindAddr:
			b.WriteString(v.Addr().String())
		case value.KindPort:
			fmt.Fprint(&b, v.Count())
		default:
			b.WriteString(v.Str())
		}
	}
	o.rows = append(o.rows, b.String())
}

func addr(s string) packet.Addr { return netip.MustParseAddr(s).As16() }

func conn(at float64, name string) flow.Weird {
	return flow.Weird{Time: start + packet.Time(at), Scope: flow.WeirdConn, Name: name, ID: analyzer.ID{
		UID: "C1", Orig: addr("10.0.0.1"), Resp: addr("10.0.0.2"), OrigP: 1000, RespP: 80, Proto: value.ProtoTCP,
	}}
}

func pair(at float64, name string) flow.Weird {
	w := conn(at, name)
	w.Scope = flow.WeirdFlow
	w.ID = analyzer.ID{Orig: w.ID.Orig, Resp: w.ID.Resp}
	return w
}

func net(at float64, name string) flow.Weird {
	return flow.Weird{Time: start + packet.Time(at), Scope: flow.WeirdNet, Name: name}
}

func other(w flow.Weird) flow.Weird {
	w.ID.UID, w.ID.Resp, w.ID.RespP = "C2", addr("10.0.0.3"), 81
	if w.Scope == flow.WeirdFlow {
		w.ID.UID, w.ID.RespP = "", 0
	}
	return w
}

func newLog(change func(c *weird.Config, d *weird.Deps)) (*weird.Log, *out) {
	o := &out{}
	c, d := weird.Default(), weird.Deps{Write: o.write, Producer: "worker-1", Start: 7}
	if change != nil {
		change(&c, &d)
	}
	return weird.New(c, d), o
}

func TestRows(t *testing.T) {
	full := conn(1, "data_before_established")
	full.Addl, full.Source = "more", "TCP"
	for _, c := range []struct {
		name   string
		in     []flow.Weird
		change func(c *weird.Config, d *weird.Deps)
		want   []string
	}{
		{"columns", []flow.Weird{full, pair(2, "fragment_with_DF"), net(3, "truncated_IP")}, nil, []string{
			"1 C1 10.0.0.1 1000 10.0.0.2 80 data_before_established more F zeek TCP",
			"2 - 10.0.0.1 0 10.0.0.2 0 fragment_with_DF - F zeek -",
			"3 - - - - - truncated_IP - F zeek -",
		}},
		{"repeats", []flow.Weird{net(0, "x"), net(1, "x"), net(599, "x"), net(600, "x"), conn(601, "x"), other(conn(602, "x")), conn(603, "x"), pair(604, "x"), pair(605, "x")}, nil, []string{
			"0 - - - - - x - F zeek -", "600 - - - - - x - F zeek -",
			"601 C1 10.0.0.1 1000 10.0.0.2 80 x - F zeek -", "602 C2 10.0.0.1 1000 10.0.0.3 81 x - F zeek -", "604 - 10.0.0.1 0 10.0.0.2 0 x - F zeek -",
		}},
		{"ignored", []flow.Weird{conn(0, "spontaneous_RST"), conn(0, "FIN_after_reset")}, nil, nil},
		{"per originator", []flow.Weird{pair(0, "bad_IP_checksum"), other(pair(1, "bad_IP_checksum")), conn(2, "bad_TCP_checksum"), other(conn(3, "bad_TCP_checksum")), pair(86400, "bad_IP_checksum")}, nil, []string{
			"0 - 10.0.0.1 0 10.0.0.2 0 bad_IP_checksum - F zeek -", "2 C1 10.0.0.1 1000 10.0.0.2 80 bad_TCP_checksum - F zeek -", "86400 - 10.0.0.1 0 10.0.0.2 0 bad_IP_checksum - F zeek -",
		}},
		{"per connection", []flow.Weird{conn(0, "simultaneous_open"), other(conn(1, "simultaneous_open")), conn(700, "simultaneous_open")}, nil, []string{
			"0 C1 10.0.0.1 1000 10.0.0.2 80 simultaneous_open - F zeek -", "1 C2 10.0.0.1 1000 10.0.0.3 81 simultaneous_open - F zeek -",
		}},
		{"notice", []flow.Weird{conn(0, "SYN_after_partial"), other(conn(1, "SYN_after_partial"))}, nil, []string{
			"0 C1 10.0.0.1 1000 10.0.0.2 80 SYN_after_partial - T zeek -",
		}},
		{"without host", []flow.Weird{net(0, "bad_IP_checksum"), net(1, "bad_IP_checksum")}, nil, []string{"0 - - - - - bad_IP_checksum - F zeek -"}},
		{"own actions", []flow.Weird{conn(0, "x"), other(conn(1, "x")), conn(2, "y")}, func(c *weird.Config, d *weird.Deps) {
			c.Peer, c.Actions = "worker-1", map[string]weird.Action{"x": weird.ActionLogOnce, "y": weird.ActionIgnore}
		}, []string{"0 C1 10.0.0.1 1000 10.0.0.2 80 x - F worker-1 -"}},
		{"silent host", []flow.Weird{conn(0, "x"), other(conn(1, "x")), conn(2, "y")}, func(c *weird.Config, d *weird.Deps) {
			c.IgnoreHosts = []weird.IgnoreHost{{Host: netip.MustParseAddr("10.0.0.2"), Name: "x"}}
		}, []string{"1 C2 10.0.0.1 1000 10.0.0.3 81 x - F zeek -", "2 C1 10.0.0.1 1000 10.0.0.2 80 y - F zeek -"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, o := newLog(c.change)
			for _, w := range c.in {
				l.Weird(w)
			}
			l.Close()
			if !reflect.DeepEqual(o.rows, c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(o.rows, "\n"), strings.Join(c.want, "\n"))
			}
			if s := l.Stats(); s.Seen != s.Rows+s.Sampled+s.Ignored+s.Refused+s.Dropped {
				t.Errorf("counts do not add up: %+v", s)
			}
		})
	}
}

// TestSampling counts what passes sampling: names whose repeats are not ignored
// and that have no action show it.
func TestSampling(t *testing.T) {
	for _, c := range []struct {
		name   string
		weird  func(at float64, name string) flow.Weird
		n      int
		gap    float64 // seconds between two
		change func(c *weird.Config, d *weird.Deps)
		want   uint64
	}{
		{"connection", conn, 2100, 0, nil, 25 + 2},
		{"pair", pair, 2100, 0, nil, 25 + 2},
		{"name", net, 1024, 0, nil, 25},
		{"no rate", pair, 5000, 0, func(c *weird.Config, d *weird.Deps) { c.Rate = 0 }, 25},
		{"allowed", pair, 500, 0, func(c *weird.Config, d *weird.Deps) { c.Allow = []string{"bad_UDP_checksum"} }, 500},
		{"global", pair, 500, 0, func(c *weird.Config, d *weird.Deps) { c.Global = []string{"bad_UDP_checksum"} }, 25},
		{"pair over time", pair, 120, 10, nil, 50},       // 25 in each of two windows of 600 s
		{"connection over time", conn, 120, 10, nil, 50}, // 25; the 26th starts 600 s of sampling, then 25 more
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _ := newLog(c.change)
			for n := range c.n {
				l.Weird(c.weird(float64(n)*c.gap, "bad_UDP_checksum"))
			}
			s := l.Stats()
			if got := s.Seen - s.Sampled; got != c.want {
				t.Errorf("%d pass, want %d", got, c.want)
			}
		})
	}
	t.Run("two connections", func(t *testing.T) {
		l, _ := newLog(nil)
		for n := range 60 {
			w := conn(0, "x")
			if n >= 30 {
				w = other(w)
			}
			if n == 15 {
				l.ConnRemoved("C1") // starts over
			}
			l.Weird(w)
		}
		if s := l.Stats(); s.Sampled != 5 {
			t.Errorf("%d sampled, want 5", s.Sampled)
		}
	})
}

// TestBounds floods the memories.
func TestBounds(t *testing.T) {
	l, o := newLog(func(c *weird.Config, d *weird.Deps) {
		c.MaxConns, c.MaxPairs, c.MaxNames, c.MaxRepeats, c.MaxOnce = 100, 100, 100, 100, 100
	})
	for n := range 10000 {
		w := conn(float64(n)/1e6, "bad_TCP_checksum")
		w.ID.UID = fmt.Sprint("C", n)
		w.ID.Orig[12], w.ID.Orig[13] = byte(n>>8), byte(n)
		l.Weird(w)
		w.Scope, w.Name = flow.WeirdFlow, "x"
		l.Weird(w)
		l.Weird(net(float64(n)/1e6, fmt.Sprint("name", n)))
	}
	s := l.Stats()
	if len(o.rows) != 30000 || s.Forgotten < 40000 {
		t.Errorf("%d rows, %+v", len(o.rows), s)
	}
}

func TestWaiting(t *testing.T) {
	double := &oncetest.Double{}
	l, o := newLog(func(c *weird.Config, d *weird.Deps) { d.Once, c.MaxWaiting = double, 4 })
	from := func(n int, at float64) flow.Weird {
		w := conn(at, "bad_TCP_checksum")
		w.Addl = strings.Repeat("a", n)
		w.ID.Orig[15] = byte(n)
		return w
	}
	for n := 1; n <= 5; n++ {
		l.Weird(from(n, float64(n)))
	}
	l.Weird(from(1, 6)) // asked already
	l.Weird(conn(7, "x"))
	if s := l.Stats(); len(double.Asked) != 4 || l.Waiting() != 4 || s.Dropped != 1 || s.Ignored != 1 || s.Rows != 1 {
		t.Fatalf("%d asked, %d waiting, %+v", len(double.Asked), l.Waiting(), s)
	}
	a := double.Asked
	if c := a[0].Claim; c.Producer != "worker-1" || c.Start != 7 || c.Seq != 1 || c.Key != "weird/bad_TCP_checksum/10.0.0.1" || c.TTL != weird.Day || c.Now != start+1 {
		t.Errorf("claim %+v", c)
	}
	a[2].Answer(true)
	a[0].Answer(false)
	a[0].Answer(true)   // too late
	a[2].Answer(true)   // twice
	l.Weird(from(6, 8)) // there is room again
	if l.Waiting() != 3 {
		t.Errorf("%d waiting, want 3", l.Waiting())
	}
	double.Asked[4].Answer(true)
	l.Close()
	a[1].Answer(true) // after the end
	want := []string{
		"7 C1 10.0.0.1 1000 10.0.0.2 80 x - F zeek -",
		"3 C1 10.0.0.3 1000 10.0.0.2 80 bad_TCP_checksum aaa F zeek -",
		"8 C1 10.0.0.6 1000 10.0.0.2 80 bad_TCP_checksum aaaaaa F zeek -",
		"2 C1 10.0.0.2 1000 10.0.0.2 80 bad_TCP_checksum aa F zeek -",
		"4 C1 10.0.0.4 1000 10.0.0.2 80 bad_TCP_checksum aaaa F zeek -",
	}
	if !reflect.DeepEqual(o.rows, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(o.rows, "\n"), strings.Join(want, "\n"))
	}
	if s := l.Stats(); s.Unasked != 2 || s.Refused != 1 || l.Waiting() != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTwoWorkers shares a memory: what one has reported the other does not.
func TestTwoWorkers(t *testing.T) {
	once := weird.NewLocal(weird.Day, 100)
	a, rows := newLog(func(c *weird.Config, d *weird.Deps) { d.Once = once })
	b, more := newLog(func(c *weird.Config, d *weird.Deps) { d.Once, d.Producer = once, "worker-2" })
	a.Weird(conn(0, "SYN_with_data"))
	b.Weird(other(conn(1, "SYN_with_data")))
	b.Weird(other(conn(2, "x")))
	if len(rows.rows) != 1 || len(more.rows) != 1 || b.Stats().Refused != 1 {
		t.Errorf("%q %q %+v", rows.rows, more.rows, b.Stats())
	}
}

func TestLocal(t *testing.T) {
	oncetest.Run(t, 3600, func(*testing.T) oncetest.Two {
		l := weird.NewLocal(3600, 1000)
		return oncetest.Two{A: l, B: l}
	})
	l := weird.NewLocal(3600, 10)
	for n := range 20 {
		l.Claim(weird.Claim{Producer: "w", Seq: uint64(n), Key: fmt.Sprint(n)}, func(bool) {})
	}
	if l.Shed() != 10 {
		t.Errorf("%d shed, want 10", l.Shed())
	}
}

// The columns are those that real Zeek writes.
func TestRecordedHeader(t *testing.T) {
	rowstest.SameColumns(t, weird.Schema(), "ftp", "ipv6-violation.pcap", "weird.log")
}

func BenchmarkWeird(b *testing.B) {
	l, _ := newLog(func(c *weird.Config, d *weird.Deps) { d.Write = func([]value.Value) {} })
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		w := conn(float64(n)/1e6, "bad_TCP_checksum")
		w.ID.OrigP = uint16(n)
		l.Weird(w)
	}
}

func TestShared(t *testing.T) {
	oncetest.Run(t, 3600, func(*testing.T) oncetest.Two {
		s := weird.NewShared(2, 3600, 1000)
		now := start
		return oncetest.Two{A: s.Worker(0), B: s.Worker(1), Settle: func() {
			now += 7200 // the kit's claims are at most so far apart
			for i := range 2 {
				s.Worker(i).Advance(now)
			}
			for i := range 2 {
				s.Worker(i).Poll()
			}
		}}
	})
}

// A weird without addresses may come from any worker: the cluster writes one row
// in ten minutes, whoever sees it, and that of the earliest packet.
func TestRepeatsEverywhere(t *testing.T) {
	for workers := 1; workers <= 3; workers++ {
		s := weird.NewShared(workers, weird.Day, 100)
		logs, outs := make([]*weird.Log, workers), make([]*out, workers)
		for i := range logs {
			logs[i], outs[i] = newLog(func(c *weird.Config, d *weird.Deps) { d.Once = s.Worker(i) })
		}
		for n, at := range []float64{5, 7, 300, 604, 605, 606, 1300, 90000} {
			logs[n%workers].Weird(net(at, "ip_hdr_len_zero"))
			if n%3 == 0 {
				for i := range logs {
					s.Worker(i).Advance(start + packet.Time(at))
					s.Worker(i).Poll()
				}
			}
		}
		for i := range logs {
			s.Worker(i).Finish()
		}
		var rows []string
		for i := range logs {
			s.Worker(i).Poll()
			rows = append(rows, outs[i].rows...)
		}
		var times []string
		for _, r := range rows {
			at, _, _ := strings.Cut(r, " ")
			times = append(times, at)
		}
		slices.Sort(times)
		if !slices.Equal(times, []string{"1300", "5", "605", "90000"}) {
			t.Errorf("%d workers: %q", workers, rows)
		}
	}
}

// TestSharedOrder runs two workers at different speeds: the earliest packet wins.
func TestSharedOrder(t *testing.T) {
	for _, first := range []int{0, 1} {
		s := weird.NewShared(2, weird.Day, 100)
		logs, outs := [2]*weird.Log{}, [2]*out{}
		for i := range 2 {
			logs[i], outs[i] = newLog(func(c *weird.Config, d *weird.Deps) { d.Once, d.Producer = s.Worker(i), "zeek" })
		}
		run := func(i int) {
			at := []float64{5, 3}[i]
			w := conn(at, "SYN_with_data")
			w.ID.RespP = uint16(i)
			logs[i].Weird(w)
			s.Worker(i).Advance(start + packet.Time(at) + 10)
			s.Worker(i).Poll()
			s.Worker(i).Finish()
		}
		run(first)
		run(1 - first)
		for i := range 2 {
			s.Worker(i).Poll()
			if logs[i].Waiting() != 0 {
				t.Errorf("worker %d waits", i)
			}
		}
		if len(outs[0].rows) != 0 || len(outs[1].rows) != 1 {
			t.Errorf("worker %d first: %q %q", first, outs[0].rows, outs[1].rows)
		}
	}
}
