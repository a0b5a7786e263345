package flow

import (
	"slices"

	"github.com/picket-nsm/picket/internal/freelist"
	"github.com/picket-nsm/picket/traffic/analyzer"
	"github.com/picket-nsm/picket/traffic/packet"
)

// conn is one connection in the slab. Ends are numbered by their place in the
// key (0 lo, 1 hi), which never changes; orig says which of them is the
// originator, so turning a connection round costs one bit.
type conn struct {
	key         key
	start, last packet.Time
	seq         uint64 // number of the first packet
	pkts        [2]uint64
	ipBytes     [2]uint64
	length      [2]int64 // UDP, ICMP: payload bytes of originator and responder; below 0: nothing yet
	missed      uint64
	silence     packet.Time // how long it may be silent
	silentAt    packet.Time // the deadline in the clock that counts
	session     packet.Time // an analyzer's session timeout, 0 for none
	hash        uint32
	gen         uint32
	tcp         uint32 // slot of the TCP part
	side        uint32 // slot in the side table
	det         uint32 // slot of what was seen while signatures are matched
	histSeen    uint32
	badSums     [2]uint32 // by end; UDP: of originator and responder
	timers      uint16    // entries in the clock
	orig        uint8
	epoch       uint8 // of TCP timers
	flags       connFlags
	histLen     uint8
	hist        [30]byte
}

type connFlags uint16

const (
	flagLive      connFlags = 1 << iota
	flagSame                // both ends are the same
	flagWeird               // something odd was reported about it
	flagAnalyzers           // somebody wants data
	flagLongHist            // the history continues in the side table
	flagDetect              // signatures are matched
	flagInside              // it was seen in a tunnel
	flagPort                // the analyzers of its responder port come with its first bytes
	flagPortHi              // that responder was the hi end
)

// end returns which end sent a packet whose source is the hi end or not.
func (c *conn) end(srcHi bool) uint8 {
	if c.flags&flagSame != 0 {
		return c.orig
	}
	if srcHi {
		return 1
	}
	return 0
}

// engine is what a Table needs beside its public face.
type engine struct {
	secret [4]uint64
	uidKey sipKey
	local  subnets
	conns  slab[conn]
	tcps   slab[tcpConn]
	sides  slab[side]
	index  index
	clock  clock
	frags  fragments
	tunnels
	hand    uint32 // where the search for a silent connection goes on
	gens    uint32
	cur     Conn // the connection of the packet at hand
	gone    Conn // the connection being removed
	closing bool // at the end of input
	follow  *analyzer.Deadline
	uid     uidCache
	text    []byte // scratch for a weird's text or a service list
	bufs    freelist.List[[]byte]

	detector
	expected expected
	failures FailureHandler // nil: nobody asked
	expects  ExpectHandler  // nil: nobody asked
}

// choices says which analyzers a responder port gets and which ports are
// likely servers'.
type choices struct {
	tcp, udp map[uint16][]int
	byName   map[string]int
	list     []analyzer.Factory
	servers  [2]portSet // TCP, UDP
}

func newTable(cfg Config, h Handler, factories []analyzer.Factory) *Table {
	if len(cfg.Key) < 16 {
		panic("flow: Config.Key needs 16 bytes or more")
	}
	cfg.Limits.fill()
	cfg.Timeouts.fill()
	cfg.Detection.fill()
	t := &Table{cfg: cfg, h: h, now: 1} // where Zeek's clock starts
	t.uidKey = newSipKey(cfg.Key)
	for i := range t.secret {
		t.secret[i] = t.uidKey.sum([]uint64{uint64(i), uint64(len(cfg.Key))})
	}
	t.local = newSubnets(cfg.LocalNets)
	t.index.init()
	t.frags.init()
	t.bufs = freelist.New[[]byte](maxSpare)
	t.pairs.byHosts = map[hosts]uint32{}
	t.tunnels.handler, _ = h.(TunnelHandler)
	t.choices.fill(factories)
	t.detector.fill(factories)
	t.failures, _ = h.(FailureHandler)
	t.expects, _ = h.(ExpectHandler)
	t.cur.t, t.gone.t = t, t
	t.follow = &analyzer.Deadline{At: analyzer.Never}
	return t
}

// fill sets what must not be zero: without a pause between checks the clock
// would stand still.
func (w *Timeouts) fill() {
	d := Default().Timeouts
	if !(w.TCPSYN > 0) {
		w.TCPSYN = d.TCPSYN
	}
	if !(w.TCPSession > 0) {
		w.TCPSession = d.TCPSession
	}
}

