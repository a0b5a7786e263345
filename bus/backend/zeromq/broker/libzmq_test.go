package broker

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picket-nsm/picket/bus/backend/zeromq/zmtp"
	"github.com/picket-nsm/picket/internal/libzmqtest"
	"github.com/picket-nsm/picket/internal/testenv"
)

// A story is played by libzmq nodes, each with an XSUB (a.in) and an XPUB (a.out)
// as a Zeek node has, once around libzmq's proxy and once around our broker. What
// each node sees of it must be the same.
//
//	join a          both sockets connect
//	leave a         both close
//	sub a topic     a subscribes; unsub a topic takes it back
//	pub a topic x   a publishes
//	see a n         a reads n subscriptions
//	get a n         a reads n messages
var stories = map[string]string{
	"one": `
join a
sub a t.
see a 1
pub a t.x echo
get a 1`,
	"late joiner": `
join a
sub a t.
sub a u.
see a 2
join b
see b 2
sub b t.
see a 1
see b 1
pub b t.1 hello
get a 1
get b 1`,
	"last removal only": `
join a
join b
sub a t.
see a 1
see b 1
sub b t.
see a 1
see b 1
unsub a t.
sub a end1
see a 1
see b 1
unsub b t.
see a 1
see b 1`,
	"leave": `
join a
join b
sub b nodeid.b.
see a 1
see b 1
sub b worker
see a 1
see b 1
sub a worker
see a 1
see b 1
leave b
see a 1
join c
see c 1
pub c worker.x hi
get a 1`,
	"empty and overlapping prefixes": `
join a
join b
sub a 
see b 1
see a 1
sub a x
see b 1
see a 1
sub a xy
see b 1
see a 1
pub b xyz 1
pub b y 2
get a 2
unsub a 
see b 1
pub b y 3
pub b xyz 4
get a 1`,
}

func play(t *testing.T, py *libzmqtest.Process, story, run string, xpub, xsub string, options map[string]any) []string {
	t.Helper()
	var saw []string
	for _, line := range strings.Split(strings.TrimLeft(story, "\n"), "\n") {
		f := append(strings.Split(line, " "), "", "")
		in, out := run+f[1]+".in", run+f[1]+".out"
		switch f[0] {
		case "join":
			py.Socket(in, "XSUB", options)
			o := map[string]any{"XPUB_VERBOSE": 1}
			for k, v := range options {
				o[k] = v
			}
			py.Socket(out, "XPUB", o)
			py.Connect(in, xpub)
			py.Connect(out, xsub)
			// A node is there when its own subscription comes back. It has all earlier
			// ones then, since that topic stands behind them in any replay.
			probe := "~probe." + f[1]
			py.Subscribe(in, "XSUB", probe)
			for {
				got := string(py.Recv(out, 1)[0][0])
				if got == "\x01"+probe {
					break
				}
				saw = append(saw, f[1]+" early "+got)
			}
			py.Unsubscribe(in, "XSUB", probe)
			if got := string(py.Recv(out, 1)[0][0]); got != "\x00"+probe {
				t.Errorf("got %q, want the probe's end", got)
			}
		case "leave":
			py.Close(in)
			py.Close(out)
		case "sub":
			py.Subscribe(in, "XSUB", f[2])
		case "unsub":
			py.Unsubscribe(in, "XSUB", f[2])
		case "pub":
			py.Send(out, []byte(f[2]), []byte("id"), []byte("broker-bin-v1"), []byte(f[3]))
		case "see", "get":
			id := out
			if f[0] == "get" {
				id = in
			}
			var n int
			fmt.Sscan(f[2], &n)
			for len(saw) < 1000 && n > 0 {
				m := py.Recv(id, 1)[0]
				text := string(m[len(m)-1])
				if strings.Contains(text, "~probe.") {
					continue // of another node that joined
				}
				saw = append(saw, fmt.Sprintf("%s %s %q", f[0], f[1], text))
				n--
			}
		}
	}
	return saw
}

