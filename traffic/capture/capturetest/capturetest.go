// Package capturetest is the kit that every capture driver passes, and helpers
// for those who use one.
//
// It is only for tests. Run checks what package capture promises; Packets is a
// source over packets in memory, Poison one that destroys each block when the
// next is asked for.
package capturetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/traffic/packet/packettest"
)

// Harness makes the source under test hand out the given packets. Their Seq is
// not set.
type Harness func(t testing.TB, frames []capture.Frame) capture.Source

// Features says what a driver can do.
type Features struct {
	Links  bool // several link types in one source
	Copies bool // allocates for packets; only for sources that are themselves for tests
	Live   bool // has no end, no times of its own and may add packets; not for files
}

// Run checks the source that the harness makes.
func Run(t *testing.T, h Harness, feat Features) {
	t.Run("packets", func(t *testing.T) { testPackets(t, h, feat) })
	t.Run("none", func(t *testing.T) { testNone(t, h, feat) })
	t.Run("close", func(t *testing.T) { testClose(t, h) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, h) })
	t.Run("allocations", func(t *testing.T) { testAllocs(t, h, feat) })
}

// Sample makes n packets of many flows, in time order, some of them cut by the
// snap length, of one link type or several.
func Sample(n int, links bool) []capture.Frame {
	fr := make([]capture.Frame, n)
	for i := range fr {
		h := packettest.IP{Src: fmt.Sprintf("10.1.%d.%d", i/7%200, i%7), Dst: fmt.Sprintf("192.0.2.%d", i%5), Proto: packet.UDP}
		if i%2 == 1 {
			h.Src, h.Dst = h.Dst, h.Src
		}
		ip := packettest.IPv4(h, packettest.UDP(uint16(i), 53, bytes.Repeat([]byte{byte(i)}, i*i%1400)))
		f := &fr[i]
		f.Time = packet.Time(1700000000 + float64(i)*0.25)
		f.Link = packet.LinkEthernet
		f.Data = packettest.Ether(0x0800, ip)
		switch {
		case links && i%3 == 1:
			f.Link, f.Data = packet.LinkRaw, ip
		case i%11 == 5:
			f.Data = packettest.Ether(0x0806, make([]byte, 28))
		}
		f.WireLen = len(f.Data)
		if i%5 == 3 {
			f.Data = f.Data[:len(f.Data)*2/3]
		}
	}
	return fr
}

func testPackets(t *testing.T, h Harness, feat Features) {
	want := Sample(5000, feat.Links)
	if feat.Live { // nobody cuts packets on a wire
		for i := range want {
			want[i].Data = want[i].Data[:want[i].WireLen]
		}
	}
	src := h(t, want)
	defer src.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var n int
	var size uint64
	for n < len(want) {
		fr, err := src.Next(ctx)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", n, len(want), err)
		}
		if len(fr) == 0 && !feat.Live {
			t.Fatal("an empty block")
		}
		for i := range fr {
			f := &fr[i]
			if n == len(want) {
				t.Fatalf("more than %d packets", n)
			}
			w := &want[n]
			if f.Skip {
				t.Fatalf("packet %d is to be skipped", n)
			}
			n++
			if f.Seq != uint64(n) {
				t.Fatalf("packet %d has number %d", n, f.Seq)
			}
			if f.Link != w.Link || f.WireLen != w.WireLen || !bytes.Equal(f.Data, w.Data) {
				t.Fatalf("packet %d: link %d, %d of %d bytes; want %d, %d of %d", n, f.Link, len(f.Data), f.WireLen, w.Link, len(w.Data), w.WireLen)
			}
			if !feat.Live && math.Abs(float64(f.Time-w.Time)) > 1e-6 {
				t.Fatalf("packet %d: time %v, want %v", n, f.Time, w.Time)
			}
			size += uint64(len(f.Data))
		}
		// Statistics are about what was handed out.
		if st := src.Stats(); !feat.Live && (st.Received != uint64(n) || st.Bytes != size || st.Dropped != 0) {
			t.Fatalf("statistics %+v after %d packets of %d bytes", st, n, size)
		}
		// What was handed out is the worker's: the source must not need it.
		poison(fr)
	}
	if feat.Live {
		return
	}
	for range 2 {
		if fr, err := src.Next(ctx); len(fr) != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("at the end: %d packets, %v", len(fr), err)
		}
	}
}

// poison destroys a block and its bytes.
func poison(fr []capture.Frame) {
	for i := range fr {
		d := fr[i].Data
		for k := range d {
			d[k] = 0xa5
		}
		// The room behind a packet belongs to the next one.
		if cap(d) > len(d) {
			_ = append(d, 0xa5)
		}
		fr[i] = capture.Frame{Time: -1, Seq: math.MaxUint64}
	}
}

func testNone(t *testing.T, h Harness, feat Features) {
	if feat.Live {
		t.Skip("a live source has no end")
	}
	src := h(t, nil)
	defer src.Close()
	if fr, err := src.Next(t.Context()); len(fr) != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("%d packets, %v", len(fr), err)
	}
	if st := src.Stats(); st.Received != 0 {
		t.Errorf("statistics %+v", st)
	}
}

// testClose closes in the middle: Next says so and does not wait.
func testClose(t *testing.T, h Harness) {
	src := h(t, Sample(5000, false))
	if _, err := src.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if fr, err := src.Next(t.Context()); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("after close: %d packets, %v", len(fr), err)
	}
	if err := src.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	src.Stats()
}

func testCancel(t *testing.T, h Harness) {
	src := h(t, Sample(10, false))
	defer src.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if fr, err := src.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%d packets, %v", len(fr), err)
	}
	// A call that was given up loses nothing.
	if fr, err := src.Next(t.Context()); err != nil || len(fr) == 0 || fr[0].Seq != 1 {
		t.Errorf("afterwards: %d packets, %v", len(fr), err)
	}
}

// testAllocs checks that packets cost no allocation, only blocks may.
func testAllocs(t *testing.T, h Harness, feat Features) {
	if feat.Live || feat.Copies {
		t.Skip("a live source waits, a test source copies")
	}
	const n = 20000
	sample := Sample(500, false)
	all := make([]capture.Frame, 0, n)
	for len(all) < n {
		all = append(all, sample...)
	}
	src := h(t, all)
	defer src.Close()
	if _, err := src.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(1, func() {
		for range 3 {
			src.Next(t.Context())
		}
	})
	if got > 100 {
		t.Errorf("%v allocations for a few blocks", got)
	}
}
