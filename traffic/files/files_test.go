package files

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// link is a connection and the protocol on it: files have the name it holds.
type link struct {
	id   analyzer.ID
	now  packet.Time
	name string
	over []string
}

func newLink(uid string, port uint16) *link {
	return &link{id: analyzer.ID{UID: uid, OrigP: port, RespP: 80, Proto: value.ProtoTCP, Start: 1}, now: 1000, name: "file"}
}

func (l *link) ID() analyzer.ID                            { return l.id }
func (l *link) Now() packet.Time                           { return l.now }
func (l *link) Weird(name, addl, source string)            {}
func (l *link) Confirm(service string)                     {}
func (l *link) Violation(service, reason string, d []byte) {}
func (l *link) Local() (orig, resp, known bool)            { return true, false, true }

func (l *link) FileHandle(_ analyzer.Conn, _ bool, dst []byte) []byte { return append(dst, l.name...) }
func (l *link) FileOver(_ analyzer.Conn, f *File)                     { l.over = append(l.over, f.ID.String()) }

func (l *link) side() *Side { return &Side{Source: "TEST", Owner: l} }

// log writes down what becomes of files.
type log struct {
	lines []string
	got   *taker
}

func (l *log) New(f *File) {
	if l.got != nil {
		f.Attach("TAKER", l.got)
	}
}
func (l *log) Sniffed(f *File) { l.lines = append(l.lines, "sniffed "+f.MIME) }
func (l *log) Removed(f *File) {
	total := "-"
	if f.HasTotal {
		total = fmt.Sprint(f.Total)
	}
	l.lines = append(l.lines, fmt.Sprintf("removed seen=%d missing=%d overflow=%d total=%s conns=%d timedout=%v duration=%g",
		f.Seen, f.Missing, f.Overflow, total, len(f.Conns), f.TimedOut, float64(f.LastActive-f.First)))
}

// taker is an analyzer that keeps all it gets.
type taker struct {
	bytes.Buffer
	ends int
}

func (t *taker) Data(_ *File, b []byte) bool { t.Write(b); return true }
func (t *taker) Gap(_ *File, n uint64) bool  { fmt.Fprintf(t, "[%d]", n); return true }
func (t *taker) End(*File)                   { t.ends++ }

