package share

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/capture/capturetest"
)

func TestKit(t *testing.T) {
	capturetest.Run(t, func(t testing.TB, fr []capture.Frame) capture.Source {
		shares, run := Split(capturetest.Packets(fr, 300), 1, nil)
		done := make(chan struct{})
		go func() { defer close(done); run(context.Background()) }()
		t.Cleanup(func() { shares[0].Close(); <-done })
		return shares[0]
	}, capturetest.Features{Links: true, Copies: true})
}

// read reads a source to its end and lists the numbers of its own packets.
func read(src capture.Source) (own []uint64, all int, err error) {
	for {
		fr, err := src.Next(context.Background())
		if err != nil {
			return own, all, err
		}
		for i := range fr {
			all++
			if fr[i].Seq != uint64(all) {
				return own, all, fmt.Errorf("packet %d has number %d", all, fr[i].Seq)
			}
			if !fr[i].Skip {
				own = append(own, fr[i].Seq)
			}
		}
	}
}

// TestSameShares: a source of one's own and a split one give the same shares,
// every packet has one owner, and statistics add up.
func TestSameShares(t *testing.T) {
	sample := capturetest.Sample(3000, true)
	for _, n := range []int{1, 2, 3, 5} {
		shares, run := Split(capturetest.Poison(capturetest.Packets(sample, 70)), n, nil)
		got := make([][]uint64, n)
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				var all int
				got[i], all, errs[i] = read(shares[i])
				if all != len(sample) {
					t.Errorf("share %d saw %d packets", i, all)
				}
			})
		}
		if err := run(context.Background()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		var sum []uint64
		var st uint64
		for i := range n {
			if !errors.Is(errs[i], io.EOF) {
				t.Fatal(errs[i])
			}
			own, _, err := read(Only(capturetest.Poison(capturetest.Packets(sample, 111)), i, n))
			if !errors.Is(err, io.EOF) || !slices.Equal(own, got[i]) {
				t.Errorf("share %d of %d differs: %d and %d packets, %v", i, n, len(own), len(got[i]), err)
			}
			sum = append(sum, own...)
			s := shares[i].Stats()
			if s.Received != uint64(len(own)) {
				t.Errorf("share %d counts %d packets of %d", i, s.Received, len(own))
			}
			st += s.Bytes
		}
		slices.Sort(sum)
		if len(sum) != len(sample) || len(slices.Compact(sum)) != len(sample) {
			t.Errorf("%d shares: %d packets, %d different", n, len(sum), len(slices.Compact(sum)))
		}
		var size uint64
		for i := range sample {
			size += uint64(len(sample[i].Data))
		}
		if st != size {
			t.Errorf("%d shares count %d bytes of %d", n, st, size)
		}
	}
}

// TestOneStops: a share that closes, or never reads, does not change what the
// others get; one that only waits holds the reader back.
func TestOneStops(t *testing.T) {
	sample := capturetest.Sample(3000, false)
	shares, run := Split(capturetest.Packets(sample, 50), 3, nil)
	done := make(chan error, 1)
	go func() { done <- run(context.Background()) }()
	if _, err := shares[1].Next(context.Background()); err != nil {
		t.Fatal(err)
	}
	shares[1].Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, all, err := read(shares[0]); all != len(sample) || !errors.Is(err, io.EOF) {
			t.Errorf("%d packets, %v", all, err)
		}
	})
	select {
	case err := <-done:
		t.Errorf("the reader did not wait for share 2: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	shares[2].Close()
	wg.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// failing ends with an error of its own.
type failing struct{ capture.Source }

var errBroken = errors.New("broken")

func (f failing) Next(ctx context.Context) ([]capture.Frame, error) {
	fr, err := f.Source.Next(ctx)
	if err != nil {
		err = errBroken
	}
	return fr, err
}

func TestErrorReachesAll(t *testing.T) {
	shares, run := Split(failing{capturetest.Packets(capturetest.Sample(10, false), 5)}, 4, nil)
	var wg sync.WaitGroup
	for _, s := range shares {
		wg.Go(func() {
			if _, _, err := read(s); !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
			if _, err := s.Next(context.Background()); !errors.Is(err, errBroken) {
				t.Errorf("again: got %v", err)
			}
		})
	}
	if err := run(context.Background()); !errors.Is(err, errBroken) {
		t.Errorf("run: %v", err)
	}
	wg.Wait()
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	shares, run := Split(capturetest.Packets(capturetest.Sample(1000, false), 1), 2, nil)
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("run: %v", err)
	}
	for _, s := range shares {
		if _, _, err := read(s); !errors.Is(err, context.Canceled) {
			t.Errorf("share: %v", err)
		}
	}
}

func TestAllClosed(t *testing.T) {
	shares, run := Split(capturetest.Packets(capturetest.Sample(1000, false), 1), 2, nil)
	done := make(chan error, 1)
	go func() { done <- run(context.Background()) }()
	shares[0].Close()
	shares[1].Close()
	<-done
}

func BenchmarkOnly(b *testing.B) {
	sample := capturetest.Sample(1000, false)
	src := &again{fr: sample}
	o := Only(src, 1, 4)
	b.ReportAllocs()
	for b.Loop() {
		o.Next(context.Background())
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(sample)), "ns/packet")
}

// again hands out the same block for ever.
type again struct {
	capture.Source
	fr, out []capture.Frame
}

func (a *again) Next(context.Context) ([]capture.Frame, error) {
	a.out = append(a.out[:0], a.fr...)
	return a.out, nil
}
