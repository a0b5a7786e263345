package afpacket

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/picket-nsm/picket/internal/netns"
	"github.com/picket-nsm/picket/internal/trafficgen"
	"github.com/picket-nsm/picket/traffic/capture"
)

// bench is two namespaces with a cable: what is sent on v0 in a arrives on v1
// in b.
type bench struct{ a, b *netns.NS }

func newBench(t testing.TB) bench {
	t.Helper()
	n := bench{netns.New(t), netns.New(t)}
	netns.Veth(t, n.a, "v0", n.b, "v1")
	return n
}

func (n bench) group(t testing.TB, workers int, o Options) *Group {
	t.Helper()
	var g *Group
	err := n.b.Do(func() (err error) {
		g, err = OpenGroup("af_packet::v1", workers, o)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func (n bench) sender(t testing.TB) *trafficgen.Sender {
	t.Helper()
	var s *trafficgen.Sender
	err := n.a.Do(func() (err error) {
		s, err = trafficgen.NewSender("v0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reader reads a source until it is drained, on a goroutine of its own.
type reader struct {
	src  *Source
	done chan struct{}
	err  error

	packets uint64
	flows   map[flowKey]int // packets of each flow, both directions
	data    [][]byte        // copies of the first packets
	seqs    uint64          // packets whose Seq was not one higher than the one before
	last    uint64
}

// flowKey is addresses and ports, the lower end first.
type flowKey [12]byte

func keyOf(b []byte) (k flowKey) {
	if len(b) < 38 || binary.BigEndian.Uint16(b[12:]) != 0x0800 {
		return
	}
	s := uint64(binary.BigEndian.Uint32(b[26:]))<<16 | uint64(binary.BigEndian.Uint16(b[34:]))
	d := uint64(binary.BigEndian.Uint32(b[30:]))<<16 | uint64(binary.BigEndian.Uint16(b[36:]))
	if s > d {
		s, d = d, s
	}
	binary.BigEndian.PutUint64(k[:], s<<16|d>>32)
	binary.BigEndian.PutUint32(k[8:], uint32(d))
	return
}

func source(t testing.TB, g *Group, i int, from Resume) *Source {
	t.Helper()
	s, err := FromFD(dup(t, g, i), g.Ring(), from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func read(s *Source) *reader {
	r := &reader{src: s, done: make(chan struct{}), flows: map[flowKey]int{}}
	go r.run()
	return r
}

func (r *reader) run() {
	defer close(r.done)
	for {
		frames, err := r.src.Next(context.Background())
		if err != nil {
			r.err = err
			return
		}
		r.take(frames)
	}
}

func (r *reader) take(frames []capture.Frame) {
	for i := range frames {
		f := &frames[i]
		if f.Seq != r.last+1 {
			r.seqs++
		}
		r.last = f.Seq
		r.packets++
		r.flows[keyOf(f.Data)]++
		if len(r.data) < 1000 {
			r.data = append(r.data, append([]byte(nil), f.Data...))
		}
	}
}

func (r *reader) drain(t testing.TB) {
	t.Helper()
	r.src.Drain()
	select {
	case <-r.done:
	case <-time.After(20 * time.Second):
		t.Fatal("source does not drain")
	}
	if !errors.Is(r.err, io.EOF) {
		t.Errorf("reading: %v", r.err)
	}
	if r.seqs != 0 {
		t.Errorf("%d packets with a number that does not follow the one before", r.seqs)
	}
}

// oneEach checks that no flow was seen by two readers.
func oneEach(t testing.TB, readers ...*reader) {
	t.Helper()
	owner := map[flowKey]int{}
	split := 0
	for i, r := range readers {
		for k := range r.flows {
			if j, seen := owner[k]; seen && j != i {
				split++
			}
			owner[k] = i
		}
	}
	if split != 0 {
		t.Errorf("%d of %d flows were spread over several sockets", split, len(owner))
	}
}

func send(t testing.TB, s *trafficgen.Sender, c trafficgen.Config, rate int) trafficgen.Sent {
	t.Helper()
	g := trafficgen.New(c)
	before, _ := s.Sent()
	start := time.Now()
	if err := s.Send(context.Background(), g.Next, rate); err != nil {
		t.Fatal(err)
	}
	if n, _ := s.Sent(); n-before != g.Sent().Packets {
		t.Fatalf("sent %d of %d packets", n-before, g.Sent().Packets)
	}
	t.Logf("sent %d packets of %d flows at %.0f/s", g.Sent().Packets, c.Flows, float64(g.Sent().Packets)/time.Since(start).Seconds())
	return g.Sent()
}

// Two workers under load: each packet is received or counted, each flow is with
// one worker.
func TestLoad(t *testing.T) {
	n := newBench(t)
	for _, balance := range []Balance{ByFlow, ByHosts} {
		t.Run(string(balance), func(t *testing.T) {
			g := n.group(t, 2, Options{Balance: balance})
			r := []*reader{read(source(t, g, 0, Resume{})), read(source(t, g, 1, Resume{}))}
			sent := send(t, n.sender(t), trafficgen.Config{Flows: 110000, Window: 5000, Data: 64}, 250_000)
			settle(t, sent.Packets, 0, g, r...)
			oneEach(t, r...)
			for i := range r {
				if r[i].packets < sent.Packets/5 {
					t.Errorf("socket %d got %d of %d packets", i, r[i].packets, sent.Packets)
				}
			}
		})
	}
}

// Processes without a supervisor that capture under one name share the packets;
// others get them all.
func TestShare(t *testing.T) {
	n := newBench(t)
	for _, balance := range []Balance{ByFlow, ByHosts} {
		t.Run(string(balance), func(t *testing.T) {
			var r []*reader
			for _, share := range []string{"one", "one", "two", ""} {
				err := n.b.Do(func() error {
					s, err := Open("v1", Options{Share: share, Balance: balance})
					if err == nil {
						t.Cleanup(func() { s.Close() })
						r = append(r, read(s))
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			sent := send(t, n.sender(t), trafficgen.Config{Flows: 2000}, 50_000).Packets
			for i := range r {
				r[i].drain(t)
			}
			oneEach(t, r[:2]...)
			if a, b := r[0].packets, r[1].packets; a+b != sent || min(a, b) < sent/5 {
				t.Errorf("two that share got %d and %d of %d packets", a, b, sent)
			}
			if a, b := r[2].packets, r[3].packets; a != sent || b != sent {
				t.Errorf("the others got %d and %d of %d packets", a, b, sent)
			}
		})
	}
}

// settle stops the group, drains the readers and checks that what was sent is
// what they read plus what the kernel counted as dropped.
func settle(t testing.TB, sent, minDrops uint64, g *Group, readers ...*reader) {
	t.Helper()
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	var read, dropped, filtered, link uint64
	for i, r := range readers {
		r.drain(t)
		s := r.src.Stats()
		if s.Received != r.packets {
			t.Errorf("socket %d: %d packets handed out, %d in the statistics", i, r.packets, s.Received)
		}
		read, dropped, filtered, link = read+r.packets, dropped+s.Dropped, filtered+s.Filtered, link+s.Link
		t.Logf("socket %d: %d packets, %d dropped", i, r.packets, s.Dropped)
	}
	if read+dropped+filtered != sent || link != sent {
		t.Errorf("sent %d, read %d + dropped %d + filtered %d = %d; on the link %d", sent, read, dropped, filtered, read+dropped+filtered, link)
	}
	if dropped < minDrops {
		t.Errorf("%d dropped, want at least %d", dropped, minDrops)
	}
}

// One reader stands still for a while: its ring runs full, the kernel counts,
// the sum holds.
func TestStopped(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 2, Options{RingMiB: 4})
	moving, still := read(source(t, g, 0, Resume{})), source(t, g, 1, Resume{})
	sent := send(t, n.sender(t), trafficgen.Config{Flows: 20000, Window: 5000, Data: 64}, 0)
	settle(t, sent.Packets, 1, g, moving, read(still))
}
