package zmtp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestTrie compares the tree with a plain list, over many random changes.
func TestTrie(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, rnd.IntN(6))
		for i := range b {
			b[i] = "ab\x00"[rnd.IntN(3)]
		}
		return string(b)
	}
	peers := make([]*Peer, 4)
	for i := range peers {
		peers[i] = &Peer{id: uint64(i + 1)}
	}
	type sub struct {
		topic string
		p     *Peer
	}
	var tree trie
	list := map[sub]bool{}
	wanted := func(topic string) (n int) {
		for s := range list {
			if s.topic == topic {
				n++
			}
		}
		return n
	}
	for range 20000 {
		s := sub{word(), peers[rnd.IntN(len(peers))]}
		if list[s] {
			delete(list, s)
			if last := tree.remove(s.topic, s.p); last != (wanted(s.topic) == 0) {
				t.Fatalf("remove %q: last %v", s.topic, last)
			}
		} else {
			if tree.remove(s.topic, s.p) {
				t.Fatalf("remove %q, which is not there, was the last", s.topic)
			}
			if first := tree.add(s.topic, s.p); first != (wanted(s.topic) == 0) {
				t.Fatalf("add %q: first %v", s.topic, first)
			}
			list[s] = true
		}
		topic := word()
		var want []*Peer
		for _, p := range peers {
			for s := range list {
				if s.p == p && strings.HasPrefix(topic, s.topic) {
					want = append(want, p)
					break
				}
			}
		}
		if got := tree.match([]byte(topic), nil); !slices.Equal(got, want) {
			t.Fatalf("topic %q goes to %d peers, want %d", topic, len(got), len(want))
		}
		if tree.any([]byte(topic)) != (len(want) > 0) {
			t.Fatalf("topic %q: any", topic)
		}
	}
	for s := range list {
		tree.remove(s.topic, s.p)
	}
	if len(tree.root.children) != 0 || len(tree.root.peers) != 0 {
		t.Error("an empty tree keeps nodes")
	}
}
