// Package flow turns packets into connections: which packets belong together,
// who started it, what state TCP is in, what came in order and what is missing,
// and when a connection is over.
//
// It stands between packet (views over bytes) and policy (rows): a worker calls
// Packet for each of its packets in order, and Table calls the analyzers chosen
// for a connection and, when one ends, its Handler. It follows Zeek 9 in what
// counts as a connection, in every column of conn.log and in the names of
// weirds; docs/rationale.md lists where it differs.
//
// # The machine
//
//   - key.go, slab.go: a flow key is the two ends in sorted order; a hand-written
//     hash table leads from it to a slot in a slab. Slab and table hold no
//     pointers, so the garbage collector does not walk a million flows. TCP
//     flows have a second slot with what only TCP needs (tcp.go).
//   - side.go: what few flows have (analyzers, service names, bytes out of
//     order, long histories) is in a side table, found by slot.
//   - tree.go, detect.go, expect.go, violation.go: the analyzers of a connection:
//     by port, by signature on its first bytes, by expectation, below others;
//     and off again.
//   - clock.go: deadlines are in a heap of plain values. A removed flow leaves
//     its entries there; they are recognised by generation and skipped. Timers
//     fire before the first packet that is not earlier than they are, whichever
//     worker owns that packet, so that rows do not depend on how many workers
//     share a capture.
//   - udp.go, icmp.go, other.go, tcp*.go: one file per transport;
//     tcp.go walks through one segment, tcpstate.go is the state machine,
//     reasm.go puts bytes in order and finds gaps.
//   - frag.go: IP fragments.
//   - tunnel.go, udptunnel.go, pairs.go: packets in packets. The path of tunnels
//     around the packet at hand is a small array; each tunnel is a connection or
//     a pair of hosts. What is inside takes the way from the IP header on again,
//     at most MaxTunnels times, and a connection keeps the path it was last seen
//     in, and its parents.
//
// A Table belongs to one goroutine, owns every flow in it and all bytes it
// buffers, and keeps no slice of a packet after Packet returns. It never reads
// a clock or a file, never starts a goroutine, and never fails on bad traffic:
// that gives a Weird and a count. Memory is bounded by Config; what is shed is
// counted by name in Stats.
package flow

