package afpacket

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/internal/netns"
	"github.com/picket-nsm/picket/internal/trafficgen"
)

// put sends frames and waits until they are on their way.
func put(t testing.TB, s *trafficgen.Sender, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if err := s.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

// udpFrame is the first packet of flow n, which is UDP.
func udpFrame(n int) []byte {
	g := trafficgen.New(trafficgen.Config{First: n, Flows: 1, Parts: [3]int{0, 1, 0}, Data: 64})
	return bytes.Clone(g.Next())
}

func insert(frame []byte, tags string) []byte {
	b, _ := hex.DecodeString(tags)
	return append(append(bytes.Clone(frame[:12]), b...), frame[12:]...)
}

// Tagged packets look as on the wire, in whatever way the kernel takes the tag
// out, also when they are read for the second time.
func TestVLAN(t *testing.T) {
	n := newBench(t)
	g := n.group(t, 1, Options{})
	s := n.sender(t)
	plain := udpFrame(1)
	want := [][]byte{plain, insert(plain, "81002064"), insert(plain, "88a8000a81000014"), insert(plain, "81000001"), insert(plain, "81000000")}
	put(t, s, want...)
	for life := 1; life <= 2; life++ {
		src := source(t, g, 0, Resume{})
		if life == 2 {
			src.Drain()
		}
		var got [][]byte
		for len(got) < len(want) {
			frames, err := src.Next(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range frames {
				if f.WireLen != len(f.Data) {
					t.Errorf("wire length %d of %d bytes", f.WireLen, len(f.Data))
				}
				got = append(got, bytes.Clone(f.Data))
			}
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("life %d, packet %d:\n got %x\nwant %x", life, i, got[i], want[i])
			}
		}
		src.Close() // without releasing the block
	}
}

// Fragments of a datagram are with the packets of their flow: put together by
// the kernel, or one by one if packets are spread by hosts.
func TestFragments(t *testing.T) {
	for _, c := range []struct {
		balance Balance
		v6      bool
		want    int // packets of a fragmented datagram
	}{{ByFlow, false, 1}, {ByHosts, false, 3}, {ByHosts, true, 3}} {
		t.Run(fmt.Sprintf("%s,v6=%v", c.balance, c.v6), func(t *testing.T) {
			n := newBench(t)
			g := n.group(t, 4, Options{Balance: c.balance})
			s := n.sender(t)
			const flows = 64
			for i := 0; i < flows; i++ {
				whole, frags := datagram(i, c.v6)
				put(t, s, append([][]byte{whole}, frags...)...)
				if !c.v6 {
					put(t, s, reversed(whole))
				}
			}
			g.Stop()
			per, total := map[string]map[int]bool{}, 0
			for i := 0; i < 4; i++ {
				r := read(source(t, g, i, Resume{}))
				r.drain(t)
				total += int(r.packets)
				for _, d := range r.data {
					k := hosts(d)
					if per[k] == nil {
						per[k] = map[int]bool{}
					}
					per[k][i] = true
				}
			}
			want := flows * (1 + c.want)
			if !c.v6 {
				want += flows
			}
			if total != want {
				t.Errorf("%d packets, want %d", total, want)
			}
			for k, socks := range per {
				if len(socks) != 1 {
					t.Errorf("%x: on sockets %v", k, socks)
				}
			}
			if len(per) != flows {
				t.Errorf("%d pairs of hosts, want %d", len(per), flows)
			}
		})
	}
}

// hosts is the pair of addresses of a frame, the lower first.
func hosts(b []byte) string {
	src, dst := b[26:30], b[30:34]
	if b[12] == 0x86 {
		src, dst = b[22:38], b[38:54]
	}
	if bytes.Compare(src, dst) > 0 {
		src, dst = dst, src
	}
	return string(src) + string(dst)
}

func reversed(b []byte) []byte {
	r := bytes.Clone(b)
	copy(r[26:30], b[30:34])
	copy(r[30:34], b[26:30])
	copy(r[34:36], b[36:38])
	copy(r[36:38], b[34:36])
	return r
}

// datagram returns a small UDP packet of flow i and a larger one of the same
// flow in three fragments.
func datagram(i int, v6 bool) (whole []byte, frags [][]byte) {
	whole = udpFrame(i)
	udp := append(bytes.Clone(whole[34:42]), make([]byte, 3000)...)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	udp[6], udp[7] = 0, 0
	head := bytes.Clone(whole[:34])
	if v6 {
		head = append(append(whole[:12:12], 0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17, 64), make([]byte, 32)...)
		copy(head[22:], "\x20\x01\x0d\xb8")
		copy(head[34:], whole[26:30])
		copy(head[38:], "\x20\x01\x0d\xb8")
		copy(head[50:], whole[30:34])
		l4 := whole[34:]
		whole = append(bytes.Clone(head), l4...)
		binary.BigEndian.PutUint16(whole[18:], uint16(len(l4)))
	}
	for off := 0; off < len(udp); off += 1200 {
		part := udp[off:min(off+1200, len(udp))]
		f := bytes.Clone(head)
		more := off+1200 < len(udp)
		if v6 {
			f[20] = 44
			fh := []byte{17, 0, 0, 0, 0, 0, 0, byte(i)}
			binary.BigEndian.PutUint16(fh[2:], uint16(off))
			if more {
				fh[3] |= 1
			}
			f = append(f, fh...)
			binary.BigEndian.PutUint16(f[18:], uint16(8+len(part)))
		} else {
			binary.BigEndian.PutUint16(f[16:], uint16(20+len(part)))
			binary.BigEndian.PutUint16(f[18:], uint16(i+1))
			fo := uint16(off / 8)
			if more {
				fo |= 0x2000
			}
			binary.BigEndian.PutUint16(f[20:], fo)
			f[24], f[25] = 0, 0
			sum := uint32(0)
			for j := 14; j < 34; j += 2 {
				sum += uint32(binary.BigEndian.Uint16(f[j:]))
			}
			for sum > 0xffff {
				sum = sum>>16 + sum&0xffff
			}
			binary.BigEndian.PutUint16(f[24:], ^uint16(sum))
		}
		frags = append(frags, append(f, part...))
	}
	return whole, frags
}

// Two clusters on one interface each see everything, with no setting.
func TestTwoGroups(t *testing.T) {
	n := newBench(t)
	a, b := n.group(t, 2, Options{}), n.group(t, 3, Options{Balance: ByHosts})
	id := func(g *Group) int {
		v, err := unix.GetsockoptInt(int(g.Files()[0].Fd()), unix.SOL_PACKET, unix.PACKET_FANOUT)
		if err != nil {
			t.Fatal(err)
		}
		return v & 0xffff
	}
	if id(a) == id(b) {
		t.Errorf("both groups have fanout id %d", id(a))
	}
	sent := send(t, n.sender(t), trafficgen.Config{Flows: 3000}, 100_000)
	settle(t, sent.Packets, 0, a, read(source(t, a, 0, Resume{})), read(source(t, a, 1, Resume{})))
	settle(t, sent.Packets, 0, b, read(source(t, b, 0, Resume{})), read(source(t, b, 1, Resume{})), read(source(t, b, 2, Resume{})))
}

// A filter lets in what it is for, from the first packet on.
func TestFilter(t *testing.T) {
	n := newBench(t)
	udp := []bpf.RawInstruction{
		{Op: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 23},
		{Op: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 17, Jf: 1},
		{Op: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
		{Op: unix.BPF_RET | unix.BPF_K},
	}
	g := n.group(t, 2, Options{Filter: udp})
	n.b.Do(func() error {
		if l, err := Link("v1"); l != 1 || l != g.Ring().Link || err != nil {
			t.Errorf("link type %d, %v", l, err)
		}
		if _, err := Link("v7"); !errors.Is(err, ErrNoInterface) {
			t.Errorf("link type of nothing: %v", err)
		}
		return nil
	})
	c := trafficgen.Config{Flows: 900}
	send(t, n.sender(t), c, 100_000)
	settle(t, 600*2, 0, g, read(source(t, g, 0, Resume{})), read(source(t, g, 1, Resume{})))
}

// A real connection of two kernels: both directions are on one socket, and
// checksums that the kernel left to the card are marked.
func TestConnection(t *testing.T) {
	n := newBench(t)
	n.a.IP(t, "addr", "add", "192.0.2.1/24", "dev", "v0")
	n.b.IP(t, "addr", "add", "192.0.2.2/24", "dev", "v1")
	g := n.group(t, 4, Options{})
	var l net.Listener
	if err := n.b.Do(func() (err error) { l, err = net.Listen("tcp4", "192.0.2.2:0"); return }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	const conns = 32
	for i := 0; i < conns; i++ {
		err := n.a.Do(func() error {
			c, err := net.Dial("tcp4", l.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			c.Write(make([]byte, 5000))
			_, err = io.ReadFull(c, make([]byte, 5000))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	g.Stop()
	var all []*reader
	both, unsummed := map[flowKey]int{}, 0
	for i := 0; i < 4; i++ {
		src := source(t, g, i, Resume{})
		src.Drain()
		r := &reader{src: src, flows: map[flowKey]int{}}
		for {
			frames, err := src.Next(context.Background())
			if err != nil {
				break
			}
			for _, f := range frames {
				if len(f.Data) < 34 || f.Data[13] != 0 {
					continue
				}
				r.flows[keyOf(f.Data)]++
				both[keyOf(f.Data)] |= 1 << (f.Data[29] - 1)
				if f.NoChecksum {
					unsummed++
				}
			}
		}
		all = append(all, r)
	}
	oneEach(t, all...)
	if len(both) != conns {
		t.Errorf("%d connections, want %d", len(both), conns)
	}
	for k, dirs := range both {
		if dirs != 3 {
			t.Errorf("%x: only one direction (%d)", k, dirs)
		}
	}
	if unsummed == 0 {
		t.Error("no packet marked as without checksum, a veth pair has them")
	}
}

// On a loopback each packet is taken once.
func TestLoopback(t *testing.T) {
	n := netns.New(t)
	for _, workers := range []int{1, 2} {
		var g *Group
		err := n.Do(func() (err error) {
			if g, err = OpenGroup("lo", workers, Options{}); err != nil {
				return err
			}
			c, err := net.Dial("udp4", "127.0.0.1:9")
			if err != nil {
				return err
			}
			defer c.Close()
			for i := 0; i < 10; i++ {
				c.Write([]byte("x")) // may be refused by ICMP
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		g.Stop()
		udp := 0
		for i := 0; i < workers; i++ {
			r := read(source(t, g, i, Resume{}))
			r.drain(t)
			for _, d := range r.data {
				if d[23] == 17 {
					udp++
				}
			}
		}
		g.Close()
		if udp < 5 || udp > 10 {
			t.Errorf("%d workers: %d packets, want each once (5 to 10)", workers, udp)
		}
	}
}

// Without packets Next returns an empty block, and it ends with its context.
func TestIdle(t *testing.T) {
	n := newBench(t)
	src := source(t, n.group(t, 1, Options{}), 0, Resume{})
	start := time.Now()
	frames, err := src.Next(context.Background())
	if len(frames) != 0 || err != nil || time.Since(start) > 5*idle*time.Millisecond {
		t.Errorf("idle: %d packets, %v, after %v", len(frames), err, time.Since(start))
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	for err == nil {
		_, err = src.Next(ctx)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := errors.Join(src.Close(), src.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	src.Stats()
	src.Drain()
}