func want(t *testing.T, l *log, lines ...string) {
	t.Helper()
	if !slices.Equal(l.lines, lines) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(l.lines, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func TestComplete(t *testing.T) {
	l := &log{got: &taker{}}
	tab := New(Default(), l)
	c, r := newLink("C1", 1), Ref{}
	tab.Size(c, c.side(), &r, 12)
	tab.Data(c, c.side(), &r, []byte("hello "))
	c.now = 1002.5
	tab.Data(c, c.side(), &r, []byte("world!"))
	want(t, l, "sniffed text/plain", "removed seen=12 missing=0 overflow=0 total=12 conns=1 timedout=false duration=2.5")
	if got := l.got.String(); got != "hello world!" || l.got.ends != 1 {
		t.Errorf("the analyzer got %q and %d ends", got, l.got.ends)
	}
	if r != (Ref{}) || len(c.over) != 1 {
		t.Errorf("ref %+v, over %v", r, c.over)
	}
	// What follows is another file of the same name.
	tab.Data(c, c.side(), &r, []byte("more"))
	tab.End(c, c.side(), &r)
	if len(l.lines) != 4 || tab.Stats().Active != 0 || tab.Stats().BufferedBytes != 0 {
		t.Errorf("%v %+v", l.lines, tab.Stats())
	}
}

func TestGap(t *testing.T) {
	l := &log{got: &taker{}}
	tab := New(Default(), l)
	c, r := newLink("C1", 1), Ref{}
	tab.Data(c, c.side(), &r, []byte("GIF89a"))
	tab.Gap(c, c.side(), &r, 6, 100)
	tab.Data(c, c.side(), &r, []byte("tail"))
	tab.End(c, c.side(), &Ref{}) // by its name
	want(t, l, "sniffed image/gif", "removed seen=10 missing=100 overflow=0 total=- conns=1 timedout=false duration=0")
	if got := l.got.String(); got != "GIF89a[100]tail" {
		t.Errorf("got %q", got)
	}
}

// A gap in front of all leaves the type unknown for good.
func TestGapFirst(t *testing.T) {
	l := &log{}
	tab := New(Default(), l)
	c, r := newLink("C1", 1), Ref{}
	tab.Gap(c, c.side(), &r, 0, 5)
	tab.Data(c, c.side(), &r, []byte("GIF89a and more"))
	tab.End(c, c.side(), &r)
	want(t, l, "removed seen=15 missing=5 overflow=0 total=- conns=1 timedout=false duration=0")
}

// Parts of a file come over two connections, the later one first.
func TestRanges(t *testing.T) {
	l := &log{got: &taker{}}
	tab := New(Default(), l)
	a, b := newLink("C1", 1), newLink("C2", 2)
	var ra, rb Ref
	tab.DataAt(a, a.side(), &ra, 5, []byte("56789"))
	tab.DataAt(b, b.side(), &rb, 0, []byte("01234"))
	tab.DataAt(a, a.side(), &ra, 12, []byte("cd"))
	tab.DataAt(a, a.side(), &ra, 3, []byte("xxx"))
	if got := l.got.String(); got != "0123456789" {
		t.Errorf("got %q before the end", got)
	}
	tab.End(a, a.side(), &ra)
	if got := l.got.String(); got != "0123456789[2]cd" {
		t.Errorf("got %q", got)
	}
	want(t, l, "sniffed text/plain", "removed seen=12 missing=2 overflow=0 total=- conns=2 timedout=false duration=0")
}

func TestTimeout(t *testing.T) {
	l := &log{}
	tab := New(Default(), l)
	c, r := newLink("C1", 1), Ref{}
	tab.Data(c, c.side(), &r, []byte("0123456789"))
	c.now += 100
	tab.Data(c, c.side(), &r, []byte("0123456789"))
	at := func(now packet.Time) {
		for d := tab.Deadline(); d.At <= now; {
			d.Fire(now)
		}
	}
	at(1119)
	if tab.Stats().Active != 1 || tab.Deadline().At != 1120 {
		t.Fatal("gone too early", tab.Deadline().At)
	}
	at(1120) // silent for 20 s: looked at again 120 s later
	at(1239)
	if tab.Stats().Active != 1 {
		t.Fatal("gone too early")
	}
	at(1240)
	want(t, l, "sniffed text/plain", "removed seen=20 missing=0 overflow=0 total=- conns=1 timedout=true duration=100")
	if tab.Deadline().At != analyzer.Never {
		t.Error("a deadline is left")
	}
	// It goes on with the same Ref, as another file.
	c.now = 1300
	tab.Data(c, c.side(), &r, []byte("0123456789"))
	tab.Finish(1301)
	if len(l.lines) != 4 || !strings.Contains(l.lines[3], "timedout=true") {
		t.Error(l.lines)
	}
}

// Analyzers that are attached when the type is known get what came before.
type late struct {
	log
	got taker
}

func (l *late) Sniffed(f *File) { f.Attach("LATE", &l.got) }

func TestAttachLate(t *testing.T) {
	for size := 1; size < 6000; size += 611 {
		var all []byte
		for len(all) < 10000 {
			all = append(all, byte(len(all)))
		}
		l := &late{}
		tab := New(Default(), l)
		c, r := newLink("C1", 1), Ref{}
		for p := range slices.Chunk(all, size) {
			tab.Data(c, c.side(), &r, p)
		}
		tab.End(c, c.side(), &r)
		if !bytes.Equal(l.got.Bytes(), all) || l.got.ends != 1 {
			t.Errorf("pieces of %d: got %d bytes", size, l.got.Len())
		}
	}
}

// In whatever order pieces come, what is delivered is the file.
func TestAnyOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		all := make([]byte, 2000)
		for i := range all {
			all[i] = byte(rnd.Uint32())
		}
		l := &log{got: &taker{}}
		tab := New(Default(), l)
		c, r := newLink("C1", 1), Ref{}
		tab.Size(c, c.side(), &r, uint64(len(all)))
		for range 5000 {
			off := max(0, rnd.IntN(len(all)+100)-100)
			n := min(rnd.IntN(200), len(all)-off)
			tab.DataAt(c, c.side(), &r, uint64(off), all[off:off+n])
			if tab.Stats().Active == 0 {
				break
			}
		}
		if !bytes.Equal(l.got.Bytes(), all) {
			t.Fatalf("not the file: %d bytes, %v", l.got.Len(), l.lines)
		}
		if s := tab.Stats(); s.ReassemblyBytes != 0 || s.BufferedBytes != 0 {
			t.Fatalf("left behind: %+v", s)
		}
	}
}

