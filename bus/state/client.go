package state

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// ClientConfig says how a Client asks.
type ClientConfig struct {
	ID      string   // id of this node, where answers go
	Proxies []string // all of the layout, up or not: ownership does not move with them

	Outstanding int           // claims without an answer; 0: 8192. One more is refused at once, and counted
	Resend      time.Duration // how long to wait for an answer before asking again; 0: 500 ms. Doubles to 8 times that
	Now         func() time.Time
}

// Client is a Once that asks the proxies. Claim, Poll and Wait belong to the
// worker's goroutine; Run asks again, on another.
type Client struct {
	cfg     ClientConfig
	cluster *cluster.Cluster
	owners  *cluster.Pool
	ready   chan struct{} // something may be polled

	mu       sync.Mutex
	open     map[ID]*open
	answered []func() // to be called by Poll
	stats    ClientStatus
}

type open struct {
	claim   Claim
	owner   string
	answers []func(bool) // one per call of Claim
	next    time.Time
	wait    time.Duration
}

// ClientStatus is a Client's counters.
type ClientStatus struct {
	Asked    uint64 // claims
	Again    uint64 // sendings after the first
	Granted  uint64
	Refused  uint64 // by an owner
	Overflow uint64 // refused here, because too many were outstanding
	Waiting  int    // without an answer
}

// NewClient returns a client of the proxies. It subscribes to its answers.
func NewClient(cfg ClientConfig, c *cluster.Cluster) (*Client, error) {
	if len(cfg.Proxies) == 0 {
		return nil, fmt.Errorf("claims of %s: the layout has no proxy", cfg.ID)
	}
	cfg.Outstanding = cmp.Or(cfg.Outstanding, 8192)
	cfg.Resend = cmp.Or(cfg.Resend, 500*time.Millisecond)
	k := &Client{cfg: cfg, cluster: c, owners: cluster.NewPool("", cfg.Proxies), ready: make(chan struct{}, 1), open: map[ID]*open{}}
	if err := c.Subscribe(topic.NodeID(cfg.ID), eventClaimed, k.take); err != nil {
		return nil, fmt.Errorf("claims of %s: %w", cfg.ID, err)
	}
	return k, nil
}

// Claim implements Once. answer is called by Poll or Wait, except when too many
// claims wait already: then at once, with false.
func (k *Client) Claim(c Claim, answer func(bool)) {
	k.mu.Lock()
	k.stats.Asked++
	o := k.open[c.ID()]
	if o == nil {
		if len(k.open) >= k.cfg.Outstanding || len(c.Key) > maxKey || len(c.Producer) > 255 {
			k.stats.Overflow++
			k.mu.Unlock()
			answer(false)
			return
		}
		owner, _ := k.owners.Owner([]byte(c.Key))
		o = &open{claim: c, owner: owner, wait: k.cfg.Resend, next: k.cfg.Now().Add(k.cfg.Resend)}
		k.open[c.ID()] = o
	}
	first := len(o.answers) == 0
	o.answers = append(o.answers, answer)
	k.mu.Unlock()
	if first {
		k.send(o.owner, &c)
	}
}

func (k *Client) send(owner string, c *Claim) {
	// An error is counted by the cluster; Run asks again.
	_ = k.cluster.Publish(topic.Node(owner), event.New(eventClaim,
		value.String(c.Producer), value.Count(c.Start), value.Count(c.Seq), value.String(c.Key), value.Double(c.TTL), value.Double(c.Now)))
}

// take notes an answer. The backend's goroutine.
func (k *Client) take(e cluster.Event) {
	a := e.Args
	if len(a) != 4 || a[0].Kind() != value.KindString || a[1].Kind() != value.KindCount || a[2].Kind() != value.KindCount || a[3].Kind() != value.KindBool {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id, granted := ID{a[0].Str(), a[1].Count(), a[2].Count()}, a[3].Bool()
	o := k.open[id]
	if o == nil {
		return // answered before: it was asked twice
	}
	delete(k.open, id)
	if granted {
		k.stats.Granted++
	} else {
		k.stats.Refused++
	}
	for _, f := range o.answers {
		k.answered = append(k.answered, func() { f(granted) })
	}
	k.stir()
}

func (k *Client) stir() {
	select {
	case k.ready <- struct{}{}:
	default:
	}
}

// Poll calls the answers that have arrived. It returns how many.
func (k *Client) Poll() int {
	k.mu.Lock()
	all := k.answered
	k.answered = nil
	k.mu.Unlock()
	for _, f := range all {
		f()
	}
	return len(all)
}

// Wait polls until every claim is answered or ctx ends.
func (k *Client) Wait(ctx context.Context) error {
	for {
		k.Poll()
		k.mu.Lock()
		n, more := len(k.open), len(k.answered)
		k.mu.Unlock()
		if more > 0 {
			continue
		}
		if n == 0 {
			return nil
		}
		select {
		case <-k.ready:
		case <-ctx.Done():
			return fmt.Errorf("wait for %d claims: %w", n, ctx.Err())
		}
	}
}

// Up says that a proxy came back: what it owes is asked again at once.
func (k *Client) Up(proxy string) { k.again(func(o *open) bool { return o.owner == proxy }) }

// Run asks again for what was not answered in time, until ctx ends.
func (k *Client) Run(ctx context.Context) error {
	tick := time.NewTicker(max(k.cfg.Resend/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := k.cfg.Now()
			k.again(func(o *open) bool { return !now.Before(o.next) })
		}
	}
}

func (k *Client) again(which func(*open) bool) {
	type sending struct {
		owner string
		claim Claim
	}
	var all []sending
	k.mu.Lock()
	now := k.cfg.Now()
	for _, o := range k.open {
		if which(o) {
			o.wait = min(2*o.wait, 8*k.cfg.Resend)
			o.next = now.Add(o.wait)
			all = append(all, sending{o.owner, o.claim})
		}
	}
	k.stats.Again += uint64(len(all))
	k.mu.Unlock()
	for i := range all {
		k.send(all[i].owner, &all[i].claim)
	}
}

// Status returns the counters; from any goroutine.
func (k *Client) Status() ClientStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.stats
	s.Waiting = len(k.open)
	return s
}
