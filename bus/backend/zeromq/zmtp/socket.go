package zmtp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Socket is a ZeroMQ socket. Its methods may be called from any goroutine,
// before, during and after Run.
type Socket struct {
	cfg    Config
	hooks  Hooks
	chance io.Reader

	closed   atomic.Bool
	ids      atomic.Uint64
	incoming atomic.Int64
	gen      atomic.Uint64 // rises with every change of who gets what

	mu        sync.RWMutex
	listeners []net.Listener
	links     map[*link]bool // all connections; true: after the handshake
	shaking   []*link        // those that came in and are in the handshake, oldest first
	peers     []*Peer        // in the order they came
	past      Counts         // of peers that are gone
	table     trie           // PUB, XPUB: who wants what
	own       map[string]int // SUB, XSUB: what we want, and how often
	filter    trie           // SUB: the same, to look up a message's topic
	running   bool
	cut       bool // Linger is over
	redial    chan struct{}

	sendMu sync.Mutex // Refuse, Block and PUSH: one sender at a time
	turn   int        // PUSH: whose turn it is
	shared *Sender    // of Send; guarded by sharedMu
	unsent [3]atomic.Uint64

	sharedMu sync.Mutex

	waiters  atomic.Int32
	roomMu   sync.Mutex
	roomCond sync.Cond
}

// New builds a socket and starts nothing. A PUSH takes messages from now on.
func New(cfg Config, deps Deps) (*Socket, error) {
	cfg = cfg.Default()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("zmtp %s: %w", cfg.Type, err)
	}
	s := &Socket{cfg: cfg, hooks: deps.Hooks, chance: deps.Chance, links: map[*link]bool{}, own: map[string]int{}, redial: make(chan struct{})}
	if s.chance == nil {
		s.chance = rand.Reader
	}
	s.roomCond.L = &s.roomMu
	s.gen.Store(1) // a new Sender is of generation 0
	s.shared = s.Sender()
	if s.keeps() {
		for _, e := range cfg.Connect {
			s.peers = append(s.peers, s.newPeer(e, true))
		}
	}
	return s, nil
}

// keeps says whether Connect endpoints have a queue before and between connections.
func (s *Socket) keeps() bool { return s.cfg.Type == PUSH && !s.cfg.Immediate }

func (s *Socket) newPeer(endpoint string, dials bool) *Peer {
	return &Peer{id: s.ids.Add(1), endpoint: endpoint, dials: dials, keeps: dials && s.keeps(),
		max: s.cfg.Queue, maxBytes: s.cfg.QueueBytes, wake: make(chan struct{}, 1), subs: map[string]int{}}
}

// Listen opens the ports of Bind, so that what goes wrong does so before
// anything starts, and returns them with their real numbers, in Bind's order.
// Run calls it too. Whoever calls it must call Run, or Close.
func (s *Socket) Listen() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var bound []string
	if len(s.listeners) == 0 {
		for _, text := range s.cfg.Bind {
			l, err := listen(text)
			if err != nil {
				for _, l := range s.listeners {
					_ = l.Close()
				}
				s.listeners = nil
				return nil, fmt.Errorf("zmtp %s: %w", s.cfg.Type, err)
			}
			s.listeners = append(s.listeners, l)
		}
	}
	for _, l := range s.listeners {
		bound = append(bound, boundText(l.Addr()))
	}
	return bound, nil
}

func listen(text string) (net.Listener, error) {
	e, err := parseEndpoint(text, true)
	if err != nil {
		return nil, err
	}
	if e.network == "unix" {
		// A socket file that nobody answers on is left from a crash.
		if st, err := os.Lstat(e.address); err == nil && st.Mode()&os.ModeSocket != 0 {
			if c, err := net.Dial("unix", e.address); err == nil {
				_ = c.Close()
			} else {
				_ = os.Remove(e.address)
			}
		}
	}
	l, err := net.Listen(e.network, e.address)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", text, err)
	}
	return l, nil
}

// Close gives up a socket that Run was never called on.
func (s *Socket) Close() {
	s.closed.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

// Run serves until ctx ends. Then it takes no more messages, sends what is queued
// for at most Linger, and closes. It returns an error only if it cannot start. A
// socket runs once.
func (s *Socket) Run(ctx context.Context) error {
	bound, err := s.Listen()
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.running || s.closed.Load() {
		s.mu.Unlock()
		return fmt.Errorf("zmtp %s: run again: %w", s.cfg.Type, ErrClosed)
	}
	s.running = true
	kept := slices.Clone(s.peers)
	s.mu.Unlock()
	for _, b := range bound {
		s.tell(Event{Kind: Listening, Endpoint: b})
	}

	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wg sync.WaitGroup
	for i, l := range s.listeners {
		wg.Go(func() { s.accept(&wg, l, bound[i]) })
	}
	for i, text := range s.cfg.Connect {
		e, err := parseEndpoint(text, false)
		if err != nil {
			return err // cannot be: Validate has read it
		}
		var p *Peer
		if s.keeps() {
			p = kept[i]
		}
		wg.Go(func() { s.connect(ctx, hard, e, p) })
	}
	<-ctx.Done()
	s.shut()
	t := time.AfterFunc(max(s.cfg.Linger, 0), func() {
		cut()
		s.cutLinks()
	})
	defer t.Stop()
	wg.Wait()
	s.mu.Lock()
	for _, p := range s.peers {
		p.close(true)
	}
	s.mu.Unlock()
	return nil
}

// shut stops taking in connections and messages, and lets the writers finish.
func (s *Socket) shut() {
	s.closed.Store(true)
	s.mu.Lock()
	for _, l := range s.listeners {
		_ = l.Close()
	}
	for l, shaken := range s.links {
		if shaken {
			l.p.drain()
		} else {
			_ = l.conn.Close()
		}
	}
	for _, p := range s.peers {
		p.drain()
	}
	s.mu.Unlock()
	s.freed()
}

// cutLinks ends what did not drain in time.
func (s *Socket) cutLinks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for l := range s.links {
		_ = l.conn.Close()
	}
}

