package zmtp

import (
	"cmp"
	"slices"
	"strings"
)

// trie finds the peers that subscribed to a prefix of a topic. It is a radix
// tree: an edge holds as many bytes as no other prefix parts.
type trie struct {
	root trieNode
}

type trieNode struct {
	label    string
	children []*trieNode
	peers    []*Peer
}

func (n *trieNode) child(c byte) (int, *trieNode) {
	for i, k := range n.children {
		if k.label[0] == c {
			return i, k
		}
	}
	return -1, nil
}

// add notes that p wants the prefix; first: nobody did before.
func (t *trie) add(prefix string, p *Peer) (first bool) {
	n := &t.root
	for prefix != "" {
		i, k := n.child(prefix[0])
		if k == nil {
			k = &trieNode{label: strings.Clone(prefix)}
			n.children = append(n.children, k)
			n, prefix = k, ""
			break
		}
		same := 0
		for same < len(k.label) && same < len(prefix) && k.label[same] == prefix[same] {
			same++
		}
		if same < len(k.label) {
			upper := &trieNode{label: k.label[:same], children: []*trieNode{k}}
			k.label = k.label[same:]
			n.children[i] = upper
			k = upper
		}
		n, prefix = k, prefix[same:]
	}
	n.peers = append(n.peers, p)
	return len(n.peers) == 1
}

// remove takes back an add; last: nobody wants the prefix any more.
func (t *trie) remove(prefix string, p *Peer) (last bool) {
	path := []*trieNode{&t.root}
	for prefix != "" {
		_, k := path[len(path)-1].child(prefix[0])
		if k == nil || !strings.HasPrefix(prefix, k.label) {
			return false
		}
		path = append(path, k)
		prefix = prefix[len(k.label):]
	}
	n := path[len(path)-1]
	for i, q := range n.peers {
		if q == p {
			n.peers = append(n.peers[:i], n.peers[i+1:]...)
			last = len(n.peers) == 0
			break
		}
	}
	// Nodes that serve nothing go, and one child in place of its parent.
	for i := len(path) - 1; i > 0; i-- {
		n, up := path[i], path[i-1]
		if len(n.peers) > 0 || len(n.children) > 1 {
			break
		}
		at, _ := up.child(n.label[0])
		if len(n.children) == 1 {
			k := n.children[0]
			k.label = n.label + k.label
			up.children[at] = k
			break
		}
		up.children = append(up.children[:at], up.children[at+1:]...)
	}
	return last
}

// match appends the peers that want the topic, each once, in the order they came.
func (t *trie) match(topic []byte, out []*Peer) []*Peer {
	n := &t.root
	for {
		out = append(out, n.peers...)
		if len(topic) == 0 {
			break
		}
		_, k := n.child(topic[0])
		if k == nil || len(topic) < len(k.label) || string(topic[:len(k.label)]) != k.label {
			break
		}
		n, topic = k, topic[len(k.label):]
	}
	if len(out) > 1 {
		slices.SortFunc(out, func(a, b *Peer) int { return cmp.Compare(a.id, b.id) })
		out = slices.Compact(out)
	}
	return out
}

// any says whether somebody wants the topic.
func (t *trie) any(topic []byte) bool {
	n := &t.root
	for {
		if len(n.peers) > 0 {
			return true
		}
		if len(topic) == 0 {
			return false
		}
		_, k := n.child(topic[0])
		if k == nil || len(topic) < len(k.label) || string(topic[:len(k.label)]) != k.label {
			return false
		}
		n, topic = k, topic[len(k.label):]
	}
}