// TestLikeLibzmq compares the broker with libzmq's own proxy.
func TestLikeLibzmq(t *testing.T) {
	py := libzmqtest.Start(t)
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			py := py.For(t)
			real := py.Do(map[string]any{"op": "proxy"})
			want := play(t, py, early(story), name+"1.", real.XPUB, real.XSUB, nil)
			_, xpub, xsub := startBroker(t, Config{})
			got := play(t, py, early(story), name+"2.", xpub[0], xsub[0], nil)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("around our broker\n%s\naround libzmq's\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// early takes out the "see" of what join has read already.
func early(story string) string {
	var out []string
	var joined string
	for _, line := range strings.Split(strings.TrimLeft(story, "\n"), "\n") {
		f := strings.Fields(line)
		if f[0] == "see" && f[1] == joined {
			joined = ""
			continue
		}
		if f[0] == "join" {
			joined = ""
			if slices.ContainsFunc(out, func(l string) bool { return strings.HasPrefix(l, "sub") }) {
				joined = f[1]
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func curvePair(t testing.TB) (server *zmtp.Curve, options map[string]any) {
	t.Helper()
	spub, ssec, err := zmtp.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cpub, csec, err := zmtp.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &zmtp.Curve{Server: true, Secret: ssec, Clients: []zmtp.Key{cpub}},
		map[string]any{"CURVE_SERVERKEY": spub.String(), "CURVE_SECRETKEY": csec.Text(), "CURVE_PUBLICKEY": cpub.String()}
}

// TestLibzmqCurve: the same nodes, encrypted.
func TestLibzmqCurve(t *testing.T) {
	py := libzmqtest.Start(t)
	server, options := curvePair(t)
	_, xpub, xsub := startBroker(t, Config{Curve: server})
	saw := play(t, py, early(stories["leave"]), "c.", xpub[0], xsub[0], options)
	if !slices.Contains(saw, `get a "hi"`) || !slices.Contains(saw, `see a "\x00nodeid.b."`) {
		t.Errorf("saw %q", saw)
	}
}

// TestStoppedSubscriber: a stopped node costs the others nothing, and what it
// misses is counted by class of topic.
func TestStoppedSubscriber(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	slow, py := libzmqtest.Start(t), libzmqtest.Start(t)
	b, xpub, xsub := startBroker(t, Config{Queue: 1000})
	for _, p := range []*libzmqtest.Process{slow, py} {
		p.Socket("in", "XSUB", map[string]any{"RCVHWM": 1000})
		p.Connect("in", xpub[0])
		p.Subscribe("in", "XSUB", "zeek.")
	}
	out, err := zmtp.New(zmtp.Config{Type: zmtp.XPUB, Connect: xsub, Full: zmtp.Block}, zmtp.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, out.Run)
	testenv.Eventually(t, aim, "both", func() bool {
		n := 0
		for _, p := range b.Status().XPUB.Peers {
			n += p.Subscriptions
		}
		return n == 2 && out.Has("zeek.")
	})
	if err := syscall.Kill(slow.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 6000)
	const rounds, each = 60, 100
	began := time.Now()
	for range rounds {
		for range each {
			if err := out.Send([]byte("zeek.cluster.nodeid.x."), []byte("id"), []byte("c"), body); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(py.Recv("in", each)); got != each {
			t.Fatal(got)
		}
	}
	t.Logf("%d messages to the other in %s", rounds*each, time.Since(began))
	if err := syscall.Kill(slow.PID(), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	got, whole := slow.Drain("in", 4, 1000)
	dropped := int(b.Status().Dropped["zeek.cluster.nodeid."])
	if dropped == 0 || !whole || got+dropped != rounds*each {
		t.Errorf("the stopped one got %d, dropped %d of %d, whole %v", got, dropped, rounds*each, whole)
	}
	if s := b.Status(); s.Proxy.BackendMessagesSent != 4*rounds*each {
		t.Errorf("statistics %+v", s.Proxy)
	}
}
