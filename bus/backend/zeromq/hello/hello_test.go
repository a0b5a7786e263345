package hello_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/hello"
	"github.com/picket-nsm/picket/bus/codec"
	"github.com/picket-nsm/picket/bus/codec/brokerbin"
	"github.com/picket-nsm/picket/bus/codec/brokerjson"
	"github.com/picket-nsm/picket/internal/testenv"
	"github.com/picket-nsm/picket/zeek/topic"
)

var begin = time.Unix(1700000000, 0)

func at(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }

func inLayout(name string) bool { return name != "stranger" }

// text is steps in short: ~ ZeroMQ::hello, = Cluster::hello, + up, - down, ! warning.
func text(steps []hello.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, string("~=+-!"[s.Kind])+s.ID)
	}
	return strings.Join(out, " ")
}

// Each case is what one node sees, as SECOND:WHAT ID, and what it does.
// s subscription, u unsubscription, z ZeroMQ::hello, c Cluster::hello, t tick,
// r and p: lost the connection to receive or to publish by, w wait.
func TestMachine(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"subscription first":       {"0:s b1 1:z b1 2:c b1", "~b1 =b1 +b1"},
		"hello first":              {"0:z b1 1:s b1 2:c b1", "~b1 =b1 +b1"},
		"up before all else":       {"0:c b1 1:s b1 2:z b1", "+b1 ~b1 !b1"},
		"subscription repeated":    {"0:s b1 0:s b1 1:z b1 2:s b1 2:c b1 3:s b1", "~b1 =b1 +b1"},
		"ZeroMQ::hello repeated":   {"0:s b1 1:z b1 2:c b1 3:z b1", "~b1 =b1 +b1 !b1"},
		"Cluster::hello repeated":  {"0:s b1 1:z b1 2:c b1 3:c b1", "~b1 =b1 +b1"},
		"subscription expires":     {"0:s b1 9:t 10:t 11:z b1 12:t 21:t", "~b1 !b1 !b1"},
		"ZeroMQ::hello expires":    {"0:z b1 9:t 10:t 11:s b1", "!b1 ~b1"},
		"hello just in time":       {"0:s b1 9:t 9:z b1 20:t", "~b1 =b1"},
		"leaves":                   {"0:s b1 0:z b1 0:c b1 5:u b1", "~b1 =b1 +b1 -b1"},
		"leaves and comes back":    {"0:s b1 0:z b1 0:c b1 5:u b1 6:s b2 6:z b2 6:c b2", "~b1 =b1 +b1 -b1 ~b2 =b2 +b2"},
		"back under the same id":   {"0:s b1 0:z b1 0:c b1 5:u b1 6:s b1 6:z b1 6:c b1", "~b1 =b1 +b1 -b1 ~b1 =b1 +b1"},
		"new id without a goodbye": {"0:s b1 0:z b1 0:c b1 5:s b2 5:z b2 5:c b2 6:u b1", "~b1 =b1 +b1 ~b2 !b2 -b1 =b2 +b2 !b1"},
		"second node of that name": {"0:s b1 0:z b1 0:c b1 5:s b2 5:c b2", "~b1 =b1 +b1 ~b2 !b2 -b1 +b2"},
		"unknown one leaves":       {"0:u b1 1:s b2 2:u b2", "!b1 ~b2 !b2"},
		"half known one leaves":    {"0:s b1 0:z b1 1:u b1 20:t", "~b1 =b1 !b1"},
		"ourselves":                {"0:s a1 0:z a1 0:c a1 0:u a1", ""},
		"stranger":                 {"0:s stranger1 0:z stranger1 0:c stranger1", "~stranger1 =stranger1 !stranger1"},
		"broker restarts":          {"0:s b1 0:z b1 0:c b1 5:r 5:p 6:s b1 6:z b1 6:c b1 30:t", "~b1 =b1 +b1 ~b1 =b1"},
		"broker restarts, hello 1": {"0:s b1 0:z b1 0:c b1 5:r 5:p 6:z b1 6:s b1 6:c b1 30:t", "~b1 =b1 +b1 ~b1 =b1"},
		"broker restarts, it died": {"0:s b1 0:z b1 0:c b1 5:r 5:p 14:t 15:t", "~b1 =b1 +b1 -b1"},
		"long without a broker":    {"0:s b1 0:z b1 0:c b1 5:r 5:p 14:w 23:w 24:t 32:t 33:t", "~b1 =b1 +b1 -b1"},
		"receiving broke":          {"0:s b1 0:z b1 0:c b1 5:r 6:z b1 6:c b1 30:t", "~b1 =b1 +b1 ~b1 =b1"},
		"publishing broke":         {"0:s b1 0:z b1 0:c b1 5:p 6:s b1 30:t", "~b1 =b1 +b1"},
		"publishing broke, gone":   {"0:s b1 0:z b1 0:c b1 5:p 30:t", "~b1 =b1 +b1 -b1"},
		"two nodes":                {"0:s b1 0:s c1 1:z c1 1:z b1 2:c b1 2:c c1", "~b1 ~c1 =c1 =b1 +b1 +c1"},
	} {
		t.Run(name, func(t *testing.T) {
			m := hello.New("a", "a1", inLayout, 0)
			if got := text(play(m, c.in)); got != c.want {
				t.Errorf("%s\n  did  %s\n  want %s", c.in, got, c.want)
			}
		})
	}
}

