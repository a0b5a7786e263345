package bridge

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/cluster"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
)

// TestTwoHubs: two hubs on one bus, libzmq processes at both, that say what real
// Zeek nodes were recorded to say. Each gets each event once, as it was sent, in the
// order of its publisher; its own come back from its broker, as in Zeek.
func TestTwoHubs(t *testing.T) {
	for _, backendName := range []string{"nats", "mem"} {
		for _, c := range []codec.Codec{brokerbin.New(), brokerjson.New()} {
			t.Run(backendName+" "+c.Name(), func(t *testing.T) {
				frames := testenv.Frames(t, testenv.Shared(t, "golden", "events", c.Name()+".jsonl"))
				var gold [][][]byte
				for _, f := range frames {
					if len(f) == 4 && bytes.HasPrefix(f[0], []byte("/gold/")) {
						gold = append(gold, f)
					}
				}
				if len(gold) < 15 {
					t.Fatalf("%d recorded events", len(gold))
				}
				w := newTown(t, backendName)
				w.codec = c
				hosts := []*host{w.host("1"), w.host("2")}
				lib := libzmqtest.Start(t)
				peers := []string{"zeek-a", "zeek-b", "zeek-c"} // the last beside the first
				for i, name := range peers {
					h := hosts[i%2]
					lib.Socket(name, "XSUB", nil)
					lib.Socket(name+" out", "XPUB", map[string]any{"XPUB_VERBOSE": 1})
					lib.Connect(name, h.xpub)
					lib.Connect(name+" out", h.xsub)
					for _, s := range append(cluster.Subscriptions(name, zeekID(name), layout.Worker), "/gold/") {
						lib.Subscribe(name, "XSUB", s)
					}
				}
				for _, h := range hosts {
					testenv.Eventually(t, aim, "each hub wants it of the other", func() bool {
						ok := make(chan bool, 1)
						h.do(func() { ok <- h.wanted["/gold/"] == 1 && h.seen["/gold/"] })
						return <-ok
					})
				}
				for _, name := range peers { // until its socket would not filter them away
					for string(lib.Recv(name+" out", 1)[0][0]) != "\x01/gold/" {
					}
				}
				const rounds = 20
				for range rounds {
					for _, f := range gold {
						for _, name := range peers {
							lib.Send(name+" out", f[0], []byte(zeekID(name)), f[2], f[3])
						}
					}
				}
				for _, name := range peers {
					got := map[string]int{} // by sender
					for n := 0; n < rounds*len(gold)*len(peers); {
						f := lib.Recv(name, 1)[0]
						if _, own := topic.NodeIDOf(string(f[0])); own {
							continue // a greeting
						}
						from := string(f[1])
						want := gold[got[from]%len(gold)]
						if !bytes.Equal(f[0], want[0]) || !bytes.Equal(f[2], want[2]) || !bytes.Equal(f[3], want[3]) {
							t.Fatalf("%s got %q as number %d of %s, want %q", name, f, got[from], from, want)
						}
						got[from]++
						n++
					}
					for _, from := range peers {
						if n := got[zeekID(from)]; n != rounds*len(gold) {
							t.Errorf("%s got %d events of %s, want %d", name, n, from, rounds*len(gold))
						}
					}
					if n, _ := lib.Drain(name, 4, 200); n > 0 {
						t.Errorf("%s got %d events more", name, n)
					}
				}
			})
		}
	}
}

// TestRecordedBytes: the bytes that nodes of a real cluster sent on their
// connections, in any order and cut off anywhere, do no harm; when they are gone
// nothing of them is left, and who comes then is served.
func TestRecordedBytes(t *testing.T) {
	conns := testenv.Connections(t, testenv.Shared(t, "golden", "zmtp", "null.pcap"))
	w := newTown(t, "nats")
	m := w.node("manager")
	h := w.host("1")
	dialed := 0
	for seed := range uint64(4) {
		chance := rand.New(rand.NewPCG(seed, 0))
		var wg sync.WaitGroup
		var open []net.Conn
		for _, i := range chance.Perm(len(conns)) {
			at := map[int]string{5555: h.xpub, 5556: h.xsub}[conns[i].Port]
			if at == "" {
				continue // a logger's
			}
			dialed++
			c, err := net.Dial("tcp", strings.TrimPrefix(at, "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			say := conns[i].Client
			if seed > 1 {
				say = say[:chance.IntN(len(say)+1)]
			}
			wg.Go(func() { _, _ = io.Copy(io.Discard, c) })
			wg.Go(func() { _, _ = c.Write(say) })
		}
		if seed == 0 {
			testenv.Eventually(t, aim, "the subscriptions are seen", func() bool {
				ok := make(chan bool, 1)
				h.do(func() { ok <- h.seen["zeek.cluster.worker"] })
				return <-ok
			})
		} else {
			time.Sleep(time.Duration(chance.IntN(50)) * time.Millisecond)
		}
		for _, c := range open {
			c.Close()
		}
		wg.Wait()
		testenv.Eventually(t, aim, "nothing is left", func() bool {
			left := make(chan string, 1)
			h.do(func() { left <- fmt.Sprint(len(h.seen), len(h.zeeks)) })
			return <-left == "0 0"
		})
	}
	if dialed < 8 {
		t.Fatalf("%d connections were replayed", dialed)
	}
	z := w.zeek(h, "zeek-a")
	m.want(t, "manager", "+zeek-a")
	z.want(t, "zeek-a", "+manager")
	if bad := slices.DeleteFunc(m.Live(layout.None), func(n cluster.Node) bool { return n.Name == "zeek-a" || n.Role == layout.None }); len(bad) > 0 {
		t.Errorf("the manager sees %v", bad)
	}
}