func (n *Detection) fill() {
	d := Default().Detection
	if n.BufferSize <= 0 {
		n.BufferSize = d.BufferSize
	}
	n.BufferSize = min(n.BufferSize, 1<<20)
	if n.MaxChunks <= 0 || n.MaxChunks > d.MaxChunks {
		n.MaxChunks = d.MaxChunks
	}
}

func (l *Limits) fill() {
	d := Default().Limits
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set(&l.Conns, d.Conns)
	set(&l.ReassemblyPerConn, d.ReassemblyPerConn)
	set(&l.ReassemblyTotal, d.ReassemblyTotal)
	set(&l.Segments, d.Segments)
	set(&l.FragDatagrams, d.FragDatagrams)
	set(&l.FragTotal, d.FragTotal)
	set(&l.TunnelPairs, d.TunnelPairs)
	set(&l.History, d.History)
	set(&l.Analyzers, d.Analyzers)
	set(&l.Expected, d.Expected)
	set(&l.DetectTotal, d.DetectTotal)
	if l.StormThreshold == 0 {
		l.StormThreshold = d.StormThreshold
	}
}

func (ch *choices) fill(factories []analyzer.Factory) {
	ch.tcp, ch.udp, ch.byName = map[uint16][]int{}, map[uint16][]int{}, map[string]int{}
	ch.list = factories
	for i := range factories {
		ch.byName[factories[i].Name] = i
		for _, p := range factories[i].Ports {
			if p.Proto == transport(packet.TCP) {
				ch.tcp[p.Num] = append(ch.tcp[p.Num], i)
			} else if p.Proto == transport(packet.UDP) {
				ch.udp[p.Num] = append(ch.udp[p.Num], i)
			}
		}
	}
	for _, p := range serverPortsTCP {
		ch.servers[0].add(p)
	}
	for _, p := range serverPortsUDP {
		ch.servers[1].add(p)
	}
}

// find returns the connection of a key, or nil.
func (t *Table) find(k *key) (uint32, *conn, uint32) {
	h := k.hash(&t.secret)
	slot := t.index.find(&t.conns, k, h)
	if slot == 0 {
		return 0, nil, h
	}
	return slot, t.conns.get(slot), h
}

// create adds a connection for the packet p. flip says that its sender is the
// responder.
func (t *Table) create(k *key, h uint32, srcHi, flip bool, p *packet.Packet, silence float64) (uint32, *conn) {
	if t.stats.Active >= t.cfg.Limits.Conns {
		t.evict()
	}
	slot := t.conns.alloc()
	c := t.conns.get(slot)
	if t.gens++; t.gens == 0 {
		t.gens = 1
	}
	*c = conn{
		key: *k, hash: h, gen: t.gens, start: p.Time, last: p.Time, seq: p.Seq, length: [2]int64{-1, -1},
		flags: flagLive,
	}
	if srcHi {
		c.orig = 1
	}
	if k.sameEnds() {
		c.flags |= flagSame
	}
	t.index.insert(h, slot)
	t.stats.Conns++
	t.stats.Active++
	t.stats.MaxActive = max(t.stats.MaxActive, t.stats.Active)
	by := &t.stats.ByProto[transport(k.proto())]
	by.Conns++
	by.Active++
	if flip && !isBroadcast(&p.Dst) {
		t.flip(c)
	}
	t.setSilence(slot, c, packet.Time(silence))
	if t.path.n > 0 {
		t.enclose(c)
	}
	return slot, c
}

func isBroadcast(a *packet.Addr) bool {
	return a.Is4() && a[12]&a[13]&a[14]&a[15] == 0xff
}

// flip turns a connection round.
func (t *Table) flip(c *conn) {
	c.orig ^= 1
	if c.tcp != 0 {
		t.tcps.get(c.tcp).flipped()
	}
	t.addHistory(c, '^')
}

// remove ends a connection: its analyzers first, then the handler.
func (t *Table) remove(slot uint32) {
	c := t.conns.get(slot)
	t.gone.slot, t.gone.c = slot, c
	if c.side != 0 {
		s := t.sides.get(c.side)
		for i := range s.analyzers {
			t.end(&t.gone, s, uint32(i+1))
		}
	}
	t.forget(&c.det)
	t.h.ConnRemoved(&t.gone)
	t.index.remove(c.hash, slot)
	if c.side != 0 {
		t.dropSide(c)
	}
	if c.tcp != 0 {
		t.tcps.release(c.tcp)
	}
	t.clock.dead += int(c.timers)
	c.flags, c.gen, c.tcp = 0, 0, 0
	t.sweep()
	t.conns.release(slot)
	t.gone.slot, t.gone.c = 0, nil
	if t.cur.slot == slot {
		t.cur.slot, t.cur.c = 0, nil
	}
	t.stats.Active--
	t.stats.ByProto[transport(c.key.proto())].Active--
	t.stats.Removed++
}

