// Package share lets several workers read one capture: each sees every packet,
// keeps those of its share of the address pairs and lets the others only move
// its clock.
//
// It stands between a capture driver and the workers. Only wraps a source that
// a worker has for itself; Split reads one source for all. Both give the same
// shares. It owns the blocks it copies; it never changes, drops or reorders a
// packet.
//
// The pair is that of the outermost IP header, whichever way round, so both
// directions, fragments and ICMP errors between two hosts meet in one worker.
// An ICMP error of a router is the router's pair, as Zeek's connections are.
package share

import (
	"context"
	"sync/atomic"

	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/packet"
)

// counts are a share's own statistics.
type counts struct {
	packets, bytes atomic.Uint64
}

// Only is share i of n (0 ... n-1) of a source: frames of other shares come
// with Skip set. Stats counts the own ones; what the source dropped or filtered
// is counted by share 0, so that the shares add up. Close closes the source.
func Only(src capture.Source, i, n int) capture.Source {
	if n <= 1 {
		return src
	}
	return &only{src: src, i: i, n: n}
}

type only struct {
	src  capture.Source
	i, n int
	p    packet.Packet
	counts
}

// Next marks the frames of the source's next block.
func (o *only) Next(ctx context.Context) ([]capture.Frame, error) {
	fr, err := o.src.Next(ctx)
	var n, b uint64
	for k := range fr {
		f := &fr[k]
		if f.Skip {
			continue
		}
		if packet.ShareOf(&o.p, uint16(f.Link), f.Data, f.WireLen, o.n) != o.i {
			f.Skip = true
			continue
		}
		n++
		b += uint64(len(f.Data))
	}
	o.packets.Add(n)
	o.bytes.Add(b)
	return fr, err
}

// Stats counts the own packets.
func (o *only) Stats() capture.Stats {
	return o.stats(o.src, o.i)
}

// stats are a share's; share 0 answers for what no share has seen.
func (c *counts) stats(src capture.Source, i int) capture.Stats {
	s := capture.Stats{Received: c.packets.Load(), Bytes: c.bytes.Load()}
	s.Link = s.Received
	if i == 0 {
		all := src.Stats()
		s.Dropped, s.Filtered = all.Dropped, all.Filtered
		if all.Link > all.Received {
			s.Link += all.Link - all.Received
		}
	}
	return s
}

func (o *only) Close() error { return o.src.Close() }