func play(m *hello.Machine, in string) (all []hello.Step) {
	// The words come in pairs, but for those without an id.
	words := strings.Fields(in)
	for i := 0; i < len(words); i++ {
		var sec int
		var what byte
		if _, err := fmt.Sscanf(words[i], "%d:%c", &sec, &what); err != nil {
			panic(err)
		}
		id := ""
		if strings.IndexByte("suzc", what) >= 0 {
			i++
			id = words[i]
		}
		p := hello.Peer{Name: strings.TrimRight(id, "0123456789"), ID: id}
		now := at(sec)
		switch what {
		case 's':
			all = append(all, m.Subscribed(now, topic.NodeID(id))...)
		case 'u':
			all = append(all, m.Unsubscribed(now, topic.NodeID(id))...)
		case 'z':
			all = append(all, m.Said(now, p)...)
		case 'c':
			all = append(all, m.Hello(now, p)...)
		case 't':
			all = append(all, m.Tick(now)...)
		case 'r', 'p':
			m.Lost(now, what == 'r')
		case 'w':
			m.Wait(now)
		}
	}
	return all
}

// TestEveryOrder lets two nodes find each other in every order in which the
// broker may bring what they say: order is kept per pair of nodes only, and
// subscriptions travel on their own.
func TestEveryOrder(t *testing.T) {
	type mail struct {
		from, to int
		kind     byte // s z c
	}
	names := []string{"a", "b"}
	// run plays one order, given as choices among what is on its way, and returns
	// how many there were at each choice.
	run := func(choices []int) (options []int) {
		var ms []*hello.Machine
		up := make([][]string, len(names))
		for _, n := range names {
			ms = append(ms, hello.New(n, n+"1", inLayout, 0))
		}
		var way []mail
		for from := range names {
			for to := range names {
				if from != to {
					way = append(way, mail{from, to, 's'})
				}
			}
		}
		for step := 0; len(way) > 0; step++ {
			// The first of each stream may come next; hellos of a pair are one stream.
			var heads []int
			seen := map[string]bool{}
			for i, w := range way {
				k := fmt.Sprint(w.from, w.to, w.kind == 's')
				if !seen[k] {
					seen[k] = true
					heads = append(heads, i)
				}
			}
			pick := 0
			if step < len(choices) {
				pick = choices[step]
			}
			options = append(options, len(heads))
			w := way[heads[pick]]
			way = slices.Delete(way, heads[pick], heads[pick]+1)
			p := hello.Peer{Name: names[w.from], ID: names[w.from] + "1"}
			var steps []hello.Step
			switch w.kind {
			case 's':
				steps = ms[w.to].Subscribed(begin, topic.NodeID(p.ID))
			case 'z':
				steps = ms[w.to].Said(begin, p)
			case 'c':
				steps = ms[w.to].Hello(begin, p)
			}
			for _, s := range steps {
				to := slices.Index(names, strings.TrimRight(s.ID, "1"))
				switch s.Kind {
				case hello.SayZeroMQ:
					way = append(way, mail{w.to, to, 'z'})
				case hello.SayCluster:
					way = append(way, mail{w.to, to, 'c'})
				case hello.Up:
					up[w.to] = append(up[w.to], s.Name)
				default:
					t.Fatalf("order %v: node %s: %+v", choices, names[w.to], s)
				}
			}
		}
		for i := range names {
			if len(up[i]) != len(names)-1 {
				t.Fatalf("order %v: %s sees %q", choices, names[i], up[i])
			}
		}
		return options
	}
	orders := 0
	var choices []int
	for {
		options := run(choices)
		orders++
		for len(choices) < len(options) {
			choices = append(choices, 0)
		}
		i := len(options) - 1
		for ; i >= 0 && choices[i]+1 >= options[i]; i-- {
		}
		if i < 0 {
			break
		}
		choices = append(choices[:i], choices[i]+1)
	}
	t.Logf("%d orders of %d nodes", orders, len(names))
}

