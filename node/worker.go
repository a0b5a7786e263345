package node

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/policy/builtin"
	"github.com/picket-nsm/picket/policy/builtin/captureloss"
	"github.com/picket-nsm/picket/policy/builtin/reporter"
	"github.com/picket-nsm/picket/policy/builtin/stats"
	"github.com/picket-nsm/picket/policy/builtin/weird"
	"github.com/picket-nsm/picket/traffic/capture"
	"github.com/picket-nsm/picket/traffic/files/extract"
	"github.com/picket-nsm/picket/traffic/flow"
	"github.com/picket-nsm/picket/traffic/packet"
	"github.com/picket-nsm/picket/zeek/value"
)

// worker turns the packets of one source into rows. run belongs to one
// goroutine, and so does all it calls up to the ship.
type worker struct {
	source capture.Source
	table  *flow.Table
	policy *builtin.Policy
	line   *line
	report *reporter.Log
	stats  *stats.Log       // nil: not wanted
	loss   *captureloss.Log // nil: not wanted
	once   weird.Once
	deps   *Deps
	ledger *ledger.Ledger
	count  counts
	resume resume
	guard  guard
	now    packet.Time
	live   bool // packets come as they are sent: where none come, time goes on all the same

	news  newsroom           // nil: there are no other workers
	hears func(builtin.News) // hear: a method's value is made once, and not for each packet
	lock  bool               // news of others may matter for packets of this block
	// joint is the number of the last packet at which another worker may have told
	// of connections to come.
	joint uint64
	spoke packet.Time    // until then others may tell of connections that it has told them of
	hosts [2]packet.Addr // of the packet at hand, the outermost ones
	// reached is the number of the last packet of the last block.
	reached uint64

	extract     *extract.Maker // nil: no files are written
	extractSaid bool
	due         packet.Time // of periodic

	// patience is how long the end of the input waits for answers to claims. 0:
	// until they come, as they do from a memory in this process.
	patience time.Duration
}

// resume is where an earlier life of the worker ended.
type resume struct {
	seq      uint64 // number of the last packet it took
	received uint64 // packets that it counted as received
	taken    uint64 // packets it must have taken: those that came again, or all of a socket
}

// counts are the worker's numbers in the ledger.
type counts struct {
	received, analyzed, position, bytes *ledger.Counter
	kernel, filter                      *ledger.Counter
	time, lag                           *ledger.Counter
	flows                               *ledger.Counter
	shed                                shed
}

func newCounts(l *ledger.Ledger) counts {
	return counts{
		received: l.Counter(ledger.PacketsReceived), analyzed: l.Counter(ledger.PacketsAnalyzed),
		position: l.Counter(ledger.PacketsPosition), bytes: l.Counter(ledger.BytesReceived),
		kernel: l.Counter(ledger.PacketsKernel), filter: l.Counter(ledger.PacketsFilter),
		time: l.Counter(ledger.NetworkTime), lag: l.Counter(ledger.PacketsLag),
		flows: l.Counter(ledger.FlowsOpen), shed: newShed(l),
	}
}

// poller is an extra ability of a Once whose answers come later: Poll runs the
// answers that have arrived, on the worker's goroutine.
type poller interface{ Poll() }

// clocked is an extra ability of a Once that wants to know how far each worker
// has come: it answers when all have passed a claim.
type clocked interface {
	Advance(now packet.Time)
	Finish()
}

// run reads until the source ends or ctx does, then finishes every connection
// and hands on every row. It returns the source's error if that is not its end.
func (w *worker) run(ctx context.Context) error {
	var p packet.Packet
	var err error
	for {
		var block []capture.Frame
		asked := w.deps.Now()
		if block, err = w.source.Next(ctx); err != nil {
			break
		}
		if w.live && len(block) == 0 {
			w.silent(asked)
		}
		if l, ok := w.source.(lockstepper); ok {
			w.lock = l.Lockstep()
		}
		for i := range block {
			w.frame(&p, &block[i])
		}
		if w.news != nil {
			if n := len(block); n > 0 {
				w.reached = block[n-1].Seq
			}
			w.news.Passed(w.reached, w.hears)
		}
		w.tick()
	}
	w.missed()
	w.finish()
	if errors.Is(err, io.EOF) || ctx.Err() != nil {
		return nil
	}
	return err
}

// frame takes the next packet of the capture. The order of the counts matters
// when the process is killed: the position is noted first, so that a later life
// never analyzes a packet twice, and a packet that was received and not
// analyzed is one that this life died of.
func (w *worker) frame(p *packet.Packet, f *capture.Frame) {
	if f.Seq <= w.resume.seq {
		if !f.Skip {
			w.resume.taken++
		}
		return
	}
	w.reach(f.Time)
	if f.Skip {
		if f.Joint {
			w.joint = f.Seq
		}
		w.table.Advance(f.Time)
		return
	}
	w.count.position.Set(f.Seq)
	w.count.received.Add(1)
	decode(p, f)
	if w.news != nil {
		w.hosts = [2]packet.Addr{p.Src, p.Dst}
		w.news.At(f.Seq, f.Time, w.upTo(p, f), w.hears)
	}
	for ok := true; ok; ok = p.Next() { // one, but for aggregated wireless frames
		w.table.Packet(p)
	}
	w.count.analyzed.Add(1)
}

// upTo is the packet up to which nothing that other workers told may be missing now:
// for one of a connection that told of others, whatever became of those; for one
// that begins, the last that may have told of it.
func (w *worker) upTo(p *packet.Packet, f *capture.Frame) uint64 {
	switch {
	case !w.lock:
	case f.Joint && f.Time < w.spoke && concludes(p):
		return f.Seq - 1
	case begins(p):
		return w.joint
	}
	return 0
}

