// Package afpacket is the capture driver for network interfaces on Linux: an
// AF_PACKET socket with a TPACKET_V3 ring, written by hand on the kernel's
// interface (linux/if_packet.h, Documentation/networking/packet_mmap.rst).
//
// It stands at the start of the data path and hands whole ring blocks to the
// worker. A Group, which belongs to the supervisor, owns the sockets of an
// interface: fanout membership, rings and drop counters live as long as the
// group, and a worker only maps the ring of the descriptor it was given. A
// Source owns the mapping and its place in the ring. The package never decodes
// a packet, never starts a goroutine and never retries.
package afpacket

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/bpf"

	"github.com/picket-nsm/picket/traffic/capture"
)

// DefaultRingMiB is the size of a worker's ring where none is set.
const DefaultRingMiB = 32

// Kinds of errors, to be asked for with errors.Is.
var (
	ErrNoInterface = errors.New("no such interface")
	ErrDown        = errors.New("interface is down")
	ErrGone        = errors.New("interface has disappeared")
	ErrPermission  = errors.New("not permitted to capture")
	ErrBusy        = errors.New("ring is being read by another process")
	ErrLost        = errors.New("capture socket is lost")
)

// Options say how to capture. The zero value is a good default.
type Options struct {
	RingMiB   int                  // ring of each socket in MiB; 0: DefaultRingMiB
	NoPromisc bool                 // leave the interface out of promiscuous mode
	Balance   Balance              // how a group spreads packets; empty: ByFlow
	Filter    []bpf.RawInstruction // classic BPF program over the link layer; nil: every packet
	// Share is for processes without a supervisor: those that capture the same
	// interface under the same name share its packets, by flow. The group is made
	// by the first and ends with the last; flows move when one comes or goes.
	// Empty: a group that nobody else can join.
	Share string
}

// Balance says which packets of a group go to the same socket.
type Balance string

const (
	// ByFlow spreads by addresses, protocol and ports, both directions alike.
	// The kernel puts IPv4 fragments together first; IPv6 fragments are spread
	// by addresses and protocol.
	ByFlow Balance = "flow"
	// ByHosts spreads by the pair of addresses, so that fragments of both IP
	// versions, data channels and most ICMP errors stay with their flow. The
	// kernel does not touch fragments. Two hosts that talk a lot load one worker.
	ByHosts Balance = "hosts"
)

// Ring describes the ring behind a descriptor: what a process that inherited it
// must know to map it. It crosses process boundaries as JSON.
type Ring struct {
	Interface string           `json:"interface"`
	BlockSize int              `json:"block_size"` // bytes
	Blocks    int              `json:"blocks"`
	Link      capture.LinkType `json:"link"`
	Loopback  bool             `json:"loopback,omitempty"` // each packet passes twice, the outgoing copy is left out
}

// Resume says what earlier lives of a worker have accounted for. The zero value
// is for the first life.
type Resume struct {
	Seq     uint64 // Frame.Seq of the last packet that is in the ledger; packets up to it do not come again
	Dropped uint64 // kernel drops that are in the ledger; Stats().Dropped leaves them out
}

// Holder is a process that has a capture socket, and under which descriptor.
type Holder struct {
	PID, FD int
}

// Totals are the counters of a ring since it was created, over all lives of
// its readers.
type Totals struct {
	Packets uint64 // packets the kernel had for this ring: put in or dropped
	Dropped uint64 // packets dropped because the ring was full
	Freezes uint64 // times the ring ran full
	Unread  uint64 // packets in the ring that no reader has released
}

// Finding is one result of Check.
type Finding struct {
	Level Level
	Text  string // what was found; for Warn and Fail also what to do
}

// Level says how bad a finding is.
type Level string

// Levels of findings. Fail: capture will not work. Warn: it works, with less
// than the best result.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Name strips the prefix of a packet source name: af_packet::eth0 and eth0 are
// the same. Another prefix is an error.
func Name(source string) (string, error) {
	prefix, name, found := strings.Cut(source, "::")
	if !found {
		return source, nil
	}
	if prefix != "af_packet" {
		return "", fmt.Errorf("capture %s: unknown packet source %q, have af_packet", source, prefix)
	}
	return name, nil
}
