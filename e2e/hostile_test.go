package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"hash/fnv"
	"io"
	"log/slog"
	rnd "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/node"
	"github.com/picket-nsm/picket/standard"
)

// Captures that are cut anywhere and have bits flipped, through all of picket
// read in this process: no panic, no hang, memory bounded, and books that settle
// whatever was read. A panic names no test; -v shows which trace it was.
func TestHostile(t *testing.T) {
	root, names := traces(t)
	start := time.Now()
	runs, biggest := 0, uint64(0)
	for i, name := range names {
		p := filepath.Join(root, name)
		whole, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(p, ".gz") { // else hardly a flip gets past gzip's checksum
			whole = unzip(t, whole)
		}
		// Each trace is cut once, an eighth of them twice and with flips too; a
		// different eighth would be no fixed test.
		rounds := Rounds(2, 8)
		if !Long() && (i%8 != 0 || len(whole) > 200_000) {
			rounds = 1
		}
		t.Run(name, func(t *testing.T) {
			h := fnv.New64a()
			h.Write([]byte(name))
			r := rnd.New(rnd.NewPCG(h.Sum64(), 1+Seed()))
			for n := range rounds {
				data := spoil(r, whole, n)
				peak := survive(t, data, 1+n%3, n)
				biggest = max(biggest, peak)
				runs++
			}
		})
	}
	t.Logf("%d captures in %s, at most %d MiB of heap", runs, time.Since(start).Round(time.Millisecond), biggest>>20)
}

// spoil cuts a capture, flips bits in it, or both.
func spoil(r *rnd.Rand, whole []byte, n int) []byte {
	data := bytes.Clone(whole)
	if len(data) == 0 {
		return data
	}
	if n%3 != 1 {
		data = data[:r.IntN(len(data))]
	}
	if n%3 != 0 && len(data) > 0 {
		// From a flip in a hundred bytes to one in ten thousand, the first kilobyte
		// spared in half of the cases so that the file header lives.
		from := 0
		if n%2 == 0 && len(data) > 2048 {
			from = 40
		}
		for range 1 + len(data)/[]int{100, 1000, 10000}[r.IntN(3)] {
			i := from + r.IntN(len(data)-from)
			data[i] ^= 1 << r.IntN(8)
		}
	}
	return data
}

// heapLimit is far above what picket read needs for these captures, and far
// below what a length taken on trust would make it take.
const heapLimit = 400 << 20

// survive reads a spoiled capture and returns how large the heap was.
func survive(t *testing.T, data []byte, workers, n int) (peak uint64) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "spoiled.pcap")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := node.ReadConfig{
		Capture: node.Capture{Files: []string{file}, Seed: "hostile", NoChecksums: n%4 != 3, Stats: true, CaptureLoss: true},
		Workers: workers, Dir: dir, Format: []string{"tsv", "json"}[n%2],
	}
	deps := node.Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Rand: rand.Reader,
		Protocols: standard.Protocols(), Formats: standard.Formats(), Codecs: standard.Codecs(),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		report, err := node.Read(context.Background(), cfg, deps)
		if report == nil {
			if err == nil {
				t.Error("no report and no error")
			}
			return
		}
		if !report.Settled || report.Remainder() != 0 {
			t.Errorf("case %d: not settled: %+v %+v (%v)", n, report.PacketTotal, report.RecordTotal, err)
		}
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	dog := time.After(time.Minute)
	for {
		select {
		case <-done:
			return max(peak, heap())
		case <-tick.C:
			if peak = max(peak, heap()); peak > heapLimit {
				t.Fatalf("case %d: the heap grew to %d MiB for %d bytes of capture", n, peak>>20, len(data))
			}
		case <-dog:
			buf := make([]byte, 1<<20)
			t.Fatalf("case %d hangs:\n%s", n, buf[:runtime.Stack(buf, true)])
		}
	}
}

func heap() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func unzip(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(io.LimitReader(z, 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