// sweep tidies the clock when most of its entries are of slots that are gone.
func (t *Table) sweep() {
	if t.clock.dead < 1<<12 || t.clock.dead < len(t.clock.heap)/2 {
		return
	}
	t.clock.sweep(func(tm *timer) bool {
		switch tm.kind {
		case timerFrag:
			return t.frags.live(tm)
		case timerPair:
			return t.pairs.live(tm)
		}
		return t.conns.get(tm.slot).gen == tm.gen
	})
}

// evict removes the connection silent for longest among a few that a hand
// going round the slab finds. It keeps no list, so that packets need not
// maintain one.
func (t *Table) evict() {
	const look = 16
	var worst uint32
	for seen, steps := 0, 0; seen < look && steps < 1<<16; steps++ {
		t.hand++
		if t.hand > t.conns.used {
			t.hand = 1
		}
		c := t.conns.get(t.hand)
		if c.flags&flagLive == 0 {
			continue
		}
		seen++
		if worst == 0 || c.last < t.conns.get(worst).last {
			worst = t.hand
		}
	}
	if worst != 0 {
		t.stats.ShedConns++
		t.remove(worst)
	}
}

// timer sets a deadline.
func (t *Table) timer(slot uint32, c *conn, kind timerKind, at packet.Time) {
	c.timers++
	t.clock.add(timer{at: at, slot: slot, gen: c.gen, kind: kind, epoch: c.epoch})
}

// setSilence says how long a connection may be silent from its last packet on.
func (t *Table) setSilence(slot uint32, c *conn, d packet.Time) {
	if d == c.silence {
		return
	}
	c.silence = d
	if d > 0 {
		c.silentAt = c.last + d
		t.timer(slot, c, timerInactive, c.silentAt)
	}
}

// advance moves the clock, which never goes back, and fires what is due.
func (t *Table) advance(now packet.Time) {
	if now > t.now && now < maxTime {
		t.now = now
	}
	if (len(t.clock.heap) == 0 || t.clock.heap[0].at > t.now) && t.follow.At > t.now {
		return
	}
	t.pktTime = t.now
	for {
		switch due := len(t.clock.heap) > 0 && t.clock.heap[0].at <= t.now; {
		case t.follow.At <= t.now && (!due || t.follow.At < t.clock.heap[0].at):
			t.follow.Fire(t.now)
		case due:
			tm := t.clock.pop()
			t.fire(&tm)
		default:
			return
		}
	}
}

func (t *Table) fire(tm *timer) {
	switch tm.kind {
	case timerFrag:
		t.fragTimeout(tm)
		return
	case timerPair:
		t.pairTimeout(tm)
		return
	}
	slot := tm.slot
	c := t.conns.get(slot)
	if c.gen != tm.gen {
		t.clock.dead--
		return
	}
	c.timers--
	switch tm.kind {
	case timerInactive:
		if tm.at != c.silentAt || c.silence == 0 {
			return
		}
		if c.last+c.silence <= t.now {
			t.remove(slot)
			return
		}
		c.silentAt = c.last + c.silence
		t.timer(slot, c, timerInactive, c.silentAt)
	case timerSession:
		// A second less than the timeout is enough, as in Zeek: else a query and
		// its answer would need two rounds.
		if c.session == 0 {
			return
		}
		if t.now-c.last >= c.session-1 || t.closing {
			t.remove(slot)
			return
		}
		t.timer(slot, c, timerSession, t.now+c.session)
	case timerCheck, timerAttempt, timerDelete:
		if tm.epoch == c.epoch {
			t.tcpTimer(slot, c, tm.kind)
		}
	}
}

// finish fires the timers that also fire at the end, in order, then removes
// every connection in the order of keys.
func (t *Table) finish() {
	t.closing = true
	t.pktTime = t.now
	for len(t.clock.heap) > 0 {
		tm := t.clock.pop()
		if tm.kind == timerAttempt || tm.kind == timerSession {
			t.fire(&tm)
		}
	}
	if t.follow.Expire != nil {
		t.follow.Expire(t.now)
	}
	left := make([]uint32, 0, t.stats.Active)
	for slot := uint32(1); slot <= t.conns.used; slot++ {
		if t.conns.get(slot).flags&flagLive != 0 {
			left = append(left, slot)
		}
	}
	slices.SortFunc(left, func(a, b uint32) int { return t.conns.get(a).key.less(&t.conns.get(b).key) })
	for _, slot := range left {
		t.remove(slot)
	}
	t.frags.clear()
	t.pairs.clear()
	t.stats.FragBytes, t.stats.Frags, t.stats.TunnelPairs = 0, 0, 0
	t.clock.heap, t.clock.dead = t.clock.heap[:0], 0
	t.closing = false
}
