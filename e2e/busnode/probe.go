package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Sent is what a probe has published, by topic.
type Sent map[string]uint64

// Heard is what an ear has to tell of a stretch of time.
type Heard struct {
	N           int
	Median, P99 time.Duration
	Max         time.Duration
	Lost        uint64            // since its start
	Of          map[string]uint64 // the same by sender, of those that are up
}

// probe publishes so many events a second, in turn to its topics. A line
// "TOPIC N BYTES" makes it publish N larger ones there; an empty line, or the end
// of its input, makes it rest and tell what it has sent.
func probe(url string, rate int, topics []string) error {
	me, err := newNode(url, "probe", nil)
	if err != nil {
		return err
	}
	if err := me.start(); err != nil {
		return err
	}
	fmt.Println("ready")
	var mu sync.Mutex
	sent := Sent{}
	var over atomic.Bool
	publish := func(topic string, e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		if me.Publish(topic, e) == nil { // else full: its own count
			sent[topic]++
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		start := time.Now()
		for i := 0; !over.Load(); i++ {
			if wait := time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))); wait > 0 {
				time.Sleep(wait)
			}
			publish(topics[i%len(topics)], event.New("Probe::time", value.Count(uint64(time.Now().UnixNano()))))
		}
	}()
	lines(func(line string) {
		var topic string
		var n, size int
		if _, err := fmt.Sscan(line, &topic, &n, &size); err != nil {
			over.Store(true)
			<-done
			_ = json.NewEncoder(os.Stdout).Encode(sent)
			return
		}
		text := value.String(strings.Repeat("x", size))
		for range n {
			publish(topic, event.New("Probe::large", text))
		}
		fmt.Println("done")
	})
	over.Store(true)
	<-done
	me.stop()
	return nil
}

// ear measures how long a probe's events are under way. For each line on its input
// it tells of the time since the last one.
func ear(url string, topics []string) error {
	me, err := newNode(url, "ear", nil)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var late []time.Duration
	for _, t := range topics {
		if err := me.Subscribe(t, "Probe::time", func(e cluster.Event) {
			d := time.Duration(uint64(time.Now().UnixNano()) - e.Args[0].Count())
			mu.Lock()
			late = append(late, d)
			mu.Unlock()
		}); err != nil {
			return err
		}
	}
	if err := me.start(); err != nil {
		return err
	}
	fmt.Println("ready")
	lines(func(string) {
		mu.Lock()
		all := late
		late = nil
		mu.Unlock()
		slices.Sort(all)
		h := Heard{N: len(all), Lost: me.Metrics().Lost, Of: map[string]uint64{}}
		for _, g := range me.Gaps() {
			if g.Lost > 0 {
				h.Of[g.Sender] += g.Lost
			}
		}
		if h.N > 0 {
			h.Median, h.P99, h.Max = all[h.N/2], all[h.N*99/100], all[h.N-1]
		}
		_ = json.NewEncoder(os.Stdout).Encode(h)
	})
	me.stop()
	return nil
}