// spokeFor is for how many seconds others may have something to say of what they
// were told.
const spokeFor = 600

// tell passes news on. Where workers share a capture, by pairs of hosts, a connection
// to come between the two of the packet at hand is our own, and nobody need know.
func (w *worker) tell(n builtin.News) {
	if a, b, ok := n.Between(); ok && w.lock {
		if h := w.hosts; h == [2]packet.Addr{a, b} || h == [2]packet.Addr{b, a} {
			return
		}
		w.spoke = n.At + spokeFor
	}
	w.news.Tell(n)
}

// reach moves network time on.
func (w *worker) reach(t packet.Time) {
	if t <= w.now {
		return
	}
	w.now = t
	if w.now >= w.due {
		w.periodic()
	}
}

// inFlight is how long a packet may take from its time stamp to us at the most, so
// that the time of silence does not overtake it: several times what the ring holds
// a block that is not full.
const inFlight = 0.1

// silent is called when there was no packet at that time, as the source knows: the
// connections of an interface that has fallen silent end when their time is up, and
// not with the next packet, which may be hours away.
func (w *worker) silent(asked time.Time) {
	now := packet.Time(float64(asked.UnixMicro())/1e6 - inFlight)
	if now > w.now {
		w.reach(now)
		w.table.Advance(now)
	}
}

// lockstepper is an extra ability of a source that is shared in one process: it
// says whether the workers should go through the last block in step.
type lockstepper interface{ Lockstep() bool }

// hear takes what another worker tells.
func (w *worker) hear(n builtin.News) { w.policy.Hear(n, w.table) }

// missed counts the packet that an earlier life had taken and not counted yet
// when it was killed: it was read and never analyzed.
func (w *worker) missed() {
	if w.resume.taken > w.resume.received {
		w.count.received.Add(w.resume.taken - w.resume.received)
	}
	w.resume.taken = 0
}

// tick does what must happen every block or tenth of a second.
func (w *worker) tick() {
	s := w.source.Stats()
	w.count.bytes.Set(s.Bytes)
	w.count.kernel.Set(s.Dropped)
	w.count.filter.Set(s.Filtered)
	w.count.time.Set(uint64(w.now * 1e6))
	if w.live && w.now > 0 {
		w.count.lag.Set(uint64(w.lag() * 1e6))
	}
	t := w.table.Stats()
	if n := w.guard.shed(t.Active); n > 0 {
		w.table.Shed(n)
		t = w.table.Stats()
	}
	w.count.flows.Set(uint64(t.Active))
	w.count.shed.note(t)
	if c, ok := w.once.(clocked); ok {
		c.Advance(w.now)
	}
	w.answers()
	w.extracted()
	w.line.batcher.Tick(w.deps.Now())
}

// periodic lets the logs that go by packet time see it, each second of it.
func (w *worker) periodic() {
	w.due = w.now + 1
	w.policy.Advance(w.now)
	if w.stats != nil {
		w.stats.Advance(w.now)
	}
	if w.loss != nil {
		w.loss.Advance(w.now)
	}
}

// answers runs what the cluster has answered to claims.
func (w *worker) answers() {
	if p, ok := w.once.(poller); ok {
		p.Poll()
	}
}

// finish ends all connections, waits for the cluster's answers, and hands on
// all rows.
func (w *worker) finish() {
	if w.news != nil {
		w.news.Finish(w.hear)
	}
	w.table.Finish()
	w.policy.Files.Finish(w.now)
	if w.stats != nil {
		w.stats.Finish(w.now)
	}
	if w.loss != nil {
		w.loss.Finish(w.now)
	}
	w.tick()
	if c, ok := w.once.(clocked); ok {
		c.Finish()
	}
	end := w.deps.Now().Add(w.patience)
	for w.policy.Waiting() > 0 && (w.patience == 0 || w.deps.Now().Before(end)) {
		w.answers()
		time.Sleep(time.Millisecond)
	}
	w.policy.Close()
	w.line.batcher.Flush()
}

// lag is how many seconds a live worker is behind; what is still on its way where
// an interface is silent is not.
func (w *worker) lag() float64 {
	return max(0, float64(w.deps.Now().UnixMicro())/1e6-float64(w.now))
}

// statCounts gives stats.log its numbers.
func (w *worker) statCounts() stats.Counts {
	s, t := w.source.Stats(), w.table.Stats()
	tcp, udp, icmp := t.ByProto[value.ProtoTCP], t.ByProto[value.ProtoUDP], t.ByProto[value.ProtoICMP]
	return stats.Counts{
		TCP: tcp.Conns, UDP: udp.Conns, ICMP: icmp.Conns,
		ActiveTCP: uint64(tcp.Active), ActiveUDP: uint64(udp.Active), ActiveICMP: uint64(icmp.Active),
		Timers:  t.TimersSet,
		Packets: w.count.analyzed.Load(), Bytes: s.Bytes, Dropped: s.Dropped, Link: s.Link, Filtered: s.Filtered,
		ActiveTimers: uint64(t.Timers), ReassemTCP: uint64(t.ReassemblyBytes), ReassemFrag: uint64(t.FragBytes),
		MemoryMB: memoryMB(),
		Lag:      w.lag(),
	}
}

// ackCounts gives capture_loss.log its numbers.
func (w *worker) ackCounts() (acks, gaps uint64) {
	s := w.table.Stats()
	return s.AckEvents, s.GapEvents
}