import (
	"net/netip"

	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// Handler is told what a Table finds; policy implements it. It is called on the
// Table's goroutine and must not call the Table.
type Handler interface {
	// ConnRemoved says that a connection is over: all values are final and its
	// analyzers have ended. c and its strings are valid until the call returns.
	ConnRemoved(c *Conn)
	// Weird reports something odd in the traffic. Strings are borrowed.
	Weird(w Weird)
}

// Config is what a Table is told. Default has Zeek's values.
type Config struct {
	NoChecksums bool           // take packets with bad checksums for good ones (zeek -C)
	Key         []byte         // secret for UIDs and the hash table, 16 bytes or more
	LocalNets   []netip.Prefix // Site::local_nets; empty leaves local_orig and local_resp unset

	Detection Detection
	Timeouts  Timeouts
	Limits    Limits
}

// Detection is how protocols are found, and when an analyzer is taken for wrong.
type Detection struct {
	IgnorePorts      bool     // dpd_ignore_ports: no analyzer because of a port alone
	BufferSize       int      // dpd_buffer_size: bytes of a connection that signatures look at; 0: the default
	MaxChunks        int      // dpd_max_packets: in how many pieces; 0: the default, which is the most
	ViolationsUntil  uint64   // DPD::ignore_violations_after: from so many bytes on violations change nothing; 0: never
	IgnoreViolations []string // DPD::ignore_violations: names of analyzers that stay nevertheless
}

// Timeouts are in seconds of packet time; names are Zeek's. Zero switches one
// off, but TCPSYN and TCPSession cannot be: zero is the default there.
type Timeouts struct {
	TCPInactivity         float64 // tcp_inactivity_timeout
	UDPInactivity         float64 // udp_inactivity_timeout; also TCP until its handshake is over
	ICMPInactivity        float64 // icmp_inactivity_timeout
	UnknownInactivity     float64 // unknown_ip_inactivity_timeout
	InteractiveInactivity float64 // Conn::port_inactivity_timeouts: ports 21, 22, 23, 513
	TCPSYN                float64 // tcp_SYN_timeout: first check of a new connection
	TCPSession            float64 // tcp_session_timer: time between checks
	TCPLinger             float64 // tcp_connection_linger
	TCPAttempt            float64 // tcp_attempt_delay
	TCPClose              float64 // tcp_close_delay
	Frag                  float64 // frag_timeout
	IPTunnel              float64 // Tunnel::ip_tunnel_timeout
}

// Limits bound what a Table holds. Zero means the default, but for the three
// of Zeek's own (MaxInitialWindow, AboveHole, Excessive), which it switches off.
type Limits struct {
	Conns             int    // connections; the one silent for longest is removed early
	ReassemblyPerConn int    // bytes out of order that one connection may keep
	ReassemblyTotal   int    // bytes out of order that all may keep
	Segments          int    // pieces out of order per direction
	FragDatagrams     int    // datagrams waiting for fragments
	FragTotal         int    // bytes in them
	TunnelPairs       int    // hosts with tunnels of IP in IP or GRE between them
	History           int    // letters in one history
	Analyzers         int    // analyzers on one connection, those that are gone included
	Expected          int    // connections that are expected
	DetectTotal       int    // bytes kept of connections that signatures still look at
	MaxInitialWindow  uint64 // tcp_max_initial_window
	AboveHole         uint64 // tcp_max_above_hole_without_any_acks
	Excessive         uint64 // tcp_excessive_data_without_further_acks
	StormThreshold    uint32 // tcp_storm_thresh
}

// Default returns Zeek's defaults. Key must still be set.
func Default() Config {
	return Config{
		LocalNets: DefaultLocalNets(),
		Detection: Detection{BufferSize: 1024, MaxChunks: 100, ViolationsUntil: 10 * 1024},
		Timeouts: Timeouts{
			TCPInactivity: 300, UDPInactivity: 60, ICMPInactivity: 60, UnknownInactivity: 60,
			InteractiveInactivity: 3600, TCPSYN: 5, TCPSession: 6, TCPLinger: 5, TCPAttempt: 5,
			TCPClose: 5, Frag: 300, IPTunnel: 86400,
		},
		Limits: Limits{
			Conns: 2_000_000, ReassemblyPerConn: 16 << 20, ReassemblyTotal: 512 << 20, Segments: 4096,
			FragDatagrams: 16384, FragTotal: 64 << 20, TunnelPairs: 65536, History: 2048,
			Analyzers: 32, Expected: 1 << 16, DetectTotal: 128 << 20,
			MaxInitialWindow: 16384, AboveHole: 16384, Excessive: 10 << 20, StormThreshold: 1000,
		},
	}
}

// Stats counts what a Table did. Plain numbers; read them on its goroutine.
type Stats struct {
	Packets   uint64 // handed to Packet
	Conns     uint64 // connections created
	Active    int    // connections now
	MaxActive int
	Removed   uint64
	ByProto   [4]ProtoStats // by value.Proto
	Timers    int           // entries in the clock now
	TimersSet uint64        // entries put there
	Frags     int           // datagrams waiting for fragments

	ReassemblyBytes int // bytes out of order now
	FragBytes       int
	DetectBytes     int // kept of connections that signatures look at

	// How much a capture misses: ACKs of new data between established ends, and
	// those among them that acknowledged bytes we never saw.
	AckEvents, AckBytes uint64
	GapEvents, GapBytes uint64

	// What limits made us shed, by name.
	ShedConns       uint64 // connections removed early
	ShedSegments    uint64 // segments out of order not kept
	ShedFragments   uint64 // datagrams given up before their time
	ShedHistory     uint64 // history letters left out
	ShedAnalyzers   uint64 // analyzers not added
	ShedExpected    uint64 // expected connections forgotten
	ShedDetections  uint64 // connections no longer looked at
	ShedTunnels     uint64 // pairs of hosts forgotten early: their tunnel gets another UID
	DroppedIP       uint64 // packets that stopped at the IP layer (no row in any log, but perhaps a weird)
	DroppedChecksum uint64
	DroppedHeader   uint64

	Tunneled    uint64 // packets found in others
	TunnelPairs int    // hosts with tunnels of IP in IP or GRE between them now
}

// ProtoStats counts the connections of a transport.
type ProtoStats struct {
	Conns  uint64 // created
	Active int    // now
}

// Table holds a worker's connections. One goroutine.
type Table struct {
	engine
	cfg     Config
	h       Handler
	choices choices
	now     packet.Time // network time: never goes back
	pktTime packet.Time // time of the packet or timer at hand
	stats   Stats
}

// New makes a Table. It panics if cfg.Key is shorter than 16 bytes, a
// programmer's mistake.
func New(cfg Config, h Handler, factories []analyzer.Factory) *Table {
	return newTable(cfg, h, factories)
}

// Packet takes the next packet of this worker. p is borrowed.
func (t *Table) Packet(p *packet.Packet) { t.packet(p) }

// Advance moves the clock to the time of a packet of another worker.
func (t *Table) Advance(now packet.Time) { t.advance(now) }

// Follow makes another machine's deadlines fire among the Table's own, in
// order. There is room for one.
func (t *Table) Follow(d *analyzer.Deadline) { t.follow = d }

// Finish ends the input: attempts and DNS sessions time out, then every
// connection left is removed in the order of its key. The Table is empty after
// it and can be used again.
func (t *Table) Finish() { t.finish() }

// Stats returns the counters.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Timers, s.TimersSet = len(t.clock.heap), t.clock.set
	return s
}
