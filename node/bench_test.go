package node_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/picket-nsm/picket/node"
)

// BenchmarkRead reads the capture that PICKET_BENCH names (made by
// ../shared/tools/bench-mix) with one worker: the CPU profile of the data path.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("W%d", n), func(b *testing.B) { benchmarkRead(b, n) })
	}
}

func benchmarkRead(b *testing.B, workers int) {
	file := os.Getenv("PICKET_BENCH")
	if file == "" {
		b.Skip("needs PICKET_BENCH, a capture file")
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	var packets uint64
	for b.Loop() {
		r, err := node.Read(context.Background(), node.ReadConfig{
			Capture: node.Capture{Files: []string{file}, NoChecksums: true, Seed: "bench"}, Workers: workers, Dir: b.TempDir(), Format: "tsv",
		}, deps())
		if err != nil {
			b.Fatal(err)
		}
		packets += r.PacketTotal.Written
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(packets), "ns/packet")
}
