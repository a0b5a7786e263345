package pcapfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
	"github.com/picket-nsm/picket/traffic/packet"
)

// count reads bytes as a capture and tells how many packets and which error.
func count(t testing.TB, b []byte) (int, error) {
	t.Helper()
	s, err := Open("-", Options{Stdin: bytes.NewReader(b)})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return drain(t, s, nil)
}

// TestTruncated cuts files at every byte: the whole packets come, then the end
// or ErrTruncated with the place.
func TestTruncated(t *testing.T) {
	fr := capturetest.Sample(6, false)
	for i := range fr {
		fr[i].Data = fr[i].Data[:min(len(fr[i].Data), 40)]
	}
	for name, b := range map[string][]byte{"pcap": pcap(t, fr, WriterOptions{}), "pcapng": ng(fr, ngOptions{res: 9})} {
		clean := 0
		for n := range len(b) + 1 {
			got, err := count(t, b[:n])
			if err == nil {
				clean++
				continue
			}
			if n >= 24 && !errors.Is(err, ErrTruncated) || n < 24 && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTruncated) {
				t.Fatalf("%s cut at %d: %d packets, %v", name, n, got, err)
			}
			if n >= 24 && !strings.Contains(err.Error(), "record at byte ") {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
		}
		if want := map[string]int{"pcap": 7, "pcapng": 8}[name]; clean != want {
			t.Errorf("%s: %d places are a good end, want %d", name, clean, want)
		}
	}
	// A compressed file that ends too soon is cut as well.
	b := gz(pcap(t, capturetest.Sample(1000, false), WriterOptions{}))
	if n, err := count(t, b[:len(b)/2]); n == 0 || !errors.Is(err, ErrTruncated) {
		t.Errorf("gzip: %d packets, %v", n, err)
	}
	b = zst(pcap(t, capturetest.Sample(5000, false), WriterOptions{}))
	if n, err := count(t, b[:len(b)*3/4]); !errors.Is(err, ErrTruncated) {
		t.Errorf("zstd: %d packets, %v", n, err)
	}
}

func TestErrors(t *testing.T) {
	fr := capturetest.Sample(3, false)
	good := pcap(t, fr, WriterOptions{})
	edit := func(b []byte, at int, v uint32) []byte {
		b = bytes.Clone(b)
		binary.LittleEndian.PutUint32(b[at:], v)
		return b
	}
	ng1 := ng(fr, ngOptions{})
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "open capture - (standard input): bad capture file: the file is empty"},
		{"text", []byte("hello world"), "open capture - (standard input): bad capture file: neither pcap nor pcapng (it begins with 68 65 6c 6c)"},
		{"short", good[:10], "open capture - (standard input): bad capture file: the file ends within its header"},
		{"version", edit(good, 4, 7), "open capture - (standard input): bad capture file: pcap version 7.0 is not known"},
		{"length", edit(good, 24+8, 1<<30), "read capture - (standard input): record at byte 24: bad capture file: 1073741824 captured bytes in a packet, more than 262144"},
		{"twice", gz(gz(good)), "open capture - (standard input): bad capture file: it is compressed twice: decompress it once"},
		{"order mark", edit(ng1, 8, 7), "read capture - (standard input): record at byte 0: bad capture file: section with byte order mark 07 00 00 00"},
		{"block length", edit(ng1, 28+4, 13), "read capture - (standard input): record at byte 28: bad capture file: block of type 1 has 13 bytes"},
		{"block length huge", edit(ng1, 28+4, 1<<30), "read capture - (standard input): record at byte 28: bad capture file: block of type 1 has 1073741824 bytes"},
		{"no interface", edit(ng1, 28, 77), "read capture - (standard input): record at byte 60: bad capture file: packet of interface 0, but there are 0"},
	} {
		_, err := count(t, c.data)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("folder: %v", err)
	}
	// What is before the damage comes first.
	bad := append(bytes.Clone(good), edit(good, 24+8, 1<<30)[24:]...)
	if n, err := count(t, bad); n != 3 || !errors.Is(err, ErrFormat) {
		t.Errorf("damage: %d packets, %v", n, err)
	}
}

