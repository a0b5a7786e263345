package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/internal/ledger"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/value"
)

// Counters of a load in its ledger, followed by a topic: what the program itself
// saw, beside what the cluster counted.
const (
	appTried = "app.tried."
	appGot   = "app.got."
)

// load publishes to the topic load.NAME.LIFE, takes what others publish to
// theirs, and keeps books. A line on its input stops its publishing, the end of
// the input ends it in good order.
//
// BUSNODE_PAUSE is how many microseconds it rests after sixteen events, BUSNODE_SLOW
// how many microseconds it takes to handle one, BUSNODE_SIZE the bytes of one.
func load(url, name, dir, life string) error {
	books, err := ledger.Create(filepath.Join(dir, name), name, "worker", uint64(time.Now().UnixNano()))
	if err != nil {
		return err
	}
	me, err := newNode(url, name, books)
	if err != nil {
		return err
	}
	slow := time.Duration(setting("SLOW", 0)) * time.Microsecond
	got := map[string]*ledger.Counter{}
	if err := me.Subscribe("load.", "Load::event", func(e cluster.Event) {
		c := got[e.Topic]
		if c == nil {
			c = books.Counter(appGot + e.Topic)
			got[strings.Clone(e.Topic)] = c
		}
		c.Add(1)
		if slow > 0 {
			time.Sleep(slow)
		}
	}); err != nil {
		return err
	}
	if err := me.start(); err != nil {
		return err
	}
	mine := "load." + name + "." + life
	tried, quiet := books.Counter(appTried+mine), make(chan struct{})
	pause := time.Duration(setting("PAUSE", 2000)) * time.Microsecond
	text := value.String(strings.Repeat("x", setting("SIZE", 40)))
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := uint64(0); ; i++ {
			if i%16 == 0 {
				select {
				case <-quiet:
					return
				case <-time.After(pause):
				}
			}
			tried.Add(1)
			_ = me.Publish(mine, event.New("Load::event", value.Count(i), text)) // refused: counted
		}
	})
	fmt.Println("ready")
	stop := sync.OnceFunc(func() { close(quiet); publishing.Wait(); fmt.Println("quiet") })
	lines(func(string) { stop() })
	stop()
	me.stop()
	for _, t := range me.Topics() {
		if strings.HasPrefix(t.Class, "load.") {
			fmt.Fprintf(os.Stderr, "%s: %+v\n", name, t)
		}
	}
	fmt.Fprintf(os.Stderr, "%s: %+v\n", name, me.bus.Status())
	return books.Close()
}
