package afpacket

import (
	"context"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/picket-nsm/picket/internal/trafficgen"
)

// threadCPU is the processor time of the calling thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// BenchmarkReceive sends b.N packets as fast as it goes and reads them: ns/op is
// the time of sender and receiver together on this machine, cpu-ns/packet the
// reader's processor time with its waits and system calls.
func BenchmarkReceive(b *testing.B) {
	n := newBench(b)
	g := n.group(b, 1, Options{})
	src := source(b, g, 0, Resume{})
	type result struct {
		packets uint64
		cpu     time.Duration
		allocs  uint64
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var r result
		start := threadCPU()
		for {
			frames, err := src.Next(context.Background())
			if err != nil {
				break
			}
			for i := range frames {
				r.packets += uint64(frames[i].Data[0]&1) | 1 // touch it
			}
		}
		r.cpu = threadCPU() - start
		done <- r
	}()
	// 64 frames over and over: the generator's time is not what is measured.
	gen := trafficgen.New(trafficgen.Config{Flows: 64})
	var frames [][]byte
	for len(frames) < 64 {
		frames = append(frames, append([]byte(nil), gen.Next()...))
	}
	s := n.sender(b)
	i := 0
	next := func() []byte {
		if i == b.N {
			return nil
		}
		i++
		return frames[i%len(frames)]
	}
	b.ResetTimer()
	b.ReportAllocs()
	if err := s.Send(context.Background(), next, 0); err != nil {
		b.Fatal(err)
	}
	src.Drain()
	r := <-done
	b.StopTimer()
	st := src.Stats()
	if r.packets+st.Dropped != uint64(b.N) {
		b.Errorf("sent %d, read %d + dropped %d", b.N, r.packets, st.Dropped)
	}
	b.ReportMetric(float64(r.cpu.Nanoseconds())/float64(r.packets), "cpu-ns/packet")
	b.ReportMetric(float64(r.packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(st.Dropped), "dropped")
}

// BenchmarkParse is the work per packet without the kernel, on a full block.
func BenchmarkParse(b *testing.B) {
	n := newBench(b)
	g := n.group(b, 1, Options{RingMiB: 1})
	send(b, n.sender(b), trafficgen.Config{Flows: 2000}, 0)
	src := source(b, g, 0, Resume{})
	frames, err := src.Next(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	block := src.held
	b.ReportAllocs()
	b.ResetTimer()
	packets := 0
	for i := 0; i < b.N; i += len(frames) {
		frames, _ = src.parse.parse(src.frames[:0], block, 0)
		packets += len(frames)
	}
	b.ReportMetric(float64(len(frames)), "packets/block")
}