// Memory has bounds, whatever is sent, and what is shed is counted.
func TestBounds(t *testing.T) {
	cfg := Default()
	cfg.Files, cfg.Buffered, cfg.ReassemblyTotal, cfg.Conns = 100, 50*BOF, 10_000, 3
	l := &log{}
	tab := New(cfg, l)
	for i := range 200 {
		c, r := newLink("C1", uint16(i)), Ref{}
		c.name = fmt.Sprint(i)
		tab.DataAt(c, c.side(), &r, 0, []byte("x"))
		tab.DataAt(c, c.side(), &r, 1000, make([]byte, 500))
	}
	for i := range 10 {
		c, r := newLink("C", uint16(i)), Ref{}
		c.name = "5"
		tab.DataAt(c, c.side(), &r, 1, []byte("x"))
	}
	s := tab.Stats()
	if s.Active != 100 || s.ShedFiles == 0 || s.ReassemblyBytes > cfg.ReassemblyTotal || s.ShedBlocks == 0 ||
		s.BufferedBytes > cfg.Buffered || s.ShedSniffs == 0 || s.ShedConns == 0 {
		t.Errorf("%+v", s)
	}
	tab.Finish(2000)
	if s := tab.Stats(); s.Active != 0 || s.ReassemblyBytes != 0 || s.BufferedBytes != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

// Pieces of one byte take no more memory than the limit says.
func TestTinyPieces(t *testing.T) {
	cfg := Default()
	cfg.ReassemblyTotal = 100_000
	tab := New(cfg, &log{})
	blocks := 0
	for i := range 10 {
		c, r := newLink("C1", uint16(i)), Ref{}
		c.name = fmt.Sprint(i)
		for n := range uint64(1000) {
			tab.DataAt(c, c.side(), &r, 10+2*n, []byte("x"))
		}
		blocks += len(tab.deref(&r).order.blocks)
	}
	const each = 32 + 8 // a block and the least that holds its bytes
	if blocks*each > cfg.ReassemblyTotal || tab.Stats().ShedBlocks == 0 {
		t.Errorf("%d pieces wait, which take %d bytes", blocks, blocks*each)
	}
	tab.Finish(2000)
	if s := tab.Stats(); s.ReassemblyBytes != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

func FuzzOffsets(f *testing.F) {
	f.Add([]byte{0, 0, 5, 1, 0, 5, 2, 3, 4, 3, 0, 0})
	f.Add([]byte{1, 9, 9, 1, 1, 1, 2, 0, 255, 1, 30, 30, 2, 1, 7})
	f.Fuzz(func(t *testing.T, in []byte) {
		l := &log{got: &taker{}}
		cfg := Default()
		cfg.Reassembly = 300
		tab := New(cfg, l)
		c, r := newLink("C1", 1), Ref{}
		for len(in) >= 3 && tab.Stats().Files < 100 {
			op, off, n := in[0], uint64(in[1]), uint64(in[2])
			in = in[3:]
			if op&0x80 != 0 {
				off = ^off
			}
			switch op & 7 {
			case 0:
				tab.Data(c, c.side(), &r, make([]byte, n))
			case 1, 6, 7:
				tab.DataAt(c, c.side(), &r, off, make([]byte, n))
			case 2:
				tab.Gap(c, c.side(), &r, off, n)
			case 3:
				tab.Size(c, c.side(), &r, off)
			case 4:
				tab.End(c, c.side(), &r)
			case 5:
				c.now += packet.Time(n)
				for tab.Deadline().At <= c.now {
					tab.Deadline().Fire(c.now)
				}
			}
		}
		tab.Finish(c.now)
		if s := tab.Stats(); s.Active != 0 || s.ReassemblyBytes != 0 || s.BufferedBytes != 0 {
			t.Fatalf("left behind: %+v", s)
		}
	})
}

func BenchmarkFile(b *testing.B) {
	tab := New(Default(), &quiet{})
	c, body := newLink("C1", 1), bytes.Repeat([]byte("\x89PNG body "), 146)[:1460]
	s := c.side()
	b.ReportAllocs()
	for range b.N {
		var r Ref
		tab.Size(c, s, &r, 10*1460)
		for range 10 {
			tab.Data(c, s, &r, body)
		}
		c.over = c.over[:0]
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/14600, "ns/byte")
}

type quiet struct{}

func (quiet) New(*File)     {}
func (quiet) Sniffed(*File) {}
func (quiet) Removed(*File) {}
