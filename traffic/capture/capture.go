// Package capture is the contract for where packets come from: a capture file
// or a network interface.
//
// A driver hands out blocks of packets; the worker that called Next owns them
// until it calls again. Drivers are pcapfile and afpacket; share wraps any of
// them and keeps a worker's share.
package capture

import (
	"context"

	"github.com/picket-nsm/picket/traffic/packet"
)

// LinkType is a link-layer type as capture files number it (LINKTYPE_...).
type LinkType uint16

// Frame is one captured packet, not decoded yet.
type Frame struct {
	Time    packet.Time
	Seq     uint64 // number in the source, from 1
	Data    []byte // captured bytes; borrowed
	WireLen int
	Link    LinkType
	Skip    bool // another worker's: it only moves the clock
	Joint   bool // what other workers do may depend on it; share says so

	// NoChecksum says that checksums were left to a network card and are not in
	// the packet yet; nobody may judge them.
	NoChecksum bool
}

// Stats counts what a source has seen since it was opened.
type Stats struct {
	Received uint64 // packets handed out, skipped ones left out
	Bytes    uint64 // their captured bytes
	Dropped  uint64 // packets the kernel dropped before we saw them
	Filtered uint64 // packets a filter or a damaged record kept from us, where known
	Link     uint64 // packets the kernel saw on the link, where known, else Received
}

// Source is a place packets come from. One goroutine uses it; Stats may be
// called from any. A source never retries by itself: an error that is not
// io.EOF ends it.
type Source interface {
	// Next returns the next block of packets in the order they were captured;
	// it waits for at least one packet, except that a live source returns an
	// empty block now and then so that timers run. The block and its bytes are
	// valid until the next call. At the end it returns io.EOF; when ctx ends,
	// its error.
	Next(ctx context.Context) ([]Frame, error)
	Stats() Stats
	Close() error
}

// Lender is an extra ability of a Source, asked for once: Lend gives the bytes
// of the block that Next returned last to the caller, who so may keep the block,
// and takes spare bytes, of an earlier Lend or nil, to go on with. nil: not this
// time, copy the block. Called at most once per block, from the goroutine of Next.
type Lender interface {
	Lend(spare []byte) (bytes []byte)
}
