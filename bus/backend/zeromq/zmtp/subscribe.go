package zmtp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// topics are our own subscriptions, each once.
func (s *Socket) topics() []string { return sortedKeys(s.own) }

// Subscribe asks all peers, present and future, for topics that begin with the
// prefix. As libzmq does, it sends repeated subscriptions too, and counts them.
func (s *Socket) Subscribe(prefix string) { s.wish(prefix, true, 1) }

// Unsubscribe takes one Subscribe back. The last one tells the peers; one too
// many does nothing.
func (s *Socket) Unsubscribe(prefix string) { s.wish(prefix, false, 1) }

// Release takes several Subscribe back at once.
func (s *Socket) Release(prefix string, times int) { s.wish(prefix, false, times) }

func (s *Socket) wish(prefix string, subscribe bool, times int) {
	prefix = strings.Clone(prefix)
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.own[prefix]
	if subscribe {
		s.own[prefix] = had + times
		if had == 0 {
			s.filter.add(prefix, nil)
		}
	} else {
		if had == 0 {
			return
		}
		if had > times {
			s.own[prefix] = had - times
			return
		}
		delete(s.own, prefix)
		s.filter.remove(prefix, nil)
	}
	for l, shaken := range s.links {
		if !shaken {
			continue
		}
		// libzmq's SUB sends commands to who knows them, its XSUB never does.
		command := s.cfg.Type == SUB && l.now.minor >= 1
		if !l.p.control(appendSubscription(nil, subscribe, command, prefix), false) {
			// It does not read. Without the subscription it would be of no use; when
			// it comes back, it gets them all.
			l.fail(fmt.Errorf("%w: the peer does not read its subscriptions", ErrFull))
		}
	}
}

// wants says whether a topic begins with one of our own subscriptions.
func (s *Socket) wants(topic []byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.filter.any(topic)
}

// subscribed notes a peer's subscription or removal; sense: it changed something.
func (s *Socket) subscribed(p *Peer, topic string, subscribe bool) (sense bool, err error) {
	if len(topic) > s.cfg.MaxTopic {
		return false, fmt.Errorf("%w: subscription of %d bytes, limit %d", ErrTooLarge, len(topic), s.cfg.MaxTopic)
	}
	s.mu.Lock()
	refs := p.subs[topic]
	report := s.cfg.Verbose
	e := Subscription{Topic: topic, Subscribe: subscribe, Refs: refs}
	if subscribe {
		if refs == 0 {
			if len(p.subs) >= s.cfg.MaxSubscriptions {
				s.mu.Unlock()
				return false, fmt.Errorf("%w: more than %d subscriptions", ErrTooLarge, s.cfg.MaxSubscriptions)
			}
			report = s.table.add(topic, p) || report
			s.gen.Add(1)
		}
		p.subs[topic] = refs + 1
		e.Refs = refs + 1
	} else {
		// libzmq sends a removal only when it wants nothing of the topic any more,
		// however often it had subscribed. So one removal takes all back.
		if refs == 0 {
			s.mu.Unlock()
			return false, nil
		}
		report = s.table.remove(topic, p) || s.cfg.Verboser
		delete(p.subs, topic)
		s.gen.Add(1)
	}
	s.mu.Unlock()
	if report && s.hooks.Subscription != nil {
		s.hooks.Subscription(p, e)
	}
	return true, nil
}
