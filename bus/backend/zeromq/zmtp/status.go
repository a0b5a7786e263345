package zmtp

import "slices"

// Status is what a socket tells about itself.
type Status struct {
	Peers    []PeerStatus // now there, or waited for with a queue, in the order they came
	Past     Counts       // of the peers that are gone
	Unwanted uint64       // PUB, XPUB: messages that nobody had subscribed to
	Refused  uint64       // messages that Send returned ErrFull for, or a PUSH dropped
	NoPeer   uint64       // messages that Send returned ErrNoPeer for
}

// Total are the counts of all peers, past ones too.
func (s Status) Total() Counts {
	c := s.Past
	for _, p := range s.Peers {
		c.add(p.Counts)
	}
	return c
}

// PeerStatus is what a socket tells about one peer.
type PeerStatus struct {
	ID            uint64
	Endpoint      string // ours
	Remote        string // empty: not connected
	Type          string // of its socket
	Minor         int    // of its ZMTP 3
	Key           string // CURVE server: the client's public key
	Queued        int    // messages waiting, or being written
	QueuedBytes   int
	Subscriptions int // topics it subscribed to
	Counts
}

// Status may be called at any time.
func (s *Socket) Status() Status {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := Status{Past: s.past, Unwanted: s.unsent[unwanted].Load(), Refused: s.unsent[refused].Load(), NoPeer: s.unsent[noPeer].Load()}
	for _, p := range s.peers {
		out.Peers = append(out.Peers, p.status())
	}
	return out
}

// Peers is how many peers are connected.
func (s *Socket) Peers() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for _, shaken := range s.links {
		if shaken {
			n++
		}
	}
	return n
}

// Has says whether some peer wants topics that begin with exactly this prefix,
// as far as we were told.
func (s *Socket) Has(prefix string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(s.peers, func(p *Peer) bool { return p.subs[prefix] > 0 })
}

func (p *Peer) counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// status is called with Socket.mu held.
func (p *Peer) status() PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := PeerStatus{ID: p.id, Endpoint: p.endpoint, Remote: p.remote, Type: p.now.kind, Minor: int(p.now.minor),
		Queued: p.n + p.writing, QueuedBytes: len(p.buf), Subscriptions: len(p.subs), Counts: p.count}
	if p.now.key != (Key{}) {
		st.Key = p.now.key.String()
	}
	return st
}