// TestMany reads several files as one, in order, the cut one too.
func TestMany(t *testing.T) {
	dir := t.TempDir()
	b := pcap(t, capturetest.Sample(100, false), WriterOptions{})
	var paths []string
	var size int64
	for name, data := range map[string][]byte{"a": b, "b": b[:len(b)-1], "c": gz(b)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		size += int64(len(data))
	}
	for _, n := range []string{"a", "b", "c"} {
		paths = append(paths, filepath.Join(dir, n))
	}
	s, err := OpenAll(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := drain(t, s, nil); n != 199 || !errors.Is(err, ErrTruncated) || !strings.Contains(err.Error(), paths[1]) {
		t.Errorf("%d packets, %v", n, err)
	}
	s.Close()
	var told error
	s, err = OpenAll(paths, Options{Truncated: func(err error) { told = err }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := drain(t, s, nil); n != 299 || err != nil || !errors.Is(told, ErrTruncated) {
		t.Errorf("%d packets, %v, told %v", n, err, told)
	}
	if read, total := s.Progress(); read != total || total != size {
		t.Errorf("read %d of %d, want %d", read, total, size)
	}
	if st := s.Stats(); st.Received != 299 || st.Link != 299 {
		t.Errorf("statistics %+v", st)
	}
	if _, err := OpenAll(append(paths, filepath.Join(dir, "none")), Options{}); err == nil {
		t.Error("a missing file shows only later")
	}
}

// fakeClock moves only when somebody sleeps.
type fakeClock struct {
	now   time.Time
	slept []time.Duration
}

func (c *fakeClock) Now() time.Time { return c.now }
func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

// TestPace: 10 packets a quarter of a second apart, twice, in one second.
func TestPace(t *testing.T) {
	b := pcap(t, capturetest.Sample(11, false), WriterOptions{})
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c := &fakeClock{now: time.Unix(1000, 0)}
	s, err := OpenAll([]string{path, path}, Options{Pace: time.Second, Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	for {
		fr, err := s.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n += len(fr)
		// Packet k of 22 is due at (k-1)/20 of a second, one later in the second file.
		k := n - 1
		if n > 11 {
			k = n - 2
		}
		if d := c.now.Sub(time.Unix(1000, 0)) - time.Duration(k)*50*time.Millisecond; d.Abs() > time.Millisecond {
			t.Errorf("packet %d is %v off", n, d)
		}
		if st := s.Stats(); st.Received != uint64(n) {
			t.Errorf("%d packets counted, %d handed out", st.Received, n)
		}
	}
	if n != 22 {
		t.Errorf("%d packets", n)
	}
	if _, err := Open("-", Options{Pace: time.Second}); err == nil {
		t.Error("standard input cannot be paced")
	}
}

// TestCancelPipe: a wait for a pipe ends with the context, and goes on after it.
func TestCancelPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := pcap(t, capturetest.Sample(2, false), WriterOptions{})
	cut := len(b) - 5
	w.Write(b[:cut])
	path := "/dev/fd/" + string(rune('0'+r.Fd()%10))
	if r.Fd() > 9 {
		t.Skip("the pipe has a number of two digits")
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Skipf("no /dev/fd here: %v", err)
	}
	defer s.Close()
	if fr, err := s.Next(t.Context()); err != nil || len(fr) != 1 {
		t.Fatalf("%d packets, %v", len(fr), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	w.Write(b[cut:])
	if fr, err := s.Next(t.Context()); err != nil || len(fr) != 1 || fr[0].Seq != 2 {
		t.Fatalf("%d packets, %v", len(fr), err)
	}
}

// TestTimes: stamps become what libpcap and Zeek make of them.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		f    iface
		t    uint64
		want packet.Time
	}{
		{iface{units: 1e6}, 1700000000123456, 1700000000 + 123456/1e6},
		{iface{units: 1e9}, 1700000000123456789, 1700000000 + 123456/1e6},
		{iface{units: 1e3, offset: -100}, 1700000100123, 1700000000 + 123000/1e6},
		{iface{units: 1}, 1700000000, 1700000000},
		{iface{units: 1 << 63}, 1<<63 + 1<<62, 1.5},
		{iface{units: 1 << 32, offset: 1700000000}, 1 << 31, 1700000000.5},
		{iface{units: 10000000000000000000}, 15000000000000000000, 1.5},
	} {
		if got := c.f.time(c.t); got != c.want {
			t.Errorf("%d of %d + %d: %v, want %v", c.t, c.f.units, c.f.offset, got, c.want)
		}
	}
	if _, ok := resolution(20); ok {
		t.Error("10^-20 does not fit")
	}
	if _, ok := resolution(0xc0); ok {
		t.Error("2^-64 does not fit")
	}
}

// TestVariants reads the odd kinds of pcap.
func TestVariants(t *testing.T) {
	fr := capturetest.Sample(4, false)
	b := pcap(t, fr, WriterOptions{})
	// Kuznetzov: eight more bytes in each record header.
	k := bytes.Clone(b[:24])
	binary.LittleEndian.PutUint32(k, magicKuznetzov)
	swapped := bytes.Clone(b)
	binary.LittleEndian.PutUint16(swapped[6:], 3)
	for at := 24; at < len(b); {
		n := int(binary.LittleEndian.Uint32(b[at+8:]))
		k = append(k, b[at:at+16]...)
		k = append(k, 1, 0, 0, 0, 8, 0, 0, 0)
		k = append(k, b[at+16:at+16+n]...)
		copy(swapped[at+8:], b[at+12:at+16])
		copy(swapped[at+12:], b[at+8:at+12])
		at += 16 + n
	}
	for name, data := range map[string][]byte{"kuznetzov": k, "swapped lengths": swapped} {
		i := 0
		s, err := Open("-", Options{Stdin: bytes.NewReader(data)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := drain(t, s, func(_ *packet.Packet, f *capture.Frame) {
			if !bytes.Equal(f.Data, fr[i].Data) || f.WireLen != fr[i].WireLen {
				t.Errorf("%s: packet %d: %d of %d bytes", name, i, len(f.Data), f.WireLen)
			}
			i++
		}); err != nil || i != 4 {
			t.Errorf("%s: %d packets, %v", name, i, err)
		}
	}
	// A netfilter log of a big-endian machine.
	nf := []byte{2, 0, 0, 0, 0, 6, 0, 1, 1, 1, 0, 0, 0, 5, 0, 9, 0x45}
	s, err := Open("-", Options{Stdin: bytes.NewReader(pcap(t, []capture.Frame{{Link: packet.LinkNFLOG, Data: nf, WireLen: len(nf)}}, WriterOptions{Big: true}))})
	if err != nil {
		t.Fatal(err)
	}
	drain(t, s, func(p *packet.Packet, f *capture.Frame) {
		if want := []byte{2, 0, 0, 0, 6, 0, 1, 0, 1, 1, 0, 0, 5, 0, 9, 0, 0x45}; !bytes.Equal(f.Data, want) {
			t.Errorf("nflog % x", f.Data)
		}
	})
}

// TestHostile reads the recorded captures cut at random places and with bits
// flipped: no panic, and no more packets than bytes allow.
func TestHostile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, path := range traces(t) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b = b[:min(len(b), 50_000)]
		for range 4 {
			d := bytes.Clone(b[:r.IntN(len(b)+1)])
			for range 1 + len(d)/200 {
				if len(d) > 0 {
					d[r.IntN(len(d))] ^= 1 << r.IntN(8)
				}
			}
			limit := len(d)/12 + 1
			if strings.HasSuffix(path, ".gz") {
				limit *= 1000
			}
			if n, _ := count(t, d); n > limit {
				t.Errorf("%s: %d packets out of %d bytes", path, n, len(d))
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	fr := capturetest.Sample(5, true)
	f.Add(pcap(f, fr, WriterOptions{}))
	f.Add(pcap(f, fr, WriterOptions{Big: true, Nano: true}))
	f.Add(ng(fr, ngOptions{res: 9, offset: 3}))
	f.Add(ng(fr, ngOptions{big: true, old: true}))
	f.Add(gz(pcap(f, fr, WriterOptions{})))
	f.Fuzz(func(t *testing.T, b []byte) {
		count(t, b)
	})
}

func BenchmarkRead(b *testing.B) {
	var fr []capture.Frame
	for range 100 {
		fr = append(fr, capturetest.Sample(500, false)...)
	}
	for name, data := range map[string][]byte{"pcap": pcap(b, fr, WriterOptions{}), "pcapng": ng(fr, ngOptions{})} {
		path := filepath.Join(b.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		for _, decode := range []bool{false, true} {
			n := name
			if decode {
				n += "+decode"
			}
			b.Run(n, func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				packets := 0
				var p packet.Packet
				for b.Loop() {
					s, err := Open(path, Options{})
					if err != nil {
						b.Fatal(err)
					}
					for {
						out, err := s.Next(context.Background())
						if err != nil {
							break
						}
						packets += len(out)
						if decode {
							for i := range out {
								packet.Decode(&p, uint16(out[i].Link), out[i].Data, out[i].WireLen)
							}
						}
					}
					s.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
			})
		}
	}
}
