package broker

import (
	"slices"
	"strings"
	"sync"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/zeek/topic"
)

// PeerStatus is what passed between the broker and one node, over all of its lives
// and connections. It says what the broker received and sent, and no more: a
// libzmq peer has queues of its own, in which messages may end.
type PeerStatus struct {
	Name      string // by its id; empty: of connections that did not say who they are
	Connected int    // connections: two for a node that is there
	From      zmtp.Counts
	To        zmtp.Counts
	Queued    int // messages that wait for it
}

// peers remembers whose connections are whose: a node's receiving one subscribes
// to its id's topic, the publishing one sends in its name.
type peers struct {
	mu    sync.Mutex
	names map[uint64]string // of connections, by side and peer
	past  map[string]*PeerStatus
}

// maxNames bounds the names that are remembered after their nodes have left.
const maxNames = 4096

func key(s Side, p uint64) uint64 { return p<<1 | uint64(s) }

func (n *peers) is(s Side, p *zmtp.Peer, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		n.names, n.past = map[uint64]string{}, map[string]*PeerStatus{}
	}
	if k := key(s, p.ID()); n.names[k] == "" {
		n.names[k] = topic.NameOf(strings.ToValidUTF8(id[:min(len(id), 256)], "?"))
	}
}

// gone adds what a connection leaves to its node's past.
func (n *peers) gone(s Side, p *zmtp.Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := n.names[key(s, p.ID())]
	delete(n.names, key(s, p.ID()))
	if name == "" {
		return
	}
	st := n.past[name]
	if st == nil && len(n.past) >= maxNames {
		return
	}
	if st == nil {
		st = &PeerStatus{Name: name}
		n.past[name] = st
	}
	st.add(s, p.Counts())
}

func (p *PeerStatus) add(s Side, c zmtp.Counts) {
	if s == XPUB {
		p.To = p.To.Plus(c)
	} else {
		p.From = p.From.Plus(c)
	}
}

// Peers tells of each node that is connected or was, by name.
func (b *Broker) Peers() []PeerStatus {
	xpub, xsub := b.xpub.Status(), b.xsub.Status()
	n := &b.peers
	n.mu.Lock()
	defer n.mu.Unlock()
	all := map[string]*PeerStatus{}
	for name, p := range n.past {
		c := *p
		all[name] = &c
	}
	for s, list := range [][]zmtp.PeerStatus{XPUB: xpub.Peers, XSUB: xsub.Peers} {
		for _, p := range list {
			name := n.names[key(Side(s), p.ID)]
			st := all[name]
			if st == nil {
				st = &PeerStatus{Name: name}
				all[name] = st
			}
			st.Connected++
			st.Queued += p.Queued
			st.add(Side(s), p.Counts)
		}
	}
	var out []PeerStatus
	for _, p := range all {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b PeerStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}