// TestRecorded puts the machine in the place of each of the two real nodes of the
// recording, and the other's frames before it in every order: what it says is what
// the real node said, byte for byte.
func TestRecorded(t *testing.T) {
	for _, c := range []codec.Codec{brokerbin.New(), brokerjson.New()} {
		file := testenv.Shared(t, "golden", "events", c.Name()+".jsonl")
		frames := testenv.Frames(t, file)
		for _, we := range []string{"worker-1", "worker-2"} {
			t.Run(c.Name()+" "+we, func(t *testing.T) { recorded(t, c, frames, we) })
		}
	}
}

func recorded(t *testing.T, c codec.Codec, frames [][][]byte, we string) {
	type input struct {
		kind byte
		data string // topic, or the frames joined
		p    hello.Peer
	}
	ids := map[string]string{}
	var theirs []input
	said := map[hello.Kind][]byte{} // by us
	for _, f := range frames {
		if len(f) == 1 {
			id, ok := topic.NodeIDOf(string(f[0][1:]))
			if name := strings.Split(id, "_"); ok && f[0][0] == 1 {
				ids[name[1]] = id
			}
			continue
		}
		e, err := c.Decode(f[3])
		if err != nil {
			t.Fatal(err)
		}
		k, p, ok := hello.Parse(e)
		if !ok {
			continue
		}
		if string(f[1]) != p.ID {
			t.Errorf("%s is said by %s", p.ID, f[1])
		}
		if p.Name == we {
			said[k] = bytes.Join(f, []byte{'|'})
		} else {
			theirs = append(theirs, input{kind: "zc"[k], p: p})
		}
	}
	other := "worker-1"
	if we == other {
		other = "worker-2"
	}
	theirs = append(theirs, input{kind: 's', data: topic.NodeID(ids[other])})
	if len(theirs) != 3 || len(said) != 2 {
		t.Fatalf("recording has %d frames of theirs, %d of ours", len(theirs), len(said))
	}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		for _, twice := range []bool{false, true} {
			m := hello.New(we, ids[we], func(n string) bool { return strings.HasPrefix(n, "worker-") }, 0)
			got := map[hello.Kind]int{}
			for _, i := range order {
				for range 1 + map[bool]int{true: 1}[twice] {
					in := theirs[i]
					var steps []hello.Step
					switch in.kind {
					case 's':
						steps = m.Subscribed(begin, in.data)
					case 'z':
						steps = m.Said(begin, in.p)
					case 'c':
						steps = m.Hello(begin, in.p)
					}
					for _, s := range steps {
						got[s.Kind]++
						if s.Kind > hello.SayCluster {
							continue
						}
						ev := m.Event(s.Kind)
						b, err := c.Append(nil, &ev)
						if err != nil {
							t.Fatal(err)
						}
						frame := bytes.Join([][]byte{[]byte(topic.NodeID(s.ID)), []byte(ids[we]), []byte(c.Name()), b}, []byte{'|'})
						if !bytes.Equal(frame, said[s.Kind]) {
							t.Errorf("order %v: said\n%q, the real node said\n%q", order, frame, said[s.Kind])
						}
					}
				}
			}
			// A Cluster::hello before its ZeroMQ::hello cannot be from a real node, which
			// would be greeted no more: it is up already.
			early := slices.Index(order, indexOf(theirs, 'c', func(i input) byte { return i.kind })) < slices.Index(order, indexOf(theirs, 'z', func(i input) byte { return i.kind }))
			if got[hello.Up] != 1 || got[hello.Down] != 0 || !early && (got[hello.SayZeroMQ] != 1 || got[hello.SayCluster] != 1) {
				t.Errorf("order %v twice %v: %v", order, twice, got)
			}
		}
	}
}

func indexOf[T any](s []T, k byte, f func(T) byte) int {
	return slices.IndexFunc(s, func(v T) bool { return f(v) == k })
}

// A hostile peer cannot make us remember without bound.
func TestBounded(t *testing.T) {
	m := hello.New("a", "a1", inLayout, 0)
	n := 0
	for i := range 20000 {
		id := fmt.Sprint("x", i)
		n += len(m.Subscribed(begin, topic.NodeID(id)))
		m.Said(begin, hello.Peer{Name: "worker", ID: "y" + id})
	}
	if n > 8192 {
		t.Errorf("%d answers", n)
	}
	if w := len(m.Tick(at(60))); w > 8192 {
		t.Errorf("%d remembered", w)
	}
}

func FuzzParse(f *testing.F) {
	m := hello.New("a", "a1", inLayout, 0)
	for _, k := range []hello.Kind{hello.SayZeroMQ, hello.SayCluster} {
		ev := m.Event(k)
		b, err := brokerbin.New().Append(nil, &ev)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := brokerbin.New().Decode(b)
		if err != nil {
			return
		}
		if _, p, ok := hello.Parse(e); ok && p.ID == "" {
			t.Error("an empty id")
		}
	})
}
