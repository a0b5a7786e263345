package cluster

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/picket-nsm/picket/bus/backend/mem"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/declare"
	"github.com/picket-nsm/picket/zeek/event"
	"github.com/picket-nsm/picket/zeek/layout"
	"github.com/picket-nsm/picket/zeek/topic"
	"github.com/picket-nsm/picket/zeek/value"
)

// crowd is a manager and proxies, which note what they get.
type crowd struct {
	t     *testing.T
	nodes map[string]*sim
	got   map[string]int
}

func newCrowd(t *testing.T, declared *declare.Set, names ...string) *crowd {
	c := &crowd{t: t, nodes: map[string]*sim{}, got: map[string]int{}}
	bus := mem.NewBus(mem.Config{Poison: true})
	for _, name := range append([]string{"manager"}, names...) {
		role := layout.Proxy
		if name == "manager" {
			role = layout.Manager
		}
		pools := map[layout.Role][]string{layout.Proxy: names, layout.Manager: {"manager"}}
		c.nodes[name] = startWith(t, bus.Endpoint(name+"-id"), Config{Name: name, ID: name + "-id", Role: role, Pools: pools}, func(d *Deps) { d.Declared = declared })
		if err := c.nodes[name].Subscribe(topic.Node(name), "", func(Event) { c.got[name]++ }); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond)
	synctest.Wait()
	return c
}

func (c *crowd) stop() {
	for _, n := range c.nodes {
		n.stop()
	}
}

func (c *crowd) want(who string, f func() (string, error)) {
	c.t.Helper()
	before := c.got[who]
	name, err := f()
	synctest.Wait()
	if err != nil || name != who || c.got[who] != before+1 {
		c.t.Errorf("went to %s (%v), want %s, which got %d", name, err, who, c.got[who]-before)
	}
}

func TestRoundRobin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, nil, "proxy-1", "proxy-2", "proxy-3")
		defer c.stop()
		rr := func(from, key string) func() (string, error) {
			return func() (string, error) {
				return c.nodes[from].PublishRR(layout.Proxy, key, event.New("E"))
			}
		}
		for range 2 {
			for i := range 3 {
				c.want(fmt.Sprintf("proxy-%d", i+1), rr("manager", "a"))
			}
		}
		c.want("proxy-1", rr("manager", "b")) // a key has turns of its own
		// The own node has its turn too, and handles the event itself.
		for i := range 3 {
			c.want(fmt.Sprintf("proxy-%d", i+1), rr("proxy-2", "a"))
		}
		own := c.nodes["proxy-2"].Topics()
		for _, x := range own {
			if x.Class == topic.Class(topic.Node("proxy-2")) && x.Produced != 3 {
				t.Errorf("%+v", x)
			}
		}
		c.nodes["proxy-1"].kill()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		c.want("proxy-2", rr("manager", "c"))
		c.want("proxy-3", rr("manager", "c"))
		c.want("proxy-2", rr("manager", "c"))
		if _, err := c.nodes["manager"].PublishRR(layout.Worker, "a", event.New("E")); !errors.Is(err, ErrNobody) {
			t.Errorf("a pool that is not there: %v", err)
		}
	})
}

// Real Zeek's choices, by the whole way: a node that publishes, and nodes that get it.
func TestPublishHRW(t *testing.T) {
	b, err := os.ReadFile(testenv.Shared(t, "golden", "events", "hrw.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, nil, "proxy-1", "proxy-2", "proxy-3", "proxy-4")
		defer c.stop()
		n := 0
		hrw := func(key value.Value) func() (string, error) {
			return func() (string, error) {
				return c.nodes["manager"].PublishHRW(layout.Proxy, key, event.New("E"))
			}
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Split(strings.TrimRight(line, "\n"), "\t")
			if len(f) == 4 && f[0] == "string" && strings.HasPrefix(f[3], "proxy-") {
				c.want(strings.TrimSuffix(f[3], ".0"), hrw(value.String(f[1])))
				n++
			}
		}
		if n == 0 {
			t.Error("no string keys")
		}
		key := value.String("a key")
		first, err := hrw(key)()
		if err != nil {
			t.Fatal(err)
		}
		c.nodes[first].stop() // says goodbye
		synctest.Wait()
		if second, err := hrw(key)(); err != nil || second == first {
			t.Errorf("%s is gone, and still chosen (%v)", first, err)
		}
		if _, err := hrw(value.Interval(1))(); !errors.Is(err, codec.ErrInvalid) {
			t.Errorf("an interval as key: %v", err)
		}
	})
}

func TestDeclared(t *testing.T) {
	set, err := declare.Parse(declare.File{Name: "my.zeek", Text: "global my_event: event(n: count, who: string);"})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, set, "proxy-1")
		defer c.stop()
		m := c.nodes["manager"]
		to := topic.Node("proxy-1")
		for _, e := range []event.Event{event.New("my_event", value.Int(1), value.String("x")), event.New("my_event", value.Count(1))} {
			if err := m.Publish(to, e); !errors.Is(err, codec.ErrInvalid) || !errors.Is(err, declare.ErrMismatch) {
				t.Errorf("%v: %v", e.Args, err)
			}
		}
		for _, e := range []event.Event{event.New("my_event", value.Count(1), value.String("x")), event.New("other", value.Int(1))} {
			if err := m.Publish(to, e); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		if c.got["proxy-1"] != 2 {
			t.Errorf("%d arrived", c.got["proxy-1"])
		}
		// Another, which knows no declarations, sends what does not fit.
		m.deps.Declared = nil
		if err := m.Publish(to, event.New("my_event", value.String("x"))); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if d := c.nodes["proxy-1"].Metrics().Dropped[dropMismatch]; d != 1 || c.got["proxy-1"] != 2 {
			t.Errorf("%d dropped, %d arrived", d, c.got["proxy-1"])
		}
	})
}

// The how-to shows the example that runs.
func TestHowto(t *testing.T) {
	doc, err := os.ReadFile("../../docs/howto/write-a-cluster-event.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(doc), "```go\n")
	block, _, _ = strings.Cut(block, "```")
	have := map[string]bool{}
	for line := range strings.Lines(string(code)) {
		have[strings.TrimSpace(line)] = true
	}
	n := 0
	for line := range strings.Lines(block) {
		if n++; !have[strings.TrimSpace(line)] {
			t.Errorf("not in the example: %s", line)
		}
	}
	if n < 20 {
		t.Error("the how-to has no example")
	}
}
