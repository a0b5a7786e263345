package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picket-nsm/picket/bus/backend"
	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// creditEvery is how many events the receiver answers at once.
const creditEvery = 512

// profile writes a CPU profile to $BUSNODE_PROFILE.ROLE.
func profile(role string) (stop func(), err error) {
	to := os.Getenv("BUSNODE_PROFILE")
	if to == "" {
		return func() {}, nil
	}
	f, err := os.Create(to + "." + role)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

// small is the event that is measured: a count and eight bytes of text.
func small(args []value.Value, i int) event.Event {
	args[0], args[1] = value.Count(uint64(i)), value.String("SeCrEt!!")
	return event.Event{Name: "Bench::found_secret", Args: args}
}

// sub takes n events, gives credit for them, and checks that they are whole and
// in order.
func sub(url, name string, n int) error {
	me, err := newNode(url, name, nil)
	if err != nil {
		return err
	}
	done := make(chan struct{})
	got, bad := 0, 0
	var first time.Time
	err = me.Subscribe(topic.Node(name), "Bench::found_secret", func(e cluster.Event) {
		if got == 0 {
			first = time.Now()
		}
		if len(e.Args) != 2 || e.Args[0].Count() != uint64(got) || e.Args[1].Str() != "SeCrEt!!" {
			bad++
		}
		if got++; got%creditEvery == 0 || got == n {
			if err := me.Publish("bench.credit", event.New("Bench::credit", value.Count(uint64(got)))); err != nil {
				fmt.Fprintln(os.Stderr, "busnode: credit:", err)
			}
		}
		if got == n {
			close(done)
		}
	})
	if err != nil {
		return err
	}
	if err := me.start(); err != nil {
		return err
	}
	fmt.Println("ready")
	for waiting, last := true, uint64(0); waiting; {
		select {
		case <-done:
			waiting = false
		case <-time.After(5 * time.Second):
			now := me.Metrics().Delivered
			if now == last {
				return fmt.Errorf("nothing arrives: %+v, %+v", me.Metrics(), me.bus.Status())
			}
			last = now
		}
	}
	took := time.Since(first)
	time.Sleep(100 * time.Millisecond) // the last credit
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("%.0f events/s, %d not as sent, %d lost; sub %s, %.1f allocations per event\n", float64(n-1)/took.Seconds(), bad, me.Metrics().Lost, cpu(), float64(m.Mallocs)/float64(n))
	me.stop()
	return nil
}

// pub publishes n events with at most window of them unanswered.
func pub(url, name, to string, n, window int) error {
	me, err := newNode(url, name, nil)
	if err != nil {
		return err
	}
	var credit atomic.Uint64
	more := make(chan struct{}, 1)
	if err := me.Subscribe("bench.credit", "Bench::credit", func(e cluster.Event) {
		credit.Store(e.Args[0].Count())
		select {
		case more <- struct{}{}:
		default:
		}
	}); err != nil {
		return err
	}
	if err := me.start(); err != nil {
		return err
	}
	time.Sleep(200 * time.Millisecond) // the subscriptions have gone round
	t := topic.Node(to)
	full, args := 0, make([]value.Value, 2)
	for i := range n {
		for uint64(i) >= credit.Load()+uint64(window) {
			<-more
		}
		for {
			err := me.Publish(t, small(args, i))
			if err == nil {
				break
			}
			if !errors.Is(err, backend.ErrFull) {
				return err
			}
			full++
			time.Sleep(50 * time.Microsecond)
		}
	}
	for credit.Load() < uint64(n) {
		<-more
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Printf("pub %s, %.1f allocations per event, %d times full\n", cpu(), float64(m.Mallocs)/float64(n), full)
	me.stop()
	return nil
}

// fan publishes n events to many subscribers, all in this process.
func fan(url string, subscribers, n int) error {
	var all sync.WaitGroup
	var nodes []*node
	var delivered atomic.Int64
	progress := make([]atomic.Int64, subscribers)
	all.Add(subscribers)
	for i := range subscribers {
		me, err := newNode(url, fmt.Sprintf("worker-%d", i+1), nil)
		if err != nil {
			return err
		}
		if err := me.Subscribe("bench.fan", "Bench::found_secret", func(cluster.Event) {
			delivered.Add(1)
			if progress[i].Add(1) == int64(n) {
				all.Done()
			}
		}); err != nil {
			return err
		}
		if err := me.start(); err != nil {
			return err
		}
		nodes = append(nodes, me)
	}
	from, err := newNode(url, "manager", nil)
	if err != nil {
		return err
	}
	if err := from.start(); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	args := make([]value.Value, 2)
	start := time.Now()
	for i := range n {
		// The slowest of them sets the pace.
		for i%256 == 0 {
			slowest := int64(n)
			for j := range progress {
				slowest = min(slowest, progress[j].Load())
			}
			if int64(i)-slowest < 2048 {
				break
			}
			time.Sleep(200 * time.Microsecond)
		}
		for from.Publish("bench.fan", small(args, i)) != nil {
			time.Sleep(50 * time.Microsecond)
		}
	}
	all.Wait()
	took := time.Since(start)
	fmt.Printf("%.0f events/s, %.0f deliveries/s to %d subscribers; pub and subs %s\n", float64(n)/took.Seconds(), float64(delivered.Load())/took.Seconds(), subscribers, cpu())
	for _, me := range nodes {
		me.stop()
	}
	from.stop()
	return nil
}