func (s *Socket) accept(wg *sync.WaitGroup, l net.Listener, endpoint string) {
	wait := 5 * time.Millisecond
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.closed.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors, most likely: it may pass.
			s.tell(Event{Kind: TooMany, Endpoint: endpoint, Err: err})
			time.Sleep(wait)
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		if s.incoming.Add(1) > int64(s.cfg.MaxPeers) {
			s.incoming.Add(-1)
			s.tell(Event{Kind: TooMany, Endpoint: endpoint, Remote: remoteName(conn), Err: fmt.Errorf("limit %d", s.cfg.MaxPeers)})
			_ = conn.Close()
			continue
		}
		wg.Go(func() {
			defer s.incoming.Add(-1)
			s.serve(conn, endpoint, nil)
		})
	}
}

// track notes a new connection; false: too late.
func (s *Socket) track(l *link) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut || s.closed.Load() && (l.p == nil || !l.p.keeps) {
		return false
	}
	s.links[l] = false
	if l.p == nil {
		if s.shaking = append(s.shaking, l); len(s.shaking) > s.cfg.Handshakes {
			old := s.shaking[0]
			s.shaking = slices.Delete(s.shaking, 0, 1)
			old.gaveWay = true
			_ = old.conn.Close()
		}
	}
	return true
}

// arrived takes a connection out of those in the handshake; gaveWay: it was the oldest
// of too many.
func (s *Socket) arrived(l *link) (gaveWay bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shaking = slices.DeleteFunc(s.shaking, func(o *link) bool { return o == l })
	return l.gaveWay
}

func (s *Socket) untrack(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.links, l)
	s.shaking = slices.DeleteFunc(s.shaking, func(o *link) bool { return o == l })
}

// attach makes a shaken connection part of the socket, and sends it our
// subscriptions first.
func (s *Socket) attach(l *link, remote string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() && !l.p.keeps {
		return false
	}
	_ = l.conn.SetDeadline(time.Time{})
	s.links[l] = true
	var first []byte
	if s.cfg.Type.subscribes() {
		for _, topic := range s.topics() {
			first = appendSubscription(first, true, l.now.minor >= 1, topic)
		}
	}
	l.p.open(l.now, remote, first)
	if _, all := l.now.property(s.cfg.Unfiltered); all && s.cfg.Unfiltered != "" && s.cfg.Type.publishes() {
		l.p.all = true
		s.table.add("", l.p)
	}
	if !l.p.keeps {
		s.peers = append(s.peers, l.p)
		s.gen.Add(1)
	}
	return true
}

// detach takes a peer out, with its subscriptions.
func (s *Socket) detach(p *Peer) {
	p.close(false)
	if p.keeps {
		s.freed()
		return
	}
	var removed []Subscription
	s.mu.Lock()
	s.peers = slices.DeleteFunc(s.peers, func(q *Peer) bool { return q == p })
	for _, topic := range sortedKeys(p.subs) {
		if last := s.table.remove(topic, p); last || s.cfg.Verboser {
			removed = append(removed, Subscription{Topic: topic, Refs: p.subs[topic], Gone: true})
		}
	}
	clear(p.subs)
	if p.all {
		s.table.remove("", p)
	}
	s.gen.Add(1)
	s.past.add(p.counts())
	s.mu.Unlock()
	s.freed()
	if s.hooks.Subscription != nil {
		for _, r := range removed {
			s.hooks.Subscription(p, r)
		}
	}
}

func (s *Socket) tell(e Event) {
	if s.hooks.Monitor != nil {
		s.hooks.Monitor(e)
	}
}

// freed wakes who waits for room, for a peer or for all to have left. It must
// not be called with mu held: locks are taken in the order sendMu, roomMu, mu,
// Peer.mu.
func (s *Socket) freed() {
	if s.waiters.Load() == 0 {
		return
	}
	s.roomMu.Lock()
	s.roomCond.Broadcast()
	s.roomMu.Unlock()
}

// await blocks until ready says yes.
func (s *Socket) await(ready func() bool) {
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	s.roomMu.Lock()
	defer s.roomMu.Unlock()
	for !ready() {
		s.roomCond.Wait()
	}
}

// Flush waits until all that was sent, subscriptions included, has left this
// process towards the peers that are connected, and the queues kept for others
// are empty.
func (s *Socket) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.freed)
	defer stop()
	var err error
	s.await(func() bool {
		if err = ctx.Err(); err != nil || s.closed.Load() {
			return true
		}
		s.mu.RLock()
		defer s.mu.RUnlock()
		return !slices.ContainsFunc(s.peers, func(p *Peer) bool { return !p.quiet() })
	})
	return err
}
